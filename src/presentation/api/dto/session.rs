//! A session on the wire: every field of domain 1.1, always present.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::actions::allowed_actions;
use super::attempt::AttemptDto;
use super::checkpoint::CheckpointDto;
use super::metrics::MetricsDto;
use super::spec::{GateDto, PermissionPolicyDto, RetryPolicyDto, WorkspaceDto};
use super::verification::VerificationDto;
use crate::domain::agent::kind::AgentType;
use crate::domain::agent::performance::Tier;
use crate::domain::attention::Attention;
use crate::domain::ids::{AgentId, SessionId, TaskId, TenantId};
use crate::domain::money::Usd;
use crate::domain::session::metrics::health_score;
use crate::domain::session::spec::{ExecutionMode, OnParentEnd, SessionSpec, SessionType};
use crate::domain::session::status::SessionStatus;
use crate::domain::session::{DegradedReason, Lineage, Phase, RunState, Session, Stamps};
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;
use crate::presentation::api::answer::Viewer;

/// A session as it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
#[expect(missing_docs, reason = "the fields are those of domain 1.1")]
#[expect(clippy::struct_excessive_bools, reason = "the wire names each fact by itself")]
pub struct SessionDto {
    pub id: SessionId,
    pub tenant_id: TenantId,
    /// What people call it; accepted wherever the id is.
    #[schema(example = "IND-000042", pattern = "^IND-[0-9]{6,}$")]
    pub code: String,
    #[schema(min_length = 1, max_length = 200)]
    pub title: String,
    pub description: Option<String>,
    pub session_type: SessionType,
    /// 0 critical, 1 high, 2 medium, 3 low, 4 deferred.
    #[schema(minimum = 0, maximum = 4)]
    pub priority: u8,
    pub status: SessionStatus,
    pub status_reason: Option<String>,
    pub status_updated_at: Timestamp,
    /// Offered for display beside the status.
    pub sign: &'static str,
    pub attention: Attention,
    pub phase: Option<Phase>,
    pub parent_id: Option<SessionId>,
    /// Direct children, oldest first; null where they were not read (lists, answers of commands).
    pub child_ids: Option<Vec<SessionId>>,
    pub depth: u32,
    pub forked_from: Option<ForkedFromDto>,
    pub task_id: Option<TaskId>,
    /// The sessions that must have completed before it begins.
    pub after: Vec<SessionId>,
    pub on_parent_end: OnParentEnd,
    pub execution_mode: ExecutionMode,
    /// Pinned agent, as it was named.
    pub agent: Option<String>,
    /// Pinned agent, when it was named by its id.
    pub pinned_agent_id: Option<AgentId>,
    /// Holder of the lease.
    pub current_agent_id: Option<AgentId>,
    pub current_agent_name: Option<String>,
    pub required_capabilities: Vec<String>,
    pub technologies: Vec<String>,
    pub preferred_agent_type: Option<AgentType>,
    pub preferred_agent_ids: Vec<AgentId>,
    pub min_performance_tier: Option<Tier>,
    pub estimated_complexity: f64,
    #[schema(value_type = Object)]
    pub agent_config: Map<String, Value>,
    pub model_identifier: Option<String>,
    pub initial_prompt: String,
    pub max_duration_seconds: u32,
    pub queue_timeout_seconds: Option<u32>,
    pub pause_timeout_seconds: Option<u32>,
    pub degraded_grace_seconds: u32,
    pub cpu_limit: Option<f64>,
    pub memory_limit_mb: Option<u32>,
    pub budget_usd: Option<Usd>,
    pub token_budget: Option<u64>,
    pub retry_policy: RetryPolicyDto,
    pub not_before: Option<Timestamp>,
    pub workspace: WorkspaceDto,
    pub permission_policy: PermissionPolicyDto,
    pub gates: Vec<GateDto>,
    pub exclude_from_training: bool,
    pub metrics: MetricsDto,
    /// Number of the current or latest attempt; 0 before the first.
    pub attempt: u32,
    pub checkpoint_count: u64,
    pub next_attempt_at: Option<Timestamp>,
    /// Asked to pause; the current turn is still being finished.
    pub pause_requested: bool,
    /// Asked to resume; waits for a slot.
    pub resume_requested: bool,
    pub degraded_reasons: Vec<DegradedReason>,
    pub degraded_since: Option<Timestamp>,
    #[schema(minimum = 0, maximum = 1)]
    /// What its gates said last.
    pub verification: Option<VerificationDto>,
    pub health_score: f64,
    pub is_recoverable: bool,
    /// What this caller may do with it now, as the paths name it.
    pub allowed_actions: Vec<&'static str>,
    pub created_by: String,
    pub tags: Vec<String>,
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub queued_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    pub failed_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// Counts the accepted changes; the number inside the `ETag`.
    pub revision: u64,
}

/// Where a fork comes from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ForkedFrom)]
pub struct ForkedFromDto {
    /// The source.
    pub session_id: SessionId,
    /// Null when only the definition was copied.
    pub checkpoint_sequence: Option<u64>,
}

/// A session with what was asked for by `include`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionDetail)]
pub struct SessionDetailDto {
    /// The session.
    #[serde(flatten)]
    pub session: SessionDto,
    /// With `include=checkpoints`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoints: Option<Vec<CheckpointDto>>,
    /// With `include=attempts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Vec<AttemptDto>>,
}

impl SessionDto {
    /// The session as this viewer sees it.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one line a field, so that none is forgotten")]
    pub fn new(
        found: Versioned<Session>,
        child_ids: Option<Vec<SessionId>>,
        viewer: Viewer,
    ) -> Self {
        // What depends on several parts is asked for while the session is still whole.
        let Versioned { version, value: mut session } = found;
        let (status, status_updated_at) = (session.status(), session.status_updated_at());
        let status_reason = session.status_reason().map(str::to_owned);
        let health_score = health_score(status, session.share_of_time(viewer.now));
        let is_recoverable = session.is_recoverable();
        let allowed_actions = allowed_actions(&session, viewer.role);
        // Last: the others look at the figures too.
        let metrics = MetricsDto::take(&mut session, viewer.now);
        let Session {
            id,
            tenant_id,
            code,
            spec,
            lineage,
            standing: _,
            attention,
            phase,
            run,
            metrics: _,
            stamps,
            created_by,
        } = session;
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
        let Lineage { parent_id, depth, forked_from, task_id, after } = lineage;
        let Stamps {
            created_at,
            updated_at,
            queued_at,
            started_at,
            paused_at: _,
            completed_at,
            failed_at,
            ended_at,
            deleted_at: _,
        } = stamps;
        let RunState {
            attempt,
            lease,
            clock: _,
            start_wanted: _,
            pause_wanted,
            resume_wanted,
            next_attempt_at,
            resume_from: _,
            last_checkpoint: _,
            checkpoint_count,
            degraded_since,
            degraded_reasons,
            prompt: _,
            prompts: _,
            workspace: made,
            handle: _,
            message_ref: _,
            workspace_ref: _,
            budget_told: _,
            blocking_items: _,
            at_risk_told: _,
            verify_wanted: _,
            verification,
            met: _,
            avoid: _,
            falls_back: _,
            artifacts: _,
            is_partial: _,
        } = run;
        Self {
            id,
            tenant_id,
            code: code.to_string(),
            title,
            description,
            session_type,
            priority: priority.level(),
            status,
            status_reason,
            status_updated_at,
            sign: status.sign(),
            attention,
            phase,
            parent_id,
            child_ids,
            depth,
            forked_from: forked_from.map(|(session_id, checkpoint_sequence)| ForkedFromDto {
                session_id,
                checkpoint_sequence,
            }),
            task_id,
            after,
            on_parent_end,
            execution_mode,
            pinned_agent_id: agent.as_deref().and_then(AgentId::parse),
            agent,
            current_agent_id: lease.as_ref().map(|lease| lease.agent_id),
            current_agent_name: lease.map(|lease| lease.agent_name),
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
            retry_policy: retry.into(),
            not_before,
            workspace: WorkspaceDto::new(workspace, made),
            permission_policy: permission_policy.into(),
            gates: gates.into_iter().map(GateDto::from).collect(),
            exclude_from_training,
            metrics,
            attempt,
            checkpoint_count,
            next_attempt_at,
            pause_requested: pause_wanted.is_some(),
            resume_requested: resume_wanted,
            degraded_reasons,
            degraded_since,
            verification: verification.map(VerificationDto::from),
            health_score,
            is_recoverable,
            allowed_actions,
            created_by,
            tags,
            metadata,
            created_at,
            updated_at,
            queued_at,
            started_at,
            completed_at,
            failed_at,
            ended_at,
            revision: version.get(),
        }
    }
}
