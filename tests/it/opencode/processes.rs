//! What happens to processes, and to the work, when something is killed.

use std::time::Duration;

use orchestrator::application::ports::driver::{AgentDriver, AgentEvent, Continuation, TurnEnd};
use orchestrator::domain::ids::TenantId;
use serde_json::{Map, json};

use crate::support::opencode::{
    Bench, assignment, eventually, opencode_options, processes, repository, same_prompt,
    server_among,
};
use crate::support::scripted_llm::{ScriptedLlm, scripted};

/// Does something that can be counted, starts a process that outlives its shell, and waits.
fn work(gate: &str) -> serde_json::Value {
    json!([
        { "call": { "tool": "bash", "args": {
            "command": "echo once >> log.txt; setsid sleep 300 >/dev/null 2>&1 & true",
            "description": "count" } } },
        { "say": "Done.", "gate": gate },
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_or_deaf_server_is_replaced_and_the_conversation_goes_on() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let mut options = opencode_options(&root.path().join("state"), &llm);
    options.health_timeout = Duration::from_secs(2);
    let bench = Bench::new(options);
    let repo = repository(root.path(), "repo");
    let mut run = bench.run(assignment(&repo, scripted("work", &work("later")))).await;
    llm.asked(run.session(), 2).await;
    let server = server_among(&bench.processes()).expect("a server");
    signal(server, "-KILL");
    run.until(|event| matches!(event, AgentEvent::StreamLost).then_some(())).await;
    run.until(|event| matches!(event, AgentEvent::StreamBack).then_some(())).await;
    // The next one does not die but falls silent.
    let deaf = eventually_another(&bench, server).await;
    signal(deaf, "-STOP");
    run.until(|event| matches!(event, AgentEvent::StreamBack).then_some(())).await;
    llm.open("later").await;
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "Done."));
    let log = std::fs::read_to_string(repo.join("log.txt")).expect("written");
    assert_eq!(log, "once\n", "the work was done twice");
    assert_ne!(server_among(&bench.processes()), Some(deaf));
    let tools = run.count(|event| {
        matches!(event, AgentEvent::Transcript(item) if item.body["status"] == json!("completed"))
    });
    assert_eq!(tools, 1, "what did not change was told again");
    run.control.close().await;
    bench.driver.shutdown().await;
    assert_eq!(bench.processes(), [0; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_run_left_in_the_background_ends_with_it() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let bench = Bench::new(opencode_options(&root.path().join("state"), &llm));
    let mine = repository(root.path(), "mine");
    let mut run = bench.run(assignment(&mine, scripted("work", &work("later")))).await;
    llm.open("later").await;
    assert_eq!(run.turn().await.0, TurnEnd::Done);
    let sleepers = || {
        let named = |pid: &i32| {
            let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            name.trim() == "sleep"
        };
        bench.processes().into_iter().filter(named).count()
    };
    assert_eq!(sleepers(), 1, "it outlives its shell");
    run.control.close().await;
    eventually("it is ended", async || sleepers() == 0).await;
    assert!(server_among(&bench.processes()).is_some(), "the server goes on");
    bench.driver.shutdown().await;
}

#[tokio::test]
async fn a_server_that_nobody_uses_goes_and_a_probe_does_not_wake_it() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let mut options = opencode_options(&root.path().join("state"), &llm);
    options.idle_time = Duration::from_secs(1);
    options.probe_every = Duration::from_millis(200);
    let bench = Bench::new(options);
    let version =
        bench.driver.probe(TenantId::BOOTSTRAP, &Map::new()).await.expect("it works").version;
    eventually("the idle server is gone", async || bench.processes().is_empty()).await;
    assert_eq!(
        bench.driver.probe(TenantId::BOOTSTRAP, &Map::new()).await.expect("it would work").version,
        version
    );
    assert_eq!(bench.processes(), [0; 0]);
    let repo = repository(root.path(), "repo");
    let text = scripted("work", &json!([{ "say": "Awake." }]));
    let mut run = bench.run(assignment(&repo, text)).await;
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "Awake."));
    run.control.close().await;
    bench.driver.shutdown().await;
}

#[test]
fn death_takes_everything_along_and_the_next_life_goes_on() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let (state, repo) = (root.path().join("state"), repository(root.path(), "repo"));
    let options = opencode_options(&state, &llm);
    let marker = options.marker.clone();
    let text = scripted("work", &work("later"));
    let assigned = assignment(&repo, text.clone());
    let id = assigned.prompt.id;
    // The first life ends without a word: its tasks vanish with their runtime.
    let first = runtime();
    let (bench, run) = first.block_on(async {
        let bench = Bench::new(options.clone());
        let run = bench.run(assigned).await;
        llm.asked(run.session(), 2).await;
        (bench, run)
    });
    let handle = run.handle.clone();
    assert!(bench.processes().len() >= 3, "guard, server and a tool's process");
    first.shutdown_background();
    let second = runtime();
    second.block_on(async {
        let gone = eventually("everything is gone", async || processes(&marker).is_empty());
        tokio::time::timeout(Duration::from_secs(5), gone).await.expect("within five seconds");
        drop((bench, run));
        let bench = Bench::new(options);
        assert_eq!(bench.driver.reap().await, 0);
        let mut again = assignment(&repo, String::new());
        again.prompt = same_prompt(id, text);
        again.continuation = Continuation::Same { handle: handle.clone() };
        let mut run = bench.run(again).await;
        assert_eq!(run.handle, handle);
        llm.open("later").await;
        let (end, text, _) = run.turn().await;
        assert_eq!((end, text.as_str()), (TurnEnd::Done, "Done."));
        let log = std::fs::read_to_string(repo.join("log.txt")).expect("written");
        assert_eq!(log, "once\n", "the work was done twice");
        let told = run.transcript("tool");
        assert_eq!(told.len(), 1, "what happened in the first life is told to the second");
        bench.driver.shutdown().await;
        assert_eq!(bench.processes(), [0; 0]);
    });
}

#[tokio::test]
async fn what_a_killed_guard_left_behind_is_reaped() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let state = root.path().join("state");
    std::fs::create_dir_all(&state).expect("a folder");
    let mut options = opencode_options(&state, &llm);
    // A server that needs nothing and never ends; without a guard nobody ends it for us.
    options.command = vec!["sh".to_owned(), "-c".to_owned(), "setsid sleep 300 & wait".to_owned()];
    options.guard_command = None;
    let bench = Bench::new(options.clone());
    let starting = tokio::time::timeout(
        Duration::from_secs(1),
        bench.driver.probe(TenantId::BOOTSTRAP, &Map::new()),
    )
    .await;
    assert!(starting.is_err(), "it cannot be ready");
    assert!(!bench.processes().is_empty());
    let marker = bench.marker.clone();
    let other = Bench::new(options);
    let reaped = other.driver.reap().await;
    assert!(reaped >= 1);
    assert_eq!(processes(&marker), [0; 0]);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn signal(pid: i32, name: &str) {
    let status = std::process::Command::new("kill").args([name, &pid.to_string()]).status();
    assert!(status.expect("kill runs").success());
}

async fn eventually_another(bench: &Bench, than: i32) -> i32 {
    eventually("another server", async || {
        server_among(&bench.processes()).is_some_and(|server| server != than)
    })
    .await;
    server_among(&bench.processes()).expect("just seen")
}
