//! Who may open a socket, and into which rooms.

use axum::body::to_bytes;
use axum::http::Method;
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use orchestrator::presentation::api::state::WsOptions;
use serde_json::json;
use tokio::time::timeout;
use tower::ServiceExt;

use super::client::{SOON, Socket, quick};
use crate::support::app::{ADMIN, OTHER, TestApp, bearer, request};

/// Path, headers and the status of the refusal.
type Case = (&'static str, Vec<(&'static str, String)>, u16);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_and_origin_are_checked_before_the_upgrade() {
    let (app, address) = TestApp::listen(quick(WsOptions::default())).await;
    let bound = app.key(TenantId::BOOTSTRAP, Role::Viewer).await;
    let by_protocol = [("sec-websocket-protocol", format!("orchestrator.v1, bearer.{bound}"))];
    let path = "/ws/sessions";
    let cases: [Case; 6] = [
        (path, vec![], 401),
        (path, vec![("authorization", bearer("iok_wrong"))], 401),
        (path, vec![("authorization", bearer(ADMIN))], 400),
        (
            path,
            vec![("authorization", bearer(&bound)), ("origin", "http://evil.example".to_owned())],
            403,
        ),
        (path, vec![("authorization", bearer(&bound)), ("x-tenant-id", OTHER.to_owned())], 403),
        ("/ws/sessions?token=iok_abc", vec![("authorization", bearer(&bound))], 400),
    ];
    for (path, headers, status) in cases {
        let refused = Socket::with(&address, path, &headers).await.err();
        assert_eq!(refused, Some(status), "{path} {headers:?}");
    }
    let mut socket = Socket::with(&address, path, &by_protocol).await.expect("an upgrade");
    assert_eq!(socket.frame().await["type"], "connection.established");
    let admin = [("authorization", bearer(ADMIN))];
    let named = Socket::with(&address, "/ws/events?tenant=other", &admin).await;
    assert!(named.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_brings_its_own_events_and_no_others() {
    let (app, address) = TestApp::listen(quick(WsOptions::default())).await;
    let one = app.post("/api/v1/sessions", json!({ "initial_prompt": "one" })).await;
    let two = app.post("/api/v1/sessions", json!({ "initial_prompt": "two" })).await;
    let id = |answer: &crate::support::app::Answer| {
        answer.body["id"].as_str().expect("an id").to_owned()
    };
    let (one, two) = (id(&one), id(&two));
    let mut socket = Socket::open(&address, "/ws/sessions/IND-000001").await;
    let hello = socket.frame().await;
    assert_eq!(hello["payload"]["rooms"], json!([format!("session:{one}")]));
    assert_eq!(socket.frame().await["type"], "subscription.confirmed");
    app.post(&format!("/api/v1/sessions/{two}/cancel"), json!({})).await;
    app.post(&format!("/api/v1/sessions/{one}/cancel"), json!({})).await;
    for expected in ["session.status_changed", "session.cancelled"] {
        let event = socket.event().await;
        assert_eq!((&event["type"], &event["subject"]["id"]), (&json!(expected), &json!(one)));
    }
    // A session may be named by its code as well.
    for (kind, answer) in
        [("unsubscribe", "subscription.cancelled"), ("subscribe", "subscription.confirmed")]
    {
        let frame = json!({ "type": kind, "rooms": ["session:ind-000001"] });
        socket.say(&frame.to_string()).await;
        let told = socket.frame_of(answer).await;
        assert_eq!(told["payload"]["room"], json!(format!("session:{one}")));
    }
    socket.say(r#"{"type":"subscribe","rooms":["session:IND-999999"]}"#).await;
    assert_eq!(socket.frame_of("error").await["payload"]["code"], "SESSION_NOT_FOUND");
    // In two rooms that both hold it, an event comes once.
    socket.say(&json!({ "type": "subscribe", "rooms": ["sessions", "events"] }).to_string()).await;
    socket.frame_of("subscription.confirmed").await;
    socket.frame_of("subscription.confirmed").await;
    let three = app.post("/api/v1/sessions", json!({ "initial_prompt": "three" })).await;
    app.post(&format!("/api/v1/sessions/{}/start", id(&three)), json!({})).await;
    let mut types = Vec::new();
    for _ in 0..3 {
        types.push(socket.event().await["type"].clone());
    }
    assert_eq!(types, ["session.created", "session.status_changed", "session.queued"]);
    socket.say(r#"{"type":"get_stats"}"#).await;
    let stats = socket.frame_of("system.stats").await;
    assert_eq!(stats["payload"]["total_connections"], 1);
    assert_eq!(stats["payload"]["rooms"]["sessions"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_looks_into_another_tenant() {
    let (app, address) = TestApp::listen(quick(WsOptions::default())).await;
    let made = app.post("/api/v1/sessions", json!({ "initial_prompt": "mine" })).await;
    let id = made.body["id"].as_str().expect("an id");
    let stranger = app.key(app.other, Role::Member).await;
    let headers = [("authorization", bearer(&stranger))];
    let direct = Socket::with(&address, &format!("/ws/sessions/{id}"), &headers).await;
    assert_eq!(direct.err(), Some(404));
    let mut socket =
        Socket::with(&address, "/ws/events?after=0", &headers).await.expect("an upgrade");
    let rooms =
        json!({ "type": "subscribe", "rooms": [format!("session:{id}"), "events", "tenant"] });
    socket.say(&rooms.to_string()).await;
    let refused = socket.frame_of("error").await;
    assert_eq!(refused["payload"]["code"], "SESSION_NOT_FOUND");
    socket.frame_of("subscription.confirmed").await;
    assert_eq!(socket.frame_of("error").await["payload"]["code"], "FORBIDDEN");
    app.post(&format!("/api/v1/sessions/{id}/cancel"), json!({})).await;
    socket.say(r#"{"type":"ping"}"#).await;
    assert_eq!(socket.frame().await["type"], "pong");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_revoked_secret_opened_is_closed_within_a_second() {
    let (app, address) = TestApp::listen(quick(WsOptions::default())).await;
    let made = app.post("/api/v1/keys", json!({ "name": "ci", "role": "viewer" })).await;
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let (id, first) = (text(&made.body["id"]), text(&made.body["secret"]));
    let path = format!("/api/v1/keys/{id}");
    let rotated = app.post(&format!("{path}/rotate"), json!({ "grace_seconds": 60 })).await;
    let second = text(&rotated.body["secret"]);
    let open = async |secret: &str| {
        let headers = [("authorization", bearer(secret))];
        Socket::with(&address, "/ws/sessions", &headers).await.expect("an upgrade")
    };
    let (mut old, mut new) = (open(&first).await, open(&second).await);
    let stream = {
        let (key, app) = (bearer(&second), app.router.clone());
        let headers =
            [("host", &*address), ("authorization", &*key), ("accept", "text/event-stream")];
        let asked = request(Method::GET, "/api/v1/events", None, &headers);
        let answer = app.oneshot(asked).await.expect("infallible");
        assert_eq!(answer.status().as_u16(), 200);
        answer.into_body()
    };
    // Another rotation leaves two secrets: the third and the second.
    app.post(&format!("{path}/rotate"), json!({ "grace_seconds": 60 })).await;
    let (code, _) = old.closed().await;
    assert_eq!(code, 4401);
    new.say(r#"{"type":"ping"}"#).await;
    assert_eq!(new.frame_of("pong").await["type"], "pong", "still accepted");
    let began = app.clock.now();
    let gone = app.send(app.request(Method::DELETE, &path, None)).await;
    assert_eq!(gone.status.as_u16(), 204);
    assert_eq!(new.closed().await.0, 4401);
    let told = timeout(SOON, to_bytes(stream, 1 << 20)).await;
    assert!(told.expect("the stream ends").is_ok());
    assert!(app.clock.now().since(began).as_secs() < 5);
}

#[tokio::test]
async fn what_somebody_opened_is_closed_when_their_role_changes_or_they_are_switched_off() {
    let (app, address) = TestApp::listen(quick(WsOptions::default())).await;
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let body = json!({ "email": "ann@example.org", "full_name": "Ann", "role": "lead" });
    let id = text(&app.post("/api/v1/users", body).await.body["id"]);
    let body = json!({ "name": "hers", "role": "lead", "user_id": id });
    let secret = text(&app.post("/api/v1/keys", body).await.body["secret"]);
    let open = async || {
        let headers = [("authorization", bearer(&secret))];
        Socket::with(&address, "/ws/sessions", &headers).await
    };
    let change = async |body| {
        let path = format!("/api/v1/users/{id}");
        let changed = app.send(app.request(Method::PATCH, &path, Some(body))).await;
        assert_eq!(changed.status.as_u16(), 200, "{changed:?}");
    };
    for body in [json!({ "role": "viewer" }), json!({ "is_active": false })] {
        let mut socket = open().await.expect("an upgrade");
        let began = app.clock.now();
        change(body).await;
        assert_eq!(socket.closed().await.0, 4401);
        assert!(app.clock.now().since(began).as_secs() < 5);
    }
    assert!(open().await.is_err(), "nobody comes back");
}

#[tokio::test]
async fn what_an_administrator_of_the_system_hears_elsewhere_ends_with_their_office() {
    let (app, address) = TestApp::listen(quick(WsOptions::default())).await;
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let body = json!({
        "email": "sys@example.org", "full_name": "Sys", "role": "admin", "is_system_admin": true,
    });
    let id = text(&app.post("/api/v1/users", body).await.body["id"]);
    let body = json!({ "name": "theirs", "role": "admin", "user_id": id });
    let secret = text(&app.post("/api/v1/keys", body).await.body["secret"]);
    let key = bearer(&secret);
    let elsewhere = [("authorization", key.clone()), ("x-tenant-id", app.other.to_string())];
    let mut socket = Socket::with(&address, "/ws/sessions", &elsewhere).await.expect("an upgrade");
    let headers = [
        ("host", &*address),
        ("authorization", &*key),
        ("accept", "text/event-stream"),
        ("x-tenant-id", OTHER),
    ];
    let asked = request(Method::GET, "/api/v1/events", None, &headers);
    let stream = app.router.clone().oneshot(asked).await.expect("infallible");
    assert_eq!(stream.status().as_u16(), 200);
    let path = format!("/api/v1/users/{id}");
    let body = json!({ "is_system_admin": false });
    let changed = app.send(app.request(Method::PATCH, &path, Some(body))).await;
    assert_eq!(changed.status.as_u16(), 200, "{changed:?}");
    assert_eq!(socket.closed().await.0, 4401);
    let told = timeout(SOON, to_bytes(stream.into_body(), 1 << 20)).await;
    assert!(told.expect("the stream ends").is_ok());
}
