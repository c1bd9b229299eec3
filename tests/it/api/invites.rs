//! Invitations: one person, one time.

use axum::http::{Method, StatusCode};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use orchestrator::domain::tenant::scope::{Access, Area, Scope, Scopes};
use orchestrator::presentation::api::state::ApiOptions;
use serde_json::{Value, json};

use super::{as_who, text};
use crate::support::app::{Answer, TestApp, request};

const INVITES: &str = "/api/v1/invites";

async fn invited(app: &TestApp, email: &str, role: &str) -> Answer {
    let made = app.post(INVITES, json!({ "email": email, "role": role })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    made
}

/// Without any credential.
async fn accept(app: &TestApp, token: &str, name: Option<&str>) -> Answer {
    let body = json!({ "token": token, "full_name": name });
    app.send(request(Method::POST, "/api/v1/invites/accept", Some(body), &[])).await
}

async fn list(app: &TestApp, path: &str) -> Vec<Value> {
    app.get(path).await.body["items"].as_array().cloned().unwrap_or_default()
}

fn bare(answer: &Answer) -> Value {
    let mut body = answer.body.clone();
    body["request_id"].take();
    body
}

#[tokio::test]
async fn an_invitation_makes_one_member_once() {
    let app = TestApp::new().await;
    let made = invited(&app, "Ann@example.org", "lead").await;
    let token = text(&made, "token");
    assert!(token.starts_with("iok_") && token.len() == 47, "{token}");
    let port = app.state.options.port;
    assert_eq!(made.body["link"], format!("http://localhost:{port}/login#invite={token}"));
    let path = made.header("location").to_owned();
    let found = app.get(&path).await;
    assert_eq!((found.header("etag"), &found.body["token"]), ("\"v1\"", &Value::Null));
    assert_eq!(list(&app, INVITES).await.len(), 1);
    // It opens nothing else, and is no key.
    let who = as_who(&app, &token, Method::GET, "/api/v1/whoami", None).await;
    assert_eq!(who.status, StatusCode::UNAUTHORIZED);
    assert!(list(&app, "/api/v1/keys").await.iter().all(|key| key["kind"] != "invite"));
    let id = text(&made, "id");
    assert_eq!(app.get(&format!("/api/v1/keys/{id}")).await.code(), "KEY_NOT_FOUND");
    let nameless = accept(&app, &token, None).await;
    assert_eq!(nameless.body["errors"][0]["pointer"], "/full_name", "{nameless:?}");
    // It is still good.
    let joined = accept(&app, &token, Some("Ann")).await;
    assert_eq!(joined.status, StatusCode::CREATED, "{joined:?}");
    assert_eq!(joined.body["user"]["email"], "Ann@example.org");
    assert_eq!(
        (&joined.body["user"]["role"], &joined.body["key"]["role"]),
        (&json!("lead"), &json!("lead"))
    );
    assert_eq!(joined.body["tenant"]["slug"], "default");
    let secret = joined.body["key"]["secret"].as_str().expect("shown once").to_owned();
    let me = as_who(&app, &secret, Method::GET, "/api/v1/whoami", None).await;
    assert_eq!((&me.body["user"]["full_name"], &me.body["role"]), (&json!("Ann"), &json!("lead")));
    let (again, unknown) = (
        accept(&app, &token, Some("Eve")).await,
        accept(&app, "iok_never-made", Some("Eve")).await,
    );
    assert_eq!((again.status, again.code()), (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"));
    assert_eq!(bare(&again), bare(&unknown), "no word on why");
    assert!(list(&app, INVITES).await.is_empty());
    assert_eq!(list(&app, "/api/v1/users").await.len(), 1);
    let audit = app.get("/api/v1/audit?action=accept_invite").await;
    let entry = &audit.body["items"][0];
    assert_eq!(entry["actor"]["id"], joined.body["user"]["id"]);
    assert!(!audit.body.to_string().contains(&token) && !audit.body.to_string().contains(&secret));
    // Somebody who is there is not invited.
    let twice = app.post(INVITES, json!({ "email": "ANN@example.org" })).await;
    assert_eq!((twice.status, twice.code()), (StatusCode::CONFLICT, "ALREADY_EXISTS"));
}

#[tokio::test]
async fn two_who_hold_one_invitation_do_not_both_come() {
    let app = TestApp::new().await;
    let token = text(&invited(&app, "ann@example.org", "member").await, "token");
    let (one, other) =
        tokio::join!(accept(&app, &token, Some("One")), accept(&app, &token, Some("Other")));
    let mut told = [one.status.as_u16(), other.status.as_u16()];
    told.sort_unstable();
    assert_eq!(told, [201, 401]);
}

#[tokio::test]
async fn an_invitation_that_is_withdrawn_replaced_or_over_is_like_none() {
    let app = TestApp::new().await;
    let first = invited(&app, "ann@example.org", "member").await;
    let second = invited(&app, "ANN@example.org", "member").await;
    assert_eq!(list(&app, INVITES).await.len(), 1, "the later one replaces the earlier");
    let replaced = accept(&app, &text(&first, "token"), Some("Ann")).await;
    let path = format!("{INVITES}/{}", text(&second, "id"));
    let gone = app.send(app.request(Method::DELETE, &path, None)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let again = app.send(app.request(Method::DELETE, &path, None)).await;
    assert_eq!((again.status, again.code()), (StatusCode::NOT_FOUND, "INVITE_NOT_FOUND"));
    let withdrawn = accept(&app, &text(&second, "token"), Some("Ann")).await;
    for refused in [&replaced, &withdrawn] {
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(bare(&replaced), bare(&withdrawn));
    // A tenant that is switched off lets nobody in.
    let of_other = app.key(app.other, Role::Admin).await;
    let body = Some(json!({ "email": "bob@example.org" }));
    let made = as_who(&app, &of_other, Method::POST, INVITES, body).await;
    let off = app.send(app.request(Method::DELETE, "/api/v1/tenants/other", None)).await;
    assert!(off.status.is_success(), "{off:?}");
    let refused = accept(&app, &text(&made, "token"), Some("Bob")).await;
    assert_eq!(bare(&refused), bare(&withdrawn));
}

#[tokio::test]
async fn guesses_are_counted() {
    let app = TestApp::new().await;
    let token = text(&invited(&app, "ann@example.org", "member").await, "token");
    for _ in 0..10 {
        let refused = accept(&app, "iok_a-guess", Some("Eve")).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    }
    let limited = accept(&app, "iok_a-guess", Some("Eve")).await;
    assert_eq!((limited.status, limited.code()), (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"));
    assert!(!limited.header("retry-after").is_empty());
    let joined = accept(&app, &token, Some("Ann")).await;
    assert_eq!(joined.status, StatusCode::CREATED, "nobody is locked out by the guesses of others");
}

#[tokio::test]
async fn nobody_invites_more_than_they_are() {
    let app = TestApp::new().await;
    let write = Scope::Of(Area::Users, Access::Write);
    let narrow = Scopes::of([write, Scope::Of(Area::Sessions, Access::Read)]);
    let admin = app.key_with(TenantId::BOOTSTRAP, Role::Admin, narrow, false).await;
    let body = json!({ "email": "ann@example.org", "role": "admin", "full_name": "Ann" });
    let made = as_who(&app, &admin, Method::POST, INVITES, Some(body)).await;
    assert_eq!(made.body["scopes"], json!(["sessions:read", "users:write"]));
    let joined = accept(&app, &text(&made, "token"), None).await;
    assert_eq!(joined.body["key"]["scopes"], made.body["scopes"], "no more than who invited");
    for (body, pointer) in [
        (json!({}), "/email"),
        (json!({ "email": "x" }), "/email"),
        (json!({ "email": "x@y.z", "role": "owner" }), "/role"),
        (json!({ "email": "x@y.z", "expires_in": 59 }), "/expires_in"),
        (json!({ "email": "x@y.z", "expires_in": 2_592_001 }), "/expires_in"),
        (json!({ "email": "x@y.z", "scopes": ["*"] }), "/scopes"),
    ] {
        let answer = app.post(INVITES, body.clone()).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {answer:?}");
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}: {answer:?}");
    }
}

#[tokio::test]
async fn a_repetition_invites_nobody_twice_and_the_link_follows_the_settings() {
    let public_url = Some("https://team.example/".to_owned());
    let options = ApiOptions { rate: None, public_url, ..ApiOptions::default() };
    let app = TestApp::with(options, Vec::new()).await;
    let ask = || {
        let body = Some(json!({ "email": "ann@example.org" }));
        let mut request = app.request(Method::POST, INVITES, body);
        request.headers_mut().insert("idempotency-key", "one".parse().expect("valid"));
        app.send(request)
    };
    let (first, second) = (ask().await, ask().await);
    assert_eq!(second.header("idempotency-replayed"), "true");
    assert_eq!(second.body["id"], first.body["id"]);
    assert!(second.body["token"].is_null() && second.body["link"].is_null(), "shown once");
    let link = text(&first, "link");
    assert_eq!(link, format!("https://team.example/login#invite={}", text(&first, "token")));
}
