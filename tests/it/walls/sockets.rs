//! Rooms of sockets: those of another tenant are rooms that never were.

use axum::http::Method;
use orchestrator::domain::tenant::key::Role;
use orchestrator::presentation::api::state::WsOptions;
use serde_json::{Value, json};

use super::things::CANARY;
use crate::support::app::{TestApp, bearer};
use crate::ws::client::{Socket, quick};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_room_and_no_event_of_another_tenant_is_heard_of() {
    let (app, address) = TestApp::listen(quick(WsOptions::default())).await;
    let body = json!({ "initial_prompt": CANARY, "title": CANARY });
    let session = app.post("/api/v1/sessions", body).await;
    let theirs = session.body["id"].as_str().expect("an id").to_owned();
    let never = app.ids.uuid().to_string();
    let secret = app.key(app.other, Role::Admin).await;
    let key = [("authorization", bearer(&secret))];
    // By the path, before there is a socket.
    for (theirs, never) in [(&*theirs, &*never), ("IND-000001", "IND-987654")] {
        let mut refusals = Vec::new();
        for id in [theirs, never] {
            let path = format!("/ws/sessions/{id}");
            refusals.push(Socket::with(&address, &path, &key).await.err());
        }
        assert!(refusals[0] == Some(404) && refusals[1] == refusals[0], "{refusals:?}");
    }
    // By a frame.
    let mut socket = Socket::with(&address, "/ws/sessions", &key).await.expect("a socket");
    socket.frame_of("subscription.confirmed").await;
    for (theirs, never) in [(&*theirs, &*never), ("IND-000001", "IND-987654")] {
        let mut answers: Vec<Value> = Vec::new();
        for id in [theirs, never] {
            let frame =
                json!({ "type": "subscribe", "rooms": [format!("session:{id}")], "after": 0 });
            socket.say(&frame.to_string()).await;
            let mut answer = socket.frame_of("error").await;
            answer["timestamp"] = Value::Null;
            answers.push(answer);
        }
        assert_eq!(answers[0], answers[1]);
    }
    // What happens there is not told here; what happens here is.
    let path = format!("/api/v1/sessions/{theirs}/cancel");
    app.post(&path, json!({ "reason": CANARY })).await;
    let own = super::asked::by(&app, &secret, Method::GET, "/api/v1/events").await;
    assert!(own.status.is_success() && !own.body.to_string().contains(CANARY), "{own:?}");
    let body = json!({ "initial_prompt": "x" });
    let made = super::things::keyed(&app, Some(&secret), "mine", &body).await;
    assert_eq!(made.status.as_u16(), 201);
    let heard = socket.frame_of("session.created").await;

    assert!(!heard.to_string().contains(CANARY) && heard["tenant_id"] == json!(app.other));
}
