//! Splitting a task into parts: by templates, by words, by a generic split or by a plan.
//!
//! Invariant: what is previewed is what is written: the same decision is made again on what is stored then.

use serde_json::Value;

use super::board::Board;
use super::create::{added, invalid, room_for};
use super::planner::Planned;
use super::view::Decomposed;
use super::{Answer, Command, TaskService, Where};
use crate::application::error::AppError;
use crate::application::principal::RequestContext;
use crate::domain::decompose::catalogue::Catalogue;
use crate::domain::decompose::plan::Plan;
use crate::domain::decompose::procedure::decompose;
use crate::domain::decompose::request::{Request, Strategy};
use crate::domain::decompose::{Decomposition, request::RequestDraft};
use crate::domain::ids::{SessionId, TaskId};
use crate::domain::session::Cause;
use crate::domain::task::Task;
use crate::domain::time::Timestamp;

/// What is known before tasks are looked at.
struct Given {
    request: Request,
    catalogue: Catalogue,
    plan: Option<(Plan, Value)>,
}

impl Given {
    fn split(
        &self,
        task: &Task,
        has_subtasks: bool,
        now: Timestamp,
    ) -> Result<Decomposition, AppError> {
        Ok(match &self.plan {
            Some((plan, _)) => plan.clone().decompose(task, has_subtasks, &self.request, now)?,
            None => decompose(task, has_subtasks, &self.request, &self.catalogue, now)?,
        })
    }
}

impl TaskService {
    /// Splits a task; with `dry_run` only tells what it would be split into.
    ///
    /// # Errors
    /// `Invalid`, `TaskNotFound`, `TemplateNotFound`, `TaskAlreadyStarted`, `HasSubtasks`, `PlanInvalid`,
    /// `PlannerFailed`,
    /// `DecompositionLimit`, `TaskDepthExceeded`.
    pub async fn decompose(
        &self,
        ctx: &RequestContext,
        id: TaskId,
        draft: RequestDraft,
        plan: Option<Value>,
    ) -> Result<Decomposed, AppError> {
        let request = draft.accept()?;
        let snapshot = self.snapshot(ctx.tenant).await?;
        let session = super::session_of(&*snapshot, id).await?;
        let catalogue = self.catalogue(&*snapshot).await?;
        drop(snapshot);
        let mut plan = plan_of(&request, plan)?;
        if plan.is_none() && request.strategy == Some(Strategy::Planner) {
            let board = self.board(ctx.tenant, Where::Task(id)).await?;
            let task = board.task(id)?;
            task.can_be_split(!board.is_leaf(id))?;
            match self.planned(ctx, task).await? {
                Planned::Plan(read, spelled) => plan = Some((read, spelled)),
                Planned::Waits(session) => return waits(&board, id, session),
            }
        }
        let given = Given { request, catalogue, plan };
        if given.request.dry_run {
            return self.preview(ctx, id, &given).await;
        }
        self.open_session(ctx.tenant, session).await?;
        let decide = |board: &mut Board, cause: Cause<'_>| {
            let has_subtasks = !board.is_leaf(id);
            let made = given.split(board.task(id)?, has_subtasks, cause.at)?;
            room_for(board, made.subtasks_created())?;
            let decomposed = self.written(board, id, made, cause)?;
            let plan = given.plan.as_ref().map(|(_, spelled)| spelled.clone());
            Ok(Answer::Decomposed(Box::new(Decomposed { plan, ..decomposed })))
        };
        let command = Command { action: "decompose", reason: None };
        match self.change(ctx, Where::Task(id), command, decide).await? {
            Answer::Decomposed(decomposed) => Ok(*decomposed),
            Answer::Task(_) | Answer::Dependency(_) | Answer::Done => {
                Err(super::error::TaskRefused::NotFound.into())
            }
        }
    }

    async fn preview(
        &self,
        ctx: &RequestContext,
        id: TaskId,
        given: &Given,
    ) -> Result<Decomposed, AppError> {
        let board = self.board(ctx.tenant, Where::Task(id)).await?;
        let task = board.task(id)?;
        let decomposition = given.split(task, !board.is_leaf(id), self.clock.now())?;
        Ok(Decomposed {
            root: board.view(id)?,
            total_estimated_hours: decomposition.total_estimated_hours(task),
            decomposition,
            made: Vec::new(),
            dry_run: true,
            planner_session_id: None,
            plan: given.plan.as_ref().map(|(_, spelled)| spelled.clone()),
        })
    }

    fn written(
        &self,
        board: &mut Board,
        id: TaskId,
        made: Decomposition,
        cause: Cause<'_>,
    ) -> Result<Decomposed, AppError> {
        let told = made.event(board.task(id)?, cause.at);
        let total_estimated_hours = made.total_estimated_hours(board.task(id)?);
        if let Some(estimate) = made.estimate.clone() {
            board.change(id, |task| {
                task.estimate = Some(estimate);
                task.updated_at = cause.at;
                Ok(())
            })?;
        }
        let root = board.task(id)?.clone();
        let (tasks, events) = made.clone().into_tasks(&root, || self.ids.uuid(), cause.at);
        let names: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
        for (task, event) in tasks.into_iter().zip(events) {
            board.tell([event, added(&task, cause)]);
            board.add(task);
        }
        if !names.is_empty() {
            board.tell([told]);
        }
        board.begin_anew(cause)?;
        Ok(Decomposed {
            root: board.view(id)?,
            decomposition: made,
            total_estimated_hours,
            made: names,
            dry_run: false,
            planner_session_id: None,
            plan: None,
        })
    }
}

/// A planner still works on it.
fn waits(board: &Board, id: TaskId, session: SessionId) -> Result<Decomposed, AppError> {
    Ok(Decomposed {
        root: board.view(id)?,
        decomposition: Decomposition::default(),
        total_estimated_hours: board.task(id)?.expected_hours(),
        made: Vec::new(),
        dry_run: true,
        planner_session_id: Some(session),
        plan: None,
    })
}

/// The plan that came with the request, read.
fn plan_of(request: &Request, plan: Option<Value>) -> Result<Option<(Plan, Value)>, AppError> {
    let by_planner = request.strategy == Some(Strategy::Planner);
    match plan {
        None => Ok(None),
        Some(_) if !by_planner => {
            Err(invalid("/plan", "conflict", "is only taken with the strategy planner"))
        }
        Some(spelled) => {
            let read = Plan::read(&spelled).map_err(super::error::TaskRefused::PlanInvalid)?;
            Ok(Some((read, spelled)))
        }
    }
}
