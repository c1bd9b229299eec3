//! Webhooks against a real receiver: signatures, order, retries, and what must never be sent.

mod damaged;
mod edge;
mod fair;
mod faults;
mod kills;
mod line;
mod receiver;
mod rights;
mod telling;

use std::time::Duration;

use axum::http::StatusCode;
use orchestrator::application::webhooks::sender::Sender;
use serde_json::{Value, json};

use self::receiver::{Got, Receiver};
use crate::support::app::TestApp;

const HOOKS: &str = "/api/v1/webhooks";
/// Longest wait for something that comes at once on a machine that is not busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// The API with the sender at work.
async fn app() -> TestApp {
    let app = TestApp::new().await;
    let sender = Sender::new(app.state.webhooks.clone(), app.tracker.clone());
    app.tracker.spawn(sender.run(app.shutdown.clone()));
    app
}

/// A webhook to this receiver for these types; the answer to its creation.
async fn hook(app: &TestApp, receiver: &Receiver, types: &[&str]) -> Value {
    let body = json!({ "url": receiver.url(), "event_types": types });
    let made = app.post(HOOKS, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    made.body
}

/// A new session, which is one event of its own.
async fn session(app: &TestApp) -> String {
    let made = app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    made.body["id"].as_str().expect("an id").to_owned()
}

/// Changes a session, which is one event.
async fn touch(app: &TestApp, id: &str, title: &str) {
    let path = format!("/api/v1/sessions/{id}");
    let body = json!({ "title": title });
    let changed = app.send(app.request(axum::http::Method::PATCH, &path, Some(body))).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
}

/// Waits until the receiver got what is wanted.
async fn until(receiver: &Receiver, what: &str, wanted: impl Fn(&[Got]) -> bool) -> Vec<Got> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let got = receiver.got();
        if wanted(&got) {
            return got;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited in vain for {what}: {got:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until an answer of the API is as wanted.
async fn until_told(
    app: &TestApp,
    path: impl AsRef<str>,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let told = app.get(path.as_ref()).await.body;
        if wanted(&told) {
            return told;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited in vain for {what}: {told:#}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn path_of(hook: &Value) -> String {
    format!("{HOOKS}/{}", hook["id"].as_str().expect("an id"))
}

/// Deliveries of a webhook, newest first.
async fn log(app: &TestApp, hook: &Value) -> Vec<Value> {
    let page = app.get(&format!("{}/deliveries?limit=200", path_of(hook))).await.body;
    page["items"].as_array().expect("a page").clone()
}
