//! Gates of the real executable: they run on a clean checkout before a session completes, again
//! after a kill, and nothing of them is left.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use super::{array, asks, begin_with, calculator, events_without_gap, settled, text, worktrees};
use crate::support::opencode::eventually;
use crate::support::repo::TestRepo;
use crate::support::server::{Server, Site};

fn writes(path: &str, content: &str) -> Value {
    json!({ "tool": { "tool": "write", "title": path, "write": {
        "path": path, "content": content } } })
}

fn gate(name: &str, script: &str) -> Value {
    json!({ "name": name, "command": ["sh", "-c", script], "timeout_seconds": 60 })
}

/// A gate that notes its run and waits until it may end.
fn waits(folder: &Path) -> Value {
    let place = folder.display();
    gate(
        "waits",
        &format!("echo run >> {place}/runs; while [ ! -e {place}/go ]; do sleep 0.05; done"),
    )
}

fn runs(folder: &Path) -> usize {
    std::fs::read_to_string(folder.join("runs")).unwrap_or_default().lines().count()
}

/// Whether any process has these words in its command line.
fn is_there(words: &str) -> bool {
    let all = std::fs::read_dir("/proc").expect("processes").flatten();
    all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
        .any(|line| String::from_utf8_lossy(&line).replace('\0', " ").contains(words))
}

async fn begin(server: &Server, repo: &TestRepo, gates: Value) -> String {
    let fields = json!({ "workspace": { "kind": "git", "repo": repo.text() }, "gates": gates });
    begin_with(server, &json!([writes("one.txt", "1\n")]), fields).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_passes_completes_with_the_share_that_passed() {
    let (site, repo) = (Site::simulated(), calculator());
    let server = site.serve().await;
    let gates = json!([
        gate("files", "test \"$(cat one.txt)\" = 1 && test -z \"$(git status --porcelain)\""),
        gate("secrets", "! env | grep -q ORCHESTRATOR_ADMIN_KEY"),
        { "name": "wish", "command": ["sh", "-c", "echo not yet; exit 3"], "timeout_seconds": 9,
          "required": false },
        { "name": "program", "command": ["no-such-program"], "timeout_seconds": 9,
          "required": false },
    ]);
    let id = begin(&server, &repo, gates).await;
    let ended = server.until_status(&id, "completed").await;
    let metrics = &ended["metrics"];
    assert_eq!(
        (&metrics["success_rate"], &metrics["success_rate_source"]),
        (&json!(0.5), &json!("gates")),
        "{:#}",
        ended["verification"]
    );
    let found = &ended["verification"];
    let tree = repo.git(&["rev-parse", &format!("{}^{{tree}}", text(&found["commit"]))]);
    assert_eq!((&found["passed"], &found["tree_hash"]), (&json!(true), &json!(tree)));
    let wish = &found["gates"][2];
    assert_eq!((&wish["exit_code"], text(&wish["output"]).trim()), (&json!(3), "not yet"));
    assert_eq!(found["gates"][3]["passed"], json!(false));
    let events = server.all(&format!("sessions/{id}/events")).await;
    let place = |kind: &str| events.iter().position(|event| event["type"] == kind).expect(kind);
    assert!(place("session.verified") < place("session.completed"));
    let told = &events[place("session.verified")]["payload"];
    assert_eq!((&told["passed"], &told["tree_hash"]), (&json!(true), &json!(tree)));
    assert_eq!(array(&told["gates"]).len(), 4);
    let logs = server.all(&format!("sessions/{id}/logs")).await;
    assert!(
        logs.iter().any(|line| text(&line["message"]).starts_with("gate wish failed")),
        "{logs:#?}"
    );
    settled(&site, &server, Some(&repo)).await;
    events_without_gap(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_does_not_pass_fails_and_is_not_tried_again() {
    let (site, repo) = (Site::simulated(), calculator());
    let server = site.serve().await;
    let slow = "sleep 4321.5 & sleep 4321.5";
    let gates = json!([
        { "name": "slow", "command": ["sh", "-c", slow], "timeout_seconds": 1 },
        gate("good", "true"),
    ]);
    let id = begin(&server, &repo, gates).await;
    let ended = server.until_status(&id, "failed").await;
    let error = &ended["metrics"]["error"];
    assert_eq!(
        (&error["type"], &error["retryable"], &error["message"]),
        (&json!("gates_failed"), &json!(false), &json!("required gates did not pass: slow"))
    );
    assert_eq!(ended["verification"]["gates"][0]["timed_out"], json!(true));
    eventually("nothing is left of it", async || !is_there("4321.5")).await;
    settled(&site, &server, Some(&repo)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gates_run_again_after_a_kill_and_end_with_a_stop() {
    let (site, repo) = (Site::simulated(), calculator());
    let notes = tempfile::tempdir().expect("a folder");
    let server = site.serve().await;
    let id = begin(&server, &repo, json!([waits(notes.path())])).await;
    eventually("the gate runs", async || runs(notes.path()) == 1).await;
    assert_eq!(server.session(&id).await["status"], "running");
    server.kill().await;
    let words = notes.path().display().to_string();
    eventually("the gate died with the server", async || !is_there(&words)).await;
    let server = site.serve().await;
    eventually("the gate runs again", async || runs(notes.path()) == 2).await;
    std::fs::write(notes.path().join("go"), "").expect("written");
    let ended = server.until_status(&id, "completed").await;
    assert_eq!(ended["attempt"], 1, "no retry is spent on it");
    std::fs::remove_file(notes.path().join("go")).expect("removed");

    let id = begin(&server, &repo, json!([waits(notes.path())])).await;
    eventually("the gate runs", async || runs(notes.path()) == 3).await;
    server.post(&format!("sessions/{id}/stop"), json!({})).await;
    server.until_status(&id, "stopped").await;
    eventually("the gate is ended", async || !is_there(&words)).await;
    assert!(server.session(&id).await["verification"].is_null());
    settled(&site, &server, Some(&repo)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_and_a_prompt_go_before_the_gates() {
    let (site, repo) = (Site::simulated(), calculator());
    let notes = tempfile::tempdir().expect("a folder");
    let server = site.serve().await;
    let id = begin(&server, &repo, json!([waits(notes.path())])).await;
    eventually("the gate runs", async || runs(notes.path()) == 1).await;
    server.post(&format!("sessions/{id}/pause"), json!({})).await;
    server.until_status(&id, "paused").await;
    server.post(&format!("sessions/{id}/resume"), json!({})).await;
    eventually("the gate runs again", async || runs(notes.path()) == 2).await;
    let more = super::plays(&json!([writes("two.txt", "2\n")]));
    server.post(&format!("sessions/{id}/prompt"), json!({ "text": more })).await;
    eventually("the gate runs on more", async || runs(notes.path()) == 3).await;
    std::fs::write(notes.path().join("go"), "").expect("written");
    let ended = server.until_status(&id, "completed").await;
    let commit = text(&ended["verification"]["commit"]);
    assert_eq!(repo.git(&["show", &format!("{commit}:two.txt")]), "2");
    settled(&site, &server, Some(&repo)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_files_are_judged_once_unless_somebody_insists() {
    let (site, repo) = (Site::simulated(), calculator());
    let notes = tempfile::tempdir().expect("a folder");
    std::fs::write(notes.path().join("go"), "").expect("written");
    let server = site.serve().await;
    let id = begin(&server, &repo, json!([waits(notes.path())])).await;
    let ended = server.until_status(&id, "completed").await;
    let verify = format!("sessions/{id}/verify");
    let again = server.post(&verify, json!({})).await;
    assert_eq!((runs(notes.path()), &again["revision"]), (1, &ended["revision"]));
    let forced = server.post(&verify, json!({ "force": true })).await;
    assert_eq!(runs(notes.path()), 2);
    assert_eq!(forced["verification"]["tree_hash"], ended["verification"]["tree_hash"]);
    let told = site.cli(&["session", "verify", &id, "--force"]).await;
    assert_eq!((told.exit, runs(notes.path())), (0, 3), "{told:?}");
    assert!(told.out.contains("passed") && told.out.contains("waits"), "{}", told.out);
    assert_eq!(worktrees(&repo), 1);
    // Also while it works and while it is paused, each time on what is there by then.
    let fields = json!({
        "workspace": { "kind": "git", "repo": repo.text() }, "gates": [gate("two", "test -e two.txt")],
    });
    let steps = json!([writes("one.txt", "1\n"), asks(), writes("two.txt", "2\n"), asks()]);
    let works = begin_with(&server, &steps, fields).await;
    let verdict = async |passed: bool| {
        let answer = server.post(&format!("sessions/{works}/verify"), json!({})).await;
        assert_eq!(answer["verification"]["passed"], json!(passed), "{answer:#}");
    };
    let item = server.until_asked(&works).await;
    verdict(false).await;
    assert_eq!(server.session(&works).await["status"], "running", "a judgement alone ends nothing");
    let path = format!("attention/{}/resolve", text(&item["id"]));
    server.post(&path, json!({ "decision": "allow_once" })).await;
    let folder = text(&server.session(&works).await["workspace"]["path"]).to_owned();
    eventually("a second file", async || Path::new(&folder).join("two.txt").exists()).await;
    server.until_asked(&works).await;
    server.post(&format!("sessions/{works}/pause"), json!({})).await;
    let item = server.until_asked(&works).await;
    let path = format!("attention/{}/resolve", text(&item["id"]));
    server.post(&path, json!({ "decision": "deny" })).await;
    server.until_status(&works, "paused").await;
    verdict(true).await;
    server.post(&format!("sessions/{works}/stop"), json!({})).await;
    verdict(true).await;
    let plain = server.post("sessions", json!({ "initial_prompt": "x" })).await;
    let path = format!("sessions/{}/verify", text(&plain["id"]));
    assert_eq!(server.refused(&path, json!({}), 409).await["code"], "INVALID_TRANSITION");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verification_that_was_promised_is_kept_by_the_next_server() {
    let (site, repo) = (Site::simulated(), calculator());
    let notes = tempfile::tempdir().expect("a folder");
    std::fs::write(notes.path().join("go"), "").expect("written");
    let server = site.serve().await;
    let id = begin(&server, &repo, json!([waits(notes.path())])).await;
    server.until_status(&id, "completed").await;
    std::fs::remove_file(notes.path().join("go")).expect("removed");
    let (path, body) = (format!("sessions/{id}/verify"), json!({ "force": true }));
    let answer = server.send(Method::POST, &path, Some(&body), None).await.expect("an answer");
    assert_eq!((answer.status.as_u16(), runs(notes.path())), (202, 2), "{:#}", answer.body);
    server.kill().await;
    let server = site.serve().await;
    eventually("the gate runs again", async || runs(notes.path()) == 3).await;
    std::fs::write(notes.path().join("go"), "").expect("written");
    eventually("it is told", async || {
        let events = server.all(&format!("sessions/{id}/events")).await;
        events.iter().filter(|event| event["type"] == "session.verified").count() == 2
    })
    .await;
    eventually("the checkout is gone", async || worktrees(&repo) == 1).await;
    assert_eq!(runs(notes.path()), 3, "and not once more");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_is_judged_where_it_is_and_a_gate_needs_files() {
    let site = Site::simulated();
    let folder = tempfile::tempdir().expect("a folder");
    let server = site.serve().await;
    let path = folder.path().canonicalize().expect("there").display().to_string();
    let gates = json!([gate("here", &format!("test \"$(pwd -P)\" = {path} && test -e one.txt"))]);
    let fields = json!({ "workspace": { "kind": "directory", "path": path }, "gates": gates });
    let id = begin_with(&server, &json!([writes("one.txt", "1\n")]), fields).await;
    let ended = server.until_status(&id, "completed").await;
    assert_eq!(ended["verification"]["tree_hash"], Value::Null);
    let body = json!({ "initial_prompt": "x", "gates": [gate("a", "true")] });
    let refused = server.refused("sessions", body, 422).await;
    let error = &refused["errors"][0];
    assert_eq!((&error["pointer"], &error["code"]), (&json!("/gates"), &json!("needs_workspace")));
    let words = ["session", "create", "x", "--dir", &path, "--gate", "tests=make test", "--json"];
    let made = site.cli(&words).await;
    let made: Value = serde_json::from_str(&made.out).expect("JSON");
    assert_eq!(made["gates"][0]["command"], json!(["sh", "-c", "make test"]));
    let wrong = site.cli(&["session", "create", "x", "--gate", "tests"]).await;
    assert_eq!(wrong.exit, 64, "{wrong:?}");
    server.stop().await;
}
