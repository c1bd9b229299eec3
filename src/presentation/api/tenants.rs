//! `/tenants`: a tenant, and what it may have.

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::etag;
use super::caller::Caller;
use super::dto::usage::bound;
use super::extract::{Path, Query};
use super::fields::{Fields, FromFields};
use super::idempotency::Command;
use super::json::Json;
use super::page::{Page, Scope, limit};
use super::problem::Problem;
use super::state::AppState;
use crate::application::identity::quotas::QuotaReport;
use crate::application::identity::settings::TenantPatch;
use crate::application::principal::Subject;
use crate::domain::ids::TenantId;
use crate::domain::money::Usd;
use crate::domain::tenant::joining::JoinMode;
use crate::domain::tenant::quotas::QuotaName;
use crate::domain::tenant::registration::RegistrationMode;
use crate::domain::tenant::retention::{Retention, RetentionName};
use crate::domain::tenant::{Tenant, TenantDraft};
use crate::domain::time::Timestamp;

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
    /// Most tokens of a month of UTC.
    pub max_tokens_per_month: Option<u64>,
    /// Most US dollars of a month of UTC.
    pub monthly_budget_usd: Option<Usd>,
    /// Most MiB of checkpoints, transcripts and logs.
    pub max_storage_mb: Option<u64>,
    /// Most agents that are registered.
    pub max_agents: Option<u64>,
    /// Most requests of all keys together in a minute; a sixth of them, and ten at least, at once.
    pub requests_per_minute: Option<u64>,
    /// What is used of each; requests are not told.
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
    /// Tokens that were charged this month.
    pub max_tokens_per_month: u64,
    /// US dollars that were charged this month.
    pub monthly_budget_usd: Usd,
    /// MiB of checkpoints, transcripts and logs, rounded up.
    pub max_storage_mb: u64,
    /// Agents that are registered.
    pub max_agents: u64,
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
            max_tokens_per_month: report.quotas.max_tokens_per_month,
            monthly_budget_usd: report.quotas.monthly_budget_micros.map(dollars),
            max_storage_mb: report.quotas.max_storage_mb,
            max_agents: report.quotas.max_agents,
            requests_per_minute: report.quotas.requests_per_minute,
            used: UsedDto {
                max_concurrent_sessions: used(QuotaName::MaxConcurrentSessions),
                max_queue_depth: used(QuotaName::MaxQueueDepth),
                max_tokens_per_month: used(QuotaName::MaxTokensPerMonth),
                monthly_budget_usd: dollars(used(QuotaName::MonthlyBudgetUsd)),
                max_storage_mb: used(QuotaName::MaxStorageMb),
                max_agents: used(QuotaName::MaxAgents),
            },
        }
    }
}

fn dollars(micros: u64) -> Usd {
    Usd::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
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
    #[schema(minimum = 0)]
    pub max_tokens_per_month: Option<u64>,
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub monthly_budget_usd: Option<f64>,
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub max_storage_mb: Option<u64>,
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub max_agents: Option<u64>,
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub requests_per_minute: Option<u64>,
}

/// The body of `PUT /tenants/{id}/quotas`, read.
pub struct SetQuotas(Vec<(QuotaName, Option<u64>)>);

impl FromFields for SetQuotas {
    fn read(fields: &mut Fields) -> Self {
        let mut changes = Vec::new();
        for name in QuotaName::ALL {
            changes.extend(bound(fields, *name).map(|limit| (*name, limit)));
        }
        Self(changes)
    }
}

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub struct TenantDto {
    /// Its identity.
    pub id: TenantId,
    /// Unique short name.
    pub slug: String,
    /// For people.
    pub name: String,
    /// An inactive tenant does not exist for anybody.
    pub is_active: bool,
    /// What it set for itself.
    pub settings: TenantSettingsDto,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a tenant set for itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TenantSettings)]
pub struct TenantSettingsDto {
    /// Its share of the instance, compared with other tenants.
    pub weight: f64,
    /// How people come to it.
    pub join_mode: JoinMode,
    /// How external agents come to it.
    pub registration_mode: RegistrationMode,
    /// What it has gone earlier than the server would.
    pub retention: TenantRetentionDto,
}

/// Days after which things of a tenant go; null is as the server says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TenantRetention)]
pub struct TenantRetentionDto {
    /// From the end of a session until it is deleted.
    #[schema(minimum = 1, maximum = 36_500)]
    pub sessions_days: Option<u32>,
    /// From its deletion until it is gone for good.
    #[schema(minimum = 1, maximum = 36_500)]
    pub deleted_sessions_days: Option<u32>,
    /// Until an event is gone.
    #[schema(minimum = 1, maximum = 36_500)]
    pub events_days: Option<u32>,
}

impl From<Retention> for TenantRetentionDto {
    fn from(retention: Retention) -> Self {
        let Retention { sessions_days, deleted_sessions_days, events_days } = retention;
        Self { sessions_days, deleted_sessions_days, events_days }
    }
}

impl From<&Tenant> for TenantDto {
    fn from(tenant: &Tenant) -> Self {
        Self {
            id: tenant.id,
            slug: tenant.slug.clone(),
            name: tenant.name.clone(),
            is_active: tenant.is_active,
            settings: TenantSettingsDto {
                weight: tenant.weight.number(),
                join_mode: tenant.joining,
                registration_mode: tenant.registration,
                retention: tenant.retention.into(),
            },
            created_at: tenant.created_at,
        }
    }
}

/// What is to become different; what is omitted stays.
#[derive(Debug, ToSchema)]
#[schema(as = PatchTenant, example = json!({ "settings": { "weight": 2 } }))]
#[expect(missing_docs, reason = "the fields are those of the answer")]
pub struct PatchTenantBody {
    #[schema(min_length = 2, max_length = 100)]
    pub name: Option<String>,
    pub settings: Option<PatchTenantSettingsBody>,
    /// For system administrators alone.
    pub is_active: Option<bool>,
}

/// Settings to change; what is omitted stays.
#[derive(Debug, ToSchema)]
#[schema(as = PatchTenantSettings)]
#[expect(missing_docs, reason = "the fields are those of the answer")]
pub struct PatchTenantSettingsBody {
    #[schema(minimum = 0.1, maximum = 100)]
    pub weight: Option<f64>,
    /// `invite`: by invitation; `identity_provider`: also by signing in through the provider of the
    /// server, as a member, with an address of a domain that the server's settings name.
    pub join_mode: Option<JoinMode>,
    /// `key`: external agents register with a key of a member, one with the scope `agents:register`, or
    /// an enrolment token; `approval`: with the same, and get work once a lead has approved them;
    /// `open`: without anything, from the machine of the server.
    pub registration_mode: Option<RegistrationMode>,
    /// Shorter than the server keeps things, or null to have them kept so long.
    pub retention: Option<PatchTenantRetentionBody>,
}

/// Days to change; what is omitted stays, null is as the server says.
#[derive(Debug, ToSchema)]
#[schema(as = PatchTenantRetention)]
#[expect(missing_docs, reason = "the fields are those of the answer")]
pub struct PatchTenantRetentionBody {
    #[schema(minimum = 1, maximum = 36_500)]
    pub sessions_days: Option<u32>,
    #[schema(minimum = 1, maximum = 36_500)]
    pub deleted_sessions_days: Option<u32>,
    #[schema(minimum = 1, maximum = 36_500)]
    pub events_days: Option<u32>,
}

/// The settings of a tenant, read.
#[derive(Default)]
struct PatchTenantSettings {
    weight: Option<f64>,
    joining: Option<JoinMode>,
    registration: Option<RegistrationMode>,
    retention: Vec<(RetentionName, Option<u32>)>,
}

impl FromFields for PatchTenantSettings {
    fn read(fields: &mut Fields) -> Self {
        let days = |inner: &mut Fields| {
            let mut changes = Vec::new();
            for name in RetentionName::ALL {
                let days = inner.nullable(name.as_str(), Fields::integer);
                changes.extend(days.map(|days| (*name, days)));
            }
            changes
        };
        let retention = fields.object("retention", days).unwrap_or_default();
        let joining = fields.word("join_mode");
        let registration = fields.word("registration_mode");
        Self { weight: fields.number("weight"), joining, registration, retention }
    }
}

/// The body of `PATCH /tenants/{id}`, read.
pub struct PatchTenant(TenantPatch);

impl FromFields for PatchTenant {
    fn read(fields: &mut Fields) -> Self {
        let name = fields.text("name");
        let settings = fields.object("settings", PatchTenantSettings::read).unwrap_or_default();
        let PatchTenantSettings { weight, joining, registration, retention } = settings;
        let is_active = fields.flag("is_active");
        Self(TenantPatch { name, weight, joining, registration, retention, is_active })
    }
}

/// A tenant to be made.
#[derive(Debug, ToSchema)]
#[schema(as = CreateTenant, example = json!({ "slug": "acme", "name": "Acme" }))]
#[expect(missing_docs, reason = "the fields are those of the answer")]
pub struct CreateTenantBody {
    #[schema(min_length = 1, max_length = 100, pattern = "^[a-z0-9-]+$")]
    pub slug: String,
    /// The slug when omitted.
    #[schema(min_length = 2, max_length = 100)]
    pub name: Option<String>,
    pub settings: Option<PatchTenantSettingsBody>,
    /// What differs from the bounds of every new tenant.
    pub quotas: Option<SetQuotasBody>,
}

/// The body of `POST /tenants`, read.
pub struct CreateTenant(TenantDraft);

impl FromFields for CreateTenant {
    fn read(fields: &mut Fields) -> Self {
        let slug = fields.required_text("slug");
        let name = fields.text("name");
        let settings = fields.object("settings", PatchTenantSettings::read).unwrap_or_default();
        let PatchTenantSettings { weight, joining, registration, retention } = settings;
        let quotas = fields.object("quotas", |inner| SetQuotas::read(inner).0).unwrap_or_default();
        Self(TenantDraft { slug, name, weight, joining, registration, retention, quotas })
    }
}

/// Make a tenant, with its agents.
#[utoipa::path(post, path = "/api/v1/tenants", tag = "tenants", request_body = CreateTenantBody,
    responses((status = 201, description = "The tenant", body = TenantDto)))]
pub async fn create(
    State(app): State<AppState>,
    command: Command<CreateTenant>,
) -> Result<Response, Problem> {
    let made = app.identity.create_tenant(&command.ctx, command.body.0.clone()).await?;
    command.answer_made(&app, &Subject::Tenant(&made)).await
}

/// List tenants, oldest first, inactive ones too.
#[utoipa::path(get, path = "/api/v1/tenants", tag = "tenants",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "One page", body = Page<TenantDto>)))]
pub async fn list(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    uri: Uri,
    Query(mut params): Query,
) -> Result<Json<Page<TenantDto>>, Problem> {
    let scope = Scope::of(ctx.tenant, &uri);
    let after = scope.take(&mut params).map(TenantId::new);
    let limit = limit(&mut params);
    params.finish()?;
    let mut found = app.identity.all_tenants(after, limit + 1).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| has_more).map(|tenant| tenant.value.id);
    Ok(Json(Page {
        items: found.iter().map(|tenant| TenantDto::from(&tenant.value)).collect(),
        next_cursor: last.map(|id| scope.cursor(id.uuid())),
        has_more,
        total: None,
    }))
}

/// Switch a tenant off: nobody gets in, nothing new begins, what runs is paused. Nothing of it is lost;
/// `{"is_active": true}` takes it up again.
#[utoipa::path(delete, path = "/api/v1/tenants/{id}", tag = "tenants",
    params(("id" = String, Path, description = "Id or slug of the tenant")),
    responses((status = 204, description = "It is inactive")))]
pub async fn delete(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let off = TenantPatch { is_active: Some(false), ..TenantPatch::default() };
    app.identity.change_tenant(&ctx, &id, &off).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Read a tenant.
#[utoipa::path(get, path = "/api/v1/tenants/{id}", tag = "tenants",
    params(("id" = String, Path, description = "Id or slug of the tenant")),
    responses((status = 200, description = "The tenant", body = TenantDto)))]
pub async fn get(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = app.identity.tenant_as_it_is(&ctx, &id).await?;
    let tag = etag(found.version);
    Ok(([(header::ETAG, tag)], Json(TenantDto::from(&found.value))).into_response())
}

/// Change the name or the settings of a tenant.
#[utoipa::path(patch, path = "/api/v1/tenants/{id}", tag = "tenants", request_body = PatchTenantBody,
    params(("id" = String, Path, description = "Id or slug of the tenant")),
    responses((status = 200, description = "The tenant as it now stands", body = TenantDto)))]
pub async fn patch(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<PatchTenant>,
) -> Result<Response, Problem> {
    let changed = app.identity.change_tenant(&command.ctx, &id, &command.body.0).await?;
    command.answer_with(&app, &TenantDto::from(&changed.value)).await
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
