//! `/attention`: what agents and rules want a person to decide.

use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};

use super::answer::etag;
use super::caller::Caller;
use super::codes::ErrorCode;
use super::dto::attention::AttentionDto;
use super::dto::input::{ResolveBody, ResolveManyBody};
use super::extract::{Path, Query};
use super::idempotency::Command;
use super::json::Json;
use super::page::{Page, Scope, limit};
use super::problem::Problem;
use super::state::AppState;
use crate::application::attention::Decided;
use crate::application::principal::{RequestContext, Subject};
use crate::domain::attention::Decision;
use crate::domain::ids::AttentionId;

/// List attention items, oldest first.
#[utoipa::path(get, path = "/api/v1/attention", tag = "attention",
    params(
        ("state" = Option<String>, Query, description = "`open`, `resolved` or `expired`", example = "open"),
        ("session_id" = Option<String>, Query, description = "Id or code of a session"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "One page", body = Page<AttentionDto>)))]
pub async fn list(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    uri: Uri,
    Query(mut params): Query,
) -> Result<Json<Page<AttentionDto>>, Problem> {
    let scope = Scope::of(ctx.tenant, &uri);
    let state = params.word("state");
    let session = match params.text("session_id") {
        Some(reference) => Some(app.sessions.find(ctx.tenant, &reference).await?),
        None => None,
    };
    let after = scope.take(&mut params).map(AttentionId::new);
    let limit = limit(&mut params);
    params.finish()?;
    let mut found = app.attention.list(&ctx, session, state, after, limit + 1).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| has_more).map(|item| item.value.id);
    Ok(Json(Page {
        items: found.iter().map(AttentionDto::from).collect(),
        next_cursor: last.map(|id| scope.cursor(id.uuid())),
        has_more,
        total: None,
    }))
}

/// Read an attention item.
#[utoipa::path(get, path = "/api/v1/attention/{id}", tag = "attention",
    params(("id" = AttentionId, Path, description = "Id of the item")),
    responses((status = 200, description = "The item", body = AttentionDto)))]
pub async fn get(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = app.attention.get(&ctx, parse(&id)?).await?;
    let body = Json(AttentionDto::from(&found));
    Ok(([(header::ETAG, etag(found.version))], body).into_response())
}

/// Decide about an item.
#[utoipa::path(post, path = "/api/v1/attention/{id}/resolve", tag = "attention", request_body = ResolveBody,
    params(("id" = AttentionId, Path, description = "Id of the item")),
    responses((status = 200, description = "The item as it now stands", body = AttentionDto)))]
pub async fn resolve(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<ResolveBody>,
) -> Result<Response, Problem> {
    let id = parse(&id)?;
    let ResolveBody { decision, answer, fingerprint } = &command.body;
    let decided = Decided {
        decision: given(*decision)?,
        answer: answer.as_deref(),
        fingerprint: fingerprint.as_deref(),
    };
    let item = app.attention.resolve(&command.ctx, id, decided).await?;
    Ok(command.answer(&Subject::Attention(&item)))
}

/// Decide about every open item that asks the same.
#[utoipa::path(post, path = "/api/v1/attention/resolve", tag = "attention", request_body = ResolveManyBody,
    responses((status = 200, description = "The items as they now stand", body = Page<AttentionDto>)))]
pub async fn resolve_many(
    State(app): State<AppState>,
    command: Command<ResolveManyBody>,
) -> Result<Response, Problem> {
    let ResolveManyBody { fingerprint, decision, answer } = &command.body;
    let decided = Decided {
        decision: given(*decision)?,
        answer: answer.as_deref(),
        fingerprint: Some(fingerprint),
    };
    // Several commits answer one request: none of them may remember an answer of its own.
    let ctx = RequestContext { repeat: None, ..command.ctx.clone() };
    let items = app.attention.resolve_many(&ctx, fingerprint, decided).await?;
    let page = Page::whole(items.iter().map(AttentionDto::from).collect());
    command.answer_with(&app, &page).await
}

fn parse(id: &str) -> Result<AttentionId, Problem> {
    AttentionId::parse(id)
        .ok_or_else(|| Problem::new(ErrorCode::AttentionNotFound, "no such attention item"))
}

fn given(decision: Option<Decision>) -> Result<Decision, Problem> {
    decision.ok_or_else(|| Problem::field("/decision", "required", "is required"))
}
