//! `/tenants`: what a tenant may have.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::extract::Path;
use super::fields::{Fields, FromFields};
use super::idempotency::Command;
use super::json::Json;
use super::problem::Problem;
use super::state::AppState;
use crate::application::identity::quotas::QuotaReport;
use crate::domain::ids::TenantId;
use crate::domain::tenant::quotas::QuotaName;

/// What a tenant may have, and has. Null is no bound.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quotas)]
pub struct QuotasDto {
    /// Whose.
    pub tenant_id: TenantId,
    /// Most sessions in an open status.
    pub max_concurrent_sessions: Option<u64>,
    /// Most sessions that wait in the queue.
    pub max_queue_depth: Option<u64>,
    /// What is used of each.
    pub used: UsedDto,
}

/// What is used of the quotas.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuotasUsed)]
pub struct UsedDto {
    /// Sessions in an open status.
    pub max_concurrent_sessions: u64,
    /// Sessions that wait in the queue.
    pub max_queue_depth: u64,
}

impl From<QuotaReport> for QuotasDto {
    fn from(report: QuotaReport) -> Self {
        let used = |name: QuotaName| {
            report.used.iter().find(|(known, _)| *known == name).map_or(0, |(_, used)| *used)
        };
        Self {
            tenant_id: report.tenant,
            max_concurrent_sessions: report.quotas.max_concurrent_sessions,
            max_queue_depth: report.quotas.max_queue_depth,
            used: UsedDto {
                max_concurrent_sessions: used(QuotaName::MaxConcurrentSessions),
                max_queue_depth: used(QuotaName::MaxQueueDepth),
            },
        }
    }
}

/// Quotas to set: what is omitted stays, null is no bound.
#[derive(Debug, ToSchema)]
#[schema(as = SetQuotas, example = json!({ "max_concurrent_sessions": 100, "max_queue_depth": null }))]
#[expect(missing_docs, reason = "the fields are those of the answer")]
pub struct SetQuotasBody {
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub max_concurrent_sessions: Option<u64>,
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub max_queue_depth: Option<u64>,
}

/// The body of `PUT /tenants/{id}/quotas`, read.
pub struct SetQuotas(Vec<(QuotaName, Option<u64>)>);

impl FromFields for SetQuotas {
    fn read(fields: &mut Fields) -> Self {
        let mut changes = Vec::new();
        for name in QuotaName::ALL {
            let given = fields.nullable(name.as_str(), Fields::integer);
            changes.extend(given.map(|limit| (*name, limit)));
        }
        Self(changes)
    }
}

/// Read the quotas of a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{id}/quotas", tag = "tenants",
    params(("id" = String, Path, description = "Id or slug of the tenant")),
    responses((status = 200, description = "The quotas", body = QuotasDto)))]
pub async fn quotas(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Json<QuotasDto>, Problem> {
    Ok(Json(app.identity.quotas(&ctx, &id).await?.into()))
}

/// Set quotas of a tenant.
#[utoipa::path(put, path = "/api/v1/tenants/{id}/quotas", tag = "tenants", request_body = SetQuotasBody,
    params(("id" = String, Path, description = "Id or slug of the tenant")),
    responses((status = 200, description = "The quotas as they now stand", body = QuotasDto)))]
pub async fn set_quotas(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<SetQuotas>,
) -> Result<Response, Problem> {
    let report = app.identity.set_quotas(&command.ctx, &id, &command.body.0).await?;
    command.answer_with(&app, &QuotasDto::from(report)).await
}
