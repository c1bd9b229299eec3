//! Tenants: made, listed, switched off and on by whoever runs the server.

use axum::http::{Method, StatusCode};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use serde_json::{Value, json};

use crate::support::app::{ADMIN, Answer, TestApp, bearer, request};

const TENANTS: &str = "/api/v1/tenants";

/// As the administrator of the system, who names no tenant.
async fn ask(app: &TestApp, method: Method, path: &str, body: Option<Value>) -> Answer {
    app.send(request(method, path, body, &[("authorization", &bearer(ADMIN))])).await
}

async fn by(app: &TestApp, secret: &str, tenant: Option<&str>, path: &str) -> Answer {
    let key = bearer(secret);
    let mut headers = vec![("authorization", &*key)];
    headers.extend(tenant.map(|tenant| ("x-tenant-id", tenant)));
    app.send(request(Method::GET, path, None, &headers)).await
}

#[tokio::test]
async fn a_tenant_comes_with_its_agents_and_only_once() {
    let app = TestApp::new().await;
    let body = json!({
        "slug": "acme", "name": " Acme ", "settings": { "weight": 2.0 },
        "quotas": { "max_concurrent_sessions": 3, "max_queue_depth": null },
    });
    let made = ask(&app, Method::POST, TENANTS, Some(body.clone())).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let id = made.body["id"].as_str().expect("an id").to_owned();
    assert_eq!(made.header("location"), format!("{TENANTS}/{id}"));
    assert_eq!((&made.body["name"], &made.body["is_active"]), (&json!("Acme"), &json!(true)));
    assert_eq!(made.body["settings"]["weight"], json!(2.0));
    let quotas = ask(&app, Method::GET, &format!("{TENANTS}/acme/quotas"), None).await;
    assert_eq!(quotas.body["max_concurrent_sessions"], json!(3));
    assert_eq!(quotas.body["max_queue_depth"], Value::Null);
    assert_eq!(quotas.body["max_tokens_per_month"], json!(1_000_000), "as every tenant");
    let tenant = TenantId::parse(&id).expect("an id");
    let agents = app.agents.list(tenant).await.expect("read");
    assert_eq!(agents.iter().map(|agent| &*agent.name).collect::<Vec<_>>(), ["AGENT-ONE"]);
    let again = ask(&app, Method::POST, TENANTS, Some(body)).await;
    assert_eq!((again.status, again.code()), (StatusCode::CONFLICT, "ALREADY_EXISTS"));
    let default = ask(&app, Method::POST, TENANTS, Some(json!({ "slug": "default" }))).await;
    assert_eq!(default.code(), "ALREADY_EXISTS");
    // Its administrator works in it, and sees no other.
    let admin = app.key(tenant, Role::Admin).await;
    assert_eq!(by(&app, &admin, None, "/api/v1/sessions").await.status, StatusCode::OK);
    let own = by(&app, &admin, None, &format!("{TENANTS}/acme")).await;
    assert_eq!(own.body["slug"], "acme");
    let other = by(&app, &admin, None, &format!("{TENANTS}/default")).await;
    let none = by(&app, &admin, None, &format!("{TENANTS}/nobody")).await;
    assert_eq!((other.status, other.code()), (none.status, none.code()));
    assert_eq!(other.code(), "TENANT_NOT_FOUND");
    let events = by(&app, &admin, None, "/api/v1/events").await;
    let first = &events.body["items"][0];
    assert_eq!(
        (&first["type"], &first["payload"]["slug"]),
        (&json!("tenant.created"), &json!("acme"))
    );
}

#[tokio::test]
async fn a_repeated_creation_gets_the_first_answer() {
    let app = TestApp::new().await;
    let ask = || {
        let body = Some(json!({ "slug": "acme" }));
        let headers = [("authorization", &*bearer(ADMIN)), ("idempotency-key", "one")];
        app.send(request(Method::POST, TENANTS, body, &headers))
    };
    let (first, second) = (ask().await, ask().await);
    assert_eq!((first.status, second.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(second.header("idempotency-replayed"), "true");
    assert_eq!(
        (first.body, first.headers.get("location").cloned()),
        (second.body, second.headers.get("location").cloned())
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_tenant_is_named() {
    let app = TestApp::new().await;
    let id = "0198c5d2-90aa-7c55-8c1d-6d2a54c6e9b3";
    for (body, pointer) in [
        (json!({}), "/slug"),
        (json!({ "slug": "" }), "/slug"),
        (json!({ "slug": "Acme" }), "/slug"),
        (json!({ "slug": "a_b" }), "/slug"),
        (json!({ "slug": "a".repeat(101) }), "/slug"),
        (json!({ "slug": id }), "/slug"),
        (json!({ "slug": "ok", "name": "x" }), "/name"),
        (json!({ "slug": "ok", "settings": { "weight": 0.01 } }), "/settings/weight"),
        (
            json!({ "slug": "ok", "quotas": { "max_concurrent_sessions": 0 } }),
            "/quotas/max_concurrent_sessions",
        ),
        (json!({ "slug": "ok", "is_active": false }), "/is_active"),
    ] {
        let answer = ask(&app, Method::POST, TENANTS, Some(body.clone())).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {answer:?}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn an_inactive_tenant_is_there_for_nobody_but_who_runs_the_server() {
    let app = TestApp::new().await;
    let member = app.key(app.other, Role::Admin).await;
    let path = format!("{TENANTS}/other");
    let off = ask(&app, Method::DELETE, &path, None).await;
    assert_eq!(off.status, StatusCode::NO_CONTENT, "{off:?}");
    for route in ["/api/v1/sessions", "/api/v1/whoami", TENANTS, "/api/v1/tenants/other"] {
        let gone = by(&app, &member, None, route).await;
        assert_eq!(
            (gone.status, gone.code()),
            (StatusCode::NOT_FOUND, "TENANT_NOT_FOUND"),
            "{route}"
        );
    }
    for (named, code) in [
        ("other", "TENANT_NOT_FOUND"),
        ("default", "TENANT_MISMATCH"),
        ("nobody", "TENANT_MISMATCH"),
    ] {
        let gone = by(&app, &member, Some(named), "/api/v1/whoami").await;
        assert_eq!(gone.code(), code, "{named}");
    }
    let gone = by(&app, ADMIN, Some("other"), "/api/v1/sessions").await;
    assert_eq!(gone.code(), "TENANT_NOT_FOUND");
    let listed = ask(&app, Method::GET, TENANTS, None).await;
    let items = listed.body["items"].as_array().expect("tenants");
    let states: Vec<_> = items.iter().map(|one| (&one["slug"], &one["is_active"])).collect();
    assert_eq!(states, [(&json!("default"), &json!(true)), (&json!("other"), &json!(false))]);
    assert_eq!(ask(&app, Method::GET, &path, None).await.body["is_active"], json!(false));
    let on = ask(&app, Method::PATCH, &path, Some(json!({ "is_active": true }))).await;
    assert_eq!(on.body["is_active"], json!(true), "{on:?}");
    assert_eq!(by(&app, &member, None, "/api/v1/sessions").await.status, StatusCode::OK);
    // Its own administrators cannot do that, and the first tenant stays.
    let key = bearer(&member);
    let headers = [("authorization", &*key)];
    let own =
        app.send(request(Method::PATCH, &path, Some(json!({ "is_active": false })), &headers));
    assert_eq!(own.await.body["required_role"], "system");
    let first = ask(&app, Method::DELETE, &format!("{TENANTS}/default"), None).await;
    assert_eq!(first.body["errors"][0]["pointer"], "/is_active", "{first:?}");
    let told = by(&app, &member, None, "/api/v1/events?type=tenant.deactivated").await;
    assert_eq!(told.body["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_tenant_has_its_things_gone_earlier_than_the_server_and_never_later() {
    let app = TestApp::new().await;
    let admin = app.key(TenantId::BOOTSTRAP, Role::Admin).await;
    let patch = async |retention: Value| {
        let body = Some(json!({ "settings": { "retention": retention } }));
        let key = bearer(&admin);
        let path = "/api/v1/tenants/default";
        app.send(request(Method::PATCH, path, body, &[("authorization", &*key)])).await
    };
    let set = patch(json!({ "sessions_days": 7, "events_days": 30 })).await;
    assert_eq!(set.status.as_u16(), 200, "{}", set.body);
    let expected = json!({ "sessions_days": 7, "deleted_sessions_days": null, "events_days": 30 });
    assert_eq!(set.body["settings"]["retention"], expected);
    let told = app.get("/api/v1/audit?action=update_tenant").await;
    let entry = &told.body["items"][0];
    let sides = ["before", "after"].map(|side| &entry[side]["retention"]["sessions_days"]);
    assert_eq!(sides, [&Value::Null, &json!(7)], "{entry}");
    let back = patch(json!({ "sessions_days": null })).await;
    assert_eq!(back.body["settings"]["retention"]["sessions_days"], Value::Null);
    assert_eq!(back.body["settings"]["retention"]["events_days"], json!(30), "it stays");
    for (wrong, name) in [
        (json!({ "sessions_days": 31 }), "sessions_days"),
        (json!({ "deleted_sessions_days": 0 }), "deleted_sessions_days"),
        (json!({ "events_days": "7" }), "events_days"),
        (json!({ "audit_days": 400 }), "audit_days"),
    ] {
        let refused = patch(wrong).await;
        assert_eq!(refused.status.as_u16(), 422, "{}", refused.body);
        let pointer = format!("/settings/retention/{name}");
        assert_eq!(refused.body["errors"][0]["pointer"], json!(pointer), "{}", refused.body);
    }
}
