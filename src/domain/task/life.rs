//! How a task moves: what commands, its child session and its dependencies make of it.
//!
//! Invariant: whoever ends the work decides nothing about gates; they are given, and a task whose work
//! is done behind a closed gate waits for it.

use serde_json::{Map, Value, json};

use super::status::{InvalidTransition, TaskStatus, Trigger};
use super::{Task, TaskError};
use crate::domain::event::{DomainEvent, EventType};
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::session::Cause;
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;

/// Most characters of what somebody says of a failure.
const MESSAGE: usize = 1000;

impl TaskError {
    /// What somebody says who fails a task.
    ///
    /// # Errors
    /// The broken rule.
    pub fn said(message: &str, now: Timestamp) -> Result<Self, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        errors.length("/error_message", message, 1, MESSAGE);
        errors.into_result(Self {
            error_type: "operator_failure".to_owned(),
            message: message.to_owned(),
            context: Value::Null,
            timestamp: now,
        })
    }
}

/// Which gates of a task stand open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gates {
    /// Those of its start, inherited ones included.
    pub start: bool,
    /// Those of its end.
    pub finish: bool,
}

impl Gates {
    /// Nothing is in the way.
    pub const OPEN: Self = Self { start: true, finish: true };
}

/// What a child session's state means for the task that it executes.
#[derive(Debug, Clone, PartialEq)]
pub enum ChildState {
    /// It waits for an agent, for the first time or once more.
    Waits,
    /// An agent works on it.
    Works,
    /// It is held.
    Held,
    /// It gave this, perhaps only in part.
    Gave {
        /// What it gave.
        result: Map<String, Value>,
        /// Only some of the work succeeded.
        partial: bool,
    },
    /// It failed, and its own policy tries it no more.
    Failed(TaskError),
    /// It was cut off.
    CutOff,
}

impl ChildState {
    /// What a session in this status is to its task; `result` and `error` are what it ended with.
    #[must_use]
    pub fn of(
        status: SessionStatus,
        result: Option<&Value>,
        error: impl FnOnce() -> TaskError,
    ) -> Self {
        let gave = |partial| Self::Gave {
            result: result.and_then(Value::as_object).cloned().unwrap_or_default(),
            partial,
        };
        match status {
            SessionStatus::Pending | SessionStatus::Queued => Self::Waits,
            SessionStatus::Running | SessionStatus::Degraded => Self::Works,
            SessionStatus::Paused => Self::Held,
            SessionStatus::Completed => gave(false),
            SessionStatus::PartiallyCompleted => gave(true),
            SessionStatus::Failed | SessionStatus::Timeout => Self::Failed(error()),
            SessionStatus::Stopped | SessionStatus::Cancelled | SessionStatus::Orphaned => {
                Self::CutOff
            }
        }
    }
}

impl Task {
    /// Given to whoever executes it.
    ///
    /// # Errors
    /// `InvalidTransition`; also when a gate of its start is closed: it is blocked then.
    pub fn assign(
        &mut self,
        agent: Option<AgentId>,
        child: Option<SessionId>,
        gates: Gates,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        self.status().after(Trigger::Assign)?;
        if !gates.start {
            // A closed gate makes a task that waits a blocked one, whether or not that was noted yet.
            let (current, requested) = (TaskStatus::Blocked, TaskStatus::Assigned);
            return Err(InvalidTransition { current, requested });
        }
        let moved = self.transition(Trigger::Assign, cause)?;
        self.work.assigned_agent_id = agent;
        self.work.child_session_id = child;
        let payload = json!({
            "session_id": self.session_id, "agent_id": agent, "child_session_id": child,
        });
        Ok(vec![moved, self.event(EventType::TaskAssigned, cause.at, payload)])
    }

    /// Somebody begins or goes on; a ready task is assigned first.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn start(
        &mut self,
        gates: Gates,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        let mut events = match self.status() {
            TaskStatus::Ready => self.assign(self.work.assigned_agent_id, None, gates, cause)?,
            TaskStatus::Pending
            | TaskStatus::Assigned
            | TaskStatus::InProgress
            | TaskStatus::Blocked
            | TaskStatus::Paused
            | TaskStatus::Completed
            | TaskStatus::Failed
            | TaskStatus::Cancelled
            | TaskStatus::Skipped => Vec::new(),
        };
        events.push(self.transition(Trigger::Start, cause)?);
        Ok(events)
    }

    /// The work is done; behind a closed gate of its end it waits.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn complete(
        &mut self,
        result: Option<Map<String, Value>>,
        gates: Gates,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        self.status().after(Trigger::Complete)?;
        let verb = if gates.finish { Trigger::Complete } else { Trigger::Block };
        let moved = self.transition(verb, cause)?;
        self.work.is_done = true;
        self.work.result = result;
        Ok(vec![moved])
    }

    /// The work failed.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn fail(
        &mut self,
        error: TaskError,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        self.fail_by(Trigger::Fail, error, cause)
    }

    fn fail_by(
        &mut self,
        verb: Trigger,
        error: TaskError,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        self.status().after(verb)?;
        let message = error.message.clone();
        let because = Cause { reason: cause.reason.or(Some(&message)), ..cause };
        let moved = self.transition(verb, because)?;
        self.work.error = Some(error);
        Ok(vec![moved])
    }

    /// What failed is tried once more; what it left goes to `metadata.attempts`.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn retry(&mut self, cause: Cause<'_>) -> Result<Vec<DomainEvent>, InvalidTransition> {
        let moved = self.transition(Trigger::Retry, cause)?;
        self.shelve_attempt();
        let payload = json!({ "session_id": self.session_id, "attempt": self.work.attempt });
        Ok(vec![moved, self.event(EventType::TaskRetried, cause.at, payload)])
    }

    /// A move that carries nothing along: `ready`, `pause`, `cancel`, `skip`, and those of the rules.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn step(
        &mut self,
        verb: Trigger,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        match verb {
            Trigger::Retry => self.retry(cause),
            Trigger::Unblock if self.work.is_done => {
                let (current, requested) = (self.status(), TaskStatus::Ready);
                Err(InvalidTransition { current, requested })
            }
            Trigger::Reopen if !self.work.is_done => {
                let (current, requested) = (self.status(), TaskStatus::InProgress);
                Err(InvalidTransition { current, requested })
            }
            Trigger::Ready
            | Trigger::Assign
            | Trigger::Start
            | Trigger::Complete
            | Trigger::Fail
            | Trigger::Pause
            | Trigger::Cancel
            | Trigger::Skip
            | Trigger::Block
            | Trigger::Unblock
            | Trigger::Reopen
            | Trigger::Lose => Ok(vec![self.transition(verb, cause)?]),
        }
    }

    /// Follows its child session, by as many moves as that takes. What has settled meanwhile, and
    /// what is told twice, changes nothing.
    ///
    /// # Errors
    /// `InvalidTransition` when the table has no such way.
    pub fn follow(
        &mut self,
        child: ChildState,
        gates: Gates,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        if self.status().is_final() || self.work.is_done || self.status() == TaskStatus::Failed {
            return Ok(Vec::new());
        }
        match child {
            ChildState::Waits if self.status().is_waiting() => {
                self.assign(self.work.assigned_agent_id, self.work.child_session_id, gates, cause)
            }
            ChildState::Waits => Ok(Vec::new()),
            ChildState::Works => self.bring_to_work(gates, cause),
            ChildState::Held if self.status() == TaskStatus::Paused => Ok(Vec::new()),
            ChildState::Held => {
                let mut events = self.bring_to_work(gates, cause)?;
                events.extend(self.step(Trigger::Pause, cause)?);
                Ok(events)
            }
            ChildState::Gave { mut result, partial } => {
                if partial {
                    result.insert("partial".to_owned(), Value::Bool(true));
                }
                let mut events = self.bring_to_work(gates, cause)?;
                events.extend(self.complete(Some(result), gates, cause)?);
                Ok(events)
            }
            ChildState::Failed(error) => {
                let mut events = match self.status() {
                    TaskStatus::Pending | TaskStatus::Ready => self.assign(
                        self.work.assigned_agent_id,
                        self.work.child_session_id,
                        gates,
                        cause,
                    )?,
                    TaskStatus::Assigned
                    | TaskStatus::InProgress
                    | TaskStatus::Blocked
                    | TaskStatus::Paused
                    | TaskStatus::Completed
                    | TaskStatus::Failed
                    | TaskStatus::Cancelled
                    | TaskStatus::Skipped => Vec::new(),
                };
                let works = self.status() == TaskStatus::InProgress;
                let verb = if works { Trigger::Fail } else { Trigger::Lose };
                events.extend(self.fail_by(verb, error, cause)?);
                Ok(events)
            }
            ChildState::CutOff => self.step(Trigger::Cancel, cause),
        }
    }

    /// A container takes over what its parts come to, by as many moves as that takes.
    ///
    /// # Errors
    /// `InvalidTransition` when the table has no such way.
    pub fn roll_up(
        &mut self,
        to: TaskStatus,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        let refused = InvalidTransition { current: self.status(), requested: to };
        let way = self.status().way_to(to).ok_or(refused)?;
        let mut events = Vec::with_capacity(way.len());
        for verb in way {
            if verb == Trigger::Retry {
                self.work.failed_at = None;
            }
            events.push(self.transition(verb, cause)?);
        }
        self.work.is_done = matches!(to, TaskStatus::Completed | TaskStatus::Blocked);
        Ok(events)
    }

    /// What the agent says of how far it is, 0–99; whether that is news.
    ///
    /// # Errors
    /// The broken rule.
    pub fn report_progress(
        &mut self,
        percentage: u64,
        now: Timestamp,
    ) -> Result<bool, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        errors.range("/progress_percentage", percentage, 0, 99);
        let percentage = errors.into_result(u8::try_from(percentage).unwrap_or(99))?;
        let is_news = self.work.reported_progress != percentage;
        if is_news {
            self.work.reported_progress = percentage;
            self.updated_at = now;
        }
        Ok(is_news)
    }

    fn bring_to_work(
        &mut self,
        gates: Gates,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        let mut events = Vec::new();
        if matches!(self.status(), TaskStatus::Pending | TaskStatus::Ready) {
            let (agent, child) = (self.work.assigned_agent_id, self.work.child_session_id);
            events.extend(self.assign(agent, child, gates, cause)?);
        }
        if self.status() != TaskStatus::InProgress {
            events.push(self.transition(Trigger::Start, cause)?);
        }
        Ok(events)
    }
}
