//! Tasks through the whole API: made, linked, moved, split and looked at.

mod moves;
mod splits;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};

async fn session(app: &TestApp) -> String {
    let made = app.post("/api/v1/sessions", json!({ "initial_prompt": "build it" })).await;
    made.body["id"].as_str().expect("an id").to_owned()
}

/// A task of a session; what it is comes from the body.
async fn task(app: &TestApp, session: &str, mut body: Value) -> Value {
    body["session_id"] = json!(session);
    let made = app.post("/api/v1/tasks", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    made.body
}

async fn titled(app: &TestApp, session: &str, title: &str) -> String {
    let made = task(app, session, json!({ "title": title, "estimated_hours": 1 })).await;
    id_of(&made)
}

fn id_of(task: &Value) -> String {
    task["id"].as_str().expect("an id").to_owned()
}

async fn get(app: &TestApp, id: &str) -> Value {
    app.get(&format!("/api/v1/tasks/{id}")).await.body
}

async fn status(app: &TestApp, id: &str) -> String {
    get(app, id).await["status"].as_str().expect("a status").to_owned()
}

async fn command(app: &TestApp, id: &str, verb: &str, body: Value) -> Answer {
    app.post(&format!("/api/v1/tasks/{id}/{verb}"), body).await
}

async fn depend(app: &TestApp, id: &str, target: &str, kind: &str) -> Answer {
    let body = json!({ "target_task_id": target, "dependency_type": kind });
    command(app, id, "dependencies", body).await
}

#[tokio::test]
async fn a_task_is_made_read_changed_and_deleted() {
    let app = TestApp::new().await;
    let session = session(&app).await;
    let body = json!({
        "title": "  Login page ", "description": "with a button", "estimated_hours": 6,
        "priority": "high", "technologies": ["Rust"], "tags": ["ui"], "metadata": { "n": 1 },
    });
    let made = task(&app, &session, body).await;
    let id = id_of(&made);
    assert_eq!((&made["title"], &made["status"]), (&json!("Login page"), &json!("pending")));
    assert_eq!(made["warnings"], json!(["TITLE_NO_ACTION_VERB"]), "T3: told, not refused");
    assert_eq!(made["complexity_level"], json!("complex"));
    assert_eq!(made["technologies"], json!(["rust"]));
    let flags = ["is_leaf_task", "is_root_task", "can_start"].map(|name| made[name].clone());
    assert_eq!(flags, [json!(true), json!(true), json!(true)]);
    let read = app.get(&format!("/api/v1/tasks/{id}")).await;
    assert_eq!((read.header("etag"), &read.body), ("\"v1\"", &made));
    let path = format!("/api/v1/tasks/{id}");
    let wanted = json!({ "title": "Implement the login page", "description": null });
    let changed = app.send(app.request(Method::PATCH, &path, Some(wanted.clone()))).await;
    assert_eq!(changed.status, StatusCode::OK, "{:?}", changed.body);
    assert_eq!((&changed.body["revision"], &changed.body["warnings"]), (&json!(2), &json!([])));
    assert_eq!(changed.body["description"], json!(null));
    let mut late = app.request(Method::PATCH, &path, Some(wanted));
    late.headers_mut().insert("if-match", "\"v1\"".parse().expect("a header"));
    assert_eq!(app.send(late).await.code(), "VERSION_MISMATCH");
    let gone = app.send(app.request(Method::DELETE, &path, None)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(app.get(&path).await.code(), "TASK_NOT_FOUND");
    let told = app.get(&format!("/api/v1/sessions/{session}/events")).await;
    let types: Vec<&str> = told.body["items"]
        .as_array()
        .expect("events")
        .iter()
        .filter_map(|event| event["type"].as_str())
        .filter(|kind| kind.contains("task"))
        .collect();
    assert_eq!(types, ["task.created", "session.task_added", "task.updated", "task.deleted"]);
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_task_is_told_at_once() {
    let app = TestApp::new().await;
    let session = session(&app).await;
    let body = json!({
        "session_id": session, "title": " ", "task_type": "No", "estimated_hours": 0.01,
        "max_retries": 11, "unknown": 1,
    });
    let refused = app.post("/api/v1/tasks", body).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut pointers: Vec<&str> = refused.body["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .filter_map(|error| error["pointer"].as_str())
        .collect();
    pointers.sort_unstable();
    let expected = ["/estimated_hours", "/max_retries", "/task_type", "/title", "/unknown"];
    assert_eq!(pointers, expected);
    let nowhere = app.post("/api/v1/tasks", json!({ "title": "Test it" })).await;
    assert_eq!(nowhere.body["errors"][0]["pointer"], json!("/session_id"));
    let lost = json!({ "session_id": "IND-999999", "title": "Test it" });
    assert_eq!(app.post("/api/v1/tasks", lost).await.code(), "SESSION_NOT_FOUND");
}

/// T5: self, duplicates, kin and circles are refused, circles with all of their tasks.
#[tokio::test]
async fn dependencies_that_cannot_be_are_refused() {
    let app = TestApp::new().await;
    let session = session(&app).await;
    let whole = titled(&app, &session, "Implement all").await;
    let part = json!({ "title": "Implement a part", "parent_task_id": whole });
    let part = id_of(&task(&app, &session, part).await);
    let second = titled(&app, &session, "Test it").await;
    let third = titled(&app, &session, "Deploy it").await;
    let made = depend(&app, &second, &part, "finish_to_start").await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    assert_eq!(made.body["is_satisfied"], json!(false));
    depend(&app, &third, &second, "start_to_start").await;
    for (source, target, code) in
        [(&second, &second, "self"), (&second, &part, "duplicate"), (&part, &whole, "ancestor")]
    {
        let refused = depend(&app, source, target, "finish_to_start").await;
        assert_eq!(refused.body["errors"][0]["code"], json!(code), "{:?}", refused.body);
    }
    // The whole stands for its part, which the second needs.
    let circle = depend(&app, &whole, &third, "finish_to_start").await;
    assert_eq!((circle.status, circle.code()), (StatusCode::CONFLICT, "DEPENDENCY_CYCLE"));
    let cycle = circle.body["cycle"].as_array().expect("a cycle");
    assert_eq!(cycle.first(), cycle.last());
    for id in [&second, &third] {
        assert!(cycle.contains(&json!(id)), "{cycle:?}");
    }
    let dependents = get(&app, &part).await["dependents"].clone();
    assert_eq!(dependents[0]["source_task_id"], json!(second));
    let own = app.get(&format!("/api/v1/tasks/{second}/dependencies")).await.body;
    let dependency = own["items"][0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/api/v1/tasks/{second}/dependencies/{dependency}");
    assert_eq!(status(&app, &second).await, "blocked");
    let freed = app.send(app.request(Method::DELETE, &path, None)).await;
    assert_eq!(freed.status, StatusCode::NO_CONTENT);
    assert_eq!(status(&app, &second).await, "ready");
    let twice = app.send(app.request(Method::DELETE, &path, None)).await;
    assert_eq!(twice.code(), "DEPENDENCY_NOT_FOUND");
}

#[tokio::test]
async fn lists_are_filtered_and_paged_and_statistics_count() {
    let app = TestApp::new().await;
    let (one, other) = (session(&app).await, session(&app).await);
    for number in 0..5 {
        titled(&app, &one, &format!("Test part {number}")).await;
    }
    let lone = titled(&app, &other, "Deploy it").await;
    command(&app, &lone, "cancel", json!({ "reason": "nobody needs it" })).await;
    let mut seen = Vec::new();
    let mut path = format!("/api/v1/tasks?session_id={one}&limit=2");
    loop {
        let page = app.get(&path).await.body;
        let items = page["items"].as_array().expect("items");
        seen.extend(items.iter().map(|item| item["title"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/v1/tasks?session_id={one}&limit=2&cursor={cursor}");
    }
    assert_eq!(seen, [0, 1, 2, 3, 4].map(|number| json!(format!("Test part {number}"))));
    let cancelled = app.get("/api/v1/tasks?status=cancelled").await.body;
    assert_eq!(cancelled["items"][0]["id"], json!(lone));
    assert_eq!(cancelled["items"][0]["status_reason"], json!("nobody needs it"));
    let all = app.get("/api/v1/tasks/stats").await.body;
    assert_eq!((&all["total_tasks"], &all["tasks_by_status"]["cancelled"]), (&json!(6), &json!(1)));
    let of_one = app.get(&format!("/api/v1/tasks/stats?session_id={one}")).await.body;
    assert_eq!(of_one["total_tasks"], json!(5));
}

/// Two changes of one graph that do not know of each other are never both decided upon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_end_at_once_the_last_opens_what_needs_both() {
    let app = TestApp::new().await;
    for _ in 0..10 {
        let session = session(&app).await;
        let (one, other) =
            (titled(&app, &session, "Test a").await, titled(&app, &session, "Test b").await);
        let both = titled(&app, &session, "Deploy both").await;
        for target in [&one, &other] {
            depend(&app, &both, target, "finish_to_start").await;
        }
        for id in [&one, &other] {
            command(&app, id, "assign", json!({ "agent": "AGENT-ONE" })).await;
        }
        let ends = async |id: &str| {
            let begun = command(&app, id, "status", json!({ "status": "ready" })).await;
            assert!(begun.status.is_success() || begun.code() == "INVALID_TRANSITION");
            command(&app, id, "start", json!({})).await;
            let done = command(&app, id, "complete", json!({ "result": { "a": 1 } })).await;
            assert_eq!(done.status, StatusCode::OK, "{:?}", done.body);
        };
        tokio::join!(ends(&one), ends(&other));
        assert_eq!(status(&app, &both).await, "ready");
    }
}
