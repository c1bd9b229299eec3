//! What was used, what it costs, and how much of it may be: at the door.

use axum::http::Method;
use orchestrator::application::ports::changes::{ChangeSet, Counter, CounterChange, Write};
use orchestrator::application::ports::usage::UsageWrite;
use orchestrator::domain::ids::{AgentId, SessionId, TenantId, UsageId};
use orchestrator::domain::money::Usd;
use orchestrator::domain::tenant::key::Role;
use orchestrator::domain::time::Timestamp;
use orchestrator::domain::usage::period::{Day, Month};
use orchestrator::domain::usage::record::UsageRecord;
use orchestrator::domain::usage::{CostSource, Usage};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::app::{ADMIN, Answer, OTHER, TestApp, bearer, request};

const USAGE: &str = "/api/v1/usage";
const PRICES: &str = "/api/v1/prices";
const BUDGETS: &str = "/api/v1/budgets";
const SESSIONS: &str = "/api/v1/sessions";
const QUOTAS: &str = "/api/v1/tenants/default/quotas";
const TENANT: &str = "/api/v1/tenants/default";

async fn put(app: &TestApp, path: &str, body: Value) -> Answer {
    app.send(app.request(Method::PUT, path, Some(body))).await
}

async fn as_key(app: &TestApp, key: &str, method: Method, path: &str, body: Value) -> u16 {
    let body = (method != Method::GET).then_some(body);
    app.send(request(method, path, body, &[("authorization", &bearer(key))])).await.status.as_u16()
}

/// Something was used, as a report would store it.
async fn used(app: &TestApp, at: Timestamp, model: &str, tokens: u64, simulated: bool) {
    let record = UsageRecord {
        id: UsageId::new(app.ids.uuid()),
        tenant_id: TenantId::BOOTSTRAP,
        session_id: SessionId::new(Uuid::from_u128(u128::from(tokens))),
        attempt: 1,
        task_id: None,
        agent_id: AgentId::new(Uuid::from_u128(7)),
        model_identifier: Some(model.to_owned()),
        usage: Usage {
            tokens_input: tokens,
            cost_usd: Usd::from_dollars(0.5),
            simulated,
            ..Usage::default()
        },
        cost_source: CostSource::Reported,
        wall_ms: 1500,
        turn: 1,
        recorded_at: at,
    };
    let month = Month::of(at);
    let set = ChangeSet::new(TenantId::BOOTSTRAP)
        .count(Counter::MonthTokens(month), CounterChange::Add(record.charged_tokens()))
        .count(Counter::MonthMicros(month), CounterChange::Add(record.charged_micros()))
        .write(Write::Usage(UsageWrite::Record(record)));
    app.store.commit(set).await.expect("stored");
}

async fn events(app: &TestApp, kind: &str) -> Vec<Value> {
    let page = app.get(&format!("/api/v1/events?type={kind}")).await;
    page.body["items"].as_array().expect("a list").clone()
}

#[tokio::test]
async fn prices_are_a_table_that_administrators_set_as_a_whole() {
    let app = TestApp::new().await;
    let empty = app.get(PRICES).await;
    assert_eq!((empty.header("etag"), &empty.body["prices"]), ("\"v0\"", &json!([])));
    let table = json!({ "prices": [
        { "model": "b/*", "input": 3, "output": 15.5, "cache_read": 0.3 },
        { "model": "a/exact", "input": 0, "output": 0 },
    ] });
    let set = put(&app, PRICES, table.clone()).await;
    assert_eq!(set.status.as_u16(), 200, "{}", set.body);
    let models: Vec<&Value> =
        set.body["prices"].as_array().expect("rows").iter().map(|row| &row["model"]).collect();
    assert_eq!(models, ["a/exact", "b/*"]);
    assert_eq!(set.body["prices"][1]["cache_write"], Value::Null);
    let read = app.get(PRICES).await;
    assert_eq!((read.header("etag"), &read.body), ("\"v1\"", &set.body));
    let again = put(&app, PRICES, table.clone()).await;
    assert_eq!(again.body, set.body);
    let told = events(&app, "usage.prices_updated").await;
    assert_eq!(told.len(), 1, "the same again changes nothing");
    assert_eq!(told[0]["payload"]["changed"], json!(["a/exact", "b/*"]));
    let wrong = put(
        &app,
        PRICES,
        json!({ "prices": [
        { "model": "a*b", "input": -1, "output": 1 }, { "input": 1, "output": 1, "dogs": 2 },
    ] }),
    )
    .await;
    assert_eq!((wrong.status.as_u16(), wrong.code()), (422, "VALIDATION_ERROR"));
    let stale = [
        ("if-match", "\"v9\""),
        ("authorization", &bearer(crate::support::app::ADMIN)),
        ("x-tenant-id", "default"),
    ];
    let stale = app.send(request(Method::PUT, PRICES, Some(json!({ "prices": [] })), &stale)).await;
    assert_eq!(stale.code(), "VERSION_MISMATCH", "{}", stale.body);
    let lead = app.key(TenantId::BOOTSTRAP, Role::Lead).await;
    let admin = app.key(TenantId::BOOTSTRAP, Role::Admin).await;
    let foreign = app.key(app.other, Role::Admin).await;
    for (key, read, write) in [(&lead, 403, 403), (&admin, 200, 200), (&foreign, 200, 200)] {
        assert_eq!(as_key(&app, key, Method::GET, PRICES, Value::Null).await, read);
        assert_eq!(as_key(&app, key, Method::PUT, PRICES, json!({ "prices": [] })).await, write);
    }
}

#[tokio::test]
async fn figures_are_told_by_day_model_agent_and_session_and_as_a_table() {
    let app = TestApp::new().await;
    let now = app.clock.now();
    let yesterday = Day::of(now).before();
    used(&app, now, "a/b", 100, false).await;
    used(&app, now, "=cmd()", 50, false).await;
    used(&app, now, "a/b", 999, true).await;
    used(&app, yesterday.start(), "a/b", 7, false).await;
    let from = format!("from={yesterday}");
    let report = app.get(&format!("{USAGE}?{from}&group_by=model")).await;
    let groups: Vec<(Value, Value, Value)> = report.body["items"]
        .as_array()
        .expect("groups")
        .iter()
        .map(|group| {
            ["model_identifier", "simulated", "tokens_total"].map(|name| group[name].clone()).into()
        })
        .collect();
    let expected = [("=cmd()", false, 50), ("a/b", false, 107), ("a/b", true, 999)];
    let expected =
        expected.map(|(model, simulated, tokens)| (json!(model), json!(simulated), json!(tokens)));
    assert_eq!(groups, expected, "{}", report.body);
    let totals = &report.body["totals"];
    assert_eq!((&totals["tokens_total"], &totals["cost_usd"]), (&json!(157), &json!(1.5)));
    for (group_by, count) in [("day", 3), ("agent", 2), ("session", 4)] {
        let path = format!("{TENANT}/usage?{from}&group_by={group_by}");
        let report = app.get(&path).await;
        assert_eq!(report.body["items"].as_array().map(Vec::len), Some(count), "{}", report.body);
        assert_eq!(report.body["totals"], *totals, "{group_by}");
    }
    let viewer = app.key(TenantId::BOOTSTRAP, Role::Viewer).await;
    let headers = [("authorization", &*bearer(&viewer)), ("accept", "text/csv")];
    let path = format!("{USAGE}?{from}&group_by=model");
    let table = app.send(request(Method::GET, &path, None, &headers)).await;
    assert!(table.header("content-type").starts_with("text/csv"), "{:?}", table.headers);
    let lines: Vec<&str> = table.body.as_str().expect("a text").lines().collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[0].starts_with("day,model_identifier,") && lines[1].starts_with(",'=cmd(),"));
    for wrong in ["group_by=dogs", "from=yesterday", "from=2020-01-01", "from=2026-02-30"] {
        let refused = app.get(&format!("{USAGE}?{wrong}")).await;
        assert_eq!(refused.code(), "VALIDATION_ERROR", "{wrong}: {}", refused.body);
    }
    let foreign = app.key(app.other, Role::Admin).await;
    let path = format!("{TENANT}/usage");
    assert_eq!(as_key(&app, &foreign, Method::GET, &path, Value::Null).await, 404);
    let theirs =
        app.send(request(Method::GET, USAGE, None, &[("authorization", &bearer(&foreign))]));
    assert_eq!(theirs.await.body["items"], json!([]));
}

#[tokio::test]
async fn the_budget_of_a_month_is_its_administrators_and_ends_what_would_begin() {
    let app = TestApp::new().await;
    let admin = app.key(TenantId::BOOTSTRAP, Role::Admin).await;
    let lead = app.key(TenantId::BOOTSTRAP, Role::Lead).await;
    used(&app, app.clock.now(), "a/b", 100, false).await;
    assert_eq!(as_key(&app, &lead, Method::GET, BUDGETS, Value::Null).await, 403);
    let ask = json!({ "monthly_budget_usd": 0.6 });
    assert_eq!(as_key(&app, &admin, Method::PUT, BUDGETS, ask).await, 200);
    let tokens = json!({ "max_tokens_per_month": 1000 });
    assert_eq!(as_key(&app, &admin, Method::PUT, BUDGETS, tokens.clone()).await, 403);
    assert_eq!(put(&app, BUDGETS, tokens).await.status.as_u16(), 200);
    let budgets = app.get(BUDGETS).await.body;
    assert_eq!(budgets["period"], json!(Month::of(app.clock.now())));
    let cost = json!({ "limit": 0.6, "used": 0.5, "percent": 83.3, "state": "soft" });
    assert_eq!(budgets["monthly_budget_usd"], cost);
    let tokens = json!({ "limit": 1000, "used": 100, "percent": 10.0, "state": "free" });
    assert_eq!(budgets["max_tokens_per_month"], tokens);
    let quotas = app.get(QUOTAS).await.body;
    assert_eq!(
        (&quotas["monthly_budget_usd"], &quotas["max_tokens_per_month"]),
        (&json!(0.6), &json!(1000))
    );
    assert_eq!(quotas["used"]["monthly_budget_usd"], json!(0.5));
    put(&app, BUDGETS, json!({ "monthly_budget_usd": 0.5 })).await;
    let body = json!({ "initial_prompt": "Mend it." });
    let made = app.post(SESSIONS, body.clone()).await;
    assert_eq!(made.status.as_u16(), 201, "it may be made: {}", made.body);
    let start = format!("{SESSIONS}/{}/start", made.body["id"].as_str().expect("an id"));
    let refused = app.post(&start, json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (402, "BUDGET_EXHAUSTED"));
    assert_eq!(refused.body["scope"], "monthly_budget_usd", "{}", refused.body);
    put(&app, BUDGETS, json!({ "monthly_budget_usd": null, "max_tokens_per_month": 100 })).await;
    for _ in 0..3 {
        let refused = app.post(&start, json!({})).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (429, "QUOTA_EXCEEDED"));
        assert_eq!(refused.body["quota"], "max_tokens_per_month");
    }
    let told = events(&app, "tenant.quota_exceeded").await;
    assert_eq!(told.len(), 1, "a flood is told once: {told:?}");
    let payload = &told[0]["payload"];
    assert_eq!((&payload["limit"], &payload["used"]), (&json!(100), &json!(100)));
    put(&app, BUDGETS, json!({ "max_tokens_per_month": null })).await;
    assert_eq!(app.post(&start, json!({})).await.status.as_u16(), 200);
    let wrong = put(&app, BUDGETS, json!({ "monthly_budget_usd": -1, "dogs": 1 })).await;
    assert_eq!(wrong.body["errors"].as_array().map(Vec::len), Some(2), "{}", wrong.body);
}

#[tokio::test]
async fn the_share_of_a_tenant_is_a_setting() {
    let app = TestApp::new().await;
    let patch = |body: Value| app.send(app.request(Method::PATCH, TENANT, Some(body)));
    let first = app.get(TENANT).await;
    assert_eq!(
        (&first.body["slug"], &first.body["settings"]),
        (
            &json!("default"),
            &json!({ "weight": 1.0, "join_mode": "invite", "registration_mode": "key", "retention": {
            "sessions_days": null, "deleted_sessions_days": null, "events_days": null,
        } })
        )
    );
    let changed = patch(json!({ "name": " Lab ", "settings": { "weight": 2.5 } })).await;
    assert_eq!(changed.status.as_u16(), 200, "{}", changed.body);
    assert_eq!(
        (&changed.body["name"], &changed.body["settings"]["weight"]),
        (&json!("Lab"), &json!(2.5))
    );
    assert_ne!(app.get(TENANT).await.header("etag"), first.header("etag"));
    assert_eq!(app.get(TENANT).await.body, changed.body);
    let told = events(&app, "tenant.updated").await;
    assert_eq!(told[0]["payload"]["changed"], json!(["name", "settings.weight"]));
    patch(json!({ "settings": {} })).await;
    assert_eq!(events(&app, "tenant.updated").await.len(), 1);
    let wrong = patch(json!({ "name": "x", "settings": { "weight": 0.05 } })).await;
    let pointers: Vec<&Value> = wrong.body["errors"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| &error["pointer"])
        .collect();
    assert_eq!(pointers, ["/name", "/settings/weight"], "{}", wrong.body);
    let admin = app.key(TenantId::BOOTSTRAP, Role::Admin).await;
    let lead = app.key(TenantId::BOOTSTRAP, Role::Lead).await;
    assert_eq!(as_key(&app, &lead, Method::GET, TENANT, Value::Null).await, 200);
    let other = format!("/api/v1/tenants/{OTHER}");
    assert_eq!(as_key(&app, &admin, Method::GET, &other, Value::Null).await, 404);
    for (key, path, status) in
        [(&lead, TENANT, 403), (&admin, TENANT, 200), (&admin, other.as_str(), 404)]
    {
        assert_eq!(as_key(&app, key, Method::PATCH, path, json!({})).await, status, "{path}");
    }
    // A larger share is one taken from others.
    let more = json!({ "settings": { "weight": 100 } });
    assert_eq!(as_key(&app, &admin, Method::PATCH, TENANT, more).await, 403);
}

#[tokio::test]
async fn what_a_tenant_was_told_of_its_bounds_is_no_change_of_it() {
    let app = TestApp::new().await;
    put(&app, BUDGETS, json!({ "max_tokens_per_month": 100 })).await;
    let before = app.get(TENANT).await;
    used(&app, app.clock.now(), "a/b", 85, false).await;
    app.state.usage.look(TenantId::BOOTSTRAP).await.expect("looked");
    assert_eq!(events(&app, "usage.soft_limit_reached").await.len(), 1);
    assert_eq!(app.get(TENANT).await.header("etag"), before.header("etag"));
    let tag = before.header("etag");
    let headers =
        [("if-match", tag), ("authorization", &*bearer(ADMIN)), ("x-tenant-id", "default")];
    let patch = json!({ "name": "Lab" });
    let patched = app.send(request(Method::PATCH, TENANT, Some(patch), &headers)).await;
    assert_eq!(patched.status.as_u16(), 200, "{}", patched.body);
    for _ in 0..2 {
        app.state.usage.look(TenantId::BOOTSTRAP).await.expect("looked");
    }
    assert_eq!(events(&app, "usage.soft_limit_reached").await.len(), 1, "once");
}

#[tokio::test]
async fn a_setting_that_is_put_as_a_whole_needs_no_key_to_be_put_again() {
    let app = TestApp::new().await;
    let set = async |method: Method, path: &str, body: Value| {
        let mut request = app.request(method, path, Some(body));
        request.headers_mut().insert("idempotency-key", "one".parse().expect("valid"));
        app.send(request).await
    };
    let (one, two) = (json!({ "max_tokens_per_month": 1 }), json!({ "max_tokens_per_month": 2 }));
    for path in [BUDGETS, QUOTAS] {
        for body in [&one, &two, &two] {
            let answer = set(Method::PUT, path, body.clone()).await;
            assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.body);
            assert_eq!(answer.header("idempotency-replayed"), "");
        }
    }
    let prices = |model: &str| json!({ "prices": [{ "model": model, "input": 1, "output": 1 }] });
    for model in ["a/*", "b/*"] {
        let answer = set(Method::PUT, PRICES, prices(model)).await;
        assert_eq!(answer.body["prices"][0]["model"], model, "{}", answer.body);
    }
    for name in ["Lab", "Hut"] {
        let before = app.store.health().change_sets;
        let answer = set(Method::PATCH, TENANT, json!({ "name": name })).await;
        assert_eq!(answer.body["name"], name, "{}", answer.body);
        assert_eq!(app.store.health().change_sets, before + 1, "one commit, and no other after it");
    }
}

#[tokio::test]
async fn use_by_session_that_has_too_many_groups_is_refused_and_says_what_helps() {
    let app = TestApp::new().await;
    for tokens in 0..10_001 {
        used(&app, app.clock.now(), "a/b", tokens, false).await;
    }
    let refused = app.get(&format!("{USAGE}?group_by=session")).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (422, "VALIDATION_ERROR"));
    let error = &refused.body["errors"][0];
    assert_eq!(error["pointer"], "?from", "{}", refused.body);
    let message = error["message"].as_str().expect("a text");
    assert!(message.contains("10000 sessions") && message.contains("fewer days"), "{message}");
    assert_eq!(app.get(&format!("{USAGE}?group_by=model")).await.status.as_u16(), 200);
}
