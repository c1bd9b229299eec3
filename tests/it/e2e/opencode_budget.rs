//! The real agent at the end of its budget: people are told, the session pauses, and goes on once
//! the budget is raised.

use serde_json::{Value, json};

use super::opencode_run::{edit, write};
use super::{array, calculator, eventually, settled, text};
use crate::support::scripted_llm::{ScriptedLlm, scripted};
use crate::support::server::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_budget_pauses_the_session_until_it_is_raised() {
    let (llm, repo) = (ScriptedLlm::start(), calculator());
    let site = Site::opencode(&llm).with("SUPERVISOR__PAUSE_GRACE_SECONDS", "1");
    let server = site.serve().await;
    // A dollar for a million tokens: nine cents, nine more, and then it waits.
    let turns = json!([
        { "call": edit(), "usage": { "input": 90_000, "output": 0 } },
        { "call": write("notes.txt", "Mended.\n"), "usage": { "input": 90_000, "output": 0 } },
        { "say": "Much more to say.", "gate": "never" },
    ]);
    let body = json!({
        "initial_prompt": scripted("Spend.", &turns), "start": true, "budget_usd": 0.1,
        "workspace": { "kind": "git", "repo": repo.text() },
        "permission_policy": { "default": "allow" },
    });
    let id = text(&server.post("sessions", body).await["id"]).to_owned();
    let paused = server.until_status(&id, "paused").await;
    assert_eq!(paused["status_reason"], "budget_exhausted", "{paused:#}");
    assert_eq!(paused["attention"], "budget_soft_limit");
    let events = server.all(&format!("sessions/{id}/events")).await;
    let told: Vec<(&str, &Value)> = events
        .iter()
        .map(|event| (text(&event["type"]), &event["payload"]))
        .filter(|(kind, _)| kind.contains("limit_reached"))
        .collect();
    let kinds: Vec<&str> = told.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, ["usage.soft_limit_reached", "usage.hard_limit_reached"], "{told:#?}");
    let last = told[1].1;
    assert_eq!((&last["scope"], &last["limit"]), (&json!("session_budget_usd"), &json!(0.1)));
    assert!(last["used"].as_f64() >= Some(0.1), "{last}");
    let refused = server.refused(&format!("sessions/{id}/resume"), json!({}), 402).await;
    assert_eq!(refused["code"], "BUDGET_EXHAUSTED", "{refused:#}");
    let why = site.cli(&["why", &id]).await;
    assert!(why.out.contains("budget_exhausted") && why.out.contains("--budget"), "{why:?}");
    let raised = site.cli(&["session", "edit", &id, "--budget", "50"]).await;
    assert_eq!(raised.exit, 0, "{raised:?}");
    let more = scripted("Now end.", &json!(["Ended."]));
    server
        .post(&format!("sessions/{id}/prompt"), json!({ "text": more, "mode": "interrupt" }))
        .await;
    server.post(&format!("sessions/{id}/resume"), json!({})).await;
    let resumed = server.until(&id, "work", |session| session["status"] != "paused").await;
    assert!(["running", "completed"].contains(&text(&resumed["status"])), "{resumed:#}");
    server.until_status(&id, "completed").await;
    let items = server.get("attention?state=open").await;
    assert!(array(&items["items"]).is_empty(), "{items:#}");
    settled(&site, &server, Some(&repo)).await;
    server.stop().await;
    eventually("the agent ends", async || site.agent_processes().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_is_done_with_its_last_cent_is_completed() {
    let (llm, repo) = (ScriptedLlm::start(), calculator());
    let site = Site::opencode(&llm);
    let server = site.serve().await;
    let turns = json!([
        { "call": edit(), "usage": { "input": 900, "output": 0 } },
        { "say": "Mended.", "usage": { "input": 900, "output": 10 } },
    ]);
    let body = json!({
        "initial_prompt": scripted("Spend all.", &turns), "start": true, "token_budget": 1000,
        "gates": [{ "name": "mended", "command": ["grep", "-q", "a + b", "calc.py"] }],
        "workspace": { "kind": "git", "repo": repo.text() },
        "permission_policy": { "default": "allow" },
    });
    let id = text(&server.post("sessions", body).await["id"]).to_owned();
    let ended = server.until_status(&id, "completed").await;
    assert!(ended["metrics"]["total_tokens_used"].as_u64() >= Some(1000), "{ended:#}");
    settled(&site, &server, Some(&repo)).await;
    server.stop().await;
}
