//! Placing by teams is choosing among all.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::domain::agent::breaker::{Breaker, BreakerState};
use crate::domain::agent::draft::AgentDraft;
use crate::domain::agent::kind::{AgentKind, AgentType, ComplexityPreference};
use crate::domain::agent::performance::{Tally, Tier};
use crate::domain::agent::routing::{Match, Request, choose};
use crate::domain::agent::status::{HeartbeatStatus, Pulse};
use crate::domain::ids::TenantId;

const TENANT: TenantId = TenantId::BOOTSTRAP;

fn id(number: usize) -> AgentId {
    AgentId::new(Uuid::from_u128(number as u128 + 1))
}

#[derive(Debug, Clone)]
struct Seed {
    agent_type: AgentType,
    capabilities: Vec<&'static str>,
    capacity: u32,
    /// Prefers rust, avoids it, is down, is draining.
    traits: [bool; 4],
    /// Complexities that it works on, and when each was given to it.
    work: Vec<(f64, u64)>,
    condition: Condition,
}

/// The moment at which all of it is looked at.
const NOW: u64 = 70;

fn at(seconds: u64) -> Timestamp {
    Timestamp::EPOCH.after(std::time::Duration::from_secs(seconds))
}

/// Mostly of an agent that is well.
fn condition() -> impl Strategy<Value = Condition> {
    let states = proptest::sample::select(BreakerState::ALL);
    let statuses = proptest::option::of(proptest::sample::select(HeartbeatStatus::ALL));
    let heard = (statuses, 0u64..2, 0.0f64..1.0).prop_map(|(status, early, load)| {
        let from = if early == 1 { Timestamp::EPOCH } else { at(NOW) };
        Pulse { status, load, ..Pulse::new(from) }
    });
    let ill = (states, 0u64..NOW, proptest::option::of(heard)).prop_map(|(state, since, pulse)| {
        let breaker = Breaker::stored(state, at(since), Tally::default());
        let tier = if breaker.is_closed() { Tier::Trainee } else { Tier::Degraded };
        Condition { tier, breaker, pulse }
    });
    let tiers = proptest::sample::select(Tier::ALL);
    prop_oneof![
        2 => tiers.prop_map(|tier| Condition { tier, ..Condition::default() }),
        1 => ill,
    ]
}

fn seed() -> impl Strategy<Value = Seed> {
    let types = proptest::sample::select(&AgentType::ALL[..2]);
    let slugs = proptest::sample::subsequence(vec!["code_generation", "testing"], 1..=2);
    let rarely = || proptest::bool::weighted(0.15);
    let work = proptest::collection::vec((0.1f64..3.0, 0u64..4), 0..4);
    let traits = (any::<bool>(), rarely(), rarely(), rarely());
    (types, slugs, traits, 1u32..4, work, condition()).prop_map(
        |(agent_type, capabilities, traits, capacity, work, condition)| {
            let (preferred, avoided, is_down, is_draining) = traits;
            let traits = [preferred, avoided, is_down, is_draining];
            Seed { agent_type, capabilities, capacity, traits, work, condition }
        },
    )
}

fn slot(number: usize, seed: &Seed) -> AgentSlot {
    let [preferred, avoided, is_down, is_draining] = seed.traits;
    let rust = |is: bool| if is { vec!["rust".to_owned()] } else { Vec::new() };
    let mut draft = AgentDraft::new(
        format!("AGENT-{number}"),
        AgentKind::Simulated,
        seed.capabilities.iter().copied(),
    );
    draft.agent_type = Some(seed.agent_type);
    draft.complexity_preference = Some(ComplexityPreference::Complex);
    draft.preferred_technologies = rust(preferred && !avoided);
    draft.avoided_technologies = rust(avoided);
    let draft = draft.with_capacity(seed.capacity);
    let mut agent = draft.accept(id(number), TENANT, Timestamp::EPOCH).expect("valid");
    agent.switches.is_draining = is_draining;
    let down = is_down.then(|| "off".to_owned());
    AgentSlot { down, condition: seed.condition, ..AgentSlot::new(Arc::new(agent)) }
}

fn needs() -> impl Strategy<Value = Needs> {
    let required =
        proptest::sample::subsequence(vec!["code_generation".to_owned(), "testing".into()], 0..=2);
    let wished = proptest::option::of(0usize..8);
    let of_type = proptest::option::of(proptest::sample::select(&AgentType::ALL[..2]));
    (required, any::<bool>(), 0.1f64..4.0, wished, of_type).prop_map(
        |(required, in_rust, complexity, wished, preferred_type)| Needs {
            agent: None,
            holder: None,
            provider: None,
            request: Request {
                required,
                matching: Match::All,
                technologies: if in_rust { vec!["rust".to_owned()] } else { Vec::new() },
                complexity: Units::of(complexity),
                preferred_type,
                preferred_ids: wished.map(id).into_iter().collect(),
                ..Request::any(TENANT)
            },
        },
    )
}

proptest! {
    #[test]
    fn whoever_is_placed_is_whom_routing_chooses(
        seeds in proptest::collection::vec(seed(), 0..12),
        needs in needs(),
        ended in any::<proptest::sample::Index>(),
        told_later in any::<bool>(),
        steps in proptest::collection::vec(0..NOW, 0..4),
    ) {
        let mut roster = Roster::default();
        let slots = seeds.iter().enumerate().map(|(number, seed)| slot(number, seed));
        roster.replace(if told_later {
            let healthy = |slot: AgentSlot| AgentSlot { condition: Condition::default(), ..slot };
            slots.clone().map(healthy).collect()
        } else {
            slots.clone().collect()
        });
        for (number, seed) in seeds.iter().enumerate() {
            for (complexity, seconds) in &seed.work {
                roster.begin(id(number), Units::of(*complexity), at(*seconds));
            }
        }
        if let Some(number) = (!seeds.is_empty()).then(|| ended.index(seeds.len()))
            && let Some((complexity, seconds)) = seeds[number].work.last()
        {
            roster.end(id(number), Units::of(*complexity), at(*seconds));
        }
        for slot in slots.filter(|_| told_later) {
            prop_assert!(roster.update(&slot));
        }
        // However time passed until now, everybody stands where they belong.
        let mut steps = steps;
        steps.sort_unstable();
        steps.into_iter().chain([NOW]).for_each(|moment| roster.advance(at(moment)));
        let all: Vec<Candidate<'_>> =
            (0..roster.slots.len()).map(|at| roster.candidate(at)).collect();
        let chosen = choose(&needs.request, &all).ok();
        let order: Vec<AgentId> = chosen
            .iter()
            .flat_map(|choice| std::iter::once(&choice.selected).chain(&choice.alternatives))
            .map(|ranked| ranked.candidate.id)
            .collect();
        let placed = roster.place(&needs, None).map(|agent| agent.id);
        prop_assert_eq!(placed, order.first().copied());
        let best = roster.best(&needs.request, 4);
        let best: Vec<AgentId> = best.iter().map(|ranked| ranked.candidate.id).collect();
        prop_assert_eq!(best, order, "a trial ranks as routing does");
    }
}

proptest! {
    #[test]
    fn the_best_are_those_of_all_that_pass_in_their_order(
        seeds in proptest::collection::vec(seed(), 0..24),
        needs in needs(),
        any in any::<bool>(),
        count in 1usize..8,
    ) {
        let mut roster = Roster::default();
        roster.replace(seeds.iter().enumerate().map(|(number, seed)| slot(number, seed)).collect());
        for (number, seed) in seeds.iter().enumerate() {
            for (complexity, seconds) in &seed.work {
                roster.begin(id(number), Units::of(*complexity), at(*seconds));
            }
        }
        roster.advance(at(NOW));
        let matching = if any { Match::Any } else { Match::All };
        let request = Request { matching, ..needs.request };
        let mut all: Vec<Ranked<'_>> = (0..seeds.len())
            .map(|place| roster.tried(place))
            .filter(|candidate| Gate::refusing(&request, candidate).is_none())
            .map(|candidate| Ranked { candidate, score: Score::of(&request, &candidate) })
            .collect();
        all.sort_by(Ranked::order);
        let name = |ranked: &Ranked<'_>| (ranked.candidate.id, ranked.score.billionths());
        let expected: Vec<_> = all.iter().take(count).map(name).collect();
        let found: Vec<_> = roster.best(&request, count).iter().map(name).collect();
        prop_assert_eq!(found, expected);
    }
}
