//! How many stand where: the parts of a container, and all leaves of the graph.
//!
//! Invariant: what a container comes to depends on its direct parts alone, which comes to the same as
//! looking at everything below it.
//! Source: domain 6.4.

use serde_json::{Value, json};

use super::Facts;
use crate::domain::session::status::SessionStatus;
use crate::domain::task::status::TaskStatus;

/// What a task counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    Waiting,
    Assigned,
    Begun,
    Completed,
    Skipped,
    Cancelled,
    Failed,
}

impl Share {
    pub(super) const fn of(facts: Facts) -> Self {
        match facts.status {
            TaskStatus::Blocked if facts.is_done => Self::Begun,
            TaskStatus::Pending | TaskStatus::Ready | TaskStatus::Blocked => Self::Waiting,
            TaskStatus::Assigned => Self::Assigned,
            TaskStatus::InProgress | TaskStatus::Paused => Self::Begun,
            TaskStatus::Failed if facts.retries_left > 0 => Self::Begun,
            TaskStatus::Failed => Self::Failed,
            TaskStatus::Completed => Self::Completed,
            TaskStatus::Cancelled => Self::Cancelled,
            TaskStatus::Skipped => Self::Skipped,
        }
    }
}

/// The parts of a container.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    shares: [u32; 7],
    started: u32,
}

impl Tally {
    pub(super) const fn add(&mut self, share: Share, started: bool) {
        self.shares[share as usize] += 1;
        self.started += started as u32;
    }

    pub(super) const fn take(&mut self, share: Share, started: bool) {
        self.shares[share as usize] -= 1;
        self.started -= started as u32;
    }

    pub(super) const fn has_started(&self) -> bool {
        self.started > 0
    }

    const fn count(&self, share: Share) -> u32 {
        self.shares[share as usize]
    }

    /// What a container that stands so comes to.
    pub(super) fn comes_to(&self, now: TaskStatus) -> TaskStatus {
        let all: u32 = self.shares.iter().sum();
        let completed = self.count(Share::Completed);
        let (skipped, cancelled) = (self.count(Share::Skipped), self.count(Share::Cancelled));
        let settled = completed + skipped + cancelled + self.count(Share::Failed);
        if settled == all {
            return if completed > 0 && completed + skipped == all {
                TaskStatus::Completed
            } else if skipped == all {
                TaskStatus::Skipped
            } else if cancelled == all {
                TaskStatus::Cancelled
            } else {
                TaskStatus::Failed
            };
        }
        let begun = self.count(Share::Begun) + completed + self.count(Share::Failed) > 0;
        let assigned = self.count(Share::Assigned) > 0;
        match now {
            _ if begun => TaskStatus::InProgress,
            // What has begun once stays begun, also when its only leaf is tried again.
            TaskStatus::InProgress | TaskStatus::Blocked => now,
            _ if assigned => TaskStatus::Assigned,
            TaskStatus::Failed => TaskStatus::Ready,
            TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Assigned
            | TaskStatus::Paused
            | TaskStatus::Completed
            | TaskStatus::Cancelled
            | TaskStatus::Skipped => now,
        }
    }
}

/// How the leaves of a graph stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leaves {
    /// All of them.
    pub all: u32,
    /// Those that can still move by the rules.
    pub open: u32,
    /// Completed, those that gave only a part included.
    pub completed: u32,
    /// Completed, and gave only a part.
    pub partial: u32,
    /// Failed with no retry left.
    pub failed: u32,
    /// Left out.
    pub skipped: u32,
    /// Cancelled.
    pub cancelled: u32,
}

impl Leaves {
    /// What these leaves are.
    #[must_use]
    pub fn of(leaves: impl IntoIterator<Item = Facts>) -> Self {
        let mut counts = Self::default();
        for facts in leaves {
            *counts.of_share(Share::of(facts)) += 1;
            counts.partial += u32::from(is_part(facts));
            counts.all += 1;
        }
        counts
    }

    pub(super) fn change(&mut self, before: Facts, after: Facts) {
        *self.of_share(Share::of(before)) -= 1;
        *self.of_share(Share::of(after)) += 1;
        self.partial -= u32::from(is_part(before));
        self.partial += u32::from(is_part(after));
    }

    const fn of_share(&mut self, share: Share) -> &mut u32 {
        match share {
            Share::Waiting | Share::Assigned | Share::Begun => &mut self.open,
            Share::Completed => &mut self.completed,
            Share::Skipped => &mut self.skipped,
            Share::Cancelled => &mut self.cancelled,
            Share::Failed => &mut self.failed,
        }
    }

    /// What the root session comes to; `None` while some leaf can still move.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        if self.open > 0 || self.all == 0 {
            return None;
        }
        let status = if self.completed == 0 {
            SessionStatus::Failed
        } else if self.completed == self.all && self.partial == 0 {
            SessionStatus::Completed
        } else {
            SessionStatus::PartiallyCompleted
        };
        let whole = f64::from(self.completed - self.partial);
        let success_rate = (whole + 0.5 * f64::from(self.partial)) / f64::from(self.all);
        Some(Outcome { status, success_rate, leaves: *self })
    }
}

fn is_part(facts: Facts) -> bool {
    facts.status == TaskStatus::Completed && facts.is_partial
}

/// What the root session of a graph comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// `completed`, `partially_completed`, or `failed` with `all_tasks_failed`.
    pub status: SessionStatus,
    /// (completed + 0.5 × partial) / leaves.
    pub success_rate: f64,
    /// How the leaves stand.
    pub leaves: Leaves,
}

impl Outcome {
    /// What `task.graph_completed` says.
    #[must_use]
    pub fn payload(&self) -> Value {
        let Leaves { completed, failed, skipped, .. } = self.leaves;
        json!({ "completed": completed, "failed": failed, "skipped": skipped })
    }
}
