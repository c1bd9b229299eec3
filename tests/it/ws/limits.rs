//! What ends a socket, and what does not.

use std::time::Duration;

use orchestrator::application::ports::journal::{NewEntry, Stream};
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::presentation::api::state::WsOptions;
use serde_json::json;
use tokio::time::timeout;

use super::client::{News, SOON, Socket, quick};
use crate::support::app::{ADMIN, TestApp, bearer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_malformed_frames_in_a_row_close_nine_do_not() {
    let (_app, address) = TestApp::listen(quick(WsOptions::default())).await;
    let mut socket = Socket::open(&address, "/ws/events").await;
    socket.frame().await;
    for _ in 0..9 {
        socket.say("nonsense").await;
        assert_eq!(socket.frame().await["type"], "error");
    }
    socket.say(r#"{"type":"ping"}"#).await;
    assert_eq!(socket.frame().await["type"], "pong");
    for _ in 0..10 {
        socket.say(r#"{"type":"dance"}"#).await;
        assert_eq!(socket.frame().await["type"], "error");
    }
    assert!(matches!(socket.news().await, News::Closed(1008, _)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hearts_beat_and_shutdown_says_so() {
    let ws = WsOptions { heartbeat: Duration::from_millis(50), ..WsOptions::default() };
    let (app, address) = TestApp::listen(quick(ws)).await;
    let mut socket = Socket::open(&address, "/ws/system").await;
    assert_eq!(socket.frame_of("heartbeat").await["payload"]["head_seq"], 1);
    socket.frame_of("heartbeat").await;
    app.shutdown.cancel();
    loop {
        match socket.news().await {
            News::Frame(_) => {}
            News::Closed(code, _) => {
                assert_eq!(code, 1001);
                break;
            }
            News::Gone => panic!("closed without a word"),
        }
    }
    app.tracker.close();
    timeout(SOON, app.tracker.wait()).await.expect("every task ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_are_limited_and_given_back() {
    let ws = WsOptions { per_principal: 2, ..WsOptions::default() };
    let (app, address) = TestApp::listen(quick(ws)).await;
    let one = Socket::open(&address, "/ws/events").await;
    let _two = Socket::open(&address, "/ws/events").await;
    let headers = [("authorization", bearer(ADMIN)), ("x-tenant-id", "default".to_owned())];
    assert_eq!(Socket::with(&address, "/ws/events", &headers).await.err(), Some(429));
    drop(one);
    let deadline = tokio::time::Instant::now() + SOON;
    while Socket::with(&address, "/ws/events", &headers).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the place is given back");
    }
    drop(app);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_that_is_too_large_closes() {
    let (_app, address) = TestApp::listen(quick(WsOptions::default())).await;
    let mut socket = Socket::open(&address, "/ws/events").await;
    socket.frame().await;
    socket.say(&"x".repeat(70 * 1024)).await;
    assert!(matches!(socket.news().await, News::Closed(1009, _) | News::Gone));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_client_is_cut_off_with_its_number_and_nobody_else_notices() {
    let ws = WsOptions { behind_frames: 40, ..WsOptions::default() };
    let (app, address) = TestApp::listen(quick(ws)).await;
    let made = app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
    let id = SessionId::parse(made.body["id"].as_str().expect("an id")).expect("an id");
    let path = format!("/ws/sessions/{id}");
    let mut slow = Socket::open(&address, &path).await;
    let mut quick = Socket::open(&address, &path).await;
    for socket in [&mut slow, &mut quick] {
        socket.frame_of("subscription.confirmed").await;
    }
    // Far more than the buffers of both ends of a connection hold.
    for number in 0..400_u64 {
        let body = json!({ "message": "x".repeat(60_000), "n": number });
        let entry = NewEntry { at: app.clock.now(), kind: "info".to_owned(), body };
        let appended = app.journal.append(TenantId::BOOTSTRAP, id, Stream::Log, vec![entry]).await;
        appended.expect("appended");
        assert_eq!(quick.frame_of("session.log").await["payload"]["n"], number);
    }
    loop {
        match slow.news().await {
            News::Frame(_) => {}
            News::Closed(code, reason) => {
                assert_eq!((code, reason.as_str()), (4008, "too slow; resume with after=2"));
                break;
            }
            News::Gone => panic!("closed without a word"),
        }
    }
}
