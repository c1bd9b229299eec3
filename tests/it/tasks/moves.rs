//! How tasks move, and what follows from that for others.

use axum::http::StatusCode;
use serde_json::json;

use super::{command, depend, get, id_of, session, status, task, titled};
use crate::support::app::TestApp;

/// T4: what the table does not have is refused, with what it has.
#[tokio::test]
async fn moves_that_the_table_does_not_have_are_refused() {
    let app = TestApp::new().await;
    let session = session(&app).await;
    let id = titled(&app, &session, "Test it").await;
    let refused = command(&app, &id, "complete", json!({})).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "INVALID_TRANSITION"));
    assert_eq!(
        (&refused.body["current"], &refused.body["requested"], &refused.body["allowed"]),
        (
            &json!("pending"),
            &json!("completed"),
            &json!(["ready", "assigned", "cancelled", "skipped"])
        )
    );
    assert_eq!(
        command(&app, &id, "status", json!({ "status": "ready" })).await.status,
        StatusCode::OK
    );
    let started = command(&app, &id, "start", json!({})).await;
    assert_eq!(started.body["status"], json!("in_progress"), "a ready task is assigned first");
    assert!(started.body["started_at"].is_string() && started.body["assigned_at"].is_string());
    command(&app, &id, "pause", json!({})).await;
    command(&app, &id, "start", json!({})).await;
    let failed = command(&app, &id, "fail", json!({ "error_message": "it broke" })).await;
    assert_eq!((&failed.body["status"], &failed.body["attempt"]), (&json!("failed"), &json!(1)));
    assert_eq!(failed.body["error"]["message"], json!("it broke"));
    let again = command(&app, &id, "retry", json!({})).await;
    assert_eq!((&again.body["status"], &again.body["attempt"]), (&json!("ready"), &json!(2)));
    assert_eq!(again.body["error"], json!(null));
    let kept = &again.body["metadata"]["attempts"][0];
    assert_eq!(kept["error"]["message"], json!("it broke"), "{kept}");
    let cancelled = command(&app, &id, "cancel", json!({ "reason": "enough" })).await;
    assert_eq!(cancelled.body["status"], json!("cancelled"));
    assert_eq!(command(&app, &id, "retry", json!({})).await.code(), "INVALID_TRANSITION");
    let audit = app.get("/api/v1/audit").await.body;
    let actions: Vec<&str> = audit["items"]
        .as_array()
        .expect("entries")
        .iter()
        .filter(|entry| entry["subject"]["kind"] == "task")
        .filter_map(|entry| entry["action"].as_str())
        .collect();
    for action in ["create", "ready", "start", "pause", "fail", "retry", "cancel"] {
        assert!(actions.contains(&action), "{action} is on record: {actions:?}");
    }
}

/// T6: each type opens its gate as the specification says, and an optional one never shuts it.
#[tokio::test]
async fn gates_open_when_their_targets_stand_as_they_want() {
    let app = TestApp::new().await;
    let session = session(&app).await;
    let first = titled(&app, &session, "Test the first").await;
    let after_end = titled(&app, &session, "Test after its end").await;
    let after_start = titled(&app, &session, "Test after its start").await;
    let ends_after = titled(&app, &session, "Test until its end").await;
    let free = titled(&app, &session, "Test whenever").await;
    depend(&app, &after_end, &first, "finish_to_start").await;
    depend(&app, &after_start, &first, "start_to_start").await;
    depend(&app, &ends_after, &first, "finish_to_finish").await;
    let optional = json!({ "target_task_id": first, "is_required": false });
    command(&app, &free, "dependencies", optional).await;
    let shown = [&after_end, &after_start, &ends_after, &free];
    let mut stand = Vec::new();
    for id in shown {
        stand.push(status(&app, id).await);
    }
    assert_eq!(stand, ["blocked", "blocked", "pending", "pending"]);
    assert_eq!(command(&app, &after_end, "start", json!({})).await.code(), "INVALID_TRANSITION");
    let ready = json!({ "status": "ready" });
    for id in [&first, &ends_after] {
        command(&app, id, "status", ready.clone()).await;
        command(&app, id, "start", json!({})).await;
    }
    assert_eq!(status(&app, &after_start).await, "ready");
    assert_eq!(status(&app, &after_end).await, "blocked");
    let waits = command(&app, &ends_after, "complete", json!({ "result": { "n": 1 } })).await;
    assert_eq!(waits.body["status"], json!("blocked"), "its end waits for the end of the first");
    command(&app, &first, "complete", json!({})).await;
    assert_eq!(status(&app, &after_end).await, "ready");
    let done = get(&app, &ends_after).await;
    assert_eq!((&done["status"], &done["result"]), (&json!("completed"), &json!({ "n": 1 })));
    let told = app.get("/api/v1/events?type=task.dependency_satisfied").await.body;
    assert_eq!(told["items"].as_array().map(Vec::len), Some(3), "one for each that gates");
}

/// T8: what cannot come any more leaves out, holds up, or is ignored.
#[tokio::test]
async fn what_fails_upstream_follows_the_policy_of_who_needs_it() {
    let app = TestApp::new().await;
    let session = session(&app).await;
    let first = titled(&app, &session, "Test the first").await;
    let mut needing = Vec::new();
    for policy in ["skip", "block", "ignore"] {
        let body = json!({
            "title": format!("Test what does {policy}"), "on_upstream_failure": policy,
            "dependencies": [{ "depends_on_task_id": first }],
        });
        needing.push(id_of(&task(&app, &session, body).await));
    }
    let further = titled(&app, &session, "Test what comes after").await;
    depend(&app, &further, &needing[0], "finish_to_start").await;
    command(&app, &first, "cancel", json!({})).await;
    let mut stand = Vec::new();
    for id in needing.iter().chain([&further]) {
        stand.push(status(&app, id).await);
    }
    assert_eq!(stand, ["skipped", "blocked", "ready", "skipped"]);
}

#[tokio::test]
async fn a_task_with_parts_stands_as_they_do() {
    let app = TestApp::new().await;
    let session = session(&app).await;
    let whole = titled(&app, &session, "Implement all").await;
    let mut parts = Vec::new();
    for title in ["Implement a", "Implement b"] {
        let body = json!({ "title": title, "parent_task_id": whole, "estimated_hours": 2 });
        parts.push(id_of(&task(&app, &session, body).await));
    }
    let refused = command(&app, &whole, "status", json!({ "status": "ready" })).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "INVALID_TRANSITION"));
    for part in &parts {
        command(&app, part, "status", json!({ "status": "ready" })).await;
        command(&app, part, "start", json!({})).await;
    }
    assert_eq!(status(&app, &whole).await, "in_progress");
    command(&app, &parts[0], "complete", json!({})).await;
    let half = get(&app, &whole).await;
    assert_eq!(
        (&half["status"], &half["progress_percentage"]),
        (&json!("in_progress"), &json!(50.0))
    );
    let busy =
        app.send(app.request(axum::http::Method::DELETE, &format!("/api/v1/tasks/{whole}"), None));
    assert_eq!(busy.await.code(), "TASK_ALREADY_STARTED");
    let subtasks = app.get(&format!("/api/v1/tasks/{whole}/subtasks")).await.body;
    assert_eq!(subtasks["items"].as_array().map(Vec::len), Some(2));
    let tree = app.get(&format!("/api/v1/tasks/{whole}/tree")).await.body;
    assert_eq!(tree["tree"]["children"][0]["id"], json!(parts[0]));
    assert_eq!(tree["summary"]["completed_tasks"], json!(1));
    command(&app, &whole, "cancel", json!({ "reason": "enough" })).await;
    assert_eq!(status(&app, &parts[1]).await, "cancelled");
    assert_eq!(status(&app, &whole).await, "failed", "one completed, one cancelled");
}

/// T7: the long way is critical, and what hangs on it has no slack.
#[tokio::test]
async fn the_graph_tells_what_the_end_hangs_on() {
    let app = TestApp::new().await;
    let session = session(&app).await;
    let whole = titled(&app, &session, "Implement all").await;
    let mut parts = Vec::new();
    for (title, hours) in [("a", 1), ("b", 1), ("long", 100), ("end", 2)] {
        let body = json!({
            "title": format!("Implement {title}"), "parent_task_id": whole, "estimated_hours": hours,
        });
        parts.push(id_of(&task(&app, &session, body).await));
    }
    depend(&app, &parts[1], &parts[0], "finish_to_start").await;
    for target in [1, 2] {
        depend(&app, &parts[3], &parts[target], "finish_to_start").await;
    }
    for path in ["graph", "dependencies/graph"] {
        let graph = app.get(&format!("/api/v1/tasks/{whole}/{path}")).await.body;
        assert_eq!(graph["critical_path"], json!([parts[2], parts[3]]), "{graph}");
        assert_eq!(graph["layers"][0].as_array().map(Vec::len), Some(2));
        assert_eq!((&graph["eta"], &graph["layout_type"]), (&json!(null), &json!("dagre")));
        let nodes = graph["nodes"].as_array().expect("nodes");
        for node in nodes {
            let critical = node["is_critical"] == json!(true);
            let slack = node["slack"].as_f64().expect("a figure");
            assert_eq!(critical, slack.abs() < 1e-9, "{node}");
        }
        assert_eq!(graph["edges"].as_array().map(Vec::len), Some(3));
    }
}
