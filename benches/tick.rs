//! Microseconds per decision of the scheduler, by how much waits: what one look at the line costs
//! that gives one session to an agent, and what taking note of a session costs.
//!
//! The goal stands at 100,000 waiting sessions of 1,000 tenants.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::ports::clock::Clock;
use orchestrator::application::scheduler::roster::AgentSlot;
use orchestrator::application::scheduler::tick::{Grant, State};
use orchestrator::domain::agent::AgentKind;
use orchestrator::domain::agent::draft::AgentDraft;
use orchestrator::domain::ids::{AgentId, SessionId, TenantId};
use orchestrator::domain::schedule::order::AGEING;
use orchestrator::domain::session::draft::SessionDraft;
use orchestrator::domain::session::spec::Priority;
use orchestrator::domain::session::{Cause, Lineage, Session, SessionCode};
use orchestrator::domain::tenant::weight::Weight;
use orchestrator::domain::time::Timestamp;
use orchestrator::infrastructure::clock::SystemClock;
use uuid::Uuid;

/// Decisions that are measured together.
const DECISIONS: usize = 20_000;
/// Rounds of a row; the median is told.
const ROUNDS: usize = 5;
/// Sessions that execute at once.
const SLOTS: usize = 2_000;

/// How much there is.
struct Size {
    tenants: u32,
    agents_each: u32,
    queued_each: u32,
}

fn tenant(number: u32) -> TenantId {
    TenantId::new(Uuid::from_u128(u128::from(number) + 1))
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_secs(seconds))
}

fn agents(whose: u32, count: u32) -> Vec<AgentSlot> {
    let capabilities = [&["code_review", "testing"][..], &["code_review"], &["debugging"]];
    let slot = |number: u32| {
        let slugs = capabilities[number as usize % 3].iter().copied();
        let draft = AgentDraft::new(format!("AGENT-{number:04}"), AgentKind::Simulated, slugs);
        let id = AgentId::new(Uuid::from_u128(u128::from(whose) << 32 | u128::from(number)));
        let agent = draft.with_capacity(4).accept(id, tenant(whose), at(0)).expect("valid");
        AgentSlot::new(Arc::new(agent))
    };
    (0..count).map(slot).collect()
}

fn name(whose: u32, number: u32) -> SessionId {
    SessionId::new(Uuid::from_u128(u128::from(whose) << 64 | u128::from(number)))
}

/// A session that waits; a few kinds of needs and every priority.
fn session(whose: u32, number: u32) -> Session {
    let needs = [&[][..], &["code_review"], &["testing"]][number as usize % 3];
    let draft = SessionDraft {
        initial_prompt: "work".to_owned(),
        priority: Priority::from_level(u64::from(number % 5)),
        required_capabilities: needs.iter().map(|&slug| slug.to_owned()).collect(),
        ..SessionDraft::default()
    };
    let spec = draft.accept().expect("a valid draft");
    let id = name(whose, number);
    let code = SessionCode::new(u64::from(number));
    let since = at(u64::from(number % 1000));
    let lineage = Lineage::default();
    let (mut session, _) = Session::create(id, tenant(whose), code, spec, lineage, "b", since);
    session.start(Cause::by("bench", since)).expect("legal");
    session
}

fn filled(size: &Size) -> State {
    let mut state = State::new(SLOTS);
    for whose in 0..size.tenants {
        state.set_agents(tenant(whose), agents(whose, size.agents_each));
        let weight = Weight::from_hundredths(50 + whose % 400).expect("a weight");
        state.set_weight(tenant(whose), weight);
        for number in 0..size.queued_each {
            state.observe(&session(whose, number), None);
        }
    }
    state
}

/// Nanoseconds of one unit of work, of so many.
fn each(clock: &SystemClock, count: usize, work: impl FnOnce()) -> f64 {
    let began = clock.now();
    work();
    let spent = clock.now().since(began);
    spent.as_secs_f64() * 1e9 / f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Ends and waits anew: the state stays as full as it was.
fn end(state: &mut State, grant: &Grant, again: &mut Session) {
    state.forget(grant.session);
    again.id = grant.session;
    again.tenant_id = grant.tenant;
    state.observe(again, None);
}

fn row(size: &Size, clock: &SystemClock) -> String {
    let mut state = filled(size);
    let mut again = session(0, 3);
    let mut running = std::collections::VecDeque::from(state.tick(at(1000)));
    let (mut decisions, mut observations, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // One session ends, another one begins to wait, and the slot is given out: with and without
        // the decision.
        let both = each(clock, DECISIONS, || {
            for _ in 0..DECISIONS {
                let grant = running.pop_front().expect("something runs");
                end(&mut state, &grant, &mut again);
                running.extend(state.tick(at(1001)));
            }
        });
        let noted = each(clock, DECISIONS, || {
            for _ in 0..DECISIONS {
                state.forget(again.id);
                state.observe(&again, None);
            }
        });
        let asked = each(clock, 200, || {
            for number in 0..200 {
                let whose = number * 7 % size.tenants;
                state.position(name(whose, size.queued_each - 1), at(1001));
            }
        });
        decisions.push((both - noted).max(0.0));
        observations.push(noted);
        places.push(asked);
    }
    let waits = state.waiting();
    let raised = each(clock, waits, || drop(state.tick(at(1001).after(AGEING))));
    format!(
        "{:>8} {:>8} {:>8} {:>14.2} {:>14.2} {:>14.2} {:>14.2}",
        size.tenants,
        size.tenants * size.agents_each,
        waits,
        median(decisions) / 1000.0,
        median(observations) / 1000.0,
        median(places) / 1000.0,
        raised / 1000.0,
    )
}

fn main() {
    let clock = SystemClock::new();
    let mut out = std::io::stdout();
    let heads = ["decision µs", "note µs", "position µs", "lift µs"];
    write!(out, "{:>8} {:>8} {:>8}", "tenants", "agents", "queued").expect("written");
    for head in heads {
        write!(out, " {head:>14}").expect("written");
    }
    writeln!(out).expect("written");
    for (tenants, agents_each, queued_each) in
        [(1, 10, 1_000), (10, 100, 1_000), (1, 10_000, 100_000), (1_000, 1, 100), (1_000, 10, 100)]
    {
        let line = row(&Size { tenants, agents_each, queued_each }, &clock);
        writeln!(out, "{line}").expect("written");
    }
}
