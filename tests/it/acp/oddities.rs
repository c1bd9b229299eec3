//! Agents that are not what they should be.

use std::path::PathBuf;
use std::time::Duration;

use orchestrator::application::ports::driver::{
    AgentDriver, AgentEvent, Answer, Assignment, Continuation, DriverError, TurnEnd,
};
use orchestrator::domain::money::Usd;
use orchestrator::domain::session::attempt::ErrorType;
use orchestrator::domain::session::spec::PermissionDecision::{Allow, Ask};
use orchestrator::infrastructure::sandbox::{self, Mode, Status};
use serde_json::{Value, json};

use crate::support::acp::{
    AcpBench, STUBBORN, acp_assignment, acp_options, agent, calls, heard, odd_config, prompts,
};
use crate::support::opencode::{Run, eventually, policy, prompt, same_prompt};
use crate::support::repo::Neighbours;

/// An agent that begins like this, and what it needs.
struct Stage {
    root: tempfile::TempDir,
    bench: AcpBench,
    config: Value,
    log: PathBuf,
}

impl Stage {
    fn new(begins: &str) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let mut options = acp_options(&root.path().join("state"));
        options.ready_timeout = Duration::from_secs(5);
        let bench = AcpBench::new(options);
        let (config, log) = odd_config(root.path(), begins);
        std::fs::create_dir(root.path().join("work")).expect("a folder");
        Self { root, bench, config, log }
    }

    fn assignment(&self, text: &str) -> Assignment {
        let work = self.root.path().canonicalize().expect("there").join("work");
        acp_assignment(&self.config, &work, text)
    }

    async fn run(&self, text: &str) -> Run {
        self.bench.run(self.assignment(text)).await
    }

    async fn asking(&self, text: &str) -> Run {
        let policy = policy(Ask, &[]);
        self.bench.run(Assignment { policy, ..self.assignment(text) }).await
    }

    /// How a run with this prompt ends; nothing of it is left.
    async fn failure(&self, text: &str) -> DriverError {
        let mut run = self.run(text).await;
        let error = run.failure().await;
        run.control.close().await;
        assert!(run.next().await.is_none());
        assert_eq!(self.bench.processes(), [0; 0], "something still runs");
        error
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_begin_says_why_and_what_helps() {
    let refused = async |begins: &str| {
        let stage = Stage::new(begins);
        let error = stage.bench.refusal(stage.assignment("x")).await;
        assert_eq!(stage.bench.processes(), [0; 0], "{begins} still runs");
        error
    };
    let error = refused("deaf").await;
    assert_eq!(error.error_type, ErrorType::DispatchFailed);
    assert!(error.message.contains("in time") && error.message.contains("thinking about it"));
    let error = refused("exits").await;
    assert_eq!(error.error_type, ErrorType::DispatchFailed);
    assert!(error.message.contains("usage: odd [--acp]"), "{error}");
    let error = refused("garbage").await;
    assert_eq!(error.error_type, ErrorType::AgentProtocolError);
    assert!(error.message.contains("What shall we do today?"), "{error}");
    let error = refused("newer").await;
    assert_eq!(error.error_type, ErrorType::AgentProtocolError);
    assert!(error.message.contains("version 2"), "{error}");
    let error = refused("signin").await;
    assert_eq!((error.error_type, error.retryable), (ErrorType::ProviderError, false));
    assert!(error.message.contains("sign in"), "{error}");
    let error = refused("nameless").await;
    assert_eq!(error.error_type, ErrorType::AgentProtocolError);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_in_the_middle_ends_the_run_by_its_class() {
    let stage = Stage::new("");
    let error = stage.failure("exits").await;
    assert_eq!(error.error_type, ErrorType::AgentLost);
    assert!(error.message.contains("the disk is full, says ***"), "{error}");
    let error = stage.failure("line").await;
    assert_eq!(error.error_type, ErrorType::AgentProtocolError);
    assert!(error.message.contains("8 MiB"), "{error}");
    let error = stage.failure("garbage").await;
    assert_eq!(error.error_type, ErrorType::AgentProtocolError);
    assert!(error.message.contains("INFO working"), "{error}");
    let error = stage.asking("many").await.failure().await;
    assert_eq!(error.error_type, ErrorType::AgentProtocolError);
    assert!(error.message.contains("100 answers"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_half_an_answer_said_is_told_before_the_failure() {
    let stage = Stage::new("");
    let mut run = stage.run("exits").await;
    run.failure().await;
    assert_eq!(run.transcript("text")[0].body["text"], json!("half a"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_cannot_be_heard_any_more_is_lost_at_once() {
    let stage = Stage::new("");
    for (word, how) in [
        ("closes", "closed its standard output"),
        ("leaves", "exit status: 3"),
        ("haunts", "exit status: 3"),
    ] {
        let failed = tokio::time::timeout(Duration::from_secs(30), stage.failure(word));
        let error = failed.await.expect("it is noticed");
        assert_eq!(error.error_type, ErrorType::AgentLost, "{word}");
        assert!(error.message.contains(how), "{word}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_conversation_has_cost_is_not_counted_again_by_the_next_run() {
    let stage = Stage::new("");
    let mut run = stage.run("quota").await;
    assert_eq!(run.turn().await.0, TurnEnd::Done);
    assert_eq!(run.handle["cost_micros"], json!(250_000), "what was told is stored");
    run.control.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_be_tolerated_is() {
    let stage = Stage::new("");
    let mut run = stage.run("talkative").await;
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "Done."));
    let mut next = async |text: &str| {
        run.control.prompt(prompt(text.to_owned())).await.expect("taken");
        let (end, said, _) = run.turn().await;
        (end, said)
    };
    assert_eq!(next("bytes").await, (TurnEnd::Done, "caf\u{fffd}".to_owned()));
    assert_eq!(next("twice").await, (TurnEnd::Done, "One.".to_owned()));
    assert_eq!(next("unknown").await, (TurnEnd::Done, "-32601 -32600".to_owned()));
    assert_eq!(next("flood").await, (TurnEnd::Done, "Enough.".to_owned()));
    assert_eq!(next("last").await, (TurnEnd::Done, "heard: last".to_owned()));
    let reasoning = run.transcript("reasoning");
    assert_eq!(reasoning[0].body["text"].as_str().map(str::len), Some(100_000));
    assert_eq!(run.count(|event| matches!(event, AgentEvent::TurnEnded { .. })), 6);
    run.control.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reasons_to_stop_have_their_meaning() {
    let stage = Stage::new("");
    let mut run = stage.run("stops max_tokens").await;
    assert_eq!(run.turn().await.0, TurnEnd::Cut);
    run.control.close().await;
    for (reason, error_type, retryable) in [
        ("refusal", ErrorType::AgentError, false),
        ("max_turn_requests", ErrorType::AgentError, true),
        ("cancelled", ErrorType::AgentError, true),
        ("boredom", ErrorType::AgentProtocolError, true),
    ] {
        let error = stage.failure(&format!("stops {reason}")).await;
        assert_eq!((error.error_type, error.retryable), (error_type, retryable), "{reason}");
    }
    let error = stage.failure("fails -32603 429 Too Many Requests").await;
    assert!(error.error_type == ErrorType::ProviderError && error.overloaded.is_some(), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_is_answered_by_the_kind_of_its_options() {
    let stage = Stage::new("");
    let mut run = stage.asking("asks").await;
    let ask = run.ask().await;
    assert_eq!(
        (ask.tool.as_str(), ask.patterns.as_slice()),
        ("bash", ["touch x".to_owned()].as_slice())
    );
    let tools = run.transcript("tool");
    assert_eq!(
        tools[0].body["status"],
        json!("pending"),
        "it is told though it was only asked for"
    );
    run.control.answer(&ask.agent_ref, &ask.fingerprint, Answer::AllowAlways).await.expect("taken");
    assert_eq!(run.turn().await.1, "chosen: yes, 1", "its own always is wider than ours");
    assert_eq!(run.transcript("tool")[0].body["output"], json!("made"));
    // The same again needs no person.
    run.control.prompt(prompt("asks".to_owned())).await.expect("taken");
    assert_eq!(run.turn().await.1, "chosen: yes, 1");
    assert_eq!(run.count(|event| matches!(event, AgentEvent::Ask(_))), 1);
    run.control.close().await;
    let mut run = stage.asking("asks").await;
    let ask = run.ask().await;
    let denied = Answer::Deny(String::new());
    run.control.answer(&ask.agent_ref, &ask.fingerprint, denied).await.expect("taken");
    assert_eq!(run.turn().await.1, "chosen: no");
    assert_eq!(prompts(&stage.log).len(), 3, "it went on by itself");
    run.control.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_offers_only_always_is_not_allowed_anything() {
    let stage = Stage::new("");
    let allowed = policy(Allow, &[]);
    let mut run =
        stage.bench.run(Assignment { policy: allowed, ..stage.assignment("always") }).await;
    assert_eq!(run.turn().await.1, "chosen: no");
    let warned = |event: &AgentEvent| matches!(event, AgentEvent::Log { level: "warn", .. });
    assert_eq!(run.count(warned), 1);
    run.control.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_before_is_not_allowed_by_an_old_answer() {
    let stage = Stage::new("");
    let mut run = stage.asking("changes").await;
    let (first, second) = (run.ask().await, run.ask().await);
    assert_eq!(first.agent_ref, second.agent_ref);
    assert_ne!(first.fingerprint, second.fingerprint);
    let answer = async |fingerprint: &str, answer| {
        run.control.answer(&second.agent_ref, fingerprint, answer).await.expect("taken");
    };
    answer(&first.fingerprint, Answer::AllowOnce).await;
    answer(&second.fingerprint, Answer::Deny("no".to_owned())).await;
    assert_eq!(run.turn().await.1, "chosen: no");
    run.control.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_asked_again_after_its_answer_is_another_ask() {
    let stage = Stage::new("");
    let mut run = stage.asking("asks").await;
    let first = run.ask().await;
    let answer = async |run: &Run, ask: &orchestrator::application::ports::driver::Ask| {
        let (name, fingerprint) = (&ask.agent_ref, &ask.fingerprint);
        run.control.answer(name, fingerprint, Answer::AllowOnce).await.expect("taken");
    };
    answer(&run, &first).await;
    assert_eq!(run.turn().await.1, "chosen: yes, 1");
    // The agent gives it the name that it gave the first one.
    run.control.prompt(prompt("asks".to_owned())).await.expect("taken");
    let second = run.ask().await;
    assert_eq!(first.fingerprint, second.fingerprint);
    assert_ne!(first.agent_ref, second.agent_ref, "it was allowed once");
    answer(&run, &first).await;
    answer(&run, &second).await;
    assert_eq!(run.turn().await.1, "chosen: yes, 1");
    run.control.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ask_that_is_withdrawn_is_gone() {
    let stage = Stage::new("");
    let mut run = stage.asking("withdraws").await;
    let ask = run.ask().await;
    let gone = run.until(|event| {
        let AgentEvent::AskGone { agent_ref } = event else { return None };
        Some(agent_ref.clone())
    });
    assert_eq!(gone.await, ask.agent_ref);
    assert_eq!(run.turn().await.1, "Never mind.");
    // An ask that nobody answered goes with its turn.
    run.control.prompt(prompt("asks".to_owned())).await.expect("taken");
    run.ask().await;
    run.control.abort().await.expect("told");
    run.until(|event| matches!(event, AgentEvent::AskGone { .. }).then_some(())).await;
    assert_eq!(run.turn().await.0, TurnEnd::Aborted);
    let cancelled = json!({ "outcome": { "outcome": "cancelled" } });
    assert!(heard(&stage.log).iter().any(|line| line["result"] == cancelled));
    run.control.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_does_not_stop_is_ended() {
    let stage = Stage::new("");
    let mut run = stage.run("stubborn").await;
    run.until(|event| matches!(event, AgentEvent::Delta { .. }).then_some(())).await;
    run.control.abort().await.expect("told");
    let turn = tokio::time::timeout(STUBBORN, run.turn()).await.expect("in time");
    assert_eq!((turn.0, turn.1.as_str()), (TurnEnd::Aborted, "On it."));
    assert_eq!(calls(&stage.log, "session/cancel").len(), 1);
    eventually("it is gone", async || stage.bench.processes().is_empty()).await;
    run.control.prompt(prompt("more".to_owned())).await.expect("taken");
    let error = run.failure().await;
    assert_eq!((error.error_type, error.retryable), (ErrorType::AgentLost, true));
    run.control.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_used_is_counted_once_wherever_it_is_told() {
    let stage = Stage::new("");
    let mut run = stage.run("quota").await;
    let (_, text, _) = run.turn().await;
    assert_eq!(text, "Thanks.");
    let texts: Vec<_> =
        run.transcript("text").iter().map(|item| item.body["text"].clone()).collect();
    assert_eq!(texts, ["Paid.", "Thanks."]);
    assert_eq!(run.transcript("todo")[0].body["items"][0]["content"], json!("a"));
    run.control.prompt(prompt("quota".to_owned())).await.expect("taken");
    run.turn().await;
    let used: Vec<_> = run.told.iter().filter_map(usage).collect();
    assert_eq!(used.len(), 2);
    assert_eq!((used[0].1, used[0].2), (11, Some(250_000)));
    assert_eq!((used[1].1, used[1].2), (11, Some(0)), "the same cost of the whole conversation");
    assert_ne!(used[0].0, used[1].0, "another prompt has another key");
    assert_eq!(run.handle["cost_micros"], json!(250_000));
    run.control.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_is_taken_up_as_honestly_as_the_agent_allows() {
    let again = async |begins: &str, names_the_prompt: bool| {
        let stage = Stage::new(begins);
        let mut assigned = stage.assignment("do it");
        let known = if names_the_prompt { assigned.prompt.id } else { uuid::Uuid::nil() };
        let handle = json!({ "sessionId": "s-1", "prompt": known, "cost_micros": 0 });
        assigned.continuation = Continuation::Same { handle };
        assigned.prompt = same_prompt(assigned.prompt.id, "do it".to_owned());
        let mut run = stage.bench.run(assigned).await;
        assert_eq!(run.turn().await.0, TurnEnd::Done);
        assert_eq!(run.transcript("text").len(), 1, "what was replayed is no news");
        run.control.close().await;
        let heard = prompts(&stage.log).pop().expect("it was prompted");
        (heard, calls(&stage.log, "session/load").len())
    };
    assert_eq!(again("", false).await, (vec!["do it".to_owned()], 1));
    assert_eq!(again("", true).await, (vec!["do it".to_owned()], 1), "it was not heard");
    let (texts, _) = again("silent", true).await;
    assert!(texts.len() == 2 && texts[0].contains("may have heard") && texts[1] == "do it");
    let (texts, loaded) = again("noload", true).await;
    assert!(
        texts.len() == 2 && texts[0].contains("cannot be taken up") && loaded == 0,
        "{texts:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_of_something_else_is_a_lost_agent() {
    let stage = Stage::new("");
    let mut assigned = stage.assignment("x");
    assigned.continuation = Continuation::Same { handle: json!({ "session": "ses_1" }) };
    let error = stage.bench.refusal(assigned).await;
    assert_eq!(error.error_type, ErrorType::AgentLost);
    let missing = Assignment { workdir: "/no/such/folder".into(), ..stage.assignment("x") };
    assert_eq!(stage.bench.refusal(missing).await.error_type, ErrorType::WorkspaceError);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_words_of_an_agent_come_first_and_older_modes_are_understood() {
    let stage = Stage::new("modes");
    let template = "You write code with great care, and you never leave the folder of your work.";
    let assigned = Assignment {
        agent: agent(&stage.config, template),
        profile: Some("code".to_owned()),
        model: Some("vendor/large".to_owned()),
        ..stage.assignment("go")
    };
    let mut run = stage.bench.run(assigned).await;
    run.turn().await;
    run.control.prompt(prompt("on".to_owned())).await.expect("taken");
    run.turn().await;
    assert_eq!(prompts(&stage.log), [vec![template, "go"], vec!["on"]]);
    let set = |method: &str, field: &str| calls(&stage.log, method)[0][field].clone();
    assert_eq!(set("session/set_mode", "modeId"), json!("code"));
    assert_eq!(set("session/set_model", "modelId"), json!("large"));
    let offered = &calls(&stage.log, "initialize")[0]["clientCapabilities"];
    assert_eq!(offered["fs"]["writeTextFile"], json!(false));
    assert_eq!(offered["terminal"], json!(false));
    run.control.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_ends_every_process_and_what_nobody_ended_is_reaped() {
    let stage = Stage::new("");
    let mut run = stage.run("stubborn").await;
    run.until(|event| matches!(event, AgentEvent::Delta { .. }).then_some(())).await;
    assert!(stage.bench.processes().len() >= 2, "guard and agent");
    stage.bench.driver.shutdown().await;
    assert_eq!(stage.bench.processes(), [0; 0]);
    let refused = stage.bench.refusal(stage.assignment("x")).await;
    assert_eq!(refused.error_type, ErrorType::AgentLost);

    let mut options = acp_options(&stage.root.path().join("bare"));
    std::fs::create_dir(&options.state_dir).expect("a folder");
    options.guard_command = None;
    let bench = AcpBench::new(options.clone());
    let mut config = stage.config.clone();
    config["command"] =
        json!(["sh", "-c", "setsid sleep 300 & exec python3 \"$0\"", config["command"][1]]);
    let mut run = bench
        .run(acp_assignment(
            &config,
            &stage.root.path().canonicalize().expect("there").join("work"),
            "hello",
        ))
        .await;
    assert_eq!(run.turn().await.1, "heard: hello");
    assert!(!bench.processes().is_empty());
    let reaped = AcpBench::new(options).driver.reap().await;
    assert!(reaped >= 2, "{reaped}");
    assert_eq!(bench.processes(), [0; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_reaches_the_worktree_of_its_session_and_no_other() {
    let root = tempfile::tempdir().expect("a folder");
    let place = root.path().canonicalize().expect("there");
    let neighbours = Neighbours::below(&place);
    let mut options = acp_options(&place.join("state"));
    options.sandbox.mode = Some(Mode::Data);
    options.sandbox.hidden = vec![place.join("state"), neighbours.root.clone()];
    let bench = AcpBench::new(options);
    let (mut config, log) = odd_config(&place, "");
    // What a shell can do where the agent is started, the agent can.
    let (said, script) = (place.join("said"), neighbours.script());
    for file in [&said, &log] {
        std::fs::write(file, "").expect("written");
    }
    let first = format!("{{ {script}; }} > {} 2>&1\nexec python3 \"$0\"", said.display());
    config["command"] = json!(["sh", "-c", first, config["command"][1]]);
    let mut run = bench.run(acp_assignment(&config, &neighbours.mine(), "hello")).await;
    assert_eq!(run.turn().await.1, "heard: hello");
    run.control.close().await;
    let said = std::fs::read_to_string(said).expect("there");
    neighbours.check(&said, matches!(sandbox::status(), Status::Landlock(_)));
}

fn usage(event: &AgentEvent) -> Option<(String, u64, Option<i64>)> {
    let AgentEvent::Usage { key, usage, model: _ } = event else { return None };
    let cost = usage.cost_usd.map(Usd::micros);
    Some((key.clone(), usage.tokens_input, cost))
}
