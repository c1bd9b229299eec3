//! What holds for every route: unknown parameters, the form of answers, and whether a tenant is named.

use axum::http::{Method, StatusCode};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use orchestrator::presentation::api::openapi_json;
use orchestrator::presentation::api::rights::{self, Needs};
use orchestrator::presentation::api::state::ApiOptions;
use serde_json::{Value, json};

use crate::support::app::{ADMIN, TestApp, bearer, request};

/// Paths and methods of all routes behind the door that a key opens.
fn routes() -> Vec<(String, Method)> {
    let document: Value = serde_json::from_str(&openapi_json()).expect("JSON");
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let is_scoped = path.starts_with("/api/") || path.starts_with("/ws/");
        for method in item.as_object().expect("methods").keys().filter(|_| is_scoped) {
            let method: Method = method.to_uppercase().parse().expect("a method");
            if rights::needs(&method, path) != Some(Needs::Agent) {
                found.push((path.clone(), method));
            }
        }
    }
    found
}

/// The path with something in the place of each name.
fn concrete(path: &str, id: &str) -> String {
    path.replace("tenants/{id}", "tenants/default")
        .replace("{id}", id)
        .replace("{seq}", "1")
        .replace("{delivery_id}", id)
        .replace("{dependency_id}", id)
        .replace("{capability}", "testing")
        .replace("{path}", "a.rs")
}

#[tokio::test]
async fn every_route_refuses_parameters_that_it_does_not_know() {
    let app = TestApp::new().await;
    let session = app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
    let session = session.body["id"].as_str().expect("an id").to_owned();
    let routes = routes();
    assert!(routes.iter().filter(|(_, method)| *method == Method::GET).count() > 25);
    for (path, method) in routes {
        let concrete = concrete(&path, &session);
        let body = (!matches!(method, Method::GET | Method::DELETE)).then(|| json!({}));
        // Who takes a lock from its holder says why.
        let why = if path == "/api/v1/locks/{name}" { "&reason=because" } else { "" };
        let mut asked = app.request(method.clone(), &format!("{concrete}?nonsense=1{why}"), body);
        // Who signs in does so from a page of the server.
        for (name, value) in
            [("sec-fetch-site", "same-origin"), ("x-requested-with", "orchestrator")]
        {
            asked.headers_mut().insert(name, value.parse().expect("plain"));
        }
        let answer = app.send(asked).await;
        assert_eq!(
            (answer.status, answer.code(), &answer.body["errors"][0]["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, "VALIDATION_ERROR", &json!("?nonsense")),
            "{method} {path}: {}",
            answer.body
        );
    }
    let nobody = request(Method::GET, "/api/v1/sessions/stats?nonsense=1", None, &[]);
    assert_eq!(app.send(nobody).await.status, StatusCode::UNAUTHORIZED, "who asks comes first");
    assert_eq!(app.get("/api/v1/sessions/stats?").await.status, StatusCode::OK);
}

#[tokio::test]
async fn routes_of_the_instance_ask_for_no_tenant_and_all_others_do() {
    let app = TestApp::new().await;
    let admin = bearer(ADMIN);
    let nameless = [("authorization", &*admin)];
    let of_the_instance = [
        "/api/v1/hosts",
        "/api/v1/system/info",
        "/api/v1/storage/usage",
        "/api/v1/recovery/plan",
        "/api/v1/tenants",
        "/api/v1/whoami",
    ];
    for (path, _) in routes().into_iter().filter(|(_, method)| *method == Method::GET) {
        let answer = app.send(request(Method::GET, &concrete(&path, "x"), None, &nameless)).await;
        // The paths below /tenants name one themselves.
        if of_the_instance.contains(&&*path) || path.starts_with("/api/v1/tenants/") {
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        } else {
            assert_eq!(answer.code(), "TENANT_REQUIRED", "{path}: {}", answer.body);
        }
    }
    // Also one that is remembered and put on record.
    let keyed = [("authorization", &*admin), ("idempotency-key", "once")];
    let apply = || request(Method::POST, "/api/v1/recovery/apply", Some(json!({})), &keyed);
    assert_eq!(app.send(apply()).await.status, StatusCode::OK);
    let snapshot = app.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    let audit = snapshot.audit(0, 99).await.expect("the audit");
    assert!(audit.iter().any(|entry| entry.entry.action == "recovery.apply"), "{audit:?}");
    // What is named is still looked at.
    let named = [("authorization", &*admin), ("x-tenant-id", "Not A Slug")];
    let named = app.send(request(Method::GET, "/api/v1/system/info", None, &named)).await;
    assert_eq!(named.code(), "TENANT_MALFORMED");
    let member = bearer(&app.key(app.other, Role::Admin).await);
    let foreign = [("authorization", &*member), ("x-tenant-id", "default")];
    let foreign = app.send(request(Method::GET, "/api/v1/system/info", None, &foreign)).await;
    assert_eq!(foreign.code(), "TENANT_MISMATCH");
}

#[tokio::test]
async fn figures_that_need_a_key_need_no_tenant() {
    let options = ApiOptions { open_metrics: false, rate: None, ..ApiOptions::default() };
    let app = TestApp::with(options, Vec::new()).await;
    let figures =
        |headers: &[(&str, &str)]| app.send(request(Method::GET, "/metrics", None, headers));
    assert_eq!(figures(&[]).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(figures(&[("authorization", &bearer(ADMIN))]).await.status, StatusCode::OK);
    let headers = [("authorization", &*bearer(ADMIN))];
    let filtered = app.send(request(Method::GET, "/metrics?name=x", None, &headers)).await;
    assert_eq!(filtered.status, StatusCode::OK, "a scraper may send what it likes");
}

#[tokio::test]
async fn the_form_of_an_answer_follows_what_is_accepted_and_how_much() {
    let app = TestApp::new().await;
    let viewer = bearer(&app.key(TenantId::BOOTSTRAP, Role::Viewer).await);
    let cases = [
        ("/api/v1/usage", "text/csv", "text/csv"),
        ("/api/v1/usage", "text/csv;q=0", "application/json"),
        ("/api/v1/usage", "application/json, text/csv;q=0.5", "application/json"),
        ("/api/v1/usage", "application/json;q=0.5, text/csv", "text/csv"),
        ("/api/v1/usage", "image/png", "application/json"),
        ("/api/v1/tenants/default/usage", "text/csv;q=0, */*", "application/json"),
        ("/api/v1/events", "application/x-ndjson", "application/x-ndjson"),
        ("/api/v1/events", "text/event-stream;q=0, application/x-ndjson", "application/x-ndjson"),
        ("/api/v1/events", "text/event-stream;q=0.1, application/json", "application/json"),
        ("/api/v1/events", "text/event-stream;q=0", "application/json"),
        ("/api/v1/events", "*/*", "application/json"),
    ];
    for (path, accept, form) in cases {
        let headers = [("authorization", &*viewer), ("accept", accept)];
        let answer = app.send(request(Method::GET, path, None, &headers)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path} {accept}: {}", answer.body);
        assert!(answer.header("content-type").starts_with(form), "{path} {accept}: {answer:?}");
        let vary = answer.headers.get_all("vary").iter().filter_map(|value| value.to_str().ok());
        let mut varies = vary.flat_map(|value| value.split(','));
        assert!(varies.any(|name| name.trim().eq_ignore_ascii_case("accept")), "{path} {accept}");
    }
}
