//! How turns end, and what follows.

use orchestrator::domain::session::status::SessionStatus;
use serde_json::json;

use super::lab::{Lab, asks, caller, plays};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_gave_up_did_not_complete_because_a_pause_was_asked_for() {
    let lab = Lab::new().await;
    lab.schedule();
    let id = lab.begin(plays(&json!([asks(), { "end": "rejected" }]))).await;
    lab.asked(id).await;
    lab.sessions.pause(&caller(), id).await.expect("asked");
    lab.allow(id).await;
    let failed = lab.wait(id, "an end", |session| !session.status().is_executing()).await;
    assert_eq!(failed.status(), SessionStatus::Failed, "{:?}", failed.metrics.error);
    assert_eq!(failed.metrics.error.expect("an error").error_type, "permission_denied");
}
