//! `orchestrator demo`: everything alive within seconds, labelled, and gone afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{array, eventually, text};
use crate::support::server::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demonstration_is_alive_at_once_and_leaves_nothing() {
    let site = Site::bare();
    let from = Instant::now();
    let server = site.start(&["demo"]).await;
    let varied = async || {
        let sessions = server.all("sessions").await;
        let states: BTreeSet<_> =
            sessions.iter().map(|session| text(&session["status"]).to_owned()).collect();
        states.len() >= 4
    };
    eventually("several states", varied).await;
    let waiting = async || {
        let items = server.get("attention?state=open").await;
        array(&items["items"]).iter().any(|item| item["kind"] == "permission")
    };
    eventually("an approval", waiting).await;
    assert!(from.elapsed() < Duration::from_secs(5), "it took {:?}", from.elapsed());
    for session in server.all("sessions").await {
        let tags = array(&session["tags"]);
        assert!(tags.contains(&json!("simulated")), "{session:#}");
    }
    let seen = server.all("events").await.len();
    eventually("events flow", async || server.all("events").await.len() > seen).await;
    let folder = text(&server.ready["key_file"]).to_owned();
    let folder = std::path::Path::new(&folder).parent().expect("a folder").to_owned();
    assert!(folder.exists() && folder.starts_with(site.root()), "{}", folder.display());
    server.stop().await;
    assert!(!folder.exists(), "{} is left", folder.display());
    assert!(!site.data().exists(), "a demonstration stays away from the data of its user");
}
