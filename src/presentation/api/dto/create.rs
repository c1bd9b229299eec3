//! What creates a session, on the wire.
//!
//! The struct documents the body; `read` takes it apart. A test holds both to the same names.

use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::spec::{GateDto, PermissionPolicyDto, RetryPolicyDto};
use crate::application::session::create::NewSession;
use crate::domain::agent::kind::AgentType;
use crate::domain::agent::performance::Tier;
use crate::domain::ids::AgentId;
use crate::domain::money::Usd;
use crate::domain::session::draft::SessionDraft;
use crate::domain::session::retry::RetryPolicy;
use crate::domain::session::spec::{
    Calls, ExecutionMode, Gate, OnParentEnd, PermissionDecision, PermissionPolicy, PermissionRule,
    Priority, SessionType,
};
use crate::domain::time::Timestamp;
use crate::domain::workspace::{WorkspaceKind, WorkspaceSpec};
use crate::presentation::api::fields::{Fields, FromFields};

/// A session to be created; everything but the prompt has a default.
#[derive(Debug, ToSchema)]
#[schema(as = CreateSession, example = json!({
    "initial_prompt": "Fix the failing test in calc.py", "start": true,
    "workspace": { "kind": "git", "repo": "/home/me/project", "base_ref": "main" },
}))]
#[expect(missing_docs, reason = "the fields are those of domain 1.1")]
pub struct CreateSessionBody {
    #[schema(min_length = 1, max_length = 100_000)]
    pub initial_prompt: String,
    /// Derived from the prompt when omitted.
    #[schema(min_length = 1, max_length = 200)]
    pub title: Option<String>,
    #[schema(max_length = 1000)]
    pub description: Option<String>,
    pub session_type: Option<SessionType>,
    pub priority: Option<Priority>,
    /// Id or code of the parent.
    #[schema(min_length = 1, max_length = 64)]
    pub parent_id: Option<String>,
    /// The same as `parent_id`.
    #[schema(min_length = 1, max_length = 64)]
    pub parent_session_id: Option<String>,
    /// What becomes of it when its parent ends abnormally: `cascade` ends it too (the default),
    /// `orphan` does and says so by its status, `continue` leaves it alone.
    pub on_parent_end: Option<OnParentEnd>,
    /// Ids or codes of sessions that must have completed before it begins; started, it waits for them.
    #[schema(max_items = 10)]
    pub after: Option<Vec<String>>,
    /// Only `single` in this version.
    pub execution_mode: Option<ExecutionMode>,
    /// Pinned agent, by id or name.
    #[schema(min_length = 1, max_length = 100)]
    pub agent: Option<String>,
    #[schema(max_items = 20)]
    pub required_capabilities: Option<Vec<String>>,
    /// What the work is done in; agents that prefer them come first, and those that avoid one get none.
    #[schema(max_items = 20)]
    pub technologies: Option<Vec<String>>,
    /// Agents of this type come first.
    pub preferred_agent_type: Option<AgentType>,
    /// These agents come first.
    #[schema(max_items = 10)]
    pub preferred_agent_ids: Option<Vec<AgentId>>,
    /// Only agents of this tier or a better one; `premium` and `standard` are read as `advanced` and
    /// `competent`.
    pub min_performance_tier: Option<Tier>,
    /// How large the work is: 1 fills one place of an agent.
    #[schema(minimum = 0.1, maximum = 10, default = 1.0)]
    pub estimated_complexity: Option<f64>,
    #[schema(value_type = Option<Object>)]
    pub agent_config: Option<Map<String, Value>>,
    #[schema(
        max_length = 200,
        pattern = "^[a-zA-Z0-9_.-]+/[a-zA-Z0-9_.:/@+-]+$",
        example = "anthropic/claude-sonnet-4"
    )]
    pub model_identifier: Option<String>,
    #[schema(minimum = 60, maximum = 86_400, default = 3600)]
    pub max_duration_seconds: Option<u32>,
    /// Null for no limit.
    #[schema(minimum = 60, maximum = 604_800, default = 3600)]
    pub queue_timeout_seconds: Option<u32>,
    /// Null for no limit.
    #[schema(minimum = 60, maximum = 604_800, default = 86_400)]
    pub pause_timeout_seconds: Option<u32>,
    #[schema(minimum = 10, maximum = 3600, default = 300)]
    pub degraded_grace_seconds: Option<u32>,
    /// Not part of this version: leave it out.
    #[schema(minimum = 0.1, maximum = 8.0)]
    pub cpu_limit: Option<f64>,
    /// Not part of this version: leave it out.
    #[schema(minimum = 100, maximum = 8192)]
    pub memory_limit_mb: Option<u32>,
    /// US dollars; at 80 % people are told, at 100 % the session pauses.
    pub budget_usd: Option<Usd>,
    /// Input, output, cache writes and reasoning; as `budget_usd`.
    #[schema(minimum = 0)]
    pub token_budget: Option<u64>,
    pub retry_policy: Option<RetryPolicyDto>,
    /// Stands before the one in `retry_policy`.
    #[schema(minimum = 0, maximum = 10)]
    pub max_retries: Option<u32>,
    pub not_before: Option<Timestamp>,
    /// Also queues it.
    #[schema(default = false)]
    pub start: Option<bool>,
    pub workspace: Option<WorkspaceBody>,
    pub permission_policy: Option<PermissionPolicyDto>,
    /// Commands that judge the work: in a clean checkout of it, or in the directory itself. Required
    /// ones must pass before the session completes. They need a workspace.
    #[schema(max_items = 20)]
    pub gates: Option<Vec<GateDto>>,
    #[schema(default = false)]
    pub exclude_from_training: Option<bool>,
    /// Lead and higher may name somebody else.
    #[schema(min_length = 1, max_length = 100)]
    pub created_by: Option<String>,
    #[schema(max_items = 20)]
    pub tags: Option<Vec<String>>,
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// Where the work is to happen.
#[derive(Debug, ToSchema)]
#[schema(as = CreateWorkspace)]
pub struct WorkspaceBody {
    /// The kind.
    pub kind: WorkspaceKind,
    /// Absolute path; directory only.
    #[schema(max_length = 4096)]
    pub path: Option<String>,
    /// Absolute path of the repository; git only.
    #[schema(max_length = 4096)]
    pub repo: Option<String>,
    /// Branch, tag or commit to begin from, `HEAD` when omitted; git only.
    #[schema(max_length = 250)]
    pub base_ref: Option<String>,
    /// Branch to work on, `orchestrator/<code>` when omitted; git only.
    #[schema(max_length = 250)]
    pub branch: Option<String>,
}

/// The body of `POST /sessions`, read.
pub struct CreateSession(pub NewSession);

impl FromFields for CreateSession {
    fn read(fields: &mut Fields) -> Self {
        let (policy, max_retries) = retry(fields);
        let draft = SessionDraft {
            initial_prompt: fields.required_text("initial_prompt"),
            title: fields.text("title"),
            description: fields.text("description"),
            session_type: fields.word("session_type"),
            priority: priority(fields),
            on_parent_end: fields.word("on_parent_end"),
            execution_mode: fields.word("execution_mode"),
            agent: fields.bounded_text("agent", 1, 100),
            required_capabilities: fields.texts("required_capabilities"),
            technologies: fields.texts("technologies"),
            preferred_agent_type: fields.word("preferred_agent_type"),
            preferred_agent_ids: agent_ids(fields),
            min_performance_tier: fields.word("min_performance_tier"),
            estimated_complexity: fields.number("estimated_complexity"),
            agent_config: fields.map("agent_config").unwrap_or_default(),
            model_identifier: fields.bounded_text("model_identifier", 1, 200),
            max_duration_seconds: fields.integer("max_duration_seconds"),
            queue_timeout_seconds: fields.nullable("queue_timeout_seconds", Fields::integer),
            pause_timeout_seconds: fields.nullable("pause_timeout_seconds", Fields::integer),
            degraded_grace_seconds: fields.integer("degraded_grace_seconds"),
            cpu_limit: fields.number("cpu_limit"),
            memory_limit_mb: fields.integer("memory_limit_mb"),
            budget_usd: dollars(fields, "budget_usd"),
            token_budget: fields.integer("token_budget"),
            retry: policy,
            max_retries,
            not_before: time(fields, "not_before"),
            workspace: fields.object("workspace", workspace).unwrap_or_default(),
            permission_policy: fields.object("permission_policy", permission_policy),
            gates: fields.objects("gates", gate).unwrap_or_default(),
            exclude_from_training: fields.flag("exclude_from_training").unwrap_or(false),
            tags: fields.texts("tags"),
            metadata: fields.map("metadata").unwrap_or_default(),
        };
        let parent = parent(fields);
        let after = fields.texts("after");
        let start = fields.flag("start").unwrap_or(false);
        let created_by = fields.bounded_text("created_by", 1, 100);
        fields.complete(draft.clone().accept().err().unwrap_or_default());
        Self(NewSession { draft, parent, after, start, created_by })
    }
}

fn parent(fields: &mut Fields) -> Option<String> {
    let given = fields.bounded_text("parent_id", 1, 64);
    let alias = fields.bounded_text("parent_session_id", 1, 64);
    if given.is_some() && alias.is_some() && given != alias {
        fields.wrong("parent_session_id", "invalid", "says something else than parent_id");
    }
    given.or(alias)
}

/// A level 0–4 or its name in any case.
pub fn priority(fields: &mut Fields) -> Option<Priority> {
    let value = fields.take("priority")?;
    let found = match &value {
        Value::Number(level) => level.as_u64().and_then(Priority::from_level),
        Value::String(name) => Priority::parse(&name.to_ascii_lowercase()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    if found.is_none() {
        let message = "must be 0 to 4, or critical, high, medium, low or deferred";
        fields.wrong("priority", "out_of_range", message);
    }
    found
}

/// An amount in US dollars.
pub fn dollars(fields: &mut Fields, name: &'static str) -> Option<Usd> {
    let dollars = fields.number(name)?;
    let whole = |amount: &Usd| *amount != Usd::ZERO || dollars == 0.0;
    let amount = Usd::from_dollars(dollars).filter(whole);
    if amount.is_none() {
        fields.wrong(
            name,
            "out_of_range",
            "must be an amount in US dollars, in millionths at the finest",
        );
    }
    amount
}

fn time(fields: &mut Fields, name: &'static str) -> Option<Timestamp> {
    let time = Timestamp::parse(&fields.text(name)?);
    if time.is_none() {
        fields.wrong(name, "invalid", "must be a time such as 2026-01-31T09:30:00.000Z");
    }
    time
}

fn agent_ids(fields: &mut Fields) -> Vec<AgentId> {
    let texts = fields.texts("preferred_agent_ids");
    let ids: Vec<AgentId> = texts.iter().filter_map(|text| AgentId::parse(text)).collect();
    if ids.len() != texts.len() {
        fields.wrong("preferred_agent_ids", "invalid", "must be ids of agents");
    }
    ids
}

/// The policy, with the number of retries also when it stands beside it.
fn retry(fields: &mut Fields) -> (Option<RetryPolicy>, Option<u32>) {
    let beside = fields.integer("max_retries");
    let mut within = None;
    let policy = fields.object("retry_policy", |fields| {
        within = fields.integer("max_retries");
        retry_policy(fields, within)
    });
    if beside.is_some() && within.is_some() && beside != within {
        fields.wrong("max_retries", "invalid", "says something else than retry_policy");
    }
    (policy, beside)
}

fn retry_policy(fields: &mut Fields, max_retries: Option<u32>) -> RetryPolicy {
    let default = RetryPolicy::default();
    RetryPolicy {
        max_retries: max_retries.unwrap_or(default.max_retries),
        initial_backoff_seconds: fields
            .integer("initial_backoff_seconds")
            .unwrap_or(default.initial_backoff_seconds),
        backoff_factor: fields.number("backoff_factor").unwrap_or(default.backoff_factor),
        max_backoff_seconds: fields
            .integer("max_backoff_seconds")
            .unwrap_or(default.max_backoff_seconds),
        jitter: fields.number("jitter").unwrap_or(default.jitter),
    }
}

fn workspace(fields: &mut Fields) -> WorkspaceSpec {
    let Some(kind) = fields.word::<WorkspaceKind>("kind") else {
        fields.require_one("kind", "must be none, directory or git");
        for name in ["path", "repo", "base_ref", "branch"] {
            fields.take(name);
        }
        return WorkspaceSpec::None;
    };
    match kind {
        WorkspaceKind::None => WorkspaceSpec::None,
        WorkspaceKind::Directory => WorkspaceSpec::Directory { path: fields.required_text("path") },
        WorkspaceKind::Git => WorkspaceSpec::Git {
            repo: fields.required_text("repo"),
            base_ref: fields.text("base_ref").unwrap_or_else(|| "HEAD".to_owned()),
            branch: fields.text("branch"),
        },
    }
}

fn calls(fields: &mut Fields) -> Calls {
    let has_exactly = fields.has("exactly") && !fields.is_null("exactly");
    let exactly = fields.texts("exactly");
    match fields.text("pattern") {
        Some(_) if has_exactly => {
            fields.wrong("exactly", "invalid", "stands instead of pattern, not beside it");
            Calls::All
        }
        Some(glob) => Calls::Like(glob),
        None if has_exactly => Calls::Exactly(exactly),
        None => Calls::All,
    }
}

fn permission_policy(fields: &mut Fields) -> PermissionPolicy {
    let default = fields.word("default").unwrap_or(PermissionDecision::Ask);
    let rule = |fields: &mut Fields| PermissionRule {
        tool: fields.required_text("tool"),
        calls: calls(fields),
        decision: decision(fields),
    };
    PermissionPolicy { default, rules: fields.objects("rules", rule).unwrap_or_default() }
}

fn decision(fields: &mut Fields) -> PermissionDecision {
    let decision = fields.word("decision");
    if decision.is_none() {
        fields.require_one("decision", "must be allow, ask or deny");
    }
    decision.unwrap_or(PermissionDecision::Ask)
}

fn gate(fields: &mut Fields) -> Gate {
    Gate {
        name: fields.required_text("name"),
        command: fields.texts("command"),
        timeout_seconds: fields.integer("timeout_seconds").unwrap_or(600),
        required: fields.flag("required").unwrap_or(true),
    }
}
