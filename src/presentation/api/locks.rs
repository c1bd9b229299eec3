//! `/locks`: fair locks with a name, which agents and programs share.
//!
//! A request that waits holds its place as long as its connection lasts.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;

use super::caller::Caller;
use super::codes::ErrorCode;
use super::dto::lock::{GrantDto, GrantsDto, LockDto, LocksDto, ReleasedDto};
use super::dto::lock_input::{
    AcquireLock, AcquireLockBody, AcquireLocks, AcquireLocksBody, NAME_RULE, ReleaseLock,
    ReleaseLockBody, RenewLock, RenewLockBody,
};
use super::extract::{Path, Query};
use super::idempotency::Command;
use super::json::Json;
use super::page::{Scope, limit};
use super::problem::Problem;
use super::state::AppState;
use crate::application::error::AppError;
use crate::application::locks::{Asker, Wanted};
use crate::domain::ids::LockId;
use crate::domain::lock::{Grant, LONGEST_WAIT_SECONDS, LockName};

/// Where a lock is waited for.
const PATIENT: [&str; 2] = ["/api/v1/locks/{name}/acquire", "/api/v1/locks/acquire"];

/// The longest time of a request to a route, when that is not the usual.
#[must_use]
pub fn longest(route: &str) -> Option<Duration> {
    PATIENT.contains(&route).then(|| Duration::from_secs(LONGEST_WAIT_SECONDS + 10))
}

fn name(text: &str) -> Result<LockName, Problem> {
    LockName::parse(text).ok_or_else(|| Problem::field("name", "invalid", NAME_RULE))
}

/// Waits until it is granted, refused, the client has gone away or the server goes down.
async fn acquired<T>(
    app: &AppState,
    command: &Command<T>,
    wanted: Wanted,
) -> Result<(Asker, Vec<Grant>), Problem> {
    let asker = Asker::from(&command.ctx);
    let grants = tokio::select! {
        biased;
        () = app.shutdown.cancelled() => return Err(AppError::ShuttingDown.into()),
        granted = app.locks.acquire(&asker, wanted) => granted?,
    };
    Ok((asker, grants))
}

/// Take a lock, or wait for it.
#[utoipa::path(post, path = "/api/v1/locks/{name}/acquire", tag = "locks",
    request_body = AcquireLockBody,
    params(("name" = String, Path, description = "Name of the lock, percent-encoded")),
    responses((status = 200, description = "The caller holds it", body = GrantDto)))]
pub async fn acquire(
    State(app): State<AppState>,
    Path(text): Path<String>,
    command: Command<AcquireLock>,
) -> Result<Response, Problem> {
    let wanted = Wanted { names: vec![name(&text)?], ..command.body.0.clone() };
    let (asker, grants) = acquired(&app, &command, wanted).await?;
    let Some(grant) = grants.first() else {
        return Err(Problem::new(ErrorCode::InternalError, "internal error"));
    };
    let answer = command.answer_with(&app, &GrantDto::from(grant)).await;
    if answer.is_err() {
        // The caller does not learn that it holds it.
        app.locks.give_back(&asker, &grants).await;
    }
    answer
}

/// Take several locks, all or none, or wait for them.
#[utoipa::path(post, path = "/api/v1/locks/acquire", tag = "locks", request_body = AcquireLocksBody,
    responses((status = 200, description = "The caller holds all of them", body = GrantsDto)))]
pub async fn acquire_many(
    State(app): State<AppState>,
    command: Command<AcquireLocks>,
) -> Result<Response, Problem> {
    let (asker, grants) = acquired(&app, &command, command.body.0.clone()).await?;
    let body = GrantsDto { grants: grants.iter().map(GrantDto::from).collect() };
    let answer = command.answer_with(&app, &body).await;
    if answer.is_err() {
        app.locks.give_back(&asker, &grants).await;
    }
    answer
}

fn hold(id: Option<LockId>) -> Result<LockId, Problem> {
    id.ok_or_else(|| Problem::field("/lock_id", "required", "names the hold"))
}

/// Hold a lock for longer.
#[utoipa::path(post, path = "/api/v1/locks/{name}/renew", tag = "locks",
    request_body = RenewLockBody,
    params(("name" = String, Path, description = "Name of the lock, percent-encoded")),
    responses((status = 200, description = "The hold as it now stands", body = GrantDto)))]
pub async fn renew(
    State(app): State<AppState>,
    Path(text): Path<String>,
    command: Command<RenewLock>,
) -> Result<Response, Problem> {
    let RenewLock { lock_id, ttl, fencing_token } = command.body;
    let which = (name(&text)?, hold(lock_id)?);
    let asker = Asker::from(&command.ctx);
    let renewed = app.locks.renew(&asker, which, ttl, fencing_token).await?;
    command.answer_with(&app, &GrantDto::from(&renewed)).await
}

/// Give a lock back. What is not held any more is given back already.
#[utoipa::path(post, path = "/api/v1/locks/{name}/release", tag = "locks",
    request_body = ReleaseLockBody,
    params(("name" = String, Path, description = "Name of the lock, percent-encoded")),
    responses((status = 200, description = "What is left of the hold", body = ReleasedDto)))]
pub async fn release(
    State(app): State<AppState>,
    Path(text): Path<String>,
    command: Command<ReleaseLock>,
) -> Result<Response, Problem> {
    let (name, lock_id) = (name(&text)?, hold(command.body.lock_id)?);
    let asker = Asker::from(&command.ctx);
    let left = app.locks.release(&asker, &name, lock_id).await?;
    let hold_count = left.map_or(0, |left| left.hold_count);
    let released = hold_count == 0;
    let body = ReleasedDto { name: name.to_string(), lock_id, released, hold_count };
    command.answer_with(&app, &body).await
}

/// List locks that somebody holds or waits for.
#[utoipa::path(get, path = "/api/v1/locks", tag = "locks",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "One page with figures of all", body = LocksDto)))]
pub async fn list(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    uri: Uri,
    Query(mut params): Query,
) -> Result<Json<LocksDto>, Problem> {
    let scope = Scope::of(ctx.tenant, &uri);
    let after = scope.take_text(&mut params).and_then(|text| LockName::parse(&text));
    let limit = limit(&mut params);
    params.finish()?;
    let found = app.locks.list(ctx.tenant, after.as_ref(), limit).await?;
    let last = found.locks.last().filter(|_| found.has_more);
    let cursor = last.map(|look| scope.text_cursor(look.name.as_str()));
    Ok(Json(LocksDto::of(&found, cursor, app.clock.now())))
}

/// Read a lock: who holds it, and who waits.
#[utoipa::path(get, path = "/api/v1/locks/{name}", tag = "locks",
    params(("name" = String, Path, description = "Name of the lock, percent-encoded")),
    responses((status = 200, description = "The lock", body = LockDto)))]
pub async fn get(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(text): Path<String>,
) -> Result<Json<LockDto>, Problem> {
    let found = app.locks.get(ctx.tenant, &known(&text)?).await?;
    Ok(Json(LockDto::of(&found, app.clock.now())))
}

/// What cannot be a name is the name of no lock.
fn known(text: &str) -> Result<LockName, Problem> {
    LockName::parse(text).ok_or_else(|| AppError::LockNotFound.into())
}

/// Take a lock away from whoever holds it; who waits for it is served.
#[utoipa::path(delete, path = "/api/v1/locks/{name}", tag = "locks",
    params(
        ("name" = String, Path, description = "Name of the lock, percent-encoded"),
        ("reason" = String, Query, description = "Why, for the audit; 1 to 1000 characters"),
    ),
    responses((status = 204, description = "Nobody of those holds it any more")))]
pub async fn force_release(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(text): Path<String>,
    Query(mut params): Query,
) -> Result<StatusCode, Problem> {
    let reason = params.text("reason").unwrap_or_default();
    let reason = reason.trim();
    if !(1..=1000).contains(&reason.chars().count()) {
        params.wrong("reason", "required", "says why, in 1 to 1000 characters");
    }
    params.finish()?;
    let mut told = reason.to_owned();
    app.options.redactor.clean(&mut told);
    app.locks.force_release(&ctx, &known(&text)?, &told).await?;
    Ok(StatusCode::NO_CONTENT)
}
