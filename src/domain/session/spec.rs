//! What a session is asked to be: its definition.

use serde_json::{Map, Value};

use super::draft::SessionDraft;
pub use super::policy::{
    Calls, GUARDED, PermissionDecision, PermissionPolicy, PermissionRule, glob_matches,
};
use super::retry::RetryPolicy;
use crate::closed_enum;
use crate::domain::agent::kind::AgentType;
use crate::domain::agent::performance::Tier;
use crate::domain::ids::AgentId;
use crate::domain::money::Usd;
use crate::domain::time::Timestamp;
use crate::domain::workspace::WorkspaceSpec;

closed_enum!(
    /// What kind of work it is.
    SessionType {
        Planning = "planning",
        Execution = "execution",
        Review = "review",
        Debug = "debug",
        Integration = "integration",
    }
);

closed_enum!(
    /// How urgent it is; on the wire the integer 0–4.
    Priority {
        Critical = "critical",
        High = "high",
        Medium = "medium",
        Low = "low",
        Deferred = "deferred",
    }
);

impl Priority {
    /// 0 for critical to 4 for deferred.
    #[must_use]
    pub const fn level(self) -> u8 {
        match self {
            Self::Critical => 0,
            Self::High => 1,
            Self::Medium => 2,
            Self::Low => 3,
            Self::Deferred => 4,
        }
    }

    /// The priority of this level.
    #[must_use]
    pub fn from_level(level: u64) -> Option<Self> {
        usize::try_from(level).ok().and_then(|index| Self::ALL.get(index)).copied()
    }
}

closed_enum!(
    /// What becomes of a child when its parent ends abnormally.
    OnParentEnd {
        Cascade = "cascade",
        Orphan = "orphan",
        Continue = "continue",
    }
);

closed_enum!(
    /// One agent, or the root of a task graph.
    ExecutionMode {
        Single = "single",
        TaskGraph = "task_graph",
    }
);

/// A command whose success the work must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// For people.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// 1–3600.
    pub timeout_seconds: u32,
    /// Whether completion needs it.
    pub required: bool,
}

/// The definition of a session. A fork copies it; a patch changes the few fields that may change.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionSpec {
    /// 1–200 characters, trimmed.
    pub title: String,
    /// At most 1000 characters.
    pub description: Option<String>,
    /// What kind of work it is.
    pub session_type: SessionType,
    /// How urgent it is.
    pub priority: Priority,
    /// What becomes of it when its parent ends abnormally.
    pub on_parent_end: OnParentEnd,
    /// One agent, or the root of a task graph.
    pub execution_mode: ExecutionMode,
    /// Pinned agent, by id or name.
    pub agent: Option<String>,
    /// Slugs that the agent must have.
    pub required_capabilities: Vec<String>,
    /// Slugs that describe the work.
    pub technologies: Vec<String>,
    /// Routing wish.
    pub preferred_agent_type: Option<AgentType>,
    /// Routing wish.
    pub preferred_agent_ids: Vec<AgentId>,
    /// Routing wish.
    pub min_performance_tier: Option<Tier>,
    /// 0.1–10.
    pub estimated_complexity: f64,
    /// Profiles for the driver; never empty.
    pub agent_config: Map<String, Value>,
    /// `provider/model`; the driver's default when omitted.
    pub model_identifier: Option<String>,
    /// 1–100,000 characters.
    pub initial_prompt: String,
    /// Limits the execution clock, 60–86400.
    pub max_duration_seconds: u32,
    /// Longest wait in the queue; no limit when `None`.
    pub queue_timeout_seconds: Option<u32>,
    /// Longest pause; no limit when `None`.
    pub pause_timeout_seconds: Option<u32>,
    /// Longest time in degraded, 10–3600.
    pub degraded_grace_seconds: u32,
    /// Cores, 0.1–8.
    pub cpu_limit: Option<f64>,
    /// 100–8192.
    pub memory_limit_mb: Option<u32>,
    /// Soft at 80 %, hard at 100 %.
    pub budget_usd: Option<Usd>,
    /// Soft at 80 %, hard at 100 %.
    pub token_budget: Option<u64>,
    /// When and how often it is tried again.
    pub retry: RetryPolicy,
    /// Not dispatched earlier.
    pub not_before: Option<Timestamp>,
    /// Where the work happens.
    pub workspace: WorkspaceSpec,
    /// What the agent may do without asking.
    pub permission_policy: PermissionPolicy,
    /// Commands that judge the work.
    pub gates: Vec<Gate>,
    /// Keeps it out of datasets.
    pub exclude_from_training: bool,
    /// At most 20.
    pub tags: Vec<String>,
    /// JSON object, at most 64 KiB canonical.
    pub metadata: Map<String, Value>,
}

impl SessionSpec {
    /// Provider of its model; `None` for the one that the agent uses by default.
    #[must_use]
    pub fn provider(&self) -> Option<&str> {
        let model = self.model_identifier.as_deref()?;
        Some(model.split_once('/').map_or(model, |(provider, _)| provider))
    }

    /// The agent profile handed to the driver: `default_agent`, else the first other key.
    #[must_use]
    pub fn profile(&self) -> Option<&str> {
        match self.agent_config.get("default_agent").and_then(Value::as_str) {
            Some(name) => Some(name),
            None => self
                .agent_config
                .keys()
                .filter(|key| *key != "default_agent")
                .min()
                .map(String::as_str),
        }
    }
}

impl From<SessionSpec> for SessionDraft {
    /// The same definition as if it had been sent, for what passes the checks again.
    fn from(spec: SessionSpec) -> Self {
        let SessionSpec {
            title,
            description,
            session_type,
            priority,
            on_parent_end,
            execution_mode,
            agent,
            required_capabilities,
            technologies,
            preferred_agent_type,
            preferred_agent_ids,
            min_performance_tier,
            estimated_complexity,
            agent_config,
            model_identifier,
            initial_prompt,
            max_duration_seconds,
            queue_timeout_seconds,
            pause_timeout_seconds,
            degraded_grace_seconds,
            cpu_limit,
            memory_limit_mb,
            budget_usd,
            token_budget,
            retry,
            not_before,
            workspace,
            permission_policy,
            gates,
            exclude_from_training,
            tags,
            metadata,
        } = spec;
        Self {
            title: Some(title),
            description,
            session_type: Some(session_type),
            priority: Some(priority),
            on_parent_end: Some(on_parent_end),
            execution_mode: Some(execution_mode),
            agent,
            required_capabilities,
            technologies,
            preferred_agent_type,
            preferred_agent_ids,
            min_performance_tier,
            estimated_complexity: Some(estimated_complexity),
            agent_config,
            model_identifier,
            initial_prompt,
            max_duration_seconds: Some(max_duration_seconds),
            queue_timeout_seconds: Some(queue_timeout_seconds),
            pause_timeout_seconds: Some(pause_timeout_seconds),
            degraded_grace_seconds: Some(degraded_grace_seconds),
            cpu_limit,
            memory_limit_mb,
            budget_usd,
            token_budget,
            retry: Some(retry),
            max_retries: None,
            not_before,
            workspace,
            permission_policy: Some(permission_policy),
            gates,
            exclude_from_training,
            tags,
            metadata,
        }
    }
}
