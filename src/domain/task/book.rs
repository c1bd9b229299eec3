//! What is known of the tasks of a session as a whole: whether, and how, they are executed.
//!
//! Invariant: whoever changes a task of a session changes its book in the same step. So two changes that
//! do not know of each other never decide about one graph at once.

use super::run::Options;
use crate::domain::ids::{SessionId, TaskId, TenantId};
use crate::domain::time::Timestamp;

/// How the tasks of a session are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execution {
    /// The task that is executed with everything below it; `None` for all of them.
    pub task_id: Option<TaskId>,
    /// Leaves at a time.
    pub max_parallel: u32,
    /// The first failure that stays ends everything that has not finished.
    pub fail_fast: bool,
    /// Since when.
    pub started_at: Timestamp,
    /// When the last leaf had settled.
    pub ended_at: Option<Timestamp>,
}

impl Execution {
    /// Whether leaves are still given out.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }

    /// What the course of the graph goes by.
    #[must_use]
    pub const fn options(&self) -> Options {
        Options {
            max_parallel: self.max_parallel,
            // That of a part is a matter of the part alone.
            fail_fast: self.fail_fast && self.task_id.is_none(),
            executes: self.is_open(),
        }
    }
}

/// The tasks of one session, as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Book {
    /// Whose they are.
    pub tenant_id: TenantId,
    /// The root session.
    pub session_id: SessionId,
    /// How they are executed, once they were.
    pub execution: Option<Execution>,
    /// Newest change of any of them.
    pub updated_at: Timestamp,
}

impl Book {
    /// Of a session without tasks.
    #[must_use]
    pub const fn new(tenant_id: TenantId, session_id: SessionId, now: Timestamp) -> Self {
        Self { tenant_id, session_id, execution: None, updated_at: now }
    }

    /// Whether its tasks are given out just now.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.execution.is_some_and(|execution| execution.is_open())
    }

    /// What the course of its graph goes by.
    #[must_use]
    pub fn options(&self) -> Options {
        self.execution.map_or(Options::IDLE, |execution| execution.options())
    }
}
