//! What happened, as data: born in the domain, numbered by the store, read by everybody.
//!
//! Invariant: a stored event is never changed; its `seq` is gap-free per tenant.

use serde_json::{Map, Value};

use super::ids::{EventId, SessionId, TenantId};
use super::tenant::key::Role;
use super::time::Timestamp;
use crate::closed_enum;

closed_enum!(
    /// Every event type that this version writes; append-only.
    EventType {
        SessionCreated = "session.created",
        SessionUpdated = "session.updated",
        SessionDeleted = "session.deleted",
        SessionStatusChanged = "session.status_changed",
        SessionQueued = "session.queued",
        SessionStarted = "session.started",
        SessionPaused = "session.paused",
        SessionResumed = "session.resumed",
        SessionStopped = "session.stopped",
        SessionCancelled = "session.cancelled",
        SessionOrphaned = "session.orphaned",
        SessionDegraded = "session.degraded",
        SessionRecovered = "session.recovered",
        SessionAttentionChanged = "session.attention_changed",
        SessionPhaseChanged = "session.phase_changed",
        SessionCheckpointCreated = "session.checkpoint_created",
        SessionCheckpointRestored = "session.checkpoint_restored",
        SessionForked = "session.forked",
        SessionRetryScheduled = "session.retry_scheduled",
        SessionPromptInjected = "session.prompt_injected",
        SessionCompleted = "session.completed",
        SessionPartiallyCompleted = "session.partially_completed",
        SessionFailed = "session.failed",
        SessionTimedOut = "session.timed_out",
        SessionMerged = "session.merged",
        SessionRated = "session.rated",
        SessionVerified = "session.verified",
        SessionAtRisk = "session.at_risk",
        UsageRecorded = "usage.recorded",
        UsageSoftLimitReached = "usage.soft_limit_reached",
        UsageHardLimitReached = "usage.hard_limit_reached",
        UsageRollupCompleted = "usage.rollup_completed",
        UsagePricesUpdated = "usage.prices_updated",
        AgentRegistered = "agent.registered",
        AgentStaleResultRejected = "agent.stale_result_rejected",
        TenantKeyCreated = "tenant.key_created",
        TenantKeyRotated = "tenant.key_rotated",
        TenantKeyRevoked = "tenant.key_revoked",
        TenantQuotaChanged = "tenant.quota_changed",
        TenantQuotaExceeded = "tenant.quota_exceeded",
        TenantUpdated = "tenant.updated",
        TenantAdmissionsHeld = "tenant.admissions_held",
        TenantAdmissionsReleased = "tenant.admissions_released",
        SystemStarted = "system.started",
        SystemRecovered = "system.recovered",
        SystemStopping = "system.stopping",
        SystemAlert = "system.alert",
        SystemHealthChanged = "system.health_changed",
        TenantCreated = "tenant.created",
        TenantActivated = "tenant.activated",
        TenantDeactivated = "tenant.deactivated",
        TenantUserAdded = "tenant.user_added",
        TenantUserUpdated = "tenant.user_updated",
        TenantUserRemoved = "tenant.user_removed",
        AgentTaskCompleted = "agent.task_completed",
        AgentPerformanceUpdated = "agent.performance_updated",
        AgentTierChanged = "agent.tier_changed",
        AgentBreakerChanged = "agent.breaker_changed",
        AgentUpdated = "agent.updated",
        AgentDeregistered = "agent.deregistered",
        AgentApproved = "agent.approved",
        AgentTaskAssigned = "agent.task_assigned",
        AgentTaskAcknowledged = "agent.task_acknowledged",
        AgentLeaseExpired = "agent.lease_expired",
        AgentTokenRotated = "agent.token_rotated",
        AgentRebalanced = "agent.rebalanced",
        ContextCreated = "context.created",
        ContextUpdated = "context.updated",
        ContextDeleted = "context.deleted",
        ContextExpired = "context.expired",
        ContextConflictRejected = "context.conflict_rejected",
        ContextMerged = "context.merged",
        ContextMergeConflicted = "context.merge_conflicted",
        ContextMergeResolved = "context.merge_resolved",
        ContextShared = "context.shared",
        ContextPromoted = "context.promoted",
        LockQueued = "lock.queued",
        LockAcquired = "lock.acquired",
        LockReleased = "lock.released",
        LockExpired = "lock.expired",
        LockLost = "lock.lost",
        LockForceReleased = "lock.force_released",
        LockWaitTimeout = "lock.wait_timeout",
        LockDeadlockDetected = "lock.deadlock_detected",
        AgentStateChanged = "agent.state_changed",
        AgentLoadChanged = "agent.load_changed",
        AgentTaskOverrun = "agent.task_overrun",
        SessionTaskAdded = "session.task_added",
        TaskCreated = "task.created",
        TaskUpdated = "task.updated",
        TaskDeleted = "task.deleted",
        TaskStatusChanged = "task.status_changed",
        TaskAssigned = "task.assigned",
        TaskDecomposed = "task.decomposed",
        TaskDependencyAdded = "task.dependency_added",
        TaskDependencyRemoved = "task.dependency_removed",
        TaskDependencySatisfied = "task.dependency_satisfied",
        TaskRetried = "task.retried",
        TaskGraphStarted = "task.graph_started",
        TaskGraphCompleted = "task.graph_completed",
        TenantTemplateChanged = "tenant.template_changed",
    }
);

impl EventType {
    /// The lowest role that is told: people, keys and quotas are a matter of administrators.
    #[must_use]
    pub fn needs(self) -> Role {
        if self.as_str().starts_with("tenant.") { Role::Admin } else { Role::Viewer }
    }

    /// Whether an external agent is told of it when it is about itself: its work, and how it is seen. Who
    /// changed something about it, and what others are given, is none of its business.
    #[must_use]
    pub fn is_for_its_agent(self) -> bool {
        matches!(
            self,
            Self::AgentRegistered
                | Self::AgentDeregistered
                | Self::AgentTaskAssigned
                | Self::AgentTaskAcknowledged
                | Self::AgentTaskCompleted
                | Self::AgentTaskOverrun
                | Self::AgentLeaseExpired
                | Self::AgentStaleResultRejected
                | Self::AgentStateChanged
                | Self::AgentLoadChanged
                | Self::AgentPerformanceUpdated
                | Self::AgentTierChanged
                | Self::AgentBreakerChanged
        )
    }
}

closed_enum!(
    /// What an event or audit entry is about.
    SubjectKind {
        Session = "session",
        Agent = "agent",
        Attention = "attention",
        Tenant = "tenant",
        Key = "key",
        System = "system",
        Webhook = "webhook",
        User = "user",
        Context = "context",
        Lock = "lock",
        Task = "task",
    }
);

/// The thing that an event or audit entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Its kind.
    pub kind: SubjectKind,
    /// Its id.
    pub id: uuid::Uuid,
}

impl Subject {
    /// A session.
    #[must_use]
    pub const fn session(id: SessionId) -> Self {
        Self { kind: SubjectKind::Session, id: id.uuid() }
    }
}

/// An event before the store has numbered it.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainEvent {
    /// The kind of happening.
    pub event_type: EventType,
    /// What it happened to.
    pub subject: Subject,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The facts, by the names of the specification; always repeats the subject as `<kind>_id`.
    pub payload: Map<String, Value>,
}

impl DomainEvent {
    /// An event whose payload is the given JSON object plus the subject's id.
    #[must_use]
    pub fn new(event_type: EventType, subject: Subject, at: Timestamp, payload: Value) -> Self {
        let mut payload = match payload {
            Value::Object(map) => map,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        };
        payload.insert(format!("{}_id", subject.kind), Value::String(subject.id.to_string()));
        Self { event_type, subject, occurred_at: at, payload }
    }
}

/// An event as it stands in the log of its tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Its identity.
    pub id: EventId,
    /// Its number in the tenant, from 1 without gap.
    pub seq: u64,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What happened.
    pub event: DomainEvent,
}
