//! What agents did becomes what they are given: figures, tier and breaker follow from real ends.

use std::time::Duration;

use orchestrator::application::ports::store::Store;
use orchestrator::domain::agent::breaker::{BreakerRules, BreakerState};
use orchestrator::domain::agent::load::{Load, Units};
use orchestrator::domain::agent::performance::Tier;
use orchestrator::domain::agent::vitals::Vitals;
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::schedule::blocker::BlockerCode;
use orchestrator::domain::session::draft::SessionDraft;
use orchestrator::domain::session::status::SessionStatus;
use serde_json::{Value, json};

use super::lab::{Lab, caller, plays};
use crate::support::opencode::eventually;

fn fails() -> Value {
    json!([{ "fail": { "type": "agent_error", "retryable": false } }])
}

async fn vitals(lab: &Lab) -> Option<Vitals> {
    let snapshot = lab.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    let agent = snapshot.agents().await.expect("read").remove(0).value;
    snapshot.vitals(agent.id).await.expect("read").map(|found| found.value)
}

async fn counted(lab: &Lab, count: u32) -> Vitals {
    let what = format!("{count} counted");
    eventually(&what, async || {
        vitals(lab).await.is_some_and(|vitals| vitals.performance.total.count == count)
    })
    .await;
    vitals(lab).await.expect("there")
}

async fn ended(lab: &Lab, id: SessionId, status: SessionStatus) {
    eventually("an end", async || lab.session(id).await.status() == status).await;
}

async fn blocked_by(lab: &Lab, id: SessionId) -> Option<BlockerCode> {
    let explanation = lab.sessions.explain(&caller(), &lab.queue, id).await.expect("explained");
    explanation.blockers.first().map(|blocker| blocker.code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_did_counts_once_and_what_people_ended_does_not() {
    let lab = Lab::new().await;
    lab.schedule();
    lab.keep_figures();
    let done = lab
        .begin(SessionDraft {
            required_capabilities: vec!["testing".to_owned()],
            technologies: vec!["rust".to_owned()],
            ..plays(&json!([{ "say": "done" }]))
        })
        .await;
    ended(&lab, done, SessionStatus::Completed).await;
    let stopped = lab.begin(plays(&json!([{ "hang": true }]))).await;
    ended(&lab, stopped, SessionStatus::Running).await;
    lab.sessions.stop(&caller(), stopped, None).await.expect("stopped");
    let failed = lab.begin(plays(&fails())).await;
    ended(&lab, failed, SessionStatus::Failed).await;
    let vitals = counted(&lab, 2).await;
    let performance = &vitals.performance;
    assert_eq!((performance.successful, performance.failed()), (1, 1));
    assert_eq!(performance.capabilities["testing"].rate(), Some(1.0));
    assert_eq!(performance.technologies["rust"].rate(), Some(1.0));
    assert!(performance.execution_seconds.value().is_some_and(|mean| mean < 60.0));
    assert_eq!((vitals.tier(), performance.is_provisional()), (Tier::Competent, true));
    let snapshot = lab.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    let events = snapshot.events(0, None, 1000).await.expect("read");
    let told =
        |word: &str| events.iter().filter(|event| event.event.event_type.as_str() == word).count();
    assert_eq!(told("agent.task_completed"), 2);
    assert!((1..=2).contains(&told("agent.performance_updated")));
    let left = lab.store.fleet().await.expect("a fleet").uncounted(9).await.expect("read");
    assert_eq!(left, []);
}

/// What the agent works on, as routing sees it.
async fn load(lab: &Lab) -> Load {
    let view = lab.agents.get(&caller(), "AGENT-SIMULATED").await.expect("there");
    let stands = lab.queue.stands(&view.agent.value);
    stands.map(|stands| stands.standing.burden.load).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn load_rises_with_each_grant_and_falls_back_however_the_work_ends() {
    let mut lab = Lab::new().await;
    lab.schedule();
    lab.reconcile();
    assert_eq!(load(&lab).await, Load::default());
    let of = |complexity: f64, steps: &Value| SessionDraft {
        estimated_complexity: Some(complexity),
        max_duration_seconds: Some(if complexity > 2.0 { 86_400 } else { 60 }),
        ..plays(steps)
    };
    let hangs = json!([{ "hang": true }]);
    let kept = lab.begin(of(2.5, &hangs)).await;
    ended(&lab, kept, SessionStatus::Running).await;
    let alone = Load::default().with(Units::of(2.5));
    assert_eq!(load(&lab).await, alone);
    for (steps, end) in [
        (json!([{ "say": "done" }]), SessionStatus::Completed),
        (fails(), SessionStatus::Failed),
        (hangs.clone(), SessionStatus::Stopped),
        (hangs.clone(), SessionStatus::Timeout),
    ] {
        let id = lab.begin(of(0.3, &steps)).await;
        if steps == hangs {
            ended(&lab, id, SessionStatus::Running).await;
            assert_eq!(load(&lab).await, alone.with(Units::of(0.3)), "{end}");
        }
        if end == SessionStatus::Stopped {
            lab.sessions.stop(&caller(), id, None).await.expect("stopped");
        } else if end == SessionStatus::Timeout {
            lab.clock.jump(Duration::from_secs(61));
        }
        ended(&lab, id, end).await;
        eventually("it is given back", async || load(&lab).await == alone).await;
    }
    lab.restart().await;
    assert_eq!(load(&lab).await, alone);
    lab.sessions.stop(&caller(), kept, None).await.expect("stopped");
    eventually("nothing is left", async || load(&lab).await == Load::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_fails_gets_nothing_until_it_shows_that_it_is_well() {
    let lab = Lab::new().await;
    lab.schedule();
    lab.keep_figures();
    for count in 1..=5 {
        let id = lab.begin(plays(&fails())).await;
        ended(&lab, id, SessionStatus::Failed).await;
        counted(&lab, count).await;
    }
    let open = vitals(&lab).await.expect("there");
    assert_eq!((open.breaker.parts().0, open.tier()), (BreakerState::Open, Tier::Degraded));
    let first = lab.begin(plays(&json!([{ "hang": true }]))).await;
    let second = lab.begin(plays(&json!([{ "say": "well again" }]))).await;
    for id in [first, second] {
        eventually("held back", async || {
            blocked_by(&lab, id).await == Some(BlockerCode::AllAgentsDegraded)
        })
        .await;
        assert_eq!(lab.session(id).await.status(), SessionStatus::Queued);
    }
    lab.clock.jump(BreakerRules::default().open_for);
    ended(&lab, first, SessionStatus::Running).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(lab.session(second).await.status(), SessionStatus::Queued, "one is tried at a time");
    lab.sessions.stop(&caller(), first, None).await.expect("stopped");
    ended(&lab, second, SessionStatus::Completed).await;
    let closed = counted(&lab, 6).await;
    assert_eq!(closed.breaker.parts().0, BreakerState::Closed);
    assert_eq!((closed.tier(), closed.performance.is_provisional()), (Tier::Trainee, true));
}
