//! `orchestrator why` with the real binary: what people read when a session waits.

use serde_json::json;

use super::{begin, begin_with, text};
use crate::support::server::{Server, Site, array};

/// What `why` prints, once the session gives this reason first.
async fn why(site: &Site, server: &Server, id: &str, code: &str) -> String {
    let path = format!("sessions/{id}/explain");
    let first = async || text(&server.get(&path).await["blockers"][0]["code"]).to_owned();
    super::eventually(code, async || first().await == code).await;
    let told = server.get(&path).await;
    let reason = &array(&told["blockers"])[0];
    for field in ["text", "since", "remedy", "command"] {
        assert!(!reason[field].is_null(), "{field} of {told:#}");
    }
    let why = site.cli(&["why", id]).await;
    assert!(why.exit == 0 && why.out.contains(text(&reason["command"])), "{why:?}");
    assert!(why.out.contains(code) && why.out.contains("what helps"), "{why:?}");
    why.out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_says_why_and_what_helps() {
    let site = Site::simulated().with("SCHEDULER__MAX_RUNNING_SESSIONS", "1");
    let server = site.serve().await;
    let time = json!({ "not_before": "2999-01-01T00:00:00Z" });
    let later = begin_with(&server, &json!([]), time).await;
    let told = why(&site, &server, &later, "not_before").await;
    assert!(told.contains("2999-01-01"), "{told}");
    let after = json!({ "after": [later] });
    let follows = begin_with(&server, &json!([]), after).await;
    let told = why(&site, &server, &follows, "dependency_unsatisfied").await;
    assert!(told.contains("it comes after IND-000001, which is pending"), "{told}");
    server.post(&format!("sessions/{later}/cancel"), json!({})).await;
    let told = why(&site, &server, &follows, "dependency_failed").await;
    assert!(told.contains("IND-000001, which was cancelled"), "{told}");
    let needs = json!({ "required_capabilities": ["testing", "tea_making"] });
    let unable = begin_with(&server, &json!([]), needs).await;
    let told = why(&site, &server, &unable, "no_agent_capability").await;
    assert!(told.contains("tea_making"), "{told}");
    let able = json!({ "required_capabilities": ["testing"] });
    let able = begin_with(&server, &json!([]), able).await;
    server.until_status(&able, "completed").await;
    // Its provider wants to be left alone: whoever needs the same one waits, others do not.
    let fails = json!([{ "fail": {
        "type": "provider_error", "message": "too many requests", "overloaded_seconds": 1000,
    } }]);
    let failing = begin_with(&server, &fails, json!({ "model_identifier": "lab/small" })).await;
    why(&site, &server, &failing, "retry_backoff").await;
    let model = json!({ "model_identifier": "lab/large" });
    let cooling = begin_with(&server, &json!([]), model).await;
    let told = why(&site, &server, &cooling, "provider_cooldown").await;
    assert!(told.contains("lab") && told.contains("too many requests"), "{told}");
    let running = begin(&server, &json!([{ "hang": true }])).await;
    server.until_status(&running, "running").await;
    let full = begin(&server, &json!([])).await;
    why(&site, &server, &full, "slots_full").await;
    server.post(&format!("sessions/{running}/stop"), json!({})).await;
    server.until_status(&full, "completed").await;
    server.stop().await;
}
