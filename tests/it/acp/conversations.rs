//! Whole conversations with the real `opencode acp`.

use std::time::Duration;

use orchestrator::application::ports::driver::{
    AgentDriver, AgentEvent, Answer, Assignment, Continuation, TurnEnd,
};
use orchestrator::domain::attention::{AttentionKind, Risk};
use orchestrator::domain::money::Usd;
use orchestrator::domain::session::attempt::ErrorType;
use orchestrator::domain::session::spec::PermissionDecision::{Allow, Ask, Deny};
use serde_json::{Value, json};

use crate::support::acp::{AcpBench, acp_assignment, acp_options, opencode_config};
use crate::support::opencode::{eventually, policy, processes, prompt, repository, same_prompt};
use crate::support::scripted_llm::{ScriptedLlm, scripted};

fn bash(command: &str) -> Value {
    json!({ "call": { "tool": "bash", "args": { "command": command, "description": "x" } } })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_edits_runs_commands_and_tells_all_of_it() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let bench = AcpBench::new(acp_options(&root.path().join("state")));
    let repo = repository(root.path(), "repo");
    let turns = json!([
        { "think": "Let me see.", "say": "Editing it now, as it was wanted.", "call": { "tool": "edit", "args": {
            "filePath": "calc.py", "oldString": "a - b", "newString": "a + b" } } },
        bash("python3 -c 'import calc; print(calc.add(2, 3))'"),
        { "say": "Fixed: {{result}}" },
    ]);
    let config = opencode_config(&llm);
    let mut run = bench.run(acp_assignment(&config, &repo, &scripted("fix the bug", &turns))).await;
    let (end, text, message_ref) = run.turn().await;
    assert_eq!(end, TurnEnd::Done);
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["Fixed:", "5"]);
    let file = std::fs::read_to_string(repo.join("calc.py")).expect("there");
    assert!(file.contains("a + b"), "{file}");
    let tools = run.transcript("tool");
    let told: Vec<_> =
        tools.iter().map(|item| (&item.body["tool"], &item.body["status"])).collect();
    let done = json!("completed");
    assert_eq!(told, [(&json!("edit"), &done), (&json!("bash"), &done)]);
    assert_eq!(tools[0].body["input"]["filePath"], json!("calc.py"));
    assert_eq!(tools[1].body["output"], json!("5\n"));
    assert_eq!(run.transcript("text").len(), 2);
    assert_eq!(run.transcript("reasoning")[0].body["text"], json!("Let me see."));
    assert_eq!(run.transcript("user").len(), 1);
    let first = &run.transcript("text")[0];
    let grown: String = run.told.iter().filter_map(|event| delta(event, &first.id)).collect();
    assert_eq!(json!(grown), first.body["text"]);
    assert_eq!(run.count(|event| matches!(event, AgentEvent::Step { .. })), 2);
    assert!(message_ref.is_some());
    let usage: Vec<_> = run.told.iter().filter_map(usage).collect();
    let [(tokens, cost, model)] = usage.as_slice() else { panic!("one prompt, {usage:?}") };
    assert!(*tokens > 0 && *cost > 0 && model.as_deref() == Some("lab/scripted"), "{usage:?}");
    assert_eq!(run.count(|event| matches!(event, AgentEvent::Ask(_))), 0, "all is allowed");
    run.control.close().await;
    let after = run.next().await;
    assert!(after.is_none(), "it goes on after the end: {after:?}");
    assert_eq!(bench.processes(), [0; 0], "processes outlive the run");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_denied_is_told_with_its_reason_and_the_work_goes_on() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let bench = AcpBench::new(acp_options(&root.path().join("state")));
    let repo = repository(root.path(), "repo");
    let fetch = json!({ "call": { "tool": "webfetch", "args": {
        "url": "http://127.0.0.1:9/", "format": "text" } } });
    llm.rules(&[
        ("policy of this session", json!([{ "say": "End." }])),
        ("better not", json!([bash("touch always.txt"), bash("touch always.txt"), fetch])),
        ("ask me", json!([bash("touch allowed.txt"), bash("touch denied.txt")])),
    ])
    .await;
    let mut assigned = acp_assignment(&opencode_config(&llm), &repo, "ask me");
    assigned.policy = policy(Ask, &[("webfetch", Deny)]);
    let mut run = bench.run(assigned).await;
    let first = run.ask().await;
    let about = (first.kind, first.tool.as_str(), first.risk);
    assert_eq!(about, (AttentionKind::Permission, "bash", Risk::High));
    assert_eq!(first.patterns, ["touch allowed.txt"]);
    let answer =
        async |run: &crate::support::opencode::Run, agent_ref: &str, print: &str, answer| {
            run.control.answer(agent_ref, print, answer).await.expect("taken");
        };
    answer(&run, &first.agent_ref, &"0".repeat(64), Answer::AllowOnce).await;
    answer(&run, &first.agent_ref, &first.fingerprint, Answer::AllowOnce).await;
    let second = run.ask().await;
    assert_eq!(second.patterns, ["touch denied.txt"]);
    assert_ne!(first.fingerprint, second.fingerprint);
    answer(&run, &second.agent_ref, &second.fingerprint, Answer::Deny("better not".into())).await;
    let third = run.ask().await;
    answer(&run, &third.agent_ref, &third.fingerprint, Answer::AllowAlways).await;
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "End."));
    assert!(repo.join("allowed.txt").exists() && repo.join("always.txt").exists());
    assert!(!repo.join("denied.txt").exists());
    assert_eq!(run.count(|event| matches!(event, AgentEvent::Ask(_))), 3);
    assert_eq!(run.count(|event| matches!(event, AgentEvent::AskGone { .. })), 3);
    let notices = run.transcript("notice");
    assert!(notices[0].body["text"].as_str().is_some_and(|text| text.contains("touch denied.txt")));
    run.control.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_turn_hangs_up_on_the_model_and_the_next_one_is_taken() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let bench = AcpBench::new(acp_options(&root.path().join("state")));
    let repo = repository(root.path(), "repo");
    let hanging = scripted("hang", &json!([{ "say": "Never.", "gate": "never" }]));
    let mut run = bench.run(acp_assignment(&opencode_config(&llm), &repo, &hanging)).await;
    let session = run.handle["sessionId"].as_str().expect("a name").to_owned();
    assert_eq!(llm.conversation("hang", 1).await, session);
    run.control.abort().await.expect("told");
    assert_eq!(run.turn().await.0, TurnEnd::Aborted);
    eventually("the agent hangs up on the model", async || {
        let hung_up = |request: &Value| {
            request["session"] == json!(session) && request["closed"] == json!("hangup")
        };
        llm.requests().await.iter().any(hung_up)
    })
    .await;
    let again = scripted("again", &json!([{ "say": "Fresh." }]));
    run.control.prompt(prompt(again)).await.expect("taken");
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "Fresh."));
    // An error of the provider ends the run with its class.
    let turns = json!([{ "error": { "status": 401, "message": "no such key" } }]);
    run.control.prompt(prompt(scripted("go", &turns))).await.expect("taken");
    let error = run.failure().await;
    assert_eq!(error.error_type, ErrorType::ProviderError);
    assert!(error.message.contains("no such key"), "{error}");
    run.control.close().await;
    assert!(run.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mode_and_model_are_those_that_were_asked_for() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let bench = AcpBench::new(acp_options(&root.path().join("state")));
    let repo = repository(root.path(), "repo");
    let config = opencode_config(&llm);
    let text = scripted("plan it", &json!([{ "say": "Planned." }]));
    let assigned = Assignment {
        profile: Some("plan".to_owned()),
        model: Some("lab/other".to_owned()),
        ..acp_assignment(&config, &repo, &text)
    };
    let mut run = bench.run(assigned).await;
    assert_eq!(run.turn().await.0, TurnEnd::Done);
    let session = run.handle["sessionId"].as_str().expect("a name").to_owned();
    let asked = llm.requests().await;
    let mine =
        |request: &&Value| request["session"] == json!(session) && request["tools"] != json!(0);
    let models: Vec<_> = asked.iter().filter(mine).map(|request| &request["model"]).collect();
    assert_eq!(models, [&json!("other")]);
    let body = llm.body_of(&session).await.to_lowercase();
    assert!(body.contains("plan mode"), "it does not plan: {body:.2000}");
    run.control.close().await;
    let unheard = Assignment {
        model: Some("lab/unheard-of".to_owned()),
        ..acp_assignment(&config, &repo, "x")
    };
    let refused = bench.refusal(unheard).await;
    assert_eq!((refused.error_type, refused.retryable), (ErrorType::ProviderError, false));
    assert!(refused.message.contains("lab/unheard-of") && refused.message.contains("lab/other"));
    assert_eq!(bench.processes(), [0; 0]);
}

/// Does something that can be counted, starts a process that outlives its shell, and waits.
fn work(gate: &str) -> Value {
    json!([
        bash("echo once >> log.txt; setsid sleep 300 >/dev/null 2>&1 & true"),
        { "say": "Not reached.", "gate": gate },
    ])
}

#[test]
fn death_takes_every_process_along_and_the_next_life_goes_on_in_the_conversation() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let (state, repo) = (root.path().join("state"), repository(root.path(), "repo"));
    let options = acp_options(&state);
    let marker = options.marker.clone();
    let config = opencode_config(&llm);
    let assigned = acp_assignment(&config, &repo, "work");
    let (id, text) = (assigned.prompt.id, assigned.prompt.text.clone());
    // The first life ends without a word: its tasks vanish with their runtime.
    let first = runtime();
    let (bench, run) = first.block_on(async {
        llm.rules(&[("was interrupted", json!([{ "say": "Taken up." }])), ("work", work("never"))])
            .await;
        let bench = AcpBench::new(options.clone());
        let run = bench.run(assigned).await;
        assert_eq!(run.handle["sessionId"], llm.conversation("work", 2).await);
        (bench, run)
    });
    let handle = run.handle.clone();
    assert!(bench.processes().len() >= 3, "guard, agent and a tool's process");
    first.shutdown_background();
    let second = runtime();
    second.block_on(async {
        let gone = eventually("everything is gone", async || processes(&marker).is_empty());
        tokio::time::timeout(Duration::from_secs(10), gone).await.expect("within ten seconds");
        drop((bench, run));
        let bench = AcpBench::new(options);
        assert_eq!(bench.driver.reap().await, 0);
        let again = Assignment {
            prompt: same_prompt(id, text),
            continuation: Continuation::Same { handle: handle.clone() },
            fencing_token: 2,
            ..acp_assignment(&config, &repo, "")
        };
        let mut run = bench.run(again).await;
        assert_eq!(run.handle["sessionId"], handle["sessionId"]);
        let (end, text, _) = run.turn().await;
        assert_eq!((end, text.as_str()), (TurnEnd::Done, "Taken up."));
        let log = std::fs::read_to_string(repo.join("log.txt")).expect("written");
        assert_eq!(log, "once\n", "the work was done twice");
        assert_eq!(run.transcript("tool"), [], "what was replayed is no news");
        let body = llm.body_of(handle["sessionId"].as_str().expect("a name")).await;
        assert!(body.contains("echo once"), "it does not remember: {body:.3000}");
        bench.driver.shutdown().await;
        assert_eq!(bench.processes(), [0; 0]);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_the_folder_is_denied_whatever_the_policy_says() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let bench = AcpBench::new(acp_options(&root.path().join("state")));
    let repo = repository(root.path(), "repo");
    let outside = root.path().join("outside.txt");
    let write = json!({ "call": { "tool": "write", "args": {
        "filePath": outside, "content": "x" } } });
    llm.rules(&[
        ("policy of this session", json!([{ "say": "Stayed." }])),
        ("leave", json!([write, { "say": "Left." }])),
    ])
    .await;
    let mut assigned = acp_assignment(&opencode_config(&llm), &repo, "leave");
    assigned.policy = policy(Allow, &[("external_directory", Allow)]);
    let mut run = bench.run(assigned).await;
    let (_, text, _) = run.turn().await;
    assert_eq!(text, "Stayed.");
    assert!(!outside.exists());
    run.control.close().await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn delta<'a>(event: &'a AgentEvent, wanted: &str) -> Option<&'a str> {
    let AgentEvent::Delta { part, text } = event else { return None };
    (part == wanted).then_some(text.as_str())
}

fn usage(event: &AgentEvent) -> Option<(u64, i64, Option<String>)> {
    let AgentEvent::Usage { key: _, usage, model } = event else { return None };
    let cost = usage.cost_usd.map(Usd::micros).unwrap_or_default();
    Some((usage.tokens_input, cost, model.clone()))
}
