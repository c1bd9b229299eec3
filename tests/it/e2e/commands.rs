//! Every command of a session over HTTP, against the simulated agent.

use reqwest::Method;
use serde_json::{Value, json};

use super::{array, asks, begin, begin_with, calculator, events_without_gap, saved, settled, text};
use crate::support::server::{Server, Site};

/// A tool that writes a file.
fn writes(path: &str, content: &str) -> Value {
    json!({ "tool": { "tool": "write", "title": path, "write": {
        "path": path, "content": content } } })
}

async fn resolve(server: &Server, id: &str, decision: &str) {
    let item = server.until_asked(id).await;
    let path = format!("attention/{}/resolve", text(&item["id"]));
    server.post(&path, json!({ "decision": decision })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_paused_resumed_stopped_and_cancelled() {
    let site = Site::simulated();
    let server = site.serve().await;
    // A turn that waits for a permission ends the pause's patience only when it is answered.
    let id = begin(&server, &json!([asks(), { "say": "Done." }])).await;
    server.until_asked(&id).await;
    server.post(&format!("sessions/{id}/pause"), json!({})).await;
    resolve(&server, &id, "allow_once").await;
    let paused = server.until_status(&id, "paused").await;
    assert!(paused["current_agent_id"].is_null(), "{paused:#}");
    let refused = server.refused(&format!("sessions/{id}/pause"), json!({}), 409).await;
    assert_eq!(refused["code"], "INVALID_TRANSITION", "{refused:#}");
    server.post(&format!("sessions/{id}/resume"), json!({})).await;
    server.until_status(&id, "completed").await;

    let id = begin(&server, &json!([{ "hang": true }])).await;
    server.until_status(&id, "running").await;
    server.refused(&format!("sessions/{id}/cancel"), json!({}), 409).await;
    let stopped = server.post(&format!("sessions/{id}/stop"), json!({ "reason": "enough" })).await;
    assert_eq!(
        (&stopped["status"], &stopped["status_reason"]),
        (&json!("stopped"), &json!("enough"))
    );
    server.refused(&format!("sessions/{id}/resume"), json!({}), 409).await;

    let pending = server.post("sessions", json!({ "initial_prompt": "Later." })).await;
    assert_eq!(pending["status"], "pending");
    let path = format!("sessions/{}/cancel", text(&pending["id"]));
    assert_eq!(server.post(&path, json!({})).await["status"], "cancelled");
    settled(&site, &server, None).await;
    events_without_gap(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prompts_are_queued_or_interrupt() {
    let site = Site::simulated();
    let server = site.serve().await;
    let id = begin(&server, &json!([asks(), { "say": "First turn." }])).await;
    server.until_asked(&id).await;
    let queued = super::plays(&json!([{ "say": "Second turn." }, { "hang": true }]));
    server.post(&format!("sessions/{id}/prompt"), json!({ "text": queued })).await;
    resolve(&server, &id, "deny").await;
    said(&server, &id, "Second turn.").await;
    let urgent = super::plays(&json!([{ "say": "Third turn." }]));
    let body = json!({ "text": urgent, "mode": "interrupt" });
    server.post(&format!("sessions/{id}/prompt"), body).await;
    let ended = server.until_status(&id, "completed").await;
    assert_eq!(ended["attempt"], 1);
    let transcript = server.all(&format!("sessions/{id}/transcript")).await;
    let words = transcript.iter().filter(|entry| entry["kind"] == "text");
    let words: Vec<&str> = words.map(|entry| text(&entry["body"]["text"])).collect();
    assert_eq!(words, ["First turn.", "Second turn.", "Third turn."]);
    let body = json!({ "text": "Too late." });
    server.refused(&format!("sessions/{id}/prompt"), body, 409).await;
    settled(&site, &server, None).await;
    server.stop().await;
}

/// Waits until the transcript holds these words.
async fn said(server: &Server, id: &str, words: &str) {
    super::eventually(words, async || {
        let transcript = server.all(&format!("sessions/{id}/transcript")).await;
        transcript.iter().any(|entry| entry["body"]["text"] == json!(words))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_work_is_retried_forked_and_restored() {
    let (site, repo) = (Site::simulated(), calculator());
    let server = site.serve().await;
    let workspace = json!({ "kind": "git", "repo": repo.text() });
    let fields = json!({ "workspace": workspace, "max_retries": 1 });
    let steps = json!([writes("one.txt", "1\n"), asks(), writes("two.txt", "2\n")]);
    let id = begin_with(&server, &steps, fields).await;
    server.until_asked(&id).await;
    let failure = json!({ "error_message": "out of luck", "retryable": false });
    let failed = server.post(&format!("sessions/{id}/fail"), failure).await;
    assert_eq!(failed["status"], "failed", "{failed:#}");
    let retried = server.post(&format!("sessions/{id}/retry"), json!({})).await;
    assert_eq!(retried["attempt"], 1, "{retried:#}");
    server.until(&id, "a second attempt", |session| session["attempt"] == 2).await;
    resolve(&server, &id, "allow_once").await;
    let ended = server.until_status(&id, "completed").await;
    assert_eq!(ended["attempt"], 2);
    assert_eq!(saved(&repo, &id, "two.txt"), "2");
    let attempts = server.get(&format!("sessions/{id}/attempts")).await;
    let tokens: Vec<u64> = array(&attempts["items"])
        .iter()
        .flat_map(|attempt| array(&attempt["leases"]))
        .filter_map(|lease| lease["fencing_token"].as_u64())
        .collect();
    assert!(tokens.len() == 2 && tokens[0] < tokens[1], "{attempts:#}");

    // The copy begins from the newest checkpoint, in a worktree and on a branch of its own.
    let more = super::plays(&json!([writes("three.txt", "3\n")]));
    let body = json!({ "initial_prompt": more, "title": "A copy" });
    let fork = server.post(&format!("sessions/{id}/fork"), body).await;
    assert_eq!(fork["forked_from"]["session_id"], json!(id), "{fork:#}");
    let copy = text(&fork["id"]).to_owned();
    if fork["status"] == "pending" {
        server.post(&format!("sessions/{copy}/start"), json!({})).await;
    }
    server.until_status(&copy, "completed").await;
    for (file, content) in [("one.txt", "1"), ("two.txt", "2"), ("three.txt", "3")] {
        assert_eq!(saved(&repo, &copy, file), content);
    }
    settled(&site, &server, Some(&repo)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_that_is_asked_for_again_gives_its_report_again() {
    let (site, repo) = (Site::simulated(), calculator());
    let server = site.serve().await;
    let fields = json!({ "workspace": { "kind": "git", "repo": repo.text() } });
    let id = begin_with(&server, &json!([writes("one.txt", "1\n")]), fields).await;
    server.until_status(&id, "completed").await;
    let path = format!("sessions/{id}/merge");
    for mode in ["patch", "merge"] {
        let body = json!({ "mode": mode });
        let send = || server.send(Method::POST, &path, Some(&body), Some(mode));
        let (first, again) = (send().await.expect("merged"), send().await.expect("again"));
        assert!(first.status.is_success() && !first.replayed, "{first:?}");
        assert_eq!(first.body["mode"], json!(mode));
        assert!(again.replayed && again.body == first.body, "{again:?}");
    }
    assert_eq!(std::fs::read_to_string(repo.path().join("one.txt")).expect("merged"), "1\n");
    settled(&site, &server, Some(&repo)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_brings_the_files_back() {
    let (site, repo) = (Site::simulated(), calculator());
    let server = site.serve().await;
    let workspace = json!({ "kind": "git", "repo": repo.text() });
    let steps = json!([writes("a.txt", "old\n"), asks(), writes("a.txt", "new\n"), asks()]);
    let id = begin_with(&server, &steps, json!({ "workspace": workspace })).await;
    server.until_asked(&id).await;
    let path = format!("sessions/{id}/checkpoints");
    let body = json!({ "checkpoint_data": { "note": "before" } });
    let taken = server.post(&path, body).await;
    assert!(taken["workspace_ref"].is_string(), "{taken:#}");
    let file = std::path::PathBuf::from(text(&server.session(&id).await["workspace"]["path"]));
    resolve(&server, &id, "allow_once").await;
    let content = || std::fs::read_to_string(file.join("a.txt")).unwrap_or_default();
    super::eventually("the new file", async || content() == "new\n").await;
    server.until_asked(&id).await;
    server.post(&format!("sessions/{id}/pause"), json!({})).await;
    resolve(&server, &id, "allow_once").await;
    server.until_status(&id, "paused").await;
    let sequence = taken["sequence"].as_u64().unwrap_or_default();
    let restored = server.post(&format!("{path}/{sequence}/restore"), json!({})).await;
    assert_eq!(restored["status"], "paused", "{restored:#}");
    server.post(&format!("sessions/{id}/resume"), json!({})).await;
    super::eventually("the old file", async || content() == "old\n").await;
    server.post(&format!("sessions/{id}/stop"), json!({})).await;
    settled(&site, &server, Some(&repo)).await;
    server.stop().await;
}
