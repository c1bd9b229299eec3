//! SIGTERM: work is saved and taken up again; a second signal ends at once.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::{Signal, kill_process};
use serde_json::json;
use tokio::time::Instant;

use super::{array, asks, begin, begin_with, calculator, events_without_gap, saved, settled, text};
use crate::support::server::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_session_is_taken_up_by_the_next_server() {
    let (site, repo) = (Site::simulated(), calculator());
    let server = site.serve().await;
    let steps = json!([
        { "tool": { "tool": "write", "write": { "path": "kept.txt", "content": "kept\n" } } },
        asks(), { "say": "Done." },
    ]);
    let workspace = json!({ "workspace": { "kind": "git", "repo": repo.text() } });
    let id = begin_with(&server, &steps, workspace).await;
    server.until_asked(&id).await;
    let from = Instant::now();
    server.terminate();
    let (exit, rest) = server.ended(Duration::from_secs(20)).await;
    assert_eq!((exit, rest.as_str()), (0, ""), "{}", site.log());
    assert!(from.elapsed().as_secs() < 15, "it took {:?}", from.elapsed());
    assert!(!site.data().join("server.json").exists());

    let server = site.serve().await;
    assert_eq!(server.ready["recovered"]["resumed"], 1);
    let taken = server.get(&format!("sessions/{id}/checkpoints")).await;
    let last = array(&taken["items"]).last().cloned().unwrap_or_default();
    assert!(last["workspace_ref"].is_string(), "nothing was saved: {taken:#}");
    let item = server.until_asked(&id).await;
    let path = format!("attention/{}/resolve", text(&item["id"]));
    server.post(&path, json!({ "decision": "allow_once" })).await;
    let ended = server.until_status(&id, "completed").await;
    assert_eq!(ended["attempt"], 1, "a clean restart is no failure: {ended:#}");
    assert_eq!(saved(&repo, &id, "kept.txt"), "kept");
    events_without_gap(&server).await;
    settled(&site, &server, Some(&repo)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    let site = Site::simulated();
    let server = site.serve().await;
    let id = begin(&server, &json!([{ "hang": true }])).await;
    server.until_status(&id, "running").await;
    // A request that does not end keeps the server draining.
    let address = format!("{}/api/v1/sessions/{id}/events?follow=true", server.url);
    let follow = server.http.get(address).bearer_auth(crate::support::server::ADMIN_KEY);
    let stream = follow.header("X-Tenant-ID", "default").header("Accept", "text/event-stream");
    let _stream = stream.send().await.expect("a stream");
    server.terminate();
    super::eventually("it is stopping", async || site.log().contains("Stopping")).await;
    let from = Instant::now();
    kill_process(server.pid(), Signal::TERM).ok();
    let (exit, _) = server.ended(Duration::from_secs(5)).await;
    assert!(exit == 130 || exit == 0, "{exit}: {}", site.log());
    assert!(from.elapsed().as_secs() < 3);
    let server = site.serve().await;
    server.until_status(&id, "running").await;
    server.post(&format!("sessions/{id}/stop"), json!({})).await;
    settled(&site, &server, None).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_ends_no_server_and_tells_which_settings_have_changed() {
    let site = Site::simulated();
    std::fs::create_dir_all(site.data()).expect("made");
    std::fs::set_permissions(site.data(), PermissionsExt::from_mode(0o700)).expect("changed");
    let settings = site.data().join("orchestrator.toml");
    std::fs::write(&settings, "[scheduler]\nmax_running_sessions = 7\n").expect("written");
    let server = site.serve().await;
    let says = async |what: &str| {
        kill_process(server.pid(), Signal::HUP).expect("it takes signals");
        super::eventually(what, async || site.log().contains(what)).await;
        assert_eq!(server.get("sessions").await["items"], json!([]), "it goes on");
    };
    says("none of them has changed").await;
    std::fs::write(&settings, "[scheduler]\nmax_running_sessions = 8\n").expect("written");
    says("that have changed: scheduler.max_running_sessions").await;
    std::fs::write(&settings, "[scheduler]\nmax_running_sessions = \"many\"\n").expect("written");
    says("those before count").await;
    server.stop().await;
    let demo = Site::bare().start(&["demo"]).await;
    for _ in 0..3 {
        kill_process(demo.pid(), Signal::HUP).expect("it takes signals");
        let alive = demo.http.get(format!("{}/health", demo.url)).send().await;
        assert!(alive.expect("an answer").status().is_success());
    }
    demo.stop().await;
}
