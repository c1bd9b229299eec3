//! How turns end, and what follows.

use std::time::Duration;

use orchestrator::application::ports::clock::Clock as _;
use orchestrator::domain::session::draft::SessionDraft;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_waits_for_its_time_can_be_asked_for_twice() {
    let lab = Lab::new().await;
    let later = lab.clock.now().after(Duration::from_mins(1));
    let id = lab.begin(SessionDraft { not_before: Some(later), ..plays(&json!([])) }).await;
    let before = lab.version(id).await;
    lab.sessions.start(&caller(), id).await.expect("it waits already");
    assert_eq!(lab.version(id).await, before, "nothing changed");
    assert_eq!(lab.session(id).await.status(), SessionStatus::Pending);
    lab.clock.jump(Duration::from_secs(61));
    lab.schedule();
    lab.reconcile();
    lab.until(id, SessionStatus::Completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_goes_on_and_what_is_about_to_be_given_out_has_no_blocker() {
    let lab = Lab::new().await;
    let fail = json!({ "fail": { "type": "provider_error" } });
    let id = lab.begin(plays(&json!([{ "say": "a" }, fail, { "say": "b" }]))).await;
    let told = lab.sessions.explain(&caller(), &lab.queue, id).await.expect("explained");
    assert_eq!(told.blockers.len(), 1, "no agent was looked at yet: {told:?}");
    lab.schedule();
    lab.reconcile();
    lab.wait(id, "a retry", |session| session.metrics.retry_count == 1).await;
    lab.clock.jump(Duration::from_secs(10));
    let ended = lab.until(id, SessionStatus::Completed).await;
    assert_eq!(ended.metrics.retry_count, 1, "it went on behind the failure");
}
