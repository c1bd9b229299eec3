//! `orchestrator webhook …`, as people type it.

use serde_json::Value;

use super::receiver::{Receiver, Say};
use crate::support::server::Site;

/// Runs a command that must succeed; its JSON.
async fn told(site: &Site, words: &[&str]) -> Value {
    let words = [&["--json", "webhook"], words].concat();
    let done = site.cli(&words).await;
    assert_eq!(done.exit, 0, "{words:?}: {done:?}");
    serde_json::from_str(&done.out).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_is_made_tried_changed_and_deleted_from_the_shell() {
    let site = Site::simulated();
    let (server, receiver) = (site.serve().await, Receiver::new().await);
    let made = told(&site, &["create", &receiver.url(), "--type", "session.*"]).await;
    let id = made["id"].as_str().expect("an id").to_owned();
    let tried = told(&site, &["test", &id]).await;
    assert_eq!(tried["state"], "delivered", "{tried:#}");
    assert!(receiver.got()[0].is_signed_with(made["secret"].as_str().expect("shown")));
    receiver.say([Say::Status(500)]);
    let refused = site.cli(&["webhook", "test", &id]).await;
    assert_eq!(refused.exit, 1, "{refused:?}");
    assert!(refused.err.contains("answered 500"), "{refused:?}");
    let first = tried["id"].as_str().expect("an id");
    let again = told(&site, &["redeliver", &id, first]).await;
    assert_eq!(again["redelivery_of"], tried["id"], "{again:#}");
    let deliveries = told(&site, &["deliveries", &id]).await;
    assert_eq!(deliveries["items"].as_array().map(Vec::len), Some(3), "{deliveries:#}");
    let moved = format!("http://{}/elsewhere", receiver.address);
    let edited = told(&site, &["edit", &id, "--to", &moved, "--all-types", "--off"]).await;
    assert_eq!((&edited["url"], &edited["state"]), (&moved.into(), &"off".into()), "{edited:#}");
    let denied = site.cli(&["webhook", "edit", &id, "--to", "http://169.254.169.254/"]).await;
    assert_eq!(denied.exit, 64, "{denied:?}");
    assert!(denied.err.contains("metadata"), "{denied:?}");
    let rotated = told(&site, &["rotate", &id]).await;
    assert_ne!(rotated["secret"], made["secret"]);
    let table = site.cli(&["webhook", "list"]).await;
    assert!(table.out.contains(&id) && table.out.contains("off"), "{table:?}");
    assert!(!table.out.contains("whsec_"), "{table:?}");
    told(&site, &["delete", &id]).await;
    assert_eq!(told(&site, &["list"]).await["items"], serde_json::json!([]));
    server.stop().await;
}
