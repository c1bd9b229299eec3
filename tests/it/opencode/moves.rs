//! A server that is replaced, or that does not answer any more, while runs work with it.

use std::time::Duration;

use orchestrator::application::ports::driver::{AgentDriver, AgentEvent, TurnEnd};
use orchestrator::application::ports::hosts::HostState::{Draining, Ready, Starting, Stopped};
use orchestrator::application::ports::hosts::{HostReport, HostState, NotRecycled};
use orchestrator::domain::ids::TenantId;
use orchestrator::infrastructure::drivers::opencode::Options;
use serde_json::json;

use crate::support::opencode::{
    Bench, Run, assignment, bare_options, eventually, opencode_options, repository,
};
use crate::support::scripted_llm::{ScriptedLlm, scripted};

/// Does something that can be counted, and waits.
fn work(gate: &str) -> serde_json::Value {
    json!([
        { "say": "Working.", "call": { "tool": "bash", "args": {
            "command": "echo once >> log.txt", "description": "count" } } },
        { "say": "Done.", "gate": gate },
    ])
}

async fn only_host(bench: &Bench) -> HostReport {
    let mut hosts = bench.driver.hosts().await;
    assert_eq!(hosts.len(), 1, "{hosts:?}");
    hosts.remove(0)
}

fn moves(run: &Run) -> usize {
    run.count(|event| matches!(event, AgentEvent::Moving { .. }))
}

/// Everything that was told of a run that was moved and went on: nothing is missing, nothing is doubled.
async fn ends_well(run: &mut Run, repo: &std::path::Path) {
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "Done."), "{:#?}", run.told);
    let log = std::fs::read_to_string(repo.join("log.txt")).expect("written");
    assert_eq!(log, "once\n", "the work was done twice");
    let tools = run.transcript("tool");
    assert_eq!(tools.len(), 1, "{tools:?}");
    assert_eq!(tools[0].body["status"], json!("completed"));
    let texts: Vec<_> =
        run.transcript("text").iter().map(|item| item.body["text"].clone()).collect();
    assert_eq!(texts, [json!("Working."), json!("Done.")]);
    assert_eq!(run.transcript("user").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_of_a_replaced_server_go_on_at_the_next_one() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let bench = Bench::new(opencode_options(&root.path().join("state"), &llm));
    let (mine, yours) = (repository(root.path(), "mine"), repository(root.path(), "yours"));
    let mut one = bench.run(assignment(&mine, scripted("one", &work("later")))).await;
    let mut two = bench.run(assignment(&yours, scripted("two", &work("later")))).await;
    llm.asked(one.session(), 2).await;
    llm.asked(two.session(), 2).await;

    let before = only_host(&bench).await;
    let old = before.server.clone().expect("a server");
    assert_eq!(
        (before.state, before.starts, before.tenant),
        (HostState::Ready, 1, Some(TenantId::BOOTSTRAP))
    );
    assert_eq!((old.running, old.served, old.version.as_str()), (2, 2, "1.18.33"));
    assert!(old.rss_bytes > Some(100 << 20), "{old:?}");
    let pid = old.pid.expect("known").cast_signed();
    assert!(bench.processes().contains(&pid));
    assert_eq!(bench.driver.recycle("nobody", "x"), Err(NotRecycled::Unknown));

    bench.driver.recycle(&before.id, "for a test").expect("it begins");
    let twice = bench.driver.recycle(&before.id, "for a test");
    assert_eq!(twice, Err(NotRecycled::State(Draining)));
    for run in [&mut one, &mut two] {
        run.until(|event| matches!(event, AgentEvent::Moving { .. }).then_some(())).await;
        run.until(|event| matches!(event, AgentEvent::StreamBack).then_some(())).await;
    }
    eventually("the old server is gone", async || !bench.processes().contains(&pid)).await;
    eventually("it is told", async || only_host(&bench).await.state == HostState::Ready).await;
    let after = only_host(&bench).await;
    let new = after.server.clone().expect("a server");
    assert_eq!((&after.id, after.starts), (&before.id, 2));
    assert_eq!((new.running, new.served), (2, 0), "nothing began there");
    assert_ne!(new.pid, old.pid);
    assert_eq!(after.reason.as_deref(), Some("for a test"));
    assert_eq!(after.replacement, None);

    llm.open("later").await;
    ends_well(&mut one, &mine).await;
    ends_well(&mut two, &yours).await;
    assert_eq!((moves(&one), moves(&two)), (1, 1));
    one.control.close().await;
    two.control.close().await;
    let states = told(&bench);
    assert_eq!(
        states,
        [(Stopped, Starting), (Starting, Ready), (Ready, Draining), (Draining, Ready)]
    );
    bench.driver.shutdown().await;
    assert_eq!(bench.processes(), [0; 0]);
}

/// What was told of hosts so far.
fn told(bench: &Bench) -> Vec<(HostState, HostState)> {
    let mut news = bench.driver.host_news().expect("nobody listens yet");
    std::iter::from_fn(|| news.try_recv().ok()).map(|news| (news.old, news.new)).collect()
}

type Limit = fn(&mut Options);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_passes_a_bound_is_replaced_under_its_run() {
    let limits: [(&str, Limit); 4] = [
        ("more than 1 MiB", |options| options.recycle_rss_bytes = 1 << 20),
        ("more than 2 MiB", |options| options.max_rss_bytes = 2 << 20),
        ("it runs for", |options| options.recycle_age = Duration::from_secs(1)),
        ("sessions worked with it", |options| options.recycle_served = 1),
    ];
    for (why, limit) in limits {
        let root = tempfile::tempdir().expect("a folder");
        let mut options = odd(&root.path().join("state"));
        options.probe_every = Duration::from_millis(50);
        options.settled = Duration::ZERO;
        limit(&mut options);
        let bench = Bench::new(options);
        let repo = repository(root.path(), "repo");
        let mut run = bench.run(assignment(&repo, "waits here".to_owned())).await;
        run.until(|event| matches!(event, AgentEvent::Moving { .. }).then_some(())).await;
        let reason = only_host(&bench).await.reason.expect("a reason");
        assert!(reason.contains(why), "{reason}");
        let (end, text, _) = run.turn().await;
        assert_eq!(end, TurnEnd::Done);
        assert!(
            text.starts_with("Answered by server ") && text != "Answered by server 1.",
            "{text}"
        );
        run.control.close().await;
        bench.driver.shutdown().await;
        assert_eq!(bench.processes(), [0; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_not_moved_while_a_tool_runs_until_its_time_is_over() {
    let (root, llm) = (tempfile::tempdir().expect("a folder"), ScriptedLlm::start());
    let bench = Bench::new(opencode_options(&root.path().join("state"), &llm));
    let repo = repository(root.path(), "repo");
    let waits =
        "echo begun >> log.txt; while [ ! -e go ]; do sleep 0.1; done; echo ended >> log.txt";
    let turns = json!([
        { "call": { "tool": "bash", "args": { "command": waits, "description": "wait" } } },
        { "say": "Done.", "gate": "later" },
    ]);
    let mut run = bench.run(assignment(&repo, scripted("work", &turns))).await;
    eventually("the tool runs", async || repo.join("log.txt").exists()).await;
    let host = only_host(&bench).await;
    bench.driver.recycle(&host.id, "for a test").expect("it begins");
    eventually("the next one is ready", async || only_host(&bench).await.replacement.is_some())
        .await;
    let during = only_host(&bench).await;
    assert_eq!(during.state, HostState::Draining);
    assert_eq!(during.server.map(|server| server.running), Some(1));
    assert_eq!(
        bench.driver.recycle(&host.id, "again"),
        Err(NotRecycled::State(HostState::Draining))
    );
    // Whoever begins now begins at the next one.
    let other = repository(root.path(), "other");
    let mut begun =
        bench.run(assignment(&other, scripted("x", &json!([{ "say": "Here." }])))).await;
    assert_eq!(begun.turn().await.1, "Here.");
    let during = only_host(&bench).await;
    assert_eq!(during.state, HostState::Draining, "the tool still runs at the old one");
    assert_eq!(during.replacement.map(|server| (server.running, server.served)), Some((1, 1)));
    begun.control.close().await;
    std::fs::write(repo.join("go"), "").expect("written");
    run.until(|event| matches!(event, AgentEvent::StreamBack).then_some(())).await;
    llm.open("later").await;
    let (end, text, _) = run.turn().await;
    assert_eq!((end, text.as_str()), (TurnEnd::Done, "Done."));
    let log = std::fs::read_to_string(repo.join("log.txt")).expect("written");
    assert_eq!(log, "begun\nended\n", "the tool was broken off or began again");
    run.control.close().await;
    bench.driver.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tenants_and_full_servers_get_servers_of_their_own() {
    let root = tempfile::tempdir().expect("a folder");
    let mut options = odd(&root.path().join("state"));
    (options.host_runs, options.max_hosts, options.max_runs) = (1, 2, 3);
    let bench = Bench::new(options);
    let mut runs = Vec::new();
    let begin = async |name: &str, tenant: TenantId| {
        let repo = repository(root.path(), name);
        let mut assigned = assignment(&repo, "work".to_owned());
        assigned.tenant = tenant;
        bench.driver.start(assigned).await
    };
    let other = TenantId::new(uuid::Uuid::from_u128(77));
    for (name, tenant) in [("a", TenantId::BOOTSTRAP), ("b", TenantId::BOOTSTRAP), ("c", other)] {
        runs.push(Run::begin(begin(name, tenant).await.expect("it starts")).await);
    }
    let hosts = bench.driver.hosts().await;
    let owners: Vec<_> = hosts.iter().map(|host| host.tenant).collect();
    assert_eq!(owners, [Some(TenantId::BOOTSTRAP), Some(TenantId::BOOTSTRAP), Some(other)]);
    let names: std::collections::BTreeSet<_> =
        runs.iter().map(|run| run.handle["host"].to_string()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    let full = begin("d", TenantId::BOOTSTRAP).await.err().expect("no place is left");
    assert!(full.full, "{full}");
    for run in &mut runs {
        assert_eq!(run.turn().await.1, "Answered by server 1.");
        run.control.close().await;
    }
    // What has a conversation goes on where it lies, though the first server has room, too.
    let repo = root.path().join("b");
    let mut again = assignment(&repo, "work again".to_owned());
    let handle = runs[1].handle.clone();
    again.continuation =
        orchestrator::application::ports::driver::Continuation::Same { handle: handle.clone() };
    let mut run = bench.run(again).await;
    assert_eq!(run.handle, handle);
    assert_eq!(run.turn().await.1, "Answered by server 1.");
    run.control.close().await;
    bench.driver.shutdown().await;
    assert_eq!(bench.processes(), [0; 0]);
}

/// Options for a server that misbehaves.
fn odd(state: &std::path::Path) -> Options {
    let mut options = bare_options(state);
    let script =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/odd-opencode.py");
    options.command = vec!["python3".to_owned(), script.display().to_string()];
    options.health_timeout = Duration::from_secs(1);
    options.probe_every = Duration::from_millis(200);
    options.deep_probe_every = Duration::from_millis(400);
    options
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wedged_server_is_killed_only_after_its_runs_are_saved() {
    for word in ["hang", "closed"] {
        let root = tempfile::tempdir().expect("a folder");
        let bench = Bench::new(odd(&root.path().join("state")));
        let mine = repository(root.path(), "mine");
        let running = bench.driver.start(assignment(&mine, format!("{word} now"))).await;
        let running = running.expect("it starts");
        let (control, mut events) = (running.control, running.events);
        let (mut server, mut back, mut answer) = (None, false, None);
        while let Some(event) = events.recv().await {
            if let AgentEvent::Handshake { stored, .. } = event {
                let report = only_host(&bench).await.server.expect("a server");
                server = report.pid.map(u32::cast_signed);
                stored.send(()).expect("the run waits");
            } else if let AgentEvent::Moving { saved, .. } = event {
                let host = only_host(&bench).await;
                assert_eq!(host.state, HostState::Wedged, "{host:?}");
                let error = host.probe.and_then(|probe| probe.error);
                assert!(error.is_some(), "no probe failed");
                let pid = server.expect("known");
                assert!(bench.processes().contains(&pid), "it was killed before all was saved");
                saved.send(()).expect("the run waits");
            } else if let AgentEvent::TurnEnded { text, end, .. } = event {
                answer = Some((end, text));
                break;
            } else if let AgentEvent::Failed(error) = event {
                panic!("{word}: {error}");
            } else {
                back |= matches!(event, AgentEvent::StreamBack);
            }
        }
        assert!(back, "{word}: the run did not reach the next one");
        assert_eq!(answer, Some((TurnEnd::Done, "Answered by server 2.".to_owned())), "{word}");
        assert!(!bench.processes().contains(&server.expect("known")), "{word}: it still runs");
        control.close().await;
        bench.driver.shutdown().await;
        assert_eq!(bench.processes(), [0; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_survive_a_server_that_exits_and_leave_one_that_never_ends() {
    let root = tempfile::tempdir().expect("a folder");
    let mut options = odd(&root.path().join("state"));
    options.move_grace = Duration::from_secs(1);
    let bench = Bench::new(options);
    let (mine, yours) = (repository(root.path(), "mine"), repository(root.path(), "yours"));
    let mut run = bench.run(assignment(&mine, "exit now".to_owned())).await;
    assert_eq!(run.turn().await.1, "Answered by server 2.");
    run.control.close().await;
    // A tool that never ends and an abort that is not heeded hold nobody back for ever.
    let mut run = bench.run(assignment(&yours, "busy now".to_owned())).await;
    eventually("it works", async || {
        only_host(&bench).await.server.is_some_and(|server| server.running == 1)
    })
    .await;
    let host = only_host(&bench).await;
    bench.driver.recycle(&host.id, "it leads nowhere").expect("it begins");
    assert_eq!(run.turn().await.1, "Answered by server 3.");
    assert_eq!(moves(&run), 1);
    run.control.close().await;
    eventually("the old one is gone", async || only_host(&bench).await.state == HostState::Ready)
        .await;
    bench.driver.shutdown().await;
    assert_eq!(bench.processes(), [0; 0]);
}
