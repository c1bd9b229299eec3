//! The commands that people and agents move tasks with.

use serde_json::{Map, Value, json};

use super::board::Board;
use super::create::task_of;
use super::error::TaskRefused;
use super::view::TaskView;
use super::{Answer, Command, TaskService, Where};
use crate::application::agent::route::RouteQuery;
use crate::application::error::AppError;
use crate::application::principal::RequestContext;
use crate::domain::agent::wanted::Wanted;
use crate::domain::decompose::reading;
use crate::domain::event::EventType;
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::ids::{AgentId, TaskId};
use crate::domain::session::Cause;
use crate::domain::task::estimate::ComplexityLevel;
use crate::domain::task::run::Run;
use crate::domain::task::status::{InvalidTransition, TaskStatus, Trigger};
use crate::domain::task::{Task, TaskError};

/// Most characters of a reason.
const REASON: usize = 1000;

/// What came of the work on a task.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Completion {
    /// What it gave.
    pub result: Option<Map<String, Value>>,
    /// Why it failed, 1–1000 characters.
    pub error_message: Option<String>,
}

/// A move that somebody asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ask {
    /// To whom it is given, by id or name; routing chooses when omitted.
    pub agent: Option<String>,
    /// What came of the work.
    pub completion: Completion,
    /// Why, for people.
    pub reason: Option<String>,
}

impl TaskService {
    /// Moves a task by a command.
    ///
    /// # Errors
    /// `TaskNotFound`, `InvalidTransition`, `Invalid`, `AgentNotFound`, `AgentUnavailable`.
    pub async fn command(
        &self,
        ctx: &RequestContext,
        id: TaskId,
        verb: Trigger,
        ask: &Ask,
    ) -> Result<TaskView, AppError> {
        check(ask)?;
        let agent =
            if verb == Trigger::Assign { Some(self.whom(ctx, id, ask).await?) } else { None };
        let decide = |board: &mut Board, cause: Cause<'_>| {
            moved(board, id, verb, (ask, agent), cause)?;
            Ok(Answer::Task(Box::new(board.view(id)?)))
        };
        let command = Command { action: verb.as_str(), reason: ask.reason.as_deref() };
        Ok(task_of(self.change(ctx, Where::Task(id), command, decide).await?))
    }

    /// Moves a task to a status that somebody names.
    ///
    /// # Errors
    /// Those of `command`.
    pub async fn bring_to(
        &self,
        ctx: &RequestContext,
        id: TaskId,
        wanted: TaskStatus,
        ask: &Ask,
    ) -> Result<TaskView, AppError> {
        let found = self.snapshot(ctx.tenant).await?.task(id).await?;
        let task = found.ok_or(TaskRefused::NotFound)?.value;
        let verb = task.status().command_to(wanted).map_err(|no| refused(&task, no))?;
        self.command(ctx, id, verb, ask).await
    }

    /// What the agent says of how far it is, 0–99.
    ///
    /// # Errors
    /// `TaskNotFound`, `Invalid`.
    pub async fn progress(
        &self,
        ctx: &RequestContext,
        id: TaskId,
        percentage: u64,
    ) -> Result<TaskView, AppError> {
        let decide = |board: &mut Board, cause: Cause<'_>| {
            let is_news =
                board.change(id, |task| Ok(task.report_progress(percentage, cause.at)?))?;
            if is_news {
                let payload =
                    json!({ "session_id": board.session(), "changed": ["progress_percentage"] });
                let told = board.task(id)?.event(EventType::TaskUpdated, cause.at, payload);
                board.tell([told]);
            }
            Ok(Answer::Task(Box::new(board.view(id)?)))
        };
        let command = Command { action: "progress", reason: None };
        Ok(task_of(self.change(ctx, Where::Task(id), command, decide).await?))
    }

    /// To whom a task is given: whoever is named, or whom routing chooses.
    async fn whom(&self, ctx: &RequestContext, id: TaskId, ask: &Ask) -> Result<AgentId, AppError> {
        if let Some(reference) = &ask.agent {
            return Ok(self.agents.get(ctx, reference).await?.agent.value.id);
        }
        let found = self.snapshot(ctx.tenant).await?.task(id).await?;
        let task = found.ok_or(TaskRefused::NotFound)?.value;
        task.status().after(Trigger::Assign).map_err(|no| refused(&task, no))?;
        let wanted = wanted(&task);
        let query = RouteQuery { wanted, reserve: false, explain: None };
        Ok(self.agents.choose(ctx, query).await?.selected.seen.agent.id)
    }
}

/// What routing is asked for a task.
fn wanted(task: &Task) -> Wanted {
    let estimate = task.estimate.as_ref();
    let level = task.complexity_level();
    let (title, described) =
        (&task.spec.title, task.spec.description.as_deref().unwrap_or_default());
    let given = estimate.map(|estimate| estimate.required_capabilities.clone());
    let required = given.filter(|given| !given.is_empty());
    let text = format!("The task {title}\n{described}");
    Wanted {
        task_description: text.chars().take(5000).collect(),
        required_capabilities: required
            .unwrap_or_else(|| reading::capabilities([title.as_str(), described])),
        technologies: task.spec.technologies.clone(),
        estimated_complexity: level.map(ComplexityLevel::routing_complexity),
        session_type: Some(task.session_type()),
        ..Wanted::default()
    }
}

fn check(ask: &Ask) -> Result<(), Vec<FieldError>> {
    let mut errors = FieldErrors::default();
    if let Some(reason) = &ask.reason {
        errors.length("/reason", reason, 1, REASON);
    }
    if let Some(result) = &ask.completion.result {
        errors.map("/result", result);
    }
    errors.into_result(())
}

/// Moves a task and everything that follows.
fn moved(
    board: &mut Board,
    id: TaskId,
    verb: Trigger,
    (ask, agent): (&Ask, Option<AgentId>),
    cause: Cause<'_>,
) -> Result<(), AppError> {
    match verb {
        Trigger::Assign => {
            let agent = agent.or(board.task(id)?.work.assigned_agent_id);
            board.act(id, cause, |task, gates| task.assign(agent, None, gates, cause))
        }
        Trigger::Start => board.act(id, cause, |task, gates| task.start(gates, cause)),
        Trigger::Complete => {
            let result = ask.completion.result.clone();
            board.act(id, cause, |task, gates| task.complete(result, gates, cause))
        }
        Trigger::Fail => {
            let message = ask.completion.error_message.as_deref().unwrap_or_default();
            let error = TaskError::said(message, cause.at)?;
            board.act(id, cause, |task, _| task.fail(error, cause))
        }
        Trigger::Cancel => whole(board, id, (verb, TaskStatus::Cancelled), cause, Run::cancel),
        Trigger::Skip => whole(board, id, (verb, TaskStatus::Skipped), cause, Run::skip),
        Trigger::Retry => retry(board, id, cause),
        Trigger::Ready => board.act(id, cause, |task, gates| {
            if !gates.start {
                let (current, requested) = (TaskStatus::Blocked, TaskStatus::Ready);
                return Err(InvalidTransition { current, requested });
            }
            task.step(verb, cause)
        }),
        Trigger::Pause => board.act(id, cause, |task, _| task.step(verb, cause)),
        Trigger::Block | Trigger::Unblock | Trigger::Reopen | Trigger::Lose => {
            let task = board.task(id)?;
            let requested = verb.rule().1;
            Err(refused(task, InvalidTransition { current: task.status(), requested }))
        }
    }
}

/// A leaf is moved itself; of a container, everything below it that can be.
fn whole(
    board: &mut Board,
    id: TaskId,
    (verb, requested): (Trigger, TaskStatus),
    cause: Cause<'_>,
    decide: fn(&mut Run, TaskId) -> Vec<crate::domain::task::run::Decision>,
) -> Result<(), AppError> {
    if board.is_leaf(id) {
        return board.act(id, cause, |task, _| task.step(verb, cause));
    }
    let task = board.task(id)?;
    let current = task.status();
    if current.is_final() {
        return Err(refused(task, InvalidTransition { current, requested }));
    }
    let decisions = decide(&mut board.run, id);
    board.carry_out(decisions, cause)
}

/// What failed of it is tried again.
fn retry(board: &mut Board, id: TaskId, cause: Cause<'_>) -> Result<(), AppError> {
    if board.is_leaf(id) {
        return board.act(id, cause, |task, _| task.retry(cause));
    }
    let failed: Vec<TaskId> = board
        .whole(id)
        .into_iter()
        .filter(|part| board.is_leaf(*part))
        .filter(|part| board.task(*part).is_ok_and(|task| task.status() == TaskStatus::Failed))
        .collect();
    if failed.is_empty() {
        let task = board.task(id)?;
        let (current, requested) = (task.status(), TaskStatus::Ready);
        return Err(refused(task, InvalidTransition { current, requested }));
    }
    for part in failed {
        board.act(part, cause, |task, _| task.retry(cause))?;
    }
    Ok(())
}

pub(super) fn refused(task: &Task, refused: InvalidTransition) -> AppError {
    TaskRefused::Transition { title: task.spec.title.clone(), refused }.into()
}
