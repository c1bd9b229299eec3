//! All 144 pairs of statuses: people's verbs over HTTP, the product's own through the service.

use axum::http::StatusCode;
use orchestrator::application::error::AppError;
use orchestrator::application::ports::changes::Counter;
use orchestrator::application::session::change::{By, Change};
use orchestrator::domain::event::DomainEvent;
use orchestrator::domain::ids::{AgentId, SessionId, TenantId};
use orchestrator::domain::session::attempt::{ErrorType, Lease, LeaseReason, SessionError};
use orchestrator::domain::session::life::Outcome;
use orchestrator::domain::session::status::{InvalidTransition, SessionStatus, Trigger};
use orchestrator::domain::session::{Cause, DegradedReason, Session};
use orchestrator::domain::version::Versioned;
use serde_json::{Value, json};

use crate::support::app::TestApp;

const TENANT: TenantId = TenantId::BOOTSTRAP;

/// Everything that a refused request must leave as it was.
#[derive(Debug, PartialEq)]
struct State {
    session: Option<Versioned<Session>>,
    last_seq: u64,
    counters: Vec<i64>,
}

async fn state(app: &TestApp, id: SessionId) -> State {
    let snapshot = app.store.snapshot(TENANT).await.expect("a snapshot");
    let mut counters = vec![snapshot.counter(Counter::OpenSessions).await.expect("a counter")];
    for status in SessionStatus::ALL {
        counters.push(snapshot.counter(Counter::SessionsIn(*status)).await.expect("a counter"));
    }
    State {
        session: snapshot.session(id).await.expect("a read"),
        last_seq: snapshot.last_seq().await.expect("a read"),
        counters,
    }
}

type Verb = fn(&mut Change, Cause<'_>, &TestApp) -> Result<Vec<DomainEvent>, InvalidTransition>;

/// One of the product's own verbs.
async fn own(app: &TestApp, id: SessionId, verb: Verb) -> Result<(), AppError> {
    let decide = |change: &mut Change| {
        let cause = Cause::by("supervisor", app.clock.now());
        let events = verb(change, cause, app);
        let code = change.session.code.to_string();
        change.tell(events.map_err(|refused| AppError::Transition { code, refused })?);
        Ok(())
    };
    let by = By::Part(TENANT, "supervisor");
    app.state.sessions.change(by, id, "test", None, decide).await.map(|_| ())
}

fn lease(app: &TestApp) -> Lease {
    Lease {
        agent_id: AgentId::new(app.ids.uuid()),
        agent_name: "AGENT-TEST".to_owned(),
        fencing_token: 1,
        granted_at: app.clock.now(),
        released_at: None,
        settled: None,
        reason: LeaseReason::Start,
    }
}

fn dispatch(
    change: &mut Change,
    cause: Cause<'_>,
    app: &TestApp,
) -> Result<Vec<DomainEvent>, InvalidTransition> {
    let events = change.session.dispatch(lease(app), None, cause)?;
    change.begin_attempt(lease(app), None, cause.at);
    Ok(events)
}

fn execute(
    change: &mut Change,
    cause: Cause<'_>,
    app: &TestApp,
) -> Result<Vec<DomainEvent>, InvalidTransition> {
    let events = change.session.execute(lease(app), None, cause)?;
    change.begin_attempt(lease(app), None, cause.at);
    Ok(events)
}

fn start(
    change: &mut Change,
    cause: Cause<'_>,
    _: &TestApp,
) -> Result<Vec<DomainEvent>, InvalidTransition> {
    change.session.start(cause)
}

fn pause(
    change: &mut Change,
    cause: Cause<'_>,
    _: &TestApp,
) -> Result<Vec<DomainEvent>, InvalidTransition> {
    change.session.pause(cause)
}

fn partially(
    change: &mut Change,
    cause: Cause<'_>,
    _: &TestApp,
) -> Result<Vec<DomainEvent>, InvalidTransition> {
    change.session.partially_complete(Outcome { result: json!({}), ..Outcome::default() }, cause)
}

fn expire(
    change: &mut Change,
    cause: Cause<'_>,
    _: &TestApp,
) -> Result<Vec<DomainEvent>, InvalidTransition> {
    change.session.expire(ErrorType::ExecutionTimeout, "too long", 0.5, cause)
}

fn orphan(
    change: &mut Change,
    cause: Cause<'_>,
    _: &TestApp,
) -> Result<Vec<DomainEvent>, InvalidTransition> {
    change.session.orphan(cause)
}

fn degrade(
    change: &mut Change,
    cause: Cause<'_>,
    _: &TestApp,
) -> Result<Vec<DomainEvent>, InvalidTransition> {
    change.session.status().after(Trigger::Degrade)?;
    change.session.degrade(DegradedReason::HeartbeatLate, cause)
}

fn recover(
    change: &mut Change,
    cause: Cause<'_>,
    _: &TestApp,
) -> Result<Vec<DomainEvent>, InvalidTransition> {
    change.session.recover(DegradedReason::HeartbeatLate, cause)
}

fn fail(
    change: &mut Change,
    cause: Cause<'_>,
    _: &TestApp,
) -> Result<Vec<DomainEvent>, InvalidTransition> {
    change.session.fail(SessionError::of(ErrorType::PermissionDenied, "x", cause.at), 0.5, cause)
}

/// A session that stands there, with a checkpoint, so that a retry has something to go on from.
async fn standing(app: &TestApp, status: SessionStatus) -> (SessionId, String) {
    use SessionStatus as S;
    let made = app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
    let path = format!("/api/v1/sessions/{}", made.body["id"].as_str().expect("an id"));
    let id = SessionId::parse(made.body["id"].as_str().expect("an id")).expect("an id");
    app.post(&format!("{path}/checkpoints"), json!({})).await;
    let way: &[Verb] = match status {
        S::Pending | S::Cancelled => &[],
        S::Queued => &[start],
        S::Running | S::Completed | S::Stopped => &[start, dispatch],
        S::Paused => &[start, dispatch, pause],
        S::Degraded => &[start, dispatch, degrade],
        S::PartiallyCompleted => &[start, dispatch, partially],
        S::Failed => &[start, dispatch, fail],
        S::Timeout => &[start, dispatch, expire],
        S::Orphaned => &[orphan],
    };
    for verb in way {
        own(app, id, *verb).await.expect("a legal way");
    }
    let ends = [
        (S::Completed, "complete", json!({ "result": {}, "reason": "x" })),
        (S::Stopped, "stop", json!({})),
        (S::Cancelled, "cancel", json!({})),
    ];
    let last = ends.into_iter().find(|(end, _, _)| *end == status);
    if let Some((_, verb, body)) = last {
        assert_eq!(app.post(&format!("{path}/{verb}"), body).await.status, StatusCode::OK);
    }
    let stands = state(app, id).await.session.expect("a session").value.status();
    assert_eq!(stands, status);
    (id, path)
}

/// How a move to this status is asked for from there: over HTTP, or by the product itself.
enum Way {
    Http(&'static str, Value),
    Own(Verb),
}

fn way(from: SessionStatus, to: SessionStatus) -> Way {
    use SessionStatus as S;
    match (from, to) {
        (S::Failed | S::Timeout, S::Queued) => Way::Own(start),
        (_, S::Queued) => Way::Http("start", json!({})),
        (_, S::Pending) => Way::Http("retry", json!({})),
        (S::Pending, S::Running) => Way::Own(execute),
        (S::Queued, S::Running) => Way::Own(dispatch),
        (S::Degraded, S::Running) => Way::Own(recover),
        (_, S::Running) => Way::Http("resume", json!({})),
        (_, S::Paused) => Way::Http("pause", json!({})),
        (_, S::Completed) => Way::Http("complete", json!({ "result": {}, "reason": "x" })),
        (_, S::PartiallyCompleted) => Way::Own(partially),
        (_, S::Failed) => Way::Http("fail", json!({ "error_message": "x", "retryable": false })),
        (_, S::Timeout) => Way::Own(expire),
        (_, S::Stopped) => Way::Http("stop", json!({ "reason": "x" })),
        (_, S::Cancelled) => Way::Http("cancel", json!({ "reason": "x" })),
        (_, S::Orphaned) => Way::Own(orphan),
        (_, S::Degraded) => Way::Own(degrade),
    }
}

#[tokio::test]
async fn exactly_the_34_legal_moves_are_made_and_the_others_change_nothing() {
    let app = TestApp::new().await;
    let mut legal = 0;
    for from in SessionStatus::ALL.iter().copied() {
        for to in SessionStatus::ALL.iter().copied() {
            let (id, path) = standing(&app, from).await;
            let before = state(&app, id).await;
            let expected = from.targets().contains(&to);
            let made = match way(from, to) {
                Way::Http(verb, body) => {
                    let answer = app.post(&format!("{path}/{verb}"), body).await;
                    if !answer.status.is_success() {
                        assert_eq!(
                            (answer.status.as_u16(), answer.code()),
                            (409, "INVALID_TRANSITION")
                        );
                        assert_eq!(answer.body["current"], from.as_str(), "{from} to {to}");
                        assert_eq!(answer.body["requested"], to.as_str(), "{from} to {to}");
                        assert_eq!(answer.body["allowed"], json!(from.targets()), "{from} to {to}");
                    }
                    answer.status.is_success()
                }
                Way::Own(verb) => match own(&app, id, verb).await {
                    Ok(()) => true,
                    Err(AppError::Transition { refused, .. }) => {
                        assert_eq!((refused.current, refused.requested), (from, to));
                        false
                    }
                    Err(error) => panic!("{from} to {to}: {error}"),
                },
            };
            assert_eq!(made, expected, "{from} to {to}");
            let after = state(&app, id).await;
            if made {
                legal += 1;
                assert!(after.last_seq > before.last_seq, "{from} to {to}");
            } else {
                assert_eq!(after, before, "{from} to {to}");
            }
            clear(&app, id, &path).await;
        }
    }
    assert_eq!(legal, 34);
}

/// Ends and deletes a session, so that the quota of open ones is never reached.
async fn clear(app: &TestApp, id: SessionId, path: &str) {
    let session = state(app, id).await.session.expect("a session").value;
    if session.status().is_open() {
        own(app, id, orphan).await.expect("every open session can be orphaned");
    }
    let deleted = app.send(app.request(axum::http::Method::DELETE, path, None)).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
}
