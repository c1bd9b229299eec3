//! What the server says of itself, and who may look at what was left open and what is stored.

use axum::http::{Method, StatusCode};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use serde_json::{Value, json};

use crate::support::app::{TestApp, bearer, request};

#[tokio::test]
async fn storage_and_recovery_are_for_system_administrators() {
    let app = TestApp::new().await;
    let cases = [
        (Method::GET, "/api/v1/hosts", None),
        (Method::GET, "/api/v1/storage/usage", None),
        (Method::GET, "/api/v1/recovery/plan", None),
        (Method::POST, "/api/v1/recovery/apply", Some(json!({}))),
    ];
    for (method, path, body) in cases {
        let own = app.send(app.request(method.clone(), path, body.clone())).await;
        assert_eq!(own.status, StatusCode::OK, "{path}: {}", own.body);
        for role in [Role::Viewer, Role::Member, Role::Lead, Role::Admin] {
            let key = bearer(&app.key(TenantId::BOOTSTRAP, role).await);
            let headers = [("authorization", &*key)];
            let answer = app.send(request(method.clone(), path, body.clone(), &headers)).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{role} {path}");
        }
    }
    let chosen = json!({ "ids": ["attempt:0198f3a0-0000-7000-8000-000000000000"] });
    let nothing = app.post("/api/v1/recovery/apply", chosen).await;
    assert_eq!((nothing.status, &nothing.body["items"]), (StatusCode::OK, &json!([])));
    let wrong = app.post("/api/v1/recovery/apply", json!({ "ids": 5 })).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.body);
}

#[tokio::test]
async fn what_is_stored_is_told_by_class_and_the_server_says_what_it_is() {
    let app = TestApp::new().await;
    let created = app.post("/api/v1/sessions", json!({ "initial_prompt": "Work." })).await;
    assert_eq!(created.status, StatusCode::CREATED);
    let usage = app.send(app.request(Method::GET, "/api/v1/storage/usage", None)).await.body;
    let classes = usage["classes"].as_array().expect("classes");
    let of = |name: &str| -> &Value {
        classes.iter().find(|class| class["class"] == name).expect("there")
    };
    assert_eq!((&of("sessions")["rows"], &of("sessions")["bytes"]), (&json!(1), &Value::Null));
    assert!(of("events")["rows"].as_u64() >= Some(1), "{usage:#}");
    let viewer = bearer(&app.key(TenantId::BOOTSTRAP, Role::Viewer).await);
    let headers = [("authorization", &*viewer)];
    let info = app.send(request(Method::GET, "/api/v1/system/info", None, &headers)).await;
    assert_eq!(info.status, StatusCode::OK);
    assert_eq!(
        (&info.body["store"], &info.body["version"]),
        (&json!("memory"), &json!(env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(info.body["max_running_sessions"], 50);
}
