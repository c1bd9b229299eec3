//! What an agent asks, however badly it is heard: one item, answered once for each ask, and nothing
//! hangs.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use orchestrator::application::ports::driver::{AgentEvent, Answer, Ask};
use orchestrator::domain::attention::{Attention, AttentionItem, AttentionState, Decision};
use orchestrator::domain::ids::SessionId;
use orchestrator::domain::session::status::SessionStatus;
use serde_json::json;

use super::agents::{ask, stage};
use super::lab::{Lab, caller, plays};
use super::puppet::Strings;
use crate::support::opencode::eventually;

async fn items(lab: &Lab, id: SessionId) -> Vec<AttentionItem> {
    let items = lab.attention.list(&caller(), Some(id), None, None, 10).await.expect("listed");
    items.into_iter().map(|item| item.value).collect()
}

/// Whether nothing waits for a decision.
async fn closed(lab: &Lab, id: SessionId) -> bool {
    items(lab, id).await.iter().all(|item| item.state != AttentionState::Open)
}

fn open(refs: &[&str]) -> AgentEvent {
    AgentEvent::AsksOpen { agent_refs: refs.iter().map(|&name| name.to_owned()).collect() }
}

async fn answered(strings: &Strings, refs: &[&str]) {
    let mut wanted: Vec<(String, Answer)> =
        refs.iter().map(|&name| (name.to_owned(), Answer::AllowOnce)).collect();
    wanted.sort_by(|left, right| left.0.cmp(&right.0));
    let all = || {
        let mut all = strings.answers();
        all.sort_by(|left, right| left.0.cmp(&right.0));
        all
    };
    eventually("the answers", async || all() == wanted).await;
}

async fn playing(lab: &Lab, strings: &Strings) -> SessionId {
    let id = lab.begin(plays(&json!([]))).await;
    eventually("a run", async || strings.is_playing()).await;
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_ask_twice_is_one_item_and_both_are_answered() {
    let (lab, strings) = stage().await;
    let id = playing(&lab, &strings).await;
    // Two calls at once, the first of them heard twice: from the stream and by looking.
    for name in ["one", "two", "one"] {
        strings.tell(ask(name)).await;
    }
    strings.tell(open(&["one", "two"])).await;
    // An ask after the answer would be another one.
    eventually("all is heard", async || strings.is_heard()).await;
    lab.allow(id).await;
    answered(&strings, &["one", "two"]).await;
    // An older word about what was answered asks nobody again.
    strings.tell(ask("one")).await;
    strings.tell(AgentEvent::AskGone { agent_ref: "one".to_owned() }).await;
    strings.tell(AgentEvent::AskGone { agent_ref: "two".to_owned() }).await;
    strings.is_done().await;
    lab.until(id, SessionStatus::Completed).await;
    let items = items(&lab, id).await;
    assert_eq!(items.len(), 1, "{items:?}");
    assert_eq!(
        (items[0].state, items[0].decision),
        (AttentionState::Resolved, Some(Decision::AllowOnce))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_goes_with_the_last_ask_behind_it_told_or_not() {
    let (lab, strings) = stage().await;
    let id = playing(&lab, &strings).await;
    strings.tell(ask("one")).await;
    strings.tell(ask("two")).await;
    strings.tell(AgentEvent::AskGone { agent_ref: "one".to_owned() }).await;
    lab.asked(id).await;
    assert_eq!(lab.session(id).await.run.blocking_items, 1);
    // Nobody tells that the second went: only that nothing is open.
    strings.tell(open(&[])).await;
    let free = |session: &orchestrator::domain::session::Session| {
        session.attention == Attention::None && session.run.blocking_items == 0
    };
    lab.wait(id, "nothing to be decided", free).await;
    let items = items(&lab, id).await;
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].resolved_by.as_deref(), Some("agent"));
    strings.is_done().await;
    lab.until(id, SessionStatus::Completed).await;
    assert!(strings.answers().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_did_not_reach_the_agent_is_told_again_until_it_does() {
    let (lab, strings) = stage().await;
    let id = playing(&lab, &strings).await;
    strings.tell(ask("one")).await;
    strings.deaf.store(true, SeqCst);
    lab.allow(id).await;
    eventually("told in vain, twice", async || strings.missed.load(SeqCst) > 1).await;
    strings.deaf.store(false, SeqCst);
    answered(&strings, &["one"]).await;
    let told = async || items(&lab, id).await[0].agent_ref.is_empty();
    eventually("it is on record", told).await;
}

/// The supervisors are gone, and others take the run up.
async fn restarted(lab: &mut Lab, strings: &Strings) {
    let starts = strings.starts.load(SeqCst);
    lab.restart().await;
    eventually("a new run", async || strings.starts.load(SeqCst) > starts).await;
    eventually("somebody listens", async || strings.is_playing()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_before_a_restart_is_answered_once_when_it_is_asked_again() {
    let (mut lab, strings) = stage().await;
    let id = playing(&lab, &strings).await;
    strings.tell(ask("before")).await;
    let item = lab.asked(id).await;
    restarted(&mut lab, &strings).await;
    // Decided before the agent asks again: nobody it could be told to yet.
    lab.allow(id).await;
    strings.tell(open(&[])).await;
    strings.tell(ask("after")).await;
    answered(&strings, &["after"]).await;
    let items = items(&lab, id).await;
    assert_eq!((items.len(), items[0].id), (1, item), "{items:?}");
    assert_eq!(lab.session(id).await.run.blocking_items, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_before_a_restart_and_never_again_is_closed() {
    let (mut lab, strings) = stage().await;
    let id = playing(&lab, &strings).await;
    strings.tell(ask("before")).await;
    lab.asked(id).await;
    restarted(&mut lab, &strings).await;
    strings.tell(open(&[])).await;
    strings.tell(ask("other")).await;
    strings.tell(AgentEvent::AskGone { agent_ref: "other".to_owned() }).await;
    eventually("the item is closed", async || closed(&lab, id).await).await;
    strings.tell(ask("more")).await;
    lab.asked(id).await;
    restarted(&mut lab, &strings).await;
    strings.tell(open(&[])).await;
    lab.clock.jump(Duration::from_secs(30));
    strings.tell(open(&[])).await;
    lab.rename(id, "It is still open").await;
    assert_eq!(lab.session(id).await.run.blocking_items, 1, "the agent may ask again");
    lab.clock.jump(Duration::from_secs(31));
    strings.tell(open(&[])).await;
    eventually("the item is closed", async || closed(&lab, id).await).await;
    assert_eq!(lab.session(id).await.run.blocking_items, 0);
    strings.is_done().await;
    lab.until(id, SessionStatus::Completed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_turn_everything_that_was_asked_in_it_is_over() {
    let (lab, strings) = stage().await;
    let id = playing(&lab, &strings).await;
    strings.tell(ask("one")).await;
    lab.asked(id).await;
    let queue = orchestrator::domain::session::PromptMode::Queue;
    lab.sessions.prompt(&caller(), id, "And then this.", queue).await.expect("taken");
    strings.is_done().await;
    eventually("the item is closed", async || closed(&lab, id).await).await;
    assert!(lab.session(id).await.status().is_executing(), "the next turn");
    // The same in the next turn is a new question.
    strings.tell(ask("one")).await;
    lab.allow(id).await;
    answered(&strings, &["one"]).await;
    assert_eq!(items(&lab, id).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_asks_without_end_fails_its_attempt() {
    let (lab, strings) = stage().await;
    let id = lab.begin(plays(&json!([]))).await;
    eventually("a run", async || strings.is_playing()).await;
    for number in 0..=100 {
        let name = format!("ask {number}");
        let AgentEvent::Ask(wanted) = ask(&name) else { panic!("an ask") };
        strings.tell(AgentEvent::Ask(Ask { fingerprint: name, ..wanted })).await;
    }
    let failed = lab.wait(id, "a failure", |session| session.metrics.retry_count == 1).await;
    let error = failed.metrics.previous_errors.last().expect("kept");
    assert_eq!(error.error_type, "agent_protocol_error");
    assert_eq!(failed.run.blocking_items, 0, "nobody is asked any more");
}
