//! Routing as a whole: the examples of the specification to the digit, and what holds for any fleet.

use proptest::prelude::*;
use uuid::Uuid;

use super::breaker::BreakerState;
use super::gate::{Gate, NoAgent};
use super::kind::{AgentType, ComplexityPreference};
use super::load::{Burden, Load, Units};
use super::performance::Tier;
use super::profile::{Profile, Switches};
use super::routing::{Candidate, Component, Match, Request, Score, choose};
use super::status::tests::idle;
use super::status::{HeartbeatStatus, Standing};
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::session::spec::SessionType;
use crate::domain::time::Timestamp;

const HERE: TenantId = TenantId::BOOTSTRAP;

fn id(number: u128) -> AgentId {
    AgentId::new(Uuid::from_u128(number))
}

fn profile() -> Profile {
    Profile {
        primary_capabilities: vec!["code_generation".into()],
        secondary_capabilities: vec!["testing".into()],
        ..Profile::of_everything(5)
    }
}

fn candidate(number: u128, profile: &Profile, standing: Standing) -> Candidate<'_> {
    Candidate { id: id(number), tenant_id: HERE, name: "AGENT-X", profile, standing }
}

fn near(left: f64, right: f64) -> bool {
    (left - right).abs() < 1e-12
}

#[test]
fn weights_sum_to_one() {
    let sum: f64 = Component::ALL.iter().map(|component| component.weight()).sum();
    assert!(near(sum, 1.0), "{sum}");
}

#[test]
fn the_examples_hold_to_the_digit() {
    let profile = profile();
    let elite = candidate(1, &profile, idle());
    let competent = candidate(2, &profile, Standing { tier: Tier::Competent, ..idle() });
    let request = Request::any(HERE);
    assert!(near(Score::of(&request, &elite).total, 0.98));
    let wish = Request { preferred_ids: vec![id(2)], ..request };
    assert!(near(Score::of(&wish, &elite).total, 0.98 / 1.2));
    assert!(near(Score::of(&wish, &competent).total, (0.82 + 0.2) / 1.2));
    assert!(near((0.82 + 0.2) / 1.2, 0.85));
    let both = [elite, competent];
    let choice = choose(&wish, &both).expect("somebody");
    assert_eq!(choice.selected.candidate.id, id(2));
    assert_eq!(choice.alternatives.len(), 1);
    assert_eq!(choice.reason(), "AGENT-X: full capability match, low load, score 0.85");
    let all = [elite];
    let reason = choose(&Request::any(HERE), &all).expect("somebody").reason();
    assert_eq!(reason, "AGENT-X: high tier, full capability match, low load, score 0.98");
}

#[test]
fn components_are_valued_as_specified() {
    let described = Profile {
        preferred_technologies: vec!["rust".into()],
        complexity_preference: ComplexityPreference::Expert,
        preferred_session_types: vec![SessionType::Review],
        ..profile()
    };
    let request = Request {
        required: vec!["code_generation".into(), "testing".into(), "ci_cd".into()],
        matching: Match::Any,
        technologies: vec!["rust".into(), "c".into()],
        session_type: Some(SessionType::Debug),
        complexity: Units::of(2.5),
        ..Request::any(HERE)
    };
    let value = |component: Component, standing: Standing| {
        Score::of(&request, &candidate(1, &described, standing)).values[component as usize]
    };
    let of = |component| value(component, idle());
    assert!(near(of(Component::Capability), (1.0 + 0.7 + 0.3) / 3.0));
    assert!(near(of(Component::Technology), 0.5));
    assert!(near(of(Component::SessionType), 0.3));
    assert!(near(of(Component::Complexity), 1.0));
    let weak = Standing { heartbeat: Some(HeartbeatStatus::Degraded), ..idle() };
    assert!(near(value(Component::Availability, weak), 0.5));
    let half = Standing { breaker: BreakerState::HalfOpen, tier: Tier::Degraded, ..idle() };
    assert!(near(value(Component::Availability, half), 0.5));
    let poor = Standing { tier: Tier::Degraded, ..idle() };
    assert!(near(value(Component::Availability, poor), 0.0));
    for (preference, complexity, wanted) in [
        (ComplexityPreference::Medium, 1.6, 0.8),
        (ComplexityPreference::Medium, 2.5, 0.8),
        (ComplexityPreference::Simple, 2.5, 0.6),
        (ComplexityPreference::Complex, 1.5, 0.6),
    ] {
        let profile = Profile { complexity_preference: preference, ..profile() };
        let request = Request { complexity: Units::of(complexity), ..Request::any(HERE) };
        let score = Score::of(&request, &candidate(1, &profile, idle()));
        assert!(near(score.values[Component::Complexity as usize], wanted), "{preference}");
    }
}

#[test]
fn each_gate_refuses_by_its_name() {
    let (plain, request) = (profile(), Request::any(HERE));
    let refused = |standing: Standing, request: &Request| {
        Gate::refusing(request, &candidate(1, &plain, standing))
    };
    let switched = |change: fn(&mut Switches)| {
        let mut standing = idle();
        change(&mut standing.switches);
        standing
    };
    assert_eq!(refused(idle(), &request), None);
    let foreign = Request::any(TenantId::new(Uuid::from_u128(9)));
    assert_eq!(refused(idle(), &foreign), Some(Gate::Tenant));
    let inactive: [fn(&mut Switches); 2] =
        [|switches| switches.is_active = false, |switches| switches.is_approved = false];
    for change in inactive {
        assert_eq!(refused(switched(change), &request), Some(Gate::Active));
    }
    let excluded = Request { excluded: vec![id(1)], ..request.clone() };
    assert_eq!(refused(idle(), &excluded), Some(Gate::Active));
    let resting: [fn(&mut Switches); 2] =
        [|switches| switches.is_draining = true, |switches| switches.in_maintenance = true];
    for change in resting {
        assert_eq!(refused(switched(change), &request), Some(Gate::Draining));
    }
    let offline = Standing { heartbeat: Some(HeartbeatStatus::Offline), ..idle() };
    assert_eq!(refused(offline, &request), Some(Gate::Alive));
    let silent = Standing { is_alive: false, ..idle() };
    assert_eq!(refused(silent, &request), Some(Gate::Alive));
    let needs = |slugs: &[&str]| Request {
        required: slugs.iter().map(|slug| (*slug).to_owned()).collect(),
        ..request.clone()
    };
    assert_eq!(refused(idle(), &needs(&["testing", "ci_cd"])), Some(Gate::Capability));
    let any = Request { matching: Match::Any, ..needs(&["testing", "ci_cd"]) };
    assert_eq!(refused(idle(), &any), None);
    let busy = Standing { heartbeat: Some(HeartbeatStatus::Busy), ..idle() };
    assert_eq!(refused(busy, &request), Some(Gate::Capacity));
    let load = (0..5).fold(Load::default(), |load, _| load.with(Units::of(1.0)));
    let full = Standing { burden: Burden { load, ..idle().burden }, ..idle() };
    assert_eq!(refused(full, &request), Some(Gate::Capacity));
    let averse = Profile { avoided_technologies: vec!["php".into()], ..profile() };
    let php = Request { technologies: vec!["php".into()], ..request.clone() };
    let told = Gate::refusing(&php, &candidate(1, &averse, idle()));
    assert_eq!(told, Some(Gate::Technology));
    let best = Request { min_tier: Some(Tier::Advanced), ..request.clone() };
    let fair = Standing { tier: Tier::Competent, ..idle() };
    assert_eq!(refused(fair, &best), Some(Gate::Tier));
    let open = Standing { breaker: BreakerState::Open, ..idle() };
    assert_eq!(refused(open, &request), Some(Gate::Breaker));
    let half = Standing { breaker: BreakerState::HalfOpen, ..idle() };
    assert_eq!(refused(half, &request), None);
    let probing = Standing { is_probing: true, ..half };
    assert_eq!(refused(probing, &request), Some(Gate::Breaker));
}

#[test]
fn equal_scores_have_one_order() {
    let profile = profile();
    let at = |millis| Some(Timestamp::from_millis(millis));
    let with = |number, tasks: u32, assigned_at| {
        let load = (0..tasks).fold(Load::default(), |load, _| load.with(Units::of(1.0)));
        let burden = Burden { load, ..idle().burden };
        candidate(number, &profile, Standing { burden, assigned_at, ..idle() })
    };
    let ordered = [
        with(9, 0, None),
        with(4, 0, at(1)),
        with(3, 0, at(5)),
        with(7, 0, at(5)),
        with(1, 1, None),
    ];
    for turn in 0..ordered.len() {
        let mut all = ordered;
        all.rotate_left(turn);
        let choice = choose(&Request::any(HERE), &all).expect("somebody");
        let told: Vec<AgentId> = std::iter::once(&choice.selected)
            .chain(&choice.alternatives)
            .map(|one| one.candidate.id)
            .collect();
        assert_eq!(told, [9, 4, 3, 7].map(id));
    }
}

#[test]
fn why_nobody_was_found_is_the_first_reason_that_holds_for_all_who_are_left() {
    let profile = profile();
    let needs = Request { required: vec!["ci_cd".into()], ..Request::any(HERE) };
    let told = |request: &Request, standing: &[Standing]| {
        let all: Vec<Candidate<'_>> = (1..)
            .zip(standing)
            .map(|(number, standing)| candidate(number, &profile, *standing))
            .collect();
        choose(request, &all).map(|choice| choice.selected.candidate.id).err()
    };
    let any = Request::any(HERE);
    let open = Standing { breaker: BreakerState::Open, ..idle() };
    let silent = Standing { is_alive: false, ..idle() };
    let busy = Standing { burden: Burden { reported: 1.5, ..idle().burden }, ..idle() };
    let mut resting = idle();
    resting.switches.in_maintenance = true;
    let best = Request { min_tier: Some(Tier::Elite), ..any.clone() };
    let fair = Standing { tier: Tier::Competent, ..idle() };
    assert_eq!(told(&any, &[]), Some(NoAgent::Capability));
    assert_eq!(told(&needs, &[idle(), open]), Some(NoAgent::Capability));
    assert_eq!(told(&best, &[fair, fair]), Some(NoAgent::Tier));
    assert_eq!(told(&any, &[open, open]), Some(NoAgent::Degraded));
    assert_eq!(told(&any, &[open, silent]), Some(NoAgent::Alive));
    assert_eq!(told(&any, &[open, silent, busy]), Some(NoAgent::Capacity));
    assert_eq!(told(&any, &[open, silent, busy, resting]), Some(NoAgent::Other));
    assert_eq!(told(&any, &[open, silent, busy, resting, idle()]), None);
}

fn any_standing() -> impl Strategy<Value = Standing> {
    let one_of = |count: usize| 0..count;
    let switches = proptest::collection::vec(proptest::bool::weighted(0.1), 4);
    let heartbeat = proptest::option::of(proptest::sample::select(HeartbeatStatus::ALL));
    let load = (0u32..8, 0.0f64..1.2);
    (switches, any::<bool>(), heartbeat, one_of(5), one_of(3), load, proptest::option::of(0i64..5))
        .prop_map(|(off, is_probing, heartbeat, tier, breaker, (tasks, reported), assigned)| {
            let load = (0..tasks).fold(Load::default(), |load, _| load.with(Units::of(1.0)));
            Standing {
                switches: Switches {
                    is_active: !off[0],
                    is_approved: !off[1],
                    in_maintenance: off[2],
                    is_draining: off[3],
                },
                is_alive: tasks != 7,
                heartbeat,
                tier: Tier::ALL[tier],
                breaker: BreakerState::ALL[breaker],
                is_probing,
                burden: Burden { load, capacity: 5, reported },
                assigned_at: assigned.map(Timestamp::from_millis),
            }
        })
}

fn any_profile() -> impl Strategy<Value = Profile> {
    let slugs = || {
        let known = vec!["code_generation".to_owned(), "testing".into(), "ci_cd".into()];
        proptest::sample::subsequence(known, 0..=3)
    };
    (slugs(), slugs(), proptest::sample::select(AgentType::ALL)).prop_map(
        |(primary_capabilities, secondary_capabilities, agent_type)| Profile {
            agent_type,
            primary_capabilities,
            secondary_capabilities,
            ..Profile::of_everything(5)
        },
    )
}

proptest! {
    #[test]
    fn who_is_preferred_by_id_beats_whoever_is_better_by_less_than_that_is_worth(
        fleet in proptest::collection::vec((any_profile(), any_standing()), 2..10),
        wish in 0usize..10,
    ) {
        let mut all: Vec<Candidate<'_>> = (0..)
            .zip(&fleet)
            .map(|(number, (profile, standing))| candidate(number, profile, *standing))
            .collect();
        // It may be given work; how good it is, is up to chance.
        let at = wish % all.len();
        all[at].standing = Standing { tier: all[at].standing.tier, ..idle() };
        let preferred = all[at];
        let plain = Request::any(HERE);
        let wished = Request { preferred_ids: vec![preferred.id], ..plain.clone() };
        let others = all.iter().filter(|one| one.id != preferred.id);
        let others = others.filter(|one| Gate::refusing(&wished, one).is_none());
        let best = others.map(|one| Score::of(&plain, one).total).fold(0.0, f64::max);
        let ahead = Score::of(&plain, &preferred).total + 0.2 - best;
        let chosen = choose(&wished, &all).expect("somebody").selected.candidate.id;
        prop_assert!(ahead.abs() < 1e-6 || (chosen == preferred.id) == (ahead > 0.0));
    }

    #[test]
    fn whoever_is_chosen_may_be_and_nobody_better_was_passed_over(
        fleet in proptest::collection::vec((any_profile(), any_standing(), any::<bool>()), 0..30),
        required in proptest::sample::subsequence(vec!["code_generation".to_owned(), "testing".into()], 0..=2),
        any_of in any::<bool>(),
        complexity in 0.1f64..10.0,
        wishes in (proptest::option::of(0u128..30), proptest::option::of(proptest::sample::select(AgentType::ALL))),
    ) {
        let elsewhere = TenantId::new(Uuid::from_u128(77));
        let request = Request {
            required,
            matching: if any_of { Match::Any } else { Match::All },
            complexity: Units::of(complexity),
            preferred_ids: wishes.0.map(id).into_iter().collect(),
            preferred_type: wishes.1,
            ..Request::any(HERE)
        };
        let all: Vec<Candidate<'_>> = (0..)
            .zip(&fleet)
            .map(|(number, (profile, standing, is_here))| Candidate {
                tenant_id: if *is_here { HERE } else { elsewhere },
                ..candidate(number, profile, *standing)
            })
            .collect();
        let passes = |one: &Candidate<'_>| Gate::refusing(&request, one).is_none();
        for one in &all {
            let score = Score::of(&request, one);
            prop_assert!((0.0..=1.0).contains(&score.total));
        }
        // What a wish can earn is the same for all, whoever earns it.
        let plain = Request { preferred_ids: Vec::new(), preferred_type: None, ..request.clone() };
        let most = 1.0
            + if wishes.0.is_some() { 0.2 } else { 0.0 }
            + if wishes.1.is_some() { 0.3 } else { 0.0 };
        for one in &all {
            let bonus = if request.preferred_ids.contains(&one.id) { 0.2 } else { 0.0 }
                + if wishes.1 == Some(one.profile.agent_type) { 0.3 } else { 0.0 };
            let wished = Score::of(&request, one).total * most;
            prop_assert!((wished - Score::of(&plain, one).total - bonus).abs() < 1e-9);
        }
        match choose(&request, &all) {
            Ok(choice) => {
                let chosen = choice.selected.candidate;
                prop_assert_eq!(chosen.tenant_id, HERE);
                prop_assert!(passes(&chosen));
                let has = |slug: &String| chosen.profile.capabilities().contains(&slug.as_str());
                prop_assert!(any_of || request.required.iter().all(has));
                let best = all.iter().filter(|one| passes(one));
                let best = best.map(|one| Score::of(&request, one).total).fold(0.0, f64::max);
                prop_assert!(choice.selected.score.total >= best - 1e-9);
                let mut turned = all.clone();
                turned.reverse();
                let again = choose(&request, &turned).expect("the same");
                prop_assert_eq!(again.selected.candidate.id, chosen.id, "whatever their order");
            }
            Err(_) => prop_assert!(!all.iter().any(passes)),
        }
    }
}
