//! A session: one supervised piece of coding work.
//!
//! Invariant: the status has one writer, `Session::transition`; whatever a move entails for the
//! session's own fields (clock, stamps, lease, wishes) happens there and nowhere else.
//! Invariant: a session that executes holds a lease, and no other does.

pub mod artifact;
pub mod at_risk;
pub mod attempt;
pub mod checkpoint;
pub mod draft;
pub mod family;
pub mod gates;
pub mod graph;
pub mod life;
pub mod metrics;
pub mod policy;
pub mod prompts;
pub mod rating;
pub mod retry;
pub mod spec;
pub mod status;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use self::artifact::Artifact;
use self::attempt::{ExecutionClock, Lease};
use self::gates::Verification;
use self::metrics::Metrics;
use self::spec::SessionSpec;
use self::status::{InvalidTransition, SessionStatus, Trigger};
use super::attention::Attention;
use super::event::{DomainEvent, EventType, Subject, SubjectKind};
use super::ids::{AgentId, SessionId, TaskId, TenantId};
use super::time::Timestamp;
use super::usage::budget::{self, BudgetLevel, BudgetUse};
use super::workspace::Workspace;
use crate::closed_enum;

/// The number by which people call a session: `IND-000042`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionCode(u64);

impl SessionCode {
    /// Wraps the number that the tenant's sequence gave.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The plain number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Reads `IND-000042` in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (prefix, digits) = text.split_at_checked(4)?;
        let plain = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
        (plain && prefix.eq_ignore_ascii_case("IND-")).then(|| digits.parse().ok().map(Self))?
    }
}

impl std::fmt::Display for SessionCode {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "IND-{:06}", self.0)
    }
}

closed_enum!(
    /// What the agent says it is doing.
    Phase {
        Planning = "planning",
        Executing = "executing",
        Reviewing = "reviewing",
    }
);

closed_enum!(
    /// Why a session runs with reduced capacity.
    DegradedReason {
        HeartbeatLate = "heartbeat_late",
        StreamDisconnected = "stream_disconnected",
        ProviderRetrying = "provider_retrying",
        FallbackAgent = "fallback_agent",
    }
);

closed_enum!(
    /// When an injected prompt is taken up.
    PromptMode {
        Queue = "queue",
        Interrupt = "interrupt",
    }
);

/// Where a session stands, why and since when; written by `Session::transition` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    status: SessionStatus,
    reason: Option<String>,
    updated_at: Timestamp,
}

impl Standing {
    /// What a store reads back; not a way to move a session.
    #[must_use]
    pub const fn stored(status: SessionStatus, reason: Option<String>, at: Timestamp) -> Self {
        Self { status, reason, updated_at: at }
    }

    /// The status.
    #[must_use]
    pub const fn status(&self) -> SessionStatus {
        self.status
    }
}

/// Where a session comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lineage {
    /// The session that asked for it.
    pub parent_id: Option<SessionId>,
    /// 0 for a root, at most 10.
    pub depth: u32,
    /// The session that it is a copy of, and the checkpoint it was copied at.
    pub forked_from: Option<(SessionId, Option<u64>)>,
    /// The task that it executes.
    pub task_id: Option<TaskId>,
    /// The sessions that must have completed before it begins, at most 10.
    pub after: Vec<SessionId>,
}

/// When things happened to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamps {
    /// Creation.
    pub created_at: Timestamp,
    /// Newest accepted change.
    pub updated_at: Timestamp,
    /// Newest entry into the queue.
    pub queued_at: Option<Timestamp>,
    /// First grant.
    pub started_at: Option<Timestamp>,
    /// Newest pause, while paused.
    pub paused_at: Option<Timestamp>,
    /// End in `completed` or `partially_completed`.
    pub completed_at: Option<Timestamp>,
    /// End in `failed` or `timeout`.
    pub failed_at: Option<Timestamp>,
    /// Any end.
    pub ended_at: Option<Timestamp>,
    /// Soft deletion.
    pub deleted_at: Option<Timestamp>,
}

/// A prompt that a person added while the session ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedPrompt {
    /// Its identity; the same prompt is never given to the agent twice.
    pub id: uuid::Uuid,
    /// 1–100,000 characters.
    pub text: String,
    /// When it is taken up.
    pub mode: PromptMode,
    /// When it was added.
    pub at: Timestamp,
}

/// What the session's execution needs to go on after any interruption.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of one run")]
pub struct RunState {
    /// Number of the current or latest attempt; 0 before the first.
    pub attempt: u32,
    /// The current right to work on it.
    pub lease: Option<Lease>,
    /// Time of the current attempt.
    pub clock: ExecutionClock,
    /// Asked to run; waits for `not_before` or `next_attempt_at`.
    pub start_wanted: bool,
    /// Asked to pause at the end of the turn, and when that was.
    pub pause_wanted: Option<Timestamp>,
    /// Asked to resume; waits for a slot.
    pub resume_wanted: bool,
    /// When the next automatic attempt is due.
    pub next_attempt_at: Option<Timestamp>,
    /// The checkpoint that the next run goes on from, when one was named.
    pub resume_from: Option<u64>,
    /// Sequence of the newest checkpoint; 0 before the first.
    pub last_checkpoint: u64,
    /// Checkpoints kept.
    pub checkpoint_count: u64,
    /// Since when it is degraded.
    pub degraded_since: Option<Timestamp>,
    /// Why it is degraded; empty otherwise.
    pub degraded_reasons: Vec<DegradedReason>,
    /// What the agent was last told; told again after an interruption, it is not done twice.
    pub prompt: Option<QueuedPrompt>,
    /// Prompts that wait for the end of the turn or for the resume.
    pub prompts: Vec<QueuedPrompt>,
    /// The workspace, once made.
    pub workspace: Option<Workspace>,
    /// What the driver needs to find the agent's conversation again; stored before a prompt is sent.
    pub handle: Option<Value>,
    /// The conversation's newest complete message.
    pub message_ref: Option<String>,
    /// The newest commit that the working tree was saved as.
    pub workspace_ref: Option<String>,
    /// How near to its budget it was told to be; `None` while that is far.
    pub budget_told: Option<BudgetLevel>,
    /// Open items that the agent waits for; the clock stands still meanwhile.
    pub blocking_items: u32,
    /// That this attempt runs out of time was told.
    pub at_risk_told: bool,
    /// Since when somebody is promised what the gates say.
    pub verify_wanted: Option<Timestamp>,
    /// What the gates said last.
    pub verification: Option<Verification>,
    /// Of those that it comes after, the ones that were seen to have completed.
    pub met: Vec<SessionId>,
    /// Agents that this attempt is not given to any more: they refused it, or were lost with it.
    pub avoid: Vec<AgentId>,
    /// Its agent was lost: the next lease is a fallback.
    pub falls_back: bool,
    /// Files that agents brought back, by path.
    pub artifacts: Vec<Artifact>,
    /// What was brought with the turn before a pause is a part of what was wanted.
    pub is_partial: bool,
}

/// A session as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its identity.
    pub id: SessionId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What people call it.
    pub code: SessionCode,
    /// What it is asked to be.
    pub spec: SessionSpec,
    /// Where it comes from.
    pub lineage: Lineage,
    /// Where it stands.
    pub standing: Standing,
    /// The most urgent thing that a person should look at.
    pub attention: Attention,
    /// What the agent says it is doing.
    pub phase: Option<Phase>,
    /// What its execution needs.
    pub run: RunState,
    /// What was measured.
    pub metrics: Metrics,
    /// When things happened.
    pub stamps: Stamps,
    /// Who made it.
    pub created_by: String,
}

/// Who moves a session, why and when.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    /// Who: a key, `scheduler`, `supervisor`, `agent`, `recovery`.
    pub actor: &'a str,
    /// Why, for people.
    pub reason: Option<&'a str>,
    /// When.
    pub at: Timestamp,
}

impl<'a> Cause<'a> {
    /// Somebody acts without giving a reason.
    #[must_use]
    pub const fn by(actor: &'a str, at: Timestamp) -> Self {
        Self { actor, reason: None, at }
    }

    /// The same with a reason.
    #[must_use]
    pub const fn because(self, reason: &'a str) -> Self {
        Self { reason: Some(reason), ..self }
    }
}

impl Session {
    /// A new session in `pending`, with the event that tells of it.
    #[must_use]
    pub fn create(
        id: SessionId,
        tenant_id: TenantId,
        code: SessionCode,
        spec: SessionSpec,
        lineage: Lineage,
        created_by: &str,
        now: Timestamp,
    ) -> (Self, DomainEvent) {
        let session = Self {
            id,
            tenant_id,
            code,
            spec,
            lineage,
            standing: Standing::stored(SessionStatus::Pending, None, now),
            attention: Attention::None,
            phase: None,
            run: RunState::default(),
            metrics: Metrics::default(),
            stamps: Stamps {
                created_at: now,
                updated_at: now,
                queued_at: None,
                started_at: None,
                paused_at: None,
                completed_at: None,
                failed_at: None,
                ended_at: None,
                deleted_at: None,
            },
            created_by: created_by.to_owned(),
        };
        let event = session.event(
            EventType::SessionCreated,
            now,
            json!({
                "code": code.to_string(), "title": session.spec.title,
                "session_type": session.spec.session_type,
                "priority": session.spec.priority.level(), "created_by": created_by,
                "parent_id": session.lineage.parent_id,
                "forked_from": session.lineage.forked_from.map(|(id, sequence)| {
                    json!({ "session_id": id, "checkpoint_sequence": sequence })
                }),
            }),
        );
        (session, event)
    }

    /// Where it stands.
    #[must_use]
    pub const fn status(&self) -> SessionStatus {
        self.standing.status
    }

    /// Why it stands there.
    #[must_use]
    pub fn status_reason(&self) -> Option<&str> {
        self.standing.reason.as_deref()
    }

    /// Since when it stands there.
    #[must_use]
    pub const fn status_updated_at(&self) -> Timestamp {
        self.standing.updated_at
    }

    /// The subject of its events and audit entries.
    #[must_use]
    pub const fn subject(&self) -> Subject {
        Subject { kind: SubjectKind::Session, id: self.id.uuid() }
    }

    /// An event about this session.
    #[must_use]
    pub fn event(&self, event_type: EventType, at: Timestamp, payload: Value) -> DomainEvent {
        DomainEvent::new(event_type, self.subject(), at, payload)
    }

    /// Whether the holder of this token may still change the session.
    #[must_use]
    pub fn is_held_by(&self, fencing_token: u64) -> bool {
        self.run.lease.as_ref().is_some_and(|lease| lease.fencing_token == fencing_token)
    }

    /// The tightest of its budgets, and what was used of it.
    #[must_use]
    pub fn budget(&self) -> Option<BudgetUse> {
        budget::tightest(self.spec.budget_usd, self.spec.token_budget, &self.metrics.usage)
    }

    /// Whether nothing is left of its budget.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.budget().is_some_and(|budget| budget.level() == BudgetLevel::Hard)
    }

    /// A budget was raised: what is told of it begins anew.
    pub fn budget_changed(&mut self) {
        let level = self.budget().map(|budget| budget.level());
        let near = level.filter(|level| *level != BudgetLevel::Free);
        self.run.budget_told = self.run.budget_told.min(near);
    }

    /// Moves the session by a verb and tells of it: the general event, then the verb's own.
    ///
    /// # Errors
    /// `InvalidTransition`; the session is as it was then.
    fn transition(
        &mut self,
        verb: Trigger,
        cause: Cause<'_>,
        event_type: EventType,
        payload: Value,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        let before = self.status();
        let after = before.after(verb)?;
        self.standing = Standing::stored(after, cause.reason.map(str::to_owned), cause.at);
        self.stamps.updated_at = cause.at;
        self.leave(before, after, cause.at);
        self.enter(after, cause.at);
        let changed = json!({
            "old_status": before, "new_status": after,
            "reason": cause.reason, "actor": cause.actor,
        });
        Ok(vec![
            self.event(EventType::SessionStatusChanged, cause.at, changed),
            self.event(event_type, cause.at, payload),
        ])
    }

    fn leave(&mut self, before: SessionStatus, after: SessionStatus, now: Timestamp) {
        if before == SessionStatus::Queued {
            let waited = self.stamps.queued_at.map_or(0, |since| millis(now, since));
            self.metrics.queue_ms = Some(self.metrics.queue_ms.unwrap_or(0) + waited);
        }
        if before.is_executing() && !after.is_executing() {
            self.run.clock.halt(now);
            self.run.lease = None;
            self.run.pause_wanted = None;
            self.run.degraded_since = None;
            self.run.degraded_reasons.clear();
            self.phase = None;
        }
        if before == SessionStatus::Paused {
            self.stamps.paused_at = None;
            self.run.resume_wanted = false;
        }
    }

    fn enter(&mut self, after: SessionStatus, now: Timestamp) {
        match after {
            SessionStatus::Queued => {
                self.stamps.queued_at = Some(now);
                self.run.start_wanted = false;
                self.run.next_attempt_at = None;
            }
            SessionStatus::Running | SessionStatus::Degraded => {
                self.stamps.started_at.get_or_insert(now);
                if self.run.blocking_items == 0 {
                    self.run.clock.run(now);
                }
            }
            SessionStatus::Paused => self.stamps.paused_at = Some(now),
            SessionStatus::Pending => {
                self.stamps.failed_at = None;
                self.stamps.ended_at = None;
                self.run.clock = ExecutionClock::default();
                self.run.at_risk_told = false;
            }
            SessionStatus::Completed | SessionStatus::PartiallyCompleted => {
                self.stamps.completed_at = Some(now);
                self.close(now);
            }
            SessionStatus::Failed | SessionStatus::Timeout => {
                self.stamps.failed_at = Some(now);
                self.close(now);
            }
            SessionStatus::Stopped | SessionStatus::Cancelled | SessionStatus::Orphaned => {
                self.close(now);
            }
        }
    }

    /// Effect M of the specification, as far as it is the session's own.
    fn close(&mut self, now: Timestamp) {
        self.stamps.ended_at = Some(now);
        self.attention = Attention::None;
        self.run.blocking_items = 0;
        self.run.start_wanted = false;
        self.run.resume_wanted = false;
        self.run.next_attempt_at = None;
        if self.run.attempt > 0 {
            let spent = u64::try_from(self.run.clock.at(now).as_millis()).unwrap_or(u64::MAX);
            self.metrics.execution_ms =
                Some(self.metrics.execution_ms.unwrap_or(0).saturating_add(spent));
        }
    }
}

/// Milliseconds between two instants.
fn millis(now: Timestamp, since: Timestamp) -> u64 {
    u64::try_from(now.since(since).as_millis()).unwrap_or(u64::MAX)
}
