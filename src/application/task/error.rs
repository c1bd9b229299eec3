//! What can go wrong with tasks.

use crate::domain::decompose::request::DecompositionRefused;
use crate::domain::field::FieldError;
use crate::domain::ids::TaskId;
use crate::domain::session::status::SessionStatus;
use crate::domain::task::PlaceRefused;
use crate::domain::task::dependency::DependencyRefused;
use crate::domain::task::forest::CycleFound;
use crate::domain::task::status::InvalidTransition;

use crate::application::error::AppError;

/// Why a use case of tasks was refused.
#[derive(Debug, thiserror::Error)]
pub enum TaskRefused {
    /// It does not exist for this caller.
    #[error("no such task")]
    NotFound,
    /// The task has no such dependency.
    #[error("no such dependency")]
    DependencyNotFound,
    /// No template has this key.
    #[error("no such template")]
    TemplateNotFound,
    /// A shipped template stays.
    #[error("the template {0} is shipped with the product; it can be replaced, and not removed")]
    TemplateShipped(String),
    /// Another template has this key.
    #[error("another template of this tenant has the key {0}")]
    TemplateKeyTaken(String),
    /// The table of statuses has no such move.
    #[error("task {title:?} is {}; it cannot become {}", refused.current, refused.requested)]
    Transition {
        /// What people call it.
        title: String,
        /// The refusal.
        refused: InvalidTransition,
    },
    /// A task with parts stands as they do.
    #[error("task {title:?} has subtasks and stands as they do; move those")]
    Container {
        /// What people call it.
        title: String,
    },
    /// Somebody was given it, or it has ended.
    #[error("{0}")]
    AlreadyStarted(&'static str),
    /// It has parts.
    #[error("the task has subtasks already")]
    HasSubtasks,
    /// Tasks would need each other in a circle.
    #[error("the tasks would need each other in a circle")]
    Cycle(Vec<TaskId>),
    /// The tree has no room for more levels.
    #[error("a tree of tasks has at most 10 levels")]
    TooDeep,
    /// A request would make too many.
    #[error("at most {limit} are possible; {what}")]
    TooMany {
        /// Most that are allowed.
        limit: usize,
        /// What would help.
        what: &'static str,
    },
    /// The session that was asked for a plan gave none.
    #[error("session {code}, which was asked for a plan, is {status}")]
    PlannerFailed {
        /// What people call it.
        code: String,
        /// Where it stands.
        status: SessionStatus,
    },
    /// The plan of a planner is not one that can be followed.
    #[error("the planner's answer is no valid plan, also after it was told so")]
    PlanInvalid(Vec<FieldError>),
}

impl From<CycleFound> for AppError {
    fn from(CycleFound(cycle): CycleFound) -> Self {
        TaskRefused::Cycle(cycle).into()
    }
}

impl From<DependencyRefused> for AppError {
    fn from(refused: DependencyRefused) -> Self {
        match refused {
            DependencyRefused::Invalid(errors) => Self::Invalid(errors),
            DependencyRefused::Cycle(cycle) => TaskRefused::Cycle(cycle).into(),
            DependencyRefused::AlreadyStarted => TaskRefused::AlreadyStarted(
                "the task has started already; only dependencies of its end can be added",
            )
            .into(),
        }
    }
}

impl From<PlaceRefused> for AppError {
    fn from(refused: PlaceRefused) -> Self {
        match refused {
            PlaceRefused::TooDeep => TaskRefused::TooDeep.into(),
            PlaceRefused::AlreadyStarted => TaskRefused::AlreadyStarted(
                "the task was given to somebody or has ended; it gets no further subtasks",
            )
            .into(),
        }
    }
}

impl From<DecompositionRefused> for AppError {
    fn from(refused: DecompositionRefused) -> Self {
        match refused {
            DecompositionRefused::Invalid(errors) => Self::Invalid(errors),
            DecompositionRefused::TemplateNotFound => TaskRefused::TemplateNotFound.into(),
            DecompositionRefused::AlreadyStarted => {
                TaskRefused::AlreadyStarted("only a task that nobody was given yet can be split")
                    .into()
            }
            DecompositionRefused::HasSubtasks => TaskRefused::HasSubtasks.into(),
            DecompositionRefused::TooMany { limit } => {
                let what = "ask for less depth, or for larger parts";
                TaskRefused::TooMany { limit, what }.into()
            }
            DecompositionRefused::TooDeep => TaskRefused::TooDeep.into(),
            DecompositionRefused::PlanInvalid(errors) => TaskRefused::PlanInvalid(errors).into(),
        }
    }
}
