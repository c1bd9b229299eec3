//! The store as a file: backups and exports of a server that runs.
//!
//! Invariant: no path of a client's is ever written to; the archive leaves as the answer.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};

use super::caller::Caller;
use super::codes::ErrorCode;
use super::dto::input::ReasonBody;
use super::extract::Query;
use super::idempotency::Command;
use super::problem::Problem;
use super::state::AppState;
use crate::application::error::AppError;
use crate::application::ports::archives::{Chunks, Extent};
use crate::application::system::archive::ArchiveService;

/// How long the first bytes are waited for: what goes wrong until then is a problem with its status.
const FIRST: Duration = Duration::from_secs(20);
/// What an export is called on the wire.
const LINES: &str = "application/x-ndjson";
/// What an archive is called on the wire.
const ARCHIVE: &str = "application/zstd";

/// Make a backup: everything that is stored, as it stands at one moment. The answer is the archive
/// itself; writers go on meanwhile. System administrators only; audited; one at a time.
#[utoipa::path(post, path = "/api/v1/system/backup", tag = "system", request_body = ReasonBody,
    responses((status = 200, description = "The archive; one that ends before its last 52 bytes is not whole",
        body = Vec<u8>, content_type = "application/zstd")))]
pub async fn backup(
    State(app): State<AppState>,
    command: Command<ReasonBody>,
) -> Result<Response, Problem> {
    let reason = command.body.reason.clone();
    let chunks = archives(&app)?.backup(&command.ctx, reason).await?;
    streamed(&app, chunks, ARCHIVE).await
}

/// Everything of a tenant, or of all, as lines of JSON that people and other programs can read; no
/// secret is among them. System administrators only; audited.
#[utoipa::path(get, path = "/api/v1/system/export", tag = "system",
    params(
        ("tenant" = Option<String>, Query, description = "Only this tenant, by short name or id"),
        ("redact" = Option<bool>, Query, description = "Replace what looks like a secret in texts, and leave out what keys are recognised by; such an export cannot be imported"),
    ),
    responses((status = 200, description = "A description, a line for each record, and how many there were",
        body = String, content_type = "application/x-ndjson")))]
pub async fn export(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Query(mut params): Query,
) -> Result<Response, Problem> {
    let named = params.text("tenant");
    let redact = params.flag("redact");
    params.finish()?;
    let tenant = match named {
        Some(name) => {
            let found = app.identity.any_tenant(&name).ok_or(AppError::TenantNotFound)?;
            Some(found.id)
        }
        None => None,
    };
    let chunks = archives(&app)?.export(&ctx, Extent { tenant, redact }).await?;
    streamed(&app, chunks, LINES).await
}

fn archives(app: &AppState) -> Result<&ArchiveService, Problem> {
    let none = "the store of this server lies in memory: nothing of it can be carried away";
    app.system.archives().ok_or_else(|| Problem::new(ErrorCode::RouteNotFound, none))
}

/// The answer that gives the chunks as they come.
async fn streamed(
    app: &AppState,
    mut chunks: Chunks,
    media_type: &'static str,
) -> Result<Response, Problem> {
    let first = tokio::select! {
        biased;
        first = chunks.recv() => first.transpose().map_err(AppError::from)?,
        () = app.clock.sleep(FIRST) => Some(Vec::new()),
    };
    let rest = stream::unfold(chunks, |mut chunks| async move {
        let next = chunks.recv().await?;
        Some((next.map(Bytes::from), chunks))
    });
    let body = stream::iter(first.map(|bytes| Ok(Bytes::from(bytes)))).chain(rest);
    let body = Body::from_stream(body.take_until(app.shutdown.clone().cancelled_owned()));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        // It is compressed already, and whoever waits for it counts bytes.
        (header::CONTENT_ENCODING, HeaderValue::from_static("identity")),
    ];
    Ok((headers, body).into_response())
}
