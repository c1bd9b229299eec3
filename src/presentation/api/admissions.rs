//! `/admissions`: what nothing new is given to, and holding and releasing it.

use axum::extract::State;
use axum::response::Response;

use super::caller::Caller;
use super::dto::admission::{AdmissionBody, HoldDto};
use super::idempotency::Command;
use super::json::Json;
use super::page::Page;
use super::problem::Problem;
use super::state::AppState;

/// List held admissions: of the instance, of the tenant, of its agents.
#[utoipa::path(get, path = "/api/v1/admissions", tag = "admissions",
    responses((status = 200, description = "All of them", body = Page<HoldDto>)))]
pub async fn list(
    State(app): State<AppState>,
    Caller(ctx): Caller,
) -> Result<Json<Page<HoldDto>>, Problem> {
    let holds = app.system.admissions().list(&ctx).await?;
    Ok(Json(Page::whole(holds.into_iter().map(HoldDto::from).collect())))
}

/// Hold admissions: nothing new is given to agents, what runs goes on. What is held stays as it was.
#[utoipa::path(post, path = "/api/v1/admissions/hold", tag = "admissions", request_body = AdmissionBody,
    responses((status = 200, description = "What is held now", body = Page<HoldDto>)))]
pub async fn hold(
    State(app): State<AppState>,
    command: Command<AdmissionBody>,
) -> Result<Response, Problem> {
    let wanted = command.body.wanted()?;
    let holds = app.system.admissions().hold(&command.ctx, &wanted).await?;
    command.answer_with(&app, &Page::whole(holds.into_iter().map(HoldDto::from).collect())).await
}

/// Release admissions: what waits is given to agents again. What is not held stays so.
#[utoipa::path(post, path = "/api/v1/admissions/release", tag = "admissions", request_body = AdmissionBody,
    responses((status = 200, description = "What is still held", body = Page<HoldDto>)))]
pub async fn release(
    State(app): State<AppState>,
    command: Command<AdmissionBody>,
) -> Result<Response, Problem> {
    let wanted = command.body.wanted()?;
    let holds = app.system.admissions().release(&command.ctx, &wanted).await?;
    command.answer_with(&app, &Page::whole(holds.into_iter().map(HoldDto::from).collect())).await
}
