//! A server that is started again finds every session as it was, whatever its state.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt as _;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{array, asks, begin, begin_with, events_without_gap, text};
use crate::support::server::{Api, Server, Site};

/// One session in every state that can be reached, by the name of its state.
async fn one_of_each(server: &Server) -> BTreeMap<&'static str, String> {
    let mut ids = BTreeMap::new();
    let finished = json!([{ "say": "Done." }]);
    let fail = |kind: &str| json!([{ "fail": { "type": kind, "retryable": false } }]);
    let completed = begin(server, &finished).await;
    server.until_status(&completed, "completed").await;
    ids.insert("completed", completed);
    let failed = begin_with(server, &fail("agent_error"), json!({ "max_retries": 0 })).await;
    server.until_status(&failed, "failed").await;
    ids.insert("failed", failed);
    let stopped = begin(server, &json!([{ "hang": true }])).await;
    server.until_status(&stopped, "running").await;
    server.post(&format!("sessions/{stopped}/stop"), json!({})).await;
    ids.insert("stopped", stopped);
    let pending = server.post("sessions", json!({ "initial_prompt": "Later." })).await;
    ids.insert("pending", text(&pending["id"]).to_owned());
    let cancelled =
        text(&server.post("sessions", json!({ "initial_prompt": "No." })).await["id"]).to_owned();
    server.post(&format!("sessions/{cancelled}/cancel"), json!({})).await;
    ids.insert("cancelled", cancelled);
    let paused = begin(server, &json!([asks(), { "say": "Done." }])).await;
    let item = server.until_asked(&paused).await;
    server.post(&format!("sessions/{paused}/pause"), json!({})).await;
    let path = format!("attention/{}/resolve", text(&item["id"]));
    server.post(&path, json!({ "decision": "allow_once" })).await;
    server.until_status(&paused, "paused").await;
    ids.insert("paused", paused);
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_state_survives_and_work_goes_on_in_order() {
    let site = Site::simulated().with("SCHEDULER__MAX_RUNNING_SESSIONS", "1");
    let mut server = site.serve().await;
    let ids = one_of_each(&server).await;
    // One works and asks; three wait behind it, the urgent one first.
    let running = begin(&server, &json!([asks(), { "say": "Done." }])).await;
    server.until_asked(&running).await;
    let mut waiting = Vec::new();
    for priority in [3, 1, 3] {
        let steps = json!([{ "say": "Done." }]);
        waiting.push(begin_with(&server, &steps, json!({ "priority": priority })).await);
    }
    waiting.swap(0, 1);
    let before = standings(&server).await;
    for round in 0..3 {
        if round == 1 {
            server.stop().await;
        } else {
            server.kill().await;
        }
        let from = Instant::now();
        server = site.serve().await;
        let recovered = &server.ready["recovered"];
        assert_eq!((&recovered["queued"], &recovered["paused"]), (&json!(3), &json!(1)));
        server.until_status(&running, "running").await;
        assert!(from.elapsed().as_secs() < 10, "it took {:?}", from.elapsed());
        assert_eq!(standings(&server).await, before, "round {round}");
    }
    // The ask outlived the restarts; its answer reaches the agent.
    let item = server.until_asked(&running).await;
    let path = format!("attention/{}/resolve", text(&item["id"]));
    server.post(&path, json!({ "decision": "allow_once" })).await;
    server.until_status(&running, "completed").await;
    for id in &waiting {
        server.until_status(id, "completed").await;
    }
    let events = events_without_gap(&server).await;
    let started: Vec<&str> = events
        .iter()
        .filter(|event| event["type"] == "session.started")
        .map(|event| text(&event["subject"]["id"]))
        .filter(|id| waiting.iter().any(|known| known == id))
        .collect();
    assert_eq!(started, waiting, "the queue kept its order");
    server.post(&format!("sessions/{}/resume", ids["paused"]), json!({})).await;
    server.until_status(&ids["paused"], "completed").await;
    tokens_never_repeat(&server).await;
    server.stop().await;
}

/// The status of every session.
async fn standings(api: &Api) -> BTreeMap<String, String> {
    let sessions = api.all("sessions").await;
    let standing = |session: &Value| (text(&session["id"]).into(), text(&session["status"]).into());
    sessions.iter().map(standing).collect()
}

/// No fencing token was given twice.
pub(super) async fn tokens_never_repeat(api: &Api) {
    let mut seen = BTreeMap::new();
    for session in api.all("sessions").await {
        let id = text(&session["id"]).to_owned();
        let attempts = api.get(&format!("sessions/{id}/attempts")).await;
        for lease in array(&attempts["items"]).iter().flat_map(|one| array(&one["leases"])) {
            let other = seen.insert(lease["fencing_token"].as_u64(), id.clone());
            assert_eq!(other, None, "{lease:#} of {id} was given before");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_leave_its_note_serves_all_the_same() {
    let site = Site::simulated();
    let data = site.data();
    // A folder stands where the note is to be written.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data.join("server.new"))
        .expect("a folder");
    let server = site.serve().await;
    let id = begin(&server, &json!([{ "say": "Done." }])).await;
    server.until_status(&id, "completed").await;
    assert!(site.log().contains("server.json cannot be written"), "{}", site.log());
    server.stop().await;
}
