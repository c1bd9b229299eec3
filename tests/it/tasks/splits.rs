//! Tasks that are split by templates, by rules, by generic splits and by plans; templates of a tenant.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{command, get, id_of, session, task};
use crate::support::app::TestApp;

async fn large(app: &TestApp, title: &str, kind: &str) -> String {
    let session = session(app).await;
    let body = json!({ "title": title, "task_type": kind, "estimated_hours": 12 });
    id_of(&task(app, &session, body).await)
}

/// T13: a web service of 12 hours comes to five children and twelve subtasks, previewed and written alike.
#[tokio::test]
async fn a_preview_writes_nothing_and_is_what_is_written_then() {
    let app = TestApp::new().await;
    let id = large(&app, "Implement the billing service", "web_service").await;
    let preview = command(&app, &id, "decompose", json!({ "dry_run": true })).await;
    assert_eq!(preview.status, StatusCode::OK, "{:?}", preview.body);
    assert_eq!(preview.body["subtasks_created"], json!(12));
    assert_eq!(preview.body["templates_applied"], json!(["web_service_implementation"]));
    assert_eq!(get(&app, &id).await["is_leaf_task"], json!(true));
    let made = command(&app, &id, "decompose", json!({})).await;
    let titles = |answer: &Value| -> Vec<Value> {
        let subtasks = answer["subtasks"].as_array().expect("subtasks");
        subtasks.iter().map(|node| node["title"].clone()).collect()
    };
    assert_eq!(titles(&made.body), titles(&preview.body));
    assert_eq!(made.body["total_estimated_hours"], preview.body["total_estimated_hours"]);
    let tree = app.get(&format!("/api/v1/tasks/{id}/tree")).await.body;
    assert_eq!(tree["tree"]["children"].as_array().map(Vec::len), Some(5));
    assert_eq!(tree["summary"]["total_tasks"], json!(12));
    let twice = command(&app, &id, "decompose", json!({})).await;
    assert_eq!((twice.status, twice.code()), (StatusCode::CONFLICT, "ALREADY_EXISTS"));
    let told = app.get("/api/v1/events?type=task.decomposed").await.body;
    assert_eq!(told["items"][0]["payload"]["subtasks_created"], json!(12));
}

#[tokio::test]
async fn words_and_generic_splits_make_children_with_all_three_figures() {
    let app = TestApp::new().await;
    let split = large(&app, "Build a todo microservice with auth and CRUD", "service").await;
    let made = command(&app, &split, "decompose", json!({ "strategy": "rules" })).await;
    let rules = &made.body["rules_applied"];
    for rule in ["security", "microservice", "crud"] {
        assert!(rules.as_array().is_some_and(|all| all.contains(&json!(rule))), "{rules}");
    }
    let chained = large(&app, "Implement what nobody has a template for", "oddity").await;
    let temporal = json!({ "strategy": "temporal", "max_depth": 1 });
    let made = command(&app, &chained, "decompose", temporal).await;
    let subtasks = made.body["subtasks"].as_array().expect("subtasks").clone();
    for (place, node) in subtasks.iter().enumerate().skip(1) {
        assert_eq!(node["depends_on"], json!([place - 1]), "each on the one before");
    }
    let small = session(&app).await;
    let trivial =
        task(&app, &small, json!({ "title": "Fix a typo", "estimated_hours": 0.2 })).await;
    let none =
        command(&app, &id_of(&trivial), "decompose", json!({ "strategy": "functional" })).await;
    assert_eq!(none.body["subtasks_created"], json!(0));
    assert_eq!(none.body["warnings"][0]["code"], json!("ALREADY_SIMPLE"));
}

#[tokio::test]
async fn a_plan_is_previewed_and_applied_or_refused_with_its_places() {
    let app = TestApp::new().await;
    let id = large(&app, "Implement the importer", "importer").await;
    let plan = json!({ "tasks": [
        { "key": "read", "title": "Implement reading", "likely_hours": 3 },
        { "key": "write", "title": "Implement writing", "likely_hours": 4,
          "depends_on": [{ "on": "read" }] },
    ] });
    let wrong =
        json!({ "strategy": "planner", "plan": { "tasks": [{ "key": "a", "title": "x" }] } });
    let refused = command(&app, &id, "decompose", wrong).await;
    assert_eq!(
        (refused.status, refused.code()),
        (StatusCode::UNPROCESSABLE_ENTITY, "PLAN_INVALID")
    );
    assert_eq!(refused.body["errors"][0]["pointer"], json!("/tasks/0/likely_hours"));
    let body = json!({ "strategy": "planner", "plan": plan, "dry_run": true });
    let preview = command(&app, &id, "decompose", body).await;
    assert_eq!(preview.body["plan"], plan, "it can be edited and sent back");
    let made =
        command(&app, &id, "decompose", json!({ "strategy": "planner", "plan": plan })).await;
    assert_eq!(made.body["subtasks_created"], json!(2));
    let second = made.body["subtasks"][1]["task_id"].as_str().expect("an id").to_owned();
    let shown = get(&app, &second).await;
    assert_eq!(shown["estimate"]["estimation_source"], json!("planner_decomposition"));
    assert_eq!(shown["dependencies"][0]["target_task_id"], made.body["subtasks"][0]["task_id"]);
    assert_eq!(shown["status"], json!("blocked"));
}

fn own(key: &str) -> Value {
    json!({
        "key": key, "name": "Ours", "trigger": "keyword", "keywords": ["crud"],
        "threshold": "moderate", "strategy": "none",
        "subtask": [
            { "key": "one", "title": "{title} - One", "share": 0.5 },
            { "key": "two", "title": "{title} - Two", "share": 0.5, "depends_on": [{ "on": "one" }] },
        ],
    })
}

/// T16: a tenant's template takes the place of the shipped one of its key, for that tenant alone.
#[tokio::test]
async fn a_tenant_has_templates_of_its_own() {
    let app = TestApp::new().await;
    let shipped = app.get("/api/v1/templates").await.body;
    assert_eq!(shipped["items"].as_array().map(Vec::len), Some(6));
    let made = app.post("/api/v1/templates", own("crud")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{:?}", made.body);
    assert_eq!((&made.body["is_own"], &made.body["is_shipped"]), (&json!(true), &json!(true)));
    assert_eq!(app.post("/api/v1/templates", own("crud")).await.code(), "ALREADY_EXISTS");
    let id = large(&app, "Implement CRUD of notes", "notes").await;
    let split = command(&app, &id, "decompose", json!({ "strategy": "rules" })).await;
    assert_eq!(split.body["subtasks_created"], json!(2), "{:?}", split.body);
    let mut changed = own("crud");
    changed["name"] = json!("Ours, again");
    let path = "/api/v1/templates/crud";
    let put = app.send(app.request(Method::PUT, path, Some(changed.clone()))).await;
    assert_eq!((put.status, &put.body["revision"]), (StatusCode::OK, &json!(2)));
    let elsewhere = app.send(app.request(Method::PUT, "/api/v1/templates/ui", Some(changed))).await;
    assert_eq!(elsewhere.body["errors"][0]["pointer"], json!("/key"));
    let gone = app.send(app.request(Method::DELETE, path, None)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let back = app.get(path).await.body;
    assert_eq!(
        (&back["name"], &back["is_own"]),
        (&json!("Create, Read, Update, Delete"), &json!(false))
    );
    let shipped = app.send(app.request(Method::DELETE, path, None)).await;
    assert_eq!((shipped.status, shipped.code()), (StatusCode::CONFLICT, "ALREADY_EXISTS"));
    let mut circular = own("round");
    circular["subtask"][0]["depends_on"] = json!([{ "on": "two" }]);
    circular["surprise"] = json!(1);
    let refused = app.post("/api/v1/templates", circular).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{:?}", refused.body);
}
