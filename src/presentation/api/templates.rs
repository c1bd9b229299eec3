//! `/templates`: into which parts kinds of tasks are split.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::etag;
use super::caller::Caller;
use super::dto::task_input::{PutTemplate, PutTemplateBody};
use super::dto::task_views::TemplateDto;
use super::extract::Path;
use super::idempotency::Command;
use super::json::Json;
use super::page::Page;
use super::problem::Problem;
use super::state::AppState;
use crate::application::principal::Subject;

/// List templates: the shipped ones, and the tenant's own in their place or beside them.
#[utoipa::path(get, path = "/api/v1/templates", tag = "tasks",
    responses((status = 200, description = "All of them, by key", body = Page<TemplateDto>)))]
pub async fn list(
    State(app): State<AppState>,
    Caller(ctx): Caller,
) -> Result<Json<Page<TemplateDto>>, Problem> {
    let all = app.tasks.templates(&ctx).await?;
    Ok(Json(Page::whole(all.iter().map(TemplateDto::from).collect())))
}

/// Add a template; one with a shipped key takes its place for this tenant.
#[utoipa::path(post, path = "/api/v1/templates", tag = "tasks", request_body = PutTemplateBody,
    responses((status = 201, description = "The template", body = TemplateDto)))]
pub async fn create(
    State(app): State<AppState>,
    command: Command<PutTemplate>,
) -> Result<Response, Problem> {
    let made = app.tasks.add_template(&command.ctx, &command.body.0).await?;
    Ok(command.answer(&Subject::Template(&made)))
}

/// Read a template.
#[utoipa::path(get, path = "/api/v1/templates/{name}", tag = "tasks",
    params(("name" = String, Path, description = "Key of the template")),
    responses((status = 200, description = "The template", body = TemplateDto)))]
pub async fn get(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(key): Path<String>,
) -> Result<Response, Problem> {
    let found = app.tasks.template(&ctx, &key).await?;
    let body = Json(TemplateDto::from(&found));
    Ok(match found.version {
        Some(version) => ([(header::ETAG, etag(version))], body).into_response(),
        None => body.into_response(),
    })
}

/// Write the template of a key: make it, or replace what the tenant had.
#[utoipa::path(put, path = "/api/v1/templates/{name}", tag = "tasks",
    request_body = PutTemplateBody,
    params(("name" = String, Path, description = "Key of the template")),
    responses(
        (status = 200, description = "The template as it now stands", body = TemplateDto),
        (status = 201, description = "The template", body = TemplateDto),
    ))]
pub async fn put(
    State(app): State<AppState>,
    Path(key): Path<String>,
    command: Command<PutTemplate>,
) -> Result<Response, Problem> {
    let kept = app.tasks.put_template(&command.ctx, &key, &command.body.0).await?;
    Ok(command.answer(&Subject::Template(&kept)))
}

/// Remove a template of the tenant's own; a shipped one of the same key is there again.
#[utoipa::path(delete, path = "/api/v1/templates/{name}", tag = "tasks",
    params(("name" = String, Path, description = "Key of the template")),
    responses((status = 204, description = "It is gone")))]
pub async fn delete(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(key): Path<String>,
) -> Result<StatusCode, Problem> {
    app.tasks.drop_template(&ctx, &key).await?;
    Ok(StatusCode::NO_CONTENT)
}
