//! How turns and processes end.

use std::io::Write;
use std::time::{Duration, Instant};

use orchestrator::application::ports::driver::{AgentDriver, AgentEvent, TurnEnd};
use orchestrator::domain::session::attempt::ErrorType;
use serde_json::json;

use super::{Bench, grown};
use crate::support::opencode::{Run, eventually, prompt};

/// Runs until this was printed.
async fn printed(run: &mut Run, words: &str) {
    while !grown(run).contains(words) {
        assert!(run.next().await.is_some(), "over after {:#?}", run.told);
    }
}

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn an_exit_code_and_the_last_complaints_say_why_it_failed() {
    let bench = Bench::with(|options, _| options.redactor.learn(["canary-of-the-agent"]));
    let script = "echo working; echo first >&2; echo no key canary-of-the-agent >&2; exit 3";
    let mut run = bench.run(script, "x").await;
    let failed = run.failure().await;
    assert_eq!(failed.error_type, ErrorType::AgentError);
    assert!(failed.message.contains("agent ended with code 3: first | no key "), "{failed}");
    assert!(!failed.message.contains("canary"), "{failed}");
    assert_eq!(run.transcript("text")[0].body, json!({ "text": "working\n" }));
    assert!(run.next().await.is_none(), "the run is over");
    run.control.prompt(prompt("more".to_owned())).await.expect("does nothing");
    run.control.abort().await.expect("does nothing");
}

#[tokio::test]
async fn a_signal_is_told_as_one() {
    let bench = Bench::new();
    for (signal, words) in [("KILL", "signal 9 (SIGKILL)"), ("SEGV", "signal 11 (SIGSEGV)")] {
        let mut run = bench.run(&format!("kill -{signal} $$"), "x").await;
        let failed = run.failure().await;
        assert!(failed.message.contains(words), "{failed}");
    }
}

#[tokio::test]
async fn a_failure_that_the_agent_tells_is_one_whatever_its_exit_code() {
    let bench = Bench::new();
    let program =
        bench.script("agent", r#"echo '{"type":"error","message":"the key is refused"}'"#);
    let config = json!({ "command": [program], "output": "jsonl" });
    let mut run = bench.start(bench.assignment(&config, "x")).await;
    let failed = run.failure().await;
    assert!(failed.message.ends_with("says that it failed: the key is refused"), "{failed}");
}

#[tokio::test]
async fn an_abort_asks_first_and_the_next_prompt_goes_on() {
    let bench = Bench::new();
    let script = "read word
if [ \"$word\" = hang ]; then
  trap 'echo bye; exit 0' TERM; echo ready; sleep 300 & wait
fi
echo done";
    let mut run = bench.run(script, "hang\n").await;
    printed(&mut run, "ready").await;
    let began = now();
    run.control.abort().await.expect("told");
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Aborted, "ready\nbye"));
    assert!(began.elapsed() < bench.options.grace, "it had to be killed");
    eventually("all of it is gone", async || bench.processes().is_empty()).await;
    run.control.abort().await.expect("there is nothing to abort");
    run.control.prompt(prompt("go\n".to_owned())).await.expect("taken");
    assert_eq!(run.turn().await.1, "done");
}

#[tokio::test]
async fn a_program_that_ignores_it_is_killed_after_the_grace() {
    let bench = Bench::with(|options, _| options.grace = Duration::from_millis(300));
    let mut run =
        bench.run("trap '' TERM INT HUP; echo ready; while :; do sleep 1; done", "x").await;
    printed(&mut run, "ready").await;
    run.control.abort().await.expect("told");
    assert_eq!(run.turn().await.0, TurnEnd::Aborted);
    assert_eq!(bench.processes(), [0; 0]);
}

#[tokio::test]
async fn an_abort_works_while_nobody_reads_what_is_told() {
    let bench = Bench::with(|options, _| options.grace = Duration::from_millis(300));
    let run = bench.run("trap '' PIPE; yes 'a line of words'", "x").await;
    eventually("it runs", async || bench.processes().len() >= 2).await;
    run.control.abort().await.expect("told");
    eventually("it is gone", async || bench.processes().is_empty()).await;
    run.control.close().await;
}

#[tokio::test]
async fn an_abort_before_anything_was_started_starts_nothing() {
    let bench = Bench::new();
    let program = bench.script("agent", "echo x >> count");
    let assignment = bench.assignment(&json!({ "command": [program] }), "x");
    let running = bench.driver.start(assignment).await.expect("the run starts");
    running.control.abort().await.expect("told");
    let mut run = Run::begin(running).await;
    assert_eq!(run.turn().await.0, TurnEnd::Aborted);
    assert_eq!(bench.lines("count"), 0);
}

#[tokio::test]
async fn a_prompt_that_was_just_told_can_be_aborted() {
    let bench = Bench::new();
    let mut run = bench.run("read word; [ \"$word\" = go ] || sleep 300; echo done", "go\n").await;
    assert_eq!(run.turn().await.0, TurnEnd::Done);
    // Nobody had the time to take it.
    run.control.prompt(prompt("hang\n".to_owned())).await.expect("taken");
    run.control.abort().await.expect("told");
    let turn = tokio::time::timeout(Duration::from_mins(1), run.turn()).await;
    assert_eq!(turn.expect("it was aborted").0, TurnEnd::Aborted);
    run.control.prompt(prompt("go\n".to_owned())).await.expect("taken");
    assert_eq!(run.turn().await.0, TurnEnd::Done, "the abort was for the one before");
}

#[tokio::test]
async fn what_a_tenant_chooses_means_nothing_to_the_guard() {
    let bench = Bench::new();
    let program = bench.script("agent", "echo ready; exec sleep 300");
    let env = json!({ "LD_PRELOAD": "/nonexistent/own.so", "TMPDIR": "/nonexistent" });
    let config = json!({ "command": [program], "env": env });
    let mut run = bench.start(bench.assignment(&config, "x")).await;
    printed(&mut run, "ready").await;
    let read = |pid: &i32, what: &str| {
        let bytes = std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
        format!("\n{}", String::from_utf8_lossy(&bytes).replace('\0', "\n"))
    };
    let (guards, programs): (Vec<i32>, Vec<i32>) =
        bench.processes().into_iter().partition(|pid| read(pid, "cmdline").contains("--marker"));
    assert!(guards.len() == 1 && !programs.is_empty());
    let of_guard = read(&guards[0], "environ");
    assert!(
        !of_guard.contains("\nLD_PRELOAD=") && !of_guard.contains("\nTMPDIR=/nonexistent"),
        "{of_guard}"
    );
    let of_program = read(&programs[0], "environ");
    assert!(of_program.contains("\nLD_PRELOAD=/nonexistent/own.so\n"), "{of_program}");
    assert!(!of_program.contains("FOR_CHILD"), "{of_program}");
    run.control.close().await;
}

#[tokio::test]
async fn a_prompt_of_which_only_half_came_in_is_not_told() {
    let bench = Bench::new();
    let program = bench.script("agent", "touch ready; read -r word && echo \"$word\" > heard");
    for _ in 0..5 {
        let marker = format!("{}=of-half-a-prompt", bench.options.marker);
        let words = ["--marker", &marker, "--feed", "100", "--", &program];
        let mut guard = std::process::Command::new(&bench.options.guard_command[0])
            .arg("guard")
            .args(words)
            .env(&bench.options.marker, "of-half-a-prompt")
            .current_dir(bench.work())
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("it starts");
        let ready = bench.work().join("ready");
        eventually("it waits for its prompt", async || ready.exists()).await;
        // Whoever writes it is gone in the middle.
        let mut pipe = guard.stdin.take().expect("a pipe");
        pipe.write_all(b"remove everything\nthat is older than a year").expect("written");
        drop(pipe);
        assert_eq!(guard.wait().expect("it ends").code(), Some(137));
        std::fs::remove_file(ready).expect("removed");
    }
    assert!(!bench.work().join("heard").exists());
    assert_eq!(bench.processes(), [0; 0]);
}

#[tokio::test]
async fn nothing_is_started_before_the_handle_is_stored() {
    let bench = Bench::new();
    let program = bench.script("agent", "echo x >> count");
    let assignment = bench.assignment(&json!({ "command": [program] }), "x");
    let mut running = bench.driver.start(assignment).await.expect("the run starts");
    let Some(AgentEvent::Handshake { handle, stored }) = running.events.recv().await else {
        panic!("the handshake comes first");
    };
    assert!(handle["conversation"].is_string());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((bench.lines("count"), bench.processes()), (0, Vec::new()));
    drop(stored);
    assert!(running.events.recv().await.is_none(), "the run must not begin");
    assert_eq!((bench.lines("count"), bench.processes()), (0, Vec::new()));
}

#[tokio::test]
async fn what_a_program_left_in_the_background_ends_with_its_turn() {
    let bench = Bench::new();
    // It keeps the streams open, too.
    let mut run = bench.run("setsid sleep 300 & echo done", "x").await;
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "done"));
    assert_eq!(bench.processes(), [0; 0]);
}

#[tokio::test]
async fn who_escapes_the_guard_holds_up_no_turn() {
    let bench = Bench::new();
    let began = now();
    let mut run = bench.run("env -i setsid sleep 30 & sleep 1; echo done", "x").await;
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "done"));
    assert!(began.elapsed() < Duration::from_secs(20), "it was waited for");
}

#[tokio::test]
async fn closing_and_dropping_a_run_end_its_program() {
    let bench = Bench::with(|options, _| options.grace = Duration::from_millis(300));
    let mut run = bench.run("echo ready; sleep 300", "x").await;
    printed(&mut run, "ready").await;
    run.control.close().await;
    assert_eq!(bench.processes(), [0; 0]);
    let mut run = bench.run("trap '' TERM; echo ready; sleep 300", "x").await;
    printed(&mut run, "ready").await;
    drop(run);
    eventually("it is gone", async || bench.processes().is_empty()).await;
}

#[tokio::test]
async fn a_shutdown_ends_everything_and_nothing_begins_after_it() {
    let bench = Bench::with(|options, _| options.grace = Duration::from_millis(300));
    let mut run = bench.run("trap '' TERM; setsid sleep 300 & echo ready; sleep 300", "x").await;
    printed(&mut run, "ready").await;
    bench.driver.shutdown().await;
    assert_eq!(bench.processes(), [0; 0]);
    while let Some(event) = run.next().await {
        assert!(!matches!(event, AgentEvent::TurnEnded { .. }), "its turn is not over");
    }
    let program = bench.script("agent", "true");
    let assignment = bench.assignment(&json!({ "command": [program] }), "x");
    let refused = bench.driver.start(assignment).await.err().expect("refused");
    assert_eq!(refused.error_type, ErrorType::AgentLost, "{refused}");
}

#[test]
fn what_an_earlier_life_left_is_reaped() {
    let bench = Bench::new();
    let runtime = || tokio::runtime::Runtime::new().expect("a runtime");
    let earlier = runtime();
    let run = earlier.block_on(async {
        let mut run = bench.run("echo ready; exec sleep 300", "x").await;
        printed(&mut run, "ready").await;
        run
    });
    // A guard that is held up, and a server that is killed: nobody is left to see to the program.
    let left = bench.processes();
    let is_guard = |pid: &&i32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains("--marker")
    };
    let guard = *left.iter().find(is_guard).expect("a guard");
    let send = |signal: &str| {
        let sent = std::process::Command::new("kill").args([signal, &guard.to_string()]).status();
        assert!(sent.expect("kill runs").success());
    };
    send("-STOP");
    std::mem::forget(run);
    earlier.shutdown_background();
    send("-KILL");
    runtime().block_on(async {
        eventually("the guard is gone", async || !bench.processes().contains(&guard)).await;
        assert_eq!(bench.processes().len(), 1, "its program lives");
        let bench = bench.again();
        assert_eq!(bench.driver.reap().await, 1);
        assert_eq!(bench.processes(), [0; 0]);
        assert_eq!(bench.driver.reap().await, 0);
    });
}
