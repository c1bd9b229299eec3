//! Plans of agents: by the real `OpenCode` and the scripted model, and by one that answers nonsense.

use reqwest::Method;
use serde_json::{Value, json};

use super::{array, calculator, plays, text};
use crate::support::scripted_llm::{ScriptedLlm, scripted};
use crate::support::server::{Api, Site};

fn plan() -> Value {
    json!({ "tasks": [
        { "key": "model", "title": "Implement the model", "likely_hours": 2 },
        { "key": "routes", "title": "Implement the routes", "likely_hours": 3,
          "depends_on": [{ "on": "model" }] },
        { "key": "check", "title": "Test the whole", "likely_hours": 1,
          "depends_on": [{ "on": "routes" }] },
    ] })
}

/// A task that says by itself how the agent that plans it behaves.
async fn task(api: &Api, session: Value, description: &str) -> (String, String) {
    let root = text(&api.post("sessions", session).await["id"]).to_owned();
    let body = json!({
        "session_id": root, "title": "Implement a todo service", "description": description,
        "estimated_hours": 8,
    });
    let id = text(&api.post("tasks", body).await["id"]).to_owned();
    (root, id)
}

/// What the planner came to, asked for until it has ended.
async fn planned(api: &Api, task: &str, body: Value) -> (u16, Value) {
    for _ in 0..20 {
        let path = format!("tasks/{task}/decompose");
        let answer = api.send(Method::POST, &path, Some(&body), None).await.expect("an answer");
        if answer.status.as_u16() != 202 {
            return (answer.status.as_u16(), answer.body);
        }
        assert!(answer.body["planner_session_id"].is_string(), "{answer:?}");
    }
    panic!("the planner never ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_agent_plans_and_its_plan_is_previewed_and_executed() {
    let (llm, repo) = (ScriptedLlm::start(), calculator());
    let site = Site::opencode(&llm);
    let server = site.serve().await;
    server.lift_quotas().await;
    let done = scripted("Build it.", &json!([{ "say": "Done." }]));
    let session = json!({
        "title": "Todo", "initial_prompt": done,
        "workspace": { "kind": "git", "repo": repo.text() },
    });
    let says = json!([{ "say": format!("Here is the plan:\n{}", plan()) }]);
    let described = scripted("Plan it.", &says);
    let (root, id) = task(&server, session, &described).await;
    let (status, preview) =
        planned(&server, &id, json!({ "strategy": "planner", "dry_run": true })).await;
    assert_eq!((status, &preview["plan"]), (200, &plan()), "{preview:#}");
    assert_eq!(preview["subtasks_created"], json!(3));
    let (status, made) = planned(&server, &id, json!({ "strategy": "planner" })).await;
    assert_eq!((status, &made["subtasks_created"]), (200, &json!(3)), "{made:#}");
    let children = server.get(&format!("sessions?parent_id={root}")).await;
    assert_eq!(array(&children["items"]).len(), 1, "nobody was asked twice");
    server.post(&format!("tasks/{id}/execute"), json!({})).await;
    let ended = server.until_status(&root, "completed").await;
    assert_eq!(ended["metrics"]["result"]["completed"], json!(3));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_stays_wrong_is_refused_after_one_more_round() {
    let site = Site::simulated();
    let server = site.serve().await;
    let wrong = json!({ "tasks": [{ "key": "a", "title": "Test it" }] });
    let says = plays(&json!([{ "say": wrong.to_string() }]));
    let session = json!({ "title": "Todo", "initial_prompt": "x" });
    let (root, id) = task(&server, session, &says).await;
    let (status, refused) = planned(&server, &id, json!({ "strategy": "planner" })).await;
    assert_eq!((status, &refused["code"]), (422, &json!("PLAN_INVALID")), "{refused:#}");
    assert_eq!(refused["errors"][0]["pointer"], "/tasks/0/likely_hours");
    let children = server.get(&format!("sessions?parent_id={root}")).await;
    let children = array(&children["items"]);
    assert_eq!(children.len(), 2, "one round, and one more");
    let prompts: Vec<&str> = children.iter().map(|child| text(&child["initial_prompt"])).collect();
    assert!(prompts.iter().any(|prompt| prompt.contains("Mend this:\n- /tasks/0/likely_hours")));
    assert_eq!(server.get(&format!("tasks/{id}")).await["is_leaf_task"], json!(true));
    server.stop().await;
}
