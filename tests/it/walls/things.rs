//! What the tenant `default` has that nobody else may learn of.

use axum::http::Method;
use orchestrator::application::ports::changes::{ChangeSet, Counter, CounterChange, Write};
use orchestrator::domain::ids::{SessionId, TenantId};
use serde_json::{Value, json};

use super::asked::plain;
use super::places::Kind;
use crate::contract::fixtures::{fresh, item};
use crate::support::app::{ADMIN, Answer, TestApp, agent_of_new_tenants, bearer, request};

/// A word that stands in all texts of theirs.
pub(super) const CANARY: &str = "heliotrope";

pub(super) struct Things {
    session: String,
    attention: String,
    webhook: String,
    delivery: String,
    key: String,
    user: String,
    invite: String,
    agent: String,
    context: String,
    task: String,
    dependency: String,
    /// One of each kind that never was.
    never: String,
}

/// A creation that may be repeated; as administrator of `default` when nobody is named.
pub(super) async fn keyed(app: &TestApp, secret: Option<&str>, key: &str, body: &Value) -> Answer {
    let authorization = bearer(secret.unwrap_or(ADMIN));
    let host = format!("localhost:{}", app.state.options.port);
    let mut headers =
        vec![("host", &*host), ("authorization", &*authorization), ("idempotency-key", key)];
    if secret.is_none() {
        headers.push(("x-tenant-id", "default"));
    }
    app.send(request(Method::POST, "/api/v1/sessions", Some(body.clone()), &headers)).await
}

async fn made(app: &TestApp, path: &str, body: Value) -> String {
    let answer = app.post(path, body).await;
    assert!(answer.status.is_success(), "{path}: {answer:?}");
    answer.body["id"].as_str().unwrap_or("").to_owned()
}

impl Things {
    pub(super) async fn of(app: &TestApp) -> Self {
        let tenant = TenantId::BOOTSTRAP;
        let agents = [agent_of_new_tenants()];
        app.agents.ensure(tenant, &agents).await.expect("agents");
        let mut agent = String::new();
        for name in ["AGENT-A", "AGENT-B"] {
            let wanted = json!({
                "name": name, "kind": "simulated", "capabilities": ["testing"],
                "description": CANARY,
            });
            agent = made(app, "/api/v1/agents", wanted).await;
        }
        // Their codes are none that the other tenant comes to have.
        let codes = (Counter::SessionCodes, CounterChange::AtLeast(5000));
        let set = ChangeSet::new(tenant).count(codes.0, codes.1);
        app.store.commit(set).await.expect("stored");
        let text = json!({
            "initial_prompt": CANARY, "title": CANARY, "description": CANARY, "tags": [CANARY],
        });
        let session = made(app, "/api/v1/sessions", text.clone()).await;
        made(app, "/api/v1/sessions", text).await;
        let path = format!("/api/v1/sessions/{session}");
        for _ in 0..2 {
            made(app, &format!("{path}/checkpoints"), json!({})).await;
        }
        let mut attention = String::new();
        for _ in 0..2 {
            let id = SessionId::parse(&session).expect("an id");
            let mut open = item(tenant, id, 5);
            (open.title, open.fingerprint) = (CANARY.to_owned(), fingerprint());
            attention = open.id.to_string();
            let set = ChangeSet::new(tenant).write(Write::Attention(fresh(open)));
            app.store.commit(set).await.expect("stored");
        }
        let hook = json!({
            "url": format!("http://127.0.0.1:9/{CANARY}"), "description": CANARY,
            "event_types": ["session.created"],
        });
        let webhook = made(app, "/api/v1/webhooks", hook).await;
        let mut delivery = String::new();
        for _ in 0..2 {
            delivery = made(app, &format!("/api/v1/webhooks/{webhook}/test"), json!({})).await;
        }
        let key = json!({ "name": CANARY, "role": "member" });
        let key = made(app, "/api/v1/keys", key).await;
        let somebody = json!({ "email": "ann@example.org", "full_name": CANARY });
        let user = made(app, "/api/v1/users", somebody).await;
        let invite = json!({ "email": "bob@example.org", "full_name": CANARY });
        let invite = made(app, "/api/v1/invites", invite).await;
        let context = json!({
            "scope": "session", "session_id": session,
            "initial_data": { "a": { "rs": CANARY } }, "metadata": { "note": CANARY },
        });
        let context = made(app, "/api/v1/contexts", context).await;
        let never = app.ids.uuid().to_string();
        let title = json!({ "session_id": session, "title": "Test it", "description": CANARY });
        let first = made(app, "/api/v1/tasks", title.clone()).await;
        let task = made(app, "/api/v1/tasks", title).await;
        let need = json!({ "target_task_id": first, "description": CANARY });
        let dependency = made(app, &format!("/api/v1/tasks/{task}/dependencies"), need).await;
        Self {
            session,
            attention,
            webhook,
            delivery,
            key,
            user,
            invite,
            agent,
            context,
            task,
            dependency,
            never,
        }
    }

    /// One of theirs, and one that never was; of the same length.
    pub(super) fn sample(&self, kind: Kind) -> (String, String) {
        let of = |theirs: &str| (theirs.to_owned(), self.never.clone());
        let words = |theirs: &str, never: &str| (theirs.to_owned(), never.to_owned());
        match kind {
            Kind::Session => of(&self.session),
            Kind::SessionCode => words("IND-005001", "IND-987654"),
            Kind::Checkpoint => words("1", "7"),
            Kind::Attention => of(&self.attention),
            Kind::Fingerprint => words(&fingerprint(), &"7".repeat(64)),
            Kind::Webhook => of(&self.webhook),
            Kind::Context => of(&self.context),
            Kind::Task => of(&self.task),
            Kind::Dependency => of(&self.dependency),
            Kind::Delivery => of(&self.delivery),
            Kind::Key => of(&self.key),
            Kind::User => of(&self.user),
            Kind::Invite => of(&self.invite),
            Kind::Agent => of(&self.agent),
            Kind::AgentName => words("AGENT-ONE", "AGENT-TWO"),
            Kind::Tenant => of(&TenantId::BOOTSTRAP.to_string()),
            Kind::TenantSlug => words("default", "nowhere"),
        }
    }

    /// A route about their things.
    pub(super) fn fill(&self, route: &str) -> String {
        let id = match route.split('/').nth(3).unwrap_or("") {
            "sessions" => &self.session,
            "attention" => &self.attention,
            "webhooks" => &self.webhook,
            "contexts" => &self.context,
            "tasks" => &self.task,
            "agents" => &self.agent,
            "keys" => &self.key,
            "users" => &self.user,
            "invites" => &self.invite,
            _ => "default",
        };
        let filled = route.replace("{id}", id).replace("{delivery_id}", &self.delivery);
        let filled = filled.replace("{dependency_id}", &self.dependency);
        let filled = filled.replace("{name}", "build");
        let filled = filled.replace("{seq}", "1").replace("{path}", "a.rs");
        let filled = filled.replace("{session_id}", &self.session).replace("{n}", "1");
        let filled = filled.replace("{agent_id}", &self.agent);
        filled.replace("{other_id}", &self.context).replace("{capability}", "testing")
    }

    /// Which of their ids a text holds.
    pub(super) fn named_in(&self, text: &str) -> Option<&str> {
        let ids = [
            &self.session,
            &self.attention,
            &self.webhook,
            &self.delivery,
            &self.key,
            &self.user,
            &self.invite,
            &self.agent,
            &self.context,
            &self.task,
            &self.dependency,
        ];
        ids.into_iter().map(String::as_str).find(|id| text.contains(*id))
    }

    /// All of it as its owner sees it.
    pub(super) async fn shown(&self, app: &TestApp) -> Vec<String> {
        let mut shown = Vec::new();
        for route in [
            "/api/v1/sessions",
            "/api/v1/sessions/{id}",
            "/api/v1/sessions/{id}/checkpoints",
            "/api/v1/sessions/{id}/events",
            "/api/v1/attention/{id}",
            "/api/v1/agents",
            "/api/v1/agents/{id}",
            "/api/v1/agents/{id}/performance",
            "/api/v1/contexts",
            "/api/v1/contexts/{id}",
            "/api/v1/contexts/{id}/keys/{path}",
            "/api/v1/contexts/session/{session_id}/summary",
            "/api/v1/tasks/{id}",
            "/api/v1/tasks/{id}/graph",
            "/api/v1/tasks/{id}/dependencies",
            "/api/v1/webhooks/{id}",
            "/api/v1/webhooks/{id}/deliveries",
            "/api/v1/keys/{id}",
            "/api/v1/users/{id}",
            "/api/v1/invites/{id}",
            "/api/v1/tenants/{id}",
            "/api/v1/tenants/{id}/quotas",
            "/api/v1/admissions",
            "/api/v1/budgets",
            "/api/v1/prices",
            "/api/v1/audit",
        ] {
            let answer = app.get(&self.fill(route)).await;
            assert!(answer.status.is_success(), "{route}: {answer:?}");
            shown.push(plain(&answer, &[]));
        }
        shown
    }
}

fn fingerprint() -> String {
    "f".repeat(64)
}
