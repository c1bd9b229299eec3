//! Holding and releasing admissions: rights, repetition, reach, and what `explain` says of it.

use axum::http::{Method, StatusCode};
use orchestrator::domain::agent::AgentKind;
use orchestrator::domain::agent::draft::AgentDraft;
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use serde_json::{Value, json};

use crate::support::app::{ADMIN, Answer, OTHER, TestApp, bearer, request};

const HOLD: &str = "/api/v1/admissions/hold";
const RELEASE: &str = "/api/v1/admissions/release";
const LIST: &str = "/api/v1/admissions";

/// With one agent in the first tenant.
async fn app() -> TestApp {
    let app = TestApp::new().await;
    let agent = AgentDraft::new("AGENT-ONE", AgentKind::Simulated, ["testing"]);
    app.agents.ensure(TenantId::BOOTSTRAP, &[agent]).await.expect("registered");
    app
}

async fn send(app: &TestApp, key: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
    let headers = [("authorization", key)];
    app.send(request(method, path, body, &headers)).await
}

fn scopes(answer: &Answer) -> Vec<&str> {
    let items = answer.body["items"].as_array().map_or(&[][..], Vec::as_slice);
    items.iter().map(|hold| hold["scope"].as_str().unwrap_or("")).collect()
}

#[tokio::test]
async fn each_scope_needs_its_role() {
    let app = app().await;
    let agent = json!({ "scope": "agent", "agent": "agent-one" });
    let (tenant, instance) = (json!({ "scope": "tenant" }), json!({ "scope": "instance" }));
    let cases = [
        (Role::Member, &agent, 403, "lead"),
        (Role::Lead, &agent, 200, ""),
        (Role::Lead, &tenant, 403, "admin"),
        (Role::Admin, &tenant, 200, ""),
        (Role::Admin, &instance, 403, "system"),
    ];
    for (role, body, status, required) in cases {
        let key = bearer(&app.key(TenantId::BOOTSTRAP, role).await);
        for path in [HOLD, RELEASE] {
            let answer = send(&app, &key, Method::POST, path, Some(body.clone())).await;
            assert_eq!(answer.status.as_u16(), status, "{role} {body}");
            let told = answer.body["required_role"].as_str().unwrap_or("");
            assert_eq!(told, required, "{role} {body}");
        }
    }
    let viewer = bearer(&app.key(TenantId::BOOTSTRAP, Role::Viewer).await);
    assert_eq!(send(&app, &viewer, Method::GET, LIST, None).await.status, StatusCode::OK);
    assert_eq!(app.post(HOLD, instance).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_repeated_hold_stays_the_first_and_a_repeated_release_does_nothing() {
    let app = app().await;
    let hold = |reason: &str| app.post(HOLD, json!({ "scope": "tenant", "reason": reason }));
    let first = hold("the provider is down").await;
    assert_eq!(scopes(&first), ["tenant"], "{}", first.body);
    let item = &first.body["items"][0];
    assert_eq!(
        (&item["reason"], &item["agent_id"]),
        (&json!("the provider is down"), &Value::Null)
    );
    assert_eq!(item["held_by"], "administrator");
    assert_eq!(hold("something else").await.body, first.body);
    assert_eq!(app.get(LIST).await.body, first.body);
    for _ in 0..2 {
        let released = app.post(RELEASE, json!({ "scope": "tenant", "reason": "it is up" })).await;
        assert_eq!((released.status, scopes(&released)), (StatusCode::OK, vec![]));
    }
    let audit = app.store.snapshot(TenantId::BOOTSTRAP).await.expect("readable").audit(0, 50).await;
    let audit = audit.expect("readable");
    let told: Vec<(&str, Option<&str>)> = audit
        .iter()
        .filter(|entry| entry.entry.action != "create_key")
        .map(|entry| (entry.entry.action.as_str(), entry.entry.reason.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("admissions.hold", Some("the provider is down")),
            ("admissions.release", Some("it is up"))
        ]
    );
    let events = app.get("/api/v1/events?type=tenant.admissions_held").await;
    assert_eq!(events.body["items"].as_array().map(Vec::len), Some(1), "{}", events.body);
    assert_eq!(events.body["items"][0]["payload"]["actor"], "administrator");
}

#[tokio::test]
async fn a_hold_of_a_tenant_is_its_own_and_one_of_the_instance_concerns_all() {
    let app = app().await;
    app.post(HOLD, json!({ "scope": "tenant" })).await;
    app.post(HOLD, json!({ "scope": "agent", "agent": "AGENT-ONE" })).await;
    let (key, host) = (bearer(ADMIN), format!("localhost:{}", app.state.options.port));
    let other = async |method: Method, path: &str, body: Option<Value>| {
        let headers =
            [("authorization", key.as_str()), ("host", host.as_str()), ("x-tenant-id", OTHER)];
        app.send(request(method, path, body, &headers)).await
    };
    assert_eq!(scopes(&other(Method::GET, LIST, None).await), Vec::<&str>::new());
    let body = json!({ "scope": "instance", "reason": "upgrade" });
    assert_eq!(scopes(&other(Method::POST, HOLD, Some(body)).await), ["instance"]);
    assert_eq!(scopes(&app.get(LIST).await), ["instance", "tenant", "agent"]);
    let body = json!({ "scope": "agent", "agent": "AGENT-ONE" });
    let unknown = other(Method::POST, HOLD, Some(body)).await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (404, "AGENT_NOT_FOUND"));
    let nobody = json!({ "scope": "agent", "agent": "0198f3a0-0000-7000-8000-000000000001" });
    assert_eq!(app.post(HOLD, nobody).await.code(), "AGENT_NOT_FOUND");
}

#[tokio::test]
async fn what_is_unclear_is_refused() {
    let app = app().await;
    for (body, pointer, code) in [
        (json!({}), "/scope", "required"),
        (json!({ "scope": "world" }), "/scope", "invalid"),
        (json!({ "scope": "agent" }), "/agent", "required"),
        (json!({ "scope": "tenant", "agent": "AGENT-ONE" }), "/agent", "invalid"),
        (json!({ "scope": "tenant", "reason": "x".repeat(1001) }), "/reason", "too_long"),
        (json!({ "scope": "tenant", "why": "x" }), "/why", "unknown_field"),
    ] {
        let answer = app.post(HOLD, body.clone()).await;
        let error = &answer.body["errors"][0];
        assert_eq!(answer.status.as_u16(), 422, "{body}");
        assert_eq!((&error["pointer"], &error["code"]), (&json!(pointer), &json!(code)), "{body}");
    }
}

#[tokio::test]
async fn a_held_session_says_who_held_it_why_and_what_releases_it() {
    let app = app().await;
    let body = json!({ "initial_prompt": "Repair it", "start": true });
    let made = app.post("/api/v1/sessions", body).await;
    let explain = format!("{}/explain", made.header("location"));
    app.post(HOLD, json!({ "scope": "tenant", "reason": "the provider is down" })).await;
    let told = app.get(&explain).await.body;
    let blocker = &told["blockers"][0];
    let text = "administrator holds admissions of this tenant: the provider is down";
    assert_eq!((&blocker["code"], &blocker["text"]), (&json!("admissions_held"), &json!(text)));
    assert_eq!(blocker["command"], "orchestrator admissions release --scope tenant");
    assert_eq!(blocker["since"], app.get(LIST).await.body["items"][0]["since"]);
    assert_eq!((&told["state"], &told["eta"]), (&json!("queued"), &Value::Null));
    app.post(HOLD, json!({ "scope": "instance" })).await;
    let told = app.get(&explain).await.body;
    assert_eq!(told["blockers"][0]["text"], "administrator holds admissions of the whole server");
    for scope in ["tenant", "instance"] {
        app.post(RELEASE, json!({ "scope": scope })).await;
    }
    let told = app.get(&explain).await.body;
    assert_ne!(told["blockers"][0]["code"], "admissions_held", "{told}");
}
