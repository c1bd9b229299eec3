//! Graphs of tasks, executed by children of the real executable on a real repository.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::{array, calculator, events_without_gap, plays, text};
use crate::support::opencode::eventually;
use crate::support::server::{Api, Site};

fn works() -> Value {
    json!([
        { "tool": { "tool": "write", "title": "work.txt",
            "write": { "path": "work.txt", "content": "done\n" } } },
        { "wait_ms": 150 },
    ])
}

fn breaks() -> Value {
    json!([{ "fail": { "type": "agent_error", "message": "it broke", "retryable": false } }])
}

/// What the simulated agent is told for a task, before anything else.
fn told(steps: &Value) -> String {
    format!("```simulated\n{steps}\n```")
}

async fn patch(api: &Api, path: &str, body: Value) {
    let answer = api.send(Method::PATCH, path, Some(&body), None).await.expect("an answer");
    assert!(answer.status.is_success(), "{answer:?}");
}

/// Every task of a session, by id.
async fn tasks(api: &Api, session: &str) -> BTreeMap<String, Value> {
    let all = api.get(&format!("tasks?session_id={session}&limit=200")).await;
    let items = array(&all["items"]).iter();
    items.map(|task| (text(&task["id"]).to_owned(), task.clone())).collect()
}

fn leaves(all: &BTreeMap<String, Value>) -> impl Iterator<Item = &Value> {
    all.values().filter(|task| task["is_leaf_task"] == json!(true))
}

/// Leaves that need each other in time: (source, target, whether the target must have ended).
fn orders(all: &BTreeMap<String, Value>) -> Vec<(String, String, bool)> {
    let mut found = Vec::new();
    for task in all.values() {
        for need in array(&task["dependencies"]) {
            let ended = need["dependency_type"] == "finish_to_start";
            let target = text(&need["target_task_id"]).to_owned();
            found.push((text(&task["id"]).to_owned(), target, ended));
        }
    }
    found
}

/// Moves of tasks in the order in which they happened: (task, new status).
fn moves(events: &[Value]) -> Vec<(String, String)> {
    events
        .iter()
        .filter(|event| event["type"] == "task.status_changed")
        .map(|event| {
            let payload = &event["payload"];
            (text(&payload["task_id"]).to_owned(), text(&payload["new_status"]).to_owned())
        })
        .collect()
}

/// T17: in dependency order, critical first, never more than allowed at once; one leaf fails and is retried
/// alone; a server that is killed in between goes on; the root ends as its leaves did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decomposed_service_is_built_by_children_in_order() {
    let (site, repo) = (Site::simulated(), calculator());
    let mut server = site.serve().await;
    server.lift_quotas().await;
    let body = json!({
        "title": "Todo service", "initial_prompt": plays(&works()),
        "workspace": { "kind": "git", "repo": repo.text() },
    });
    let root = text(&server.post("sessions", body).await["id"]).to_owned();
    let task = json!({
        "session_id": root, "title": "Build a todo microservice with auth and CRUD",
        "estimated_hours": 12, "on_upstream_failure": "block",
    });
    let whole = text(&server.post("tasks", task).await["id"]).to_owned();
    let made = server.post(&format!("tasks/{whole}/decompose"), json!({ "max_depth": 1 })).await;
    let rules = array(&made["rules_applied"]);
    assert!(["security", "microservice", "crud"].iter().all(|rule| rules.contains(&json!(rule))));
    let all = tasks(&server, &root).await;
    let count = leaves(&all).count();
    assert_eq!(json!(count), made["subtasks_created"]);
    let broken = leaves(&all).find(|leaf| text(&leaf["title"]).contains("Create"));
    let broken = text(&broken.expect("a part that creates")["id"]).to_owned();
    patch(&server, &format!("tasks/{broken}"), json!({ "description": told(&breaks()) })).await;
    let graph = server.get(&format!("tasks/{whole}/graph")).await;
    let critical = array(&graph["critical_path"]).to_vec();
    assert!(!critical.is_empty());

    let begun = server.post(&format!("tasks/{whole}/execute"), json!({ "max_parallel": 3 })).await;
    assert_eq!(begun["id"], json!(whole));
    server.until_status(&root, "running").await;
    let shown = server.session(&root).await;
    assert!(shown["current_agent_id"].is_null(), "the root has no agent of its own");
    server.refused(&format!("tasks/{whole}/execute"), json!({}), 409).await;
    eventually("two leaves are completed", async || {
        let all = tasks(&server, &root).await;
        leaves(&all).filter(|leaf| leaf["status"] == "completed").count() >= 2
    })
    .await;
    server.kill().await;
    server = site.serve().await;

    eventually("everything but what needs the broken part has settled", async || {
        let all = tasks(&server, &root).await;
        let settled = ["completed", "failed", "blocked"].map(|status| json!(status));
        leaves(&all).all(|leaf| settled.contains(&leaf["status"]))
    })
    .await;
    let all = tasks(&server, &root).await;
    assert_eq!(all[&broken]["status"], "failed");
    assert_eq!(all[&broken]["error"]["message"], "it broke");
    assert!(leaves(&all).any(|leaf| leaf["status"] == "blocked"));
    let asked = server.get("attention?state=open").await;
    let review = array(&asked["items"]).iter().find(|item| item["session_id"] == json!(root));
    assert_eq!(review.expect("somebody should look")["kind"], "review");
    assert_eq!(server.session(&root).await["status"], "running");
    let graph = server.get(&format!("tasks/{whole}/graph")).await;
    assert_eq!(array(&graph["critical_path"]), critical, "what is simulated teaches nothing");
    assert!(graph["progress"].as_f64().is_some_and(|progress| (1.0..100.0).contains(&progress)));

    patch(&server, &format!("tasks/{broken}"), json!({ "description": told(&works()) })).await;
    server.post(&format!("tasks/{broken}/retry"), json!({})).await;
    let ended = server.until_status(&root, "completed").await;
    assert_eq!(ended["metrics"]["success_rate"], json!(1.0));
    assert_eq!(ended["metrics"]["result"]["completed"], json!(count));
    let all = tasks(&server, &root).await;
    assert_eq!(all[&whole]["status"], "completed");
    for leaf in leaves(&all) {
        let attempt = if text(&leaf["id"]) == broken { 2 } else { 1 };
        assert_eq!((&leaf["status"], &leaf["attempt"]), (&json!("completed"), &json!(attempt)));
        let child = server.session(text(&leaf["child_session_id"])).await;
        assert_eq!((&child["task_id"], &child["parent_id"]), (&leaf["id"], &json!(root)));
    }
    let children = server.get(&format!("sessions?parent_id={root}&limit=200&count=true")).await;
    assert_eq!(children["total"], json!(count + 1), "one for each leaf, and one for the retry");
    in_order(&events_without_gap(&server).await, &all, &critical);
    server.stop().await;
    site.keeps_invariants().await;
}

/// What the events say of the order in which leaves began and ended.
fn in_order(events: &[Value], all: &BTreeMap<String, Value>, critical: &[Value]) {
    let moves = moves(events);
    let first =
        |id: &str, status: &str| moves.iter().position(|(task, new)| task == id && new == status);
    for (source, target, ended) in orders(all) {
        let status = if ended { "completed" } else { "in_progress" };
        let (before, after) = (first(&target, status), first(&source, "assigned"));
        assert!(before < after && before.is_some(), "{source} began before {target} was {status}");
    }
    let is_leaf = |id: &str| all[id]["is_leaf_task"] == json!(true);
    let given = moves.iter().find(|(id, status)| status == "assigned" && is_leaf(id));
    let (given, _) = given.expect("somebody began");
    assert!(critical.contains(&json!(given)), "the first to begin was not critical");
    let mut at_once: BTreeMap<&str, bool> = BTreeMap::new();
    let mut most = 0;
    for (id, status) in moves.iter().filter(|(id, _)| is_leaf(id)) {
        at_once.insert(id, ["assigned", "in_progress", "paused"].contains(&status.as_str()));
        most = most.max(at_once.values().filter(|is_active| **is_active).count());
    }
    assert!((2..=3).contains(&most), "{most} at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_tasks_pauses_and_goes_on_and_ends_with_its_children() {
    let site = Site::simulated();
    let server = site.serve().await;
    let hangs = plays(&json!([{ "hang": true }]));
    let graph = json!({ "initial_prompt": hangs, "execution_mode": "task_graph" });
    let root = text(&server.post("sessions", graph.clone()).await["id"]).to_owned();
    for title in ["Implement a", "Implement b"] {
        server.post("tasks", json!({ "session_id": root, "title": title })).await;
    }
    let stand = async |root: &str| -> Vec<Value> {
        tasks(&server, root).await.into_values().map(|task| task["status"].clone()).collect()
    };
    server.post(&format!("sessions/{root}/start"), json!({})).await;
    eventually("both run", async || stand(&root).await == ["in_progress", "in_progress"]).await;
    server.post(&format!("sessions/{root}/pause"), json!({})).await;
    server.until_status(&root, "paused").await;
    eventually("both are held", async || stand(&root).await == ["paused", "paused"]).await;
    server.post(&format!("sessions/{root}/resume"), json!({})).await;
    server.until_status(&root, "running").await;
    eventually("both go on", async || stand(&root).await == ["in_progress", "in_progress"]).await;
    server.post(&format!("sessions/{root}/stop"), json!({ "reason": "enough" })).await;
    server.until_status(&root, "stopped").await;
    eventually("both are cut off", async || stand(&root).await == ["cancelled", "cancelled"]).await;

    let empty = text(&server.post("sessions", graph).await["id"]).to_owned();
    server.post(&format!("sessions/{empty}/start"), json!({})).await;
    let failed = server.until_status(&empty, "failed").await;
    assert_eq!(failed["metrics"]["error"]["type"], "all_tasks_failed");
    server.stop().await;
    site.keeps_invariants().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_that_failed_goes_on_with_what_failed() {
    let site = Site::simulated();
    let server = site.serve().await;
    let graph = json!({ "initial_prompt": plays(&works()), "execution_mode": "task_graph" });
    let root = text(&server.post("sessions", graph).await["id"]).to_owned();
    let body = json!({
        "session_id": root, "title": "Implement it", "description": told(&breaks()),
    });
    let task = text(&server.post("tasks", body).await["id"]).to_owned();
    let after = json!({
        "session_id": root, "title": "Deploy it", "on_upstream_failure": "block",
        "dependencies": [{ "target_task_id": task }],
    });
    let after = text(&server.post("tasks", after).await["id"]).to_owned();
    server.post(&format!("sessions/{root}/start"), json!({})).await;
    eventually("the first has failed", async || {
        server.get(&format!("tasks/{task}")).await["status"] == "failed"
    })
    .await;
    let waits = server.get(&format!("tasks/{after}")).await;
    assert_eq!(
        (&waits["status"], &waits["blockers"]),
        (&json!("blocked"), &json!(["dependency_unsatisfied"]))
    );
    server.post(&format!("tasks/{after}/skip"), json!({})).await;
    let failed = server.until_status(&root, "failed").await;
    assert_eq!(failed["metrics"]["error"]["type"], "all_tasks_failed");
    patch(&server, &format!("tasks/{task}"), json!({ "description": told(&works()) })).await;
    server.post(&format!("sessions/{root}/retry"), json!({})).await;
    let ended = server.until_status(&root, "partially_completed").await;
    assert_eq!(ended["metrics"]["success_rate"], json!(0.5), "one was left out");
    let done = server.get(&format!("tasks/{task}")).await;
    assert_eq!((&done["status"], &done["attempt"]), (&json!("completed"), &json!(2)));
    let told = events_without_gap(&server).await;
    let count = |kind: &str| told.iter().filter(|event| event["type"] == kind).count();
    assert_eq!((count("task.graph_started"), count("task.graph_completed")), (2, 2));
    server.stop().await;
    site.keeps_invariants().await;
}
