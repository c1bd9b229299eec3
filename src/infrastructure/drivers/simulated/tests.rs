//! The driver on a clock that is moved by hand.

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::application::ports::driver::{AgentEvent, Brief, TranscriptItem};
use crate::domain::agent::Agent;
use crate::domain::agent::draft::AgentDraft;
use crate::domain::ids::{AgentId, SessionId, TenantId};
use crate::domain::session::spec::{Calls, PermissionDecision, PermissionPolicy, PermissionRule};
use crate::domain::time::Timestamp;
use crate::infrastructure::clock::ManualClock;
use crate::infrastructure::ids::SystemIds;

struct Stage {
    clock: Arc<ManualClock>,
    driver: SimulatedDriver,
    folder: TempDir,
    tracker: TaskTracker,
}

impl Stage {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000)));
        let tracker = TaskTracker::new();
        let shared: Arc<ManualClock> = Arc::clone(&clock);
        let options = SimulatedOptions::default();
        let driver = SimulatedDriver::new(options, shared, Arc::new(SystemIds), tracker.clone());
        Self { clock, driver, folder: tempfile::tempdir().expect("a folder"), tracker }
    }

    fn assignment(&self, text: &str, continuation: Continuation) -> Assignment {
        Assignment {
            brief: Brief::default(),
            doorway: None,
            tenant: TenantId::BOOTSTRAP,
            session: SessionId::new(Uuid::from_u128(7)),
            code: "IND-000007".to_owned(),
            title: "A test".to_owned(),
            attempt: 1,
            fencing_token: 1,
            agent: agent(),
            profile: None,
            profile_options: Value::Null,
            model: None,
            workdir: self.folder.path().to_owned(),
            is_private: true,
            policy: PermissionPolicy::default(),
            prompt: Prompt { id: Uuid::from_u128(1), text: text.to_owned() },
            continuation,
        }
    }

    async fn script(&self, steps: Value) -> Show {
        self.play(self.assignment(&fenced(&steps), Continuation::Fresh)).await
    }

    async fn play(&self, assignment: Assignment) -> Show {
        let running = self.driver.start(assignment).await.expect("started");
        let mut show = Show { running, clock: Arc::clone(&self.clock), handle: Value::Null };
        let Some(AgentEvent::Handshake { handle, stored }) = show.next().await else {
            panic!("the handshake comes first");
        };
        show.handle = handle;
        stored.send(()).expect("the driver waits for it");
        show
    }
}

fn agent() -> Arc<Agent> {
    let draft = AgentDraft::new("AGENT-ONE", AgentKind::Simulated, ["testing"]);
    let id = AgentId::new(Uuid::from_u128(1));
    Arc::new(draft.accept(id, TenantId::BOOTSTRAP, Timestamp::EPOCH).expect("valid"))
}

fn fenced(steps: &Value) -> String {
    format!("Please:\n```simulated\n{steps}\n```\n")
}

struct Show {
    running: Running,
    clock: Arc<ManualClock>,
    handle: Value,
}

impl Show {
    /// The next event; time passes whenever the driver waits for it.
    async fn next(&mut self) -> Option<AgentEvent> {
        loop {
            tokio::select! {
                biased;
                event = self.running.events.recv() => return event,
                () = tokio::task::yield_now() => {
                    if let Some(at) = self.clock.next_wake() {
                        self.clock.advance_to(at);
                    }
                }
            }
        }
    }

    /// Events in short words, up to and with the first that has this prefix.
    async fn until(&mut self, prefix: &str) -> Vec<String> {
        let mut words = Vec::new();
        while let Some(event) = self.next().await {
            let word = word(&event);
            let found = word.starts_with(prefix);
            words.push(word);
            if found {
                return words;
            }
        }
        panic!("no {prefix} in {words:?}");
    }
}

fn word(event: &AgentEvent) -> String {
    match event {
        AgentEvent::Handshake { .. } => "handshake".to_owned(),
        AgentEvent::Keep { .. } => "keep".to_owned(),
        AgentEvent::Delta { .. } => "delta".to_owned(),
        AgentEvent::Transcript(TranscriptItem { kind, body, .. }) => {
            assert_eq!(body["simulated"], true, "labelled");
            let status = body["status"].as_str().or(body["text"].as_str()).unwrap_or_default();
            format!("{kind} {status}")
        }
        AgentEvent::Log { .. } => "log".to_owned(),
        AgentEvent::Phase(phase) => format!("phase {phase}"),
        AgentEvent::Usage { usage, .. } => {
            assert!(usage.simulated && usage.reported, "labelled");
            format!("usage {}", usage.tokens_total())
        }
        AgentEvent::Ask(ask) => format!("ask {}", ask.title),
        AgentEvent::AskGone { .. } => "gone".to_owned(),
        AgentEvent::AsksOpen { agent_refs } => format!("open {}", agent_refs.join(" ")),
        AgentEvent::Step { message_ref } => format!("step {message_ref}"),
        AgentEvent::ProviderRetry { .. } => "retry".to_owned(),
        AgentEvent::ProviderBack => "back".to_owned(),
        AgentEvent::Moving { reason, .. } => format!("moving {reason}"),
        AgentEvent::StreamLost => "lost".to_owned(),
        AgentEvent::StreamBack => "found".to_owned(),
        AgentEvent::TurnEnded { end, text, .. } => format!("ended {end} {text}"),
        AgentEvent::Outcome(told) => format!("outcome {}", told.output),
        AgentEvent::Quiet(is_quiet) => format!("quiet {is_quiet}"),
        AgentEvent::Expired => "expired".to_owned(),
        AgentEvent::Declined(reason) => format!("declined {reason}"),
        AgentEvent::Failed(error) => format!("failed {error}"),
    }
}

fn told(words: &[String]) -> Vec<&str> {
    let dull =
        |word: &str| ["delta", "user", "notice"].iter().any(|prefix| word.starts_with(prefix));
    words.iter().map(String::as_str).filter(|word| !dull(word)).collect()
}

#[tokio::test]
async fn every_step_tells_its_event_in_order() {
    let stage = Stage::new();
    let write = json!({"path": "src/x.txt", "content": "hello"});
    let steps = json!([
        {"phase": "planning"}, {"think": "hm"}, {"todo": [{"content": "a"}]},
        {"tool": {"tool": "edit", "output": "ok", "write": write}},
        {"usage": {"input": 10, "output": 5, "cache_read": 100}},
        {"provider_retry_ms": 5000}, {"stream_lost_ms": 60000}, {"wait_ms": 3_600_000},
        {"say": "bye"},
    ]);
    let mut show = stage.script(steps).await;
    let words = show.until("ended").await;
    let wanted = [
        "phase planning",
        "reasoning hm",
        "todo ",
        "tool running",
        "tool completed",
        "step msg_1",
        "usage 15",
        "retry",
        "back",
        "lost",
        "found",
        "text bye",
        "step msg_2",
        "ended done bye",
    ];
    assert_eq!(told(&words), wanted);
    assert!(stage.clock.now().since(Timestamp::EPOCH) > Duration::from_hours(1));
    let written = std::fs::read(stage.folder.path().join("src/x.txt")).expect("written");
    assert_eq!(written, b"hello");
}

#[tokio::test]
async fn nothing_is_told_before_the_handshake_is_stored() {
    let stage = Stage::new();
    let assignment = stage.assignment("plain", Continuation::Fresh);
    let mut running = stage.driver.start(assignment).await.expect("started");
    let Some(AgentEvent::Handshake { stored, .. }) = running.events.recv().await else {
        panic!("the handshake comes first");
    };
    drop(stored);
    assert!(running.events.recv().await.is_none(), "the run must not begin");
}

#[tokio::test]
async fn a_plan_without_script_is_the_same_each_time_and_ends_well() {
    let mut plays = Vec::new();
    for _ in 0..2 {
        let stage = Stage::new();
        let mut show = stage.play(stage.assignment("Fix the bug", Continuation::Fresh)).await;
        plays.push(show.until("ended done").await);
        assert!(Path::new(stage.folder.path()).join("SIMULATED.md").exists());
    }
    assert_eq!(plays[0], plays[1]);
}

#[tokio::test]
async fn asks_wait_for_their_answer_and_a_denial_is_told_and_passed() {
    let stage = Stage::new();
    let ask = json!({"ask": {"tool": "bash", "patterns": ["rm x"], "title": "remove x"}});
    let mut show =
        stage.script(json!([ask, ask, ask, {"question": "Which?"}, {"say": "end"}])).await;
    let mut words = Vec::new();
    let answers = [Answer::Deny("no".into()), Answer::AllowAlways, Answer::Text("that".into())];
    let mut fingerprints = Vec::new();
    for answer in answers {
        loop {
            let event = show.next().await.expect("an ask");
            words.push(word(&event));
            if let AgentEvent::Ask(ask) = event {
                let control = &show.running.control;
                control.answer("ask-of-nobody", "", Answer::AllowOnce).await.expect("ignored");
                // About something else than what is asked: it waits on.
                control.answer(&ask.agent_ref, "other", Answer::AllowOnce).await.expect("ignored");
                control.answer(&ask.agent_ref, &ask.fingerprint, answer).await.expect("taken");
                fingerprints.push(ask.fingerprint);
                break;
            }
        }
    }
    assert!(fingerprints[0] == fingerprints[1], "the same is wanted");
    assert_ne!(fingerprints[1], fingerprints[2]);
    words.extend(show.until("ended").await);
    let wanted = [
        "ask remove x",
        "gone",
        "tool denied",
        "ask remove x",
        "gone",
        "tool completed",
        "tool completed",
        "ask Which?",
        "gone",
        "text Which?\n\nAnswer: that",
        "text end",
        "step msg_1",
        "ended done end",
    ];
    assert_eq!(told(&words), wanted);
}

#[tokio::test]
async fn the_policy_decides_without_asking() {
    let stage = Stage::new();
    let rule =
        |tool: &str, decision| PermissionRule { tool: tool.into(), calls: Calls::All, decision };
    let steps = json!([
        {"ask": {"tool": "bash"}}, {"ask": {"tool": "web"}},
        {"tool": {"tool": "web", "write": {"path": "x", "content": "x"}}},
    ]);
    let mut assignment = stage.assignment(&fenced(&steps), Continuation::Fresh);
    assignment.policy.rules =
        vec![rule("bash", PermissionDecision::Allow), rule("web", PermissionDecision::Deny)];
    let mut show = stage.play(assignment).await;
    let words = show.until("ended").await;
    let wanted = ["tool completed", "tool denied", "tool denied", "step msg_1", "ended done "];
    assert_eq!(told(&words), wanted);
    assert!(!stage.folder.path().join("x").exists());
}

#[tokio::test]
async fn abort_ends_the_turn_and_the_next_prompt_is_taken() {
    let stage = Stage::new();
    let mut show = stage.script(json!([{"say": "a"}, {"hang": true}])).await;
    show.until("step").await;
    let next = Prompt { id: Uuid::from_u128(2), text: fenced(&json!([{"say": "next"}])) };
    show.running.control.prompt(next.clone()).await.expect("taken");
    show.running.control.prompt(next.clone()).await.expect("taken once");
    show.running.control.abort().await.expect("taken");
    assert_eq!(told(&show.until("ended").await), ["ended aborted a"]);
    let wanted = ["text next", "step msg_2", "ended done next"];
    assert_eq!(told(&show.until("ended").await), wanted);
    show.running.control.prompt(next).await.expect("known");
    assert_eq!(told(&show.until("ended").await), ["ended done next"], "not done twice");
}

#[tokio::test]
async fn a_prompt_told_again_goes_on_where_it_was() {
    let stage = Stage::new();
    let steps = json!([{"say": "one"}, {"gate": "go"}, {"say": "two"}]);
    let mut show = stage.script(steps.clone()).await;
    show.until("step").await;
    let same = Continuation::Same { handle: show.handle.clone() };
    // A second run takes over while the first still waits.
    let mut second = stage.play(stage.assignment(&fenced(&steps), same.clone())).await;
    while show.next().await.is_some() {}
    assert_eq!(second.handle, show.handle);
    stage.driver.open_gate("go");
    let wanted = ["text two", "step msg_2", "ended done two"];
    assert_eq!(told(&second.until("ended").await), wanted);
    let mut third = stage.play(stage.assignment(&fenced(&steps), same)).await;
    assert_eq!(told(&third.until("ended").await), ["ended done two"]);
}

#[tokio::test]
async fn after_a_restart_the_handle_is_enough_to_start_over() {
    let (before, after) = (Stage::new(), Stage::new());
    let steps = json!([{"say": "one"}, {"say": "two"}]);
    let mut show = before.script(steps.clone()).await;
    show.until("step").await;
    let same = Continuation::Same { handle: show.handle.clone() };
    let mut again = after.play(after.assignment(&fenced(&steps), same)).await;
    assert_eq!(again.handle, show.handle);
    assert_eq!(told(&again.until("ended").await).len(), 5);
    let foreign = Continuation::Same { handle: json!({"other": 1}) };
    let error = after.driver.start(after.assignment("x", foreign)).await.err().expect("refused");
    assert_eq!(error.error_type, ErrorType::AgentLost);
}

#[tokio::test]
async fn a_failure_ends_the_run_and_is_passed_by_the_next() {
    let stage = Stage::new();
    let fail = json!({"fail": {"type": "provider_error", "message": "no", "retryable": false}});
    let steps = json!([{"say": "a"}, fail, {"say": "b"}]);
    let mut show = stage.script(steps.clone()).await;
    show.until("step").await;
    let Some(AgentEvent::Failed(error)) = show.next().await else { panic!("it fails") };
    assert_eq!((error.error_type, error.retryable), (ErrorType::ProviderError, false));
    assert!(show.next().await.is_none());
    let same = Continuation::Same { handle: show.handle.clone() };
    let mut again = stage.play(stage.assignment(&fenced(&steps), same)).await;
    assert_eq!(told(&again.until("ended").await), ["text b", "step msg_2", "ended done b"]);
}

#[tokio::test]
async fn a_copy_is_cut_after_a_message_and_an_aborted_turn_goes_on_in_a_new_run() {
    let stage = Stage::new();
    let steps = json!([{"say": "a"}, {"hang": true}, {"end": "cut"}]);
    let mut show = stage.script(steps.clone()).await;
    show.until("step").await;
    show.running.control.abort().await.expect("taken");
    show.until("ended aborted").await;
    let same = Continuation::Same { handle: show.handle.clone() };
    let mut again = stage.play(stage.assignment(&fenced(&steps), same)).await;
    // It hangs again, at the step where it was.
    again.running.control.abort().await.expect("taken");
    assert_eq!(told(&again.until("ended").await), ["ended aborted a"]);
    let handle = show.handle.clone();
    let cut = Continuation::CutAfter { handle: handle.clone(), message_ref: None };
    let end = fenced(&json!([{"say": "x"}, {"end": "cut"}, {"say": "never"}]));
    let mut copy = stage.play(stage.assignment(&end, cut)).await;
    assert_ne!(copy.handle, handle);
    assert_eq!(told(&copy.until("ended").await), ["text x", "step msg_1", "ended cut x"]);
}

#[tokio::test]
async fn close_and_shutdown_end_everything() {
    let stage = Stage::new();
    let mut show = stage.script(json!([{"hang": true}])).await;
    show.running.control.close().await;
    while show.next().await.is_some() {}
    show.running.control.abort().await.expect("does nothing");
    let mut other = stage.script(json!([{"gate": "never"}])).await;
    stage.driver.shutdown().await;
    while other.next().await.is_some() {}
    stage.tracker.close();
    stage.tracker.wait().await;
    let assignment = stage.assignment("late", Continuation::Fresh);
    assert!(stage.driver.start(assignment).await.is_err());
}

#[tokio::test]
async fn a_broken_script_is_a_failure_with_a_reason() {
    let stage = Stage::new();
    let mut show = stage.script(json!([{"dance": 1}])).await;
    let words = show.until("failed").await;
    assert!(words.last().expect("one").contains("step 1 of the script"), "{words:?}");
}

#[tokio::test]
async fn a_retry_with_the_same_script_goes_on_behind_the_failure() {
    let stage = Stage::new();
    let fail = json!({"fail": {"type": "provider_error"}});
    let steps = json!([{"say": "a"}, fail, {"say": "b"}]);
    let mut show = stage.script(steps.clone()).await;
    show.until("failed").await;
    let same = Continuation::Same { handle: show.handle.clone() };
    let mut retry = stage.assignment(&format!("Again.\n{}", fenced(&steps)), same.clone());
    retry.prompt.id = Uuid::from_u128(2);
    let mut again = stage.play(retry).await;
    assert_eq!(told(&again.until("ended").await), ["text b", "step msg_2", "ended done b"]);
    // Done to its end, the same script is a new piece of work.
    let mut anew = stage.assignment(&fenced(&steps), same);
    anew.prompt.id = Uuid::from_u128(3);
    let mut anew = stage.play(anew).await;
    assert_eq!(told(&anew.until("failed").await)[0], "text a");
}
