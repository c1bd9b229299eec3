//! Sockets of pages: by cookie from this very origin, or by a ticket that is good once.

use axum::http::Method;
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use orchestrator::presentation::api::state::WsOptions;
use serde_json::json;

use super::client::{Socket, quick};
use crate::support::app::{TestApp, bearer, request};

const PATH: &str = "/ws/sessions";

type Headers = Vec<(&'static str, String)>;

/// A browser that is signed in: its cookie.
async fn signed_in(app: &TestApp, address: &str) -> String {
    let key = app.key(TenantId::BOOTSTRAP, Role::Viewer).await;
    signed_in_with(app, address, &key).await
}

async fn signed_in_with(app: &TestApp, address: &str, key: &str) -> String {
    let origin = format!("http://{address}");
    let headers = [("host", address), ("origin", &*origin), ("x-requested-with", "orchestrator")];
    let body = Some(json!({ "key": key }));
    let signed = app.send(request(Method::POST, "/api/v1/login", body, &headers)).await;
    let set = signed.header("set-cookie");
    set.split(';').next().filter(|pair| !pair.is_empty()).expect("a cookie").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_opens_one_socket() {
    let (app, address) = TestApp::listen(quick(WsOptions::default())).await;
    let key = bearer(&app.key(TenantId::BOOTSTRAP, Role::Viewer).await);
    let headers = [("host", &*address), ("authorization", &*key)];
    let made = app.send(request(Method::POST, "/api/v1/ws-tickets", None, &headers)).await;
    assert_eq!(made.status.as_u16(), 201, "{made:?}");
    let ticket = made.body["ticket"].as_str().expect("a ticket").to_owned();
    let offers = |text: String| -> Headers { vec![("sec-websocket-protocol", text)] };
    // In a URL it is refused before anybody looks at it, so that it still is good.
    for query in [format!("ticket={ticket}"), format!("client_id={ticket}"), "ticket=x".to_owned()]
    {
        let refused = Socket::with(&address, &format!("{PATH}?{query}"), &[]).await.err();
        assert_eq!(refused, Some(400), "{query}");
    }
    let offer = || offers(format!("orchestrator.v1, ticket.{ticket}"));
    let mut socket = Socket::with(&address, PATH, &offer()).await.expect("an upgrade");
    assert_eq!(socket.frame().await["type"], "connection.established");
    assert_eq!(Socket::with(&address, PATH, &offer()).await.err(), Some(401), "once");
    let wrong = offers("ticket.iot_guess".to_owned());
    assert_eq!(Socket::with(&address, PATH, &wrong).await.err(), Some(401));
    let two = offers("ticket.iot_one, bearer.iok_two".to_owned());
    assert_eq!(Socket::with(&address, PATH, &two).await.err(), Some(400));
    let mut both = offer();
    both.push(("authorization", key));
    assert_eq!(Socket::with(&address, PATH, &both).await.err(), Some(401));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_browser_opened_ends_with_the_secret_that_opened_the_browser() {
    let (app, address) = TestApp::listen(quick(WsOptions::default())).await;
    let made = app.post("/api/v1/keys", json!({ "name": "ann", "role": "viewer" })).await;
    let secret = made.body["secret"].as_str().expect("a secret");
    let cookie = signed_in_with(&app, &address, secret).await;
    let origin = format!("http://{address}");
    let own = [
        ("host", &*address),
        ("origin", &*origin),
        ("x-requested-with", "orchestrator"),
        ("cookie", &*cookie),
    ];
    let lent = async || {
        let made = app.send(request(Method::POST, "/api/v1/ws-tickets", None, &own)).await;
        let ticket = made.body["ticket"].as_str().expect("a ticket");
        [("sec-websocket-protocol", format!("ticket.{ticket}"))]
    };
    let unused = lent().await;
    let mut by_ticket = Socket::with(&address, PATH, &lent().await).await.expect("an upgrade");
    let headers = [("cookie", cookie.clone()), ("origin", origin.clone())];
    let mut by_cookie = Socket::with(&address, PATH, &headers).await.expect("an upgrade");
    for socket in [&mut by_ticket, &mut by_cookie] {
        assert_eq!(socket.frame().await["type"], "connection.established");
    }
    let path = format!("/api/v1/keys/{}/rotate", made.body["id"].as_str().expect("an id"));
    let began = app.clock.now();
    assert_eq!(app.post(&path, json!({ "grace_seconds": 0 })).await.status.as_u16(), 200);
    assert_eq!((by_ticket.closed().await.0, by_cookie.closed().await.0), (4401, 4401));
    assert!(app.clock.now().since(began).as_secs() < 5);
    assert_eq!(Socket::with(&address, PATH, &unused).await.err(), Some(401));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_opens_sockets_for_pages_of_this_origin_until_its_end() {
    let (app, address) = TestApp::listen(quick(WsOptions::default())).await;
    let cookie = signed_in(&app, &address).await;
    let origin = format!("http://{address}");
    let with = |origin: Option<&str>| -> Headers {
        let mut headers = vec![("cookie", cookie.clone())];
        headers.extend(origin.map(|origin| ("origin", origin.to_owned())));
        headers
    };
    for foreign in [None, Some("http://127.0.0.1:1"), Some("null"), Some("http://evil.example")] {
        let refused = Socket::with(&address, PATH, &with(foreign)).await.err();
        assert_eq!(refused, Some(403), "{foreign:?}");
    }
    let mut by_cookie =
        Socket::with(&address, PATH, &with(Some(&origin))).await.expect("an upgrade");
    assert_eq!(by_cookie.frame().await["type"], "connection.established");
    let own = [
        ("host", &*address),
        ("origin", &*origin),
        ("x-requested-with", "orchestrator"),
        ("cookie", &*cookie),
    ];
    let post = |path: &'static str| app.send(request(Method::POST, path, None, &own));
    let ticket = post("/api/v1/ws-tickets").await.body["ticket"].as_str().expect("one").to_owned();
    let unused = post("/api/v1/ws-tickets").await.body["ticket"].as_str().expect("one").to_owned();
    let offer = [("sec-websocket-protocol", format!("ticket.{ticket}"))];
    let mut by_ticket = Socket::with(&address, PATH, &offer).await.expect("an upgrade");
    assert_eq!(by_ticket.frame().await["type"], "connection.established");
    let began = app.clock.now();
    assert_eq!(post("/api/v1/logout").await.status.as_u16(), 204);
    assert_eq!(by_cookie.closed().await.0, 4401);
    assert_eq!(by_ticket.closed().await.0, 4401, "it was the browser's");
    assert!(app.clock.now().since(began).as_secs() < 5);
    let offer = [("sec-websocket-protocol", format!("ticket.{unused}"))];
    assert_eq!(Socket::with(&address, PATH, &offer).await.err(), Some(401), "so is what is left");
}
