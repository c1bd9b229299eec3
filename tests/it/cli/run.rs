//! `run` from the prompt to the exit code.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use super::fake::{Fake, ID, KEY, Script};
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
        let server = Fake::start(Script { ends: "completed", streams, asks: false });
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
        let server = Fake::start(Script { ends, streams: true, asks: false });
        let (out, err, exit) = run(&server, &[]);
        assert_eq!(exit, code, "{ends}: {err}");
        assert!(out.contains(&format!("IND-000001 is {ends}")), "{out}");
    }
}

#[test]
fn programs_get_lines_of_json_and_one_result() {
    let server = Fake::start(Script { ends: "completed", streams: true, asks: false });
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
    let server = Fake::start(Script { ends: "completed", streams: true, asks: true });
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
    let server = Fake::start(Script { ends: "completed", streams: true, asks: true });
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
fn a_folder_without_git_is_refused_with_what_helps() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut command = orchestrator(home.path());
    let (out, err, exit) = finish(command.args(["run", "fix it", "--dir"]).arg(home.path()));
    assert_eq!((out.as_str(), exit), ("", 64), "{err}");
    assert!(err.contains("git init") && err.contains("--no-git"), "{err}");
}
