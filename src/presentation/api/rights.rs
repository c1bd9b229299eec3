//! Who may use which route: the table of rights, one line for each route.
//!
//! What depends on more than the route (whether a deletion is a purge, whose admissions are held) is
//! asked by the use case, on top of what stands here.
//!
//! Invariant: a route that is not in the table is refused to everybody.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::http::Method;

use crate::domain::tenant::key::Role;
use crate::domain::tenant::right::Right;
use crate::domain::tenant::scope::{Area, Scope};

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// No credential.
    Nothing,
    /// Any valid key.
    Key,
    /// Rights.
    Right(Right),
    /// The own token of the agent that the path names.
    Agent,
    /// That, or the token of any agent where the path names none; or rights.
    AgentOr(Right),
    /// A key of a member or for registering agents, an enrolment, an agent's own token, or nothing where
    /// that is enough.
    Registrar,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// As the router spells it.
    pub route: &'static str,
    /// What it asks.
    pub needs: Needs,
}

const fn row(method: &'static str, route: &'static str, needs: Needs) -> Row {
    Row { method, route, needs }
}

const fn read(role: Role, area: Area) -> Needs {
    Needs::Right(Right::read(role, area))
}

const fn write(role: Role, area: Area) -> Needs {
    Needs::Right(Right::write(role, area))
}

const READ_TASKS: Needs = read(Role::Viewer, Area::Tasks);
const WRITE_TASKS: Needs = write(Role::Member, Area::Tasks);
const LEAD_TASKS: Needs = write(Role::Lead, Area::Tasks);
const READ_SESSIONS: Needs = read(Role::Viewer, Area::Sessions);
const DRIVE_SESSIONS: Needs = write(Role::Member, Area::Sessions);
const LEAD_SESSIONS: Needs = write(Role::Lead, Area::Sessions);
const READ_WEBHOOKS: Needs = read(Role::Admin, Area::Events);
const MANAGE_WEBHOOKS: Needs = write(Role::Admin, Area::Events);
const READ_AGENTS: Needs = read(Role::Viewer, Area::Agents);
const LEAD_AGENTS: Needs = write(Role::Lead, Area::Agents);
const AGENT_OR_LEAD: Needs = Needs::AgentOr(Right::write(Role::Lead, Area::Agents));
const READ_CONTEXTS: Needs = read(Role::Viewer, Area::Contexts);
const WRITE_CONTEXTS: Needs = write(Role::Member, Area::Contexts);
const LEAD_CONTEXTS: Needs = write(Role::Lead, Area::Contexts);
const READ_LOCKS: Needs = Needs::AgentOr(Right::read(Role::Viewer, Area::Locks));
const HOLD_LOCKS: Needs = Needs::AgentOr(Right::write(Role::Member, Area::Locks));
const FORCE_LOCKS: Needs = write(Role::Admin, Area::Locks);
const READ_EVENTS: Needs = read(Role::Viewer, Area::Events);
const READ_USAGE: Needs = read(Role::Viewer, Area::Usage);
const READ_MONEY: Needs = read(Role::Admin, Area::Usage);
const SET_MONEY: Needs = write(Role::Admin, Area::Usage);
const READ_KEYS: Needs = read(Role::Admin, Area::Keys);
const MANAGE_KEYS: Needs = write(Role::Admin, Area::Keys);
const READ_USERS: Needs = read(Role::Admin, Area::Users);
const MANAGE_USERS: Needs = write(Role::Admin, Area::Users);
const READ_AUDIT: Needs = read(Role::Admin, Area::Audit);
const READ_TENANT: Needs = read(Role::Viewer, Area::Tenants);
const CHANGE_TENANT: Needs = write(Role::Admin, Area::Tenants);
const READ_TENANTS: Needs = Needs::Right(Right::read(Role::Admin, Area::Tenants).of_system());
const RULE_TENANTS: Needs = Needs::Right(Right::write(Role::Admin, Area::Tenants).of_system());
const READ_SERVER: Needs = read(Role::Viewer, Area::System);
const READ_SYSTEM: Needs = Needs::Right(Right::read(Role::Admin, Area::System).of_system());
const RULE_SYSTEM: Needs = Needs::Right(Right::write(Role::Admin, Area::System).of_system());
const MEASURE: Needs =
    Needs::Right(Right { role: Role::Viewer, scope: Scope::Metrics, of_system: false });

/// Every route.
pub const TABLE: &[Row] = &[
    row("GET", "/api/v1/sessions", READ_SESSIONS),
    row("POST", "/api/v1/sessions", DRIVE_SESSIONS),
    row("GET", "/api/v1/sessions/stats", READ_SESSIONS),
    row("GET", "/api/v1/sessions/{id}", READ_SESSIONS),
    row("PATCH", "/api/v1/sessions/{id}", DRIVE_SESSIONS),
    row("DELETE", "/api/v1/sessions/{id}", LEAD_SESSIONS),
    row("GET", "/api/v1/sessions/{id}/attempts", READ_SESSIONS),
    row("GET", "/api/v1/sessions/{id}/tree", READ_SESSIONS),
    row("GET", "/api/v1/sessions/{id}/explain", READ_SESSIONS),
    row("GET", "/api/v1/sessions/{id}/events", READ_SESSIONS),
    row("GET", "/api/v1/sessions/{id}/logs", READ_SESSIONS),
    row("GET", "/api/v1/sessions/{id}/transcript", READ_SESSIONS),
    row("GET", "/api/v1/sessions/{id}/artifacts", READ_SESSIONS),
    row("GET", "/api/v1/sessions/{id}/artifacts/{*path}", READ_SESSIONS),
    row("GET", "/api/v1/sessions/{id}/diff", READ_SESSIONS),
    row("GET", "/api/v1/sessions/{id}/diff/files/{*path}", READ_SESSIONS),
    row("GET", "/api/v1/sessions/{id}/checkpoints", READ_SESSIONS),
    row("POST", "/api/v1/sessions/{id}/checkpoints", DRIVE_SESSIONS),
    row("GET", "/api/v1/sessions/{id}/checkpoints/{seq}", READ_SESSIONS),
    row("POST", "/api/v1/sessions/{id}/checkpoints/{seq}/restore", DRIVE_SESSIONS),
    row("POST", "/api/v1/sessions/{id}/start", DRIVE_SESSIONS),
    row("POST", "/api/v1/sessions/{id}/pause", DRIVE_SESSIONS),
    row("POST", "/api/v1/sessions/{id}/resume", DRIVE_SESSIONS),
    row("POST", "/api/v1/sessions/{id}/stop", DRIVE_SESSIONS),
    row("POST", "/api/v1/sessions/{id}/cancel", DRIVE_SESSIONS),
    row("POST", "/api/v1/sessions/{id}/retry", DRIVE_SESSIONS),
    row("POST", "/api/v1/sessions/{id}/prompt", DRIVE_SESSIONS),
    row("POST", "/api/v1/sessions/{id}/fork", DRIVE_SESSIONS),
    row("POST", "/api/v1/sessions/{id}/rate", DRIVE_SESSIONS),
    row("POST", "/api/v1/sessions/{id}/verify", DRIVE_SESSIONS),
    row("POST", "/api/v1/sessions/{id}/complete", LEAD_SESSIONS),
    row("POST", "/api/v1/sessions/{id}/fail", LEAD_SESSIONS),
    row("POST", "/api/v1/sessions/{id}/merge", LEAD_SESSIONS),
    row("GET", "/api/v1/attention", READ_SESSIONS),
    row("GET", "/api/v1/attention/{id}", READ_SESSIONS),
    row("POST", "/api/v1/attention/{id}/resolve", DRIVE_SESSIONS),
    row("POST", "/api/v1/attention/resolve", DRIVE_SESSIONS),
    row("GET", "/api/v1/admissions", READ_SESSIONS),
    row("POST", "/api/v1/admissions/hold", LEAD_SESSIONS),
    row("POST", "/api/v1/admissions/release", LEAD_SESSIONS),
    row("GET", "/api/v1/agents", READ_AGENTS),
    row("POST", "/api/v1/agents", LEAD_AGENTS),
    row("POST", "/api/v1/agents/register", LEAD_AGENTS),
    row("GET", "/api/v1/agents/stats", READ_AGENTS),
    row("GET", "/api/v1/agents/by-capability/{capability}", READ_AGENTS),
    // Whoever wants room to be held needs more.
    row("POST", "/api/v1/agents/route", READ_AGENTS),
    row("GET", "/api/v1/agents/{id}/performance", READ_AGENTS),
    row("POST", "/api/v1/agents/{id}/performance", LEAD_AGENTS),
    row("POST", "/api/v1/agents/{id}/reset-metrics", LEAD_AGENTS),
    row("GET", "/api/v1/agents/{id}/health", READ_AGENTS),
    row("GET", "/api/v1/agents/{id}", READ_AGENTS),
    row("PATCH", "/api/v1/agents/{id}", LEAD_AGENTS),
    row("DELETE", "/api/v1/agents/{id}", LEAD_AGENTS),
    row("POST", "/api/v1/agents/{id}/deregister", LEAD_AGENTS),
    row("POST", "/api/v1/agents/{id}/drain", LEAD_AGENTS),
    row("POST", "/api/v1/agents/{id}/undrain", LEAD_AGENTS),
    row("POST", "/api/v1/agents/{id}/maintenance", LEAD_AGENTS),
    row("POST", "/api/v1/agents/{id}/probe", LEAD_AGENTS),
    row("POST", "/api/v1/agents/rebalance", LEAD_AGENTS),
    row("POST", "/api/v1/agents/{id}/approve", LEAD_AGENTS),
    row("POST", "/api/v1/agents/{id}/heartbeat", AGENT_OR_LEAD),
    row("POST", "/api/v1/agents/{id}/rotate-token", AGENT_OR_LEAD),
    row("POST", "/api/v1/agents/external/register", Needs::Registrar),
    row("DELETE", "/api/v1/agents/external/{id}", AGENT_OR_LEAD),
    row("POST", "/api/v1/agents/external/{id}/heartbeat", Needs::Agent),
    row("GET", "/api/v1/agents/external/{id}/tasks/next", Needs::Agent),
    row("POST", "/api/v1/agents/external/{id}/tasks/{task_id}/events", Needs::Agent),
    row("POST", "/api/v1/agents/external/{id}/tasks/{task_id}/result", Needs::Agent),
    row("POST", "/api/v1/agents/external/{id}/tasks/{task_id}/nack", Needs::Agent),
    row("POST", "/api/v1/agents/external/{id}/rotate-token", AGENT_OR_LEAD),
    row("GET", "/api/v1/contexts", READ_CONTEXTS),
    row("POST", "/api/v1/contexts", WRITE_CONTEXTS),
    row("POST", "/api/v1/contexts/merge", WRITE_CONTEXTS),
    row("GET", "/api/v1/contexts/global", READ_CONTEXTS),
    row("GET", "/api/v1/contexts/session/{session_id}", READ_CONTEXTS),
    row("GET", "/api/v1/contexts/session/{session_id}/summary", READ_CONTEXTS),
    row("GET", "/api/v1/contexts/agent/{agent_id}", READ_CONTEXTS),
    row("GET", "/api/v1/contexts/{id}", READ_CONTEXTS),
    row("PATCH", "/api/v1/contexts/{id}", WRITE_CONTEXTS),
    // Whoever deletes what is the tenant's needs more.
    row("DELETE", "/api/v1/contexts/{id}", WRITE_CONTEXTS),
    row("GET", "/api/v1/contexts/{id}/keys/{path}", READ_CONTEXTS),
    row("PUT", "/api/v1/contexts/{id}/keys/{path}", WRITE_CONTEXTS),
    row("DELETE", "/api/v1/contexts/{id}/keys/{path}", WRITE_CONTEXTS),
    row("POST", "/api/v1/contexts/{id}/promote-to-global", LEAD_CONTEXTS),
    row("POST", "/api/v1/contexts/{id}/share", WRITE_CONTEXTS),
    row("POST", "/api/v1/contexts/{id}/resolve", WRITE_CONTEXTS),
    row("GET", "/api/v1/contexts/{id}/diff/{other_id}", READ_CONTEXTS),
    row("GET", "/api/v1/contexts/{id}/history", READ_CONTEXTS),
    row("GET", "/api/v1/contexts/{id}/versions/{n}", READ_CONTEXTS),
    row("GET", "/api/v1/tasks", READ_TASKS),
    row("POST", "/api/v1/tasks", WRITE_TASKS),
    row("GET", "/api/v1/tasks/stats", READ_TASKS),
    row("GET", "/api/v1/tasks/{id}", READ_TASKS),
    row("PATCH", "/api/v1/tasks/{id}", WRITE_TASKS),
    row("DELETE", "/api/v1/tasks/{id}", WRITE_TASKS),
    row("GET", "/api/v1/tasks/{id}/subtasks", READ_TASKS),
    row("GET", "/api/v1/tasks/{id}/tree", READ_TASKS),
    row("GET", "/api/v1/tasks/{id}/graph", READ_TASKS),
    row("GET", "/api/v1/tasks/{id}/dependencies/graph", READ_TASKS),
    row("GET", "/api/v1/tasks/{id}/dependencies", READ_TASKS),
    row("POST", "/api/v1/tasks/{id}/dependencies", WRITE_TASKS),
    row("DELETE", "/api/v1/tasks/{id}/dependencies/{dependency_id}", WRITE_TASKS),
    row("POST", "/api/v1/tasks/{id}/status", WRITE_TASKS),
    row("POST", "/api/v1/tasks/{id}/assign", WRITE_TASKS),
    row("POST", "/api/v1/tasks/{id}/start", WRITE_TASKS),
    row("POST", "/api/v1/tasks/{id}/complete", WRITE_TASKS),
    row("POST", "/api/v1/tasks/{id}/fail", WRITE_TASKS),
    row("POST", "/api/v1/tasks/{id}/pause", WRITE_TASKS),
    row("POST", "/api/v1/tasks/{id}/cancel", WRITE_TASKS),
    row("POST", "/api/v1/tasks/{id}/skip", WRITE_TASKS),
    row("POST", "/api/v1/tasks/{id}/retry", WRITE_TASKS),
    row("POST", "/api/v1/tasks/{id}/decompose", WRITE_TASKS),
    row("POST", "/api/v1/tasks/{id}/execute", WRITE_TASKS),
    row("GET", "/api/v1/templates", READ_TASKS),
    row("POST", "/api/v1/templates", LEAD_TASKS),
    row("GET", "/api/v1/templates/{name}", READ_TASKS),
    row("PUT", "/api/v1/templates/{name}", LEAD_TASKS),
    row("DELETE", "/api/v1/templates/{name}", LEAD_TASKS),
    row("GET", "/api/v1/locks", READ_LOCKS),
    row("POST", "/api/v1/locks/acquire", HOLD_LOCKS),
    row("GET", "/api/v1/locks/{name}", READ_LOCKS),
    row("POST", "/api/v1/locks/{name}/acquire", HOLD_LOCKS),
    row("POST", "/api/v1/locks/{name}/renew", HOLD_LOCKS),
    row("POST", "/api/v1/locks/{name}/release", HOLD_LOCKS),
    row("DELETE", "/api/v1/locks/{name}", FORCE_LOCKS),
    row("GET", "/api/v1/events", READ_EVENTS),
    row("GET", "/api/v1/webhooks", READ_WEBHOOKS),
    row("POST", "/api/v1/webhooks", MANAGE_WEBHOOKS),
    row("GET", "/api/v1/webhooks/{id}", READ_WEBHOOKS),
    row("PATCH", "/api/v1/webhooks/{id}", MANAGE_WEBHOOKS),
    row("DELETE", "/api/v1/webhooks/{id}", MANAGE_WEBHOOKS),
    row("POST", "/api/v1/webhooks/{id}/rotate", MANAGE_WEBHOOKS),
    row("POST", "/api/v1/webhooks/{id}/test", MANAGE_WEBHOOKS),
    row("GET", "/api/v1/webhooks/{id}/deliveries", READ_WEBHOOKS),
    row("GET", "/api/v1/webhooks/{id}/deliveries/{delivery_id}", READ_WEBHOOKS),
    row("POST", "/api/v1/webhooks/{id}/deliveries/{delivery_id}/redeliver", MANAGE_WEBHOOKS),
    row("GET", "/api/v1/usage", READ_USAGE),
    row("GET", "/api/v1/tenants/{id}/usage", READ_USAGE),
    row("GET", "/api/v1/prices", READ_MONEY),
    row("PUT", "/api/v1/prices", SET_MONEY),
    row("GET", "/api/v1/budgets", READ_MONEY),
    row("PUT", "/api/v1/budgets", SET_MONEY),
    row("GET", "/api/v1/tenants", READ_TENANTS),
    row("POST", "/api/v1/tenants", RULE_TENANTS),
    row("GET", "/api/v1/tenants/{id}", READ_TENANT),
    row("DELETE", "/api/v1/tenants/{id}", RULE_TENANTS),
    row("PATCH", "/api/v1/tenants/{id}", CHANGE_TENANT),
    row("GET", "/api/v1/tenants/{id}/quotas", READ_TENANT),
    row("PUT", "/api/v1/tenants/{id}/quotas", RULE_TENANTS),
    row("GET", "/api/v1/keys", READ_KEYS),
    row("POST", "/api/v1/keys", MANAGE_KEYS),
    row("GET", "/api/v1/keys/{id}", READ_KEYS),
    row("DELETE", "/api/v1/keys/{id}", MANAGE_KEYS),
    row("POST", "/api/v1/keys/{id}/rotate", MANAGE_KEYS),
    row("GET", "/api/v1/users", READ_USERS),
    row("POST", "/api/v1/users", MANAGE_USERS),
    row("GET", "/api/v1/users/{id}", READ_USERS),
    row("PATCH", "/api/v1/users/{id}", MANAGE_USERS),
    row("DELETE", "/api/v1/users/{id}", MANAGE_USERS),
    row("GET", "/api/v1/invites", READ_USERS),
    row("POST", "/api/v1/invites", MANAGE_USERS),
    row("GET", "/api/v1/invites/{id}", READ_USERS),
    row("DELETE", "/api/v1/invites/{id}", MANAGE_USERS),
    // Whoever is invited has no credential yet: the invitation is one.
    row("POST", "/api/v1/invites/accept", Needs::Nothing),
    row("GET", "/api/v1/audit", READ_AUDIT),
    row("GET", "/api/v1/audit/verify", READ_AUDIT),
    row("GET", "/api/v1/whoami", Needs::Key),
    // Whoever signs in shows what is needed in the body.
    row("POST", "/api/v1/login", Needs::Nothing),
    row("POST", "/api/v1/login/look", Needs::Nothing),
    row("POST", "/api/v1/logout", Needs::Key),
    row("POST", "/api/v1/login-links", Needs::Key),
    row("POST", "/api/v1/ws-tickets", Needs::Key),
    row("GET", "/api/v1/system/info", READ_SERVER),
    row("GET", "/api/v1/storage/usage", READ_SYSTEM),
    row("POST", "/api/v1/system/backup", RULE_SYSTEM),
    row("GET", "/api/v1/system/export", READ_SYSTEM),
    row("GET", "/api/v1/hosts", READ_SYSTEM),
    row("POST", "/api/v1/hosts/{id}/recycle", RULE_SYSTEM),
    row("GET", "/api/v1/recovery/plan", READ_SYSTEM),
    row("POST", "/api/v1/recovery/apply", RULE_SYSTEM),
    row("GET", "/ws/sessions", READ_SESSIONS),
    row("GET", "/ws/sessions/{id}", READ_SESSIONS),
    row("GET", "/ws/tasks/{id}", READ_TASKS),
    row("GET", "/ws/agents", READ_AGENTS),
    row("GET", "/ws/agents/{id}", Needs::AgentOr(Right::read(Role::Viewer, Area::Agents))),
    // It joins no room by itself; each subscription is asked about.
    row("GET", "/ws/events", Needs::Key),
    row("GET", "/ws/system", READ_SERVER),
    // What a tool does is asked about when it is called.
    row("POST", "/mcp", Needs::Key),
    row("GET", "/metrics", MEASURE),
    row("GET", "/health", Needs::Nothing),
    row("GET", "/health/live", Needs::Nothing),
    row("GET", "/health/ready", Needs::Nothing),
    row("GET", "/ready", Needs::Nothing),
    row("GET", "/openapi.json", Needs::Nothing),
    row("GET", "/", Needs::Nothing),
    row("GET", "/assets/{file}", Needs::Nothing),
    row("GET", "/login", Needs::Nothing),
    row("GET", "/login/{file}", Needs::Nothing),
    // Whom the provider vouches for is found out there.
    row("GET", "/login/oidc", Needs::Nothing),
    row("GET", "/login/oidc/callback", Needs::Nothing),
    row("GET", "/docs", Needs::Nothing),
    row("GET", "/docs/{file}", Needs::Nothing),
    row("GET", "/problems/{name}", Needs::Nothing),
];

/// What a route asks of its caller; `None` when it has no line.
#[must_use]
pub fn needs(method: &Method, route: &str) -> Option<Needs> {
    static BY_ROUTE: LazyLock<HashMap<(&str, &str), Needs>> =
        LazyLock::new(|| TABLE.iter().map(|row| ((row.method, row.route), row.needs)).collect());
    // What is looked at is looked at, with or without its body.
    let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
    BY_ROUTE.get(&(method, route)).copied()
}
