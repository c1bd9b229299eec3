//! The decision on its own: order, shares, limits, reasons.

use proptest::prelude::*;
use uuid::Uuid;

use super::super::Queue;
use super::super::position::Position;
use super::super::roster::LOOKING;
use super::*;
use crate::application::session::explain::Blocker;
use crate::domain::agent::AgentKind;
use crate::domain::agent::breaker::{Breaker, BreakerState};
use crate::domain::agent::draft::AgentDraft;
use crate::domain::agent::performance::{Tally, Tier};
use crate::domain::agent::status::Pulse;
use crate::domain::agent::vitals::Condition;
use crate::domain::schedule::blocker::BlockerCode;
use crate::domain::session::attempt::{Lease, LeaseReason};
use crate::domain::session::draft::SessionDraft;
use crate::domain::session::spec::Priority;
use crate::domain::session::{Cause, Lineage, SessionCode};

pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp::EPOCH.after(Duration::from_secs(seconds))
}

pub(super) fn tenant(number: u128) -> TenantId {
    TenantId::new(Uuid::from_u128(number))
}

pub(super) fn agent(number: u128, capacity: u32, capabilities: &[&str]) -> AgentSlot {
    let draft = AgentDraft::new(format!("AGENT-{number}"), AgentKind::Simulated, ["testing"]);
    let id = AgentId::new(Uuid::from_u128(number));
    let mut agent = draft.accept(id, TenantId::BOOTSTRAP, at(0)).expect("valid");
    agent.profile.primary_capabilities = capabilities.iter().map(|&slug| slug.into()).collect();
    agent.profile.max_concurrent_capacity = capacity;
    AgentSlot::new(Arc::new(agent))
}

/// The same agent, of another tenant.
pub(super) fn owned_by(whose: TenantId, mut slot: AgentSlot) -> AgentSlot {
    Arc::make_mut(&mut slot.agent).tenant_id = whose;
    slot
}

/// A state in which the bootstrap tenant has these agents.
pub(super) fn with(max_running: usize, agents: Vec<AgentSlot>) -> State {
    let mut state = State::new(max_running);
    state.set_agents(TenantId::BOOTSTRAP, agents);
    state
}

pub(super) fn queued_of(whose: TenantId, number: u128, level: u64, since: u64) -> Session {
    let mut session = queued(number, level, since, &[]);
    session.tenant_id = whose;
    session
}

pub(super) fn queued(number: u128, level: u64, since: u64, needs: &[&str]) -> Session {
    let draft = SessionDraft {
        initial_prompt: "work".to_owned(),
        priority: Priority::from_level(level),
        required_capabilities: needs.iter().map(|&slug| slug.to_owned()).collect(),
        ..SessionDraft::default()
    };
    let spec = draft.accept().expect("valid");
    let id = SessionId::new(Uuid::from_u128(number));
    let code = SessionCode::new(u64::try_from(number).expect("small"));
    let lineage = Lineage::default();
    let whose = TenantId::BOOTSTRAP;
    let (mut session, _) = Session::create(id, whose, code, spec, lineage, "ann", at(since));
    session.start(Cause::by("ann", at(since))).expect("legal");
    session
}

/// The same session, taken by an agent.
pub(super) fn taken(mut session: Session, by: u128, now: u64) -> Session {
    let lease = Lease {
        agent_id: AgentId::new(Uuid::from_u128(by)),
        agent_name: format!("AGENT-{by}"),
        fencing_token: 1,
        granted_at: at(now),
        released_at: None,
        settled: None,
        reason: LeaseReason::Start,
    };
    session.dispatch(lease, None, Cause::by("s", at(now))).expect("legal");
    session
}

fn observe(state: &mut State, session: &Session) {
    state.observe(session, None);
}

fn granted(state: &mut State, now: u64) -> Vec<u128> {
    state.tick(at(now)).iter().map(|grant| grant.session.uuid().as_u128()).collect()
}

fn why(state: &State, session: &Session) -> (BlockerCode, String) {
    let Blocker { code, text, .. } = state.why(session);
    (code, text)
}

#[test]
fn priority_then_age_and_a_long_wait_lifts() {
    let mut state = with(50, vec![agent(1, 50, &[])]);
    for (number, level, since) in [(1, 2, 10), (2, 0, 20), (3, 2, 5), (4, 4, 0)] {
        observe(&mut state, &queued(number, level, since, &[]));
    }
    assert_eq!(granted(&mut state, 30), [2, 3, 1, 4]);
    for (number, level, since) in [(5, 1, 2000), (6, 4, 0)] {
        observe(&mut state, &queued(number, level, since, &[]));
    }
    assert_eq!(granted(&mut state, 2001), [6, 5]);
}

#[test]
fn nothing_is_given_to_what_has_spent_its_budget() {
    let mut state = with(9, vec![agent(1, 9, &[])]);
    let (mut spent, mut paused) = (queued(1, 0, 0, &[]), taken(queued(2, 0, 0, &[]), 1, 1));
    spent.spec.token_budget = Some(0);
    paused.pause(Cause::by("ann", at(2))).expect("legal");
    paused.run.resume_wanted = true;
    paused.spec.token_budget = Some(0);
    for session in [&spent, &paused] {
        observe(&mut state, session);
    }
    assert_eq!(granted(&mut state, 5), Vec::<u128>::new());
    for session in [&mut spent, &mut paused] {
        session.spec.token_budget = None;
        observe(&mut state, session);
    }
    let mut all = granted(&mut state, 6);
    all.sort_unstable();
    assert_eq!(all, [1, 2]);
}

#[test]
fn less_slack_comes_first_until_waiting_outweighs_it() {
    let mut state = with(1, vec![agent(1, 50, &[])]);
    let slack = |seconds| Some(Duration::from_secs(seconds));
    state.observe(&queued(1, 2, 0, &[]), slack(60));
    state.observe(&queued(2, 2, 5, &[]), slack(30));
    state.observe(&queued(3, 2, 9, &[]), None);
    for expected in [3, 2, 1] {
        assert_eq!(granted(&mut state, 10), [expected]);
        state.forget(SessionId::new(Uuid::from_u128(expected)));
    }
    state.observe(&queued(4, 2, 0, &[]), slack(3600));
    state.observe(&queued(5, 0, 1800, &[]), None);
    assert_eq!(granted(&mut state, 1801), [4], "three times ten minutes were enough");
}

#[test]
fn no_slot_and_no_capacity_is_passed() {
    let mut state = with(3, vec![agent(1, 2, &[]), agent(2, 5, &[])]);
    for number in 1..=9 {
        observe(&mut state, &queued(number, 2, 0, &[]));
    }
    let grants = state.tick(at(1));
    let names: Vec<&str> = grants.iter().map(|grant| grant.agent.name.as_str()).collect();
    assert_eq!(names, ["AGENT-1", "AGENT-2", "AGENT-2"], "whose capacity is used least");
    assert_eq!(why(&state, &queued(9, 2, 0, &[])).0, BlockerCode::SlotsFull);
    let mut small = with(50, vec![agent(1, 2, &[])]);
    for number in 1..=9 {
        observe(&mut small, &queued(number, 2, 0, &[]));
    }
    assert_eq!(granted(&mut small, 1), [1, 2]);
    // Also before it is known that the grants came to something.
    let (code, text) = why(&small, &queued(9, 2, 0, &[]));
    assert_eq!(code, BlockerCode::NoAgentCapacity);
    assert!(text.contains("AGENT-1 works on IND-000001, IND-000002 "), "{text}");
    observe(&mut small, &taken(queued(1, 2, 0, &[]), 1, 1));
    let (code, text) = why(&small, &queued(9, 2, 0, &[]));
    assert_eq!(code, BlockerCode::NoAgentCapacity);
    assert!(text.contains("AGENT-1 works on IND-000001"), "{text}");
}

#[test]
fn what_is_about_to_be_given_out_says_so() {
    let queue = Queue::new(1);
    queue.state().set_agents(TenantId::BOOTSTRAP, vec![agent(1, 5, &[])]);
    let session = queued(1, 2, 0, &[]);
    observe(&mut queue.state(), &session);
    assert!(queue.why(&session).text.contains("AGENT-1 has room"));
    assert_eq!(queue.state().tick(at(1)).len(), 1);
    assert_eq!(queue.why(&queued(2, 2, 0, &[])).code, BlockerCode::SlotsFull);
}

#[test]
fn one_line_that_nobody_serves_does_not_hold_up_the_others() {
    let mut state = with(50, vec![agent(1, 5, &["code_review"])]);
    let served_by_nobody = queued(1, 0, 0, &["code_review", "deployment"]);
    observe(&mut state, &served_by_nobody);
    observe(&mut state, &queued(2, 3, 9, &["code_review"]));
    assert_eq!(granted(&mut state, 10), [2]);
    let (code, text) = why(&state, &served_by_nobody);
    assert_eq!(code, BlockerCode::NoAgentCapability);
    assert!(text.ends_with("AGENT-1 lacks deployment"), "{text}");
    let position = state.position(served_by_nobody.id, at(10));
    assert_eq!(position, Some(Position { place: 1, is_exact: true }));
}

#[test]
fn an_agent_that_is_down_gets_nothing_and_the_reason_is_told() {
    let mut slot = agent(1, 5, &[]);
    slot.down = Some("it is not installed".to_owned());
    let mut state = with(50, vec![slot.clone()]);
    let session = queued(1, 2, 0, &[]);
    observe(&mut state, &session);
    assert_eq!(granted(&mut state, 1), Vec::<u128>::new());
    let (code, text) = why(&state, &session);
    assert_eq!(code, BlockerCode::NoAgentAlive);
    assert!(text.contains("not installed"));
    slot.down = Some(LOOKING.to_owned());
    state.set_agents(TenantId::BOOTSTRAP, vec![slot.clone()]);
    assert_eq!(why(&state, &session).0, BlockerCode::AgentUnavailable);
    slot.down = None;
    state.set_agents(TenantId::BOOTSTRAP, vec![slot]);
    assert_eq!(granted(&mut state, 2), [1]);
}

#[test]
fn an_agent_that_failed_gets_nothing_until_its_time_and_then_one_session() {
    let mut state = with(50, vec![agent(1, 5, &[])]);
    let sessions: Vec<Session> = (1..=3).map(|number| queued(number, 2, 0, &[])).collect();
    for session in &sessions {
        observe(&mut state, session);
    }
    state.advance(at(1));
    let open = Breaker::stored(BreakerState::Open, at(1), Tally::default());
    let condition = Condition { tier: Tier::Degraded, breaker: open, pulse: None };
    assert!(state.set_agent(TenantId::BOOTSTRAP, &AgentSlot { condition, ..agent(1, 5, &[]) }));
    assert_eq!(granted(&mut state, 60), Vec::<u128>::new());
    let (code, text) = why(&state, &sessions[0]);
    assert_eq!(code, BlockerCode::AllAgentsDegraded, "{text}");
    assert_eq!(granted(&mut state, 61), [1], "one is tried");
    observe(&mut state, &taken(sessions[0].clone(), 1, 61));
    assert_eq!(granted(&mut state, 62), Vec::<u128>::new());
    assert!(state.set_agent(TenantId::BOOTSTRAP, &agent(1, 5, &[])));
    assert_eq!(granted(&mut state, 63), [2, 3]);
    let other = agent(1, 6, &[]);
    assert!(!state.set_agent(TenantId::BOOTSTRAP, &other), "it belongs to another team now");
}

#[test]
fn an_agent_that_is_not_heard_of_gets_nothing() {
    let mut state = with(50, vec![agent(1, 5, &[])]);
    let session = queued(1, 2, 0, &[]);
    observe(&mut state, &session);
    let heard = |seconds| {
        let pulse = Some(Pulse::new(at(seconds)));
        AgentSlot { condition: Condition { pulse, ..Condition::default() }, ..agent(1, 5, &[]) }
    };
    state.advance(at(400));
    assert!(state.set_agent(TenantId::BOOTSTRAP, &heard(100)));
    assert_eq!(granted(&mut state, 400), Vec::<u128>::new());
    assert_eq!(why(&state, &session).0, BlockerCode::NoAgentAlive);
    assert!(state.set_agent(TenantId::BOOTSTRAP, &heard(401)));
    state.advance(at(700));
    let is_free = |state: &State| why(state, &session).0 != BlockerCode::NoAgentAlive;
    assert!(is_free(&state));
    state.advance(at(701));
    assert!(!is_free(&state), "five minutes of silence");
}

#[test]
fn a_pinned_agent_is_found_by_name_or_id_and_by_nothing_else() {
    let mut state = with(50, vec![agent(1, 5, &["testing"]), agent(2, 5, &["testing"])]);
    let id = agent(2, 5, &[]).agent.id.to_string();
    let pinned = |number, name: &str| {
        let mut session = queued(number, 2, 0, &["testing"]);
        session.spec.agent = Some(name.to_owned());
        session
    };
    observe(&mut state, &pinned(1, &id));
    observe(&mut state, &pinned(2, "agent-1"));
    observe(&mut state, &pinned(3, "AGENT-9"));
    let grants = state.tick(at(1));
    let names: Vec<&str> = grants.iter().map(|grant| grant.agent.name.as_str()).collect();
    assert_eq!(names, ["AGENT-2", "AGENT-1"]);
    let (code, text) = why(&state, &pinned(3, "AGENT-9"));
    assert_eq!(
        (code, text.as_str()),
        (BlockerCode::AgentUnavailable, "no agent is called AGENT-9")
    );
}

#[test]
fn what_is_held_is_given_nothing_new_and_the_others_go_on() {
    let mut state = with(50, vec![agent(1, 5, &[]), agent(2, 5, &[])]);
    state.set_agents(tenant(7), vec![owned_by(tenant(7), agent(7, 5, &[]))]);
    let hold = |held| Hold { held, reason: None, since: at(3), by: "ann".to_owned() };
    let mut bootstrap = Tenant::bootstrap(at(0));
    let mut now = 10;
    let mut number = 1;
    let mut given_while = |holds: Vec<Hold>| {
        bootstrap.holds = holds;
        state.set_tenant(&bootstrap);
        observe(&mut state, &queued(number, 2, now, &[]));
        observe(&mut state, &queued_of(tenant(7), number + 1000, 2, now));
        number += 1;
        now += 1;
        let grants = state.tick(at(now));
        let mut names: Vec<String> = grants.iter().map(|g| g.agent.name.clone()).collect();
        names.sort_unstable();
        names.join(" ")
    };
    assert_eq!(given_while(vec![]), "AGENT-1 AGENT-7");
    let first = hold(Held::Agent(agent(2, 5, &[]).agent.id));
    assert_eq!(given_while(vec![first.clone()]), "AGENT-1 AGENT-7", "the other one is less busy");
    assert_eq!(given_while(vec![first, hold(Held::Tenant)]), "AGENT-7");
    assert_eq!(given_while(vec![hold(Held::Instance)]), "");
    assert_eq!(given_while(vec![]), "AGENT-1 AGENT-2 AGENT-2 AGENT-7 AGENT-7");
}

#[test]
fn a_grant_that_came_to_nothing_costs_no_turn() {
    let mut state = State::new(1);
    for number in [1, 2] {
        state.set_agents(tenant(number), vec![owned_by(tenant(number), agent(number, 5, &[]))]);
        observe(&mut state, &queued_of(tenant(number), number, 2, 0));
    }
    let first = state.tick(at(1)).remove(0);
    assert_eq!(first.tenant, tenant(1));
    state.take_back(first.session);
    assert_eq!(state.executing(), 0);
    observe(&mut state, &queued_of(tenant(1), 1, 2, 0));
    assert_eq!(state.tick(at(2)).remove(0).tenant, tenant(1));
}

#[test]
fn places_follow_the_shares() {
    let mut state = State::new(4);
    for number in [1, 2] {
        state.set_agents(tenant(number), vec![owned_by(tenant(number), agent(number, 500, &[]))]);
    }
    for number in 100..200 {
        observe(&mut state, &queued_of(tenant(1), number, 2, 0));
    }
    for number in 200..205 {
        observe(&mut state, &queued_of(tenant(2), number, 2, 1));
    }
    assert_eq!(state.tick(at(2)).len(), 4);
    // What is told is what happens when slots become free one after another.
    let ids: Vec<SessionId> = state.waiting.keys().copied().collect();
    let mut told: Vec<(usize, u128)> = ids
        .iter()
        .map(|id| (state.position(*id, at(2)).expect("waits").place, id.uuid().as_u128()))
        .collect();
    told.sort_unstable();
    state.max_running = 200;
    let given = granted(&mut state, 2);
    assert_eq!(told.len(), given.len());
    for (place, (told, id)) in told.iter().enumerate() {
        let real = given.iter().position(|given| given == id).expect("given") + 1;
        assert!(told.abs_diff(real) <= 1, "{id} was told {told} and is {real}: {place}");
    }
}

#[test]
fn the_pace_of_the_line_tells_when() {
    let mut state = with(1, vec![agent(1, 5, &[])]);
    for number in 1..=30 {
        observe(&mut state, &queued(number, 2, 0, &[]));
    }
    let id = |number| SessionId::new(Uuid::from_u128(number));
    for number in 1..=10 {
        assert_eq!(granted(&mut state, 60 * u64::try_from(number).expect("small")), [number]);
        state.forget(id(number));
    }
    assert_eq!(state.expected(id(12), at(600)), Some(at(720)));
    assert_eq!(state.expected(id(30), at(600)), Some(at(1800)));
    assert_eq!(state.expected(id(1), at(600)), None, "it does not wait");
    assert_eq!(state.expected(id(12), at(6000)), None, "the pace is no longer known");
}

#[path = "histories.rs"]
mod histories;

#[test]
fn a_tenant_that_has_spent_its_month_is_given_nothing_and_the_others_are() {
    let (ours, theirs) = (TenantId::BOOTSTRAP, tenant(9));
    let mut state = with(10, vec![agent(1, 5, &[])]);
    state.set_agents(theirs, vec![owned_by(theirs, agent(2, 5, &[]))]);
    state.observe(&queued(1, 2, 1, &[]), None);
    state.observe(&queued_of(theirs, 2, 2, 1), None);
    state.set_spent(ours, true);
    let grants = state.tick(at(2));
    assert_eq!(grants.iter().map(|grant| grant.tenant).collect::<Vec<_>>(), [theirs]);
    assert_eq!((state.waiting(), state.tick(at(3)).len()), (1, 0));
    state.set_spent(ours, false);
    let grants = state.tick(at(4));
    assert_eq!(grants.iter().map(|grant| grant.tenant).collect::<Vec<_>>(), [ours]);
    // Spent between the decision and the grant: it is taken back.
    state.set_spent(ours, true);
    assert!(state.is_held(&grants[0]));
}

#[test]
fn an_inactive_tenant_is_held_since_it_was_switched_off() {
    let mut state = State::new(5);
    let mut other = Tenant { id: tenant(7), ..Tenant::bootstrap(at(1)) };
    other.set_active(false, at(9));
    state.set_tenant(&other);
    let held = |state: &State| state.tenants.get(&other.id).and_then(|lines| lines.hold.clone());
    assert_eq!(held(&state).map(|hold| hold.since), Some(at(9)));
    let back = Tenant { is_active: true, inactive_since: None, ..other.clone() };
    state.set_tenant(&back);
    assert_eq!(held(&state), None);
}

#[test]
fn small_work_does_not_keep_large_work_from_its_turn_for_ever() {
    let mut state = with(50, vec![agent(1, 3, &[])]);
    let small = |number: u128, seconds: u64| queued(number, 2, seconds, &[]);
    for number in 1..=3 {
        observe(&mut state, &small(number, 0));
    }
    assert_eq!(granted(&mut state, 0), [1, 2, 3]);
    let mut large = queued(9, 2, 1, &[]);
    large.spec.estimated_complexity = 3.0;
    observe(&mut state, &large);
    for (number, seconds) in (10..).zip(2..=4) {
        observe(&mut state, &small(number, seconds));
    }
    // There is no room for it yet, and what is small goes on meanwhile.
    state.forget(SessionId::new(Uuid::from_u128(1)));
    assert_eq!(granted(&mut state, 599), [10]);
    // It has waited long enough: the agent is kept free.
    for number in [2, 3, 10] {
        state.forget(SessionId::new(Uuid::from_u128(number)));
        let expected: &[u128] = if number == 10 { &[9] } else { &[] };
        assert_eq!(granted(&mut state, 601), expected);
    }
    assert_eq!(state.waiting(), 2);
}
