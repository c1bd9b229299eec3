//! What a session left behind: checkpoints, its changes, and bringing them home.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::codes::ErrorCode;
use super::dto::checkpoint::CheckpointDto;
use super::dto::input::MergeBody;
use super::dto::work::{DiffDto, FileDiffDto, MergeDto};
use super::extract::{Path, Query};
use super::idempotency::Command;
use super::json::Json;
use super::page::Page;
use super::problem::Problem;
use super::state::AppState;
use crate::application::ports::workspaces::MergeMode;
use crate::domain::canonical::hex;
use crate::domain::session::artifact::Artifact;
use crate::domain::time::Timestamp;

/// The checkpoints that are kept, oldest first.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/checkpoints", tag = "sessions",
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 200, description = "Every checkpoint", body = Page<CheckpointDto>)))]
pub async fn checkpoints(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Json<Page<CheckpointDto>>, Problem> {
    let id = app.sessions.find(ctx.tenant, &id).await?;
    let taken = app.sessions.checkpoints(&ctx, id).await?;
    Ok(Json(Page::whole(taken.iter().map(CheckpointDto::from).collect())))
}

/// One checkpoint.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/checkpoints/{seq}", tag = "sessions",
    params(
        ("id" = String, Path, description = "Id or code of the session", example = "IND-000042"),
        ("seq" = u64, Path, description = "Sequence of the checkpoint"),
    ),
    responses((status = 200, description = "The checkpoint", body = CheckpointDto)))]
pub async fn checkpoint(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path((id, seq)): Path<(String, u64)>,
) -> Result<Json<CheckpointDto>, Problem> {
    let id = app.sessions.find(ctx.tenant, &id).await?;
    let taken = app.sessions.checkpoint(&ctx, id, seq).await?;
    Ok(Json(CheckpointDto::from(&taken)))
}

/// What the session changed in its workspace, or had changed at a checkpoint.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/diff", tag = "sessions",
    params(
        ("id" = String, Path, description = "Id or code of the session", example = "IND-000042"),
        ("checkpoint" = Option<u64>, Query, description = "Sequence of a checkpoint; the workspace as it is when omitted"),
    ),
    responses((status = 200, description = "The comparison", body = DiffDto)))]
pub async fn diff(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    Query(mut params): Query,
) -> Result<Json<DiffDto>, Problem> {
    let checkpoint = params.integer("checkpoint");
    params.finish()?;
    let id = app.sessions.find(ctx.tenant, &id).await?;
    Ok(Json(app.sessions.diff(&ctx, id, checkpoint).await?.into()))
}

/// One file of the comparison.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/diff/files/{*path}", tag = "sessions",
    params(
        ("id" = String, Path, description = "Id or code of the session", example = "IND-000042"),
        ("path" = String, Path, description = "Path in the repository", example = "src/lib.rs"),
        ("checkpoint" = Option<u64>, Query, description = "Sequence of a checkpoint"),
    ),
    responses((status = 200, description = "The file", body = FileDiffDto)))]
pub async fn diff_file(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path((id, path)): Path<(String, String)>,
    Query(mut params): Query,
) -> Result<Json<FileDiffDto>, Problem> {
    let checkpoint = params.integer("checkpoint");
    params.finish()?;
    let id = app.sessions.find(ctx.tenant, &id).await?;
    let diff = app.sessions.diff(&ctx, id, checkpoint).await?;
    let file = diff.files.into_iter().find(|file| file.path == path);
    match file {
        Some(file) => Ok(Json(file.into())),
        None => Err(Problem::new(ErrorCode::RouteNotFound, "this file was not changed")),
    }
}

/// A file that an agent brought back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Artifact)]
pub struct ArtifactDto {
    /// Relative, its parts joined by `/`.
    pub path: String,
    /// Of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// What the agent says that it is.
    pub mime_type: String,
    /// The attempt that it came of.
    pub attempt: u32,
    /// When it came.
    pub created_at: Timestamp,
}

/// All files that agents brought back for a session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Artifacts)]
pub struct ArtifactsDto {
    /// By path.
    pub items: Vec<ArtifactDto>,
}

/// List the files that agents brought back, by path.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/artifacts", tag = "sessions",
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 200, description = "The files", body = ArtifactsDto)))]
pub async fn artifacts(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Json<ArtifactsDto>, Problem> {
    let id = app.sessions.find(ctx.tenant, &id).await?;
    let all = app.sessions.artifacts(&ctx, id).await?;
    let items = all.into_iter().map(|artifact| {
        let Artifact { path, sha256, size, mime_type, attempt, at } = artifact;
        ArtifactDto { path, sha256: hex(&sha256), size, mime_type, attempt, created_at: at }
    });
    Ok(Json(ArtifactsDto { items: items.collect() }))
}

/// Read a file that an agent brought back, byte for byte.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/artifacts/{*path}", tag = "sessions",
    params(
        ("id" = String, Path, description = "Id or code of the session", example = "IND-000042"),
        ("path" = String, Path, description = "Path of the file", example = "report/summary.txt"),
    ),
    responses((status = 200, description = "The file, which browsers keep and do not show", content_type = "application/octet-stream", body = Vec<u8>)))]
pub async fn artifact(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path((id, path)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let id = app.sessions.find(ctx.tenant, &id).await?;
    let (artifact, bytes) = app.sessions.artifact(&ctx, id, &path).await?;
    // What an agent calls it is no reason for a browser to run it.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, "attachment".to_owned()),
        (header::ETAG, format!("\"{}\"", hex(&artifact.sha256))),
    ];
    Ok((headers, bytes).into_response())
}

/// Bring the work home: merge, squash, or export as a patch. Nothing changes on a conflict.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/merge", tag = "session commands", request_body = MergeBody,
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses((status = 200, description = "What was done", body = MergeDto)))]
pub async fn merge(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<MergeBody>,
) -> Result<Response, Problem> {
    let work = app.clone();
    app.carry_through(async move {
        let id = work.sessions.find(command.ctx.tenant, &id).await?;
        let MergeBody { mode, message } = &command.body;
        let mode = mode.unwrap_or(MergeMode::Merge);
        let merged = work.sessions.merge(&command.ctx, id, mode, message.as_deref());
        let report = Box::pin(merged).await?;
        Ok(command.answer_with(&work, &MergeDto::from(report)).await?.into_response())
    })
    .await
}
