//! What a tenant may have: read, set, and never passed.

use std::sync::Arc;

use axum::http::Method;
use orchestrator::application::ports::changes::Counter;
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::session::status::SessionStatus;
use orchestrator::domain::tenant::key::Role;
use orchestrator::presentation::api::state::ApiOptions;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::app::{ADMIN, Answer, OTHER, TestApp, bearer, request};

const QUOTAS: &str = "/api/v1/tenants/default/quotas";
const SESSIONS: &str = "/api/v1/sessions";

async fn put(app: &TestApp, quotas: Value) -> Answer {
    app.send(app.request(Method::PUT, QUOTAS, Some(quotas))).await
}

async fn set(app: &TestApp, quotas: Value) -> Value {
    let answer = put(app, quotas).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
    answer.body
}

async fn as_key(app: &TestApp, key: &str, method: Method, path: &str, body: Option<Value>) -> u16 {
    app.send(request(method, path, body, &[("authorization", &bearer(key))])).await.status.as_u16()
}

async fn create(app: &TestApp, fields: Value) -> Answer {
    let mut body = json!({ "initial_prompt": "Mend it." });
    let target = body.as_object_mut().expect("an object");
    target.extend(fields.as_object().cloned().unwrap_or_default());
    app.post(SESSIONS, body).await
}

fn id(answer: &Answer) -> String {
    assert_eq!(answer.status.as_u16(), 201, "{}", answer.body);
    answer.body["id"].as_str().expect("an id").to_owned()
}

/// A refusal that names the quota, its bound and what is used.
fn refused(answer: &Answer, quota: &str, limit: u64, used: u64) {
    assert_eq!((answer.status.as_u16(), answer.code()), (429, "QUOTA_EXCEEDED"), "{}", answer.body);
    let told = (&answer.body["quota"], &answer.body["limit"], &answer.body["used"]);
    assert_eq!(told, (&json!(quota), &json!(limit), &json!(used)));
    assert!(!answer.header("retry-after").is_empty());
}

fn items(answer: &Answer) -> &Vec<Value> {
    answer.body["items"].as_array().expect("a list")
}

#[tokio::test]
async fn quotas_are_read_and_set_one_by_one_and_told() {
    let app = TestApp::new().await;
    let first = set(&app, json!({ "max_concurrent_sessions": 5 })).await;
    assert_eq!(first["max_concurrent_sessions"], 5);
    assert_eq!(first["max_queue_depth"], Value::Null);
    create(&app, json!({})).await;
    let second = set(&app, json!({ "max_queue_depth": 3 })).await;
    assert_eq!(
        (&second["max_concurrent_sessions"], &second["max_queue_depth"]),
        (&json!(5), &json!(3))
    );
    let used = json!({
        "max_concurrent_sessions": 1, "max_queue_depth": 0, "max_tokens_per_month": 0,
        "monthly_budget_usd": 0.0, "max_storage_mb": 0, "max_agents": 0,
    });
    assert_eq!(second["used"], used);
    assert_eq!(app.get(QUOTAS).await.body, second);
    let wrong = put(&app, json!({ "max_queue_depth": -1, "max_dogs": 3 })).await;
    assert_eq!(wrong.code(), "VALIDATION_ERROR");
    let errors = wrong.body["errors"].as_array().expect("a list");
    let mut pointers: Vec<_> =
        errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/max_dogs", "/max_queue_depth"]);
    let zero = put(&app, json!({ "max_concurrent_sessions": 0 })).await;
    assert_eq!(zero.body["errors"][0]["pointer"], "/max_concurrent_sessions", "{}", zero.body);
    let events = app.get("/api/v1/events?type=tenant.quota_changed").await;
    let told: Vec<_> = items(&events)
        .iter()
        .map(|event| &event["payload"])
        .map(|told| (told["quota"].clone(), told["old"].clone(), told["new"].clone()))
        .collect();
    let changed = |quota: &str, new: u64| (json!(quota), Value::Null, json!(new));
    assert_eq!(told, [changed("max_concurrent_sessions", 5), changed("max_queue_depth", 3)]);
    let snapshot = app.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    let audit = snapshot.audit(0, 100).await.expect("read");
    let set = audit.iter().filter(|entry| entry.entry.action == "set_quotas");
    assert_eq!(set.count(), 2);
}

#[tokio::test]
async fn only_those_who_may_see_and_set_them() {
    let app = TestApp::new().await;
    let viewer = app.key(TenantId::BOOTSTRAP, Role::Viewer).await;
    let admin = app.key(TenantId::BOOTSTRAP, Role::Admin).await;
    let foreign = app.key(app.other, Role::Admin).await;
    let other = format!("/api/v1/tenants/{OTHER}/quotas");
    for (key, path, read, write) in [
        (&viewer, QUOTAS, 200, 403),
        (&admin, QUOTAS, 200, 403),
        (&foreign, QUOTAS, 404, 403),
        (&admin, other.as_str(), 404, 403),
        (&admin, "/api/v1/tenants/nobody/quotas", 404, 403),
    ] {
        assert_eq!(as_key(&app, key, Method::GET, path, None).await, read, "{path}");
        let body = Some(json!({ "max_queue_depth": 1 }));
        assert_eq!(as_key(&app, key, Method::PUT, path, body).await, write, "{path}");
    }
}

#[tokio::test]
async fn as_shipped_ten_sessions_may_be_open() {
    let app = TestApp::new().await;
    let other = app.key(app.other, Role::Admin).await;
    set(&app, json!({ "max_concurrent_sessions": 10 })).await;
    let mut first = String::new();
    for _ in 0..10 {
        first = id(&create(&app, json!({})).await);
    }
    refused(&create(&app, json!({})).await, "max_concurrent_sessions", 10, 10);
    let fork = app.post(&format!("{SESSIONS}/{first}/fork"), json!({})).await;
    refused(&fork, "max_concurrent_sessions", 10, 10);
    // The others have bounds of their own.
    let body = Some(json!({ "initial_prompt": "Mend it." }));
    assert_eq!(as_key(&app, &other, Method::POST, SESSIONS, body).await, 201);
    app.post(&format!("{SESSIONS}/{first}/cancel"), json!({})).await;
    id(&create(&app, json!({})).await);
}

#[tokio::test]
async fn sixty_four_at_once_never_pass_the_bound() {
    const LIMIT: u64 = 20;
    let app = Arc::new(TestApp::new().await);
    set(&app, json!({ "max_concurrent_sessions": LIMIT })).await;
    let mut clients = JoinSet::new();
    for _ in 0..64 {
        let app = Arc::clone(&app);
        clients.spawn(async move {
            let mut made = 0_u64;
            for _ in 0..4 {
                let answer = create(&app, json!({})).await;
                match answer.status.as_u16() {
                    201 => made += 1,
                    _ => refused(&answer, "max_concurrent_sessions", LIMIT, LIMIT),
                }
            }
            made
        });
    }
    let made: u64 = clients.join_all().await.into_iter().sum();
    assert_eq!(made, LIMIT);
    let listed = app.get(&format!("{SESSIONS}?limit=200")).await;
    assert_eq!(items(&listed).len() as u64, LIMIT);
    let snapshot = app.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    for counter in [Counter::OpenSessions, Counter::SessionsIn(SessionStatus::Pending)] {
        let counted = snapshot.counter(counter).await.expect("read");
        assert_eq!(u64::try_from(counted), Ok(LIMIT), "{counter:?}");
    }
}

#[tokio::test]
async fn a_start_needs_room_among_the_open_and_in_the_queue() {
    let app = TestApp::new().await;
    let (one, two) = (id(&create(&app, json!({})).await), id(&create(&app, json!({})).await));
    let start =
        |id: &str| app.request(Method::POST, &format!("{SESSIONS}/{id}/start"), Some(json!({})));
    // The bound was lowered below what is open: nobody starts before somebody has ended.
    set(&app, json!({ "max_concurrent_sessions": 1 })).await;
    refused(&app.send(start(&one)).await, "max_concurrent_sessions", 1, 2);
    set(&app, json!({ "max_concurrent_sessions": 2, "max_queue_depth": 1 })).await;
    assert_eq!(app.send(start(&one)).await.status.as_u16(), 200);
    refused(&app.send(start(&two)).await, "max_queue_depth", 1, 1);
    set(&app, json!({ "max_concurrent_sessions": 9 })).await;
    refused(&create(&app, json!({ "start": true })).await, "max_queue_depth", 1, 1);
    assert_eq!(items(&app.get(SESSIONS).await).len(), 2);
    app.post(&format!("{SESSIONS}/{one}/cancel"), json!({})).await;
    assert_eq!(app.send(start(&two)).await.status.as_u16(), 200);
}

#[tokio::test]
async fn what_is_stored_is_bounded_and_room_comes_back_with_a_purge() {
    let app = TestApp::new().await;
    set(&app, json!({ "max_storage_mb": 1 })).await;
    let session = id(&create(&app, json!({})).await);
    let keep = async || {
        let body = json!({ "checkpoint_data": { "notes": "x".repeat(250_000) } });
        app.post(&format!("{SESSIONS}/{session}/checkpoints"), body).await
    };
    for number in 1..=5 {
        assert_eq!(keep().await.status.as_u16(), 201, "checkpoint {number}");
    }
    refused(&keep().await, "max_storage_mb", 1, 2);
    assert_eq!(app.get(QUOTAS).await.body["used"]["max_storage_mb"], 2);
    refused(&create(&app, json!({})).await, "max_storage_mb", 1, 2);
    let start = format!("{SESSIONS}/{session}/start");
    refused(&app.post(&start, json!({})).await, "max_storage_mb", 1, 2);
    let told = app.get("/api/v1/events?after=0&limit=200").await;
    let told = items(&told).iter().filter(|event| event["type"] == "tenant.quota_exceeded");
    assert_eq!(told.count(), 1, "once in a minute");
    set(&app, json!({ "max_storage_mb": 2 })).await;
    assert_eq!(keep().await.status.as_u16(), 201);
    set(&app, json!({ "max_storage_mb": 1 })).await;
    app.post(&format!("{SESSIONS}/{session}/cancel"), json!({})).await;
    let path = format!("{SESSIONS}/{session}?purge=true");
    let purged = app.send(app.request(Method::DELETE, &path, None)).await;
    assert_eq!(purged.status.as_u16(), 204, "{}", purged.body);
    assert_eq!(app.get(QUOTAS).await.body["used"]["max_storage_mb"], 0);
    id(&create(&app, json!({ "start": true })).await);
}

#[tokio::test]
async fn who_waits_for_room_is_told_so() {
    let app = TestApp::new().await;
    set(&app, json!({ "max_queue_depth": 0 })).await;
    let soon = app.clock.now().after(std::time::Duration::from_millis(300));
    let fields = json!({ "start": true, "not_before": soon });
    let waiting = id(&create(&app, fields).await);
    let explained = format!("{SESSIONS}/{waiting}/explain");
    let began = tokio::time::Instant::now();
    loop {
        let answer = app.get(&explained).await;
        let first = &answer.body["blockers"][0];
        if first["code"] == "quota_queue_depth" {
            assert_eq!(first["object"], "max_queue_depth");
            let command = first["command"].as_str().unwrap_or_default();
            assert!(command.contains("tenant quotas --set max_queue_depth="), "{first}");
            return;
        }
        assert_eq!(first["code"], "not_before", "{}", answer.body);
        assert!(began.elapsed().as_secs() < 20, "{}", answer.body);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn keys_of_a_tenant_share_its_requests_of_a_minute() {
    let options = ApiOptions { rate: Some((1000, 1000)), ..ApiOptions::default() };
    let app = TestApp::with(options, Vec::new()).await;
    let keys = [app.key(app.other, Role::Viewer).await, app.key(app.other, Role::Admin).await];
    let path = format!("/api/v1/tenants/{OTHER}/quotas");
    let set = |limit: Value| {
        let body = json!({ "requests_per_minute": limit });
        app.send(app.request(Method::PUT, &path, Some(body)))
    };
    let list = |key: &str| {
        app.send(request(Method::GET, SESSIONS, None, &[("authorization", &bearer(key))]))
    };
    assert_eq!(set(json!(0)).await.status.as_u16(), 422);
    let bounded = set(json!(60)).await;
    assert_eq!(bounded.body["requests_per_minute"], 60, "{}", bounded.body);
    assert!(bounded.body["used"].get("requests_per_minute").is_none());
    let first = list(&keys[0]).await;
    assert_eq!(first.header("ratelimit"), "\"tenant\";r=9;t=1");
    assert_eq!(first.header("ratelimit-policy"), "\"tenant\";q=10;w=10");
    let mut refused = None;
    for number in 0..1000 {
        let answer = list(&keys[number % 2]).await;
        if answer.status.as_u16() != 200 {
            refused = Some((number, answer));
            break;
        }
    }
    let (number, answer) = refused.expect("the burst ends");
    assert!(number >= 9, "{number}");
    assert_eq!((answer.status.as_u16(), answer.code()), (429, "RATE_LIMITED"));
    assert!(answer.body["detail"].as_str().is_some_and(|text| text.contains("this tenant")));
    assert!(answer.header("ratelimit").starts_with("\"tenant\";r=0;t="), "{answer:?}");
    assert_eq!(answer.header("retry-after"), "1");
    // Others do not notice, also not who acts in that tenant from outside.
    let admin = bearer(ADMIN);
    let foreign = [("authorization", &*admin), ("x-tenant-id", OTHER)];
    for _ in 0..30 {
        let answer = app.send(request(Method::GET, SESSIONS, None, &foreign)).await;
        assert_eq!(answer.status.as_u16(), 200);
    }
    assert_eq!(set(Value::Null).await.status.as_u16(), 200);
    assert_eq!(list(&keys[0]).await.status.as_u16(), 200);
}

#[tokio::test]
async fn as_many_agents_are_registered_as_the_quota_says() {
    let app = TestApp::new().await;
    set(&app, json!({ "max_agents": 2 })).await;
    let register = async |name: &str| {
        let wanted = json!({ "name": name, "kind": "simulated", "capabilities": ["testing"] });
        app.post("/api/v1/agents", wanted).await
    };
    id(&register("AGENT-A").await);
    id(&register("AGENT-B").await);
    refused(&register("AGENT-C").await, "max_agents", 2, 2);
    assert_eq!(register("AGENT-B").await.code(), "ALREADY_EXISTS");
    assert_eq!(app.get(QUOTAS).await.body["used"]["max_agents"], 2);
    let path = "/api/v1/agents/AGENT-A/deregister";
    assert_eq!(app.post(path, json!({})).await.status.as_u16(), 200);
    id(&register("AGENT-C").await);
    let all = futures_util::future::join_all((0..10).map(async |number| {
        app.post(&format!("/api/v1/agents/AGENT-{}/deregister", ["B", "C"][number % 2]), json!({}))
            .await
    }));
    all.await;
    assert_eq!(app.get(QUOTAS).await.body["used"]["max_agents"], 0);
    let fleet = app.store.fleet().await.expect("readable");
    let counted = fleet.recount(TenantId::BOOTSTRAP, Counter::Agents).await.expect("readable");
    assert!(counted.is_some_and(|counted| counted.stored == Some(counted.counted)), "{counted:?}");
    drop(fleet);
    let names: Vec<String> = (0..10).map(|number| format!("AGENT-N{number}")).collect();
    let made = futures_util::future::join_all(names.iter().map(|name| register(name))).await;
    let made = made.iter().filter(|answer| answer.status.as_u16() == 201).count();
    assert_eq!(made, 2, "however many come at once");
}
