//! What was left open by a server that was killed, and what the next one tells of it.

use std::sync::Arc;

use orchestrator::application::ports::clock::Clock;
use orchestrator::application::ports::store::Store as _;
use orchestrator::domain::event::EventType;
use orchestrator::domain::ids::TenantId;
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::storage::redb::{RedbOptions, RedbStore};
use serde_json::{Value, json};

use super::{array, begin, text};
use crate::support::server::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_takes_up_what_a_kill_left_open_and_tells_of_it() {
    let site = Site::simulated();
    let server = site.serve().await;
    let id = begin(&server, &json!([{ "hang": true }])).await;
    server.until_status(&id, "running").await;
    server.kill().await;
    let server = site.serve().await;
    assert_eq!(server.ready["recovered"]["resumed"], 1, "{}", server.ready);
    for words in [&["recovery", "plan", "--json"][..], &["recovery", "apply", "--json"]] {
        let told = site.cli(words).await;
        assert_eq!(told.exit, 0, "{told:?}");
        let page: Value = serde_json::from_str(&told.out).expect("JSON");
        assert!(array(&page["items"]).is_empty(), "the start has done it: {page:#}");
    }
    let told = site.cli(&["recovery", "plan"]).await;
    assert!(told.exit == 0 && told.err.contains("nothing is left open"), "{told:?}");
    let usage = server.get("storage/usage").await;
    let sessions = array(&usage["classes"]).iter().find(|class| class["class"] == "sessions");
    let sessions = sessions.expect("a class");
    assert!(sessions["rows"] == 1 && sessions["bytes"].as_u64() > Some(0), "{usage:#}");
    let info = server.get("system/info").await;
    assert_eq!(
        (text(&info["store"]), &info["executing_sessions"]),
        ("redb", &json!(1)),
        "{info:#}"
    );
    server.stop().await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let options = RedbOptions::new(site.data());
    let store = RedbStore::open(options, clock, Arc::new(SystemIds)).expect("nobody holds it");
    let snapshot = store.snapshot(TenantId::SYSTEM).await.expect("a snapshot");
    let events = snapshot.events(0, None, 100).await.expect("readable");
    let kinds: Vec<(u64, EventType)> =
        events.iter().map(|event| (event.seq, event.event.event_type)).collect();
    let expected = [
        (1, EventType::SystemStarted),
        (2, EventType::SystemRecovered),
        (3, EventType::SystemStarted),
        (4, EventType::SystemRecovered),
        (5, EventType::SystemStopping),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(events[0].event.payload["store"], "redb");
    assert_eq!(events[3].event.payload["resumed"], 1);
    assert_eq!(events[4].event.payload["reason"], "shutdown");
}
