//! `/sessions`: create, list, read, change, delete, and what can be read of one session.

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::answer::{Viewer, etag};
use super::caller::Caller;
use super::codes::ErrorCode;
use super::dto::attempt::AttemptDto;
use super::dto::checkpoint::CheckpointDto;
use super::dto::create::{CreateSession, CreateSessionBody};
use super::dto::explain::ExplanationDto;
use super::dto::family::TreeNodeDto;
use super::dto::input::{PatchSession, PatchSessionBody};
use super::dto::session::{SessionDetailDto, SessionDto};
use super::dto::stats::StatsDto;
use super::extract::{Path, Query};
use super::idempotency::Command;
use super::json::Json;
use super::page::{Page, Scope, limit};
use super::params::Params;
use super::problem::Problem;
use super::rows;
use super::state::AppState;
use crate::application::ports::reads::{Order, SessionFilter, SessionPage, SessionQuery};
use crate::application::principal::{RequestContext, Subject};
use crate::domain::ids::SessionId;
use crate::domain::session::spec::Priority;

fn viewer(app: &AppState, ctx: &RequestContext) -> Viewer {
    Viewer { role: ctx.principal.role, now: app.clock.now() }
}

/// Create a session. With `start` it is queued in the same step.
#[utoipa::path(post, path = "/api/v1/sessions", tag = "sessions", request_body = CreateSessionBody,
    responses((status = 201, description = "The session", body = SessionDto)))]
pub async fn create(
    State(app): State<AppState>,
    mut command: Command<CreateSession>,
) -> Result<Response, Problem> {
    let new = std::mem::take(&mut command.body.0);
    let session = app.sessions.create(&command.ctx, new).await?;
    Ok(command.answer(&Subject::Session(&session)))
}

/// List sessions, newest first.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions",
    params(
        ("status" = Option<Vec<String>>, Query, description = "Any of these statuses; repeatable", example = "running"),
        ("session_type" = Option<String>, Query, description = "Type"),
        ("priority" = Option<String>, Query, description = "Priority, 0 to 4 or its name"),
        ("tag" = Option<Vec<String>>, Query, description = "All of these tags; repeatable"),
        ("agent" = Option<String>, Query, description = "Current or pinned agent, by id or name"),
        ("parent_id" = Option<String>, Query, description = "Id or code of the parent"),
        ("created_by" = Option<String>, Query, description = "Who made it"),
        ("created_after" = Option<String>, Query, description = "RFC 3339, included"),
        ("created_before" = Option<String>, Query, description = "RFC 3339, excluded"),
        ("attention" = Option<String>, Query, description = "What a person is wanted for"),
        ("q" = Option<String>, Query, description = "Part of title or code, without case"),
        ("sort" = Option<String>, Query, description = "`-created_at` (default) or `created_at`"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("count" = Option<bool>, Query, description = "Also count all that match"),
    ),
    responses((status = 200, description = "One page", body = Page<SessionDto>)))]
pub async fn list(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    uri: Uri,
    Query(mut params): Query,
) -> Result<Response, Problem> {
    let scope = Scope::of(ctx.tenant, &uri);
    let parent = match params.text("parent_id") {
        Some(reference) => Some(app.sessions.find(ctx.tenant, &reference).await?),
        None => None,
    };
    let query = SessionQuery {
        filter: filter(&mut params, parent),
        order: order(&mut params),
        after: scope.take(&mut params).map(SessionId::new),
        limit: limit(&mut params),
        count: params.flag("count"),
    };
    params.finish()?;
    let SessionPage { items, next, total, skipped } = app.sessions.list(&ctx, query).await?;
    if skipped > 0 {
        tracing::warn!(skipped, "A list left {skipped} damaged records out");
    }
    let viewer = viewer(&app, &ctx);
    let next_cursor = next.map(|last| scope.cursor(last.uuid()));
    let rest = Page { items: Vec::new(), next_cursor, has_more: next.is_some(), total };
    let spelled = items.into_iter().map(|found| app.rows.row(found, viewer));
    let spelled = spelled.collect::<Result<Vec<_>, _>>();
    let body = spelled.and_then(|rows| rows::page(&rows, &rest)).map_err(|error| unspelled(&error));
    Ok(rows::answer(body?))
}

/// An answer that JSON has no spelling for.
fn unspelled(error: &serde_json::Error) -> Problem {
    tracing::error!(%error, "An answer could not be written as JSON");
    Problem::new(ErrorCode::InternalError, "internal error")
}

fn filter(params: &mut Params, parent_id: Option<SessionId>) -> SessionFilter {
    SessionFilter {
        statuses: params.words("status"),
        session_type: params.word("session_type"),
        priority: priority(params),
        tags: params.all("tag"),
        agent: params.text("agent"),
        parent_id,
        created_by: params.text("created_by"),
        created_after: params.time("created_after"),
        created_before: params.time("created_before"),
        attention: params.word("attention"),
        text: params.text("q"),
    }
}

fn priority(params: &mut Params) -> Option<Priority> {
    let text = params.text("priority")?;
    let by_level = text.parse().ok().and_then(Priority::from_level);
    let found = by_level.or_else(|| Priority::parse(&text.to_ascii_lowercase()));
    if found.is_none() {
        params.wrong("priority", "invalid", "must be 0 to 4, or the name of a priority");
    }
    found
}

fn order(params: &mut Params) -> Order {
    match params.text("sort").as_deref() {
        None | Some("-created_at") => Order::NewestFirst,
        Some("created_at") => Order::OldestFirst,
        Some(_) => {
            params.wrong("sort", "invalid", "must be created_at or -created_at");
            Order::NewestFirst
        }
    }
}

/// Statistics over all sessions.
#[utoipa::path(get, path = "/api/v1/sessions/stats", tag = "sessions",
    responses((status = 200, description = "The figures", body = StatsDto)))]
pub async fn stats(
    State(app): State<AppState>,
    Caller(ctx): Caller,
) -> Result<Json<StatsDto>, Problem> {
    Ok(Json(app.sessions.stats(&ctx).await?.into()))
}

/// Read a session.
#[utoipa::path(get, path = "/api/v1/sessions/{id}", tag = "sessions",
    params(
        ("id" = String, Path, description = "Id or code of the session", example = "IND-000042"),
        ("include" = Option<String>, Query, description = "`metrics`, `checkpoints`, `attempts`, separated by commas; metrics are always there"),
    ),
    responses((status = 200, description = "The session", body = SessionDetailDto)))]
pub async fn get(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    Query(mut params): Query,
) -> Result<Response, Problem> {
    let include = params.all("include");
    for word in &include {
        if !matches!(word.as_str(), "metrics" | "checkpoints" | "attempts") {
            params.wrong("include", "invalid", "must be metrics, checkpoints or attempts");
        }
    }
    params.finish()?;
    let wanted = |word: &str| include.iter().any(|given| given == word);
    let id = app.sessions.find(ctx.tenant, &id).await?;
    let (found, children) = app.sessions.with_children(&ctx, id).await?;
    let checkpoints = if wanted("checkpoints") {
        let taken = app.sessions.checkpoints(&ctx, id).await?;
        Some(taken.iter().map(CheckpointDto::from).collect())
    } else {
        None
    };
    let attempts = if wanted("attempts") {
        let attempts = app.sessions.attempts(&ctx, id).await?;
        Some(attempts.into_iter().map(AttemptDto::from).collect())
    } else {
        None
    };
    let etag = etag(found.version);
    let viewer = viewer(&app, &ctx);
    let body = if checkpoints.is_none() && attempts.is_none() {
        let body = app.rows.detail(found, &children, viewer).map_err(|error| unspelled(&error));
        rows::answer(body?)
    } else {
        let session = SessionDto::new(found, Some(children), viewer);
        Json(SessionDetailDto { session, checkpoints, attempts }).into_response()
    };
    Ok(([(header::ETAG, etag)], body).into_response())
}

/// Change the few fields that may change.
#[utoipa::path(patch, path = "/api/v1/sessions/{id}", tag = "sessions", request_body = PatchSessionBody,
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 200, description = "The session as it now stands", body = SessionDto)))]
pub async fn patch(
    State(app): State<AppState>,
    Path(id): Path<String>,
    mut command: Command<PatchSession>,
) -> Result<Response, Problem> {
    let id = app.sessions.find(command.ctx.tenant, &id).await?;
    let patch = std::mem::take(&mut command.body.0);
    let session = app.sessions.patch(&command.ctx, id, patch).await?;
    Ok(command.answer(&Subject::Session(&session)))
}

/// Delete a session that is not active.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = "sessions",
    params(
        ("id" = String, Path, description = "Id or code of the session", example = "IND-000042"),
        ("purge" = Option<bool>, Query, description = "For good, with all its records; administrators only"),
    ),
    responses((status = 204, description = "It is gone")))]
pub async fn delete(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    Query(mut params): Query,
) -> Result<StatusCode, Problem> {
    let purge = params.flag("purge");
    params.finish()?;
    let id = app.sessions.find(ctx.tenant, &id).await?;
    app.sessions.delete(&ctx, id, purge).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The attempts of a session, oldest first.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/attempts", tag = "sessions",
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 200, description = "Every attempt", body = Page<AttemptDto>)))]
pub async fn attempts(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Json<Page<AttemptDto>>, Problem> {
    let id = app.sessions.find(ctx.tenant, &id).await?;
    let attempts = app.sessions.attempts(&ctx, id).await?;
    Ok(Json(Page::whole(attempts.into_iter().map(AttemptDto::from).collect())))
}

/// The session and what is below it.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/tree", tag = "sessions",
    params(
        ("id" = String, Path, description = "Id or code of the session", example = "IND-000042"),
        ("depth" = Option<u32>, Query, description = "Levels to go down, 1 to 10, 5 when omitted"),
    ),
    responses((status = 200, description = "The tree", body = TreeNodeDto)))]
pub async fn tree(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    Query(mut params): Query,
) -> Result<Json<TreeNodeDto>, Problem> {
    let depth = params.integer("depth").unwrap_or(5);
    if !(1..=10).contains(&depth) {
        params.wrong("depth", "out_of_range", "must be between 1 and 10");
    }
    params.finish()?;
    let id = app.sessions.find(ctx.tenant, &id).await?;
    let levels = u32::try_from(depth).unwrap_or(10);
    Ok(Json(app.sessions.tree(&ctx, id, levels).await?.into()))
}

/// Why a session stands where it stands, and what would move it.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/explain", tag = "sessions",
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 200, description = "The explanation", body = ExplanationDto)))]
pub async fn explain(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Json<ExplanationDto>, Problem> {
    let id = app.sessions.find(ctx.tenant, &id).await?;
    Ok(Json(app.sessions.explain(&ctx, app.system.queue(), id).await?.into()))
}
