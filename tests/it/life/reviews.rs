//! What people are told of the work of agents, without anything being held up by it.

use std::time::Duration;

use orchestrator::application::attention::Decided;
use orchestrator::application::ports::store::Store;
use orchestrator::domain::attention::{Attention, AttentionItem, AttentionState, Decision};
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::session::draft::SessionDraft;
use orchestrator::domain::session::status::SessionStatus;
use serde_json::json;

use super::lab::{Lab, caller, plays};
use crate::support::opencode::eventually;

async fn items(lab: &Lab, id: SessionId) -> Vec<AttentionItem> {
    let listed = lab.attention.list(&caller(), Some(id), None, None, 9).await;
    listed.expect("listed").into_iter().map(|item| item.value).collect()
}

async fn overruns(lab: &Lab) -> usize {
    let snapshot = lab.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    let events = snapshot.events(0, None, 1000).await.expect("read");
    let told = |word: &str| word == "agent.task_overrun";
    events.iter().filter(|event| told(event.event.event_type.as_str())).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_takes_longer_than_its_agent_said_is_told_of_once() {
    let lab = Lab::new().await;
    lab.schedule();
    let long =
        SessionDraft { max_duration_seconds: Some(86_400), ..plays(&json!([{ "hang": true }])) };
    let (id, other) = (lab.begin(long.clone()).await, lab.begin(long).await);
    for id in [id, other] {
        lab.until(id, SessionStatus::Running).await;
    }
    lab.tell_of_agents();
    // The agent says that nothing takes it longer than four hours.
    lab.clock.jump(Duration::from_mins(239));
    lab.sessions.stop(&caller(), other, None).await.expect("stopped");
    lab.until(other, SessionStatus::Stopped).await;
    assert_eq!(items(&lab, id).await, []);
    lab.clock.jump(Duration::from_mins(2));
    eventually("people are told", async || !items(&lab, id).await.is_empty()).await;
    let item = items(&lab, id).await.remove(0);
    let session = lab.session(id).await;
    assert_eq!(
        (session.status(), session.attention),
        (SessionStatus::Running, Attention::ReviewRequired),
        "it goes on"
    );
    assert_eq!(
        (&item.payload["reason"], &item.payload["limit_hours"]),
        (&json!("task_overrun"), &json!(4.0))
    );
    assert_eq!(item.deadline.since(item.created_at), Duration::from_hours(24));
    let decided = Decided::plain(Decision::Acknowledge);
    lab.attention.resolve(&caller(), item.id, decided).await.expect("resolved");
    assert_eq!(lab.session(id).await.attention, Attention::None);
    // Whoever saw it is not told again.
    let looked = overruns(&lab).await;
    lab.clock.jump(Duration::from_hours(2));
    let again = lab.begin(plays(&json!([{ "say": "done" }]))).await;
    lab.until(again, SessionStatus::Completed).await;
    lab.clock.jump(Duration::from_hours(2));
    let known = items(&lab, id).await;
    assert_eq!((known.len(), known[0].state), (1, AttentionState::Resolved));
    assert_eq!((looked, overruns(&lab).await), (1, 1));
    assert_eq!(items(&lab, other).await, [], "it ended in time");
}
