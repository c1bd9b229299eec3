//! The session that executes a leaf: what it is asked to be, from the task and its root.
//!
//! Source: domain 6.3.

use serde_json::{Map, Value};

use super::Task;
use super::estimate::ComplexityLevel;
use crate::domain::canonical::canonical;
use crate::domain::session::draft::{SessionDraft, is_generic};
use crate::domain::session::spec::{OnParentEnd, SessionType};

/// Most characters of a session's prompt.
const PROMPT: usize = 100_000;
/// Most characters that the results of predecessors take together, and one of them alone.
const RESULTS: usize = 40_000;
const RESULT: usize = 8_000;
/// Seconds on the execution clock: those of an hour and a half for each pessimistic hour.
const SECONDS_PER_HOUR: f64 = 5400.0;

/// What a leaf that has completed gave, for those that need it.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Its title.
    pub title: &'a str,
    /// What it gave.
    pub result: &'a Map<String, Value>,
}

impl Task {
    /// The session that executes it; whoever makes it sets task, parent and that it is queued at
    /// once, and what the root decides for all of them: workspace, permissions, agent.
    #[must_use]
    pub fn child_session(&self, root_prompt: &str, given: &[Given<'_>]) -> SessionDraft {
        let estimate = self.estimate.as_ref();
        let needed = estimate.map(|estimate| estimate.required_capabilities.clone());
        let title = self.spec.title.clone();
        SessionDraft {
            // A title that says nothing is derived from the prompt, which puts the code before it.
            title: (!is_generic(&title)).then_some(title),
            session_type: Some(self.session_type()),
            priority: Some(self.spec.priority.of_session()),
            on_parent_end: Some(OnParentEnd::Cascade),
            required_capabilities: needed.unwrap_or_default(),
            technologies: self.spec.technologies.clone(),
            estimated_complexity: self.complexity_level().map(ComplexityLevel::routing_complexity),
            initial_prompt: self.prompt(root_prompt, given),
            max_duration_seconds: Some(self.max_duration_seconds()),
            ..SessionDraft::default()
        }
    }

    /// Its session type: that of the word in its own type.
    #[must_use]
    pub fn session_type(&self) -> SessionType {
        let has = |word: &str| self.spec.task_type.split('_').any(|part| part == word);
        [
            ("planning", SessionType::Planning),
            ("review", SessionType::Review),
            ("debug", SessionType::Debug),
            ("debugging", SessionType::Debug),
            ("integration", SessionType::Integration),
        ]
        .into_iter()
        .find(|(word, _)| has(word))
        .map_or(SessionType::Execution, |(_, session_type)| session_type)
    }

    /// Longest time on the execution clock: 5400 s for each pessimistic hour, within 600 and 86400;
    /// 3600 when nobody estimated it.
    #[must_use]
    pub fn max_duration_seconds(&self) -> u32 {
        let hours = self.estimate.as_ref().map_or(0.0, |estimate| estimate.hours.pessimistic);
        if hours <= 0.0 {
            return 3600;
        }
        let seconds = (hours * SECONDS_PER_HOUR).clamp(600.0, 86_400.0).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it lies within 600 and 86400"
        )]
        let whole = seconds as u32;
        whole
    }

    fn prompt(&self, root_prompt: &str, given: &[Given<'_>]) -> String {
        let mut text = self.spec.title.clone();
        if let Some(description) = self.spec.description.as_deref().map(str::trim)
            && !description.is_empty()
        {
            text.push_str("\n\n");
            text.push_str(description);
        }
        let mut results = String::new();
        for Given { title, result } in given.iter().filter(|given| !given.result.is_empty()) {
            let spelled = canonical(&Value::Object((*result).clone()));
            let part = format!("\n\n{title}\n{}", shortened(&spelled, RESULT));
            if results.chars().count() + part.chars().count() > RESULTS {
                results.push_str("\n\n…");
                break;
            }
            results.push_str(&part);
        }
        let heading = "\n\nThe work that this is a part of:\n";
        let results_heading = "\n\nWhat was done before and gave:";
        let taken = text.chars().count()
            + results.chars().count()
            + heading.chars().count()
            + results_heading.chars().count();
        if !root_prompt.trim().is_empty() {
            text.push_str(heading);
            text.push_str(&shortened(root_prompt.trim(), PROMPT.saturating_sub(taken)));
        }
        if !results.is_empty() {
            text.push_str(results_heading);
            text.push_str(&results);
        }
        text
    }
}

/// The beginning of a text, with a sign where it was cut.
pub(in crate::domain) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept = text.chars().take(most.saturating_sub(1));
    kept.chain((most > 0).then_some('…')).collect()
}
