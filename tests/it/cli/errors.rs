//! Problems become messages with what helps, and exit codes.

use super::fake::{Fake, KEY, SHORT};
use super::{finish, orchestrator};

#[test]
fn problems_are_told_with_what_helps_and_their_exit_code() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let server = Fake::start(SHORT);
    let cases: [(&[&str], i32, &str); 7] = [
        (&["session", "show", "IND-000009"], 1, "session list"),
        (&["session", "pause", "IND-000001"], 1, "fork the session"),
        (&["session", "create", "fix it", "--start"], 77, "--key"),
        (&["session", "create", "other", "--key", KEY], 64, "/initial_prompt: not that"),
        (&["attention", "resolve", "item-1", "answer"], 64, "answer needs a text"),
        (&["run", ""], 64, "the prompt is empty"),
        (&["session", "create", "  "], 64, "the prompt is empty"),
    ];
    for (arguments, code, words) in cases {
        let mut command = orchestrator(home.path());
        let (out, err, exit) = finish(command.args(arguments).args(["--url", &server.url]));
        assert_eq!((out.as_str(), exit), ("", code), "{arguments:?}: {err}");
        assert!(err.starts_with("error: ") && err.contains(words), "{arguments:?}: {err}");
    }
}

#[test]
fn problems_for_programs_are_the_servers_own_documents() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let server = Fake::start(SHORT);
    let mut command = orchestrator(home.path());
    command.args(["session", "pause", "IND-000001", "--json", "--url", &server.url]);
    let (_, err, exit) = finish(&mut command);
    let problem: serde_json::Value = serde_json::from_str(&err).expect("JSON");
    assert_eq!((problem["code"].as_str(), exit), (Some("INVALID_TRANSITION"), 1));
}

#[test]
fn wrong_use_is_told_to_programs_as_a_document_too() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let cases: [(&[&str], &str); 6] = [
        (&["session", "list", "--json", "--nonsense"], "'--nonsense'"),
        (&["--json", "session", "list", "--limit", "many"], "'many'"),
        (&["nonsense", "--json"], "'nonsense'"),
        (&["session", "show", "--output", "json"], "required"),
        (&["session", "--output=json"], "command"),
        (&["session", "list", "--json", "--output", "yaml"], "'yaml'"),
    ];
    for (arguments, words) in cases {
        let (out, err, exit) = finish(orchestrator(home.path()).args(arguments));
        assert_eq!((out.as_str(), exit), ("", 64), "{arguments:?}: {err}");
        let told: serde_json::Value = serde_json::from_str(&err).expect("one JSON document");
        let title = told["title"].as_str().expect("a title");
        assert!(title.contains(words) && !title.contains("error:"), "{arguments:?}: {told:#}");
        assert_eq!(told["exit"], 64, "{told:#}");
        assert!(told["remedy"].as_str().is_some_and(|text| !text.is_empty()), "{told:#}");
        let plain: Vec<&str> =
            arguments.iter().copied().filter(|word| !word.contains("json")).collect();
        let plain: Vec<&str> = plain.into_iter().filter(|word| *word != "--output").collect();
        let (_, err, exit) = finish(orchestrator(home.path()).args(plain));
        assert!(exit == 64 && serde_json::from_str::<serde_json::Value>(&err).is_err(), "{err}");
    }
    let (out, _, exit) = finish(orchestrator(home.path()).args(["--json", "--help"]));
    assert!(exit == 0 && out.contains("Usage:"), "help is an answer: {out}");
}

#[test]
fn a_server_that_is_none_or_not_there_is_69() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let server = Fake::start(SHORT);
    for url in [format!("{}/broken", server.url), "http://127.0.0.1:1".to_owned()] {
        let mut command = orchestrator(home.path());
        let (_, err, exit) = finish(command.args(["session", "list", "--url", &url]));
        assert_eq!(exit, 69, "{err}");
        assert!(err.contains("help: "), "{err}");
    }
    let mut command = orchestrator(home.path());
    let (_, _, exit) = finish(command.args(["session", "list", "--url", "ftp://x"]));
    assert_eq!(exit, 64);
}

#[test]
fn server_and_key_are_found_in_the_data_directory() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let server = Fake::start(SHORT);
    let data = home.path().join("data");
    std::fs::create_dir(&data).expect("made");
    std::fs::write(data.join("admin.key"), format!("{KEY}\n")).expect("written");
    let note = serde_json::json!({ "url": server.url, "pid": 1 });
    std::fs::write(data.join("server.json"), note.to_string()).expect("written");
    let mut command = orchestrator(home.path());
    command.args(["session", "create", "fix it", "--start", "--data-dir"]).arg(&data);
    let (out, err, exit) = finish(&mut command);
    assert_eq!(exit, 0, "{err}");
    assert!(out.starts_with("IND-000001 is "), "{out}");
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_orchestrator"))
        .arg("openapi")
        .env_clear()
        .env("HOME", home.path())
        .stdout(full)
        .output()
        .expect("the binary runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("the output could not be written"), "{told}");
}
