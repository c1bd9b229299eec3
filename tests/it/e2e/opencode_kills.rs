//! The real agent in the middle of a turn, when the orchestrator or the agent is killed.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{array, calculator, events_without_gap, eventually, saved, settled, text};
use crate::support::opencode::server_among;
use crate::support::repo::TestRepo;
use crate::support::scripted_llm::{ScriptedLlm, scripted};
use crate::support::server::{Server, Site};

/// Does something that can be counted, leaves a process behind, and waits at a gate.
fn counts() -> Value {
    json!([
        { "call": { "tool": "bash", "args": {
            "command": "echo once >> count.txt; setsid sleep 300 >/dev/null 2>&1 & true",
            "description": "count" } } },
        { "say": "Counted.", "gate": "go" },
    ])
}

/// A session in the middle of its turn, and its conversation.
async fn in_the_middle(server: &Server, llm: &ScriptedLlm, repo: &TestRepo) -> (String, String) {
    let body = json!({
        "initial_prompt": scripted("Count.", &counts()), "start": true,
        "workspace": { "kind": "git", "repo": repo.text() },
        "permission_policy": { "default": "allow" },
    });
    let id = text(&server.post("sessions", body).await["id"]).to_owned();
    (id, llm.conversation("Count.", 2).await)
}

/// The session ended well, in the same conversation, and did its work once.
async fn ended_well(site: &Site, server: &Server, repo: &TestRepo, id: &str, conversation: &str) {
    let session = server.until_status(id, "completed").await;
    assert_eq!(session["metrics"]["error"], Value::Null, "{session:#}");
    assert_eq!(saved(repo, id, "count.txt"), "once");
    let checkpoints = server.get(&format!("sessions/{id}/checkpoints")).await;
    let last = array(&checkpoints["items"]).last().cloned().unwrap_or_default();
    assert_eq!(last["agent_session_ref"], json!(conversation), "{checkpoints:#}");
    let events = events_without_gap(&server.api).await;
    let ends = events.iter().filter(|event| event["type"] == "session.completed");
    assert_eq!(ends.count(), 1);
    settled(site, server, Some(repo)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_orchestrator_takes_the_conversation_up_again() {
    let (llm, repo) = (ScriptedLlm::start(), calculator());
    let site = Site::opencode(&llm);
    let server = site.serve().await;
    let (id, conversation) = in_the_middle(&server, &llm, &repo).await;
    assert!(!site.agent_processes().is_empty());
    server.kill().await;
    // The agent dies with the server, before anybody starts it again.
    eventually("the agent ends", async || site.agent_processes().is_empty()).await;
    let server = site.serve().await;
    assert_eq!(server.ready["recovered"]["resumed"], 1, "{}", server.ready);
    assert_eq!(llm.conversation("Count.", 3).await, conversation);
    llm.open("go").await;
    ended_well(&site, &server, &repo, &id, &conversation).await;
    server.stop().await;
    eventually("the agent ends", async || site.agent_processes().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_agent_is_started_again_in_the_same_conversation() {
    let (llm, repo) = (ScriptedLlm::start(), calculator());
    let site = Site::opencode(&llm);
    let server = site.serve().await;
    let (id, conversation) = in_the_middle(&server, &llm, &repo).await;
    let agent = server_among(&site.agent_processes()).and_then(Pid::from_raw);
    kill_process(agent.expect("an agent"), Signal::KILL).expect("it is killed");
    assert_eq!(llm.conversation("Count.", 3).await, conversation);
    llm.open("go").await;
    ended_well(&site, &server, &repo, &id, &conversation).await;
    server.stop().await;
    eventually("the agent ends", async || site.agent_processes().is_empty()).await;
}
