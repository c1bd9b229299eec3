//! Stored and live events as one stream.

use std::sync::Arc;

use orchestrator::application::ports::journal::{NewEntry, Stream};
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::presentation::api::state::WsOptions;
use serde_json::json;

use super::client::{Socket, quick};
use crate::support::app::TestApp;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_resumes_without_gap_or_double_while_events_are_written() {
    let (app, address) = TestApp::listen(quick(WsOptions::default())).await;
    let app = Arc::new(app);
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let app = Arc::clone(&app);
            app.tracker.clone().spawn(async move {
                for _ in 0..25 {
                    let made = app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
                    let id = made.body["id"].as_str().expect("an id").to_owned();
                    app.post(&format!("/api/v1/sessions/{id}/cancel"), json!({})).await;
                }
            })
        })
        .collect();
    // The first event tells of the first key and is not about sessions.
    let (total, mut seen) = (1 + 4 * 25 * 3, vec![1_u64]);
    while seen.len() < total {
        let after = seen.last().copied().unwrap_or(0);
        let mut socket = Socket::open(&address, &format!("/ws/sessions?after={after}")).await;
        for _ in 0..50.min(total - seen.len()) {
            seen.push(socket.event().await["seq"].as_u64().expect("a number"));
        }
    }
    for writer in writers {
        writer.await.expect("no panic");
    }
    let expected: Vec<u64> = (1..=u64::try_from(total).expect("small")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_later_brings_what_was_missed_once() {
    let (app, address) = TestApp::listen(quick(WsOptions::default())).await;
    for _ in 0..3 {
        app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
    }
    let mut socket = Socket::open(&address, "/ws/events").await;
    socket.say(r#"{"type":"subscribe","rooms":["sessions"],"after":2}"#).await;
    let mut seqs = Vec::new();
    for _ in 0..2 {
        seqs.push(socket.event().await["seq"].as_u64().expect("a number"));
    }
    assert_eq!(seqs, [3, 4]);
    socket.say(r#"{"type":"subscribe","rooms":["events"],"after":0}"#).await;
    seqs.clear();
    for _ in 0..2 {
        seqs.push(socket.event().await["seq"].as_u64().expect("a number"));
    }
    assert_eq!(seqs, [1, 2]);
    app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
    assert_eq!(socket.event().await["seq"], 5);
    socket.say(r#"{"type":"unsubscribe","rooms":["events","sessions"]}"#).await;
    socket.frame_of("subscription.cancelled").await;
    socket.frame_of("subscription.cancelled").await;
    app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
    socket.say(r#"{"type":"ping"}"#).await;
    let pong = socket.frame().await;
    // What it left is not for it: it was sent all that it may see, up to what it has looked at.
    let (head, position) = (&pong["payload"]["head_seq"], &pong["payload"]["position"]);
    assert_eq!((&pong["type"], head), (&json!("pong"), &json!(6)));
    assert!(position.as_u64().is_some_and(|seq| (5..=6).contains(&seq)), "{pong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_lines_and_words_come_live_to_their_own_session() {
    let (app, address) = TestApp::listen(quick(WsOptions::default())).await;
    let made = app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
    let id = SessionId::parse(made.body["id"].as_str().expect("an id")).expect("an id");
    let mut socket = Socket::open(&address, &format!("/ws/sessions/{id}")).await;
    socket.frame_of("subscription.confirmed").await;
    let body = json!({ "message": "hello" });
    let entry = NewEntry { at: app.clock.now(), kind: "warning".to_owned(), body };
    app.journal.append(TenantId::BOOTSTRAP, id, Stream::Log, vec![entry]).await.expect("appended");
    let line = socket.frame_of("session.log").await;
    assert_eq!(
        (&line["payload"]["message"], &line["payload"]["level"]),
        (&json!("hello"), &json!("warning"))
    );
    let (part, text) = ("p1".to_owned(), "wor".to_owned());
    app.state.events.deltas().tell(TenantId::BOOTSTRAP, id, part, text, app.clock.now());
    assert_eq!(socket.frame_of("session.output_delta").await["payload"]["text"], "wor");
}
