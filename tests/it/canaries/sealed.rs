//! Secrets of webhooks are kept sealed: the store alone is worth nothing, and a server that lost its key
//! says so and goes on once they are rotated.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::opencode::eventually;
use crate::support::server::{Server, Site, array, text};

fn site() -> Site {
    Site::simulated()
        .with("WEBHOOKS__RETRY_AFTER", &format!("[{}]", vec!["\"100ms\""; 20].join(",")))
}

async fn hook(server: &Server, path: &str) -> Value {
    server.get(&format!("webhooks/{path}")).await
}

/// The text of why the newest delivery was not made, when it has one.
async fn reason(server: &Server, path: &str) -> String {
    let log = hook(server, &format!("{path}/deliveries")).await;
    let newest = array(&log["items"]).first().cloned().unwrap_or_default();
    array(&newest["attempts"])
        .last()
        .map(|last| text(&last["error"]).to_owned())
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_key_stops_deliveries_with_a_reason_until_secrets_are_rotated() {
    let site = site();
    let server = site.serve().await;
    let made = server.post("webhooks", json!({ "url": "http://127.0.0.1:9/x" })).await;
    let (id, secret) = (text(&made["id"]).to_owned(), text(&made["secret"]).to_owned());
    server.stop().await;
    let store = std::fs::read(site.data().join("store.redb")).expect("read");
    assert!(!store.windows(secret.len()).any(|part| part == secret.as_bytes()), "sealed");
    std::fs::remove_file(site.data().join("seal.key")).expect("lost");

    let server = site.serve().await;
    server.post(&format!("webhooks/{id}/test"), json!({})).await;
    let is_told = async || reason(&server, &id).await.contains("seal.key");
    eventually("the reason is told", is_told).await;
    let rotated = server.send(Method::POST, &format!("webhooks/{id}/rotate"), None, None).await;
    let rotated = rotated.expect("an answer");
    assert!(rotated.status.is_success(), "{rotated:?}");
    // Signed again, it reaches out, and finds nobody there.
    let reaches = async || reason(&server, &id).await.contains("cannot be reached");
    eventually("it is sent again", reaches).await;
    server.stop().await;
}
