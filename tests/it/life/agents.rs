//! Agents that are full, hang or ask twice.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use orchestrator::application::agent::{AgentService, Endpoint};
use orchestrator::application::ports::clock::{Clock, Ids};
use orchestrator::application::ports::driver::{AgentDriver, AgentEvent, Answer, Ask, TurnEnd};
use orchestrator::application::ports::journal::{Journal as _, Stream};
use orchestrator::domain::agent::AgentKind;
use orchestrator::domain::attention::{AttentionKind, Risk};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::session::attempt::LeaseReason;
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::session::{PromptMode, Session};
use orchestrator::domain::time::Timestamp;
use orchestrator::domain::usage::Usage;
use orchestrator::infrastructure::clock::ManualClock;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::storage::memory::MemoryStore;
use serde_json::{Map, Value, json};

use super::lab::{Lab, caller, plays};
use super::puppet::{Puppet, Strings};
use crate::support::opencode::eventually;

pub(super) async fn stage() -> (Lab, Arc<Strings>) {
    let strings = Arc::new(Strings::default());
    let lab = Lab::with(Arc::new(Puppet(Arc::clone(&strings)))).await;
    lab.schedule();
    (lab, strings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_whose_agent_is_full_waits_again_and_spends_no_retry() {
    let (lab, strings) = stage().await;
    strings.full.store(true, SeqCst);
    let id = lab.begin(plays(&json!([]))).await;
    let granted_again = |session: &Session| {
        session.run.lease.as_ref().is_some_and(|lease| lease.reason == LeaseReason::Resume)
    };
    lab.wait(id, "a second lease", granted_again).await;
    strings.full.store(false, SeqCst);
    eventually("a run", async || strings.is_playing()).await;
    strings.is_done().await;
    let ended = lab.until(id, SessionStatus::Completed).await;
    assert_eq!((ended.run.attempt, ended.metrics.retry_count), (1, 0));
    eventually("the run is closed", async || strings.closed.load(SeqCst) == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_stopped_while_its_agent_starts_is_let_go_at_once() {
    let (lab, strings) = stage().await;
    strings.hangs.store(true, SeqCst);
    let id = lab.begin(plays(&json!([]))).await;
    eventually("it starts", async || strings.starts.load(SeqCst) == 1).await;
    lab.sessions.stop(&caller(), id, None).await.expect("stopped");
    let let_go = eventually("let go", async || !lab.sessions.wake().is_supervised(id));
    let in_time = tokio::time::timeout(Duration::from_secs(3), let_go).await;
    assert!(in_time.is_ok(), "long before the start gives up by itself");
}

pub(super) fn ask(agent_ref: &str) -> AgentEvent {
    AgentEvent::Ask(Ask {
        agent_ref: agent_ref.to_owned(),
        kind: AttentionKind::Permission,
        tool: "bash".to_owned(),
        patterns: Vec::new(),
        title: "make".to_owned(),
        payload: Value::Null,
        fingerprint: "make".to_owned(),
        risk: Risk::Low,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ask_that_comes_again_before_its_answer_arrived_is_answered_under_its_new_name() {
    let (lab, strings) = stage().await;
    let id = lab.begin(plays(&json!([]))).await;
    eventually("a run", async || strings.is_playing()).await;
    strings.tell(ask("first")).await;
    strings.deaf.store(true, SeqCst);
    lab.allow(id).await;
    eventually("it was told in vain", async || strings.missed.load(SeqCst) > 0).await;
    strings.deaf.store(false, SeqCst);
    strings.tell(ask("again")).await;
    let wanted = ("again".to_owned(), Answer::AllowOnce);
    eventually("the answer", async || strings.answers().contains(&wanted)).await;
    let items = lab.attention.list(&caller(), Some(id), None, None, 10).await.expect("listed");
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!(lab.session(id).await.run.blocking_items, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_asks_again_although_it_was_answered_gets_the_same_answer_again() {
    let (lab, strings) = stage().await;
    let id = lab.begin(plays(&json!([]))).await;
    eventually("a run", async || strings.is_playing()).await;
    strings.tell(ask("first")).await;
    lab.allow(id).await;
    eventually("the answer", async || strings.answers().len() == 1).await;
    strings.tell(ask("first")).await;
    eventually("the same answer", async || strings.answers().len() == 2).await;
    let wanted = ("first".to_owned(), Answer::AllowOnce);
    assert_eq!(strings.answers(), [wanted.clone(), wanted]);
    let items = lab.attention.list(&caller(), Some(id), None, None, 10).await.expect("listed");
    assert_eq!(items.len(), 1, "nobody is asked twice: {items:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_reports_what_no_model_can_use_fails_its_attempt() {
    let (lab, strings) = stage().await;
    let id = lab.begin(plays(&json!([]))).await;
    eventually("a run", async || strings.is_playing()).await;
    let usage = Usage {
        tokens_input: u64::MAX,
        tokens_output: u64::MAX,
        reported: true,
        ..Usage::default()
    };
    strings.tell(AgentEvent::Usage { key: "a".to_owned(), usage, model: None }).await;
    let failed = lab.wait(id, "a failure", |session| session.metrics.retry_count == 1).await;
    let error = failed.metrics.previous_errors.last().expect("kept");
    assert_eq!(error.error_type, "agent_protocol_error");
    assert_eq!(failed.metrics.usage.tokens_total(), 0, "none of it counts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_never_stops_talking_is_heard_at_once_and_can_be_paused() {
    let (lab, strings) = stage().await;
    let id = lab.begin(plays(&json!([]))).await;
    eventually("a run", async || strings.is_playing()).await;
    let log = || AgentEvent::Log { level: "info", message: "word".to_owned() };
    let delta = || AgentEvent::Delta { part: "p".to_owned(), text: "t".to_owned() };
    let talking = async {
        strings.tell(log()).await;
        loop {
            strings.tell(delta()).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let acts = async {
        let log = async || {
            let (tenant, stream) = (TenantId::BOOTSTRAP, Stream::Log);
            lab.journal.read(tenant, id, stream, 0, 10).await.expect("readable").len()
        };
        eventually("the line is written", async || log().await > 0).await;
        lab.sessions.pause(&caller(), id).await.expect("asked");
        eventually("the turn is ended", async || strings.aborts.load(SeqCst) > 0).await;
    };
    tokio::select! {
        () = talking => {}
        () = acts => {}
    }
}

#[tokio::test]
async fn a_known_agent_takes_what_the_settings_now_say() {
    let lab = Lab::new().await;
    lab.agent(3).await;
    let agents = lab.agents.list(TenantId::BOOTSTRAP).await.expect("listed");
    assert_eq!(agents.len(), 1);
    assert_eq!(agents[0].profile.max_concurrent_capacity, 3);
}

#[tokio::test]
async fn a_driver_that_does_not_answer_a_probe_holds_up_no_other() {
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let (time, ids): (Arc<dyn Clock>, Arc<dyn Ids>) =
        (Arc::clone(&clock) as _, Arc::new(SystemIds));
    let puppet = |mute| Arc::new(Puppet(Arc::new(Strings::mute(mute))));
    let drivers: [Arc<dyn AgentDriver>; 2] = [puppet(true), puppet(false)];
    let store = MemoryStore::new(Arc::clone(&time), Arc::clone(&ids));
    let agents = AgentService::new(store, time, ids, drivers);
    let probing = agents.probe(true);
    tokio::pin!(probing);
    assert!(futures_util::poll!(&mut probing).is_pending());
    let seen = agents.liveness();
    assert!(
        seen[&endpoint(AgentKind::Simulated)].result.is_ok()
            && !seen.contains_key(&endpoint(AgentKind::Opencode))
    );
    clock.advance(Duration::from_mins(1));
    probing.await;
    assert!(agents.liveness()[&endpoint(AgentKind::Opencode)].result.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_is_ended_twice_ends_no_other() {
    let (lab, strings) = stage().await;
    let id = lab.begin(plays(&json!([]))).await;
    eventually("a run", async || strings.is_playing()).await;
    let first = strings.prompted();
    lab.sessions.prompt(&caller(), id, "And this", PromptMode::Queue).await.expect("taken");
    strings.is_done().await;
    eventually("the next prompt", async || strings.prompted() != first).await;
    let (text, end) = ("done".to_owned(), TurnEnd::Done);
    strings.tell(AgentEvent::TurnEnded { prompt: first, message_ref: None, text, end }).await;
    // What is told after it was heard after it.
    strings.tell(ask("first")).await;
    lab.allow(id).await;
    assert_eq!(lab.session(id).await.status(), SessionStatus::Running);
    strings.is_done().await;
    lab.until(id, SessionStatus::Completed).await;
}

fn endpoint(kind: AgentKind) -> Endpoint {
    Endpoint::new(TenantId::BOOTSTRAP, kind, &Map::new())
}
