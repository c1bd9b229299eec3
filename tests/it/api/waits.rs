//! Pages of events that are waited for, and what every reader says of events that are gone.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use orchestrator::presentation::api::state::ApiOptions;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::app::TestApp;

async fn made(app: &TestApp) -> String {
    let made = app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
    made.body["id"].as_str().expect("an id").to_owned()
}

async fn head(app: &TestApp) -> u64 {
    let page = app.get("/api/v1/events?limit=200").await;
    page.body["next_after"].as_u64().unwrap_or(0)
}

fn seqs(page: &Value) -> Vec<u64> {
    let items = page["items"].as_array().expect("a page").iter();
    items.filter_map(|event| event["seq"].as_u64()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_waited_for_until_there_is_an_event() {
    let app = Arc::new(TestApp::new().await);
    let last = head(&app).await;
    // What is there already is not waited for.
    let began = Instant::now();
    let page = app.get("/api/v1/events?after=0&wait=20").await;
    assert_eq!((page.status, seqs(&page.body).len()), (StatusCode::OK, 1), "{}", page.body);
    let waiter = Arc::clone(&app);
    let waiting = app.tracker.spawn(async move {
        waiter.get(&format!("/api/v1/events?after={last}&type=session.updated&wait=20")).await
    });
    let id = made(&app).await; // an event, but not the one that is waited for
    let body = Some(json!({ "title": "changed" }));
    let path = format!("/api/v1/sessions/{id}");
    while !waiting.is_finished() {
        app.send(app.request(axum::http::Method::PATCH, &path, body.clone())).await;
        let body = Some(json!({ "title": "again" }));
        app.send(app.request(axum::http::Method::PATCH, &path, body)).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let page = waiting.await.expect("no panic");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let items = page.body["items"].as_array().expect("a page");
    assert!(items.iter().all(|event| event["type"] == "session.updated"), "{}", page.body);
    assert!(!items.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_ends_empty_in_its_time_and_before_the_request_does() {
    let options =
        ApiOptions { rate: None, request_timeout: Duration::from_secs(3), ..ApiOptions::default() };
    let app = TestApp::with(options, Vec::new()).await;
    let last = head(&app).await;
    let began = Instant::now();
    let page = app.get(&format!("/api/v1/events?after={last}&wait=30")).await;
    assert_eq!((page.status, &page.body["items"]), (StatusCode::OK, &json!([])), "{}", page.body);
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    // A page says how far it has looked, so that nothing is looked at twice.
    made(&app).await;
    let path = format!("/api/v1/events?after={last}&type=session.deleted&wait=1");
    let page = app.get(&path).await;
    assert_eq!(page.body["next_after"], json!(last + 1), "{}", page.body);
    let wrong = app.get("/api/v1/events?wait=31").await;
    assert_eq!(wrong.body["errors"][0]["pointer"], "?wait", "{}", wrong.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_ends_with_the_server() {
    let app = Arc::new(TestApp::new().await);
    let last = head(&app).await;
    let waiter = Arc::clone(&app);
    let waiting = app
        .tracker
        .spawn(async move { waiter.get(&format!("/api/v1/events?after={last}&wait=25")).await });
    let began = Instant::now();
    tokio::task::yield_now().await;
    app.shutdown.cancel();
    let page = waiting.await.expect("no panic");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(page.status == StatusCode::OK || page.code() == "SHUTTING_DOWN", "{}", page.body);
}
