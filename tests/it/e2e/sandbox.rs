//! What agents and gates may reach of this machine's files, with the real executable and the real kernel.
//!
//! Invariant: each script is proven by what it reaches without a sandbox.

use std::path::Path;

use serde_json::{Value, json};

use super::opencode_run::{edit, write};
use super::{begin_with, calculator, eventually, text};
use crate::support::repo::TestRepo;
use crate::support::scripted_llm::{ScriptedLlm, scripted};
use crate::support::server::{Server, Site};

/// What the server keeps for itself.
const KEPT: [&str; 4] = ["seal.key", "audit.key", "store.redb", "server.json"];

/// A site that has a key of its own making, and a folder that belongs to nobody.
fn site(mode: &str) -> Site {
    let site = Site::simulated().with("AGENTS__SANDBOX", mode);
    std::fs::create_dir(site.root().join("beside")).expect("a folder");
    std::fs::write(site.root().join("beside/old"), "old\n").expect("written");
    site
}

/// Says what it can read, write and end of the server, and what it can do where it works.
fn tries(site: &Site, server: &Server, foreign: &Path) -> String {
    let (data, beside) = (site.data(), site.root().join("beside"));
    let (data, beside, foreign) = (data.display(), beside.display(), foreign.display());
    let pid = server.pid().as_raw_nonzero();
    let kept = KEPT.join(" ");
    format!(
        r#"
try() {{ what=$1; shift; if "$@" >/dev/null 2>&1; then echo "can $what"; else echo "cannot $what"; fi; }}
put() {{ echo x > "$1"; }}
for name in {kept}; do
  try "read $name" head -c 1 "{data}/$name"
  try "open $name" sh -c ": >> '{data}/$name'"
done
try "plant" put "{data}/planted"
try "memory" sh -c ": < /proc/{pid}/mem"
try "files" readlink /proc/{pid}/fd/0
try "signal" kill -0 {pid}
try "foreign" head -c 1 "{foreign}"
try "beside read" head -c 1 "{beside}/old"
try "beside write" put "{beside}/new"
try "list" ls "{data}/.."
try "own write" put own.txt
try "own move" mv own.txt moved.txt
try "temp" sh -c 'touch "$(mktemp)"'
try "null" sh -c ': > /dev/null; head -c 1 /dev/urandom'
try "commit" git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m x
try "hooks" put "$(git rev-parse --git-common-dir)/hooks/planted"
try "core" sh -c 'test "$(ulimit -c)" = 0'
"#
    )
}

/// What a gate said that it can do, in a session with a worktree beside which another session has one.
async fn gate(site: &Site, server: &Server) -> (String, TestRepo) {
    let repo = TestRepo::with(&[("a", "b")]);
    let workspace = json!({ "workspace": { "kind": "git", "repo": repo.text() } });
    let other = begin_with(server, &json!([{ "hang": true }]), workspace.clone()).await;
    server.until_status(&other, "running").await;
    let foreign = site.data().join("workspaces").join(&other).join("a");
    eventually("the other worktree is there", async || foreign.exists()).await;
    let mut fields = workspace;
    fields["gates"] = json!([{ "name": "tries", "timeout_seconds": 60,
        "command": ["sh", "-c", tries(site, server, &foreign)] }]);
    let id = begin_with(server, &json!([{ "say": "x" }]), fields).await;
    let ended = server.until_status(&id, "completed").await;
    server.post(&format!("sessions/{other}/stop"), json!({})).await;
    (text(&ended["verification"]["gates"][0]["output"]).to_owned(), repo)
}

/// What was said to be possible, of these.
fn can<'a>(said: &str, names: &[&'a str]) -> Vec<&'a str> {
    let has = |word: &str, name: &str| said.lines().any(|line| line == format!("{word} {name}"));
    for name in names {
        assert!(has("can", name) != has("cannot", name), "{name} in {said}");
    }
    names.iter().copied().filter(|name| has("can", name)).collect()
}

/// Names of what reaches the server's own.
fn of_the_server() -> Vec<&'static str> {
    vec![
        "read seal.key",
        "open seal.key",
        "read audit.key",
        "open audit.key",
        "read store.redb",
        "open store.redb",
        "read server.json",
        "open server.json",
        "plant",
        "signal",
        "foreign",
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_sandbox_a_gate_reaches_everything() {
    let site = site("off");
    let server = site.serve().await;
    let (said, _repo) = gate(&site, &server).await;
    assert_eq!(can(&said, &of_the_server()), of_the_server(), "{said}");
    assert_eq!(can(&said, &["beside write", "hooks", "core"]).len(), 3, "{said}");
    assert_eq!(server.get("system/info").await["sandbox"], "off");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gate_reaches_nothing_of_the_server() {
    let site = site("data");
    let server = site.serve().await;
    let (said, _repo) = gate(&site, &server).await;
    assert_eq!(can(&said, &of_the_server()), [""; 0], "{said}");
    assert_eq!(can(&said, &["memory", "files"]), [""; 0], "{said}");
    let usual = [
        "beside read",
        "beside write",
        "list",
        "own write",
        "own move",
        "temp",
        "null",
        "commit",
        "hooks",
        "core",
    ];
    assert_eq!(can(&said, &usual), usual, "{said}");
    assert!(!site.data().join("planted").exists());
    let status = server.get("system/info").await["sandbox"].clone();
    assert!(text(&status).starts_with("landlock "), "{status}");
    let doctor = site.cli(&["doctor"]).await;
    assert!(doctor.out.contains(&format!("data, {}", text(&status))), "{doctor:?}");
    server.stop().await;
    let left = std::fs::read_dir(site.root()).expect("a folder").flatten();
    let left =
        left.filter(|entry| entry.file_name().to_string_lossy().starts_with("orchestrator-"));
    assert_eq!(left.count(), 0, "temporary folders are left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_gate_changes_nothing_but_its_own() {
    let site = site("strict");
    let server = site.serve().await;
    let (said, _repo) = gate(&site, &server).await;
    assert_eq!(can(&said, &of_the_server()), [""; 0], "{said}");
    assert_eq!(can(&said, &["beside write", "hooks", "memory", "files"]), [""; 0], "{said}");
    let own = ["beside read", "list", "own write", "own move", "temp", "null", "commit"];
    assert_eq!(can(&said, &own), own, "{said}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strict_gate_may_change_what_the_settings_name() {
    let site = site("strict");
    let beside = json!([site.root().join("beside")]).to_string();
    let site = site.with("AGENTS__SANDBOX_WRITABLE", &beside);
    let server = site.serve().await;
    let (said, _repo) = gate(&site, &server).await;
    assert_eq!(can(&said, &["beside write", "hooks", "plant"]), ["beside write"], "{said}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_grow_no_larger_than_the_settings_say() {
    let site = Site::simulated().with("AGENTS__MAX_FILE_MB", "1");
    let (server, repo) = (site.serve().await, TestRepo::with(&[("a", "b")]));
    let grow = "head -c 1000000 /dev/zero > small && echo small; ulimit -n; \
                head -c 2000000 /dev/zero > large || echo refused";
    let fields = json!({ "workspace": { "kind": "git", "repo": repo.text() }, "gates": [
        { "name": "grow", "timeout_seconds": 30, "command": ["sh", "-c", grow] } ] });
    let id = begin_with(&server, &json!([{ "say": "x" }]), fields).await;
    let ended = server.until_status(&id, "completed").await;
    let said = text(&ended["verification"]["gates"][0]["output"]);
    assert!(said.contains("small") && said.contains("refused"), "{said}");
    server.stop().await;
}

/// A session of the real `OpenCode` that runs a script and mends the program.
async fn agent(server: &Server, repo: &TestRepo, words: &str, script: &str) -> String {
    let turns = json!([
        { "call": edit() },
        { "call": write("notes.txt", "Written.\n") },
        { "call": { "tool": "bash", "args": { "command": script, "description": "tries" } } },
        { "say": "Done." },
    ]);
    let body = json!({
        "initial_prompt": scripted(words, &turns), "start": true,
        "workspace": { "kind": "git", "repo": repo.text() },
        "permission_policy": { "default": "allow" },
    });
    let id = text(&server.post("sessions", body).await["id"]).to_owned();
    server.until_status(&id, "completed").await;
    let transcript = server.all(&format!("sessions/{id}/transcript")).await;
    let done = |body: &&Value| body["tool"] == "bash" && body["status"] == "completed";
    let ran = transcript.iter().map(|entry| &entry["body"]).find(done);
    text(&ran.unwrap_or_else(|| panic!("{transcript:#?}"))["output"]).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_agent_reaches_nothing_of_the_server() {
    let llm = ScriptedLlm::start();
    let site = Site::opencode(&llm);
    let server = site.serve().await;
    // Made after the agent began, in a folder that it sees names of and no more: another is started.
    let (first, second) = (calculator(), calculator());
    for (repo, words) in [(&first, "Try it."), (&second, "Try it again.")] {
        let said = agent(&server, repo, words, &tries(&site, &server, Path::new("/none"))).await;
        assert_eq!(can(&said, &of_the_server()), [""; 0], "{said}");
        let own = ["own write", "own move", "temp", "null", "commit", "core"];
        assert_eq!(can(&said, &own), own, "{said}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_agent_in_a_strict_sandbox_works_and_changes_nothing_else() {
    let llm = ScriptedLlm::start();
    let site = Site::opencode(&llm).with("AGENTS__SANDBOX", "strict");
    std::fs::create_dir(site.root().join("beside")).expect("a folder");
    std::fs::write(site.root().join("beside/old"), "old\n").expect("written");
    let (server, repo) = (site.serve().await, calculator());
    let said = agent(&server, &repo, "Try it.", &tries(&site, &server, Path::new("/none"))).await;
    assert_eq!(can(&said, &of_the_server()), [""; 0], "{said}");
    assert_eq!(can(&said, &["beside write", "hooks"]), [""; 0], "{said}");
    let own = ["beside read", "own write", "own move", "temp", "null", "commit"];
    assert_eq!(can(&said, &own), own, "{said}");
    assert!(repo.git(&["log", "--all", "--format=%s"]).lines().any(|line| line == "x"));
    server.stop().await;
}
