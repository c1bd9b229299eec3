//! What is refused rather than half done: fields of later versions, forks that a creation would not
//! pass, too many waiting prompts, ambiguous bodies; and refusals that are given again.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use orchestrator::application::error::AppError;
use orchestrator::application::session::change::{By, Change};
use orchestrator::domain::ids::{AgentId, SessionId, TenantId};
use orchestrator::domain::session::Cause;
use orchestrator::domain::session::attempt::{Lease, LeaseReason};
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};

const SESSIONS: &str = "/api/v1/sessions";

/// A new session; its path.
async fn made(app: &TestApp) -> String {
    let answer = app.post(SESSIONS, json!({ "initial_prompt": "Repair it" })).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    answer.header("location").to_owned()
}

/// Lets an agent of the test take the session.
async fn dispatch(app: &TestApp, path: &str) {
    let id = path.rsplit('/').next().and_then(SessionId::parse).expect("an id");
    let decide = |change: &mut Change| {
        let cause = Cause::by("scheduler", app.clock.now());
        let lease = Lease {
            agent_id: AgentId::new(app.ids.uuid()),
            agent_name: "AGENT-TEST".to_owned(),
            fencing_token: 1,
            granted_at: cause.at,
            released_at: None,
            settled: None,
            reason: LeaseReason::Start,
        };
        let code = change.session.code.to_string();
        let events = change.session.execute(lease.clone(), None, cause);
        change.tell(events.map_err(|refused| AppError::Transition { code, refused })?);
        change.begin_attempt(lease, None, cause.at);
        Ok(())
    };
    let by = By::Part(TenantId::BOOTSTRAP, "scheduler");
    app.state.sessions.change(by, id, "test", None, decide).await.expect("it runs");
}

fn keyed(app: &TestApp, key: &str, path: &str, body: Value) -> Request<Body> {
    let mut request = app.request(Method::POST, path, Some(body));
    request.headers_mut().insert("idempotency-key", key.parse().expect("valid"));
    request
}

fn pointers(answer: &Answer) -> Vec<(&str, &str)> {
    let errors = answer.body["errors"].as_array().map_or(&[][..], Vec::as_slice);
    errors
        .iter()
        .map(|error| {
            (error["pointer"].as_str().unwrap_or(""), error["code"].as_str().unwrap_or(""))
        })
        .collect()
}

#[tokio::test]
async fn what_this_version_does_not_do_is_refused_by_name() {
    let app = TestApp::new().await;
    made(&app).await;
    let cases = [("cpu_limit", json!(1.5)), ("memory_limit_mb", json!(512))];
    for (field, value) in &cases {
        let answer = app.post(SESSIONS, json!({ "initial_prompt": "x", *field: value })).await;
        let pointer = format!("/{field}");
        assert_eq!(pointers(&answer), [(pointer.as_str(), "unsupported")], "{}", answer.body);
        let message = answer.body["errors"][0]["message"].as_str().expect("a message");
        assert!(message.starts_with("is not part of this version; "), "{message}");
    }
    let mut all = json!({ "initial_prompt": "x" });
    for (field, value) in cases {
        all[field] = value;
    }
    assert_eq!(pointers(&app.post(SESSIONS, all).await).len(), 2, "all of them are told at once");
    let defaults = json!({
        "initial_prompt": "x", "budget_usd": null, "token_budget": null, "technologies": [],
        "estimated_complexity": 1, "execution_mode": "single", "on_parent_end": "cascade",
    });
    assert_eq!(app.post(SESSIONS, defaults).await.status, StatusCode::CREATED);
    let child = |end: &str| json!({ "initial_prompt": "x", "parent_id": "IND-000001", "on_parent_end": end });
    for end in ["cascade", "orphan", "continue"] {
        assert_eq!(app.post(SESSIONS, child(end)).await.status, StatusCode::CREATED, "{end}");
    }
    let patch = |body: Value| {
        app.send(app.request(Method::PATCH, "/api/v1/sessions/IND-000001", Some(body)))
    };
    assert_eq!(patch(json!({ "budget_usd": null, "priority": 1 })).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_fork_passes_the_checks_of_a_creation() {
    let app = TestApp::new().await;
    let fork = format!("{}/fork", made(&app).await);
    let bad = json!({
        "title": " Untitled ", "initial_prompt": " \n", "model_identifier": "no-provider",
    });
    let answer = app.post(&fork, bad).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", answer.body);
    assert_eq!(
        pointers(&answer),
        [("/initial_prompt", "required"), ("/title", "generic"), ("/model_identifier", "invalid")]
    );
    let answer = app.post(&fork, json!({ "agent": "AGENT-NOBODY" })).await;
    assert_eq!(pointers(&answer), [("/agent", "unknown")]);
    let answer = app.post(&fork, json!({ "title": "  Another way  " })).await;
    assert_eq!(
        (answer.status, &answer.body["title"]),
        (StatusCode::CREATED, &json!("Another way"))
    );
    let answer = app.post(&fork, json!({})).await;
    assert_eq!(answer.body["title"], "Repair it (fork)");
}

#[tokio::test]
async fn what_a_command_has_stored_is_bounded() {
    let app = TestApp::new().await;
    let path = made(&app).await;
    let large = json!({ "text": "x".repeat(65 * 1024) });
    let body = json!({ "result": large, "reason": "done" });
    let answer = app.post(&format!("{path}/complete"), body).await;
    assert_eq!(pointers(&answer), [("/result", "too_large")]);
    let body = json!({ "error_message": "it broke", "error_context": large });
    let answer = app.post(&format!("{path}/fail"), body).await;
    assert_eq!(pointers(&answer), [("/error_context", "too_large")]);
}

#[tokio::test]
async fn waiting_prompts_are_bounded() {
    let app = TestApp::new().await;
    let path = made(&app).await;
    dispatch(&app, &path).await;
    let prompt = format!("{path}/prompt");
    for number in 0..100 {
        let answer = app.post(&prompt, json!({ "text": format!("and {number}") })).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    }
    let answer = app.post(&prompt, json!({ "text": "one more" })).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (429, "QUOTA_EXCEEDED"));
    assert_eq!(
        (&answer.body["quota"], &answer.body["limit"]),
        (&json!("queued_prompts"), &json!(100))
    );
    let figures = app.get("/metrics").await;
    let figures = figures.body.as_str().expect("text");
    assert!(figures.contains("queued_prompts\"} 1"), "the refusal is counted under its name");
}

#[tokio::test]
async fn a_command_without_effect_is_answered_once_too() {
    let app = TestApp::new().await;
    let path = made(&app).await;
    dispatch(&app, &path).await;
    let pause = format!("{path}/pause");
    assert_eq!(app.post(&pause, json!({})).await.status, StatusCode::ACCEPTED);
    let idle = app.send(keyed(&app, "idle", &pause, json!({}))).await;
    assert_eq!(idle.status, StatusCode::ACCEPTED, "it was asked to pause already");
    let stopped = app.post(&format!("{path}/stop"), json!({})).await;
    assert_eq!(stopped.status, StatusCode::OK);
    let again = app.send(keyed(&app, "idle", &pause, json!({}))).await;
    assert_eq!(again.header("idempotency-replayed"), "true", "{}", again.body);
    assert_eq!((again.status, &again.body), (idle.status, &idle.body));
}

#[tokio::test]
async fn a_refusal_that_follows_from_how_things_stand_is_given_again() {
    let app = TestApp::new().await;
    let path = made(&app).await;
    let prompt = format!("{path}/prompt");
    let ask = |key: &str, text: &str| app.send(keyed(&app, key, &prompt, json!({ "text": text })));
    let first = ask("early", "go on").await;
    assert_eq!((first.status.as_u16(), first.code()), (409, "INVALID_TRANSITION"));
    let invalid = ask("blank", " ").await;
    assert_eq!(invalid.status.as_u16(), 422);
    dispatch(&app, &path).await;
    let again = ask("early", "go on").await;
    assert_eq!(again.header("idempotency-replayed"), "true", "{}", again.body);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("content-type"), "application/problem+json");
    assert_eq!(ask("early", "another").await.code(), "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(
        ask("blank", "better").await.status,
        StatusCode::OK,
        "an invalid request used no key"
    );
    assert_eq!(ask("later", "go on").await.status, StatusCode::OK);
    assert_eq!(ask(&"k".repeat(200), "x").await.status, StatusCode::OK);
    assert_eq!(ask(&"k".repeat(201), "x").await.status.as_u16(), 422);
}

#[tokio::test]
async fn a_body_means_one_thing_only() {
    let app = TestApp::new().await;
    let send = |media_type: &'static str, text: &'static str| {
        let mut request = app.request(Method::POST, SESSIONS, None);
        request.headers_mut().insert("content-type", media_type.parse().expect("valid"));
        *request.body_mut() = Body::from(text);
        app.send(request)
    };
    let plain = "{\"initial_prompt\":\"x\"}";
    let twice = "{\"initial_prompt\":\"x\",\"metadata\":{\"a\":1,\"a\":2}}";
    let answer = send("application/json", twice).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (400, "PROTOCOL_ERROR"));
    assert!(answer.body["detail"].as_str().is_some_and(|text| text.contains("\"a\"")));
    for refused in
        ["application/json; charset=latin1", "application/json;charset=\"utf-16\"", "text/json"]
    {
        assert_eq!(send(refused, plain).await.code(), "UNSUPPORTED_MEDIA_TYPE", "{refused}");
    }
    for taken in [
        "application/json",
        "application/json; Charset=UTF-8",
        "Application/JSON;charset=\"utf-8\"",
    ] {
        assert_eq!(send(taken, plain).await.status, StatusCode::CREATED, "{taken}");
    }
}
