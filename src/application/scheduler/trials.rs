//! Trials say what the scheduler does, and room that is held is given to nobody else.

use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::domain::agent::AgentKind;
use crate::domain::agent::draft::AgentDraft;
use crate::domain::agent::performance::Tier;
use crate::domain::ids::SessionId;
use crate::domain::session::draft::SessionDraft;
use crate::domain::session::{Cause, Lineage, Session, SessionCode};

const HERE: TenantId = TenantId::BOOTSTRAP;

fn at(seconds: u64) -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_secs(seconds))
}

fn id(number: u128) -> AgentId {
    AgentId::new(Uuid::from_u128(number))
}

fn agent(number: u128, capacity: u32, tier: Tier) -> AgentSlot {
    let name = format!("AGENT-{number}");
    let draft = AgentDraft::new(name, AgentKind::Simulated, ["testing"]).with_capacity(capacity);
    let agent = draft.accept(id(number), HERE, at(0)).expect("valid");
    let condition = Condition { tier, ..Condition::default() };
    AgentSlot { condition, ..AgentSlot::new(Arc::new(agent)) }
}

fn with(agents: Vec<AgentSlot>) -> State {
    let mut state = State::new(50);
    state.set_agents(HERE, agents);
    state
}

/// A session of somebody for an agent, or for any.
fn session(number: u128, by: &str, agent: Option<&str>) -> Session {
    let draft = SessionDraft {
        initial_prompt: "work".to_owned(),
        agent: agent.map(str::to_owned),
        ..SessionDraft::default()
    };
    let spec = draft.accept().expect("valid");
    let (id, code) = (SessionId::new(Uuid::from_u128(number)), SessionCode::new(1));
    let (mut session, _) = Session::create(id, HERE, code, spec, Lineage::default(), by, at(0));
    session.start(Cause::by(by, at(0))).expect("legal");
    session
}

fn reserve(state: &mut State, number: u128, now: u64) -> Option<AgentId> {
    let reserve = Some(Reserve {
        id: ReservationId::new(Uuid::from_u128(number)),
        holder: "ann".to_owned(),
        until: at(now + 60),
    });
    let ask = Ask { best: 4, all: false, reserve };
    let trial = state.route(&Request::any(HERE), &ask, at(now)).expect("not too many");
    trial.reserved.map(|reserved| reserved.agent)
}

fn granted(state: &mut State, now: u64) -> Vec<(u128, AgentId)> {
    let grants = state.tick(at(now));
    grants.iter().map(|grant| (grant.session.uuid().as_u128(), grant.agent.id)).collect()
}

#[test]
fn a_trial_names_whom_the_scheduler_takes_and_holds_nothing() {
    let tiers = [Tier::Trainee, Tier::Elite, Tier::Competent];
    let slots = (1..).zip(tiers).map(|(number, tier)| agent(number, 1, tier)).collect();
    let mut state = with(slots);
    let ask = Ask { best: 4, all: true, reserve: None };
    let trial = state.route(&Request::any(HERE), &ask, at(1)).expect("no room is asked for");
    let order: Vec<AgentId> = trial.best.iter().map(|scored| scored.seen.agent.id).collect();
    assert_eq!(order, [2, 3, 1].map(id));
    assert_eq!((trial.all.len(), trial.count), (3, 3));
    for (number, expected) in (1..).zip([2, 3, 1]) {
        state.observe(&session(number, "ann", None), None);
        assert_eq!(granted(&mut state, 1), [(number, id(expected))]);
    }
    let trial = state.route(&Request::any(HERE), &ask, at(2)).expect("no room is asked for");
    assert!(trial.best.is_empty());
    assert_eq!(trial.nobody, Some(NoAgent::Capacity));
}

#[test]
fn room_that_is_held_is_given_to_nobody_until_its_time_is_over() {
    let mut state = with(vec![agent(1, 1, Tier::Competent)]);
    assert_eq!(reserve(&mut state, 1, 10), Some(id(1)));
    assert_eq!(reserve(&mut state, 2, 10), None, "there is room for one");
    state.observe(&session(1, "bob", None), None);
    state.observe(&session(2, "bob", Some("AGENT-1")), None);
    state.observe(&session(3, "ann", None), None);
    assert_eq!(granted(&mut state, 69), []);
    assert_eq!(granted(&mut state, 70).len(), 1, "a minute is over");
    assert_eq!(granted(&mut state, 71), [], "and it was given back once");
}

#[test]
fn whoever_holds_room_uses_it_by_a_session_for_that_agent() {
    let mut state = with(vec![agent(1, 2, Tier::Competent)]);
    assert_eq!(reserve(&mut state, 1, 10), Some(id(1)));
    state.observe(&session(1, "bob", None), None);
    assert_eq!(granted(&mut state, 11), [(1, id(1))], "the other half is free");
    state.observe(&session(2, "bob", None), None);
    state.observe(&session(3, "ann", Some("agent-1")), None);
    assert_eq!(granted(&mut state, 12), [(3, id(1))]);
    state.forget(SessionId::new(Uuid::from_u128(3)));
    assert_eq!(granted(&mut state, 13), [(2, id(1))], "it was used, and is not held any more");
    assert_eq!(granted(&mut state, 100), []);
}

#[test]
fn room_is_held_through_changes_of_the_agents_and_within_bounds() {
    let mut state = with((1..=3).map(|number| agent(number, 50, Tier::Competent)).collect());
    for number in 0..100 {
        assert!(reserve(&mut state, number, 10).is_some());
    }
    let ask = Ask {
        best: 1,
        all: false,
        reserve: Some(Reserve {
            id: ReservationId::new(Uuid::nil()),
            holder: "ann".to_owned(),
            until: at(80),
        }),
    };
    let refused = state.route(&Request::any(HERE), &ask, at(11));
    assert_eq!(refused.err(), Some(TooManyReserved { limit: MOST }));
    let mut changed = agent(1, 50, Tier::Elite).agent.as_ref().clone();
    changed.profile.max_concurrent_capacity = 40;
    state.tell(&changed, None, None);
    changed.deleted_at = Some(at(12));
    let tasks = |state: &State| -> Vec<u32> {
        let roster = &state.tenants[&HERE].roster;
        roster.slots().iter().map(|slot| roster.load(slot.agent.id).tasks).collect()
    };
    assert_eq!(tasks(&state).iter().sum::<u32>(), 100);
    state.tell(&changed, None, None);
    assert_eq!(tasks(&state).len(), 2);
    state.advance(at(70));
    assert_eq!(tasks(&state), [0, 0]);
    assert!(reserve(&mut state, 1, 71).is_some());
}
