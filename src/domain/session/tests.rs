//! Lives of sessions: random commands never break what must always hold.

use proptest::prelude::*;
use serde_json::json;

use super::attempt::{ErrorType, Lease, LeaseReason, SessionError};
use super::draft::SessionDraft;
use super::life::{Due, Outcome};
use super::policy::{Calls, PermissionDecision, PermissionPolicy, PermissionRule};
use super::*;
use crate::domain::ids::AgentId;
use crate::domain::workspace::WorkspaceSpec;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
}

fn draft(prompt: &str) -> SessionDraft {
    SessionDraft { initial_prompt: prompt.to_owned(), ..SessionDraft::default() }
}

fn session() -> Session {
    let spec = draft("fix the bug").accept().expect("valid");
    let id = SessionId::new(uuid::Uuid::from_u128(7));
    let code = SessionCode::new(1);
    Session::create(id, TenantId::BOOTSTRAP, code, spec, Lineage::default(), "ann", at(0)).0
}

fn lease(token: u64, now: Timestamp) -> Lease {
    Lease {
        agent_id: AgentId::new(uuid::Uuid::from_u128(9)),
        agent_name: "AGENT-X".to_owned(),
        fencing_token: token,
        granted_at: now,
        released_at: None,
        settled: None,
        reason: LeaseReason::Start,
    }
}

fn running() -> Session {
    let mut session = session();
    session.start(Cause::by("ann", at(1))).expect("legal");
    session.dispatch(lease(1, at(3)), None, Cause::by("scheduler", at(3))).expect("legal");
    session.run.checkpoint_count = 1;
    session
}

/// Tries one verb at one moment; what it answers does not matter here.
fn command(session: &mut Session, verb: usize, token: u64, now: Timestamp) -> Vec<DomainEvent> {
    let cause = Cause::by("ann", now);
    let error = SessionError::of(ErrorType::AgentError, "it broke", now);
    let told = match verb % 13 {
        0 => session.start(cause),
        1 => session.dispatch(lease(token, now), None, cause),
        2 => session.pause(cause),
        3 => session.resume(lease(token, now), cause),
        4 => session.stop(cause),
        5 => session.cancel(cause),
        6 => session.orphan(cause),
        7 => session.complete(Outcome::default(), cause),
        8 => session.fail(error, 0.5, cause),
        9 => session.expire(ErrorType::ExecutionTimeout, "late", 0.5, cause),
        10 => session.degrade(DegradedReason::HeartbeatLate, cause),
        11 => session.recover(DegradedReason::HeartbeatLate, cause),
        _ => session.retry(None, cause).map_err(|_| InvalidTransition {
            current: session.status(),
            requested: SessionStatus::Pending,
        }),
    };
    told.unwrap_or_default()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        if std::env::var_os("ORCHESTRATOR_DEEP").is_some() { 1_000_000 } else { 20_000 }
    ))]

    #[test]
    fn whatever_is_commanded_the_invariants_hold(
        verbs in proptest::collection::vec((0..13usize, 0..400i64), 0..40),
    ) {
        let mut session = session();
        session.run.checkpoint_count = 1;
        let mut now = 0;
        for (step, (verb, wait)) in verbs.into_iter().enumerate() {
            now += wait;
            let before = session.clone();
            let events = command(&mut session, verb, step as u64 + 1, at(now));
            if events.is_empty() && before.status() == session.status() {
                let same = Session { run: session.run.clone(), ..before.clone() };
                prop_assert_eq!(&same, &session, "a refusal changed something");
            }
            for pair in events.chunks(2) {
                prop_assert_eq!(pair[0].event_type, EventType::SessionStatusChanged);
            }
            let status = session.status();
            prop_assert_eq!(status.is_executing(), session.run.lease.is_some());
            prop_assert_eq!(status.is_terminal(), session.stamps.ended_at.is_some());
            prop_assert_eq!(status.is_executing(), session.run.clock.since.is_some());
            prop_assert_eq!(
                status == SessionStatus::Degraded,
                !session.run.degraded_reasons.is_empty()
            );
            prop_assert!(session.metrics.retry_count <= session.spec.retry.max_retries);
            if status.is_active() {
                prop_assert!(session.due_at().is_some(), "{status} has no deadline");
            }
            if status.is_terminal() {
                prop_assert!(session.due_at().is_none());
            }
        }
    }
}

#[test]
fn a_failure_that_may_be_retried_is_taken_back_in_the_same_step() {
    let mut session = running();
    let error = SessionError::of(ErrorType::ProviderError, "429", at(10));
    let events = session.fail(error, 0.5, Cause::by("supervisor", at(10))).expect("legal");
    let types: Vec<EventType> = events.iter().map(|event| event.event_type).collect();
    assert_eq!(
        types,
        [
            EventType::SessionStatusChanged,
            EventType::SessionFailed,
            EventType::SessionStatusChanged,
            EventType::SessionRetryScheduled,
        ]
    );
    assert_eq!(events[1].payload["will_retry"], true);
    assert_eq!(session.status(), SessionStatus::Pending);
    assert_eq!(session.due_at(), Some(at(15)));
    assert_eq!(session.due(at(15)), Some(Due::Start));
    assert_eq!(session.metrics.previous_errors.len(), 1);
}

#[test]
fn without_a_checkpoint_a_failure_stays_and_cannot_be_retried() {
    let mut session = running();
    session.run.checkpoint_count = 0;
    let error = SessionError::of(ErrorType::AgentError, "it broke", at(10));
    session.fail(error, 0.5, Cause::by("supervisor", at(10))).expect("legal");
    assert_eq!(session.status(), SessionStatus::Failed);
    assert!(!session.is_recoverable());
    assert!(session.retry(None, Cause::by("ann", at(11))).is_err());
}

#[test]
fn durations_add_up_and_the_clock_rests_while_paused_or_asking() {
    let mut session = running();
    session.block(at(5));
    session.unblock(at(65));
    session.pause(Cause::by("ann", at(70))).expect("legal");
    session.resume(lease(2, at(100)), Cause::by("scheduler", at(100))).expect("legal");
    session.complete(Outcome::default(), Cause::by("agent", at(105))).expect("legal");
    assert_eq!(session.metrics.queue_ms, Some(2_000));
    assert_eq!(session.metrics.execution_ms, Some(2_000 + 5_000 + 5_000));
    assert_eq!(session.total_ms(), Some(105_000));
}

#[test]
fn every_deadline_is_due_when_its_time_is_over() {
    let mut queued = session();
    queued.start(Cause::by("ann", at(1))).expect("legal");
    assert_eq!((queued.due(at(3600)), queued.due(at(3601))), (None, Some(Due::QueueTimeout)));
    let mut session = running();
    assert_eq!((session.due(at(3303)), session.due(at(3304))), (None, Some(Due::AtRisk)));
    assert_eq!(session.due(at(3603)), Some(Due::ExecutionTimeout), "later matters more");
    let told = session.tell_at_risk(at(3304));
    assert_eq!(
        (&told.payload["time_remaining_seconds"], &told.payload["health_score"]),
        (&json!(299.0), &json!(0.3))
    );
    assert_eq!((session.due(at(3602)), session.due(at(3603))), (None, Some(Due::ExecutionTimeout)));
    session.degrade(DegradedReason::StreamDisconnected, Cause::by("x", at(10))).expect("legal");
    assert_eq!((session.due(at(309)), session.due(at(310))), (None, Some(Due::GraceOver)));
    session.pause(Cause::by("ann", at(20))).expect("legal");
    assert_eq!(session.due(at(20 + 86_400)), Some(Due::PauseTimeout));
}

#[test]
fn titles_are_checked_or_derived() {
    for generic in
        ["Test Session", "NEW session", " untitled ", "coding task", "Development Session"]
    {
        let given = SessionDraft { title: Some(generic.to_owned()), ..draft("x") };
        assert_eq!(given.accept().expect_err("refused")[0].pointer, "/title");
    }
    let long = SessionDraft { title: Some("x".repeat(201)), ..draft("x") };
    assert!(long.accept().is_err());
    let fine =
        SessionDraft { title: Some("IND-TEST-001: Sample Session".to_owned()), ..draft("x") };
    assert!(fine.accept().is_ok());
    let prompt = format!("\n  \n  {}  \nmore", "y".repeat(120));
    assert_eq!(draft(&prompt).accept().expect("valid").title, "y".repeat(80));
    let mut derived = draft("Untitled\nreally").accept().expect("valid");
    derived.name_by_code(SessionCode::new(3));
    assert_eq!(derived.title, "IND-000003: Untitled");
}

#[test]
fn limits_are_as_pinned_and_all_broken_rules_come_together() {
    for (seconds, valid) in [(59, false), (60, true), (86_400, true), (86_401, false)] {
        let given = SessionDraft { max_duration_seconds: Some(seconds), ..draft("x") };
        assert_eq!(given.accept().is_ok(), valid, "{seconds}");
    }
    assert!(draft(&"p".repeat(100_000)).accept().is_ok());
    assert!(draft(&"p".repeat(100_001)).accept().is_err());
    assert!(draft(" \n ").accept().is_err());
    let mut many = SessionDraft {
        max_duration_seconds: Some(1),
        model_identifier: Some("nonsense".to_owned()),
        required_capabilities: vec!["Rust Expert".to_owned()],
        ..draft("")
    };
    many.agent_config.insert("invalid agent!".to_owned(), json!({}));
    let errors = many.accept().expect_err("refused");
    let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
    for expected in [
        "/initial_prompt",
        "/max_duration_seconds",
        "/model_identifier",
        "/required_capabilities/0",
        "/agent_config/invalid agent!",
    ] {
        assert!(pointers.contains(&expected), "{expected} is missing in {pointers:?}");
    }
}

#[test]
fn an_empty_agent_config_names_the_default_profile() {
    let spec = draft("x").accept().expect("valid");
    assert_eq!(spec.profile(), Some("industrial-coder"));
}

#[test]
fn codes_are_read_in_any_case() {
    assert_eq!(SessionCode::parse("ind-000042"), Some(SessionCode::new(42)));
    assert_eq!(SessionCode::new(1_234_567).to_string(), "IND-1234567");
    for wrong in ["IND-42", "IND-00004x", "XND-000042", "", "IN"] {
        assert_eq!(SessionCode::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn rules_and_paths_are_bounded() {
    let rule = |tool: &str, calls: Calls| PermissionRule {
        tool: tool.to_owned(),
        calls,
        decision: PermissionDecision::Deny,
    };
    let glob = |length: usize| Calls::Like("a".repeat(length));
    let pieces = |count: usize, length: usize| Calls::Exactly(vec!["a".repeat(length); count]);
    for (rule, wrong) in [
        (rule("bash", glob(1000)), None),
        (rule("bash", glob(1001)), Some("pattern")),
        (rule("", Calls::All), Some("tool")),
        (rule(&"t".repeat(201), Calls::All), Some("tool")),
        (rule("bash", pieces(100, 81)), None),
        (rule("bash", pieces(101, 1)), Some("exactly")),
        (rule("bash", pieces(1, 8193)), Some("exactly")),
    ] {
        let policy = PermissionPolicy { rules: vec![rule], ..PermissionPolicy::default() };
        let draft = SessionDraft { permission_policy: Some(policy), ..draft("x") };
        let told = draft.accept().err().unwrap_or_default();
        let pointers: Vec<String> = told.into_iter().map(|error| error.pointer).collect();
        let wanted = wrong.map(|field| format!("/permission_policy/rules/0/{field}"));
        assert_eq!(pointers, wanted.into_iter().collect::<Vec<_>>());
    }
    for (length, is_wrong) in [(4096, false), (4097, true)] {
        let path = format!("/{}", "p".repeat(length - 1));
        let draft = SessionDraft { workspace: WorkspaceSpec::Directory { path }, ..draft("x") };
        assert_eq!(draft.accept().is_err(), is_wrong, "{length}");
    }
}
