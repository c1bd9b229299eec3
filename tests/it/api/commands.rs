//! Commands of sessions: answers, versions, repetition.

use axum::http::{Method, StatusCode};
use orchestrator::domain::tenant::key::Role;
use serde_json::{Value, json};

use crate::support::app::{ADMIN, Answer, TestApp, bearer, request};

async fn made(app: &TestApp, body: Value) -> Answer {
    let answer = app.post("/api/v1/sessions", body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    answer
}

fn repeated(
    app: &TestApp,
    key: &str,
    path: &str,
    body: &Value,
) -> axum::http::Request<axum::body::Body> {
    let mut request = app.request(Method::POST, path, Some(body.clone()));
    request.headers_mut().insert("idempotency-key", key.parse().expect("valid"));
    request
}

#[tokio::test]
async fn a_created_session_shows_every_field() {
    let app = TestApp::new().await;
    let answer =
        made(&app, json!({ "initial_prompt": "Fix it\nplease", "priority": "CRITICAL" })).await;
    let id = answer.body["id"].as_str().expect("an id");
    assert_eq!(answer.header("location"), format!("/api/v1/sessions/{id}"));
    assert_eq!(answer.header("etag"), "\"v1\"");
    assert_eq!(answer.header("cache-control"), "no-store");
    let expected = [
        ("code", json!("IND-000001")),
        ("title", json!("Fix it")),
        ("priority", json!(0)),
        ("status", json!("pending")),
        ("revision", json!(1)),
        ("parent_id", Value::Null),
        ("phase", Value::Null),
        ("child_ids", json!([])),
        ("health_score", json!(0.8)),
        ("agent_config", json!({ "default_agent": "industrial-coder" })),
        ("sign", json!("⏳")),
    ];
    for (field, value) in expected {
        assert_eq!(answer.body[field], value, "{field}");
    }
    assert_eq!(answer.body["metrics"]["total_tokens_used"], Value::Null);
    let actions = answer.body["allowed_actions"].as_array().expect("a list");
    assert!(actions.contains(&json!("start")) && !actions.contains(&json!("pause")));
    let object = answer.body.as_object().expect("an object");
    let document: Value =
        serde_json::from_str(&orchestrator::presentation::api::openapi_json()).expect("JSON");
    let documented =
        document["components"]["schemas"]["Session"]["properties"].as_object().expect("fields");
    let (mut shown, mut told): (Vec<_>, Vec<_>) =
        (object.keys().collect(), documented.keys().collect());
    shown.sort();
    told.sort();
    assert_eq!(shown, told);
    let by_code = app.get("/api/v1/sessions/ind-000001?include=attempts,checkpoints").await;
    assert_eq!((by_code.body["id"].as_str(), by_code.header("etag")), (Some(id), "\"v1\""));
    assert_eq!((&by_code.body["attempts"], &by_code.body["checkpoints"]), (&json!([]), &json!([])));
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_answer_and_acts_once() {
    let app = TestApp::new().await;
    let body = json!({ "initial_prompt": "once" });
    let path = "/api/v1/sessions";
    let first = app.send(repeated(&app, "k1", path, &body)).await;
    let again = app.send(repeated(&app, "k1", path, &body)).await;
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.body, again.body);
    assert_eq!(
        (first.header("idempotency-replayed"), again.header("idempotency-replayed")),
        ("", "true")
    );
    for header in ["location", "etag", "content-type"] {
        assert_eq!(first.header(header), again.header(header), "{header}");
    }
    let other = app.send(repeated(&app, "k1", path, &json!({ "initial_prompt": "twice" }))).await;
    assert_eq!((other.status.as_u16(), other.code()), (422, "IDEMPOTENCY_KEY_REUSED"));
    let list = app.get("/api/v1/sessions?count=true").await;
    assert_eq!(list.body["total"], 1);
    let start = format!("/api/v1/sessions/{}/start", first.body["id"].as_str().expect("an id"));
    let started = app.send(repeated(&app, "k1", &start, &json!({}))).await;
    let repeated_start = app.send(repeated(&app, "k1", &start, &json!({}))).await;
    assert_eq!((started.status, repeated_start.status), (StatusCode::OK, StatusCode::OK));
    assert_eq!(started.body, repeated_start.body);
    assert_eq!(app.post(&start, json!({})).await.code(), "INVALID_TRANSITION");
    let stranger = bearer(&app.key(app.other, Role::Member).await);
    let headers = [("authorization", &*stranger), ("idempotency-key", "k1")];
    let elsewhere = app.send(request(Method::POST, path, Some(body), &headers)).await;
    assert_eq!(elsewhere.header("idempotency-replayed"), "");
}

#[tokio::test]
async fn twenty_requests_with_one_key_make_one_session() {
    let app = std::sync::Arc::new(TestApp::new().await);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let app = std::sync::Arc::clone(&app);
        tasks.spawn(async move {
            let request =
                repeated(&app, "race", "/api/v1/sessions", &json!({ "initial_prompt": "x" }));
            app.send(request).await.status.as_u16()
        });
    }
    while let Some(status) = tasks.join_next().await {
        assert!([201, 409].contains(&status.expect("no panic")));
    }
    assert_eq!(app.get("/api/v1/sessions?count=true").await.body["total"], 1);
}

#[tokio::test]
async fn a_change_of_something_newer_is_refused() {
    let app = TestApp::new().await;
    made(&app, json!({ "initial_prompt": "x" })).await;
    let patch = |etag: &'static str| {
        let mut request = app.request(
            Method::PATCH,
            "/api/v1/sessions/IND-000001",
            Some(json!({ "priority": 1 })),
        );
        request.headers_mut().insert("if-match", etag.parse().expect("valid"));
        app.send(request)
    };
    let changed = patch("\"v1\"").await;
    assert_eq!((changed.status, changed.header("etag")), (StatusCode::OK, "\"v2\""));
    let stale = patch("\"v1\"").await;
    assert_eq!((stale.status.as_u16(), stale.code()), (412, "VERSION_MISMATCH"));
    assert_eq!((&stale.body["expected"], &stale.body["actual"]), (&json!(1), &json!(2)));
    assert_eq!(patch("v2").await.status.as_u16(), 422);
    let unknown = app
        .send(app.request(
            Method::PATCH,
            "/api/v1/sessions/IND-000001",
            Some(json!({ "initial_prompt": "y" })),
        ))
        .await;
    assert_eq!(unknown.body["errors"][0]["code"], "unknown_field");
}

#[tokio::test]
async fn roles_bound_what_a_key_may_do() {
    let app = TestApp::new().await;
    made(&app, json!({ "initial_prompt": "x" })).await;
    let path = "/api/v1/sessions/IND-000001";
    let cases = [
        (Role::Viewer, Method::POST, "/start", 403, "member"),
        (Role::Viewer, Method::POST, "/rate", 403, "member"),
        (Role::Viewer, Method::POST, "/verify", 403, "member"),
        (Role::Member, Method::POST, "/fail", 403, "lead"),
        (Role::Member, Method::DELETE, "", 403, "lead"),
        (Role::Lead, Method::DELETE, "?purge=true", 403, "admin"),
        (Role::Viewer, Method::GET, "", 200, ""),
    ];
    for (role, method, rest, status, required) in cases {
        let key = bearer(&app.key(orchestrator::domain::ids::TenantId::BOOTSTRAP, role).await);
        let body = match rest {
            "/fail" => Some(json!({ "error_message": "x" })),
            "/rate" => Some(json!({ "success_rate": 1 })),
            _ => None,
        };
        let answer = app
            .send(request(method, &format!("{path}{rest}"), body, &[("authorization", &key)]))
            .await;
        assert_eq!(answer.status.as_u16(), status, "{role} {rest}");
        assert_eq!(answer.body["required_role"].as_str().unwrap_or(""), required, "{role} {rest}");
    }
    let deleted = app.send(app.request(Method::DELETE, path, None)).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(app.get(path).await.code(), "SESSION_NOT_FOUND");
}

#[tokio::test]
async fn checkpoints_and_forks_are_made_and_found() {
    let app = TestApp::new().await;
    made(&app, json!({ "initial_prompt": "x" })).await;
    let path = "/api/v1/sessions/IND-000001";
    let taken = app
        .post(
            &format!("{path}/checkpoints"),
            json!({ "checkpoint_data": { "a": 1 }, "metadata": { "b": 2 } }),
        )
        .await;
    assert_eq!((taken.status, &taken.body["sequence"]), (StatusCode::CREATED, &json!(1)));
    assert_eq!(app.get(taken.header("location")).await.body["data"]["_metadata"]["b"], 2);
    assert_eq!(app.get(&format!("{path}/checkpoints/9")).await.code(), "CHECKPOINT_NOT_FOUND");
    let large = json!({ "checkpoint_data": { "a": "x".repeat(300_000) } });
    assert_eq!(app.post(&format!("{path}/checkpoints"), large).await.code(), "PAYLOAD_TOO_LARGE");
    let fork = app.post(&format!("{path}/fork"), json!({ "title": "Another way" })).await;
    assert_eq!((fork.status, &fork.body["code"]), (StatusCode::CREATED, &json!("IND-000002")));
    assert_eq!(fork.body["forked_from"]["checkpoint_sequence"], 1);
    assert_eq!(app.get(fork.header("location")).await.body["title"], "Another way");
}

#[tokio::test]
async fn what_waits_says_why() {
    let app = TestApp::new().await;
    made(&app, json!({ "initial_prompt": "x" })).await;
    let answer = app.get("/api/v1/sessions/IND-000001/explain").await;
    assert_eq!(answer.body["blockers"][0]["code"], "not_started");
    assert!(answer.body["blockers"][0]["command"].is_string());
    let stats = app.get("/api/v1/sessions/stats").await;
    assert_eq!(
        (&stats.body["total_sessions"], &stats.body["sessions_by_status"]["failed"]),
        (&json!(1), &json!(0))
    );
    assert!(!ADMIN.is_empty());
}

#[tokio::test]
async fn a_command_on_files_is_carried_through_after_its_client_has_gone() {
    let app = TestApp::new().await;
    let (begun, mut begins) = tokio::sync::oneshot::channel();
    let (go, goes) = tokio::sync::oneshot::channel();
    let (done, is_done) = tokio::sync::oneshot::channel();
    let state = app.state.clone();
    {
        let command = state.carry_through(async move {
            begun.send(()).expect("somebody waits");
            goes.await.expect("let go");
            done.send(()).expect("somebody waits");
            Ok(())
        });
        let mut command = std::pin::pin!(command);
        tokio::select! {
            _ = &mut command => panic!("it has to wait"),
            started = &mut begins => started.expect("begun"),
        }
    }
    go.send(()).expect("it is still there");
    is_done.await.expect("carried through");
}
