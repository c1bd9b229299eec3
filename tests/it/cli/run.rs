//! `run` from the prompt to the exit code.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use clap::Parser;
use futures_util::future::BoxFuture;
use orchestrator::application::ports::clock::Clock;
use orchestrator::domain::audit::checkpoint::Verify;
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::presentation::cli::args::Cli;
use orchestrator::presentation::cli::client::Connection;
use orchestrator::presentation::cli::detect::Sighting;
use orchestrator::presentation::cli::doctor::Check;
use orchestrator::presentation::cli::exit::CliError;
use orchestrator::presentation::cli::{Host, ServerHandle, Shown, Sign, run_client};
use serde_json::Value;

use super::fake::{Fake, ID, KEY, SHORT, Script};
use super::{finish, orchestrator};

fn run(server: &Fake, extra: &[&str]) -> (String, String, i32) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut command = orchestrator(home.path());
    command.args(["run", "fix it", "--no-git", "--dir"]).arg(home.path());
    finish(command.args(["--url", &server.url, "--key", KEY]).args(extra))
}

#[test]
fn work_is_shown_once_as_it_comes_and_ends_with_what_it_cost() {
    for streams in [true, false] {
        let server = Fake::start(Script { streams, ..SHORT });
        let (out, err, exit) = run(&server, &[]);
        assert_eq!(exit, 0, "{err}");
        for line in ["Looking at [31mit.", "Found", "  ✓ bash  make test", "All done."] {
            let times = out.lines().filter(|shown| *shown == line).count();
            assert_eq!(times, 1, "{line} in (streams: {streams})\n{out}");
        }
        assert!(out.contains("· attempt 1 begins") && !out.contains('\u{1b}'), "{out}");
        assert!(out.contains("IND-000001 is completed · 1m 01s · 1.2k tokens · $0.0125"), "{out}");
    }
}

#[test]
fn each_end_has_its_exit_code() {
    for (ends, code) in
        [("partially_completed", 2), ("failed", 1), ("timeout", 3), ("stopped", 130)]
    {
        let server = Fake::start(Script { ends, ..SHORT });
        let (out, err, exit) = run(&server, &[]);
        assert_eq!(exit, code, "{ends}: {err}");
        assert!(out.contains(&format!("IND-000001 is {ends}")), "{out}");
    }
}

#[test]
fn programs_get_lines_of_json_and_one_result() {
    let server = Fake::start(SHORT);
    let (out, _, exit) = run(&server, &["--json"]);
    assert_eq!(exit, 0);
    let lines: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("JSON on each line")).collect();
    let of_kind = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!((of_kind("transcript"), of_kind("event"), of_kind("result")), (6, 2, 1));
    let last = lines.last().expect("a line");
    assert_eq!((&last["session"]["status"], &last["exit"]), (&"completed".into(), &0.into()));
}

/// A run that waits for a permission, with its output up to the command that answers it.
struct Waiting {
    child: Child,
    lines: mpsc::Receiver<String>,
    shown: Vec<String>,
    _home: tempfile::TempDir,
}

impl Waiting {
    fn start(server: &Fake) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_orchestrator"))
            .args(["run", "fix it", "--no-git", "--url", &server.url, "--key", KEY, "--dir"])
            .arg(home.path())
            .env_clear()
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        // Unbounded on purpose: a reader that waits would make the child wait.
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut waiting = Self { child, lines, shown: Vec::new(), _home: home };
        let command = "    orchestrator attention resolve IND-000001 allow|always|deny";
        while waiting.shown.last().map(String::as_str) != Some(command) {
            let line = waiting.lines.recv_timeout(Duration::from_secs(30));
            waiting.shown.push(line.expect("the ask is shown"));
        }
        waiting
    }

    fn finish(mut self) -> (String, String, i32) {
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(30)) {
            self.shown.push(line);
        }
        let exit = self.child.wait().expect("it ended").code().unwrap_or(-1);
        let mut err = String::new();
        let mut stderr = self.child.stderr.take().expect("piped");
        stderr.read_to_string(&mut err).expect("text");
        (self.shown.join("\n"), err, exit)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It has ended already unless the test failed; then there is nobody left to tell.
        drop(self.child.kill());
    }
}

#[test]
fn an_ask_tells_how_to_answer_and_the_work_goes_on_when_it_is() {
    let server = Fake::start(Script { asks: true, ..SHORT });
    let waiting = Waiting::start(&server);
    let shown = waiting.shown.join("\n");
    assert!(shown.contains("permission: run a command (high risk)"), "{shown}");
    assert!(shown.contains("make clean"), "{shown}");
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut command = orchestrator(home.path());
    command.args(["attention", "resolve", "IND-000001", "allow", "--url", &server.url]);
    let (out, err, exit) = finish(&mut command);
    assert_eq!((out.as_str(), exit), ("run a command: allow_once\n", 0), "{err}");
    let (out, err, exit) = waiting.finish();
    assert_eq!(exit, 0, "{err}\n{out}");
}

#[test]
fn an_interrupt_leaves_a_session_of_another_server_alone_and_says_so() {
    let server = Fake::start(Script { asks: true, ..SHORT });
    let waiting = Waiting::start(&server);
    let pid = rustix::process::Pid::from_child(&waiting.child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    let (_, err, exit) = waiting.finish();
    assert_eq!(exit, 130, "{err}");
    assert!(err.contains("goes on without you"), "{err}");
    assert!(err.contains("orchestrator session stop IND-000001"), "{err}");
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut command = orchestrator(home.path());
    let (out, _, _) = finish(command.args(["session", "show", ID, "--url", &server.url]));
    assert!(out.contains("running"), "{out}");
}

#[test]
fn a_session_that_waits_says_why_once() {
    let server = Fake::start(Script { waits: true, ..SHORT });
    let (out, err, exit) = run(&server, &[]);
    assert_eq!(exit, 0, "{err}");
    assert_eq!(out.matches("waits: no agent answers (start one)").count(), 1, "{out}");
}

#[test]
fn why_tells_the_reason_the_remedy_and_the_command() {
    let server = Fake::start(Script { waits: true, ..SHORT });
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut command = orchestrator(home.path());
    let (out, _, exit) = finish(command.args(["why", "IND-000001", "--url", &server.url]));
    assert_eq!(exit, 0);
    for words in ["IND-000001 is queued", "no_agent_alive", "start one", "orchestrator doctor"] {
        assert!(out.contains(words), "{words} in {out}");
    }
}

/// A machine whose server in the same process is the small one of these tests.
struct Machine {
    server: Fake,
    started: AtomicUsize,
    stopped: Arc<AtomicUsize>,
}

impl Host for Machine {
    fn start_in_process(&self, _works: bool) -> BoxFuture<'_, Result<ServerHandle, CliError>> {
        self.started.fetch_add(1, Ordering::SeqCst);
        let (url, stopped) = (self.server.url.clone(), self.stopped.clone());
        let stop = move || -> BoxFuture<'static, ()> {
            Box::pin(async move {
                stopped.fetch_add(1, Ordering::SeqCst);
            })
        };
        let handle = ServerHandle { url, key: KEY.into(), stop: Box::new(stop) };
        Box::pin(std::future::ready(Ok(handle)))
    }

    fn checks(&self, _: bool) -> BoxFuture<'_, Vec<Check>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    fn sightings(&self) -> BoxFuture<'_, Result<Vec<Sighting>, CliError>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn openapi(&self) -> String {
        String::new()
    }

    fn signer(&self) -> Sign {
        |_, _, _| String::new()
    }

    fn verifier(&self) -> Verify {
        |_, _, _| false
    }

    fn verify_archive(&self, _: PathBuf) -> BoxFuture<'_, Result<Value, CliError>> {
        Box::pin(std::future::ready(Ok(Value::Null)))
    }

    fn import(&self, _: PathBuf) -> BoxFuture<'_, Result<Value, CliError>> {
        Box::pin(std::future::ready(Ok(Value::Null)))
    }

    fn restore(&self, _: PathBuf) -> BoxFuture<'_, Result<Value, CliError>> {
        Box::pin(std::future::ready(Ok(Value::Null)))
    }

    fn settings(&self) -> Result<Shown, CliError> {
        Ok(Shown { toml: String::new(), json: Value::Null })
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(SystemClock::new())
    }
}

/// Exit code, servers started and servers stopped.
fn run_alone(extra: &[&str]) -> (String, usize, usize) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let machine = Machine {
        server: Fake::start(SHORT),
        started: AtomicUsize::new(0),
        stopped: Arc::default(),
    };
    let dir = home.path().to_string_lossy().into_owned();
    let typed = ["orchestrator", "run", "fix it", "--no-git", "--json", "--dir", &dir];
    let cli = Cli::try_parse_from(typed.iter().chain(extra)).expect("parses");
    let connection = Connection { data_dir: Some(home.path().to_owned()), ..Connection::default() };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let command = cli.command.expect("a command");
    let exit = runtime.block_on(run_client(command, connection, true, &machine));
    let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    (format!("{exit:?}"), count(&machine.started), count(&machine.stopped))
}

#[test]
fn without_a_server_one_is_started_for_the_run_and_closed_after_it() {
    assert_eq!(run_alone(&[]), (format!("{:?}", ExitCode::SUCCESS), 1, 1));
}

#[test]
fn a_run_that_nobody_follows_needs_a_server_that_stays() {
    assert_eq!(run_alone(&["--no-follow"]), (format!("{:?}", ExitCode::from(69)), 0, 0));
}

#[test]
fn a_folder_without_git_is_refused_with_what_helps() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut command = orchestrator(home.path());
    let (out, err, exit) = finish(command.args(["run", "fix it", "--dir"]).arg(home.path()));
    assert_eq!((out.as_str(), exit), ("", 64), "{err}");
    assert!(err.contains("git init") && err.contains("--no-git"), "{err}");
}
