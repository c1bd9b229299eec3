//! What time does to contexts.

use std::time::Duration;

use axum::http::StatusCode;
use orchestrator::application::context::ContextService;
use orchestrator::domain::context::Lifetimes;
use serde_json::json;

use super::{context, path_of};
use crate::support::app::TestApp;

/// The same contexts, kept for no time at all.
fn impatient(app: &TestApp) -> ContextService {
    let none = Duration::ZERO;
    let lifetimes = Lifetimes { temporary: none, task: none, session: none, agent: none };
    app.state.contexts.clone().keeping(lifetimes)
}

#[tokio::test]
async fn contexts_go_when_their_time_is_over_and_their_session_has_ended() {
    let app = TestApp::new().await;
    let kept = context(&app, json!({ "a": 1 })).await;
    assert_eq!(kept["expires_at"], json!(null), "its session is open");
    let scratch = app.post("/api/v1/contexts", json!({ "scope": "temporary" })).await.body;
    assert!(scratch["expires_at"].is_string());
    let global = app.post("/api/v1/contexts", json!({ "scope": "global" })).await.body;
    assert_eq!(app.state.contexts.look().await.expect("looked"), 0, "nothing is old yet");
    assert_eq!(impatient(&app).look().await.expect("looked"), 1);
    assert_eq!(app.get(&path_of(&scratch)).await.code(), "CONTEXT_NOT_FOUND");
    let session = kept["session_id"].as_str().expect("an id");
    let cancelled = app.post(&format!("/api/v1/sessions/{session}/cancel"), json!({})).await;
    assert_eq!(cancelled.status, StatusCode::OK, "{:?}", cancelled.body);
    let ended = app.get(&path_of(&kept)).await;
    assert!(ended.body["expires_at"].is_string(), "its end has begun its time");
    assert_eq!(impatient(&app).look().await.expect("looked"), 1);
    assert_eq!(app.get(&path_of(&kept)).await.code(), "CONTEXT_NOT_FOUND");
    assert_eq!(app.get(&path_of(&global)).await.status, StatusCode::OK, "never");
    let told = app.get("/api/v1/events?type=context.expired").await;
    assert_eq!(told.body["items"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn what_is_important_outlives_its_session() {
    let app = TestApp::new().await;
    let session = super::session(&app, "Learns for all").await;
    let body = json!({
        "session_id": session, "initial_data": { "lesson": 1 }, "metadata": { "important": true },
    });
    let made = app.post("/api/v1/contexts", body).await.body;
    app.post(&format!("/api/v1/sessions/{session}/cancel"), json!({})).await;
    for _ in 0..2 {
        app.state.contexts.look().await.expect("looked");
    }
    let global = app.get("/api/v1/contexts/global").await.body;
    assert_eq!(global["items"].as_array().map(Vec::len), Some(1), "once");
    assert_eq!(global["items"][0]["metadata"]["promoted_from"], made["id"]);
    assert_eq!(global["items"][0]["data"], json!({ "lesson": 1 }));
    impatient(&app).look().await.expect("looked");
    assert_eq!(app.get(&path_of(&made)).await.code(), "CONTEXT_NOT_FOUND");
    let global = app.get("/api/v1/contexts/global").await.body;
    assert_eq!(global["items"].as_array().map(Vec::len), Some(1));
}
