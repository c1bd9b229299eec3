//! `/agents`: who works; registering, changing, closing and removing agents.
//!
//! An agent is named by its id or its name everywhere.

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::answer::etag;
use super::caller::Caller;
use super::dto::agent::AgentDto;
use super::dto::agent_input::{
    Deregister, DeregisterBody, MaintenanceBody, PatchAgent, PatchAgentBody, RegisterAgent,
    RegisterAgentBody,
};
use super::extract::{Path, Query};
use super::fields::Nothing;
use super::idempotency::Command;
use super::json::Json;
use super::page::{Page, Scope, limit};
use super::params::Params;
use super::problem::Problem;
use super::state::AppState;
use crate::application::agent::Departure;
use crate::application::agent::query::{AgentPage, AgentQuery};
use crate::application::principal::Subject;
use crate::domain::ids::AgentId;

/// Most characters of the reason of a removal.
const MOST_REASON: usize = 200;

/// Register an agent.
#[utoipa::path(post, path = "/api/v1/agents", tag = "agents", request_body = RegisterAgentBody,
    responses((status = 201, description = "The agent", body = AgentDto)))]
pub async fn register(
    State(app): State<AppState>,
    command: Command<RegisterAgent>,
) -> Result<Response, Problem> {
    let made = app.agents.register(&command.ctx, &command.body.0).await?;
    Ok(command.answer(&Subject::Agent(&made)))
}

/// Register an agent; the same as `POST /agents`.
#[utoipa::path(post, path = "/api/v1/agents/register", tag = "agents", request_body = RegisterAgentBody,
    responses((status = 201, description = "The agent", body = AgentDto)))]
pub async fn register_too(
    app: State<AppState>,
    command: Command<RegisterAgent>,
) -> Result<Response, Problem> {
    register(app, command).await
}

/// List agents: by registration; with `capability` by tier, utilisation and name; else with
/// `available_only` by utilisation and name; else with `tier` by name.
#[utoipa::path(get, path = "/api/v1/agents", tag = "agents",
    params(
        ("agent_type" = Option<String>, Query, description = "Of this type", example = "implementer"),
        ("kind" = Option<String>, Query, description = "Spoken to by this driver", example = "opencode"),
        ("capability" = Option<Vec<String>>, Query, description = "With all of these capabilities; repeatable", example = "testing"),
        ("status" = Option<Vec<String>>, Query, description = "In any of these states; repeatable", example = "idle"),
        ("tier" = Option<String>, Query, description = "Of this tier", example = "elite"),
        ("available_only" = Option<bool>, Query, description = "Only those that have room for more and may be given it"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("count" = Option<bool>, Query, description = "Also count all that match"),
    ),
    responses((status = 200, description = "One page", body = Page<AgentDto>)))]
pub async fn list(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    uri: Uri,
    Query(mut params): Query,
) -> Result<Json<Page<AgentDto>>, Problem> {
    let scope = Scope::of(ctx.tenant, &uri);
    let after = scope.take(&mut params).map(AgentId::new);
    let query = query(&mut params, after);
    let count = params.flag("count");
    params.finish()?;
    let page = app.agents.page(&ctx, &query).await?;
    Ok(Json(told(&page, &scope, count)))
}

/// A page as it is told.
pub(super) fn told(page: &AgentPage, scope: &Scope, count: bool) -> Page<AgentDto> {
    Page {
        items: page.items.iter().map(AgentDto::from).collect(),
        next_cursor: page.next.map(|last| scope.cursor(last.uuid())),
        has_more: page.next.is_some(),
        total: count.then_some(page.total),
    }
}

fn query(params: &mut Params, after: Option<AgentId>) -> AgentQuery {
    AgentQuery {
        agent_type: params.word("agent_type"),
        kind: params.word("kind"),
        capabilities: params.all("capability"),
        states: params.words("status"),
        tier: params.word("tier"),
        available_only: params.flag("available_only"),
        after,
        limit: limit(params),
    }
}

/// Read an agent.
#[utoipa::path(get, path = "/api/v1/agents/{id}", tag = "agents",
    params(("id" = String, Path, description = "Id or name of the agent")),
    responses((status = 200, description = "The agent", body = AgentDto)))]
pub async fn get(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = app.agents.get(&ctx, &id).await?;
    let tag = etag(found.agent.version);
    Ok(([(header::ETAG, tag)], Json(AgentDto::from(&found))).into_response())
}

/// Change an agent; its name and its kind stay.
#[utoipa::path(patch, path = "/api/v1/agents/{id}", tag = "agents", request_body = PatchAgentBody,
    params(("id" = String, Path, description = "Id or name of the agent")),
    responses((status = 200, description = "The agent as it now stands", body = AgentDto)))]
pub async fn patch(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<PatchAgent>,
) -> Result<Response, Problem> {
    let config = command.body.0.config.as_ref();
    if let Some(url) = config.and_then(|config| config.get("endpoint_url")?.as_str()) {
        app.external.may_call(url, "/config/endpoint_url").await?;
    }
    let changed = app.agents.update(&command.ctx, &id, &command.body.0).await?;
    Ok(command.answer(&Subject::Agent(&changed)))
}

/// Remove an agent, gracefully or at once.
#[utoipa::path(delete, path = "/api/v1/agents/{id}", tag = "agents",
    params(
        ("id" = String, Path, description = "Id or name of the agent"),
        ("graceful" = Option<bool>, Query, description = "It ends what it works on first, for an hour at most: the default; with `false` its sessions wait for another agent"),
        ("reason" = Option<String>, Query, description = "For people and the audit"),
    ),
    responses(
        (status = 202, description = "The agent, which ends what it works on first", body = AgentDto),
        (status = 204, description = "It is gone"),
    ))]
pub async fn delete(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    Query(mut params): Query,
) -> Result<Response, Problem> {
    let wanted = departure(&mut params);
    params.finish()?;
    let view = app.agents.remove(&ctx, &id, &wanted).await?;
    Ok(match view.agent.value.deleted_at {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => (StatusCode::ACCEPTED, Json(AgentDto::from(&view))).into_response(),
    })
}

pub(super) fn departure(params: &mut Params) -> Departure {
    let graceful = match params.text("graceful").as_deref() {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => {
            params.wrong("graceful", "invalid", "must be true or false");
            true
        }
    };
    let reason = params.text("reason");
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > MOST_REASON) {
        params.wrong("reason", "too_long", "may have at most 200 characters");
    }
    Departure { graceful, reason }
}

/// Remove an agent; the same as `DELETE`, for those who cannot send that.
#[utoipa::path(post, path = "/api/v1/agents/{id}/deregister", tag = "agents", request_body = DeregisterBody,
    params(("id" = String, Path, description = "Id or name of the agent")),
    responses(
        (status = 200, description = "The agent as it was when it was removed", body = AgentDto),
        (status = 202, description = "The agent, which ends what it works on first", body = AgentDto),
    ))]
pub async fn deregister(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<Deregister>,
) -> Result<Response, Problem> {
    let view = app.agents.remove(&command.ctx, &id, &command.body.0).await?;
    Ok(command.answer(&Subject::Agent(&view)))
}

/// Give an agent nothing new; it ends what it has.
#[utoipa::path(post, path = "/api/v1/agents/{id}/drain", tag = "agents",
    params(("id" = String, Path, description = "Id or name of the agent")),
    responses((status = 200, description = "The agent as it now stands", body = AgentDto)))]
pub async fn drain(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let view = app.agents.drain(&command.ctx, &id, true).await?;
    app.external.tell_to_drain(&view.agent.value);
    Ok(command.answer(&Subject::Agent(&view)))
}

/// Take an agent up again; a removal that was waiting is taken back, too.
#[utoipa::path(post, path = "/api/v1/agents/{id}/undrain", tag = "agents",
    params(("id" = String, Path, description = "Id or name of the agent")),
    responses((status = 200, description = "The agent as it now stands", body = AgentDto)))]
pub async fn undrain(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let view = app.agents.drain(&command.ctx, &id, false).await?;
    Ok(command.answer(&Subject::Agent(&view)))
}

/// Give an agent nothing new while it is worked on, or take it up again.
#[utoipa::path(post, path = "/api/v1/agents/{id}/maintenance", tag = "agents", request_body = MaintenanceBody,
    params(("id" = String, Path, description = "Id or name of the agent")),
    responses((status = 200, description = "The agent as it now stands", body = AgentDto)))]
pub async fn maintenance(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<MaintenanceBody>,
) -> Result<Response, Problem> {
    let view = app.agents.maintain(&command.ctx, &id, command.body.on).await?;
    Ok(command.answer(&Subject::Agent(&view)))
}

/// Let an agent in that registered itself.
#[utoipa::path(post, path = "/api/v1/agents/{id}/approve", tag = "agents",
    params(("id" = String, Path, description = "Id or name of the agent")),
    responses((status = 200, description = "The agent as it now stands", body = AgentDto)))]
pub async fn approve(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let view = app.agents.approve(&command.ctx, &id).await?;
    Ok(command.answer(&Subject::Agent(&view)))
}

/// Ask now whether an agent could work; `last_probe` says what was found.
#[utoipa::path(post, path = "/api/v1/agents/{id}/probe", tag = "agents",
    params(("id" = String, Path, description = "Id or name of the agent")),
    responses((status = 200, description = "The agent as it was found", body = AgentDto)))]
pub async fn probe(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let found = app.agents.get(&command.ctx, &id).await?;
    app.external.ask(&found.agent.value).await;
    let view = app.agents.probe_now(&command.ctx, &id).await?;
    Ok(command.answer(&Subject::Agent(&view)))
}
