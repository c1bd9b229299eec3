//! A task: a unit in the breakdown of a piece of work, a leaf that is executed or a container.
//!
//! `spec` is what it is asked to be, `life` how it moves, `dependency` what it waits for. All tasks of
//! a session together are a `forest` with a `graph` over its leaves; `critical_path` says when each of
//! them can run at all, and `run` decides what happens next; `book` says how a session's are executed. `rollup` and `view` tell how they stand.
//!
//! Invariant: the status has one writer, `Task::transition`; stamps follow it there and nowhere else.

pub mod status;

pub mod dependency;
pub mod estimate;

pub mod draft;
pub mod spec;

pub mod life;

pub mod critical_path;
pub mod forest;
pub mod graph;

pub mod book;
pub mod child;
pub mod run;

pub mod rollup;
#[cfg(test)]
mod tests;
pub mod view;

use serde_json::{Map, Value, json};

use self::dependency::Dependency;
use self::estimate::{ComplexityLevel, Estimate};
use self::spec::TaskSpec;
use self::status::{InvalidTransition, TaskStatus, Trigger};
use super::event::{DomainEvent, EventType, Subject, SubjectKind};
use super::ids::{AgentId, SessionId, TaskId, TenantId};
use super::session::Cause;
use super::time::Timestamp;

/// Most levels of a tree of tasks.
pub const MOST_LEVELS: u32 = 10;
/// Attempts that are remembered of a task, newest last.
const ATTEMPTS_KEPT: usize = 10;

/// Where a task stands, why and since when; written by `Task::transition` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    status: TaskStatus,
    reason: Option<String>,
    updated_at: Timestamp,
}

impl Standing {
    /// What a store reads back; not a way to move a task.
    #[must_use]
    pub const fn stored(status: TaskStatus, reason: Option<String>, at: Timestamp) -> Self {
        Self { status, reason, updated_at: at }
    }
}

/// Where a task stands in the breakdown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The task that it is a part of.
    pub parent_task_id: Option<TaskId>,
    /// 0 for a root, at most 9.
    pub depth: u32,
    /// Among its siblings, from 0.
    pub position: u32,
    /// The template that made it.
    pub template_key: Option<String>,
}

/// Why a task gets no further part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlaceRefused {
    /// The tree would have more levels than it may.
    #[error("the task stands at the deepest level that a tree of tasks can have")]
    TooDeep,
    /// Somebody works on it or did: it is no container any more.
    #[error("the task was given to somebody or has ended; it gets no further parts")]
    AlreadyStarted,
}

/// Why a task failed.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskError {
    /// Stable word.
    pub error_type: String,
    /// For people.
    pub message: String,
    /// Further facts.
    pub context: Value,
    /// When.
    pub timestamp: Timestamp,
}

/// What its execution brought so far, in its current attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Work {
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Whose it is.
    pub assigned_agent_id: Option<AgentId>,
    /// Since when.
    pub assigned_at: Option<Timestamp>,
    /// The session that executes it.
    pub child_session_id: Option<SessionId>,
    /// First entry to `in_progress`.
    pub started_at: Option<Timestamp>,
    /// First entry to `completed`.
    pub completed_at: Option<Timestamp>,
    /// First entry to `failed`.
    pub failed_at: Option<Timestamp>,
    /// The work is done, and waits for the gates of its end.
    pub is_done: bool,
    /// 0–99, as the agent reports.
    pub reported_progress: u8,
    /// What it gave.
    pub result: Option<Map<String, Value>>,
    /// Why it failed.
    pub error: Option<TaskError>,
    /// What it left behind.
    pub artifacts: Vec<Map<String, Value>>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            attempt: 1,
            assigned_agent_id: None,
            assigned_at: None,
            child_session_id: None,
            started_at: None,
            completed_at: None,
            failed_at: None,
            is_done: false,
            reported_progress: 0,
            result: None,
            error: None,
            artifacts: Vec::new(),
        }
    }
}

/// A task as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its identity.
    pub id: TaskId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The root session that it belongs to.
    pub session_id: SessionId,
    /// What it is asked to be.
    pub spec: TaskSpec,
    /// Where it stands in the breakdown.
    pub place: Place,
    /// How long it is expected to take.
    pub estimate: Option<Estimate>,
    /// Where it stands.
    pub standing: Standing,
    /// What it waits for.
    pub dependencies: Vec<Dependency>,
    /// What its execution brought.
    pub work: Work,
    /// When it was made.
    pub created_at: Timestamp,
    /// Newest accepted change.
    pub updated_at: Timestamp,
    /// Soft deletion.
    pub deleted_at: Option<Timestamp>,
}

impl Task {
    /// A new task in `pending`, with the event that tells of it.
    #[must_use]
    pub fn create(
        id: TaskId,
        owner: (TenantId, SessionId),
        (spec, estimate): (TaskSpec, Option<Estimate>),
        place: Place,
        now: Timestamp,
    ) -> (Self, DomainEvent) {
        let (tenant_id, session_id) = owner;
        let task = Self {
            id,
            tenant_id,
            session_id,
            spec,
            place,
            estimate,
            standing: Standing::stored(TaskStatus::Pending, None, now),
            dependencies: Vec::new(),
            work: Work::default(),
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        let payload = json!({
            "session_id": session_id, "title": task.spec.title,
            "parent_task_id": task.place.parent_task_id,
        });
        let event = task.event(EventType::TaskCreated, now, payload);
        (task, event)
    }

    /// The place of a new part of it, behind so many that it has.
    ///
    /// # Errors
    /// `PlaceRefused`.
    pub fn place_below(&self, parts: u32) -> Result<Place, PlaceRefused> {
        if self.place.depth + 1 >= MOST_LEVELS {
            return Err(PlaceRefused::TooDeep);
        }
        // A container is open as long as it has not ended; a leaf as long as nobody was given it.
        let is_open = if parts > 0 {
            !self.status().is_final() && self.status() != TaskStatus::Failed
        } else {
            self.status().is_waiting() && !self.work.is_done
        };
        if !is_open {
            return Err(PlaceRefused::AlreadyStarted);
        }
        let depth = self.place.depth + 1;
        let parent_task_id = Some(self.id);
        Ok(Place { parent_task_id, depth, position: parts, template_key: None })
    }

    /// Where it stands.
    #[must_use]
    pub const fn status(&self) -> TaskStatus {
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

    /// Hours that it is expected to take; 0 without an estimate.
    #[must_use]
    pub fn expected_hours(&self) -> f64 {
        self.estimate.as_ref().map_or(0.0, |estimate| estimate.hours.expected())
    }

    /// How hard it is; unknown without an estimate.
    #[must_use]
    pub fn complexity_level(&self) -> Option<ComplexityLevel> {
        self.estimate.as_ref().map(|estimate| estimate.hours.level())
    }

    /// Whether it has no part that it belongs to.
    #[must_use]
    pub const fn is_root_task(&self) -> bool {
        self.place.parent_task_id.is_none()
    }

    /// Whether somebody began it in its current attempt.
    #[must_use]
    pub const fn has_started(&self) -> bool {
        self.work.started_at.is_some()
    }

    /// Whether the executor may try it once more after a failure.
    #[must_use]
    pub const fn has_retries_left(&self) -> bool {
        self.work.attempt <= self.spec.max_retries
    }

    /// Whether what it gave is only a part.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        let partial = self.work.result.as_ref().and_then(|result| result.get("partial"));
        partial.and_then(Value::as_bool) == Some(true)
    }

    /// The subject of its events and audit entries.
    #[must_use]
    pub const fn subject(&self) -> Subject {
        Subject { kind: SubjectKind::Task, id: self.id.uuid() }
    }

    /// An event about this task.
    #[must_use]
    pub fn event(&self, event_type: EventType, at: Timestamp, payload: Value) -> DomainEvent {
        DomainEvent::new(event_type, self.subject(), at, payload)
    }

    /// Moves it by a verb and tells of it.
    ///
    /// # Errors
    /// `InvalidTransition`; the task is as it was then.
    fn transition(
        &mut self,
        verb: Trigger,
        cause: Cause<'_>,
    ) -> Result<DomainEvent, InvalidTransition> {
        let before = self.status();
        let after = before.after(verb)?;
        self.standing = Standing::stored(after, cause.reason.map(str::to_owned), cause.at);
        self.updated_at = cause.at;
        self.enter(after, cause.at);
        let payload = json!({
            "session_id": self.session_id, "old_status": before, "new_status": after,
            "reason": cause.reason,
        });
        Ok(self.event(EventType::TaskStatusChanged, cause.at, payload))
    }

    fn enter(&mut self, after: TaskStatus, now: Timestamp) {
        match after {
            TaskStatus::InProgress => {
                self.work.started_at.get_or_insert(now);
            }
            TaskStatus::Completed => {
                self.work.completed_at.get_or_insert(now);
                self.work.is_done = true;
            }
            TaskStatus::Failed => {
                self.work.failed_at.get_or_insert(now);
            }
            TaskStatus::Assigned => {
                self.work.assigned_at.get_or_insert(now);
            }
            TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Blocked
            | TaskStatus::Paused
            | TaskStatus::Cancelled
            | TaskStatus::Skipped => {}
        }
    }

    /// Moves what the attempt that ended left to `metadata.attempts`, and begins the next.
    fn shelve_attempt(&mut self) {
        let Work { attempt, started_at, failed_at, result, error, .. } =
            std::mem::take(&mut self.work);
        let entry = json!({
            "attempt": attempt, "started_at": started_at, "failed_at": failed_at,
            "result": result, "error": error.map(|error| json!({
                "type": error.error_type, "message": error.message,
                "context": error.context, "timestamp": error.timestamp,
            })),
        });
        let kept = self.spec.metadata.entry("attempts").or_insert_with(|| json!([]));
        if !kept.is_array() {
            *kept = json!([]);
        }
        if let Some(entries) = kept.as_array_mut() {
            entries.push(entry);
            let extra = entries.len().saturating_sub(ATTEMPTS_KEPT);
            entries.drain(..extra);
        }
        self.work.attempt = attempt + 1;
    }
}
