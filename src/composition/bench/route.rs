//! `route`: how long a routing decision takes among very many agents, in this process: what is in front
//! of it over HTTP is measured by the other rows.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::load::now;
use super::measure::Rounds;
use super::process::Side;
use super::report::{Goal, Unit};
use super::rows::{Bench, value};
use crate::application::agent::route::{TOLD, explained};
use crate::application::scheduler::roster::AgentSlot;
use crate::application::scheduler::tick::State;
use crate::application::scheduler::trial::Ask;
use crate::domain::agent::AgentKind;
use crate::domain::agent::capability::KNOWN;
use crate::domain::agent::draft::AgentDraft;
use crate::domain::agent::kind::{AgentType, ComplexityPreference};
use crate::domain::agent::load::Units;
use crate::domain::agent::performance::Tier;
use crate::domain::agent::routing::{Match, Request};
use crate::domain::agent::vitals::Condition;
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::session::spec::SessionType;
use crate::domain::time::Timestamp;

/// Agents of the tenant.
const AGENTS: usize = 10_000;
/// Decisions of a round with the ten best, and with all.
const DECISIONS: [usize; 2] = [2000, 100];
/// Requests that are asked in turns, so that no two in a row are alike.
const REQUESTS: usize = 97;

const TENANT: TenantId = TenantId::BOOTSTRAP;

impl Bench<'_> {
    /// A decision with an explanation of the ten best, and one of everybody.
    pub(super) fn route(&mut self) {
        for (fleet, is_varied) in [("of 200 kinds", false), ("each of its own kind", true)] {
            let mut state = State::new(0);
            state.set_agents(TENANT, agents(is_varied));
            let requests: Vec<Request> = (0..REQUESTS).map(request).collect();
            for (all, count) in [(false, DECISIONS[0]), (true, DECISIONS[1])] {
                let (mut half, mut most) = (Rounds::default(), Rounds::default());
                for _ in 0..self.effort.rounds {
                    let took = measured(&mut state, &requests, all, count);
                    half.add(Side::Server, Ok(value(at_share(&took, 50))));
                    most.add(Side::Server, Ok(value(at_share(&took, 99))));
                }
                let told = if all { "all told" } else { "10 told" };
                // The goal is for decisions; who asks for everybody waits for everybody.
                let goal = (!all).then_some(Goal::AtMost(1.0));
                for (which, rounds) in [("p50", half), ("p99", most)] {
                    let case = format!("{AGENTS} agents {fleet}, {told}, {which}");
                    self.add("route", case, Unit::Milliseconds, goal, &rounds);
                }
            }
        }
    }
}

/// How long decisions took, in milliseconds, the quick ones first.
fn measured(state: &mut State, requests: &[Request], all: bool, count: usize) -> Vec<f64> {
    let ask = Ask { best: TOLD, all, reserve: None };
    let at = Timestamp::EPOCH.after(Duration::from_hours(1));
    let mut took: Vec<f64> = requests
        .iter()
        .cycle()
        .take(count)
        .map(|request| {
            let began = now();
            if let Ok(trial) = state.route(request, &ask, at) {
                black_box(explained(request, trial.all));
                black_box(trial.best);
            }
            began.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    took.sort_by(f64::total_cmp);
    took
}

/// The time within which so many of a hundred were done.
fn at_share(took: &[f64], percent: usize) -> f64 {
    took.get((took.len() * percent / 100).min(took.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

/// Agents of every type and tier with mixed capabilities; varied ones have a capability of their own, so
/// that no two answer alike.
fn agents(is_varied: bool) -> Vec<AgentSlot> {
    let slot = |number: usize| {
        let kind = number % 200;
        let mut slugs: Vec<String> =
            (0..6).map(|step| KNOWN[(kind * 7 + step * 5) % KNOWN.len()].to_owned()).collect();
        slugs.sort_unstable();
        slugs.dedup();
        if is_varied {
            slugs.push(format!("own_{number}"));
        }
        let mut draft = AgentDraft::new(format!("AGENT-{number:05}"), AgentKind::Simulated, slugs);
        draft.agent_type = Some(AgentType::ALL[kind % AgentType::ALL.len()]);
        let preferences = ComplexityPreference::ALL;
        draft.complexity_preference = Some(preferences[kind % preferences.len()]);
        draft.preferred_technologies = vec![["rust", "python", "go"][kind % 3].to_owned()];
        let id = AgentId::new(Uuid::from_u128(number as u128 + 1));
        let agent = draft.accept(id, TENANT, Timestamp::EPOCH).ok()?;
        // A prime keeps tiers and kinds apart.
        let tier = Tier::ALL[number % 7 % Tier::ALL.len()];
        let condition = Condition { tier, ..Condition::default() };
        Some(AgentSlot { condition, ..AgentSlot::new(Arc::new(agent)) })
    };
    (0..AGENTS).filter_map(slot).collect()
}

/// One to three capabilities, all or any of them, with and without wishes.
fn request(number: usize) -> Request {
    let slug = |step: usize| KNOWN[(number * 3 + step * 11) % KNOWN.len()].to_owned();
    let any = number % 2 == 1;
    let count = if any { 3 } else { 1 + number / 2 % 2 };
    let complexities = [0.5, 1.0, 1.6, 2.0, 2.6];
    let is_each = |of: usize| number.is_multiple_of(of);
    let wished = AgentId::new(Uuid::from_u128(number as u128 * 100 + 1));
    Request {
        required: (0..count).map(slug).collect(),
        matching: if any { Match::Any } else { Match::All },
        technologies: if is_each(3) { vec!["rust".to_owned()] } else { Vec::new() },
        session_type: Some(SessionType::ALL[number % SessionType::ALL.len()]),
        complexity: Units::of(complexities[number % complexities.len()]),
        preferred_type: is_each(4).then(|| AgentType::ALL[number % AgentType::ALL.len()]),
        preferred_ids: is_each(5).then_some(wished).into_iter().collect(),
        ..Request::any(TENANT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured_are_decisions() {
        let mut state = State::new(0);
        state.set_agents(TENANT, agents(true));
        let ask = Ask { best: TOLD, all: true, reserve: None };
        let found = (0..REQUESTS).filter(|number| {
            let request = request(*number);
            let trial = state.route(&request, &ask, Timestamp::EPOCH).expect("nothing is reserved");
            assert_eq!(trial.all.len(), AGENTS);
            let all = explained(&request, trial.all.clone());
            let first = trial.best.first().map(|scored| scored.seen.agent.id);
            assert!(first.is_none_or(|first| all[0].seen.agent.id == first));
            trial.best.len() == TOLD
        });
        assert!(found.count() > REQUESTS / 2, "most requests find many");
    }
}
