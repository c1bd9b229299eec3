//! Whom a server connects to: nobody who was not named. Traced at the kernel, idle and at work.

use std::path::Path;

use serde_json::json;

use super::{begin_with, calculator, text};
use crate::support::opencode::eventually;
use crate::support::server::{Server, Site};

/// What was connected to, or sent to without a connection, that is no socket of this machine's files.
fn told(trace: &str) -> Vec<&str> {
    let leads_out = |line: &&str| {
        let is_call = ["connect(", "sendto(", "sendmsg("].iter().any(|call| line.contains(call));
        is_call && (line.contains("AF_INET") || line.contains("AF_INET6"))
    };
    trace.lines().filter(leads_out).collect()
}

/// The same without what leads to this machine.
fn led_away(trace: &str) -> Vec<&str> {
    let is_here = |line: &str| line.contains("inet_addr(\"127.") || line.contains("\"::1\"");
    told(trace).into_iter().filter(|line| !is_here(line)).collect()
}

/// The whole trace of a server that is to end.
async fn ended(server: Server, file: &Path) -> String {
    let pid = server.pid().as_raw_nonzero();
    server.stop().await;
    let end = format!("{pid} +++ exited with 0 +++");
    let read = || std::fs::read_to_string(file).unwrap_or_default();
    eventually("the tracer saw the end", async || {
        read().lines().any(|line| line.split_whitespace().eq(end.split_whitespace()))
    })
    .await;
    read()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_and_a_working_server_connect_to_nobody() {
    let (site, repo) = (Site::simulated(), calculator());
    let file = site.root().join("trace");
    let site = site.traced(&file);
    let server = site.serve().await;
    // Idle, for as long as its scans need to come round.
    let begun = server.get("system/info").await["uptime_seconds"].as_u64().expect("seconds");
    eventually("some scans have run", async || {
        server.get("system/info").await["uptime_seconds"].as_u64() >= Some(begun + 5)
    })
    .await;
    let gate = json!({ "name": "g", "command": ["git", "log"], "timeout_seconds": 30 });
    let fields = json!({ "workspace": { "kind": "git", "repo": repo.text() }, "gates": [gate] });
    let id = begin_with(&server, &json!([{ "say": "x" }]), fields).await;
    server.until_status(&id, "completed").await;
    server.post(&format!("sessions/{id}/merge"), json!({ "mode": "squash" })).await;
    let trace = ended(server, &file).await;
    assert!(told(&trace).is_empty(), "{:#?}", told(&trace));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_connects_to_the_receiver_that_was_named_and_no_other() {
    let site = Site::simulated();
    let file = site.root().join("trace");
    let site = site.traced(&file);
    let server = site.serve().await;
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = receiver.local_addr().expect("bound").port();
    let url = format!("http://127.0.0.1:{port}/");
    server.post("webhooks", json!({ "url": url, "event_types": ["session.*"] })).await;
    let made = server.post("sessions", json!({ "initial_prompt": "x" })).await;
    assert!(text(&made["id"]).len() > 8);
    let asked = tokio::time::timeout(crate::support::opencode::PATIENCE, receiver.accept()).await;
    asked.expect("the receiver is told").expect("a connection");
    let trace = ended(server, &file).await;
    assert!(!told(&trace).is_empty(), "the connection to the receiver was seen: {trace}");
    assert!(led_away(&trace).is_empty(), "{:#?}", led_away(&trace));
    let to_others: Vec<_> =
        told(&trace).into_iter().filter(|line| !line.contains(&format!("htons({port})"))).collect();
    assert!(to_others.is_empty(), "{to_others:#?}");
}
