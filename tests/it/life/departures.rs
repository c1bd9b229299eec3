//! Agents that are closed and removed while sessions wait and run.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use orchestrator::application::agent::Departure;
use orchestrator::domain::agent::AgentKind;
use orchestrator::domain::agent::draft::AgentDraft;
use orchestrator::domain::agent::status::AgentState;
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::session::Session;
use orchestrator::domain::session::draft::SessionDraft;
use orchestrator::domain::session::status::SessionStatus;
use serde_json::json;

use super::agents::stage;
use super::lab::{Lab, caller, plays};
use crate::support::opencode::eventually;

const FIRST: &str = "AGENT-SIMULATED";

fn at_once() -> Departure {
    Departure { graceful: false, reason: Some("broken".to_owned()) }
}

async fn register(lab: &Lab, name: &str) {
    let draft = AgentDraft::new(name, AgentKind::Simulated, ["testing"]);
    lab.agents.register(&caller(), &draft).await.expect("registered");
}

async fn names(lab: &Lab) -> Vec<String> {
    let agents = lab.agents.list(TenantId::BOOTSTRAP).await.expect("listed");
    agents.into_iter().map(|agent| agent.name).collect()
}

fn is_held_by(session: &Session, name: &str) -> bool {
    session.run.lease.as_ref().is_some_and(|lease| lease.agent_name == name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_agent_ends_what_it_has_and_gets_nothing_new_until_it_is_taken_up() {
    let (lab, strings) = stage().await;
    let first = lab.begin(plays(&json!([]))).await;
    eventually("a run", async || strings.is_playing()).await;
    let drained = lab.agents.drain(&caller(), FIRST, true).await.expect("drained");
    assert_eq!(drained.state(), AgentState::Draining);
    let second = lab.begin(plays(&json!([]))).await;
    let waiting = lab.session(second).await;
    let says_why = async || lab.queue.why(&waiting).text.contains("is draining");
    eventually("it is told why", says_why).await;
    strings.is_done().await;
    lab.until(first, SessionStatus::Completed).await;
    assert_eq!(lab.session(second).await.status(), SessionStatus::Queued);
    assert_eq!(strings.starts.load(SeqCst), 1);
    lab.agents.drain(&caller(), FIRST, false).await.expect("taken up");
    eventually("the next run", async || strings.starts.load(SeqCst) == 2).await;
    eventually("it is listened to", async || strings.is_playing()).await;
    strings.is_done().await;
    lab.until(second, SessionStatus::Completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_in_maintenance_gets_nothing_while_another_one_works() {
    let (lab, strings) = stage().await;
    register(&lab, "AGENT-OTHER").await;
    lab.agents.maintain(&caller(), FIRST, true).await.expect("closed");
    for round in 1..=2 {
        let id = lab.begin(plays(&json!([]))).await;
        eventually("a run", async || strings.starts.load(SeqCst) == round).await;
        eventually("it is listened to", async || strings.is_playing()).await;
        assert!(is_held_by(&lab.session(id).await, "AGENT-OTHER"), "round {round}");
        strings.is_done().await;
        lab.until(id, SessionStatus::Completed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_removed_ends_what_it_works_on_first() {
    let (lab, strings) = stage().await;
    lab.reconcile();
    let id = lab.begin(plays(&json!([]))).await;
    eventually("a run", async || strings.is_playing()).await;
    let wanted = Departure { graceful: true, reason: None };
    let leaving = lab.agents.remove(&caller(), FIRST, &wanted).await.expect("asked");
    assert_eq!(leaving.state(), AgentState::Draining);
    assert!(leaving.agent.value.removal.is_some());
    assert_eq!(names(&lab).await, [FIRST], "it is waited for");
    strings.is_done().await;
    lab.until(id, SessionStatus::Completed).await;
    eventually("it is gone", async || names(&lab).await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_worked_on_that_is_removed_at_once_goes_on_with_another() {
    let (lab, strings) = stage().await;
    lab.reconcile();
    let id = lab.begin(plays(&json!([]))).await;
    eventually("a run", async || strings.is_playing()).await;
    register(&lab, "AGENT-OTHER").await;
    let gone = lab.agents.remove(&caller(), FIRST, &at_once()).await.expect("removed");
    assert!(gone.agent.value.deleted_at.is_some());
    assert_eq!(names(&lab).await, ["AGENT-OTHER"]);
    let elsewhere = |session: &Session| is_held_by(session, "AGENT-OTHER");
    lab.wait(id, "another agent", elsewhere).await;
    eventually("the first run is closed", async || strings.closed.load(SeqCst) > 0).await;
    eventually("the next run", async || strings.starts.load(SeqCst) == 2).await;
    eventually("it is listened to", async || strings.is_playing()).await;
    strings.is_done().await;
    let ended = lab.until(id, SessionStatus::Completed).await;
    assert_eq!((ended.run.attempt, ended.metrics.retry_count), (1, 0), "no retry is spent on it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_wants_the_agent_which_was_removed_waits_and_says_so() {
    let (lab, strings) = stage().await;
    lab.reconcile();
    let draft = SessionDraft { agent: Some(FIRST.to_owned()), ..plays(&json!([])) };
    let id = lab.begin(draft).await;
    eventually("a run", async || strings.is_playing()).await;
    lab.agents.remove(&caller(), FIRST, &at_once()).await.expect("removed");
    let paused = lab.until(id, SessionStatus::Paused).await;
    assert!(paused.run.resume_wanted);
    let told = format!("no agent is called {FIRST}");
    eventually("it says why", async || lab.queue.why(&paused).text == told).await;
    register(&lab, FIRST).await;
    let again = |session: &Session| is_held_by(session, FIRST);
    lab.wait(id, "the name is there again", again).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_waits_for_an_agent_which_is_removed_fails() {
    let lab = Lab::new().await;
    let waits = async |pin: &str| {
        lab.begin(SessionDraft { agent: Some(pin.to_owned()), ..plays(&json!([])) }).await
    };
    let first = lab.agents.get(&caller(), FIRST).await.expect("there").agent.value.id;
    let (by_name, by_id) = (waits(FIRST).await, waits(&first.to_string()).await);
    register(&lab, "AGENT-OTHER").await;
    let other = waits("AGENT-OTHER").await;
    lab.reconcile();
    lab.agents.remove(&caller(), FIRST, &at_once()).await.expect("removed");
    for id in [by_name, by_id] {
        let failed = lab.until(id, SessionStatus::Failed).await;
        let error = failed.metrics.error.expect("an error");
        assert_eq!((error.error_type.as_str(), error.retryable), ("agent_removed", false));
        assert!(error.message.contains(FIRST), "{}", error.message);
    }
    // Whoever is given to another agent of that name waits for that one.
    lab.clock.jump(Duration::from_secs(1));
    register(&lab, FIRST).await;
    let later = waits(FIRST).await;
    register(&lab, "AGENT-THIRD").await;
    let third = waits("AGENT-THIRD").await;
    lab.agents.remove(&caller(), "AGENT-THIRD", &at_once()).await.expect("removed");
    lab.until(third, SessionStatus::Failed).await;
    for id in [other, later] {
        assert_eq!(lab.session(id).await.status(), SessionStatus::Queued);
    }
}
