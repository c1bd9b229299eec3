//! Commands of a session: one handler per verb, each one service call.

use axum::extract::State;
use axum::response::Response;

use super::dto::checkpoint::CheckpointDto;
use super::dto::input::{
    CheckpointBody, Complete, CompleteBody, Fail, FailBody, Fork, ForkBody, PromptBody, RateBody,
    ReasonBody, RetryBody,
};
use super::dto::session::SessionDto;
use super::extract::Path;
use super::fields::Nothing;
use super::idempotency::Command;
use super::problem::Problem;
use super::state::AppState;
use crate::application::principal::Subject;
use crate::domain::session::PromptMode;
use crate::domain::session::rating::Rating;

/// Queue a pending session; a failed or timed-out one is retried.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/start", tag = "session commands",
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 200, description = "The session as it now stands", body = SessionDto)))]
pub async fn start(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let id = app.sessions.find(command.ctx.tenant, &id).await?;
    let session = app.sessions.start(&command.ctx, id).await?;
    Ok(command.answer(&Subject::Session(&session)))
}

/// Pause at the end of the current turn.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/pause", tag = "session commands",
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses(
        (status = 200, description = "It is paused", body = SessionDto),
        (status = 202, description = "It will be, at the end of the turn", body = SessionDto),
    ))]
pub async fn pause(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let id = app.sessions.find(command.ctx.tenant, &id).await?;
    let settled = app.sessions.pause(&command.ctx, id).await?;
    Ok(command.answer(&Subject::Session(&settled.session)))
}

/// Resume a paused session as soon as there is a slot.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/resume", tag = "session commands",
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses(
        (status = 200, description = "It runs again", body = SessionDto),
        (status = 202, description = "It waits for a slot", body = SessionDto),
    ))]
pub async fn resume(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let id = app.sessions.find(command.ctx.tenant, &id).await?;
    let settled = app.sessions.resume(&command.ctx, id).await?;
    Ok(command.answer(&Subject::Session(&settled.session)))
}

/// Stop a running or paused session; the current turn is aborted.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/stop", tag = "session commands", request_body = ReasonBody,
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 200, description = "The session as it now stands", body = SessionDto)))]
pub async fn stop(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<ReasonBody>,
) -> Result<Response, Problem> {
    let id = app.sessions.find(command.ctx.tenant, &id).await?;
    let reason = command.body.reason.as_deref();
    let session = app.sessions.stop(&command.ctx, id, reason).await?;
    Ok(command.answer(&Subject::Session(&session)))
}

/// Withdraw a session that waits or is paused.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/cancel", tag = "session commands", request_body = ReasonBody,
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 200, description = "The session as it now stands", body = SessionDto)))]
pub async fn cancel(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<ReasonBody>,
) -> Result<Response, Problem> {
    let id = app.sessions.find(command.ctx.tenant, &id).await?;
    let reason = command.body.reason.as_deref();
    let session = app.sessions.cancel(&command.ctx, id, reason).await?;
    Ok(command.answer(&Subject::Session(&session)))
}

/// Retry a failed or timed-out session from a checkpoint.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/retry", tag = "session commands", request_body = RetryBody,
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 200, description = "The session as it now stands", body = SessionDto)))]
pub async fn retry(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<RetryBody>,
) -> Result<Response, Problem> {
    let id = app.sessions.find(command.ctx.tenant, &id).await?;
    let from_checkpoint = command.body.from_checkpoint;
    let session = app.sessions.retry(&command.ctx, id, from_checkpoint).await?;
    Ok(command.answer(&Subject::Session(&session)))
}

/// Declare a session's work done; audited.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/complete", tag = "session commands", request_body = CompleteBody,
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 200, description = "The session as it now stands", body = SessionDto)))]
pub async fn complete(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<Complete>,
) -> Result<Response, Problem> {
    let id = app.sessions.find(command.ctx.tenant, &id).await?;
    let Complete { outcome, reason } = &command.body;
    let session = app.sessions.complete(&command.ctx, id, outcome.clone(), reason).await?;
    Ok(command.answer(&Subject::Session(&session)))
}

/// Declare a session failed; audited.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/fail", tag = "session commands", request_body = FailBody,
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 200, description = "The session as it now stands", body = SessionDto)))]
pub async fn fail(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<Fail>,
) -> Result<Response, Problem> {
    let id = app.sessions.find(command.ctx.tenant, &id).await?;
    let session = app.sessions.fail(&command.ctx, id, command.body.0.clone()).await?;
    Ok(command.answer(&Subject::Session(&session)))
}

/// Judge a session that has ended; stands above what was measured, audited.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/rate", tag = "session commands", request_body = RateBody,
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 200, description = "The session as it now stands", body = SessionDto)))]
pub async fn rate(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<RateBody>,
) -> Result<Response, Problem> {
    let id = app.sessions.find(command.ctx.tenant, &id).await?;
    let RateBody { success_rate, code_quality_score, comment } = &command.body;
    let rating = Rating { success_rate: *success_rate, code_quality_score: *code_quality_score };
    let session = app.sessions.rate(&command.ctx, id, rating, comment.as_deref()).await?;
    Ok(command.answer(&Subject::Session(&session)))
}

/// Tell the agent something more.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/prompt", tag = "session commands", request_body = PromptBody,
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 200, description = "The session as it now stands", body = SessionDto)))]
pub async fn prompt(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<PromptBody>,
) -> Result<Response, Problem> {
    let id = app.sessions.find(command.ctx.tenant, &id).await?;
    let mode = command.body.mode.unwrap_or(PromptMode::Queue);
    let session = app.sessions.prompt(&command.ctx, id, &command.body.text, mode).await?;
    Ok(command.answer(&Subject::Session(&session)))
}

/// Make a new session that goes on where this one was.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/fork", tag = "session commands", request_body = ForkBody,
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 201, description = "The new session", body = SessionDto)))]
pub async fn fork(
    State(app): State<AppState>,
    Path(id): Path<String>,
    mut command: Command<Fork>,
) -> Result<Response, Problem> {
    let id = app.sessions.find(command.ctx.tenant, &id).await?;
    let request = std::mem::take(&mut command.body.0);
    let session = app.sessions.fork(&command.ctx, id, request).await?;
    Ok(command.answer(&Subject::Session(&session)))
}

/// Take a checkpoint with data of one's own.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/checkpoints", tag = "session commands", request_body = CheckpointBody,
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 201, description = "The checkpoint", body = CheckpointDto)))]
pub async fn create_checkpoint(
    State(app): State<AppState>,
    Path(id): Path<String>,
    mut command: Command<CheckpointBody>,
) -> Result<Response, Problem> {
    let id = app.sessions.find(command.ctx.tenant, &id).await?;
    let data = command.body.checkpoint_data.take().unwrap_or_default();
    let metadata = command.body.metadata.take();
    let taken = app.sessions.create_checkpoint(&command.ctx, id, data, metadata).await?;
    Ok(command.answer(&Subject::Checkpoint(&taken)))
}

/// Put workspace and conversation back to a checkpoint; unsaved work is rescued first.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/checkpoints/{seq}/restore", tag = "session commands",
    params(
        ("id" = String, Path, description = "Id or code of the session", example = "IND-000042"),
        ("seq" = u64, Path, description = "Sequence of the checkpoint"),
    ),
    responses((status = 200, description = "The session as it now stands", body = SessionDto)))]
pub async fn restore(
    State(app): State<AppState>,
    Path((id, seq)): Path<(String, u64)>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let sessions = app.sessions.clone();
    app.carry_through(async move {
        let id = sessions.find(command.ctx.tenant, &id).await?;
        let session = Box::pin(sessions.restore(&command.ctx, id, seq)).await?;
        Ok(command.answer(&Subject::Session(&session)))
    })
    .await
}
