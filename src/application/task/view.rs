//! Tasks as they are shown: with what is derived from the others of their session.

use crate::application::error::AppError;
use crate::domain::decompose::Decomposition;
use crate::domain::decompose::template::Template;
use crate::domain::ids::{DependencyId, SessionId, TaskId};
use crate::domain::schedule::blocker::BlockerCode;
use crate::domain::task::dependency::Dependency;
use crate::domain::task::status::{Right, Trigger};
use crate::domain::task::{Task, rollup::Breakdown};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

use super::board::Board;

/// A dependency as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct DependencyView {
    /// Who needs.
    pub source_task_id: TaskId,
    /// What, and how.
    pub dependency: Dependency,
    /// Whether its gate is open; what somebody ignores is not.
    pub is_satisfied: bool,
}

/// A task as it is shown.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of one task")]
pub struct TaskView {
    /// The task.
    pub task: Versioned<Task>,
    /// What it needs.
    pub dependencies: Vec<DependencyView>,
    /// Who needs it: the dependency and its task.
    pub dependents: Vec<(DependencyId, TaskId)>,
    /// 0–100.
    pub progress_percentage: f64,
    /// It has no parts.
    pub is_leaf_task: bool,
    /// It can be given out now.
    pub can_start: bool,
    /// Some gate of it is closed.
    pub is_blocked: bool,
    /// Why it is not given out.
    pub blockers: Vec<BlockerCode>,
    /// Commands that are possible now.
    pub actions: Vec<Trigger>,
    /// Whether it was made just now.
    pub made: bool,
}

impl Board {
    /// A dependency as it stands.
    #[must_use]
    pub fn dependency_view(&self, source: TaskId, dependency: &Dependency) -> DependencyView {
        let satisfied = self.run.is_satisfied(source, dependency.target_task_id);
        DependencyView {
            source_task_id: source,
            dependency: dependency.clone(),
            is_satisfied: satisfied.unwrap_or(false),
        }
    }

    /// A task as it is shown.
    ///
    /// # Errors
    /// `TaskNotFound`.
    pub fn view(&self, id: TaskId) -> Result<TaskView, AppError> {
        let mut shown = self.views(&[id])?;
        shown.pop().ok_or_else(|| super::error::TaskRefused::NotFound.into())
    }

    /// Tasks as they are shown.
    ///
    /// # Errors
    /// `TaskNotFound`, `Cycle`.
    pub fn views(&self, ids: &[TaskId]) -> Result<Vec<TaskView>, AppError> {
        let all = self.copies();
        let breakdown = Breakdown::of(&all)?;
        let mut shown = Vec::with_capacity(ids.len());
        for id in ids {
            let task = self.task(*id)?;
            let is_leaf_task = self.is_leaf(*id);
            let dependents = all.iter().flat_map(|other| {
                let own = other.dependencies.iter().filter(|one| one.target_task_id == *id);
                own.map(|one| (one.id, other.id))
            });
            let views = task.dependencies.iter().map(|one| self.dependency_view(*id, one));
            let status = task.status();
            let actions = status.actions(Right::Anyone);
            shown.push(TaskView {
                dependencies: views.collect(),
                dependents: dependents.collect(),
                progress_percentage: breakdown.progress(*id).unwrap_or(0.0),
                is_leaf_task,
                can_start: self.run.can_start(*id),
                is_blocked: self.run.is_blocked(*id),
                blockers: self.blockers(task),
                actions: actions
                    .filter(|verb| {
                        is_leaf_task
                            || matches!(verb, Trigger::Cancel | Trigger::Skip | Trigger::Retry)
                    })
                    .collect(),
                task: Versioned { version: self.version(*id), value: task.clone() },
                made: self.version_before(*id).is_none(),
            });
        }
        Ok(shown)
    }

    /// What holds up a leaf that could be given out.
    fn blockers(&self, task: &Task) -> Vec<BlockerCode> {
        use crate::domain::task::status::TaskStatus as S;
        let mut codes = Vec::new();
        match task.status() {
            S::Blocked => codes.push(BlockerCode::DependencyUnsatisfied),
            S::Ready if self.book.is_running() => codes.push(BlockerCode::SlotsFull),
            S::Pending | S::Ready => codes.push(BlockerCode::NotStarted),
            S::Assigned
            | S::InProgress
            | S::Paused
            | S::Completed
            | S::Failed
            | S::Cancelled
            | S::Skipped => {}
        }
        codes
    }
}

/// What a task was, or would be, split into.
#[derive(Debug, Clone, PartialEq)]
pub struct Decomposed {
    /// The task, as it stands now.
    pub root: TaskView,
    /// What it was split into.
    pub decomposition: Decomposition,
    /// Expected hours of the leaves.
    pub total_estimated_hours: f64,
    /// The tasks that were made, in the order of the decomposition; empty when nothing was written.
    pub made: Vec<TaskId>,
    /// Nothing was written.
    pub dry_run: bool,
    /// The session that still works on the plan: ask again for what came of it.
    pub planner_session_id: Option<SessionId>,
    /// The plan that it comes from, when a planner made one.
    pub plan: Option<serde_json::Value>,
}

/// A template as it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateView {
    /// What it is.
    pub template: Template,
    /// The version of its record; `None` for one that is shipped.
    pub version: Option<Version>,
    /// Whether a template of this key is shipped.
    pub is_shipped: bool,
    /// When the tenant added it.
    pub created_at: Option<Timestamp>,
    /// When the tenant changed it last.
    pub updated_at: Option<Timestamp>,
    /// Whether it was added just now.
    pub made: bool,
}
