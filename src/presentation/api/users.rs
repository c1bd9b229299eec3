//! `/users`: the people of a tenant, for its administrators.

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::answer::etag;
use super::caller::Caller;
use super::codes::ErrorCode;
use super::dto::user::{CreateUser, CreateUserBody, PatchUser, PatchUserBody, UserDto};
use super::extract::{Path, Query};
use super::idempotency::Command;
use super::json::Json;
use super::page::{Page, Scope, limit};
use super::problem::Problem;
use super::state::AppState;
use crate::application::principal::Subject;
use crate::domain::ids::UserId;

/// Let somebody in, without a key; an invitation makes both.
#[utoipa::path(post, path = "/api/v1/users", tag = "users", request_body = CreateUserBody,
    responses((status = 201, description = "Somebody new", body = UserDto)))]
pub async fn create(
    State(app): State<AppState>,
    command: Command<CreateUser>,
) -> Result<Response, Problem> {
    let made = app.identity.create_user(&command.ctx, command.body.0.clone()).await?;
    Ok(command.answer(&Subject::User(&made)))
}

/// List people in order of their coming.
#[utoipa::path(get, path = "/api/v1/users", tag = "users",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "One page", body = Page<UserDto>)))]
pub async fn list(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    uri: Uri,
    Query(mut params): Query,
) -> Result<Json<Page<UserDto>>, Problem> {
    let scope = Scope::of(ctx.tenant, &uri);
    let after = scope.take(&mut params).map(UserId::new);
    let limit = limit(&mut params);
    params.finish()?;
    let mut found = app.identity.users(&ctx, after, limit + 1).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| has_more).map(|user| user.value.id);
    Ok(Json(Page {
        items: found.iter().map(UserDto::from).collect(),
        next_cursor: last.map(|id| scope.cursor(id.uuid())),
        has_more,
        total: None,
    }))
}

/// Read somebody.
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "users",
    params(("id" = UserId, Path, description = "Id of the user")),
    responses((status = 200, description = "Somebody", body = UserDto)))]
pub async fn get(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = app.identity.user(&ctx, parse(&id)?).await?;
    let tag = etag(found.version);
    Ok(([(header::ETAG, tag)], Json(UserDto::from(&found))).into_response())
}

/// Change somebody; switching them off revokes all keys of theirs.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "users", request_body = PatchUserBody,
    params(("id" = UserId, Path, description = "Id of the user")),
    responses((status = 200, description = "As they now stand", body = UserDto)))]
pub async fn patch(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<PatchUser>,
) -> Result<Response, Problem> {
    let changed = app.identity.change_user(&command.ctx, parse(&id)?, &command.body.0).await?;
    Ok(command.answer(&Subject::User(&changed)))
}

/// Send somebody away for good; all keys of theirs are revoked.
#[utoipa::path(delete, path = "/api/v1/users/{id}", tag = "users",
    params(("id" = UserId, Path, description = "Id of the user")),
    responses((status = 204, description = "They are gone")))]
pub async fn delete(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.identity.remove_user(&ctx, parse(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn parse(id: &str) -> Result<UserId, Problem> {
    let missing = || Problem::new(ErrorCode::UserNotFound, "no such user");
    UserId::parse(id).ok_or_else(missing)
}
