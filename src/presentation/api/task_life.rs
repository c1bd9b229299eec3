//! The commands that move tasks, and what splits them.

use axum::extract::State;
use axum::response::Response;

use super::dto::task::TaskDto;
use super::dto::task_input::{
    AssignTask, AssignTaskBody, CompleteTask, CompleteTaskBody, DecomposeTask, DecomposeTaskBody,
    ExecuteTask, ExecuteTaskBody, FailTask, FailTaskBody, MoveTask, MoveTaskBody, SetTaskStatus,
    SetTaskStatusBody,
};
use super::dto::task_views::DecompositionDto;
use super::extract::Path;
use super::idempotency::Command;
use super::problem::Problem;
use super::state::AppState;
use super::tasks::parse;
use crate::application::principal::Subject;
use crate::domain::ids::TaskId;
use crate::domain::task::status::Trigger;

/// Bring a task to a status that a command leads to.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/status", tag = "tasks",
    request_body = SetTaskStatusBody,
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "The task as it now stands", body = TaskDto)))]
pub async fn status(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<SetTaskStatus>,
) -> Result<Response, Problem> {
    let SetTaskStatus(wanted, ask) = &command.body;
    let moved = app.tasks.bring_to(&command.ctx, parse(&id)?, *wanted, ask).await?;
    Ok(command.answer(&Subject::Task(&moved)))
}

/// Split a task into parts; with `dry_run` only tell what it would be split into.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/decompose", tag = "tasks",
    request_body = DecomposeTaskBody,
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses(
        (status = 200, description = "What it was split into", body = DecompositionDto),
        (status = 202, description = "A planner still works on it: send the same request again", body = DecompositionDto),
    ))]
pub async fn decompose(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<DecomposeTask>,
) -> Result<Response, Problem> {
    let DecomposeTask(draft, plan) = &command.body;
    let (draft, plan) = (draft.clone(), plan.clone());
    let made = app.tasks.decompose(&command.ctx, parse(&id)?, draft, plan).await?;
    Ok(command.answer(&Subject::Decomposed(&made)))
}

/// Give a task to an agent, by routing when none is named.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/assign", tag = "tasks", request_body = AssignTaskBody,
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "The task as it now stands", body = TaskDto)))]
pub async fn assign(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<AssignTask>,
) -> Result<Response, Problem> {
    let AssignTask(ask) = &command.body;
    let moved = app.tasks.command(&command.ctx, parse(&id)?, Trigger::Assign, ask).await?;
    Ok(command.answer(&Subject::Task(&moved)))
}

/// Begin a task, or go on with it; a ready one is assigned first.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/start", tag = "tasks", request_body = MoveTaskBody,
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "The task as it now stands", body = TaskDto)))]
pub async fn start(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<MoveTask>,
) -> Result<Response, Problem> {
    let MoveTask(ask) = &command.body;
    let moved = app.tasks.command(&command.ctx, parse(&id)?, Trigger::Start, ask).await?;
    Ok(command.answer(&Subject::Task(&moved)))
}

/// Say that the work on a task is done.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/complete", tag = "tasks", request_body = CompleteTaskBody,
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "The task as it now stands", body = TaskDto)))]
pub async fn complete(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<CompleteTask>,
) -> Result<Response, Problem> {
    let CompleteTask(ask) = &command.body;
    let moved = app.tasks.command(&command.ctx, parse(&id)?, Trigger::Complete, ask).await?;
    Ok(command.answer(&Subject::Task(&moved)))
}

/// Say that the work on a task failed.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/fail", tag = "tasks", request_body = FailTaskBody,
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "The task as it now stands", body = TaskDto)))]
pub async fn fail(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<FailTask>,
) -> Result<Response, Problem> {
    let FailTask(ask) = &command.body;
    let moved = app.tasks.command(&command.ctx, parse(&id)?, Trigger::Fail, ask).await?;
    Ok(command.answer(&Subject::Task(&moved)))
}

/// Hold a task.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/pause", tag = "tasks", request_body = MoveTaskBody,
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "The task as it now stands", body = TaskDto)))]
pub async fn pause(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<MoveTask>,
) -> Result<Response, Problem> {
    let MoveTask(ask) = &command.body;
    let moved = app.tasks.command(&command.ctx, parse(&id)?, Trigger::Pause, ask).await?;
    Ok(command.answer(&Subject::Task(&moved)))
}

/// Cancel a task, with everything below it that has not finished.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/cancel", tag = "tasks", request_body = MoveTaskBody,
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "The task as it now stands", body = TaskDto)))]
pub async fn cancel(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<MoveTask>,
) -> Result<Response, Problem> {
    let MoveTask(ask) = &command.body;
    let moved = app.tasks.command(&command.ctx, parse(&id)?, Trigger::Cancel, ask).await?;
    Ok(command.answer(&Subject::Task(&moved)))
}

/// Leave a task out, with everything below it that nobody was given.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/skip", tag = "tasks", request_body = MoveTaskBody,
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "The task as it now stands", body = TaskDto)))]
pub async fn skip(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<MoveTask>,
) -> Result<Response, Problem> {
    let MoveTask(ask) = &command.body;
    let moved = app.tasks.command(&command.ctx, parse(&id)?, Trigger::Skip, ask).await?;
    Ok(command.answer(&Subject::Task(&moved)))
}

/// Try what failed of a task once more.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/retry", tag = "tasks", request_body = MoveTaskBody,
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "The task as it now stands", body = TaskDto)))]
pub async fn retry(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<MoveTask>,
) -> Result<Response, Problem> {
    let MoveTask(ask) = &command.body;
    let moved = app.tasks.command(&command.ctx, parse(&id)?, Trigger::Retry, ask).await?;
    Ok(command.answer(&Subject::Task(&moved)))
}

/// Have a task executed with everything below it: its session begins, and each leaf gets a session.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/execute", tag = "tasks",
    request_body = ExecuteTaskBody,
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 202, description = "The task; its leaves are given out from now on", body = TaskDto)))]
pub async fn execute(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<ExecuteTask>,
) -> Result<Response, Problem> {
    let ExecuteTask(max_parallel, fail_fast) = command.body;
    let wanted = (max_parallel, fail_fast);
    let begun = app.tasks.execute(&command.ctx, parse(&id)?, wanted).await?;
    Ok(command.answer(&Subject::Task(&begun)))
}
