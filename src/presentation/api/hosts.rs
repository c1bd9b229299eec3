//! `/hosts`: the agent servers that this machine keeps.

use axum::extract::State;
use axum::response::Response;

use super::caller::Caller;
use super::dto::host::{HostDto, RecyclingDto};
use super::dto::input::ReasonBody;
use super::extract::Path;
use super::idempotency::Command;
use super::json::Json;
use super::page::Page;
use super::problem::Problem;
use super::state::AppState;

/// Every agent server that this machine keeps, and how it is. System administrators only.
#[utoipa::path(get, path = "/api/v1/hosts", tag = "system",
    responses((status = 200, description = "All that were used since the start, by name", body = Page<HostDto>)))]
pub async fn list(State(app): State<AppState>, _: Caller) -> Result<Json<Page<HostDto>>, Problem> {
    let (hosts, now) = (app.system.hosts().list().await, app.clock.now());
    Ok(Json(Page::whole(hosts.into_iter().map(|host| HostDto::of(host, now)).collect())))
}

/// Replace the server of a host: another one is started, every session is moved to it at a good moment, then the
/// old one ends. System administrators only.
#[utoipa::path(post, path = "/api/v1/hosts/{id}/recycle", tag = "system", request_body = ReasonBody,
    params(("id" = String, Path, description = "Name of the host")),
    responses((status = 202, description = "The host as it stood, and what happens now", body = RecyclingDto)))]
pub async fn recycle(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<ReasonBody>,
) -> Result<Response, Problem> {
    let reason = command.body.reason.as_deref();
    let host = app.system.hosts().recycle(&command.ctx, &id, reason).await?;
    let begun = RecyclingDto::of(host, app.clock.now());
    command.accept_with(&app, &begun).await
}
