//! What a decomposition is asked to be, and why it is refused.

use serde_json::{Map, Value};

use crate::closed_enum;
use crate::domain::field::{FieldError, FieldErrors};

closed_enum!(
    /// By what a task is split.
    Strategy {
        Template = "template",
        Rules = "rules",
        Functional = "functional",
        Temporal = "temporal",
        Capability = "capability",
        Planner = "planner",
    }
);

/// A request as it was sent: what is `None` takes its default.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of `Request`, before defaults and checks")]
pub struct RequestDraft {
    pub strategy: Option<Strategy>,
    pub apply_templates: Option<bool>,
    pub apply_rules: Option<bool>,
    pub template_name: Option<String>,
    pub parameters: Map<String, Value>,
    pub max_depth: Option<u32>,
    pub auto_estimate: Option<bool>,
    pub dry_run: Option<bool>,
}

/// A valid request.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent wishes of one request")]
pub struct Request {
    /// Omitted: templates, then rules.
    pub strategy: Option<Strategy>,
    /// Whether templates are looked for by type.
    pub apply_templates: bool,
    /// Whether templates are looked for by words.
    pub apply_rules: bool,
    /// This one, whatever its trigger and its threshold.
    pub template_name: Option<String>,
    /// What is said of the templates that are used.
    pub parameters: Map<String, Value>,
    /// 1–5.
    pub max_depth: u32,
    /// Whether a task without a good estimate is given one.
    pub auto_estimate: bool,
    /// Nothing is written.
    pub dry_run: bool,
}

impl RequestDraft {
    /// The valid request.
    ///
    /// # Errors
    /// Every broken rule, with a JSON pointer each.
    pub fn accept(self) -> Result<Request, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let max_depth = self.max_depth.unwrap_or(3);
        errors.range("/max_depth", max_depth, 1, 5);
        errors.map("/parameters", &self.parameters);
        let takes_a_name = matches!(self.strategy, None | Some(Strategy::Template));
        if self.template_name.is_some() && !takes_a_name {
            let message = "is only taken with the strategy template, or without a strategy";
            errors.add("/template_name", "conflict", message);
        }
        errors.into_result(Request {
            strategy: self.strategy,
            apply_templates: self.apply_templates.unwrap_or(true),
            apply_rules: self.apply_rules.unwrap_or(true),
            template_name: self.template_name,
            parameters: self.parameters,
            max_depth,
            auto_estimate: self.auto_estimate.unwrap_or(true),
            dry_run: self.dry_run.unwrap_or(false),
        })
    }
}

/// Why a task is not split; nothing is written then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecompositionRefused {
    /// What is asked for is not valid.
    #[error("the request is not valid")]
    Invalid(Vec<FieldError>),
    /// No template has this key.
    #[error("no such template")]
    TemplateNotFound,
    /// Somebody was given the task, or it has ended.
    #[error("only a task that nobody was given yet can be split")]
    AlreadyStarted,
    /// It has parts.
    #[error("the task has subtasks already")]
    HasSubtasks,
    /// There would be more subtasks than a request may make.
    #[error(
        "the task would have more than {limit} subtasks; ask for less depth, or for larger parts"
    )]
    TooMany {
        /// Most that are allowed.
        limit: usize,
    },
    /// The tree has no room below the task.
    #[error("the task stands at the deepest level that a tree of tasks can have")]
    TooDeep,
    /// The plan of a planner is not one that can be followed.
    #[error("the plan is not valid")]
    PlanInvalid(Vec<FieldError>),
}
