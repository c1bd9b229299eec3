//! A server is replaced while runs wait for a person, or for a subagent.

use std::time::Duration;

use orchestrator::application::ports::driver::{AgentDriver, AgentEvent, Answer, TurnEnd};
use orchestrator::application::ports::hosts::HostState;
use orchestrator::domain::session::spec::PermissionDecision::{Allow, Ask};
use serde_json::{Value, json};

use crate::support::opencode::{
    Bench, assignment, eventually, opencode_options, policy, repository,
};
use crate::support::scripted_llm::{ScriptedLlm, scripted};

/// Touches a file, which a person must allow, and waits.
fn touches() -> Value {
    json!([
        { "call": { "tool": "bash", "args": {
            "command": "echo once >> log.txt", "description": "count" } } },
        { "say": "Done.", "gate": "later" },
    ])
}

async fn recycle(bench: &Bench) {
    let host = bench.driver.hosts().await.remove(0);
    bench.driver.recycle(&host.id, "for a test").expect("it begins");
    eventually("the next one is ready", async || {
        bench.driver.hosts().await[0].replacement.is_some()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_waits_for_a_person_stays_until_it_was_answered() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let bench = Bench::new(opencode_options(&root.path().join("state"), &llm));
    let repo = repository(root.path(), "repo");
    let mut assigned = assignment(&repo, scripted("ask me", &touches()));
    assigned.policy = policy(Ask, &[("read", Allow)]);
    let mut run = bench.run(assigned).await;
    let ask = run.ask().await;
    recycle(&bench).await;
    let during = bench.driver.hosts().await.remove(0);
    assert_eq!(during.state, HostState::Draining, "somebody is asked at the old one");
    assert_eq!(during.server.map(|server| server.running), Some(1));
    run.control.answer(&ask.agent_ref, &ask.fingerprint, Answer::AllowOnce).await.expect("taken");
    run.until(|event| matches!(event, AgentEvent::StreamBack).then_some(())).await;
    llm.open("later").await;
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "Done."));
    let log = std::fs::read_to_string(repo.join("log.txt")).expect("written");
    assert_eq!(log, "once\n", "what was allowed once was done once");
    assert_eq!(run.count(|event| matches!(event, AgentEvent::Ask(_))), 1);
    assert_eq!(run.count(|event| matches!(event, AgentEvent::AskGone { .. })), 1);
    run.control.close().await;
    bench.driver.shutdown().await;
    assert_eq!(bench.processes(), [0; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subagent_is_not_broken_off_by_a_move() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    // The script of a subagent cannot lie within its parent's: it is found by its words.
    let inner = json!([
        { "call": { "tool": "bash", "args": { "command": "touch inner.txt", "description": "x" } } },
        { "say": "Inner." },
    ]);
    llm.rule("inner work", &inner).await;
    let bench = Bench::new(opencode_options(&root.path().join("state"), &llm));
    let repo = repository(root.path(), "repo");
    let turns = json!([
        { "call": { "tool": "task", "args": {
            "description": "part", "prompt": "inner work", "subagent_type": "general" } } },
        { "say": "Outer.", "gate": "later" },
    ]);
    let mut assigned = assignment(&repo, scripted("delegate", &turns));
    assigned.policy = policy(Allow, &[("bash", Ask)]);
    let mut run = bench.run(assigned).await;
    let ask = run.ask().await;
    assert_ne!(ask.payload["agent_session"], json!(run.session()), "the subagent's own ask");
    recycle(&bench).await;
    run.control.answer(&ask.agent_ref, &ask.fingerprint, Answer::AllowOnce).await.expect("taken");
    run.until(|event| matches!(event, AgentEvent::StreamBack).then_some(())).await;
    assert!(repo.join("inner.txt").exists(), "the subagent came to its end first");
    llm.open("later").await;
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "Outer."));
    let tools = run.transcript("tool");
    let task: Vec<_> = tools.iter().filter(|tool| tool.body["tool"] == json!("task")).collect();
    assert_eq!(task.len(), 1, "{tools:?}");
    assert_eq!(task[0].body["status"], json!("completed"));
    run.control.close().await;
    bench.driver.shutdown().await;
    assert_eq!(bench.processes(), [0; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_nobody_answers_in_time_is_moved_and_its_ask_is_withdrawn() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let mut options = opencode_options(&root.path().join("state"), &llm);
    options.move_grace = Duration::from_secs(1);
    let bench = Bench::new(options);
    let repo = repository(root.path(), "repo");
    let mut assigned = assignment(&repo, scripted("ask me", &touches()));
    assigned.policy = policy(Ask, &[("read", Allow)]);
    let mut run = bench.run(assigned).await;
    let ask = run.ask().await;
    recycle(&bench).await;
    let gone = run
        .until(|event| {
            let AgentEvent::AskGone { agent_ref } = event else { return None };
            Some(agent_ref.clone())
        })
        .await;
    assert_eq!(gone, ask.agent_ref);
    llm.open("later").await;
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "Done."));
    run.control.close().await;
    bench.driver.shutdown().await;
    assert_eq!(bench.processes(), [0; 0]);
}
