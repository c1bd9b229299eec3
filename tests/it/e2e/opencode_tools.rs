//! The real agent uses the tools of the server from inside its session.

use serde_json::{Value, json};

use super::opencode_run::edit;
use super::{array, calculator, eventually, settled, text};
use crate::support::acp::opencode_config;
use crate::support::scripted_llm::{ScriptedLlm, scripted};
use crate::support::server::{Server, Site};

fn tool(name: &str, arguments: &Value) -> Value {
    json!({ "call": { "tool": format!("orchestrator_{name}"), "args": arguments } })
}

/// Remembers, holds, hands on, asks, and mends the program.
fn turns() -> Value {
    json!([
        tool("context_put", &json!({ "updates": { "plan.step": 1 } })),
        tool("context_get", &json!({ "path": "plan.step" })),
        tool("lock_acquire", &json!({ "names": ["file:calc.py"] })),
        tool("session_spawn", &json!({ "prompt": "Say hello.", "title": "The child" })),
        tool("ask_human", &json!({ "question": "Ship it?", "wait_seconds": 120 })),
        { "say": "They said {{result}}", "call": edit() },
        { "say": "Done." },
    ])
}

async fn child_of(server: &Server, parent: &str) -> Option<Value> {
    let all = server.all("sessions").await;
    all.into_iter().find(|session| session["parent_id"] == json!(parent))
}

/// "A coding agent in a running session reads and writes shared context, takes a lock, spawns a child and
/// asks a person."
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_remembers_takes_a_lock_spawns_a_child_and_asks_a_person() {
    let (llm, repo) = (ScriptedLlm::start(), calculator());
    let site = Site::opencode(&llm);
    let server = site.serve().await;
    let body = json!({
        "initial_prompt": scripted("Use your tools.", &turns()), "start": true,
        "workspace": { "kind": "git", "repo": repo.text() },
        "permission_policy": { "default": "ask", "rules": [
            { "tool": "edit", "decision": "allow" } ] },
    });
    let id = text(&server.post("sessions", body).await["id"]).to_owned();
    let item = server.until_asked(&id).await;
    // The tools of the server need no asking: the first that is asked is what the agent asks itself.
    assert_eq!(
        (&item["kind"], &item["title"]),
        (&json!("question"), &json!("Ship it?")),
        "{item:#}"
    );
    let context = server.get(&format!("contexts/session/{id}")).await;
    assert_eq!(context["items"][0]["data"]["plan"]["step"], 1, "{context:#}");
    let owner = server.get("locks/file%3Acalc.py").await["holders"][0]["owner"].clone();
    assert_eq!((&owner["kind"], &owner["id"]), (&json!("session"), &json!(id)));
    let child = child_of(&server, &id).await.expect("a child");
    assert_eq!(child["title"], "The child");
    let path = format!("attention/{}/resolve", text(&item["id"]));
    server.post(&path, json!({ "decision": "answer", "answer": "yes, ship it" })).await;
    server.until_status(&id, "completed").await;
    let said = server.all(&format!("sessions/{id}/transcript")).await;
    let said = Value::Array(said).to_string();
    assert!(said.contains("yes, ship it") && said.contains("They said"), "{said}");
    server.until_status(text(&child["id"]), "completed").await;
    eventually("the lock is free", async || array(&server.get("locks").await["items"]).is_empty())
        .await;
    let log = server.all(&format!("sessions/{id}/logs")).await;
    assert!(!Value::Array(log.clone()).to_string().contains("without the tools"), "{log:#?}");
    settled(&site, &server, Some(&repo)).await;
    server.stop().await;
    eventually("the agent ends", async || site.agent_processes().is_empty()).await;
}

/// In a folder that two sessions share, each has its own tools, and cannot call those of the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_in_one_folder_cannot_use_each_others_tools() {
    let (llm, repo) = (ScriptedLlm::start(), calculator());
    let site = Site::opencode(&llm).with("WORKSPACES__ALLOWED_ROOTS", &repo.text());
    let server = site.serve().await;
    let begin = async |turns: Value| {
        let body = json!({
            "initial_prompt": scripted("Use your tools.", &turns), "start": true,
            "workspace": { "kind": "directory", "path": repo.text() },
            "permission_policy": { "default": "allow" },
        });
        let made = server.post("sessions", body).await;
        (text(&made["id"]).to_owned(), text(&made["code"]).to_owned())
    };
    let named = |code: &str, tool: &str, arguments: Value| {
        let prefix = code.to_lowercase().replace('-', "_");
        json!({ "call": { "tool": format!("orchestrator_{prefix}_{tool}"), "args": arguments } })
    };
    let (first, code) = begin(json!([
        named("IND-000001", "context_put", json!({ "updates": { "who": "first" } })),
        named("IND-000001", "ask_human", json!({ "question": "Wait?", "wait_seconds": 120 })),
        "Done.",
    ]))
    .await;
    assert_eq!(code, "IND-000001");
    let item = server.until_asked(&first).await;
    let (second, code) = begin(json!([
        named("IND-000001", "context_put", json!({ "updates": { "who": "second" } })),
        named("IND-000002", "context_put", json!({ "updates": { "who": "second" } })),
        "Done.",
    ]))
    .await;
    assert_eq!(code, "IND-000002");
    server.until_status(&second, "completed").await;
    let path = format!("attention/{}/resolve", text(&item["id"]));
    server.post(&path, json!({ "decision": "answer", "answer": "no" })).await;
    server.until_status(&first, "completed").await;
    for (id, who) in [(&first, "first"), (&second, "second")] {
        let context = server.get(&format!("contexts/session/{id}")).await;
        assert_eq!(context["items"][0]["data"]["who"], who, "{context:#}");
        assert_eq!(array(&context["items"]).len(), 1);
    }
    server.stop().await;
    eventually("the agent ends", async || site.agent_processes().is_empty()).await;
}

/// An agent of the Agent Client Protocol starts a program of ours, which speaks for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acp_agent_has_the_same_tools() {
    let (llm, repo) = (ScriptedLlm::start(), calculator());
    let site = Site::simulated();
    let server = site.serve().await;
    let mut config = opencode_config(&llm);
    config["env"]["LAB_KEY"] = json!("not-a-secret");
    let agent = json!({ "name": "AGENT-ACP", "kind": "acp", "primary_capabilities": ["code_generation"], "config": config });
    server.post("agents", agent).await;
    let turns = json!([
        tool("context_put", &json!({ "updates": { "plan.step": 1 } })),
        tool("session_status", &json!({})),
        { "say": "Seen {{result}}" },
    ]);
    let body = json!({
        "initial_prompt": scripted("Use your tools.", &turns), "start": true, "agent": "AGENT-ACP",
        "workspace": { "kind": "git", "repo": repo.text() },
        "permission_policy": { "default": "allow" },
    });
    let id = text(&server.post("sessions", body).await["id"]).to_owned();
    server.until_status(&id, "completed").await;
    let context = server.get(&format!("contexts/session/{id}")).await;
    assert_eq!(context["items"][0]["data"]["plan"]["step"], 1, "{context:#}");
    let said = Value::Array(server.all(&format!("sessions/{id}/transcript")).await).to_string();
    assert!(said.contains("Seen ") && said.contains("running"), "{said}");
    server.stop().await;
    eventually("the agent ends", async || site.agent_processes().is_empty()).await;
}
