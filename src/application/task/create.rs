//! Making tasks, changing and deleting them.

use serde_json::json;

use super::board::{Board, MOST_TASKS, is_busy};
use super::error::TaskRefused;
use super::view::TaskView;
use super::{Answer, Command, TaskService, Where};
use crate::application::error::AppError;
use crate::application::principal::RequestContext;
use crate::domain::event::{DomainEvent, EventType, Subject};
use crate::domain::field::FieldError;
use crate::domain::ids::{DependencyId, SessionId, TaskId};
use crate::domain::session::Cause;
use crate::domain::task::dependency::DependencyDraft;
use crate::domain::task::draft::{TaskDraft, TaskPatch};
use crate::domain::task::{Place, Task};

/// A task to be made.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// The root session that it belongs to; that of the parent when omitted.
    pub session: Option<SessionId>,
    /// The task that it is a part of.
    pub parent: Option<TaskId>,
    /// Its definition.
    pub draft: TaskDraft,
    /// What it needs from the beginning.
    pub dependencies: Vec<DependencyDraft>,
}

impl TaskService {
    /// A new task.
    ///
    /// # Errors
    /// `Invalid`, `SessionNotFound`, `TaskDepthExceeded`, `TaskAlreadyStarted`, `DependencyCycle`.
    pub async fn create(&self, ctx: &RequestContext, new: &NewTask) -> Result<TaskView, AppError> {
        let now = self.clock.now();
        let (spec, estimate) = new.draft.clone().accept(now)?;
        let session = self.root_of(ctx, new).await?;
        self.open_session(ctx.tenant, session).await?;
        let decide = |board: &mut Board, cause: Cause<'_>| {
            room_for(board, 1)?;
            let place = match new.parent {
                None => {
                    let roots = board.tasks().filter(|task| task.is_root_task()).count();
                    let position = u32::try_from(roots).unwrap_or(u32::MAX);
                    Place { position, ..Place::default() }
                }
                Some(parent) => {
                    let parts = u32::try_from(board.parts(parent).len()).unwrap_or(u32::MAX);
                    let found = board.task(parent).map_err(|_| unknown_parent())?;
                    found.place_below(parts)?
                }
            };
            let id = TaskId::new(self.ids.uuid());
            let owner = (ctx.tenant, session);
            let made = (spec.clone(), estimate.clone());
            let (task, created) = Task::create(id, owner, made, place, cause.at);
            let added = added(&task, cause);
            board.add(task);
            board.tell([created, added]);
            board.begin_anew(cause)?;
            for (number, draft) in new.dependencies.iter().enumerate() {
                self.link(board, id, draft.clone(), cause)
                    .map_err(|error| under(error, &format!("/dependencies/{number}")))?;
            }
            if !new.dependencies.is_empty() {
                board.begin_anew(cause)?;
            }
            Ok(Answer::Task(Box::new(board.view(id)?)))
        };
        let command = Command { action: "create", reason: None };
        let answer = self.change(ctx, Where::Session(session), command, decide).await?;
        Ok(task_of(answer))
    }

    async fn root_of(&self, ctx: &RequestContext, new: &NewTask) -> Result<SessionId, AppError> {
        let Some(parent) = new.parent else {
            return new.session.ok_or_else(|| {
                invalid("/session_id", "required", "is required without parent_task_id")
            });
        };
        let snapshot = self.snapshot(ctx.tenant).await?;
        let found = snapshot.task(parent).await?.ok_or_else(unknown_parent)?.value;
        match new.session {
            Some(named) if named != found.session_id => {
                Err(invalid("/parent_task_id", "conflict", "is a task of another session"))
            }
            Some(_) | None => Ok(found.session_id),
        }
    }

    /// Lets a task of the board need another one.
    pub(super) fn link(
        &self,
        board: &mut Board,
        id: TaskId,
        draft: DependencyDraft,
        cause: Cause<'_>,
    ) -> Result<DependencyId, AppError> {
        let added = DependencyId::new(self.ids.uuid());
        let target = draft.target_task_id;
        let forest = board.run.forest().clone();
        board.change(id, |task| {
            task.depend(added, draft, &forest)?;
            task.updated_at = cause.at;
            Ok(())
        })?;
        let is_satisfied = board.task(target).ok().map(Task::as_target);
        let task = board.task(id)?;
        let found = task.dependencies.iter().find(|one| one.id == added);
        let event = found.map(|dependency| {
            let is_satisfied =
                is_satisfied.is_some_and(|target| dependency.dependency_type.is_satisfied(target));
            task.dependency_event(
                EventType::TaskDependencyAdded,
                dependency,
                is_satisfied,
                cause.at,
            )
        });
        board.tell(event);
        Ok(added)
    }

    /// Changes what a task is asked to be.
    ///
    /// # Errors
    /// `Invalid`, `TaskNotFound`, `VersionMismatch`.
    pub async fn patch(
        &self,
        ctx: &RequestContext,
        id: TaskId,
        patch: &TaskPatch,
    ) -> Result<TaskView, AppError> {
        let decide = |board: &mut Board, cause: Cause<'_>| {
            let changed = board.change(id, |task| Ok(task.change(patch.clone(), cause.at)?))?;
            if !changed.is_empty() {
                let payload = json!({ "session_id": board.session(), "changed": changed });
                let told = board.task(id)?.event(EventType::TaskUpdated, cause.at, payload);
                board.tell([told]);
                // Retries, what becomes of it and its hours decide what follows.
                board.begin_anew(cause)?;
            }
            Ok(Answer::Task(Box::new(board.view(id)?)))
        };
        let command = Command { action: "update", reason: None };
        Ok(task_of(self.change(ctx, Where::Task(id), command, decide).await?))
    }

    /// Deletes a task with everything below it; what needed any of it needs it no more.
    ///
    /// # Errors
    /// `TaskNotFound`; `TaskAlreadyStarted` while somebody works on it.
    pub async fn delete(&self, ctx: &RequestContext, id: TaskId) -> Result<(), AppError> {
        let decide = |board: &mut Board, cause: Cause<'_>| {
            let whole = board.whole(id);
            let busy = |id: &TaskId| board.task(*id).is_ok_and(|task| is_busy(task.status()));
            if whole.iter().filter(|id| board.is_leaf(**id)).any(busy) {
                let what = "somebody works on the task or a part of it; cancel it first";
                return Err(TaskRefused::AlreadyStarted(what).into());
            }
            let needing: Vec<(TaskId, DependencyId)> = board
                .tasks()
                .filter(|task| !whole.contains(&task.id))
                .flat_map(|task| {
                    let lost = task.dependencies.iter();
                    let lost = lost.filter(|one| whole.contains(&one.target_task_id));
                    lost.map(|one| (task.id, one.id))
                })
                .collect();
            for (task, dependency) in needing {
                unlink(board, task, dependency, cause)?;
            }
            for gone in &whole {
                let told = board.change(*gone, |task| {
                    task.deleted_at = Some(cause.at);
                    task.updated_at = cause.at;
                    let payload = json!({ "session_id": task.session_id });
                    Ok(task.event(EventType::TaskDeleted, cause.at, payload))
                })?;
                board.tell([told]);
            }
            board.begin_anew(cause)?;
            Ok(Answer::Done)
        };
        let command = Command { action: "delete", reason: None };
        self.change(ctx, Where::Task(id), command, decide).await.map(|_| ())
    }
}

/// A task needs another one no more.
pub(super) fn unlink(
    board: &mut Board,
    id: TaskId,
    dependency: DependencyId,
    cause: Cause<'_>,
) -> Result<(), AppError> {
    let task = board.task(id)?;
    let found = task.dependencies.iter().find(|one| one.id == dependency);
    let found = found.ok_or(TaskRefused::DependencyNotFound)?;
    let shown = board.dependency_view(id, found);
    let kind = EventType::TaskDependencyRemoved;
    let told = task.dependency_event(kind, found, shown.is_satisfied, cause.at);
    board.tell([told]);
    board.change(id, |task| {
        task.free_of(dependency);
        task.updated_at = cause.at;
        Ok(())
    })
}

/// That a session got one more task.
pub(super) fn added(task: &Task, cause: Cause<'_>) -> DomainEvent {
    let payload = json!({ "task_id": task.id, "title": task.spec.title });
    let subject = Subject::session(task.session_id);
    DomainEvent::new(EventType::SessionTaskAdded, subject, cause.at, payload)
}

pub(super) fn room_for(board: &Board, more: usize) -> Result<(), AppError> {
    if board.count() + more <= MOST_TASKS {
        return Ok(());
    }
    let what = "begin another session for more tasks";
    Err(TaskRefused::TooMany { limit: MOST_TASKS, what }.into())
}

pub(super) fn task_of(answer: Answer) -> TaskView {
    match answer {
        Answer::Task(view) => *view,
        Answer::Decomposed(view) => view.root,
        Answer::Dependency(_) | Answer::Done => {
            unreachable!("a command about a task answers with it")
        }
    }
}

fn unknown_parent() -> AppError {
    invalid("/parent_task_id", "unknown", "is no task of this tenant")
}

pub(super) fn invalid(pointer: &str, code: &'static str, message: impl Into<String>) -> AppError {
    let message = message.into();
    AppError::Invalid(vec![FieldError { pointer: pointer.to_owned(), code, message }])
}

/// Errors about a part of the input, where that part stands.
fn under(error: AppError, at: &str) -> AppError {
    let AppError::Invalid(errors) = error else { return error };
    let moved = errors
        .into_iter()
        .map(|error| FieldError { pointer: format!("{at}{}", error.pointer), ..error });
    AppError::Invalid(moved.collect())
}
