//! Strangers, and what they are answered.

use axum::http::Method;
use chrono::DateTime;
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::places::{Kind, Place, Spot};
use super::things::{CANARY, Things};
use crate::support::app::{ADMIN, Answer, OTHER, TestApp, bearer, request};

/// Somebody of another tenant, and what they say of themselves.
#[derive(Clone)]
pub(super) struct Caller {
    name: &'static str,
    headers: Vec<(&'static str, String)>,
    /// Said in the query on top of what is asked.
    query: &'static str,
    /// Said in the body on top of what is asked.
    lies: bool,
    /// May act in every tenant, and has named the other one.
    is_system: bool,
}

pub(super) struct Callers(Vec<Caller>);

impl Callers {
    pub(super) async fn of(app: &TestApp) -> Self {
        let admin = bearer(&app.key(app.other, Role::Admin).await);
        let viewer = bearer(&app.key(app.other, Role::Viewer).await);
        let default = TenantId::BOOTSTRAP.to_string();
        let caller = |name, key: &str, more: &[(&'static str, &str)]| {
            let mut headers = vec![("authorization", key.to_owned())];
            headers.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
            Caller { name, headers, query: "", lies: false, is_system: false }
        };
        let own = app.other.to_string();
        let named = [
            ("x-tenant", "default"),
            ("tenant", "default"),
            ("x-tenant-slug", "default"),
            ("x-original-tenant-id", &default),
            ("x-forwarded-host", "default.localhost"),
            ("cookie", "tenant=default; X-Tenant-ID=default"),
            ("x-original-url", "/api/v1/sessions?tenant=default"),
            ("x-http-method-override", "GET"),
        ];
        let system = bearer(ADMIN);
        Self(vec![
            caller("an administrator", &admin, &[]),
            caller("an administrator who names the own id", &admin, &[("x-tenant-id", &own)]),
            caller("an administrator who names the own slug", &admin, &[("x-tenant-id", OTHER)]),
            caller("a viewer", &viewer, &[]),
            caller("an administrator with headers", &admin, &named),
            Caller { query: "tenant=default", ..caller("a query", &admin, &[]) },
            Caller { query: "tenant_id=default", ..caller("another query", &admin, &[]) },
            Caller { query: "X-Tenant-ID=default", ..caller("a third query", &admin, &[]) },
            Caller { lies: true, ..caller("a body", &admin, &[]) },
            caller("one who names them", &admin, &[("x-tenant-id", &default)]),
            caller("one who names them by slug", &admin, &[("x-tenant-id", "default")]),
            caller(
                "one who names both",
                &admin,
                &[("x-tenant-id", OTHER), ("x-tenant-id", "default")],
            ),
            Caller {
                is_system: true,
                ..caller("whoever runs the server", &system, &[("x-tenant-id", OTHER)])
            },
        ])
    }

    /// Those whose answers are of the other tenant alone.
    pub(super) fn who_read(&self) -> impl Iterator<Item = &Caller> {
        self.0.iter().filter(|caller| !caller.is_system)
    }
}

impl Caller {
    pub(super) async fn ask(
        &self,
        app: &TestApp,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let mut path = path.to_owned();
        if !self.query.is_empty() {
            path.push(if path.contains('?') { '&' } else { '?' });
            path.push_str(self.query);
        }
        let body = body.map(|mut body| {
            if let (true, Some(members)) = (self.lies, body.as_object_mut()) {
                members.insert("tenant_id".to_owned(), json!(TenantId::BOOTSTRAP));
            }
            body
        });
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        app.send(request(method, &path, body, &headers)).await
    }
}

/// As whoever holds this key.
pub(super) async fn by(app: &TestApp, secret: &str, method: Method, path: &str) -> Answer {
    let (host, key) = (format!("localhost:{}", app.state.options.port), bearer(secret));
    app.send(request(method, path, None, &[("host", &*host), ("authorization", &*key)])).await
}

/// What makes a request valid beside the id that is asked about.
fn rest(place: &Place) -> Value {
    match (place.method.as_str(), place.route.as_str()) {
        ("POST", "/api/v1/sessions") => json!({ "initial_prompt": "x" }),
        ("POST", "/api/v1/attention/resolve") => json!({ "decision": "deny" }),
        ("POST", "/api/v1/attention/{id}/resolve") => {
            json!({ "decision": "answer", "answer": "x" })
        }
        ("POST", "/api/v1/admissions/hold") => json!({ "scope": "agent", "reason": "x" }),
        ("POST", "/api/v1/admissions/release") => json!({ "scope": "agent" }),
        ("POST", "/api/v1/sessions/{id}/prompt") => json!({ "text": "x", "mode": "queue" }),
        ("POST", "/api/v1/sessions/{id}/complete") => json!({ "result": {}, "reason": "x" }),
        ("POST", "/api/v1/sessions/{id}/fail" | "/api/v1/tasks/{id}/fail") => {
            json!({ "error_message": "x" })
        }
        ("POST", "/api/v1/sessions/{id}/rate") => json!({ "success_rate": 0.5 }),
        ("PATCH", "/api/v1/sessions/{id}") => json!({ "title": "stolen" }),
        ("PATCH", "/api/v1/tenants/{id}") => json!({ "name": "stolen" }),
        ("PUT", "/api/v1/tenants/{id}/quotas") => json!({ "max_queue_depth": 1 }),
        ("POST", "/api/v1/tasks") => json!({ "title": "Test it" }),
        ("POST", "/api/v1/tasks/{id}/status") => json!({ "status": "cancelled" }),
        ("PATCH", "/api/v1/tasks/{id}") => json!({ "title": "Test what is stolen" }),
        ("POST", "/api/v1/locks/acquire") => json!({ "names": ["build"], "wait_seconds": 0 }),
        ("POST", "/api/v1/locks/{name}/acquire") => json!({ "wait_seconds": 0 }),
        ("POST", "/api/v1/agents/route") => {
            json!({ "task_description": "x".repeat(10), "required_capabilities": ["testing"] })
        }
        ("POST", "/api/v1/agents/{id}/performance") => json!({ "task_success": false }),
        ("POST", "/api/v1/agents/{id}/maintenance") => json!({ "on": true }),
        ("PATCH", "/api/v1/agents/{id}" | "/api/v1/webhooks/{id}") => {
            json!({ "description": "stolen" })
        }
        _ => json!({}),
    }
}

/// The request about one id.
fn question(place: &Place, things: &Things, id: &str) -> (Method, String, Option<Value>) {
    let method = Method::from_bytes(place.method.as_bytes()).expect("a method");
    let mut body = rest(place);
    let path = match &place.spot {
        Spot::Path(name) => things.fill(&place.route.replace(&format!("{{{name}}}"), id)),
        Spot::Query(name) => format!("{}?{name}={id}", things.fill(&place.route)),
        Spot::Body(field) => {
            set(&mut body, field, id);
            things.fill(&place.route)
        }
    };
    let has_body = !matches!(method, Method::GET | Method::DELETE);
    (method, path, has_body.then_some(body))
}

/// Puts an id into a field of a body, as its kind has it.
fn set(body: &mut Value, field: &str, id: &str) {
    let mut at = body;
    let mut names = field.split('.').peekable();
    while let Some(name) = names.next() {
        if names.peek().is_some() {
            at = &mut at[name];
            continue;
        }
        at[name] = match name {
            "after" | "ids" | "preferred_agent_ids" | "exclude_agent_ids" => json!([id]),
            "from_checkpoint" => json!(id.parse::<u64>().expect("a number")),
            _ => json!(id),
        };
    }
}

/// How many pairs of questions were asked about a place, and where the answers differed.
pub(super) async fn differences(
    app: &TestApp,
    callers: &Callers,
    things: &Things,
    place: &Place,
) -> (usize, Vec<String>) {
    let (mut asked, mut found) = (0, Vec::new());
    for kind in &place.kinds {
        let (theirs, never) = things.sample(*kind);
        for caller in &callers.0 {
            if caller.is_system && knows(place, *kind) {
                continue;
            }
            let mut answers = Vec::new();
            for id in [&theirs, &never] {
                let (method, path, body) = question(place, things, id);
                let answer = caller.ask(app, method, &path, body).await;
                answers.push(plain(&answer, &[&theirs, &never]));
            }
            asked += 1;
            let who = caller.name;
            if answers[0] != answers[1] {
                found.push(format!("{kind:?} by {who}: {} but {}", answers[0], answers[1]));
            }
            if answers[0].contains(CANARY) {
                found.push(format!("{kind:?} by {who}: {}", answers[0]));
            }
        }
    }
    (asked, found)
}

/// What whoever runs the server may see of every tenant.
fn knows(place: &Place, kind: Kind) -> bool {
    matches!(kind, Kind::Tenant | Kind::TenantSlug) || place.route == "/api/v1/recovery/apply"
}

/// An answer without what differs from one time to the next, and without the ids that were asked about.
pub(super) fn plain(answer: &Answer, ids: &[&str]) -> String {
    let passing =
        ["x-request-id", "location", "etag", "ratelimit", "content-length", "traceparent"];
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !passing.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    headers.sort_unstable();
    format!("{} {headers:?} {}", answer.status, scrubbed(&answer.body, ids))
}

fn scrubbed(value: &Value, ids: &[&str]) -> Value {
    match value {
        Value::String(text) => json!(scrubbed_text(text, ids)),
        Value::Array(items) => items.iter().map(|item| scrubbed(item, ids)).collect(),
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| *name != "request_id");
            Value::Object(
                kept.map(|(name, inner)| (name.clone(), scrubbed(inner, ids)))
                    .collect::<Map<_, _>>(),
            )
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn scrubbed_text(text: &str, ids: &[&str]) -> String {
    if Uuid::try_parse(text).is_ok() {
        return "an id".to_owned();
    }
    if DateTime::parse_from_rfc3339(text).is_ok() {
        return "a time".to_owned();
    }
    if text.starts_with("IND-") && text.len() == 10 {
        return "a code".to_owned();
    }
    ids.iter()
        .filter(|id| id.len() > 1)
        .fold(text.to_owned(), |text, id| text.replace(*id, "an id"))
}
