//! What agents at work give to their tools.

use std::time::Duration;

use serde_json::Map;

use crate::application::inside::Question;
use crate::application::session::spawn::Spawn;
use crate::application::task::inside::Told;
use crate::application::task::{Ask, Completion};
use crate::domain::context::path::Path;
use crate::domain::context::{ContextDraft, ContextScope};
use crate::domain::field::FieldErrors;
use crate::domain::ids::{LockId, TaskId};
use crate::domain::lock::LockName;
use crate::domain::money::Usd;
use crate::domain::session::Phase;
use crate::domain::task::status::TaskStatus;
use crate::presentation::api::dto::context_input::WriteContext;
use crate::presentation::api::dto::lock_input::{NAME_RULE, ReleaseLock, RenewLock};
use crate::presentation::api::fields::{Fields, FromFields};

/// How long a question waits for its answer within one call, unless something else is said.
const USUAL_WAIT: u64 = 25;
/// The longest that a call may wait, in seconds.
pub(super) const LONGEST_WAIT: u64 = 300;
/// Changes of a history that are told at once.
const USUAL_CHANGES: u64 = 20;

/// Which of the contexts that an agent at work has.
pub(super) struct Which(pub(super) ContextScope);

impl Which {
    fn read(fields: &mut Fields) -> Self {
        let scope = fields.word("scope").unwrap_or(ContextScope::Session);
        if matches!(scope, ContextScope::Task | ContextScope::Temporary) {
            fields.wrong("scope", "invalid", "must be session, agent or global");
        }
        Self(scope)
    }

    pub(super) fn draft(&self) -> ContextDraft {
        ContextDraft { scope: Some(self.0), ..ContextDraft::default() }
    }
}

fn path(fields: &mut Fields) -> Option<Path> {
    let text = fields.text("path")?;
    match Path::parse(&text) {
        Ok(path) => Some(path),
        Err(rule) => {
            fields.wrong("path", "invalid", rule);
            None
        }
    }
}

fn seconds(fields: &mut Fields, name: &'static str, usual: u64) -> Duration {
    let given = fields.integer(name).unwrap_or(usual);
    if given > LONGEST_WAIT {
        fields.wrong(name, "out_of_range", format!("must be between 0 and {LONGEST_WAIT}"));
    }
    Duration::from_secs(given.min(LONGEST_WAIT))
}

/// `context_get`
pub(super) struct GetContext {
    pub(super) which: Which,
    pub(super) path: Option<Path>,
}

impl FromFields for GetContext {
    fn read(fields: &mut Fields) -> Self {
        Self { which: Which::read(fields), path: path(fields) }
    }
}

/// `context_put`
pub(super) struct PutContext {
    pub(super) which: Which,
    pub(super) write: WriteContext,
}

impl FromFields for PutContext {
    fn read(fields: &mut Fields) -> Self {
        Self { which: Which::read(fields), write: WriteContext::read(fields) }
    }
}

/// `context_history`
pub(super) struct ContextHistory {
    pub(super) which: Which,
    pub(super) limit: usize,
}

impl FromFields for ContextHistory {
    fn read(fields: &mut Fields) -> Self {
        let which = Which::read(fields);
        let limit = fields.integer("limit").unwrap_or(USUAL_CHANGES);
        if !(1..=200).contains(&limit) {
            fields.wrong("limit", "out_of_range", "must be between 1 and 200");
        }
        Self { which, limit: usize::try_from(limit.clamp(1, 200)).unwrap_or(1) }
    }
}

fn lock_name(fields: &mut Fields) -> Option<LockName> {
    let text = fields.required_text("name");
    let name = LockName::parse(&text);
    if name.is_none() && !text.is_empty() {
        fields.wrong("name", "invalid", NAME_RULE);
    }
    name
}

/// `lock_renew`
pub(super) struct Renew {
    pub(super) name: Option<LockName>,
    pub(super) with: RenewLock,
}

impl FromFields for Renew {
    fn read(fields: &mut Fields) -> Self {
        Self { name: lock_name(fields), with: RenewLock::read(fields) }
    }
}

/// `lock_release`
pub(super) struct Release {
    pub(super) name: Option<LockName>,
    pub(super) lock_id: Option<LockId>,
}

impl FromFields for Release {
    fn read(fields: &mut Fields) -> Self {
        Self { name: lock_name(fields), lock_id: ReleaseLock::read(fields).lock_id }
    }
}

/// `session_spawn`
pub(super) struct SpawnChild(pub(super) Spawn);

impl FromFields for SpawnChild {
    fn read(fields: &mut Fields) -> Self {
        let dollars = fields.number("budget_usd");
        let budget_usd = dollars.and_then(Usd::from_dollars);
        if dollars.is_some() && budget_usd.is_none_or(|amount| amount.micros() < 0) {
            fields.wrong("budget_usd", "invalid", "must be an amount of US dollars, 0 or more");
        }
        Self(Spawn {
            prompt: fields.required_text("prompt"),
            title: fields.text("title"),
            session_type: fields.word("session_type"),
            agent: fields.text("agent"),
            required_capabilities: fields.texts("required_capabilities"),
            budget_usd,
            token_budget: fields.integer("token_budget"),
            max_duration_seconds: fields.integer("max_duration_seconds"),
        })
    }
}

/// `session_status`
pub(super) struct Status(pub(super) Option<String>);

impl FromFields for Status {
    fn read(fields: &mut Fields) -> Self {
        Self(fields.text("session"))
    }
}

/// `ask_human`
pub(super) struct AskHuman {
    pub(super) question: Question,
    pub(super) wait: Duration,
}

impl FromFields for AskHuman {
    fn read(fields: &mut Fields) -> Self {
        let text = fields.required_text("question");
        let choices = fields.texts("choices");
        let wait = seconds(fields, "wait_seconds", USUAL_WAIT);
        let mut errors = FieldErrors::default();
        errors.length("/question", text.trim(), 1, 10_000);
        errors.require(choices.len() <= 20, "/choices", "too_many", "may be at most 20");
        for (index, choice) in choices.iter().enumerate() {
            errors.length(&format!("/choices/{index}"), choice, 1, 200);
        }
        fields.complete(errors.into_result(()).err().unwrap_or_default());
        Self { question: Question { text, choices }, wait }
    }
}

/// `checkpoint`
pub(super) struct TakeCheckpoint(pub(super) Map<String, serde_json::Value>);

impl FromFields for TakeCheckpoint {
    fn read(fields: &mut Fields) -> Self {
        Self(fields.map("data").unwrap_or_default())
    }
}

/// `report_phase`
pub(super) struct ReportPhase(pub(super) Option<Phase>);

impl FromFields for ReportPhase {
    fn read(fields: &mut Fields) -> Self {
        let phase = fields.word("phase");
        if phase.is_none() {
            fields.require_one("phase", "is planning, executing or reviewing");
        }
        Self(phase)
    }
}

/// `task_list`
pub(super) struct TaskList {
    pub(super) statuses: Vec<TaskStatus>,
    pub(super) limit: usize,
}

impl FromFields for TaskList {
    fn read(fields: &mut Fields) -> Self {
        let limit = fields.integer("limit").unwrap_or(100);
        if !(1..=200).contains(&limit) {
            fields.wrong("limit", "out_of_range", "must be between 1 and 200");
        }
        let mut statuses = Vec::new();
        for text in fields.texts("status") {
            match TaskStatus::parse(&text) {
                Some(status) => statuses.push(status),
                None => fields.wrong("status", "invalid", "must hold statuses of tasks"),
            }
        }
        Self { statuses, limit: usize::try_from(limit.clamp(1, 200)).unwrap_or(1) }
    }
}

/// `task_update`
pub(super) struct TaskUpdate {
    pub(super) task: Option<TaskId>,
    pub(super) told: Told,
}

impl FromFields for TaskUpdate {
    fn read(fields: &mut Fields) -> Self {
        let text = fields.text("task");
        let task = text.as_deref().and_then(TaskId::parse);
        if text.is_some() && task.is_none() {
            fields.wrong("task", "invalid", "must be the id of a task");
        }
        let (progress, status) = (fields.integer("progress_percentage"), fields.word("status"));
        let completion = Completion {
            result: fields.map("result"),
            error_message: fields.bounded_text("error_message", 1, 1000),
        };
        let ask = Ask { agent: None, completion, reason: None };
        Self { task, told: Told { progress, status, ask } }
    }
}
