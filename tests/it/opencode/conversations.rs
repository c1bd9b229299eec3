//! Whole conversations with one real server; they run at the same time, as they do in production.

use std::path::Path;

use orchestrator::application::ports::driver::{
    AgentDriver, AgentEvent, Answer, Continuation, TurnEnd,
};
use orchestrator::domain::attention::{AttentionKind, Risk};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::session::attempt::ErrorType;
use orchestrator::domain::session::spec::PermissionDecision::{Allow, Ask, Deny};
use serde_json::{Map, json};

use crate::support::opencode::{
    Bench, assignment, bare_options, opencode_options, policy, prompt, repository,
};
use crate::support::scripted_llm::{ScriptedLlm, scripted};

/// One server and its model for all conversations of a test.
struct Stage<'a> {
    bench: &'a Bench,
    llm: &'a ScriptedLlm,
    root: &'a Path,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_carries_many_conversations() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    // The script of a subagent cannot lie within its parent's: it is found by its words.
    let inner = json!([
        { "call": { "tool": "bash", "args": { "command": "touch inner.txt", "description": "x" } } },
        { "say": "Inner." },
    ]);
    llm.rule("inner work", &inner).await;
    let bench = Bench::new(opencode_options(&root.path().join("state"), &llm));
    assert!(bench.processes().is_empty(), "something was started before it was needed");
    let found =
        bench.driver.probe(TenantId::BOOTSTRAP, &Map::new()).await.expect("a healthy server");
    assert_eq!(found.version, "1.18.33");
    let stage = Stage { bench: &bench, llm: &llm, root: root.path() };
    edits_and_tells(&stage).await;
    tokio::join!(
        asks_and_goes_on(&stage),
        answers_questions(&stage),
        takes_a_word_in_between(&stage),
        goes_back_in_a_copy(&stage),
        refuses_unknown_models(&stage),
        ends_loops(&stage),
        hears_its_subagents(&stage),
        waits_for_the_provider(&stage),
    );
    bench.driver.shutdown().await;
    assert_eq!(bench.processes(), [0; 0], "processes outlive the driver");
}

async fn edits_and_tells(stage: &Stage<'_>) {
    let repo = repository(stage.root, "edits");
    let turns = json!([
        { "think": "Let me see.", "say": "Editing.", "call": { "tool": "edit", "args": {
            "filePath": "calc.py", "oldString": "a - b", "newString": "a + b" } } },
        { "call": { "tool": "bash", "args": {
            "command": "python3 -c 'import calc; print(calc.add(2, 3))'; env | grep -c canary; true",
            "description": "check" } } },
        { "say": "Fixed: {{result}}" },
    ]);
    let mut run = stage.bench.run(assignment(&repo, scripted("fix the bug", &turns))).await;
    let (end, text, message_ref) = run.turn().await;
    assert_eq!(end, TurnEnd::Done);
    // The second line counts the variables in which a tool still sees the provider's key.
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["Fixed:", "5", "0"]);
    let file = std::fs::read_to_string(repo.join("calc.py")).expect("there");
    assert!(file.contains("a + b"), "{file}");
    let tools = run.transcript("tool");
    let statuses: Vec<_> =
        tools.iter().map(|item| (&item.body["tool"], &item.body["status"])).collect();
    assert_eq!(
        statuses,
        [(&json!("edit"), &json!("completed")), (&json!("bash"), &json!("completed"))]
    );
    assert_eq!(tools[0].body["input"]["filePath"], json!("calc.py"));
    assert_eq!(run.transcript("text").len(), 2);
    assert_eq!(run.transcript("reasoning")[0].body["text"], json!("Let me see."));
    assert_eq!(run.transcript("user").len(), 1);
    let steps: Vec<_> = run.told.iter().filter_map(step).collect();
    assert_eq!(steps.len(), 3);
    assert_eq!(steps.last(), message_ref.as_ref());
    let mut keys: Vec<_> = run.told.iter().filter_map(usage).collect();
    assert!(keys.iter().all(|(_, tokens, cost)| *tokens > 0 && *cost > 0), "{keys:?}");
    keys.dedup_by(|left, right| left.0 == right.0);
    assert_eq!(keys.len(), 3);
    assert!(run.count(|event| matches!(event, AgentEvent::Delta { .. })) > 0);
    run.control.close().await;
    let after = run.next().await;
    assert!(after.is_none(), "it goes on after the end: {after:?}");
}

async fn asks_and_goes_on(stage: &Stage<'_>) {
    let repo = repository(stage.root, "asks");
    let bash = |command: &str| {
        json!({ "call": { "tool": "bash", "args": {
        "command": command, "description": "x" } } })
    };
    let turns = json!([
        bash("touch allowed.txt"),
        bash("touch denied.txt"),
        bash("touch always.txt"),
        bash("touch always.txt"),
        { "call": { "tool": "webfetch", "args": { "url": "http://127.0.0.1:9/", "format": "text" } } },
        { "say": "End." },
    ]);
    let mut assigned = assignment(&repo, scripted("ask me", &turns));
    assigned.policy = policy(Ask, &[("read", Allow), ("webfetch", Deny)]);
    let mut run = stage.bench.run(assigned).await;
    let first = run.ask().await;
    assert_eq!(
        (first.kind, first.tool.as_str(), first.risk),
        (AttentionKind::Permission, "bash", Risk::High)
    );
    assert_eq!(first.patterns, ["touch allowed.txt"]);
    run.control
        .answer(&first.agent_ref, &first.fingerprint, Answer::AllowOnce)
        .await
        .expect("taken");
    let second = run.ask().await;
    assert_ne!(first.fingerprint, second.fingerprint);
    run.control
        .answer(&second.agent_ref, &second.fingerprint, Answer::Deny("not that".into()))
        .await
        .expect("taken");
    let third = run.ask().await;
    run.control
        .answer(&third.agent_ref, &third.fingerprint, Answer::AllowAlways)
        .await
        .expect("taken");
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "End."));
    assert!(repo.join("allowed.txt").exists() && repo.join("always.txt").exists());
    assert!(!repo.join("denied.txt").exists());
    let asked = run.count(|event| matches!(event, AgentEvent::Ask(_)));
    assert_eq!(asked, 3, "the fourth call is like the third, the fifth is denied by the policy");
    assert_eq!(run.count(|event| matches!(event, AgentEvent::AskGone { .. })), 3);
    let tools = run.transcript("tool");
    assert_eq!(tools.len(), 5);
    let told = tools[1].body["error"].as_str().unwrap_or_default();
    assert!(told.contains("not that"), "the agent was not told why: {told}");
    // What is denied altogether is not even offered.
    assert_eq!(tools[4].body["tool"], json!("invalid"));
    // An ask that is gone can be answered without harm.
    run.control
        .answer(&first.agent_ref, &first.fingerprint, Answer::AllowOnce)
        .await
        .expect("nothing happens");
    run.control.close().await;
}

async fn answers_questions(stage: &Stage<'_>) {
    let repo = repository(stage.root, "questions");
    let turns = json!([
        { "call": { "tool": "question", "args": { "questions": [{
            "question": "Which colour?", "header": "Colour", "options": [
                { "label": "Blue", "description": "b" }, { "label": "Red", "description": "r" }] }] } } },
        { "say": "{{result}}" },
    ]);
    let mut run = stage.bench.run(assignment(&repo, scripted("ask me", &turns))).await;
    let ask = run.ask().await;
    assert_eq!((ask.kind, ask.title.as_str()), (AttentionKind::Question, "Which colour?"));
    run.control
        .answer(&ask.agent_ref, &ask.fingerprint, Answer::Text("blue".into()))
        .await
        .expect("taken");
    let (end, text, _) = run.turn().await;
    assert_eq!(end, TurnEnd::Done);
    assert!(text.contains("Blue"), "{text}");
    run.control.close().await;
}

async fn takes_a_word_in_between(stage: &Stage<'_>) {
    let repo = repository(stage.root, "between");
    let turns = json!([
        { "say": "Working.", "hold": "between", "call": { "tool": "bash", "args": {
            "command": "true", "description": "x" } } },
        { "say": "Not reached." },
    ]);
    let mut run = stage.bench.run(assignment(&repo, scripted("work", &turns))).await;
    stage.llm.asked(run.session(), 1).await;
    run.control
        .prompt(prompt(scripted("stop that", &json!([{ "say": "Heard." }]))))
        .await
        .expect("taken");
    run.until(|event| {
        let AgentEvent::Transcript(item) = event else { return None };
        item.body["text"].as_str()?.contains("stop that").then_some(())
    })
    .await;
    stage.llm.open("between").await;
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "Heard."));
    run.turn().await;
    // The conversation takes a further turn, which is told to end.
    let hanging = json!([{ "say": "Never.", "gate": "never" }]);
    run.control.prompt(prompt(scripted("hang", &hanging))).await.expect("taken");
    stage.llm.asked(run.session(), 3).await;
    run.control.abort().await.expect("told");
    assert_eq!(run.turn().await.0, TurnEnd::Aborted);
    run.control
        .prompt(prompt(scripted("again", &json!([{ "say": "Fresh." }]))))
        .await
        .expect("taken");
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "Fresh."));
    run.control.close().await;
}

async fn goes_back_in_a_copy(stage: &Stage<'_>) {
    let repo = repository(stage.root, "copies");
    let mut run = stage.bench.run(assignment(&repo, scripted("one", &json!(["First."])))).await;
    let (_, _, first) = run.turn().await;
    run.control.prompt(prompt(scripted("two", &json!(["Second."])))).await.expect("taken");
    run.turn().await;
    run.control.close().await;
    let mut next = assignment(&repo, scripted("three", &json!(["Third."])));
    next.continuation = Continuation::CutAfter { handle: run.handle.clone(), message_ref: first };
    next.policy = policy(Deny, &[]);
    let mut copy = stage.bench.run(next).await;
    assert_ne!(copy.handle, run.handle);
    let (end, text, _) = copy.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "Third."));
    copy.control.close().await;
    let body = stage.llm.body_of(copy.session()).await;
    assert!(body.contains("First.") && !body.contains("Second."), "{body}");
    // A handle of nothing, and of a conversation that is gone.
    for handle in [json!({}), json!({ "session": "ses_00000000000000000000000000" })] {
        let mut lost = assignment(&repo, "x".to_owned());
        lost.continuation = Continuation::Same { handle };
        let refused = stage.bench.driver.start(lost).await.err().expect("refused");
        assert_eq!(refused.error_type, ErrorType::AgentLost);
    }
}

async fn refuses_unknown_models(stage: &Stage<'_>) {
    let repo = repository(stage.root, "models");
    let mut wrong = assignment(&repo, "x".to_owned());
    wrong.model = Some("lab/unheard-of".to_owned());
    let refused = stage.bench.driver.start(wrong).await.err().expect("refused");
    assert_eq!(refused.error_type, ErrorType::ProviderError);
    assert!(refused.message.contains("lab/unheard-of"), "{refused}");
    let missing = assignment(&stage.root.join("missing"), "x".to_owned());
    let refused = stage.bench.driver.start(missing).await.err().expect("refused");
    assert_eq!(refused.error_type, ErrorType::WorkspaceError);
    // An error of the provider ends the run with its class.
    let turns = json!([{ "error": { "status": 401, "message": "no such key" } }]);
    let mut run = stage.bench.run(assignment(&repo, scripted("go", &turns))).await;
    let error = run.failure().await;
    assert_eq!(error.error_type, ErrorType::ProviderError);
    assert!(run.next().await.is_none());
}

async fn ends_loops(stage: &Stage<'_>) {
    let repo = repository(stage.root, "loops");
    let step =
        json!({ "call": { "tool": "bash", "args": { "command": "true", "description": "x" } } });
    let turns: Vec<_> = std::iter::repeat_n(step, 30).collect();
    let mut run = stage.bench.run(assignment(&repo, scripted("loop", &json!(turns)))).await;
    let error = run.failure().await;
    assert_eq!(error.error_type, ErrorType::AgentError);
    assert!(error.message.starts_with("loop:"), "{error}");
    assert!(run.next().await.is_none());
}

async fn hears_its_subagents(stage: &Stage<'_>) {
    let repo = repository(stage.root, "subagents");
    let turns = json!([
        { "call": { "tool": "task", "args": {
            "description": "part", "prompt": "inner work", "subagent_type": "general" } } },
        { "say": "Outer." },
    ]);
    let mut assigned = assignment(&repo, scripted("delegate", &turns));
    assigned.policy = policy(Allow, &[("bash", Ask)]);
    let mut run = stage.bench.run(assigned).await;
    let ask = run.ask().await;
    assert_eq!(ask.patterns, ["touch inner.txt"]);
    assert_ne!(ask.payload["agent_session"], json!(run.session()), "the child's own ask");
    run.control.answer(&ask.agent_ref, &ask.fingerprint, Answer::AllowOnce).await.expect("taken");
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "Outer."));
    assert!(repo.join("inner.txt").exists());
    let mut keys: Vec<_> = run.told.iter().filter_map(usage).map(|(key, ..)| key).collect();
    keys.dedup();
    assert_eq!(keys.len(), 4, "two steps of the parent and two of the child");
    assert_eq!(run.told.iter().filter_map(step).count(), 2, "steps are the parent's");
    run.control.close().await;
}

async fn waits_for_the_provider(stage: &Stage<'_>) {
    let repo = repository(stage.root, "provider");
    let busy = |wait: u32| {
        json!({ "error": {
        "status": 429, "message": "slow down", "retry_after": wait } })
    };
    let turns = json!([{ "attempts": [busy(1), "Back."] }]);
    let mut run = stage.bench.run(assignment(&repo, scripted("try", &turns))).await;
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "Back."));
    assert_eq!(run.count(|event| matches!(event, AgentEvent::ProviderRetry { .. })), 1);
    assert_eq!(run.count(|event| matches!(event, AgentEvent::ProviderBack)), 1);
    let turns = json!([busy(3600)]);
    run.control.prompt(prompt(scripted("try", &turns))).await.expect("taken");
    let error = run.failure().await;
    assert_eq!(error.error_type, ErrorType::ProviderError);
    assert!(error.message.contains("slow down"), "{error}");
}

#[tokio::test]
async fn a_server_without_a_model_says_what_helps() {
    let root = tempfile::tempdir().expect("a folder");
    let bench = Bench::new(bare_options(&root.path().join("state")));
    let repo = repository(root.path(), "repo");
    let refused =
        bench.driver.start(assignment(&repo, "x".to_owned())).await.err().expect("refused");
    assert_eq!((refused.error_type, refused.retryable), (ErrorType::ProviderError, false));
    assert!(refused.message.contains("opencode auth login"), "{refused}");
    bench.driver.shutdown().await;
}

fn step(event: &AgentEvent) -> Option<String> {
    let AgentEvent::Step { message_ref } = event else { return None };
    Some(message_ref.clone())
}

fn usage(event: &AgentEvent) -> Option<(String, u64, i64)> {
    let AgentEvent::Usage { key, usage, model } = event else { return None };
    assert_eq!(model.as_deref(), Some("lab/scripted"));
    let cost = usage.cost_usd.map_or(0, orchestrator::domain::money::Usd::micros);
    Some((key.clone(), usage.tokens_total(), cost))
}
