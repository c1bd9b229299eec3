//! API keys: made, rotated and revoked by whoever has more, or as much.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use orchestrator::application::identity::administrator::Admitted;
use orchestrator::domain::ids::{KeyId, TenantId};
use orchestrator::domain::tenant::key::Role;
use orchestrator::domain::tenant::scope::{Access, Area, Scope, Scopes};
use orchestrator::presentation::api::caller::Peer;
use serde_json::{Value, json};

use super::{as_who as ask, text};
use crate::support::app::{ADMIN, Answer, TestApp, bearer, request};

const KEYS: &str = "/api/v1/keys";

async fn who(app: &TestApp, secret: &str) -> Answer {
    ask(app, secret, Method::GET, "/api/v1/whoami", None).await
}

async fn made(app: &TestApp, body: Value) -> (String, String) {
    let answer = app.post(KEYS, body).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    (text(&answer, "id"), text(&answer, "secret"))
}

#[tokio::test]
async fn a_key_is_shown_once_and_is_who_it_says() {
    let app = TestApp::new().await;
    let body =
        json!({ "name": " ci ", "role": "member", "scopes": ["sessions:read", "usage:read"] });
    let answer = app.post(KEYS, body).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let (id, secret) = (text(&answer, "id"), text(&answer, "secret"));
    assert_eq!(answer.header("location"), format!("{KEYS}/{id}"));
    assert!(secret.starts_with("iok_") && secret.len() == 4 + 43, "{secret}");
    assert_eq!(answer.body["prefix"], json!(secret[..12]));
    assert_eq!((&answer.body["name"], &answer.body["role"]), (&json!("ci"), &json!("member")));
    let found = app.get(&format!("{KEYS}/{id}")).await;
    assert_eq!(found.header("etag"), "\"v1\"");
    assert_eq!(found.body["secret"], Value::Null, "told once");
    let listed = app.get(KEYS).await;
    assert!(!listed.body.to_string().contains(&secret[12..]));
    let me = who(&app, &secret).await;
    assert_eq!(me.body["key_id"], json!(id));
    assert_eq!(me.body["scopes"], json!(["sessions:read", "usage:read"]));
    assert_eq!(me.body["tenant_id"], json!(TenantId::BOOTSTRAP));
    // It has exactly what it names.
    let read = ask(&app, &secret, Method::GET, "/api/v1/sessions", None).await;
    assert_eq!(read.status, StatusCode::OK);
    let body = Some(json!({ "initial_prompt": "x" }));
    let refused = ask(&app, &secret, Method::POST, "/api/v1/sessions", body).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "FORBIDDEN"));
    assert_eq!(refused.body["required_scope"], "sessions:write");
}

#[tokio::test]
async fn nobody_grants_more_than_they_have() {
    let app = TestApp::new().await;
    let read = Scope::Of(Area::Sessions, Access::Read);
    let scopes = Scopes::of([read, Scope::Of(Area::Keys, Access::Write)]);
    let some = app.key_with(TenantId::BOOTSTRAP, Role::Admin, scopes, false).await;
    for (scopes, status) in [
        (json!(["sessions:read"]), StatusCode::CREATED),
        (json!(["sessions:read", "keys:write"]), StatusCode::CREATED),
        (json!(["sessions:write"]), StatusCode::FORBIDDEN),
        (json!(["keys:read"]), StatusCode::FORBIDDEN),
        (json!(["*"]), StatusCode::FORBIDDEN),
        (json!(["metrics"]), StatusCode::FORBIDDEN),
    ] {
        let body = json!({ "name": "x", "role": "admin", "scopes": scopes });
        let answer = ask(&app, &some, Method::POST, KEYS, Some(body)).await;
        assert_eq!(answer.status, status, "{scopes}");
        if status == StatusCode::FORBIDDEN {
            assert_eq!(answer.code(), "PRIVILEGE_ESCALATION");
        }
    }
    // Nor does anybody get the secret of a key that may do more.
    let (id, _) = made(&app, json!({ "name": "more", "role": "viewer" })).await;
    let rotate = format!("{KEYS}/{id}/rotate");
    let refused = ask(&app, &some, Method::POST, &rotate, Some(json!({}))).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "PRIVILEGE_ESCALATION"));
    // What is not named is what the maker has, and no more.
    let body = json!({ "name": "like me", "role": "viewer" });
    let alike = ask(&app, &some, Method::POST, KEYS, Some(body)).await;
    assert_eq!(alike.body["scopes"], json!(["sessions:read", "keys:write"]));
    // An administrator of the tenant has no hand in the keys of the system.
    let tenant_admin = app.key(TenantId::BOOTSTRAP, Role::Admin).await;
    let listed = ask(&app, &tenant_admin, Method::GET, KEYS, None).await;
    let items = listed.body["items"].as_array().expect("keys");
    let system =
        items.iter().find(|key| key["is_system"] == json!(true)).expect("one of the system");
    let path = format!("{KEYS}/{}", system["id"].as_str().expect("an id"));
    for (method, path, body) in [
        (Method::DELETE, path.clone(), None),
        (Method::POST, format!("{path}/rotate"), Some(json!({}))),
    ] {
        let refused = ask(&app, &tenant_admin, method, &path, body).await;
        assert_eq!(
            (refused.status, refused.code()),
            (StatusCode::FORBIDDEN, "PRIVILEGE_ESCALATION")
        );
    }
    assert_eq!(who(&app, ADMIN).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_rotated_key_takes_both_secrets_for_a_while_and_a_revoked_one_none() {
    let app = TestApp::new().await;
    let (id, first) = made(&app, json!({ "name": "ci", "role": "viewer" })).await;
    let rotated = app.post(&format!("{KEYS}/{id}/rotate"), json!({ "grace_seconds": 60 })).await;
    assert_eq!(rotated.status, StatusCode::OK, "{rotated:?}");
    let second = text(&rotated, "secret");
    assert!(rotated.body["previous_secret_until"].is_string());
    for secret in [&first, &second] {
        assert_eq!(who(&app, secret).await.body["key_id"], json!(id));
    }
    let at_once = app.post(&format!("{KEYS}/{id}/rotate"), json!({ "grace_seconds": 0 })).await;
    let third = text(&at_once, "secret");
    for (secret, status) in [
        (&first, StatusCode::UNAUTHORIZED),
        (&second, StatusCode::UNAUTHORIZED),
        (&third, StatusCode::OK),
    ] {
        assert_eq!(who(&app, secret).await.status, status);
    }
    let over = app.post(&format!("{KEYS}/{id}/rotate"), json!({ "grace_seconds": 86_401 })).await;
    assert_eq!(over.body["errors"][0]["pointer"], "/grace_seconds", "{over:?}");
    let itself = ask(&app, &third, Method::DELETE, &format!("{KEYS}/{id}"), None).await;
    assert_eq!(itself.status, StatusCode::FORBIDDEN, "a viewer");
    let gone = app.send(app.request(Method::DELETE, &format!("{KEYS}/{id}"), None)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let again = app.send(app.request(Method::DELETE, &format!("{KEYS}/{id}"), None)).await;
    assert_eq!(again.status, StatusCode::NO_CONTENT, "as before");
    let refused = who(&app, &third).await;
    let unknown = who(&app, "iok_never-made").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let bare = |answer: &Answer| {
        let mut body = answer.body.clone();
        body["request_id"].take();
        body
    };
    assert_eq!(bare(&refused), bare(&unknown), "no word on why");
    let rotated = app.post(&format!("{KEYS}/{id}/rotate"), json!({})).await;
    assert_eq!((rotated.status, rotated.code()), (StatusCode::CONFLICT, "KEY_REVOKED"));
    assert!(app.get(&format!("{KEYS}/{id}")).await.body["revoked_at"].is_string(), "still listed");
}

#[tokio::test]
async fn a_key_cannot_revoke_itself() {
    let app = TestApp::new().await;
    let (id, secret) = made(&app, json!({ "name": "second", "role": "admin" })).await;
    let refused = ask(&app, &secret, Method::DELETE, &format!("{KEYS}/{id}"), None).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "OWN_KEY"));
    assert_eq!(who(&app, &secret).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_repetition_makes_no_second_key_and_shows_no_secret() {
    let app = TestApp::new().await;
    let ask = || {
        let mut request =
            app.request(Method::POST, KEYS, Some(json!({ "name": "ci", "role": "viewer" })));
        request.headers_mut().insert("idempotency-key", "one".parse().expect("valid"));
        app.send(request)
    };
    let (first, second) = (ask().await, ask().await);
    assert_eq!(second.header("idempotency-replayed"), "true");
    assert_eq!(second.body["id"], first.body["id"]);
    assert!(first.body["secret"].is_string() && second.body["secret"].is_null());
}

#[tokio::test]
async fn keys_of_another_tenant_do_not_exist() {
    let app = TestApp::new().await;
    let (id, _) = made(&app, json!({ "name": "mine", "role": "viewer" })).await;
    let stranger = app.key(app.other, Role::Admin).await;
    let random = "0198c5d2-90aa-7c55-8c1d-6d2a54c6e9b3";
    for (method, end, body) in [
        (Method::GET, "", None),
        (Method::DELETE, "", None),
        (Method::POST, "/rotate", Some(json!({}))),
    ] {
        let mut told = Vec::new();
        for id in [&*id, random] {
            let path = format!("{KEYS}/{id}{end}");
            let mut answer = ask(&app, &stranger, method.clone(), &path, body.clone()).await;
            assert_eq!((answer.status, answer.code()), (StatusCode::NOT_FOUND, "KEY_NOT_FOUND"));
            answer.body["request_id"].take();
            told.push(answer.body);
        }
        assert_eq!(told[0], told[1]);
    }
    let listed = ask(&app, &stranger, Method::GET, KEYS, None).await;
    assert_eq!(listed.body["items"].as_array().map(Vec::len), Some(1), "its own");
}

#[tokio::test]
async fn what_is_wrong_with_a_key_is_named() {
    let app = TestApp::new().await;
    for (body, pointer) in [
        (json!({ "role": "viewer" }), "/name"),
        (json!({ "name": "Scheduler", "role": "viewer" }), "/name"),
        (json!({ "name": "a\u{1b}[2Jb", "role": "viewer" }), "/name"),
        (json!({ "name": "x", "role": "viewer", "networks": ["10.0.0.0/33"] }), "/networks/0"),
        (json!({ "name": "x", "role": "viewer", "networks": "10.0.0.0/8" }), "/networks"),
        (json!({ "name": "x", "role": "viewer", "user_id": "ann" }), "/user_id"),
        (
            json!({ "name": "x", "role": "viewer", "service": true,
                "user_id": "0198c5d2-90aa-7c55-8c1d-6d2a54c6e9b3" }),
            "/user_id",
        ),
        (json!({ "name": " ", "role": "viewer" }), "/name"),
        (json!({ "name": "n".repeat(101), "role": "viewer" }), "/name"),
        (json!({ "name": "x" }), "/role"),
        (json!({ "name": "x", "role": "owner" }), "/role"),
        (json!({ "name": "x", "role": "viewer", "scopes": [] }), "/scopes"),
        (json!({ "name": "x", "role": "viewer", "scopes": "*" }), "/scopes"),
        (json!({ "name": "x", "role": "viewer", "scopes": ["*", "sessions"] }), "/scopes/1"),
        (json!({ "name": "x", "role": "viewer", "expires_at": "soon" }), "/expires_at"),
        (
            json!({ "name": "x", "role": "viewer", "expires_at": "2020-01-01T00:00:00Z" }),
            "/expires_at",
        ),
        (json!({ "name": "x", "role": "viewer", "secret": "mine" }), "/secret"),
    ] {
        let answer = app.post(KEYS, body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {answer:?}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}: {answer:?}");
    }
    let endless =
        app.post(KEYS, json!({ "name": "x", "role": "viewer", "expires_at": null })).await;
    assert_eq!(endless.body["expires_at"], Value::Null);
    let usual = app.post(KEYS, json!({ "name": "x", "role": "viewer" })).await;
    assert!(usual.body["expires_at"].is_string(), "ninety days");
}

#[tokio::test]
async fn keys_are_paged_and_told_to_administrators_alone() {
    let app = TestApp::new().await;
    for n in 0..5 {
        made(&app, json!({ "name": format!("key {n}"), "role": "viewer" })).await;
    }
    let (mut names, mut path) = (Vec::new(), format!("{KEYS}?limit=2"));
    loop {
        let page = app.get(&path).await;
        let items = page.body["items"].as_array().expect("keys").clone();
        names.extend(items.iter().map(|key| key["name"].as_str().expect("a name").to_owned()));
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        path = format!("{KEYS}?limit=2&cursor={cursor}");
    }
    assert_eq!(names, ["administrator", "key 0", "key 1", "key 2", "key 3", "key 4"]);
    let viewer = app.key(TenantId::BOOTSTRAP, Role::Viewer).await;
    let events = "/api/v1/events?limit=200";
    let seen = ask(&app, &viewer, Method::GET, events, None).await;
    let all = ask(&app, ADMIN, Method::GET, events, None).await;
    let told = |answer: &Answer| answer.body.to_string().matches("tenant.key_created").count();
    assert_eq!((told(&seen), told(&all)), (0, 6));
}

#[tokio::test]
async fn a_secret_that_was_replaced_is_not_admitted_as_a_new_one() {
    let app = TestApp::new().await;
    let listed = app.get(KEYS).await;
    let id = text(&Answer { body: listed.body["items"][0].clone(), ..listed }, "id");
    let mut secret = ADMIN.to_owned();
    for _ in 0..3 {
        let path = format!("{KEYS}/{id}/rotate");
        let key = bearer(&secret);
        let headers = [("authorization", &*key), ("x-tenant-id", "default")];
        let body = Some(json!({ "grace_seconds": 0 }));
        let rotated = app.send(request(Method::POST, &path, body, &headers)).await;
        secret = text(&rotated, "secret");
        // As a server does that starts with the old secret in its settings.
        app.state.identity.admit_administrator(ADMIN).await.expect("looked at");
        assert_eq!(who(&app, ADMIN).await.status, StatusCode::UNAUTHORIZED);
    }
    let key = bearer(&secret);
    let headers = [("authorization", &*key), ("x-tenant-id", "default")];
    let keys = app.send(request(Method::GET, KEYS, None, &headers)).await;
    assert_eq!(keys.body["items"].as_array().map(Vec::len), Some(1), "{keys:?}");
}

/// As whoever shows this secret, from this address.
async fn from(app: &TestApp, secret: &str, address: &str) -> Answer {
    let key = bearer(secret);
    let headers = [("authorization", &*key)];
    let mut request = request(Method::GET, "/api/v1/whoami", None, &headers);
    request.extensions_mut().insert(Peer(address.parse().expect("an address")));
    app.send(request).await
}

#[tokio::test]
async fn a_key_is_accepted_from_its_networks_alone() {
    let app = TestApp::new().await;
    let body = json!({
        "name": "ci", "role": "admin", "networks": ["10.1.0.0/16", "2001:db8::7", "127.0.0.1"],
    });
    let bound = app.post(KEYS, body).await;
    assert_eq!(bound.body["networks"], json!(["10.1.0.0/16", "127.0.0.1/32", "2001:db8::7/128"]));
    let secret = text(&bound, "secret");
    for (address, status) in [
        ("10.1.255.3", StatusCode::OK),
        ("::ffff:10.1.0.1", StatusCode::OK),
        ("2001:db8::7", StatusCode::OK),
        ("10.2.0.1", StatusCode::UNAUTHORIZED),
        ("2001:db8::8", StatusCode::UNAUTHORIZED),
    ] {
        let answer = from(&app, &secret, address).await;
        assert_eq!(answer.status, status, "{address}");
        if status == StatusCode::UNAUTHORIZED {
            let unknown = from(&app, "iok_never-made", address).await;
            assert_eq!(answer.body["detail"], unknown.body["detail"], "no word on why");
        }
    }
    // What it makes is accepted from there, too, and from nowhere else.
    let body = json!({ "name": "x", "role": "viewer" });
    let alike = ask(&app, &secret, Method::POST, KEYS, Some(body)).await;
    assert_eq!(alike.body["networks"], bound.body["networks"]);
    for (networks, status) in [
        (json!(["10.1.2.0/24"]), StatusCode::CREATED),
        (json!([]), StatusCode::FORBIDDEN),
        (json!(["10.0.0.0/8"]), StatusCode::FORBIDDEN),
    ] {
        let body = json!({ "name": "x", "role": "viewer", "networks": networks });
        let answer = ask(&app, &secret, Method::POST, KEYS, Some(body)).await;
        assert_eq!(answer.status, status, "{networks}: {answer:?}");
    }
    let (open, _) = made(&app, json!({ "name": "open", "role": "viewer" })).await;
    let rotate = format!("{KEYS}/{open}/rotate");
    let refused = ask(&app, &secret, Method::POST, &rotate, Some(json!({}))).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::FORBIDDEN, "PRIVILEGE_ESCALATION"));
}

#[tokio::test]
async fn what_a_key_makes_does_not_outlive_it() {
    let app = TestApp::new().await;
    let soon = app.clock.now().after(Duration::from_hours(24)).to_string();
    let later = app.clock.now().after(Duration::from_hours(48)).to_string();
    let body = json!({ "name": "short", "role": "admin", "expires_at": soon });
    let (id, short) = made(&app, body).await;
    let usual =
        ask(&app, &short, Method::POST, KEYS, Some(json!({ "name": "x", "role": "viewer" })));
    assert_eq!(usual.await.body["expires_at"], json!(soon), "no longer than its maker");
    for (end, status) in [
        (json!(soon), StatusCode::CREATED),
        (json!(later), StatusCode::FORBIDDEN),
        (Value::Null, StatusCode::FORBIDDEN),
    ] {
        let body = json!({ "name": "x", "role": "viewer", "expires_at": end });
        let answer = ask(&app, &short, Method::POST, KEYS, Some(body)).await;
        assert_eq!(answer.status, status, "{end}: {answer:?}");
    }
    let (long, _) = made(&app, json!({ "name": "long", "role": "viewer" })).await;
    for (id, status) in [(&id, StatusCode::OK), (&long, StatusCode::FORBIDDEN)] {
        let path = format!("{KEYS}/{id}/rotate");
        let answer = ask(&app, &short, Method::POST, &path, Some(json!({}))).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    // A secret that was replaced makes nothing that lives longer than its grace.
    let endless = json!({ "name": "endless", "role": "admin", "expires_at": null });
    let (id, old) = made(&app, endless).await;
    let rotated = app.post(&format!("{KEYS}/{id}/rotate"), json!({ "grace_seconds": 60 })).await;
    let usual = ask(&app, &old, Method::POST, KEYS, Some(json!({ "name": "x", "role": "viewer" })));
    assert_eq!(usual.await.body["expires_at"], rotated.body["previous_secret_until"]);
}

#[tokio::test]
async fn the_last_use_of_a_key_is_told_at_once_and_stored_later() {
    let app = TestApp::new().await;
    let (id, secret) = made(&app, json!({ "name": "ci", "role": "viewer" })).await;
    let path = format!("{KEYS}/{id}");
    assert_eq!(app.get(&path).await.body["last_used_at"], Value::Null);
    let stored = async || {
        let snapshot = app.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
        let id = KeyId::parse(&id).expect("an id");
        snapshot.key_used(id).await.expect("read").map(|at| at.to_string())
    };
    who(&app, &secret).await;
    let first = app.get(&path).await.body["last_used_at"].clone();
    assert!(first.is_string());
    assert_eq!(stored().await, None, "no request waits for it");
    app.state.identity.store_uses().await.expect("stored");
    assert_eq!(json!(stored().await), first);
    let found = app.get(&path).await;
    assert_eq!((found.header("etag"), &found.body["last_used_at"]), ("\"v1\"", &first));
    while json!(app.clock.now().to_string()) == first {
        tokio::task::yield_now().await;
    }
    who(&app, &secret).await;
    let listed = app.get(KEYS).await;
    let items = listed.body["items"].as_array().expect("keys");
    let later = &items.iter().find(|key| key["id"] == json!(id)).expect("listed")["last_used_at"];
    assert!(later.as_str() > first.as_str(), "{later} after {first}");
    // Once more is once less often: what is stored stays.
    app.state.identity.store_uses().await.expect("stored");
    assert_eq!(json!(stored().await), *later);
}

#[tokio::test]
async fn a_key_of_a_service_belongs_to_nobody() {
    let app = TestApp::new().await;
    let body = json!({ "email": "ann@example.org", "full_name": "Ann", "role": "admin" });
    let ann = text(&app.post("/api/v1/users", body).await, "id");
    let body = json!({ "name": "hers", "role": "admin", "user_id": ann });
    let hers = text(&app.post(KEYS, body).await, "secret");
    for (service, holder) in [(json!(null), json!(ann)), (json!(true), Value::Null)] {
        let body = json!({ "name": "x", "role": "viewer", "service": service });
        let made = ask(&app, &hers, Method::POST, KEYS, Some(body)).await;
        assert_eq!(made.body["user_id"], holder, "{made:?}");
    }
}

#[tokio::test]
async fn the_secret_of_a_later_start_takes_the_place_of_the_one_before() {
    let app = TestApp::new().await;
    let (first, next) = (ADMIN, "another secret for the server, long enough");
    let admitted = app.state.identity.admit_administrator(next).await.expect("admitted");
    assert_eq!(admitted, Admitted::Replaced);
    assert_eq!(who(&app, first).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(who(&app, next).await.status, StatusCode::OK);
    let again = app.state.identity.admit_administrator(first).await.expect("looked at");
    assert_eq!(again, Admitted::Known, "it does not come back");
    assert_eq!(who(&app, first).await.status, StatusCode::UNAUTHORIZED);
    let key = bearer(next);
    let headers = [("authorization", &*key), ("x-tenant-id", "default")];
    let keys = app.send(request(Method::GET, KEYS, None, &headers)).await;
    let items = keys.body["items"].as_array().expect("a list");
    assert_eq!(items.len(), 1, "{keys:?}");
    assert_eq!(items[0]["prefix"], "(supplied)", "nothing of it is told");
    let audit = app.send(request(Method::GET, "/api/v1/audit", None, &headers)).await;
    let entries = audit.body["items"].as_array().expect("a list");
    assert!(entries.iter().any(|entry| entry["action"] == "rotate_key"), "{audit:?}");
    let told = format!("{keys:?}{audit:?}");
    assert!(!told.contains("another secret"), "{told}");
}
