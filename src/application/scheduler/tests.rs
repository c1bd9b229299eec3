//! The decision on its own: order, limits, reasons.

use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::super::Queue;
use super::*;
use crate::domain::agent::AgentKind;
use crate::domain::session::attempt::{Lease, LeaseReason};
use crate::domain::session::draft::SessionDraft;
use crate::domain::session::{Cause, Lineage, SessionCode};

fn at(seconds: u64) -> Timestamp {
    Timestamp::EPOCH.after(std::time::Duration::from_secs(seconds))
}

fn agent(number: u128, capacity: u32, capabilities: &[&str]) -> AgentSlot {
    let agent = Agent {
        id: AgentId::new(Uuid::from_u128(number)),
        tenant_id: TenantId::BOOTSTRAP,
        name: format!("AGENT-{number}"),
        kind: AgentKind::Simulated,
        capabilities: capabilities.iter().map(|&slug| slug.to_owned()).collect(),
        max_concurrent_capacity: capacity,
        config: Value::Null,
        created_at: at(0),
    };
    AgentSlot { agent, down: None }
}

fn queued(number: u128, level: u64, since: u64, needs: &[&str]) -> Session {
    let draft = SessionDraft {
        initial_prompt: "work".to_owned(),
        priority: Priority::from_level(level),
        required_capabilities: needs.iter().map(|&slug| slug.to_owned()).collect(),
        ..SessionDraft::default()
    };
    let spec = draft.accept().expect("valid");
    let id = SessionId::new(Uuid::from_u128(number));
    let (tenant, code) = (TenantId::BOOTSTRAP, SessionCode::new(1));
    let lineage = Lineage::default();
    let (mut session, _) = Session::create(id, tenant, code, spec, lineage, "ann", at(since));
    session.start(Cause::by("ann", at(since))).expect("legal");
    session
}

fn granted(state: &mut State, now: u64) -> Vec<u128> {
    state.tick(at(now)).iter().map(|grant| grant.session.uuid().as_u128()).collect()
}

#[test]
fn priority_then_age_and_a_long_wait_lifts() {
    let mut state = State::new(50, vec![agent(1, 50, &[])]);
    for (number, level, since) in [(1, 2, 10), (2, 0, 20), (3, 2, 5), (4, 4, 0)] {
        state.observe(&queued(number, level, since, &[]));
    }
    assert_eq!(granted(&mut state, 30), [2, 3, 1, 4]);
    for (number, level, since) in [(5, 1, 2000), (6, 4, 0)] {
        state.observe(&queued(number, level, since, &[]));
    }
    assert_eq!(granted(&mut state, 2001), [6, 5]);
}

#[test]
fn no_slot_and_no_capacity_is_passed() {
    let mut state = State::new(3, vec![agent(1, 2, &[]), agent(2, 5, &[])]);
    for number in 1..=9 {
        state.observe(&queued(number, 2, 0, &[]));
    }
    assert_eq!(state.tick(at(1)).len(), 3);
    let busiest = |state: &State, id: u128| {
        state.executing.values().filter(|agent| agent.uuid().as_u128() == id).count()
    };
    assert!(busiest(&state, 1) <= 2);
    let mut small = State::new(50, vec![agent(1, 2, &[])]);
    for number in 1..=9 {
        small.observe(&queued(number, 2, 0, &[]));
    }
    assert_eq!(small.tick(at(1)).len(), 2);
    let (code, _) = small.place(&Needs::of(&queued(99, 2, 0, &[]))).expect_err("full");
    assert_eq!(code, BlockerCode::NoAgentCapacity);
}

#[test]
fn a_session_that_is_about_to_be_given_out_is_not_said_to_be_blocked() {
    let queue = Queue::new(1);
    queue.state().agents = vec![agent(1, 5, &[])];
    let session = queued(1, 2, 0, &[]);
    queue.state().observe(&session);
    assert!(queue.why(&session).is_none());
    assert_eq!(queue.state().tick(at(1)).len(), 1);
    let other = queued(2, 2, 0, &[]);
    let blocker = queue.why(&other).expect("no slot");
    assert_eq!(blocker.code, BlockerCode::SlotsFull);
}

#[test]
fn one_line_that_nobody_serves_does_not_hold_up_the_others() {
    let mut state = State::new(50, vec![agent(1, 5, &["code_review"])]);
    state.observe(&queued(1, 0, 0, &["deployment"]));
    state.observe(&queued(2, 3, 9, &["code_review"]));
    assert_eq!(granted(&mut state, 10), [2]);
    let (code, _) = state.place(&Needs::of(&queued(1, 0, 0, &["deployment"]))).expect_err("none");
    assert_eq!(code, BlockerCode::NoAgentCapability);
    assert_eq!(state.position(SessionId::new(Uuid::from_u128(1)), at(10)), Some(1));
}

#[test]
fn an_agent_that_is_down_gets_nothing_and_the_reason_is_told() {
    let mut slot = agent(1, 5, &[]);
    slot.down = Some("it is not installed".to_owned());
    let mut state = State::new(50, vec![slot]);
    let session = queued(1, 2, 0, &[]);
    state.observe(&session);
    assert_eq!(granted(&mut state, 1), Vec::<u128>::new());
    let (code, text) = state.place(&Needs::of(&session)).expect_err("down");
    assert_eq!(code, BlockerCode::NoAgentAlive);
    assert!(text.contains("not installed"));
}

proptest! {
    #[test]
    fn observing_is_idempotent_and_forgetting_leaves_nothing(
        sessions in proptest::collection::vec((1..40u128, 0..5u64, 0..3000u64, 0..3usize), 1..60),
    ) {
        let needs: [&[&str]; 3] = [&[], &["code_review"], &["testing"]];
        let mut state = State::new(usize::MAX, vec![agent(1, 50, &[])]);
        for (number, level, since, need) in &sessions {
            let mut session = queued(*number, *level, *since, needs[*need]);
            state.observe(&session);
            if number % 5 == 0 {
                let lease = Lease {
                    agent_id: AgentId::new(Uuid::from_u128(1)),
                    agent_name: "AGENT-1".to_owned(),
                    fencing_token: 1,
                    granted_at: at(*since),
                    released_at: None,
                    reason: LeaseReason::Start,
                };
                session.dispatch(lease, None, Cause::by("s", at(*since))).expect("legal");
                state.observe(&session);
            }
        }
        let lined: usize = state.lines.values().flat_map(|line| line.values()).map(BTreeSet::len).sum();
        prop_assert_eq!(lined, state.waiting.len());
        for (number, ..) in &sessions {
            state.forget(SessionId::new(Uuid::from_u128(*number)));
        }
        prop_assert!(state.lines.is_empty() && state.waiting.is_empty() && state.executing.is_empty());
    }
}
