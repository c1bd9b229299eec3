//! Work that moves to another agent: because its agent has too much, or is lost.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::{External, begin, site};
use crate::support::opencode::eventually;
use crate::support::server::{array, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_draining_agent_is_given_to_another_one() {
    let site = site();
    let server = site.serve().await;
    let one = External::register(&server, "AGENT-ONE", &["testing"]).await;
    let first = begin(&server, json!({})).await;
    let begun = one.take().await;
    assert_eq!(begun["task_id"], json!(first));
    let waiting = begin(&server, json!({})).await;
    server.until_status(&waiting, "running").await;
    let other = External::register(&server, "AGENT-OTHER", &["testing"]).await;
    let nothing = server.post("agents/rebalance", json!({})).await;
    assert_eq!(nothing["tasks_rebalanced"], 0, "nobody has too much: {nothing:#}");
    server.post(&format!("agents/{}/drain", one.id), json!({})).await;
    let plan = async || server.post("agents/rebalance", json!({ "dry_run": true })).await;
    eventually("it is seen", async || plan().await["tasks_rebalanced"] == 1).await;
    assert_eq!(server.session(&waiting).await["status"], "running", "only told");
    let done = server.post("agents/rebalance", json!({})).await;
    assert_eq!(done["tasks_rebalanced"], 1, "{done:#}");
    let step = &done["moved"][0];
    assert_eq!(
        (text(&step["session_id"]), text(&step["to"])),
        (waiting.as_str(), other.id.as_str())
    );
    assert_eq!(done["agents_affected"], json!(["AGENT-ONE", "AGENT-OTHER"]));
    assert_eq!(done["before_utilization"]["AGENT-ONE"], 0.4, "{done:#}");
    assert_eq!(done["after_utilization"]["AGENT-ONE"], 0.2, "{done:#}");
    assert_eq!(other.take().await["task_id"], json!(waiting));
    // What was begun stays where it is.
    assert_eq!(one.finish(&begun, json!({})).await.status, 200);
    let told = one.call(Method::GET, "tasks/next?wait=0&notices=true", None).await;
    assert_eq!((told.status, text(&told.body["kind"])), (200, "drain"));
    let events = server.all("events?type=agent.rebalanced").await;
    assert_eq!(array(&events[0]["payload"]["moved"]).len(), 1, "{events:#?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_agent_falls_silent_is_degraded_and_then_falls_back() {
    let site = site()
        .with("AGENTS__HEARTBEAT_INTERVAL_SECONDS", "2")
        .with("AGENTS__HEARTBEAT_EXPIRY_SECONDS", "12");
    let server = site.serve().await;
    let one = External::register(&server, "AGENT-ONE", &["testing"]).await;
    let id = begin(&server, json!({})).await;
    let work = one.take().await;
    let late = server.until_status(&id, "degraded").await;
    assert!(late.to_string().contains("heartbeat_late"), "{late:#}");
    one.heartbeat("healthy").await;
    server.until_status(&id, "running").await;
    let other = External::register(&server, "AGENT-OTHER", &["testing"]).await;
    let mut beating = JoinSet::new();
    beating.spawn({
        let (api, id, token) = (other.api.clone(), other.id.clone(), other.token.clone());
        let other = External { api, id, token, answer: json!(null) };
        async move {
            loop {
                other.heartbeat("healthy").await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    });
    let moved = other.take().await;
    assert_eq!((&moved["task_id"], &moved["attempt"]), (&json!(id), &json!(1)));
    let session = server.session(&id).await;
    assert!(session.to_string().contains("fallback_agent"), "{session:#}");
    assert!(text(&moved["input_data"]).contains("Another agent worked on this task"));
    assert!(moved["context"]["resume"]["checkpoint"].is_number(), "{moved:#}");
    assert_eq!(one.finish(&work, json!({})).await.code(), "STALE_RESULT", "its right is void");
    assert_eq!(other.finish(&moved, json!({})).await.status, 200);
    let attempts = server.get(&format!("sessions/{id}/attempts")).await;
    let leases = array(&attempts["items"][0]["leases"]);
    let reasons: Vec<&str> = leases.iter().map(|lease| text(&lease["reason"])).collect();
    assert_eq!(reasons, ["start", "fallback"], "{attempts:#}");
    assert_eq!(server.session(&id).await["status"], "completed");
    beating.abort_all();
    let events = server.all("events?type=agent.lease_expired").await;
    assert_eq!(events.len(), 1);
    server.stop().await;
}
