//! `/agents`, looked at as a fleet: who would be given what, how all of them and each of them do.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::agents::told;
use super::caller::Caller;
use super::dto::agent::AgentDto;
use super::dto::agent_ask::{ReportBody, ReportPerformance, RouteAgent, RouteBody};
use super::dto::agent_views::{HealthDto, OutlookDto, PoolDto};
use super::dto::routing::RoutedDto;
use super::extract::{Path, Query};
use super::fields::{Fields, FromFields, Nothing};
use super::idempotency::Command;
use super::json::Json;
use super::page::{Page, Scope, limit};
use super::problem::Problem;
use super::state::AppState;
use crate::application::agent::query::AgentQuery;
use crate::application::external::rebalance::{Move, Rebalanced};
use crate::application::principal::Subject;
use crate::domain::agent::capability::is_slug;
use crate::domain::ids::{AgentId, SessionId};

/// Ask who would be given a piece of work, and why; with `reserve` room for it is held for a minute.
#[utoipa::path(post, path = "/api/v1/agents/route", tag = "agents", request_body = RouteBody,
    responses((status = 200, description = "Who would be given it, and what became of every agent", body = RoutedDto)))]
pub async fn route(
    State(app): State<AppState>,
    command: Command<RouteAgent>,
) -> Result<Response, Problem> {
    let routed = app.agents.choose(&command.ctx, command.body.0.clone()).await?;
    command.answer_with(&app, &RoutedDto::from(&routed)).await
}

/// What is to be rebalanced.
#[derive(Debug, ToSchema)]
#[schema(as = Rebalance, example = json!({ "dry_run": true }))]
pub struct RebalanceBody {
    /// Only tell what would be moved.
    #[schema(default = false)]
    pub dry_run: Option<bool>,
}

impl FromFields for RebalanceBody {
    fn read(fields: &mut Fields) -> Self {
        Self { dry_run: fields.flag("dry_run") }
    }
}

/// What a rebalancing did, or would do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rebalanced)]
pub struct RebalancedDto {
    /// How many sessions were moved, or would be.
    pub tasks_rebalanced: usize,
    /// Names of the agents that are concerned.
    pub agents_affected: Vec<String>,
    /// Their utilisation before.
    pub before_utilization: BTreeMap<String, f64>,
    /// Their utilisation afterwards; as expected with `dry_run`.
    pub after_utilization: BTreeMap<String, f64>,
    /// What could not be moved, and why.
    pub errors: Vec<String>,
    /// What was moved, or would be.
    pub moved: Vec<MovedDto>,
}

/// A session that was moved.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MovedSession)]
pub struct MovedDto {
    /// Which.
    pub session_id: SessionId,
    /// Who had it.
    pub from: AgentId,
    /// Who has it now, or is to have it.
    pub to: AgentId,
}

/// Give work that waits for agents which are overloaded, offline or draining to others.
#[utoipa::path(post, path = "/api/v1/agents/rebalance", tag = "agents", request_body = RebalanceBody,
    responses((status = 200, description = "What was moved", body = RebalancedDto)))]
pub async fn rebalance(
    State(app): State<AppState>,
    command: Command<RebalanceBody>,
) -> Result<Response, Problem> {
    let dry_run = command.body.dry_run.unwrap_or(false);
    let Rebalanced { moved, before, after, errors } =
        app.external.rebalance(&command.ctx, dry_run).await?;
    let moved = moved.into_iter().map(|Move { session, from, to }| MovedDto {
        session_id: session,
        from,
        to,
    });
    let moved: Vec<MovedDto> = moved.collect();
    let told = RebalancedDto {
        tasks_rebalanced: moved.len(),
        agents_affected: before.keys().cloned().collect(),
        before_utilization: before,
        after_utilization: after,
        errors,
        moved,
    };
    command.answer_with(&app, &told).await
}

/// All agents together, in figures.
#[utoipa::path(get, path = "/api/v1/agents/stats", tag = "agents",
    responses((status = 200, description = "As they are now", body = PoolDto)))]
pub async fn statistics(
    State(app): State<AppState>,
    Caller(ctx): Caller,
) -> Result<Json<PoolDto>, Problem> {
    Ok(Json(PoolDto::from(app.agents.statistics(&ctx).await?)))
}

/// List those who can do something: by tier, utilisation and name.
#[utoipa::path(get, path = "/api/v1/agents/by-capability/{capability}", tag = "agents",
    params(
        ("capability" = String, Path, description = "What they can do, known or your own", example = "testing"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("count" = Option<bool>, Query, description = "Also count all that match"),
    ),
    responses((status = 200, description = "One page", body = Page<AgentDto>)))]
pub async fn by_capability(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(capability): Path<String>,
    uri: Uri,
    Query(mut params): Query,
) -> Result<Json<Page<AgentDto>>, Problem> {
    let scope = Scope::of(ctx.tenant, &uri);
    let after = scope.take(&mut params).map(AgentId::new);
    let limit = limit(&mut params);
    let count = params.flag("count");
    if !is_slug(&capability) {
        let rule = "must be a slug such as code_review: 2 to 64 lower-case letters, digits and _";
        params.wrong("capability", "invalid", rule);
    }
    params.finish()?;
    let query =
        AgentQuery { capabilities: vec![capability], after, limit, ..AgentQuery::default() };
    let page = app.agents.page(&ctx, &query).await?;
    Ok(Json(told(&page, &scope, count)))
}

/// How an agent does: its figures, their trends, and what would help it.
#[utoipa::path(get, path = "/api/v1/agents/{id}/performance", tag = "agents",
    params(("id" = String, Path, description = "Id or name of the agent")),
    responses((status = 200, description = "How it does", body = OutlookDto)))]
pub async fn performance(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let outlook = app.agents.outlook(&ctx, &id).await?;
    Ok(Json(OutlookDto::from(&outlook)).into_response())
}

/// Report work of an agent by hand; it counts like the outcome of a session.
#[utoipa::path(post, path = "/api/v1/agents/{id}/performance", tag = "agents", request_body = ReportBody,
    params(("id" = String, Path, description = "Id or name of the agent")),
    responses((status = 200, description = "How it does, with that", body = OutlookDto)))]
pub async fn report(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<ReportPerformance>,
) -> Result<Response, Problem> {
    let outlook = app.agents.report(&command.ctx, &id, &command.body.0).await?;
    Ok(command.answer(&Subject::Outlook(&outlook)))
}

/// Judge an agent anew: its window begins again and its breaker is closed; its totals stay.
#[utoipa::path(post, path = "/api/v1/agents/{id}/reset-metrics", tag = "agents",
    params(("id" = String, Path, description = "Id or name of the agent")),
    responses((status = 200, description = "The agent as it now stands", body = AgentDto)))]
pub async fn reset_metrics(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let view = app.agents.reset_metrics(&command.ctx, &id).await?;
    Ok(command.answer(&Subject::Agent(&view)))
}

/// What is wrong with an agent, if anything.
#[utoipa::path(get, path = "/api/v1/agents/{id}/health", tag = "agents",
    params(("id" = String, Path, description = "Id or name of the agent")),
    responses((status = 200, description = "As it was found", body = HealthDto)))]
pub async fn health(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Json<HealthDto>, Problem> {
    Ok(Json(HealthDto::from(&app.agents.outlook(&ctx, &id).await?)))
}
