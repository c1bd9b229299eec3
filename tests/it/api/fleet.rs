//! Agents as a fleet over HTTP: routing decisions, figures of all and of each, reports by hand.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::drivers::simulated::{SimulatedDriver, SimulatedOptions};
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::presentation::api::state::ApiOptions;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use super::text;
use crate::support::app::{Answer, TestApp, bearer, request};

const AGENTS: &str = "/api/v1/agents";
const ROUTE: &str = "/api/v1/agents/route";

/// With a driver for simulated agents, which were looked at.
async fn app() -> TestApp {
    let clock = Arc::new(SystemClock::new());
    let driver = SimulatedDriver::new(
        SimulatedOptions::default(),
        clock,
        Arc::new(SystemIds),
        TaskTracker::new(),
    );
    let options = ApiOptions { rate: None, ..ApiOptions::default() };
    let app = TestApp::with(options, vec![Arc::new(driver)]).await;
    app.agents.probe(true).await;
    app
}

async fn register(app: &TestApp, name: &str, more: Value) {
    let mut wanted =
        json!({ "name": name, "kind": "simulated", "capabilities": ["code_generation"] });
    let members = wanted.as_object_mut().expect("an object");
    members.extend(more.as_object().expect("an object").clone());
    let made = app.post(AGENTS, wanted).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
}

async fn report(app: &TestApp, name: &str, body: &Value, times: usize) -> Answer {
    let mut last = None;
    for _ in 0..times {
        let answer = app.post(&format!("{AGENTS}/{name}/performance"), body.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        last = Some(answer);
    }
    last.expect("at least one")
}

fn work(more: &Value) -> Value {
    let mut work = json!({
        "task_description": "Mend the build of the parser",
        "required_capabilities": ["code_generation"],
    });
    let members = work.as_object_mut().expect("an object");
    members.extend(more.as_object().expect("an object").clone());
    work
}

/// Elite by reports, competent, and one that cannot do it.
async fn three() -> TestApp {
    let app = app().await;
    register(&app, "AGENT-BEST", json!({})).await;
    register(&app, "AGENT-FAIR", json!({ "agent_type": "implementer" })).await;
    register(&app, "AGENT-LINT", json!({ "capabilities": ["code_review"] })).await;
    report(&app, "AGENT-BEST", &json!({ "task_success": true, "quality_score": 0.95 }), 5).await;
    app
}

fn near(value: &Value, wanted: f64) -> bool {
    value.as_f64().is_some_and(|value| (value - wanted).abs() < 1e-12)
}

fn candidate<'a>(answer: &'a Answer, name: &str) -> &'a Value {
    let all = answer.body["candidates"].as_array().expect("candidates");
    all.iter().find(|one| one["agent_name"] == name).expect("told")
}

#[tokio::test]
async fn a_decision_tells_of_every_agent_with_every_part_of_its_score() {
    let app = three().await;
    let told = app.post(ROUTE, work(&json!({}))).await;
    assert_eq!(told.status, StatusCode::OK, "{told:?}");
    assert_eq!(told.body["selected_agent"]["name"], "AGENT-BEST");
    assert!(near(&told.body["routing_score"], 0.98), "{told:?}");
    let reason = "AGENT-BEST: high tier, full capability match, low load, score 0.98";
    assert_eq!(told.body["routing_reason"], reason);
    assert_eq!(told.body["alternatives"][0]["name"], "AGENT-FAIR");
    assert_eq!(told.body["candidates_total"], 3);
    assert_eq!(told.body["reservation"], Value::Null);
    let best = candidate(&told, "AGENT-BEST");
    let parts = best["components"].as_array().expect("parts");
    let weights: f64 = parts.iter().filter_map(|part| part["weight"].as_f64()).sum();
    let products: f64 = parts.iter().filter_map(|part| part["product"].as_f64()).sum();
    assert!((weights - 1.0).abs() < 1e-12 && (products - 0.98).abs() < 1e-12, "{parts:?}");
    assert_eq!(parts.len(), 7);
    let lint = candidate(&told, "AGENT-LINT");
    assert_eq!((&lint["gate"], &lint["score"]), (&json!("capability"), &Value::Null));
    // The example of the specification, by name and by id, and in another letter case.
    let fair = candidate(&told, "AGENT-FAIR")["agent_id"].clone();
    for reference in [json!("agent-fair"), fair.clone()] {
        let wished = work(&json!({ "preferred_agent_ids": [reference] }));
        let told = app.post(ROUTE, wished).await;
        assert_eq!(told.body["selected_agent"]["id"], fair, "{told:?}");
        assert!(near(&told.body["routing_score"], (0.82 + 0.2) / 1.2), "{told:?}");
        assert!(near(&candidate(&told, "AGENT-BEST")["score"], 0.98 / 1.2));
        assert!(near(&candidate(&told, "AGENT-FAIR")["bonuses"]["preferred_agent"], 0.2));
    }
    let brief = app.post(ROUTE, work(&json!({ "explain": "best" }))).await;
    assert_eq!(brief.body["candidates"].as_array().map(Vec::len), Some(2));
    assert_eq!(brief.body["candidates_total"], 3);
    let without = work(&json!({ "exclude_agent_ids": ["AGENT-BEST"] }));
    let without = app.post(ROUTE, without).await;
    assert_eq!(without.body["selected_agent"]["name"], "AGENT-FAIR");
    assert_eq!(candidate(&without, "AGENT-BEST")["gate"], "active");
    // What people decided is seen at once.
    app.post("/api/v1/agents/AGENT-BEST/drain", json!({})).await;
    let later = app.post(ROUTE, work(&json!({}))).await;
    assert_eq!(candidate(&later, "AGENT-BEST")["gate"], "draining");
}

#[tokio::test]
async fn nobody_is_503_with_the_reason_and_wrong_wishes_are_told_at_once() {
    let app = three().await;
    for (more, reason, refused) in [
        (
            json!({ "required_capabilities": ["deployment"] }),
            "no_agent_capability",
            json!({ "capability": 3 }),
        ),
        (
            json!({ "min_performance_tier": "elite", "exclude_agent_ids": ["AGENT-BEST"] }),
            "no_agent_tier",
            json!({ "active": 1, "capability": 1, "tier": 1 }),
        ),
    ] {
        let none = app.post(ROUTE, work(&more)).await;
        assert_eq!(none.status, StatusCode::SERVICE_UNAVAILABLE, "{none:?}");
        assert_eq!((none.code(), text(&none, "reason")), ("AGENT_UNAVAILABLE", reason.to_owned()));
        assert_eq!(none.body["refused"], refused);
    }
    let wrong = json!({
        "task_description": "short", "required_capabilities": [], "match": "most",
        "estimated_complexity": 11, "technologies": ["a b"], "explain": "some", "colour": "red",
        "preferred_agent_type": "poet",
    });
    let wrong = app.post(ROUTE, wrong).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = wrong.body["errors"].as_array().expect("errors");
    let mut pointers: Vec<&str> =
        errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
    pointers.sort_unstable();
    let expected = [
        "/colour",
        "/estimated_complexity",
        "/explain",
        "/match",
        "/preferred_agent_type",
        "/required_capabilities",
        "/task_description",
        "/technologies/0",
    ];
    assert_eq!(pointers, expected);
    let unknown = app.post(ROUTE, work(&json!({ "preferred_agent_ids": ["AGENT-NONE"] }))).await;
    assert_eq!(unknown.body["errors"][0]["pointer"], "/preferred_agent_ids/0", "{unknown:?}");
    // Nothing that was registered is known elsewhere.
    let stranger = bearer(&app.key(app.other, Role::Viewer).await);
    let ask = request(Method::POST, ROUTE, Some(work(&json!({}))), &[("authorization", &stranger)]);
    let none = app.send(ask).await;
    assert_eq!(text(&none, "reason"), "no_agent_capability");
    assert_eq!(none.body["refused"], json!({}));
}

#[tokio::test]
async fn room_is_held_for_members_and_seen_as_load() {
    let app = app().await;
    register(&app, "AGENT-ONCE", json!({ "max_concurrent_capacity": 1 })).await;
    let as_who = async |role: Role, body: Value| {
        let key = bearer(&app.key(TenantId::BOOTSTRAP, role).await);
        app.send(request(Method::POST, ROUTE, Some(body), &[("authorization", &key)])).await
    };
    let viewer = as_who(Role::Viewer, work(&json!({}))).await;
    assert_eq!(viewer.status, StatusCode::OK, "{viewer:?}");
    let refused = as_who(Role::Viewer, work(&json!({ "reserve": true }))).await;
    assert_eq!((refused.code(), text(&refused, "required_role")), ("FORBIDDEN", "member".into()));
    let held = as_who(Role::Member, work(&json!({ "reserve": true }))).await;
    assert_eq!(held.status, StatusCode::OK, "{held:?}");
    assert!(held.body["reservation"]["expires_at"].is_string(), "{held:?}");
    assert_eq!(text(&held, "routing_reason").split(':').next(), Some("AGENT-ONCE"));
    let none = app.post(ROUTE, work(&json!({}))).await;
    assert_eq!(
        (none.code(), text(&none, "reason")),
        ("AGENT_UNAVAILABLE", "no_agent_capacity".into())
    );
    let agent = app.get("/api/v1/agents/AGENT-ONCE").await;
    assert_eq!(agent.body["load"]["current_concurrent_tasks"], 1);
    assert_eq!(agent.body["load"]["can_accept_task"], false);
}

#[tokio::test]
async fn the_pool_and_its_lists_say_how_all_of_them_are() {
    let app = three().await;
    let pool = app.get("/api/v1/agents/stats").await;
    assert_eq!(pool.status, StatusCode::OK, "{pool:?}");
    assert_eq!(pool.body["total_agents"], 3);
    assert_eq!(pool.body["available_agents"], 3);
    assert_eq!(pool.body["agents_by_tier"], json!({ "elite": 1, "competent": 2 }));
    assert_eq!(
        pool.body["agents_by_capability"],
        json!({ "code_generation": 2, "code_review": 1 })
    );
    assert_eq!(pool.body["agents_by_state"], json!({ "idle": 3 }));
    assert!(near(&pool.body["overall_utilization"], 0.0));
    assert!(near(&pool.body["average_success_rate"], 1.0));
    let empty = bearer(&app.key(app.other, Role::Viewer).await);
    let path = "/api/v1/agents/stats";
    let empty = app.send(request(Method::GET, path, None, &[("authorization", &empty)])).await;
    assert_eq!(
        (&empty.body["total_agents"], &empty.body["overall_utilization"]),
        (&json!(0), &Value::Null)
    );
    let names = async |path: &str| {
        let page = app.get(&format!("/api/v1/agents{path}")).await;
        assert_eq!(page.status, StatusCode::OK, "{page:?}");
        let items = page.body["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item["name"].as_str().unwrap_or("").to_owned()).collect::<Vec<_>>()
    };
    register(&app, "AGENT-ALSO", json!({ "max_concurrent_capacity": 10 })).await;
    assert_eq!(names("?tier=elite").await, ["AGENT-BEST"]);
    assert_eq!(names("?tier=standard").await, ["AGENT-ALSO", "AGENT-FAIR", "AGENT-LINT"]);
    let ordered = ["AGENT-BEST", "AGENT-ALSO", "AGENT-FAIR"];
    assert_eq!(names("/by-capability/code_generation").await, ordered);
    assert_eq!(names("?capability=code_generation").await, ordered);
    assert_eq!(names("/by-capability/deployment").await, [""; 0]);
    // One by one, the pages follow each other in that order.
    let (mut found, mut query) = (Vec::new(), "?limit=1&count=true".to_owned());
    for _ in 0..3 {
        let page = app.get(&format!("/api/v1/agents/by-capability/code_generation{query}")).await;
        assert_eq!(page.body["total"], 3, "{page:?}");
        found.push(page.body["items"][0]["name"].as_str().unwrap_or("").to_owned());
        query = format!(
            "?limit=1&count=true&cursor={}",
            page.body["next_cursor"].as_str().unwrap_or("")
        );
    }
    assert_eq!(found, ordered);
    let wrong = app.get("/api/v1/agents/by-capability/Code-Generation").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
    app.post("/api/v1/agents/AGENT-BEST/maintenance", json!({ "on": true })).await;
    assert_eq!(names("?available_only=true").await, ["AGENT-ALSO", "AGENT-FAIR", "AGENT-LINT"]);
}

#[tokio::test]
async fn figures_are_reported_told_and_begun_anew() {
    let app = app().await;
    register(&app, "AGENT-A", json!({})).await;
    let path = "/api/v1/agents/AGENT-A/performance";
    let before = app.get(path).await;
    assert_eq!(before.body["average_quality_score"], Value::Null);
    assert_eq!(before.body["performance"]["success_rate_trend_30d"], Value::Null);
    assert_eq!(before.body["performance"]["trends"]["success_rate"], "insufficient_data");
    assert_eq!(
        (&before.body["tier_provisional"], &before.body["recommendations"]),
        (&json!(true), &json!([]))
    );
    let good = json!({
        "task_success": true, "quality_score": 0.8, "execution_time_seconds": 4000.5,
        "tokens_used": 1000, "cost_usd": 0.25,
    });
    let told = report(&app, "AGENT-A", &good, 1).await;
    let figures = &told.body["performance"];
    assert_eq!((&figures["total_tasks"], &figures["successful_tasks"]), (&json!(1), &json!(1)));
    assert_eq!(
        (&figures["total_cost_usd"], &figures["tokens_per_task"]),
        (&json!(0.25), &json!(1000.0))
    );
    assert_eq!(told.body["recommendations"], json!(["decompose its tasks more finely"]));
    // Worse than the agent has to be: half a success.
    let told =
        report(&app, "AGENT-A", &json!({ "task_success": true, "quality_score": 0.1 }), 1).await;
    assert_eq!(told.body["performance"]["partially_successful_tasks"], 1);
    let told = report(&app, "AGENT-A", &json!({ "task_success": false }), 5).await;
    assert_eq!(told.body["performance_tier"], "degraded");
    let health = app.get("/api/v1/agents/AGENT-A/health").await;
    let issues = health.body["issues"].as_array().expect("issues");
    let kinds: Vec<&str> = issues.iter().filter_map(|issue| issue["type"].as_str()).collect();
    assert_eq!(kinds, ["performance_degradation", "low_success_rate"]);
    assert_eq!(
        (&health.body["is_healthy"], &issues[0]["severity"]),
        (&json!(false), &json!("critical"))
    );
    assert_eq!(health.body["last_active_hours"], Value::Null, "nobody heard of it");
    let none = app.post(ROUTE, work(&json!({}))).await;
    assert_eq!(text(&none, "reason"), "all_agents_degraded", "{none:?}");
    let reset = app.post("/api/v1/agents/AGENT-A/reset-metrics", json!({})).await;
    assert_eq!(reset.status, StatusCode::OK, "{reset:?}");
    assert_eq!(
        (&reset.body["breaker"], &reset.body["performance_tier"]),
        (&json!("closed"), &json!("competent"))
    );
    assert_eq!(app.post(ROUTE, work(&json!({}))).await.status, StatusCode::OK);
    let after = app.get(path).await;
    assert_eq!(after.body["performance"]["total_tasks"], 7, "totals stay");
    let snapshot = app.store.snapshot(TenantId::BOOTSTRAP).await.expect("readable");
    let events = snapshot.events(0, None, 100).await.expect("readable");
    let told: Vec<&str> = events.iter().map(|event| event.event.event_type.as_str()).collect();
    let count = |name: &str| told.iter().filter(|told| **told == name).count();
    assert_eq!((count("agent.performance_updated"), count("agent.breaker_changed")), (8, 3));
    drop(snapshot);
    let audit = app.get("/api/v1/audit?action=report_performance").await;
    assert_eq!(audit.body["items"].as_array().map(Vec::len), Some(7), "{audit:?}");
    let audit = app.get("/api/v1/audit?action=reset_metrics").await;
    assert_eq!(audit.body["items"][0]["before"]["performance_tier"], "degraded", "{audit:?}");
}

#[tokio::test]
async fn a_report_is_checked_and_counts_once() {
    let app = app().await;
    register(&app, "AGENT-A", json!({})).await;
    let path = "/api/v1/agents/AGENT-A/performance";
    let wrong = json!({
        "quality_score": 1.5, "execution_time_seconds": -1, "tokens_used": "many", "cost_usd": -0.1,
        "mood": "good",
    });
    let wrong = app.post(path, wrong).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = wrong.body["errors"].as_array().expect("errors");
    assert_eq!(errors.len(), 6, "{errors:?}");
    let key = bearer(&app.key(TenantId::BOOTSTRAP, Role::Lead).await);
    let headers = [("authorization", &*key), ("idempotency-key", "once")];
    let body = json!({ "task_success": true });
    for _ in 0..2 {
        let answer = app.send(request(Method::POST, path, Some(body.clone()), &headers)).await;
        assert_eq!(answer.body["tasks_completed"], 1, "{answer:?}");
    }
    assert_eq!(app.get(path).await.body["tasks_completed"], 1);
    let member = bearer(&app.key(TenantId::BOOTSTRAP, Role::Member).await);
    let headers = [("authorization", &*member)];
    let refused = app.send(request(Method::POST, path, Some(body), &headers)).await;
    assert_eq!(refused.code(), "FORBIDDEN");
    assert_eq!(app.get("/api/v1/agents/AGENT-B/performance").await.code(), "AGENT_NOT_FOUND");
}
