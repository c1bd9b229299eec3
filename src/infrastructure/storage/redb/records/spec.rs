//! The definition inside a session.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Unreadable, Unstorable, json_map, map, millis, time, word};
use crate::domain::agent::kind::AgentType;
use crate::domain::agent::performance::Tier;
use crate::domain::ids::AgentId;
use crate::domain::money::Usd;
use crate::domain::session::retry::RetryPolicy;
use crate::domain::session::spec::{
    Calls, ExecutionMode, Gate, OnParentEnd, PermissionDecision, PermissionPolicy, PermissionRule,
    Priority, SessionSpec, SessionType,
};
use crate::domain::workspace::WorkspaceSpec;

/// A definition.
#[derive(Serialize, Deserialize)]
pub(super) struct SpecV1<'a> {
    #[serde(borrow)]
    title: Cow<'a, str>,
    description: Option<String>,
    session_type: &'a str,
    priority: &'a str,
    on_parent_end: &'a str,
    execution_mode: &'a str,
    agent: Option<String>,
    required_capabilities: Vec<String>,
    technologies: Vec<String>,
    preferred_agent_type: Option<String>,
    preferred_agent_ids: Vec<[u8; 16]>,
    min_performance_tier: Option<String>,
    estimated_complexity: f64,
    #[serde(borrow)]
    agent_config: Cow<'a, str>,
    model_identifier: Option<String>,
    #[serde(borrow)]
    initial_prompt: Cow<'a, str>,
    max_duration_seconds: u32,
    queue_timeout_seconds: Option<u32>,
    pause_timeout_seconds: Option<u32>,
    degraded_grace_seconds: u32,
    cpu_limit: Option<f64>,
    memory_limit_mb: Option<u32>,
    budget_micros: Option<i64>,
    token_budget: Option<u64>,
    retry: RetryV1,
    not_before: Option<i64>,
    workspace: WorkspaceSpecV1,
    permission_default: &'a str,
    permission_rules: Vec<PermissionRuleV1>,
    gates: Vec<GateV1>,
    exclude_from_training: bool,
    tags: Vec<String>,
    #[serde(borrow)]
    metadata: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct RetryV1 {
    max_retries: u32,
    initial_backoff_seconds: u32,
    backoff_factor: f64,
    max_backoff_seconds: u32,
    jitter: f64,
}

/// One variant per kind of workspace; their order is part of the format.
#[derive(Serialize, Deserialize)]
enum WorkspaceSpecV1 {
    None,
    Directory { path: String },
    Git { repo: String, base_ref: String, branch: Option<String> },
}

#[derive(Serialize, Deserialize)]
struct PermissionRuleV1 {
    tool: String,
    calls: CallsV1,
    decision: String,
}

/// One variant per way of naming calls; their order is part of the format.
#[derive(Serialize, Deserialize)]
enum CallsV1 {
    All,
    Like(String),
    Exactly(Vec<String>),
}

#[derive(Serialize, Deserialize)]
struct GateV1 {
    name: String,
    command: Vec<String>,
    timeout_seconds: u32,
    required: bool,
}

impl<'a> SpecV1<'a> {
    pub(super) fn of(spec: &'a SessionSpec) -> Result<Self, Unstorable> {
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
            permission_policy: PermissionPolicy { default, rules },
            gates,
            exclude_from_training,
            tags,
            metadata,
        } = spec;
        Ok(Self {
            title: Cow::Borrowed(title),
            description: description.clone(),
            session_type: session_type.as_str(),
            priority: priority.as_str(),
            on_parent_end: on_parent_end.as_str(),
            execution_mode: execution_mode.as_str(),
            agent: agent.clone(),
            required_capabilities: required_capabilities.clone(),
            technologies: technologies.clone(),
            preferred_agent_type: preferred_agent_type.map(|of| of.as_str().to_owned()),
            preferred_agent_ids: preferred_agent_ids.iter().map(|id| *id.as_bytes()).collect(),
            min_performance_tier: min_performance_tier.map(|tier| tier.as_str().to_owned()),
            estimated_complexity: *estimated_complexity,
            agent_config: json_map(agent_config)?.into(),
            model_identifier: model_identifier.clone(),
            initial_prompt: Cow::Borrowed(initial_prompt),
            max_duration_seconds: *max_duration_seconds,
            queue_timeout_seconds: *queue_timeout_seconds,
            pause_timeout_seconds: *pause_timeout_seconds,
            degraded_grace_seconds: *degraded_grace_seconds,
            cpu_limit: *cpu_limit,
            memory_limit_mb: *memory_limit_mb,
            budget_micros: budget_usd.map(Usd::micros),
            token_budget: *token_budget,
            retry: RetryV1::of(retry),
            not_before: millis(*not_before),
            workspace: WorkspaceSpecV1::of(workspace),
            permission_default: default.as_str(),
            permission_rules: rules.iter().map(PermissionRuleV1::of).collect(),
            gates: gates.iter().map(GateV1::of).collect(),
            exclude_from_training: *exclude_from_training,
            tags: tags.clone(),
            metadata: json_map(metadata)?.into(),
        })
    }

    pub(super) fn domain(self) -> Result<SessionSpec, Unreadable> {
        let Self {
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
            budget_micros,
            token_budget,
            retry,
            not_before,
            workspace,
            permission_default,
            permission_rules,
            gates,
            exclude_from_training,
            tags,
            metadata,
        } = self;
        let rules = permission_rules.into_iter().map(PermissionRuleV1::domain);
        Ok(SessionSpec {
            title: title.into_owned(),
            description,
            session_type: word(session_type, SessionType::parse, "session_type")?,
            priority: word(priority, Priority::parse, "priority")?,
            on_parent_end: word(on_parent_end, OnParentEnd::parse, "on_parent_end")?,
            execution_mode: word(execution_mode, ExecutionMode::parse, "execution_mode")?,
            agent,
            required_capabilities,
            technologies,
            preferred_agent_type: preferred_agent_type
                .map(|slug| word(&slug, AgentType::parse, "preferred_agent_type"))
                .transpose()?,
            preferred_agent_ids: preferred_agent_ids.into_iter().map(AgentId::from_bytes).collect(),
            min_performance_tier: min_performance_tier
                .map(|slug| word(&slug, Tier::parse, "min_performance_tier"))
                .transpose()?,
            estimated_complexity,
            agent_config: map(&agent_config, "agent_config")?,
            model_identifier,
            initial_prompt: initial_prompt.into_owned(),
            max_duration_seconds,
            queue_timeout_seconds,
            pause_timeout_seconds,
            degraded_grace_seconds,
            cpu_limit,
            memory_limit_mb,
            budget_usd: budget_micros.map(Usd::from_micros),
            token_budget,
            retry: retry.domain(),
            not_before: time(not_before),
            workspace: workspace.domain(),
            permission_policy: PermissionPolicy {
                default: word(permission_default, PermissionDecision::parse, "permission_default")?,
                rules: rules.collect::<Result<_, _>>()?,
            },
            gates: gates.into_iter().map(GateV1::domain).collect(),
            exclude_from_training,
            tags,
            metadata: map(&metadata, "metadata")?,
        })
    }
}

impl RetryV1 {
    fn of(retry: &RetryPolicy) -> Self {
        let RetryPolicy {
            max_retries,
            initial_backoff_seconds,
            backoff_factor,
            max_backoff_seconds,
            jitter,
        } = *retry;
        Self { max_retries, initial_backoff_seconds, backoff_factor, max_backoff_seconds, jitter }
    }

    fn domain(self) -> RetryPolicy {
        let Self {
            max_retries,
            initial_backoff_seconds,
            backoff_factor,
            max_backoff_seconds,
            jitter,
        } = self;
        RetryPolicy {
            max_retries,
            initial_backoff_seconds,
            backoff_factor,
            max_backoff_seconds,
            jitter,
        }
    }
}

impl WorkspaceSpecV1 {
    fn of(spec: &WorkspaceSpec) -> Self {
        match spec.clone() {
            WorkspaceSpec::None => Self::None,
            WorkspaceSpec::Directory { path } => Self::Directory { path },
            WorkspaceSpec::Git { repo, base_ref, branch } => Self::Git { repo, base_ref, branch },
        }
    }

    fn domain(self) -> WorkspaceSpec {
        match self {
            Self::None => WorkspaceSpec::None,
            Self::Directory { path } => WorkspaceSpec::Directory { path },
            Self::Git { repo, base_ref, branch } => WorkspaceSpec::Git { repo, base_ref, branch },
        }
    }
}

impl PermissionRuleV1 {
    fn of(rule: &PermissionRule) -> Self {
        let PermissionRule { tool, calls, decision } = rule.clone();
        let calls = match calls {
            Calls::All => CallsV1::All,
            Calls::Like(glob) => CallsV1::Like(glob),
            Calls::Exactly(call) => CallsV1::Exactly(call),
        };
        Self { tool, calls, decision: decision.as_str().to_owned() }
    }

    fn domain(self) -> Result<PermissionRule, Unreadable> {
        let Self { tool, calls, decision } = self;
        let calls = match calls {
            CallsV1::All => Calls::All,
            CallsV1::Like(glob) => Calls::Like(glob),
            CallsV1::Exactly(call) => Calls::Exactly(call),
        };
        let decision = word(&decision, PermissionDecision::parse, "permission_rules")?;
        Ok(PermissionRule { tool, calls, decision })
    }
}

impl GateV1 {
    fn of(gate: &Gate) -> Self {
        let Gate { name, command, timeout_seconds, required } = gate.clone();
        Self { name, command, timeout_seconds, required }
    }

    fn domain(self) -> Gate {
        let Self { name, command, timeout_seconds, required } = self;
        Gate { name, command, timeout_seconds, required }
    }
}
