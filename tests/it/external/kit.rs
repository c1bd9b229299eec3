//! The agents that are shipped as examples, as processes, with the real server.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::process::{Child, Command};

use super::{begin, site};
use crate::support::opencode::eventually;
use crate::support::server::{ADMIN_KEY, Server, Site, array, text};

/// The Rust example, which is built with the tests.
pub(super) fn rust_example() -> PathBuf {
    let own = std::env::current_exe().expect("this executable");
    let folder = own.ancestors().nth(2).expect("the folder of the profile");
    let example = folder.join("examples/external-agent");
    assert!(example.exists(), "build it first: cargo build --example external-agent");
    example
}

/// The Python example.
pub(super) fn python_example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/external-agent.py")
}

/// An agent that runs.
pub(super) struct Agent {
    pub(super) child: Child,
    log: PathBuf,
}

impl Agent {
    /// Starts an example at a server; it works by this script.
    fn start(site: &Site, server: &Server, program: &Path, more: &[&str], script: &str) -> Self {
        Self::named("agent", (site, server), program, more, script)
    }

    /// The same with a file of this name for what it remembers, and one for what it says.
    pub(super) fn named(
        name: &str,
        (site, server): (&Site, &Server),
        program: &Path,
        more: &[&str],
        script: &str,
    ) -> Self {
        let is_python = program.extension().is_some();
        let mut command = Command::new(if is_python { Path::new("python3") } else { program });
        if is_python {
            command.arg(program);
        }
        let log = site.root().join(format!("{name}.log"));
        let file = std::fs::File::options().create(true).append(true).open(&log);
        let child = command
            .args(["--state", &format!("{name}.json")])
            .args(more)
            .args(["--", "sh", "-c", script])
            .current_dir(site.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("ORCHESTRATOR_URL", &server.api.url)
            .env("ORCHESTRATOR_KEY", ADMIN_KEY)
            .env("ORCHESTRATOR_TENANT", "default")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(file.expect("a log")))
            .kill_on_drop(true)
            .spawn();
        Self { child: child.expect("it starts"), log }
    }

    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the agent may be given work.
    async fn comes(&self, server: &Server) -> String {
        let known = async || {
            let agents = server.get("agents?kind=eap").await;
            array(&agents["items"]).first().map(|agent| text(&agent["id"]).to_owned())
        };
        eventually("it registers", async || known().await.is_some()).await;
        known().await.expect("registered")
    }

    pub(super) fn terminate(&self) {
        let pid = self.child.id().expect("it runs").cast_signed();
        kill_process(Pid::from_raw(pid).expect("a process"), Signal::TERM).expect("it is told");
    }

    /// Waits for its end; the exit code.
    pub(super) async fn ends(mut self) -> i32 {
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("it goes on: {}", self.said()));
        ended.expect("it ends").code().unwrap_or(-1)
    }
}

/// The process whose number stands in a file of the site.
fn pid_of(site: &Site, file: &str) -> i32 {
    let text = std::fs::read_to_string(site.root().join(file)).expect("written");
    text.trim().parse().expect("a number")
}

/// Whether a process runs.
fn is_there(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !status.is_empty() && !status.contains(") Z ")
}

async fn output(server: &Server, id: &str) -> String {
    let session = server.get(&format!("sessions/{id}?include=metrics")).await;
    text(&session["metrics"]["result"]["output"]["text"]).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_that_fetches_does_sessions_and_goes_on_after_a_kill() {
    let site = site();
    let server = site.serve().await;
    let script = "echo '{\"type\":\"log\",\"level\":\"warn\",\"message\":\"a rotten one\"}' >&2
                  if [ -e block ] && [ ! -e begun ]; then
                    sleep 20 & echo $! > pid; touch begun; wait; fi; wc -w";
    let start = || Agent::start(&site, &server, &rust_example(), &["--at-once", "2"], script);
    let mut agent = start();
    let id = agent.comes(&server).await;
    let (one, other) = (begin(&server, json!({})).await, begin(&server, json!({})).await);
    for session in [&one, &other] {
        server.until_status(session, "completed").await;
        assert_eq!(output(&server, session).await.trim(), "3");
    }
    let logs = server.get(&format!("sessions/{one}/logs")).await.to_string();
    assert!(logs.contains("a rotten one"), "{logs}");
    // It dies in the middle, and comes again as the same agent.
    std::fs::write(site.root().join("block"), "").expect("written");
    let session = begin(&server, json!({})).await;
    eventually("it works", async || site.root().join("begun").exists()).await;
    let command = pid_of(&site, "pid");
    agent.child.kill().await.expect("it is ended");
    eventually("its command ends, too", async || !is_there(command)).await;
    assert_eq!(server.session(&session).await["status"], "running");
    let agent = start();
    server.until_status(&session, "completed").await;
    let attempts = server.get(&format!("sessions/{session}/attempts")).await;
    assert_eq!(array(&attempts["items"]).len(), 1, "nothing was lost: {attempts:#}");
    assert_eq!(agent.comes(&server).await, id);
    agent.terminate();
    assert_eq!(agent.ends().await, 0);
    let state = async || text(&server.get(&format!("agents/{id}")).await["state"]).to_owned();
    eventually("it is seen to be gone", async || state().await == "offline").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_that_fetches_heeds_notices_and_gives_back_what_it_cannot_end() {
    let site = site();
    let server = site.serve().await;
    let script = "[ -e quick ] || sleep 40; wc -w";
    let more = ["--grace", "1"];
    let start = || Agent::start(&site, &server, &rust_example(), &more, script);
    let agent = start();
    let id = agent.comes(&server).await;
    let file = || std::fs::read_to_string(site.root().join("agent.json")).unwrap_or_default();
    let before = file();
    let cancelled = begin(&server, json!({})).await;
    eventually("it works", async || file().contains(&cancelled)).await;
    server.post(&format!("sessions/{cancelled}/stop"), json!({})).await;
    eventually("it ends it", async || agent.said().contains("cancelled:")).await;
    server.post(&format!("agents/{id}/rotate-token"), json!({})).await;
    eventually("it has another token", async || agent.said().contains("was replaced")).await;
    assert_ne!(file(), before);
    // Told to end, it gives back what would take too long: the next one does it.
    let session = begin(&server, json!({})).await;
    eventually("it works", async || file().contains(&session)).await;
    agent.terminate();
    assert_eq!(agent.ends().await, 0);
    assert!(!file().contains(&session), "{}", file());
    std::fs::write(site.root().join("quick"), "").expect("written");
    let agent = start();
    agent.comes(&server).await;
    let second = begin(&server, json!({})).await;
    server.until_status(&second, "completed").await;
    server.post(&format!("agents/{id}/drain"), json!({})).await;
    assert_eq!(agent.ends().await, 0, "it has nothing to do any more");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_that_is_called_answers_at_once_or_brings_its_result() {
    let site = site();
    let server = site.serve().await;
    let script = "[ ! -e slow ] || sleep 1; wc -w";
    let more = ["--listen", "127.0.0.1:0", "--sync-seconds", "0.4"];
    let agent = Agent::start(&site, &server, &python_example(), &more, script);
    let id = agent.comes(&server).await;
    let quick = begin(&server, json!({})).await;
    server.until_status(&quick, "completed").await;
    assert!(!agent.said().contains(&quick), "it was answered at once: {}", agent.said());
    std::fs::write(site.root().join("slow"), "").expect("written");
    let slow = begin(&server, json!({})).await;
    server.until_status(&slow, "completed").await;
    eventually("it was brought", async || agent.said().contains(&format!("{slow}:"))).await;
    for session in [&quick, &slow] {
        assert_eq!(output(&server, session).await.trim(), "3");
    }
    // Somebody replaces its token: the next call shows one that it does not know yet.
    server.post(&format!("agents/{id}/rotate-token"), json!({})).await;
    let next = begin(&server, json!({})).await;
    server.until_status(&next, "completed").await;
    agent.terminate();
    assert_eq!(agent.ends().await, 0);
    server.stop().await;
}
