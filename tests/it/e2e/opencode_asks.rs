//! The real agent asks, is paused and is told more, while the server runs.

use serde_json::json;

use super::opencode_run::{edit, mends};
use super::{array, calculator, eventually, settled, text, worktrees};
use crate::support::scripted_llm::{ScriptedLlm, scripted};
use crate::support::server::{Server, Site};

/// Runs the shell once and says so.
fn touches(name: &str) -> serde_json::Value {
    json!([
        { "call": { "tool": "bash", "args": {
            "command": format!("touch {name}"), "description": "touch" } } },
        { "call": edit() },
        { "say": "Went on." },
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permission_is_given_on_the_command_line_or_denied_at_its_deadline() {
    let (llm, repo, other) = (ScriptedLlm::start(), calculator(), calculator());
    let site = Site::opencode(&llm).with("SUPERVISOR__PERMISSION_TIMEOUT_SECONDS", "12");
    let server = site.serve().await;
    let prompt = scripted("Ask me.", &touches("allowed.txt"));
    let (folder, nobodys) = (repo.text(), unanswered(&server, &other));
    let run = site.command(&["run", &prompt, "--dir", &folder]);
    let (run, (), denied) =
        tokio::join!(crate::support::server::finish(run), allows_all(&site, &repo), nobodys);
    assert_eq!(run.exit, 0, "{run:?}");
    assert!(run.out.contains("Went on."), "{run:?}");
    let merged = site.cli(&["session", "merge", &code_of(&server, &repo).await]).await;
    assert_eq!(merged.exit, 0, "{merged:?}");
    assert!(repo.path().join("allowed.txt").exists());
    let items = server.get("attention?limit=200").await;
    let given = |item: &&serde_json::Value| {
        item["payload"].to_string().contains("touch allowed.txt")
            && item["resolved_by"] == "administrator"
    };
    assert!(array(&items["items"]).iter().any(|item| given(&item)), "{items:#}");
    // Nobody answered: it was denied at its deadline, and the session went on to its end.
    let about = |item: &&serde_json::Value| item["session_id"] == denied["id"];
    let shell = array(&items["items"])
        .iter()
        .filter(about)
        .find(|item| item["payload"].to_string().contains("denied.txt"));
    let shell = shell.unwrap_or_else(|| panic!("no item in {items:#}"));
    assert_eq!((&shell["decision"], &shell["resolved_by"]), (&json!("deny"), &json!("deadline")));
    let diff = server.get(&format!("sessions/{}/diff", text(&denied["id"]))).await;
    assert!(!diff.to_string().contains("denied.txt"), "{diff:#}");
    settled(&site, &server, Some(&repo)).await;
    settled(&site, &server, Some(&other)).await;
    server.stop().await;
    eventually("the agent ends", async || site.agent_processes().is_empty()).await;
}

/// A session whose ask nobody answers; how it ends.
async fn unanswered(server: &Server, repo: &crate::support::repo::TestRepo) -> serde_json::Value {
    let body = json!({
        "initial_prompt": scripted("Ask nobody.", &touches("denied.txt")), "start": true,
        "workspace": { "kind": "git", "repo": repo.text() },
        "permission_policy": { "default": "allow", "rules": [
            { "tool": "bash", "decision": "ask" } ] },
    });
    let id = text(&server.post("sessions", body).await["id"]).to_owned();
    server.until_status(&id, "completed").await
}

async fn code_of(server: &Server, repo: &crate::support::repo::TestRepo) -> String {
    let sessions = server.all("sessions").await;
    let mine = sessions.iter().find(|session| session["workspace"]["repo"] == json!(repo.text()));
    mine.map_or_else(String::new, |session| text(&session["code"]).to_owned())
}

/// Answers every ask of the session on this repository until it has ended.
async fn allows_all(site: &Site, repo: &crate::support::repo::TestRepo) {
    eventually("the session ends", async || {
        let listed = site.cli(&["session", "list", "--json"]).await;
        let listed: serde_json::Value = serde_json::from_str(&listed.out).unwrap_or_default();
        let mine = array(&listed["items"])
            .iter()
            .find(|session| session["workspace"]["repo"] == json!(repo.text()));
        let Some(mine) = mine else { return false };
        if mine["attention"] == "permission_required" {
            let shown = site.cli(&["attention", "list"]).await;
            assert!(shown.exit == 0 && shown.out.contains("permission"), "{shown:?}");
            let code = text(&mine["code"]);
            let done = site.cli(&["attention", "resolve", code, "allow"]).await;
            allowed_or_gone(&done);
        }
        mine["status"] == "completed"
    })
    .await;
}

/// Between look and answer the item may be settled.
fn allowed_or_gone(done: &crate::support::server::Finished) {
    assert!(done.exit == 0 || done.err.contains("waits for nobody"), "{done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_pauses_takes_prompts_in_between_and_goes_on() {
    let (llm, repo) = (ScriptedLlm::start(), calculator());
    let site = Site::opencode(&llm);
    let server = site.serve().await;
    let turns = json!([
        { "call": edit() }, { "say": "First half.", "gate": "pause" },
    ]);
    let body = json!({
        "initial_prompt": scripted("Work in two halves.", &turns), "start": true,
        "workspace": { "kind": "git", "repo": repo.text() },
        "permission_policy": { "default": "allow" },
    });
    let id = text(&server.post("sessions", body).await["id"]).to_owned();
    let before = llm.conversation("Work in two halves.", 2).await;
    let paused = server.post(&format!("sessions/{id}/pause"), json!({})).await;
    assert_eq!(paused["pause_requested"], true, "{paused:#}");
    llm.open("pause").await;
    let paused = server.until_status(&id, "paused").await;
    assert!(paused["current_agent_id"].is_null(), "a paused session holds no agent: {paused:#}");
    assert!(worktrees(&repo) <= 2);
    let more = scripted("Now the second half.", &mends());
    server.post(&format!("sessions/{id}/prompt"), json!({ "text": more, "mode": "queue" })).await;
    server.post(&format!("sessions/{id}/resume"), json!({})).await;
    // A prompt that interrupts breaks the turn off that waits here.
    let interrupted = json!([{ "say": "Never said.", "gate": "never" }]);
    let ended = server.until_status(&id, "completed").await;
    assert_eq!(ended["attempt"], 1, "{ended:#}");
    assert_eq!(llm.conversation("Now the second half.", 3).await, before);
    let body = json!({
        "initial_prompt": scripted("Wait here.", &interrupted), "start": true,
        "workspace": { "kind": "git", "repo": repo.text() },
    });
    let id = text(&server.post("sessions", body).await["id"]).to_owned();
    let before = llm.conversation("Wait here.", 1).await;
    let now = json!({ "text": scripted("Stop that.", &json!(["Stopped."])), "mode": "interrupt" });
    server.post(&format!("sessions/{id}/prompt"), now).await;
    server.until_status(&id, "completed").await;
    assert_eq!(llm.conversation("Stop that.", 1).await, before);
    let transcript = server.all(&format!("sessions/{id}/transcript")).await;
    let said = serde_json::Value::Array(transcript).to_string();
    assert!(said.contains("Stopped.") && !said.contains("\"Never said.\""), "{said}");
    settled(&site, &server, Some(&repo)).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_asked_before_the_server_was_killed_is_one_item_and_holds_nobody_up() {
    let (llm, repo) = (ScriptedLlm::start(), calculator());
    let site = Site::opencode(&llm);
    let server = site.serve().await;
    let body = json!({
        "initial_prompt": scripted("Ask twice.", &touches("again.txt")), "start": true,
        "workspace": { "kind": "git", "repo": repo.text() },
        "permission_policy": { "default": "allow", "rules": [
            { "tool": "bash", "decision": "ask" } ] },
    });
    let id = text(&server.post("sessions", body).await["id"]).to_owned();
    let asked = server.until_asked(&id).await;
    server.kill().await;
    let server = site.serve().await;
    // Decided before the agent is back: it is told once it asks again, if it does.
    let path = format!("attention/{}/resolve", text(&asked["id"]));
    server.post(&path, json!({ "decision": "allow_once" })).await;
    server.until_status(&id, "completed").await;
    let items = server.get("attention?limit=200").await;
    let about = |item: &&serde_json::Value| item["payload"].to_string().contains("touch again.txt");
    let items: Vec<_> = array(&items["items"]).iter().filter(about).collect();
    assert_eq!(items.len(), 1, "{items:#?}");
    assert_eq!((&items[0]["id"], &items[0]["state"]), (&asked["id"], &json!("resolved")));
    settled(&site, &server, Some(&repo)).await;
    server.stop().await;
    eventually("the agent ends", async || site.agent_processes().is_empty()).await;
}
