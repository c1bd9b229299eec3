//! What a task waits for: the four types of dependency, and when each opens its gate.
//!
//! Invariant: an optional dependency never gates; it only orders candidates that are equal otherwise.

use serde_json::json;

use super::Task;
use super::forest::{Forest, Unfit};
use super::status::TaskStatus;
use crate::closed_enum;
use crate::domain::event::{DomainEvent, EventType};
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::ids::{DependencyId, TaskId};
use crate::domain::time::Timestamp;

closed_enum!(
    /// How a task depends on its target.
    DependencyType {
        FinishToStart = "finish_to_start",
        StartToStart = "start_to_start",
        FinishToFinish = "finish_to_finish",
        StartToFinish = "start_to_finish",
    }
);

/// What a dependency holds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// The task cannot begin.
    Start,
    /// The task cannot count as done.
    Finish,
}

/// What a dependency looks at in its target; of a container, what is rolled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Where it stands.
    pub status: TaskStatus,
    /// Whether it has started in its current attempt.
    pub has_started: bool,
    /// Whether it is tried again after a failure.
    pub has_retries_left: bool,
}

impl Target {
    /// Whether it can never be done any more: failed with no retry left, cancelled or skipped.
    #[must_use]
    pub const fn is_lost(self) -> bool {
        match self.status {
            TaskStatus::Failed => !self.has_retries_left,
            TaskStatus::Cancelled | TaskStatus::Skipped => true,
            TaskStatus::Pending
            | TaskStatus::Ready
            | TaskStatus::Assigned
            | TaskStatus::InProgress
            | TaskStatus::Blocked
            | TaskStatus::Paused
            | TaskStatus::Completed => false,
        }
    }
}

impl DependencyType {
    /// What it holds up.
    #[must_use]
    pub const fn gate(self) -> Gate {
        match self {
            Self::FinishToStart | Self::StartToStart => Gate::Start,
            Self::FinishToFinish | Self::StartToFinish => Gate::Finish,
        }
    }

    /// Whether its gate is open.
    #[must_use]
    pub fn is_satisfied(self, target: Target) -> bool {
        match self {
            Self::FinishToStart | Self::FinishToFinish => target.status == TaskStatus::Completed,
            Self::StartToStart | Self::StartToFinish => target.has_started,
        }
    }
}

/// One dependency of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Its identity.
    pub id: DependencyId,
    /// What is needed; this task is the source.
    pub target_task_id: TaskId,
    /// How.
    pub dependency_type: DependencyType,
    /// Whether it gates.
    pub is_required: bool,
    /// At most 200 characters.
    pub description: Option<String>,
}

/// A dependency as it was sent: what is `None` takes its default.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of `Dependency`, before defaults and checks")]
pub struct DependencyDraft {
    pub target_task_id: TaskId,
    pub dependency_type: Option<DependencyType>,
    pub is_required: Option<bool>,
    pub description: Option<String>,
}

impl DependencyDraft {
    /// One that nothing but its target is said of.
    #[must_use]
    pub const fn on(target: TaskId) -> Self {
        Self { target_task_id: target, dependency_type: None, is_required: None, description: None }
    }
}

/// Why a dependency is not added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DependencyRefused {
    /// Rules that it breaks.
    #[error("the dependency is not valid")]
    Invalid(Vec<FieldError>),
    /// It would close this cycle: each task needs the next one, and the last is the first.
    #[error("the dependency would close a cycle")]
    Cycle(Vec<TaskId>),
    /// It would hold up the start of a task that has started.
    #[error("the task has started already; only dependencies of its end can be added")]
    AlreadyStarted,
}

impl Task {
    /// Adds a dependency; `forest` holds all tasks of the session, this one included.
    ///
    /// # Errors
    /// `DependencyRefused`; nothing is added then.
    pub fn depend(
        &mut self,
        id: DependencyId,
        draft: DependencyDraft,
        forest: &Forest,
    ) -> Result<&Dependency, DependencyRefused> {
        let added = Dependency {
            id,
            target_task_id: draft.target_task_id,
            dependency_type: draft.dependency_type.unwrap_or(DependencyType::FinishToStart),
            is_required: draft.is_required.unwrap_or(true),
            description: draft.description,
        };
        let mut errors = FieldErrors::default();
        if let Some(description) = &added.description {
            errors.length("/description", description, 0, 200);
        }
        let at = "/target_task_id";
        let target = added.target_task_id;
        if self.dependencies.iter().any(|known| known.target_task_id == target) {
            errors.add(at, "duplicate", "is a task that this one depends on already");
        }
        let unfit = forest.unfit(self.id, target);
        match &unfit {
            Some(Unfit::Itself) => {
                errors.add(at, "self", "is the task itself; name another one");
            }
            Some(Unfit::Kin) => errors.add(
                at,
                "ancestor",
                "is a part of the task, or the task is a part of it: parts and wholes need no dependency",
            ),
            Some(Unfit::Unknown) => {
                errors.add(at, "unknown", "must be a task of the same session");
            }
            Some(Unfit::Cycle(_)) | None => {}
        }
        errors.into_result(()).map_err(DependencyRefused::Invalid)?;
        if let Some(Unfit::Cycle(cycle)) = unfit {
            return Err(DependencyRefused::Cycle(cycle));
        }
        let holds_start = added.is_required && added.dependency_type.gate() == Gate::Start;
        if holds_start && !self.status().is_waiting() {
            return Err(DependencyRefused::AlreadyStarted);
        }
        let place = self.dependencies.len();
        self.dependencies.push(added);
        Ok(&self.dependencies[place])
    }

    /// Takes a dependency away; `None` when there is no such.
    pub fn free_of(&mut self, id: DependencyId) -> Option<Dependency> {
        let place = self.dependencies.iter().position(|known| known.id == id)?;
        Some(self.dependencies.remove(place))
    }

    /// An event about one of its dependencies.
    #[must_use]
    pub fn dependency_event(
        &self,
        event_type: EventType,
        dependency: &Dependency,
        is_satisfied: bool,
        now: Timestamp,
    ) -> DomainEvent {
        let told = json!({
            "id": dependency.id, "source_task_id": self.id,
            "target_task_id": dependency.target_task_id,
            "dependency_type": dependency.dependency_type,
            "is_required": dependency.is_required, "description": dependency.description,
            "is_satisfied": is_satisfied,
        });
        let payload = json!({ "session_id": self.session_id, "dependency": told });
        self.event(event_type, now, payload)
    }

    /// What others see who depend on it.
    #[must_use]
    pub const fn as_target(&self) -> Target {
        Target {
            status: self.status(),
            has_started: self.has_started(),
            has_retries_left: self.has_retries_left(),
        }
    }
}
