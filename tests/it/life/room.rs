//! A disk that is short of room: what runs goes on, nothing new is made.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use orchestrator::application::error::AppError;
use orchestrator::application::session::create::NewSession;
use orchestrator::application::system::SystemService;
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::presentation::api::problem::Problem;
use serde_json::json;

use super::lab::{Lab, caller, plays};
use super::puppet::{Puppet, Strings};
use crate::support::opencode::eventually;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_short_of_room_takes_no_new_sessions_and_lets_running_ones_end() {
    let strings = Arc::new(Strings::default());
    let lab = Lab::with(Arc::new(Puppet(Arc::clone(&strings)))).await;
    lab.schedule();
    let system = SystemService::new(
        Arc::clone(&lab.store) as _,
        Arc::clone(&lab.clock) as _,
        lab.agents.clone(),
        lab.queue.clone(),
    );
    system.set_recovered();
    let id = lab.begin(plays(&json!([]))).await;
    eventually("a run", async || strings.is_playing()).await;
    *lab.store.short_of_room.lock().expect("whole") = Some("3 MiB are free".to_owned());
    let new = || NewSession { draft: plays(&json!([])), ..NewSession::default() };
    let refused = lab.sessions.create(&caller(), new()).await.expect_err("refused");
    assert!(matches!(&refused, AppError::ShortOfRoom(why) if why == "3 MiB are free"));
    let problem = Problem::from(refused);
    assert_eq!(problem.code().as_str(), "STORE_READ_ONLY");
    let body = problem.body(None);
    assert_eq!(body["status"], 503);
    assert!(body["detail"].as_str().is_some_and(|text| text.contains("3 MiB")), "{body}");
    assert_eq!(system.not_ready(), None, "it works, with what it has");
    let health = system.health().await;
    assert_eq!(health.status, "degraded");
    let detail = health.components[0].detail.as_deref();
    assert_eq!(detail, Some("short of room: 3 MiB are free"));
    strings.is_done().await;
    lab.until(id, SessionStatus::Completed).await;
    eventually("the run is closed", async || strings.closed.load(SeqCst) == 1).await;
    *lab.store.short_of_room.lock().expect("whole") = None;
    lab.sessions.create(&caller(), new()).await.expect("there is room again");
}
