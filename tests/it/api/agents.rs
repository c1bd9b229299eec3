//! Agents over HTTP: registering, changing, closing and removing them.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::drivers::acp::{AcpDriver, Options};
use orchestrator::presentation::api::state::ApiOptions;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{as_who, text};
use crate::support::app::{ADMIN, Answer, TestApp, agent_of_new_tenants, bearer, request};

const AGENTS: &str = "/api/v1/agents";

fn wanted(name: &str) -> Value {
    json!({
        "name": name, "kind": "command", "capabilities": ["code_review", "testing"],
        "secondary_capabilities": ["testing", "documentation"],
        "config": { "command": ["lint", "--jsonl"], "env": { "TOKEN": "$LINT_TOKEN", "MODE": "fast" } },
    })
}

async fn change(
    app: &TestApp,
    method: Method,
    path: &str,
    body: Value,
    more: &[(&str, &str)],
) -> Answer {
    let key = bearer(ADMIN);
    let mut headers = vec![("authorization", &*key), ("x-tenant-id", "default")];
    headers.extend(more);
    app.send(request(method, path, Some(body), &headers)).await
}

fn pointers(answer: &Answer) -> Vec<(String, String)> {
    let errors = answer.body["errors"].as_array().cloned().unwrap_or_default();
    let word = |error: &Value, name: &str| error[name].as_str().unwrap_or("").to_owned();
    errors.iter().map(|error| (word(error, "pointer"), word(error, "code"))).collect()
}

async fn told(app: &TestApp) -> Vec<String> {
    let snapshot = app.store.snapshot(TenantId::BOOTSTRAP).await.expect("readable");
    let events = snapshot.events(0, None, 100).await.expect("readable");
    events
        .iter()
        .map(|event| event.event.event_type.as_str().to_owned())
        .filter(|name| name.starts_with("agent."))
        .collect()
}

#[tokio::test]
async fn an_agent_is_registered_read_and_listed() {
    let app = TestApp::new().await;
    let made = app.post(AGENTS, wanted("AGENT-LINT")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let id = text(&made, "id");
    assert_eq!(made.header("location"), format!("{AGENTS}/{id}"));
    assert_eq!(made.header("etag"), "\"v1\"");
    assert_eq!(made.body["capabilities"], json!(["code_review", "testing", "documentation"]));
    let env = json!({ "MODE": "***", "TOKEN": "$LINT_TOKEN" });
    assert_eq!(made.body["config"]["env"], env, "values are not shown, references are");
    assert_eq!(
        (&made.body["agent_type"], &made.body["max_tokens"]),
        (&json!("implementer"), &json!(8000))
    );
    assert_eq!(made.body["state"], "offline", "nobody here speaks to it");
    let reason = "this server does not speak to command agents";
    assert_eq!(made.body["last_probe"]["error"], reason);
    for reference in [&*id, "AGENT-LINT", "agent-lint"] {
        let found = app.get(&format!("{AGENTS}/{reference}")).await;
        assert_eq!((found.status, &found.body["id"]), (StatusCode::OK, &made.body["id"]));
    }
    let too = app.post("/api/v1/agents/register", wanted("AGENT-TOO")).await;
    assert_eq!(too.status, StatusCode::CREATED, "{too:?}");
    let names = async |query: &str| {
        let page = app.get(&format!("{AGENTS}?{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        let items = page.body["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item["name"].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("count=true").await, ["AGENT-LINT", "AGENT-TOO"]);
    assert_eq!(names("kind=opencode").await, [""; 0]);
    assert_eq!(names("capability=testing&capability=documentation").await.len(), 2);
    assert_eq!(names("capability=deployment").await, [""; 0]);
    assert_eq!(names("status=offline&agent_type=implementer").await.len(), 2);
    let first = app.get(&format!("{AGENTS}?limit=1&count=true")).await;
    assert_eq!((&first.body["total"], &first.body["has_more"]), (&json!(2), &json!(true)));
    let cursor = text(&first, "next_cursor");
    assert_eq!(names(&format!("limit=1&cursor={cursor}")).await, ["AGENT-TOO"]);
    let wrong = app.get(&format!("{AGENTS}?status=sleepy")).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn everything_that_is_wrong_with_an_agent_is_told_at_once() {
    let app = TestApp::new().await;
    let answer = app
        .post(
            AGENTS,
            json!({
                "name": "BOT", "kind": "command", "temperature": 3, "max_tokens": "many",
                "max_concurrent_capacity": 51, "preferred_session_types": ["nap"], "colour": "red",
                "config": { "command": [], "env": { "A": "***" }, "cwd": "/" },
            }),
        )
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let mut found: Vec<String> = pointers(&answer).into_iter().map(|(at, _)| at).collect();
    found.sort();
    let expected = [
        "/colour",
        "/config/command",
        "/config/cwd",
        "/config/env/A",
        "/max_concurrent_capacity",
        "/max_tokens",
        "/name",
        "/preferred_session_types/0",
        "/primary_capabilities",
        "/temperature",
    ];
    assert_eq!(found, expected, "{answer:?}");
    let secret =
        json!({ "API_KEY": "sk-ant-api03-9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a3928" });
    let mut body = wanted("AGENT-LINT");
    body["config"]["env"] = secret;
    let refused = app.post(AGENTS, body).await;
    let expected = ("/config/env/API_KEY".to_owned(), "secret".to_owned());
    assert_eq!(pointers(&refused), [expected], "{refused:?}");
    let nothing = app.post(AGENTS, json!({})).await;
    let found: Vec<String> = pointers(&nothing).into_iter().map(|(at, _)| at).collect();
    assert_eq!(found, ["/name", "/kind", "/primary_capabilities"]);
    let external = json!({ "name": "AGENT-E", "kind": "eap", "capabilities": ["testing"] });
    assert_eq!(pointers(&app.post(AGENTS, external).await)[0].0, "/kind");
    assert!(told(&app).await.is_empty());
}

#[tokio::test]
async fn a_name_is_taken_once_and_a_repeated_registration_is_one() {
    let app = TestApp::new().await;
    let key = [("idempotency-key", "one")];
    let first = change(&app, Method::POST, AGENTS, wanted("AGENT-LINT"), &key).await;
    let again = change(&app, Method::POST, AGENTS, wanted("AGENT-LINT"), &key).await;
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!((again.header("idempotency-replayed"), &again.body), ("true", &first.body));
    let taken = app.post(AGENTS, wanted("AGENT-LINT")).await;
    assert_eq!((taken.status, taken.code()), (StatusCode::CONFLICT, "ALREADY_EXISTS"));
    assert_eq!(pointers(&taken), [("/name".to_owned(), "taken".to_owned())]);
    let other = app.key(app.other, Role::Lead).await;
    let theirs = as_who(&app, &other, Method::POST, AGENTS, Some(wanted("AGENT-LINT"))).await;
    assert_eq!(theirs.status, StatusCode::CREATED, "another tenant has names of its own");
    assert_eq!(told(&app).await, ["agent.registered"]);
}

#[tokio::test]
async fn a_change_says_what_it_is_based_on_and_keeps_the_rest() {
    let app = TestApp::new().await;
    app.post(AGENTS, wanted("AGENT-LINT")).await;
    let path = format!("{AGENTS}/AGENT-LINT");
    let body = json!({
        "description": "Looks closely", "max_concurrent_capacity": 2,
        "config": { "env": { "MODE": null, "LEVEL": "$LEVEL" } },
    });
    let based = [("if-match", "\"v1\"")];
    let changed = change(&app, Method::PATCH, &path, body.clone(), &based).await;
    assert_eq!((changed.status, changed.header("etag")), (StatusCode::OK, "\"v2\""), "{changed:?}");
    let env = json!({ "TOKEN": "$LINT_TOKEN", "LEVEL": "$LEVEL" });
    assert_eq!(changed.body["config"], json!({ "command": ["lint", "--jsonl"], "env": env }));
    let late = change(&app, Method::PATCH, &path, body.clone(), &based).await;
    assert_eq!((late.status, late.code()), (StatusCode::PRECONDITION_FAILED, "VERSION_MISMATCH"));
    let same = change(&app, Method::PATCH, &path, body, &[]).await;
    assert_eq!(same.header("etag"), "\"v2\"", "nothing differs");
    let fixed =
        json!({ "name": "AGENT-X", "kind": "acp", "draining": true, "maintenance_mode": true });
    let fixed = change(&app, Method::PATCH, &path, fixed, &[]).await;
    assert_eq!(fixed.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(pointers(&fixed).iter().all(|(_, code)| code == "immutable"), "{fixed:?}");
    assert_eq!(pointers(&fixed).len(), 4);
    let broken = json!({ "temperature": 9, "config": { "command": null } });
    let broken = change(&app, Method::PATCH, &path, broken, &[]).await;
    let found: Vec<String> = pointers(&broken).into_iter().map(|(at, _)| at).collect();
    assert_eq!(found, ["/temperature", "/config/command"]);
    assert_eq!(told(&app).await, ["agent.registered", "agent.updated"]);
}

#[tokio::test]
async fn switches_are_set_and_cleared_and_stand_in_the_state() {
    let app = TestApp::new().await;
    app.post(AGENTS, wanted("AGENT-LINT")).await;
    let verb = async |verb: &str, body: Value| {
        let answer = app.post(&format!("{AGENTS}/agent-lint/{verb}"), body).await;
        assert_eq!(answer.status, StatusCode::OK, "{verb}: {answer:?}");
        (answer.body["state"].clone(), answer.body["revision"].clone())
    };
    let nothing = json!({});
    assert_eq!(verb("drain", nothing.clone()).await, (json!("draining"), json!(2)));
    assert_eq!(
        verb("drain", nothing.clone()).await,
        (json!("draining"), json!(2)),
        "it is already"
    );
    let on = verb("maintenance", json!({ "on": true })).await;
    assert_eq!(on, (json!("maintenance"), json!(3)));
    assert_eq!(verb("undrain", nothing.clone()).await, (json!("maintenance"), json!(4)));
    let off = verb("maintenance", json!({ "on": false })).await;
    assert_eq!(off, (json!("offline"), json!(5)));
    let probed = app.post(&format!("{AGENTS}/AGENT-LINT/probe"), nothing.clone()).await;
    assert_eq!(
        (probed.status, &probed.body["last_probe"]["is_alive"]),
        (StatusCode::OK, &json!(false))
    );
    let unsaid = app.post(&format!("{AGENTS}/AGENT-LINT/maintenance"), nothing.clone()).await;
    assert_eq!(pointers(&unsaid), [("/on".to_owned(), "required".to_owned())]);
    let missing = app.post(&format!("{AGENTS}/AGENT-NOBODY/drain"), nothing).await;
    assert_eq!((missing.status, missing.code()), (StatusCode::NOT_FOUND, "AGENT_NOT_FOUND"));
    let audit = app.get("/api/v1/audit").await;
    let items = audit.body["items"].as_array().cloned().unwrap_or_default();
    let of_agents = items.iter().filter(|entry| entry["subject"]["kind"] == "agent");
    let mut actions: Vec<&str> = of_agents.filter_map(|entry| entry["action"].as_str()).collect();
    actions.sort_unstable();
    let expected = ["drain", "maintenance", "maintenance", "probe", "register", "undrain"];
    assert_eq!(actions, expected);
    assert!(!audit.body.to_string().contains("fast"), "values of `env` are in no record");
}

#[tokio::test]
async fn a_removed_agent_is_gone_and_its_name_is_free() {
    let app = TestApp::new().await;
    let made = app.post(AGENTS, wanted("AGENT-LINT")).await;
    let path = format!("{AGENTS}/{}", text(&made, "id"));
    let late = change(&app, Method::DELETE, &path, json!({}), &[("if-match", "\"v7\"")]).await;
    assert_eq!(late.status, StatusCode::PRECONDITION_FAILED);
    let based = [("if-match", "\"v1\"")];
    let gone = change(&app, Method::DELETE, &path, json!({}), &based).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT, "{gone:?}");
    assert_eq!(app.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.get(AGENTS).await.body["items"], json!([]));
    assert_eq!(app.post(AGENTS, wanted("AGENT-LINT")).await.status, StatusCode::CREATED);
    let path = format!("{AGENTS}/AGENT-LINT/deregister");
    let body = json!({ "graceful": false, "reason": "replaced" });
    let key = [("idempotency-key", "bye")];
    let first = change(&app, Method::POST, &path, body.clone(), &key).await;
    assert_eq!(first.status, StatusCode::OK, "{first:?}");
    assert!(first.body["deleted_at"].is_string());
    let again = change(&app, Method::POST, &path, body, &key).await;
    assert_eq!((again.status, &again.body), (StatusCode::OK, &first.body));
    let long = json!({ "reason": "x".repeat(201) });
    assert_eq!(app.post(&path, long).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let registered = "agent.registered";
    let expected =
        [registered, "agent.updated", "agent.deregistered", registered, "agent.deregistered"];
    assert_eq!(told(&app).await, expected);
}

#[tokio::test]
async fn an_agent_of_the_settings_is_closed_but_neither_removed_nor_made_another() {
    let app = TestApp::new().await;
    app.agents.ensure(TenantId::BOOTSTRAP, &[agent_of_new_tenants()]).await.expect("registered");
    let path = format!("{AGENTS}/AGENT-ONE");
    let found = app.get(&path).await;
    assert_eq!(found.body["is_built_in"], json!(true));
    for (method, body) in
        [(Method::DELETE, json!({})), (Method::PATCH, json!({ "max_concurrent_capacity": 9 }))]
    {
        let refused = change(&app, method, &path, body, &[]).await;
        assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "AGENT_BUILT_IN"));
    }
    let kept = json!({ "metadata": { "rack": 7 }, "is_active": false });
    let kept = change(&app, Method::PATCH, &path, kept, &[]).await;
    assert_eq!((kept.status, &kept.body["state"]), (StatusCode::OK, &json!("inactive")));
    assert_eq!(app.post(&format!("{path}/drain"), json!({})).await.status, StatusCode::OK);
    app.agents.ensure(TenantId::BOOTSTRAP, &[agent_of_new_tenants()]).await.expect("aligned");
    let after = app.get(&path).await;
    assert_eq!((&after.body["draining"], &after.body["is_active"]), (&json!(true), &json!(false)));
    assert_eq!(after.body["metadata"], json!({ "rack": 7 }));
}

#[tokio::test]
async fn variables_of_the_server_are_refused_to_agents_of_another_tenant() {
    let folder = tempfile::tempdir().expect("a folder");
    let driver = AcpDriver::new(
        Options::new(folder.path()),
        Arc::new(SystemClock::new()),
        TaskTracker::new(),
        &CancellationToken::new(),
    );
    let app = TestApp::with(ApiOptions::default(), vec![Arc::new(driver)]).await;
    let acp = |env: Value| {
        let config = json!({ "command": ["agent"], "env": env });
        json!({ "name": "AGENT-A", "kind": "acp", "capabilities": ["testing"], "config": config })
    };
    let asking = acp(json!({ "MODEL": "$LAB_MODEL" }));
    assert_eq!(app.post(AGENTS, asking.clone()).await.status, StatusCode::CREATED);
    let other = app.key(app.other, Role::Lead).await;
    let refused = as_who(&app, &other, Method::POST, AGENTS, Some(asking)).await;
    let expected = [("/config/env".to_owned(), "not_allowed".to_owned())];
    assert_eq!(pointers(&refused), expected, "{refused:?}");
    let message = refused.body["errors"][0].to_string();
    assert!(message.contains("$LAB_MODEL") && message.contains("agents.env_tenants"), "{message}");
    let plain = acp(json!({ "MODEL": "$$LAB" }));
    let made = as_who(&app, &other, Method::POST, AGENTS, Some(plain)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let path = format!("{AGENTS}/AGENT-A");
    let more = json!({ "config": { "env": { "MODEL": "$LAB_MODEL" } } });
    let refused = as_who(&app, &other, Method::PATCH, &path, Some(more)).await;
    assert_eq!(pointers(&refused), expected, "{refused:?}");
}
