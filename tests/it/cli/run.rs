//! `run` from the prompt to the exit code.

use serde_json::Value;

use super::fake::{Fake, KEY, Script};
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

#[test]
fn an_ask_tells_how_to_answer_and_the_work_goes_on_when_it_is() {
    let server = Fake::start(Script { ends: "completed", streams: true, asks: true });
    let url = server.url.clone();
    let followed = std::thread::spawn(move || run(&server, &[]));
    // The session cannot end before it is allowed to; allowing it early does no harm.
    let home = tempfile::tempdir().expect("a temporary directory");
    let deadline = 200;
    for _ in 0..deadline {
        let mut command = orchestrator(home.path());
        let (out, _, _) = finish(command.args(["attention", "list", "--url", &url]));
        if out.contains("make clean") || out.contains("run a command") {
            break;
        }
    }
    let mut command = orchestrator(home.path());
    command.args(["attention", "resolve", "IND-000001", "allow", "--url", &url]);
    let (out, err, exit) = finish(&mut command);
    assert_eq!((out.as_str(), exit), ("run a command: allow_once\n", 0), "{err}");
    let (out, err, exit) = followed.join().expect("no panic");
    assert_eq!(exit, 0, "{err}\n{out}");
}

#[test]
fn a_folder_without_git_is_refused_with_what_helps() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut command = orchestrator(home.path());
    let (out, err, exit) = finish(command.args(["run", "fix it", "--dir"]).arg(home.path()));
    assert_eq!((out.as_str(), exit), ("", 64), "{err}");
    assert!(err.contains("git init") && err.contains("--no-git"), "{err}");
}
