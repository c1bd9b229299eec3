//! `agent detect` as people use it: the real binary on a `PATH` of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;

/// A home, and a folder of programs before those of the system.
fn place() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(root.path().join("bin")).expect("made");
    root
}

fn program(root: &Path, name: &str, text: &str) {
    let path = root.join("bin").join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("allowed");
}

fn detect(root: &Path, arguments: &[&str]) -> (String, String, i32) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orchestrator"));
    let path = format!("{}:/usr/bin:/bin", root.join("bin").display());
    command.env_clear().env("HOME", root).env("PATH", path).args(["agent", "detect"]);
    let output = command.args(arguments).timeout(std::time::Duration::from_mins(1)).output();
    let output = output.expect("the binary runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code().unwrap_or(-1))
}

#[test]
fn what_is_installed_is_found_with_its_version_and_whether_it_works() {
    let root = place();
    program(root.path(), "claude", "echo '2.1.197 (Claude Code)'");
    program(root.path(), "gemini", "echo no node here >&2; exit 1");
    let (out, err, exit) = detect(root.path(), &["--json"]);
    assert_eq!(exit, 0, "{err}");
    let found: Value = serde_json::from_str(&out).expect("JSON");
    let one = |name: &str| {
        let items = found["items"].as_array().expect("a list");
        items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no {name}: {out}"))
    };
    let claude = one("claude");
    assert_eq!(claude["version"], "2.1.197");
    assert_eq!((&claude["works"], &claude["kind"]), (&true.into(), &"command".into()));
    assert!(claude["path"].as_str().is_some_and(|path| path.ends_with("/bin/claude")));
    for name in ["gemini", "gemini-acp"] {
        let gemini = one(name);
        assert_eq!(gemini["works"], false);
        assert!(
            gemini["problem"].as_str().is_some_and(|why| why.contains("no node here")),
            "{gemini}"
        );
    }
    let codex = one("codex");
    assert!(codex["path"].is_null() && codex["works"] == false && codex["registered"].is_null());
    assert!(one("opencode")["path"].is_null());
}

#[test]
fn people_get_a_table_of_what_is_there_and_how_to_install_the_rest() {
    let root = place();
    program(root.path(), "aider", "echo aider 0.86.2");
    let (out, err, exit) = detect(root.path(), &[]);
    assert_eq!(exit, 0, "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    assert!(lines[0].starts_with("NAME") && lines[0].ends_with("WORKS"), "{out}");
    for word in ["aider", "command", "0.86.2", "/bin/aider", "yes"] {
        assert!(lines[1].contains(word), "{word}: {out}");
    }
    assert!(err.contains("not found: Codex CLI (npm install -g @openai/codex)"), "{err}");
    let empty = place();
    let (out, err, exit) = detect(empty.path(), &[]);
    assert_eq!((out.as_str(), exit), ("", 0));
    assert!(err.contains("none of the agents"), "{err}");
}
