//! A person's judgement of finished work.

use axum::http::StatusCode;
use orchestrator::domain::ids::TenantId;
use serde_json::{Value, json};

use crate::support::app::TestApp;

const RATE: &str = "/api/v1/sessions/IND-000001/rate";

async fn ended() -> TestApp {
    let app = TestApp::new().await;
    let made = app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
    assert_eq!(made.status, StatusCode::CREATED);
    app.post("/api/v1/sessions/IND-000001/cancel", json!({})).await;
    app
}

#[tokio::test]
async fn only_what_has_ended_is_rated() {
    let app = TestApp::new().await;
    app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
    let early = app.post(RATE, json!({ "success_rate": 1 })).await;
    assert_eq!((early.status, early.code()), (StatusCode::CONFLICT, "INVALID_TRANSITION"));
    assert_eq!(early.body["current"], "pending", "{}", early.body);
    let shown = app.get("/api/v1/sessions/IND-000001").await;
    assert_eq!(
        (&shown.body["revision"], &shown.body["metrics"]["success_rate"]),
        (&json!(1), &Value::Null)
    );
    let missing = app.post("/api/v1/sessions/IND-000009/rate", json!({ "success_rate": 1 })).await;
    assert_eq!(missing.code(), "SESSION_NOT_FOUND");
}

#[tokio::test]
async fn a_rating_stands_above_what_was_measured_and_is_told_and_audited() {
    let app = ended().await;
    let body = json!({ "success_rate": 0.25, "comment": "half done" });
    let rated = app.post(RATE, body).await;
    assert_eq!(rated.status, StatusCode::OK, "{}", rated.body);
    let metrics = &rated.body["metrics"];
    assert_eq!(
        (&metrics["success_rate"], &metrics["success_rate_source"]),
        (&json!(0.25), &json!("operator"))
    );
    assert_eq!(metrics["code_quality_score"], Value::Null);
    let again = app.post(RATE, json!({ "code_quality_score": 1 })).await;
    let metrics = &again.body["metrics"];
    assert_eq!(
        (&metrics["success_rate"], &metrics["code_quality_score"]),
        (&json!(0.25), &json!(1.0)),
        "what is not given stays"
    );
    let events = app.get("/api/v1/sessions/IND-000001/events").await;
    let events = events.body["items"].as_array().expect("a list").clone();
    let told: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "session.rated")
        .map(|e| &e["payload"])
        .collect();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0]["success_rate"], 0.25);
    assert_eq!(told[0]["code_quality_score"], Value::Null);
    assert!(told[0]["actor"].is_string() && told[0]["session_id"].is_string());
    let snapshot = app.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    let audit = snapshot.audit(0, 99).await.expect("read");
    let entries: Vec<_> = audit.iter().filter(|entry| entry.entry.action == "rate").collect();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].entry.reason.as_deref(), Some("half done"));
}

#[tokio::test]
async fn a_rating_says_something_within_bounds() {
    let app = ended().await;
    for (body, pointer, code) in [
        (json!({}), "/success_rate", "required"),
        (json!({ "success_rate": 1.01 }), "/success_rate", "out_of_range"),
        (json!({ "code_quality_score": -0.1 }), "/code_quality_score", "out_of_range"),
        (json!({ "success_rate": 1, "stars": 5 }), "/stars", "unknown_field"),
        (json!({ "comment": "x".repeat(1001) }), "/comment", "too_long"),
    ] {
        let answer = app.post(RATE, body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let error = &answer.body["errors"][0];
        assert_eq!((&error["pointer"], &error["code"]), (&json!(pointer), &json!(code)), "{error}");
    }
    let said = app.post(RATE, json!({ "comment": "fine" })).await;
    assert_eq!(
        (said.status, &said.body["metrics"]["success_rate"]),
        (StatusCode::OK, &Value::Null)
    );
}
