//! Running the gates of a session because somebody asks.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::dto::session::SessionDto;
use super::dto::verification::VerifyBody;
use super::extract::Path;
use super::idempotency::Command;
use super::problem::Problem;
use super::state::AppState;
use crate::application::error::AppError;
use crate::application::principal::Subject;

/// How long an answer waits for the gates.
const PATIENCE: Duration = Duration::from_secs(25);

/// Run a session's gates in a clean checkout of its newest commit, or in its directory.
///
/// The result stands in `verification`; for the same files it is given again unless forced. Gates
/// that take longer than 25 s run on; the event `session.verified` tells what they said.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/verify", tag = "session commands", request_body = VerifyBody,
    params(("id" = String, Path, description = "Id or code of the session", example = "IND-000042")),
    responses(
        (status = 200, description = "The gates have run", body = SessionDto),
        (status = 202, description = "The gates run", body = SessionDto),
    ))]
pub async fn verify(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<VerifyBody>,
) -> Result<Response, Problem> {
    let id = app.sessions.find(command.ctx.tenant, &id).await?;
    let (ctx, force) = (command.ctx.clone(), command.body.force.unwrap_or(false));
    let (judge, shutdown) = (app.judge.clone(), app.shutdown.clone());
    let verified = app.carry_through(async move {
        tokio::select! {
            verified = judge.verify(&ctx, id, force) => Ok(verified?),
            () = shutdown.cancelled() => Err(AppError::ShuttingDown.into()),
        }
    });
    tokio::select! {
        session = verified => Ok(command.answer(&Subject::Session(&session?))),
        () = app.clock.sleep(PATIENCE) => {
            let session = app.judge.promise(&command.ctx, id).await?;
            let mut answer = command.answer(&Subject::Session(&session));
            *answer.status_mut() = StatusCode::ACCEPTED;
            Ok(answer)
        }
    }
}
