//! `/recovery`: what an earlier server left open, and having it done.

use axum::extract::State;
use axum::response::Response;

use super::caller::Caller;
use super::dto::recovery::{RecoveryBody, RecoveryDoneDto, RecoveryStepDto};
use super::idempotency::Command;
use super::json::Json;
use super::page::Page;
use super::problem::Problem;
use super::state::AppState;

/// What a start, or `apply`, would do now: normally nothing, since the server does it by itself.
/// System administrators only.
#[utoipa::path(get, path = "/api/v1/recovery/plan", tag = "system",
    responses((status = 200, description = "Every step, with its reason", body = Page<RecoveryStepDto>)))]
pub async fn plan(
    State(app): State<AppState>,
    _: Caller,
) -> Result<Json<Page<RecoveryStepDto>>, Problem> {
    let steps = app.recovery.plan().await?;
    Ok(Json(Page::whole(steps.into_iter().map(RecoveryStepDto::from).collect())))
}

/// Do what is to be done, all of it or the steps with these ids; what is done already is left alone.
/// System administrators only.
#[utoipa::path(post, path = "/api/v1/recovery/apply", tag = "system", request_body = RecoveryBody,
    responses((status = 200, description = "What became of each step", body = Page<RecoveryDoneDto>)))]
pub async fn apply(
    State(app): State<AppState>,
    command: Command<RecoveryBody>,
) -> Result<Response, Problem> {
    let chosen = command.body.ids.as_deref();
    let done = app.recovery.apply(&command.ctx, chosen).await?;
    let page = Page::whole(done.into_iter().map(RecoveryDoneDto::from).collect());
    command.answer_with(&app, &page).await
}
