//! From what was sent to a task: every default and every limit of domain 4.1 and 4.3.
//!
//! Invariant: all broken rules are reported together; a `TaskSpec` that came from here is valid.

use serde_json::{Map, Value};

use super::Task;
use super::estimate::{Estimate, Hours};
use super::spec::{OnUpstreamFailure, TaskPriority, TaskSpec, lint};
use crate::domain::agent::capability::is_slug;
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::money::Usd;
use crate::domain::session::draft::{check_slugs, check_technologies, checked_tags};
use crate::domain::time::Timestamp;

/// The kind of work when nobody says.
pub const DEFAULT_TYPE: &str = "implementation";
/// Hours that can be given as one figure.
const FIGURE: (f64, f64) = (0.1, 1000.0);

/// An estimate as it was sent: what is `None` takes its default.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of `Estimate`, before defaults and checks")]
pub struct EstimateDraft {
    pub optimistic_hours: Option<f64>,
    pub likely_hours: Option<f64>,
    pub pessimistic_hours: Option<f64>,
    pub estimated_tokens: Option<u64>,
    pub estimated_cost_usd: Option<Usd>,
    pub estimate_confidence: Option<f64>,
    pub required_capabilities: Vec<String>,
}

/// A task as it was sent: what is `None` takes its default.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of `TaskSpec`, before defaults and checks")]
pub struct TaskDraft {
    pub title: String,
    pub description: Option<String>,
    pub task_type: Option<String>,
    pub priority: Option<TaskPriority>,
    /// One figure in place of three; not together with `estimate`.
    pub estimated_hours: Option<f64>,
    pub estimate: Option<EstimateDraft>,
    /// Lies inside the estimate.
    pub required_capabilities: Vec<String>,
    pub technologies: Vec<String>,
    pub on_upstream_failure: Option<OnUpstreamFailure>,
    pub max_retries: Option<u32>,
    pub tags: Vec<String>,
    pub metadata: Map<String, Value>,
}

impl TaskDraft {
    /// The valid definition, with the estimate that was given.
    ///
    /// # Errors
    /// Every broken rule, with a JSON pointer each.
    pub fn accept(self, now: Timestamp) -> Result<(TaskSpec, Option<Estimate>), Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let title = self.title.trim().to_owned();
        errors.length("/title", &title, 1, 200);
        if let Some(description) = &self.description {
            errors.length("/description", description, 0, 5000);
        }
        let task_type = self.task_type.unwrap_or_else(|| DEFAULT_TYPE.to_owned());
        check_type(&task_type, &mut errors);
        let technologies: Vec<String> =
            self.technologies.iter().map(|name| name.to_lowercase()).collect();
        check_technologies(&technologies, &mut errors);
        let max_retries = self.max_retries.unwrap_or(0);
        errors.range("/max_retries", max_retries, 0, 10);
        errors.map("/metadata", &self.metadata);
        let estimate = given_estimate(
            self.estimated_hours,
            self.estimate,
            self.required_capabilities,
            now,
            &mut errors,
        );
        let spec = TaskSpec {
            warnings: lint(&title),
            title,
            description: self.description,
            task_type,
            priority: self.priority.unwrap_or(TaskPriority::Normal),
            technologies,
            on_upstream_failure: self.on_upstream_failure.unwrap_or(OnUpstreamFailure::Skip),
            max_retries,
            tags: checked_tags(&self.tags, &mut errors),
            metadata: self.metadata,
        };
        errors.into_result((spec, estimate))
    }
}

/// A change; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of `TaskDraft`")]
pub struct TaskPatch {
    pub title: Option<String>,
    /// Inner `None` clears it.
    pub description: Option<Option<String>>,
    pub task_type: Option<String>,
    pub priority: Option<TaskPriority>,
    pub estimated_hours: Option<f64>,
    /// Inner `None` clears it.
    pub estimate: Option<Option<EstimateDraft>>,
    pub required_capabilities: Option<Vec<String>>,
    pub technologies: Option<Vec<String>>,
    pub on_upstream_failure: Option<OnUpstreamFailure>,
    pub max_retries: Option<u32>,
    pub tags: Option<Vec<String>>,
    pub metadata: Option<Map<String, Value>>,
}

impl Task {
    /// Takes over what was changed; the names of the fields that differ.
    ///
    /// # Errors
    /// Every broken rule; nothing is changed then.
    pub fn change(
        &mut self,
        patch: TaskPatch,
        now: Timestamp,
    ) -> Result<Vec<&'static str>, Vec<FieldError>> {
        let estimate = self.changed_estimate(&patch, now)?;
        let (old, draft) = (self.spec.clone(), self.spec.clone());
        let mut metadata = patch.metadata.unwrap_or_else(|| draft.metadata.clone());
        if let Some(attempts) = draft.metadata.get("attempts") {
            metadata.entry("attempts").or_insert_with(|| attempts.clone());
        }
        // Earlier attempts are the product's own: what they weigh is nobody's fault.
        let attempts = metadata.remove("attempts");
        let draft = TaskDraft {
            title: patch.title.unwrap_or(draft.title),
            description: patch.description.unwrap_or(draft.description),
            task_type: Some(patch.task_type.unwrap_or(draft.task_type)),
            priority: Some(patch.priority.unwrap_or(draft.priority)),
            estimated_hours: None,
            estimate: None,
            required_capabilities: Vec::new(),
            technologies: patch.technologies.unwrap_or(draft.technologies),
            on_upstream_failure: Some(
                patch.on_upstream_failure.unwrap_or(draft.on_upstream_failure),
            ),
            max_retries: Some(patch.max_retries.unwrap_or(draft.max_retries)),
            tags: patch.tags.unwrap_or(draft.tags),
            metadata,
        };
        let (mut spec, _) = draft.accept(now)?;
        spec.metadata.extend(attempts.map(|kept| ("attempts".to_owned(), kept)));
        let differs = [
            ("title", old.title != spec.title),
            ("description", old.description != spec.description),
            ("task_type", old.task_type != spec.task_type),
            ("priority", old.priority != spec.priority),
            ("estimate", self.estimate != estimate),
            ("technologies", old.technologies != spec.technologies),
            ("on_upstream_failure", old.on_upstream_failure != spec.on_upstream_failure),
            ("max_retries", old.max_retries != spec.max_retries),
            ("tags", old.tags != spec.tags),
            ("metadata", old.metadata != spec.metadata),
        ];
        let changed: Vec<&'static str> =
            differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
        if !changed.is_empty() {
            self.updated_at = now;
        }
        self.spec = spec;
        self.estimate = estimate;
        Ok(changed)
    }

    fn changed_estimate(
        &self,
        patch: &TaskPatch,
        now: Timestamp,
    ) -> Result<Option<Estimate>, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let capabilities = patch.required_capabilities.clone();
        let estimate = match (&patch.estimate, patch.estimated_hours, &self.estimate) {
            (None, None, Some(kept)) => {
                let needed = capabilities.unwrap_or_else(|| kept.required_capabilities.clone());
                check_slugs("/required_capabilities", &needed, &mut errors);
                Some(Estimate { required_capabilities: needed, ..kept.clone() })
            }
            (Some(None), None, _) if capabilities.is_none() => None,
            (given, hours, before) => {
                let kept = before.as_ref().map(|kept| kept.required_capabilities.clone());
                let given = given.clone().flatten();
                let said = given.as_ref().is_some_and(|it| !it.required_capabilities.is_empty());
                let needed = match capabilities {
                    Some(capabilities) => capabilities,
                    None if said => Vec::new(),
                    None => kept.unwrap_or_default(),
                };
                given_estimate(hours, given, needed, now, &mut errors)
            }
        };
        errors.into_result(estimate)
    }
}

/// What is wrong with a kind of work.
fn check_type(task_type: &str, errors: &mut FieldErrors) {
    errors.require(
        is_slug(task_type),
        "/task_type",
        "invalid",
        "must be a slug such as code_review: 2 to 64 lower-case letters, digits and _, a letter first",
    );
}

fn given_estimate(
    figure: Option<f64>,
    given: Option<EstimateDraft>,
    capabilities: Vec<String>,
    now: Timestamp,
    errors: &mut FieldErrors,
) -> Option<Estimate> {
    if let Some(hours) = figure {
        errors.range("/estimated_hours", hours, FIGURE.0, FIGURE.1);
        let message = "is given as three figures as well; leave one of both out";
        errors.require(given.is_none(), "/estimated_hours", "conflict", message);
    }
    check_slugs("/required_capabilities", &capabilities, errors);
    let named = figure.is_some() || given.is_some();
    if !named && capabilities.is_empty() {
        return None;
    }
    let draft = given.unwrap_or_default();
    check_slugs("/estimate/required_capabilities", &draft.required_capabilities, errors);
    let hours = match figure {
        Some(hours) => Hours::of_figure(hours),
        None => Hours::new(
            draft.optimistic_hours.unwrap_or(0.0),
            draft.likely_hours.unwrap_or(0.0),
            draft.pessimistic_hours.unwrap_or(0.0),
        ),
    };
    if figure.is_none() {
        hours.check("/estimate", errors);
    }
    let confidence = draft.estimate_confidence.unwrap_or(0.5);
    errors.range("/estimate/estimate_confidence", confidence, 0.0, 1.0);
    if draft.estimated_cost_usd.is_some_and(|cost| cost < Usd::ZERO) {
        errors.add("/estimate/estimated_cost_usd", "out_of_range", "must be 0 or more");
    }
    let mut required_capabilities = capabilities;
    for slug in draft.required_capabilities {
        if !required_capabilities.contains(&slug) {
            required_capabilities.push(slug);
        }
    }
    let at = "/estimate/required_capabilities";
    errors.require(required_capabilities.len() <= 20, at, "too_many", "at most 20 are allowed");
    Some(Estimate {
        hours,
        estimated_tokens: draft.estimated_tokens,
        estimated_cost_usd: draft.estimated_cost_usd,
        last_estimated_at: named.then_some(now),
        required_capabilities,
        confidence,
        ..Estimate::default()
    })
}
