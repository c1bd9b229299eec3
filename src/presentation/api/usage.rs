//! `/usage`, `/prices`, `/budgets`: what was used, what it costs, and how much of it may be.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::answer::etag;
use super::caller::Caller;
use super::csv;
use super::dto::usage::{
    BudgetsDto, PricesDto, ReportDto, SetBudgets, SetBudgetsBody, SetPrices, SetPricesBody,
};
use super::extract::{Path, Query};
use super::idempotency::Command;
use super::json::Json;
use super::params::Params;
use super::problem::Problem;
use super::state::AppState;
use super::wants::{Csv, negotiated};
use crate::application::usage::query::{GroupBy, UsageQuery, UsageReport};
use crate::domain::time::Timestamp;
use crate::domain::usage::period::Day;

/// What the tenant used.
#[utoipa::path(get, path = "/api/v1/usage", tag = "usage",
    params(
        ("from" = Option<String>, Query, description = "First day of UTC, or a time in it; the first of the month when omitted", example = "2026-01-01"),
        ("to" = Option<String>, Query, description = "Last day of UTC, included, or a time in it; today when omitted", example = "2026-01-31"),
        ("group_by" = Option<String>, Query, description = "`day` (when omitted), `model`, `agent` or `session`", example = "model"),
    ),
    responses((status = 200, description = "What was used, also as `text/csv`",
        content((ReportDto = "application/json"), (String = "text/csv")))))]
pub async fn usage(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Csv(csv): Csv,
    Query(params): Query,
) -> Result<Response, Problem> {
    let query = read(params)?;
    Ok(answer(app.usage.usage(&ctx, &query).await?, csv))
}

/// What a tenant used.
#[utoipa::path(get, path = "/api/v1/tenants/{id}/usage", tag = "usage",
    params(
        ("id" = String, Path, description = "Id or slug of the tenant"),
        ("from" = Option<String>, Query, description = "First day of UTC, or a time in it; the first of the month when omitted", example = "2026-01-01"),
        ("to" = Option<String>, Query, description = "Last day of UTC, included, or a time in it; today when omitted", example = "2026-01-31"),
        ("group_by" = Option<String>, Query, description = "`day` (when omitted), `model`, `agent` or `session`", example = "model"),
    ),
    responses((status = 200, description = "What was used, also as `text/csv`",
        content((ReportDto = "application/json"), (String = "text/csv")))))]
pub async fn tenant_usage(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    Csv(csv): Csv,
    Query(params): Query,
) -> Result<Response, Problem> {
    let tenant = app.identity.within_reach(&ctx, &id)?;
    let query = read(params)?;
    Ok(answer(app.usage.usage_of(tenant, &query).await?, csv))
}

/// Read the prices of models.
#[utoipa::path(get, path = "/api/v1/prices", tag = "usage",
    responses((status = 200, description = "The prices", body = PricesDto)))]
pub async fn prices(State(app): State<AppState>, Caller(ctx): Caller) -> Result<Response, Problem> {
    let found = app.usage.prices(&ctx).await?;
    let tag = etag(found.version);
    Ok(([(header::ETAG, tag)], Json(PricesDto::from(&found.value))).into_response())
}

/// Set the prices of models: the whole table. What was used before keeps its cost.
#[utoipa::path(put, path = "/api/v1/prices", tag = "usage", request_body = SetPricesBody,
    responses((status = 200, description = "The prices as they now stand", body = PricesDto)))]
pub async fn set_prices(
    State(app): State<AppState>,
    command: Command<SetPrices>,
) -> Result<Response, Problem> {
    let set = app.usage.set_prices(&command.ctx, command.body.0.clone()).await?;
    command.answer_with(&app, &PricesDto::from(&set.value)).await
}

/// Read what the tenant may use this month, and has used.
#[utoipa::path(get, path = "/api/v1/budgets", tag = "usage",
    responses((status = 200, description = "The bounds of this month", body = BudgetsDto)))]
pub async fn budgets(
    State(app): State<AppState>,
    Caller(ctx): Caller,
) -> Result<Json<BudgetsDto>, Problem> {
    let purse = app.identity.budgets(&ctx).await?;
    Ok(Json(BudgetsDto::new(ctx.tenant, &purse)))
}

/// Set what the tenant may use in a month.
#[utoipa::path(put, path = "/api/v1/budgets", tag = "usage", request_body = SetBudgetsBody,
    responses((status = 200, description = "The bounds as they now stand", body = BudgetsDto)))]
pub async fn set_budgets(
    State(app): State<AppState>,
    command: Command<SetBudgets>,
) -> Result<Response, Problem> {
    let purse = app.identity.set_budgets(&command.ctx, &command.body.0).await?;
    command.answer_with(&app, &BudgetsDto::new(command.ctx.tenant, &purse)).await
}

fn read(mut params: Params) -> Result<UsageQuery, Problem> {
    let query = UsageQuery {
        from: day(&mut params, "from"),
        to: day(&mut params, "to"),
        group_by: params.word("group_by").unwrap_or(GroupBy::Day),
    };
    params.finish()?;
    Ok(query)
}

/// A day, or the day of a time.
fn day(params: &mut Params, name: &'static str) -> Option<Day> {
    let text = params.text(name)?;
    let day = Day::parse(&text).or_else(|| Timestamp::parse(&text).map(Day::of));
    if day.is_none() {
        params.wrong(name, "invalid", "must be a day such as 2026-01-31, or a time");
    }
    day
}

fn answer(report: UsageReport, as_csv: bool) -> Response {
    let report = ReportDto::from(report);
    negotiated(if as_csv { csv::usage(&report) } else { Json(report).into_response() })
}
