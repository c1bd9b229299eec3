//! What is due is done for everybody, whoever else cannot be helped.

use std::time::Duration;

use orchestrator::application::ports::clock::Clock as _;
use orchestrator::application::ports::store::Store as _;
use orchestrator::domain::event::EventType;
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::session::draft::{SessionDraft, SessionPatch};
use orchestrator::domain::session::status::SessionStatus;
use serde_json::{Map, Value, json};

use super::lab::{Lab, caller, plays, plays_in};
use crate::support::repo::TestRepo;

/// Waits for a slot for a minute at most.
fn impatient() -> SessionDraft {
    SessionDraft { queue_timeout_seconds: Some(Some(60)), ..plays(&json!([])) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_session_stops_no_other_deadline() {
    let lab = Lab::new().await;
    let first = lab.begin(impatient()).await;
    let second = lab.begin(impatient()).await;
    lab.store.damage(first);
    lab.clock.jump(Duration::from_secs(61));
    lab.reconcile();
    lab.until(second, SessionStatus::Timeout).await;
    assert_eq!(lab.session(first).await.status(), SessionStatus::Queued);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_damaged_sessions_than_one_look_takes_starve_nobody() {
    let lab = Lab::new().await;
    for _ in 0..510 {
        let id = lab.begin(impatient()).await;
        lab.store.damage(id);
    }
    let last = lab.begin(impatient()).await;
    lab.clock.jump(Duration::from_secs(61));
    lab.reconcile();
    lab.until(last, SessionStatus::Timeout).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn git_that_hangs_holds_up_no_deadline() {
    let (lab, repo) = (Lab::new().await, TestRepo::with(&[("a.txt", "a\n")]));
    lab.agent(3).await;
    lab.schedule();
    let mut all = Vec::new();
    for _ in 0..3 {
        let limits = SessionDraft {
            max_duration_seconds: Some(60),
            ..plays_in(&repo, &json!([{ "hang": true }]))
        };
        all.push(lab.begin(limits).await);
    }
    for id in &all {
        lab.wait(*id, "a conversation", |session| session.run.handle.is_some()).await;
    }
    lab.files.hold("checkpoint", None);
    let waits = lab.begin(impatient()).await;
    lab.clock.jump(Duration::from_secs(61));
    lab.reconcile();
    let over = tokio::time::timeout(Duration::from_secs(5), async {
        lab.until(waits, SessionStatus::Timeout).await;
        for id in &all {
            lab.until(*id, SessionStatus::Timeout).await;
        }
    });
    let in_time = over.await.is_ok();
    let mut statuses = vec![lab.session(waits).await.status()];
    for id in &all {
        statuses.push(lab.session(*id).await.status());
    }
    assert!(in_time, "all deadlines within 5 s, whatever git does: {statuses:?}");
    lab.files.release();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_session_stops_no_recovery() {
    let mut lab = Lab::new().await;
    lab.schedule();
    let steps = json!([{ "hang": true }]);
    let (first, second) = (lab.begin(plays(&steps)).await, lab.begin(plays(&steps)).await);
    for id in [first, second] {
        lab.wait(id, "a conversation", |session| session.run.handle.is_some()).await;
    }
    lab.store.damage(first);
    let found = lab.restart().await;
    assert_eq!(found.resumed, 1, "{found:?}");
    lab.sessions.stop(&caller(), second, None).await.expect("stopped");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_damaged_sessions_than_slots_hold_up_no_dispatch() {
    let lab = Lab::new().await;
    for _ in 0..60 {
        let id = lab.begin(impatient()).await;
        lab.store.damage(id);
    }
    let last = lab.begin(impatient()).await;
    lab.schedule();
    lab.until(last, SessionStatus::Completed).await;
}

/// How often it was told that a session is at risk, and of what.
async fn warnings(lab: &Lab, id: SessionId) -> Vec<Map<String, Value>> {
    let snapshot = lab.store.snapshot(TenantId::BOOTSTRAP).await.expect("readable");
    let events = snapshot.events(0, Some(id), 500).await.expect("readable");
    let told =
        events.into_iter().filter(|stored| stored.event.event_type == EventType::SessionAtRisk);
    told.map(|stored| stored.event.payload).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_runs_out_of_time_is_told_once_per_attempt() {
    let lab = Lab::new().await;
    lab.schedule();
    let limits =
        SessionDraft { max_duration_seconds: Some(1000), ..plays(&json!([{ "hang": true }])) };
    let id = lab.begin(limits.clone()).await;
    let calm = lab.begin(SessionDraft { max_duration_seconds: Some(86_400), ..limits }).await;
    for id in [id, calm] {
        lab.wait(id, "a conversation", |session| session.run.handle.is_some()).await;
    }
    lab.reconcile();
    lab.clock.jump(Duration::from_secs(690));
    let due = lab.session(id).await.at_risk_at().expect("it will be told");
    assert!(due > lab.clock.now(), "300 s are left for a moment yet");
    lab.clock.jump(Duration::from_secs(20));
    lab.wait(id, "a warning", |session| session.run.at_risk_told).await;
    let told = warnings(&lab, id).await;
    let left = told[0]["time_remaining_seconds"].as_f64().expect("a number");
    assert!(told.len() == 1 && left < 300.0 && left > 200.0, "{told:?}");
    assert_eq!((&told[0]["health_score"], &told[0]["session_id"]), (&json!(0.7), &json!(id)));
    // Another server beside, or after a restart, tells nothing twice; a longer limit neither.
    lab.reconcile();
    lab.clock.jump(Duration::from_secs(230));
    let longer = SessionPatch { max_duration_seconds: Some(2000), ..SessionPatch::default() };
    lab.sessions.patch(&caller(), id, longer).await.expect("changed");
    lab.clock.jump(Duration::from_secs(1100));
    lab.until(id, SessionStatus::Timeout).await;
    assert_eq!(warnings(&lab, id).await.len(), 1);
    assert!(warnings(&lab, calm).await.is_empty());
    lab.sessions.retry(&caller(), id, None).await.expect("taken back");
    lab.until(id, SessionStatus::Running).await;
    lab.clock.jump(Duration::from_secs(1750));
    lab.wait(id, "a second warning", |session| session.run.at_risk_told).await;
    assert_eq!(warnings(&lab, id).await.len(), 2, "each attempt is told of");
}
