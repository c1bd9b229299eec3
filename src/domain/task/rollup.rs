//! How the tasks of a session stand together: progress, summaries, statistics, and when it will end.
//!
//! Invariant: a container is what its leaves are; nothing is counted twice.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Task;
use super::critical_path::Schedule;
use super::estimate::ComplexityLevel;
use super::forest::{CycleFound, Forest, small};
use super::graph::Graph;
use super::spec::TaskPriority;
use super::status::TaskStatus;
use crate::domain::ids::{AgentId, TaskId};
use crate::domain::time::Timestamp;

/// The slowest pace that anything is foretold by.
const SLOWEST: f64 = 0.1;

/// Tasks that are looked at together: those of a session, or a task with everything below it.
#[derive(Debug)]
pub struct Breakdown<'a> {
    pub(super) forest: Forest,
    /// By number.
    pub(super) tasks: Vec<&'a Task>,
}

/// How a task stands, in figures; the counts leave out the task itself.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of domain 4.5, by the same names")]
pub struct Summary {
    pub task_id: TaskId,
    pub title: String,
    pub status: TaskStatus,
    pub progress_percentage: f64,
    pub total_tasks: usize,
    pub completed_tasks: usize,
    pub in_progress_tasks: usize,
    pub failed_tasks: usize,
    pub blocked_tasks: usize,
    /// From its start to its end, or to now.
    pub elapsed_hours: Option<f64>,
    /// From its start to its end, once ended.
    pub duration_hours: Option<f64>,
    pub estimated_remaining_hours: f64,
    pub assigned_agent: Option<AgentId>,
    pub complexity: Option<ComplexityLevel>,
    pub priority: TaskPriority,
}

/// How many tasks are what.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "the fields are those of domain 4.5, by the same names")]
pub struct Statistics {
    pub total_tasks: usize,
    pub tasks_by_status: BTreeMap<TaskStatus, usize>,
    pub tasks_by_priority: BTreeMap<TaskPriority, usize>,
    pub tasks_by_complexity: BTreeMap<ComplexityLevel, usize>,
    /// Completed of all, 0–1; 0 when there is none.
    pub completion_rate: f64,
    pub average_duration_hours: Option<f64>,
    /// In progress for longer than their pessimistic hours.
    pub overdue_tasks: usize,
    pub blocked_tasks: usize,
}

impl Statistics {
    /// Of these tasks at this moment.
    #[must_use]
    pub fn of<'a>(tasks: impl IntoIterator<Item = &'a Task>, now: Timestamp) -> Self {
        let mut made = Self::default();
        let (mut lasted, mut ended) = (0.0, 0usize);
        for task in tasks {
            made.total_tasks += 1;
            *made.tasks_by_status.entry(task.status()).or_default() += 1;
            *made.tasks_by_priority.entry(task.spec.priority).or_default() += 1;
            if let Some(level) = task.complexity_level() {
                *made.tasks_by_complexity.entry(level).or_default() += 1;
            }
            made.overdue_tasks += usize::from(task.is_overdue(now));
            if let (TaskStatus::Completed, Some(hours)) = (task.status(), task.duration_hours()) {
                lasted += hours;
                ended += 1;
            }
        }
        let count = |status| made.tasks_by_status.get(&status).copied().unwrap_or(0);
        let completed = count(TaskStatus::Completed);
        made.blocked_tasks = count(TaskStatus::Blocked);
        made.completion_rate = ratio(completed, made.total_tasks).unwrap_or(0.0);
        made.average_duration_hours = (ended > 0).then(|| lasted * ratio(1, ended).unwrap_or(0.0));
        made
    }
}

impl Task {
    /// How far a leaf is, 0–100.
    #[must_use]
    pub fn progress(&self) -> f64 {
        match self.status() {
            TaskStatus::Completed => 100.0,
            TaskStatus::InProgress | TaskStatus::Paused => f64::from(self.work.reported_progress),
            // The work is done; only its end waits.
            TaskStatus::Blocked if self.work.is_done => 99.0,
            TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Assigned
            | TaskStatus::Blocked
            | TaskStatus::Failed
            | TaskStatus::Cancelled
            | TaskStatus::Skipped => 0.0,
        }
    }

    /// Hours that a leaf is still expected to take; none when it has settled.
    #[must_use]
    pub fn remaining_hours(&self) -> f64 {
        let has_settled = self.status().is_final()
            || (self.status() == TaskStatus::Failed && !self.has_retries_left());
        if has_settled { 0.0 } else { self.expected_hours() * (1.0 - self.progress() / 100.0) }
    }

    /// When it ended.
    #[must_use]
    pub const fn ended_at(&self) -> Option<Timestamp> {
        match self.status() {
            TaskStatus::Completed => self.work.completed_at,
            TaskStatus::Failed => self.work.failed_at,
            TaskStatus::Cancelled | TaskStatus::Skipped => Some(self.status_updated_at()),
            TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Assigned
            | TaskStatus::InProgress
            | TaskStatus::Blocked
            | TaskStatus::Paused => None,
        }
    }

    /// Hours from its start to its end, once it has both.
    #[must_use]
    pub fn duration_hours(&self) -> Option<f64> {
        Some(hours(self.ended_at()?.since(self.work.started_at?)))
    }

    /// Whether it has been in progress for longer than its pessimistic hours.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        let most = self.estimate.as_ref().map(|estimate| estimate.hours.pessimistic);
        let works = self.status() == TaskStatus::InProgress;
        match (self.work.started_at, most.filter(|most| *most > 0.0)) {
            (Some(since), Some(most)) => works && hours(now.since(since)) > most,
            _ => false,
        }
    }
}

impl<'a> Breakdown<'a> {
    /// These tasks, by number.
    ///
    /// # Errors
    /// `CycleFound` when tasks are parts of each other.
    pub fn of(tasks: &'a [Task]) -> Result<Self, CycleFound> {
        let forest = Forest::of(tasks)?;
        let mut sorted: Vec<&Task> = tasks.iter().collect();
        if !sorted.is_sorted_by_key(|task| task.id) {
            sorted.sort_by_key(|task| task.id);
        }
        sorted.dedup_by_key(|task| task.id);
        Ok(Self { forest, tasks: sorted })
    }

    pub(super) fn task(&self, number: u32) -> &'a Task {
        self.tasks[number as usize]
    }

    /// How far a task is, 0–100; a container by its leaves, weighted by their expected hours.
    #[must_use]
    pub fn progress(&self, id: TaskId) -> Option<f64> {
        self.forest.number(id).map(|number| self.progress_of(number))
    }

    pub(super) fn progress_of(&self, number: u32) -> f64 {
        self.mean_progress(self.forest.leaves(number))
    }

    pub(super) fn mean_progress(&self, leaves: impl Iterator<Item = u32>) -> f64 {
        let (mut weight, mut weighted, mut count, mut plain) = (0.0, 0.0, 0usize, 0.0);
        for leaf in leaves {
            let task = self.task(leaf);
            let (expected, progress) = (task.expected_hours(), task.progress());
            weight += expected;
            weighted += expected * progress;
            count += 1;
            plain += progress;
        }
        if weight > 0.0 { weighted / weight } else { plain * ratio(1, count).unwrap_or(0.0) }
    }

    /// How a task stands, in figures.
    #[must_use]
    pub fn summary(&self, id: TaskId, now: Timestamp) -> Option<Summary> {
        let number = self.forest.number(id)?;
        let task = self.task(number);
        let below = &self.forest.whole(number)[1..];
        let count = |status: TaskStatus| {
            below.iter().filter(|part| self.task(**part).status() == status).count()
        };
        let elapsed = |since: Timestamp| hours(task.ended_at().unwrap_or(now).since(since));
        let leaves = self.forest.leaves(number);
        Some(Summary {
            task_id: id,
            title: task.spec.title.clone(),
            status: task.status(),
            progress_percentage: self.progress_of(number),
            total_tasks: below.len(),
            completed_tasks: count(TaskStatus::Completed),
            in_progress_tasks: count(TaskStatus::InProgress),
            failed_tasks: count(TaskStatus::Failed),
            blocked_tasks: count(TaskStatus::Blocked),
            elapsed_hours: task.work.started_at.map(elapsed),
            duration_hours: task.duration_hours(),
            estimated_remaining_hours: leaves.map(|leaf| self.task(leaf).remaining_hours()).sum(),
            assigned_agent: task.work.assigned_agent_id,
            complexity: task.complexity_level(),
            priority: task.spec.priority,
        })
    }

    /// Expected hours done per hour of work, over the leaves that have completed; `None` before the
    /// first.
    #[must_use]
    pub fn observed_speed(&self) -> Option<f64> {
        let (mut expected, mut took, mut seen) = (0.0, 0.0, false);
        for number in (0..small(self.forest.len())).filter(|task| self.forest.is_leaf(*task)) {
            let task = self.task(number);
            if let (TaskStatus::Completed, Some(hours)) = (task.status(), task.duration_hours()) {
                expected += task.expected_hours();
                took += hours;
                seen = true;
            }
        }
        // What took no measurable time took a millisecond.
        seen.then(|| expected / took.max(hours(Duration::from_millis(1))))
    }

    /// When the last leaf is expected to end; `None` before the first completion, and once nothing is
    /// left.
    #[must_use]
    pub fn eta(&self, graph: &Graph, now: Timestamp) -> Option<Timestamp> {
        let speed = self.observed_speed()?.max(SLOWEST);
        let left = |leaf: u32| self.task(leaf).remaining_hours();
        let longest = Schedule::longest(&self.forest, graph, left) / speed;
        let seconds = (longest * 3600.0).clamp(0.0, 1e11);
        (longest > 0.0).then(|| now.after(Duration::from_secs_f64(seconds)))
    }
}

/// Hours of a duration.
#[must_use]
pub fn hours(duration: Duration) -> f64 {
    duration.as_secs_f64() / 3600.0
}

fn ratio(part: usize, all: usize) -> Option<f64> {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    (all > 0).then(|| number(part) / number(all))
}
