//! What a task is asked to be.

use serde_json::{Map, Value};

use crate::closed_enum;
use crate::domain::session::spec::Priority;

closed_enum!(
    /// How urgent a task is among those of its session.
    TaskPriority {
        Blocker = "blocker",
        Critical = "critical",
        High = "high",
        Normal = "normal",
        Low = "low",
        Background = "background",
    }
);

impl TaskPriority {
    /// The priority of the session that executes it.
    #[must_use]
    pub const fn of_session(self) -> Priority {
        match self {
            Self::Blocker | Self::Critical => Priority::Critical,
            Self::High => Priority::High,
            Self::Normal => Priority::Medium,
            Self::Low => Priority::Low,
            Self::Background => Priority::Deferred,
        }
    }
}

closed_enum!(
    /// What becomes of a task when something that it needs cannot come any more.
    OnUpstreamFailure {
        /// It is left out, and so is what needs it.
        Skip = "skip",
        /// It waits until somebody looks at it.
        Block = "block",
        /// It goes on as if it did not need it.
        Ignore = "ignore",
    }
);

closed_enum!(
    /// What is worth telling of a task without refusing it.
    LintCode {
        TitleNoActionVerb = "TITLE_NO_ACTION_VERB",
    }
);

/// Words that a title should begin with.
const ACTION_VERBS: [&str; 12] = [
    "implement",
    "create",
    "add",
    "update",
    "fix",
    "refactor",
    "optimize",
    "test",
    "review",
    "deploy",
    "configure",
    "document",
];

/// What is worth telling of a title.
#[must_use]
pub fn lint(title: &str) -> Vec<LintCode> {
    let first = title.split_whitespace().next().unwrap_or_default().to_lowercase();
    let word = first.trim_matches(|letter: char| !letter.is_alphanumeric());
    if ACTION_VERBS.contains(&word) { Vec::new() } else { vec![LintCode::TitleNoActionVerb] }
}

/// The definition of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskSpec {
    /// 1–200 characters, trimmed.
    pub title: String,
    /// At most 5000 characters.
    pub description: Option<String>,
    /// A slug.
    pub task_type: String,
    /// How urgent it is.
    pub priority: TaskPriority,
    /// At most 20.
    pub technologies: Vec<String>,
    /// What becomes of it when something that it needs cannot come any more.
    pub on_upstream_failure: OnUpstreamFailure,
    /// 0–10; retries by the executor, after those of the child's own policy.
    pub max_retries: u32,
    /// At most 20.
    pub tags: Vec<String>,
    /// JSON object, at most 64 KiB canonical; `attempts` is where earlier attempts are kept.
    pub metadata: Map<String, Value>,
    /// What is worth telling of it.
    pub warnings: Vec<LintCode>,
}
