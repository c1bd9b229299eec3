//! `/tasks`: the breakdown of work, and what is known of it.

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::answer::etag;
use super::caller::Caller;
use super::codes::ErrorCode;
use super::dto::task::{DependencyDto, TaskDto};
use super::dto::task_input::{
    AddDependency, CreateTask, CreateTaskBody, DependencyBody, PatchTask, PatchTaskBody,
};
use super::dto::task_views::{GraphDto, StatisticsDto, SummaryDto, TreeDto, TreeNodeDto};
use super::extract::{Path, Query};
use super::idempotency::Command;
use super::json::Json;
use super::page::{Page, Scope, limit};
use super::problem::Problem;
use super::state::AppState;
use crate::application::principal::Subject;
use crate::application::task::{NewTask, TaskFilter};
use crate::domain::ids::{DependencyId, SessionId, TaskId};

/// Create a task.
#[utoipa::path(post, path = "/api/v1/tasks", tag = "tasks", request_body = CreateTaskBody,
    responses((status = 201, description = "The task", body = TaskDto)))]
pub async fn create(
    State(app): State<AppState>,
    command: Command<CreateTask>,
) -> Result<Response, Problem> {
    let (ctx, body) = (&command.ctx, &command.body);
    let session = match &body.session {
        Some(reference) => Some(app.sessions.find(ctx.tenant, reference).await?),
        None => None,
    };
    let (parent, draft) = (body.parent, body.draft.clone());
    let new = NewTask { session, parent, draft, dependencies: body.dependencies.clone() };
    let made = app.tasks.create(ctx, &new).await?;
    Ok(command.answer(&Subject::Task(&made)))
}

/// List tasks, oldest first.
#[utoipa::path(get, path = "/api/v1/tasks", tag = "tasks",
    params(
        ("session_id" = Option<String>, Query, description = "Of this session, by id or code"),
        ("parent_task_id" = Option<String>, Query, description = "Parts of this task"),
        ("status" = Option<String>, Query, description = "In one of these statuses; repeatable"),
        ("priority" = Option<String>, Query, description = "Of this urgency"),
        ("task_type" = Option<String>, Query, description = "Of this type"),
        ("tag" = Option<String>, Query, description = "With all of these tags; repeatable"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "One page; it may be short and still have a next one", body = Page<TaskDto>)))]
pub async fn list(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    uri: Uri,
    Query(mut params): Query,
) -> Result<Json<Page<TaskDto>>, Problem> {
    let pages = Scope::of(ctx.tenant, &uri);
    let after = pages.take(&mut params).map(TaskId::new);
    let session = params.text("session_id");
    let parent = params.text("parent_task_id");
    let parent_id = parent.as_deref().and_then(TaskId::parse);
    if parent.is_some() && parent_id.is_none() {
        params.wrong("parent_task_id", "invalid", "must be a UUID");
    }
    let mut filter = TaskFilter {
        session: None,
        parent: parent_id,
        statuses: params.words("status"),
        priority: params.word("priority"),
        task_type: params.text("task_type"),
        tags: params.all("tag"),
    };
    let limit = limit(&mut params);
    params.finish()?;
    if let Some(reference) = session {
        filter.session = Some(app.sessions.find(ctx.tenant, &reference).await?);
    }
    let page = app.tasks.list(&ctx, &filter, after, limit).await?;
    Ok(Json(Page {
        items: page.items.iter().map(TaskDto::from).collect(),
        next_cursor: page.next.map(|id| pages.cursor(id.uuid())),
        has_more: page.next.is_some(),
        total: None,
    }))
}

/// How many tasks are what, of a session or of all.
#[utoipa::path(get, path = "/api/v1/tasks/stats", tag = "tasks",
    params(("session_id" = Option<String>, Query, description = "Of this session, by id or code")),
    responses((status = 200, description = "The figures", body = StatisticsDto)))]
pub async fn stats(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Query(mut params): Query,
) -> Result<Json<StatisticsDto>, Problem> {
    let session = params.text("session_id");
    params.finish()?;
    let session: Option<SessionId> = match session {
        Some(reference) => {
            let id = app.sessions.find(ctx.tenant, &reference).await?;
            app.sessions.get(&ctx, id).await?;
            Some(id)
        }
        None => None,
    };
    Ok(Json(app.tasks.statistics(&ctx, session).await?.into()))
}

/// Read a task.
#[utoipa::path(get, path = "/api/v1/tasks/{id}", tag = "tasks",
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "The task", body = TaskDto)))]
pub async fn get(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = app.tasks.get(&ctx, parse(&id)?).await?;
    let tag = etag(found.task.version);
    Ok(([(header::ETAG, tag)], Json(TaskDto::from(&found))).into_response())
}

/// Change what a task is asked to be.
#[utoipa::path(patch, path = "/api/v1/tasks/{id}", tag = "tasks", request_body = PatchTaskBody,
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "The task as it now stands", body = TaskDto)))]
pub async fn patch(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<PatchTask>,
) -> Result<Response, Problem> {
    let changed = app.tasks.patch(&command.ctx, parse(&id)?, &command.body.0).await?;
    Ok(command.answer(&Subject::Task(&changed)))
}

/// Delete a task with everything below it, while nobody works on it.
#[utoipa::path(delete, path = "/api/v1/tasks/{id}", tag = "tasks",
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 204, description = "It is gone")))]
pub async fn delete(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.tasks.delete(&ctx, parse(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The direct parts of a task, in order.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/subtasks", tag = "tasks",
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "All of them", body = Page<TaskDto>)))]
pub async fn subtasks(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Json<Page<TaskDto>>, Problem> {
    let parts = app.tasks.subtasks(&ctx, parse(&id)?).await?;
    Ok(Json(Page::whole(parts.iter().map(TaskDto::from).collect())))
}

/// A task with everything below it, and how it stands.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/tree", tag = "tasks",
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "The tree", body = TreeDto)))]
pub async fn tree(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Json<TreeDto>, Problem> {
    let (tree, summary) = app.tasks.tree(&ctx, parse(&id)?).await?;
    Ok(Json(TreeDto { tree: TreeNodeDto::from(tree), summary: SummaryDto::from(summary) }))
}

/// The graph of a task: when each leaf can start and must, and what the end hangs on.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/graph", tag = "tasks",
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "The graph", body = GraphDto)))]
pub async fn graph(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Json<GraphDto>, Problem> {
    Ok(Json(app.tasks.graph(&ctx, parse(&id)?).await?.into()))
}

/// The same graph, by another name.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/dependencies/graph", tag = "tasks",
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "The graph", body = GraphDto)))]
pub async fn graph_too(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Json<GraphDto>, Problem> {
    Ok(Json(app.tasks.graph(&ctx, parse(&id)?).await?.into()))
}

/// What a task needs.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/dependencies", tag = "tasks",
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 200, description = "All of it", body = Page<DependencyDto>)))]
pub async fn dependencies(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Json<Page<DependencyDto>>, Problem> {
    let found = app.tasks.dependencies(&ctx, parse(&id)?).await?;
    Ok(Json(Page::whole(found.iter().map(DependencyDto::from).collect())))
}

/// Let a task need another one of its session.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/dependencies", tag = "tasks",
    request_body = DependencyBody,
    params(("id" = TaskId, Path, description = "Id of the task")),
    responses((status = 201, description = "The dependency", body = DependencyDto)))]
pub async fn depend(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<AddDependency>,
) -> Result<Response, Problem> {
    let id = parse(&id)?;
    let AddDependency(draft) = &command.body;
    let draft = draft.as_ref();
    let draft = draft.ok_or_else(|| Problem::field("target_task_id", "required", "is required"))?;
    let made = app.tasks.depend(&command.ctx, id, draft).await?;
    Ok(command.answer(&Subject::Dependency(&made)))
}

/// Let a task need another one no more.
#[utoipa::path(delete, path = "/api/v1/tasks/{id}/dependencies/{dependency_id}", tag = "tasks",
    params(
        ("id" = TaskId, Path, description = "Id of the task"),
        ("dependency_id" = DependencyId, Path, description = "Id of the dependency"),
    ),
    responses((status = 204, description = "It is gone")))]
pub async fn free(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path((id, dependency)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    let id = parse(&id)?;
    let missing = || Problem::new(ErrorCode::DependencyNotFound, "no such dependency");
    let dependency = DependencyId::parse(&dependency).ok_or_else(missing)?;
    app.tasks.free(&ctx, id, dependency).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(in crate::presentation) fn parse(id: &str) -> Result<TaskId, Problem> {
    TaskId::parse(id).ok_or_else(|| Problem::new(ErrorCode::TaskNotFound, "no such task"))
}
