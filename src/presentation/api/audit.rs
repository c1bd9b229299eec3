//! `/audit`: who did what in a tenant, for its administrators.

use axum::extract::State;
use uuid::Uuid;

use super::caller::Caller;
use super::dto::audit::{AuditDto, VerdictDto};
use super::dto::event::SeqPage;
use super::extract::Query;
use super::json::Json;
use super::page::limit;
use super::problem::Problem;
use super::state::AppState;
use crate::application::audit::{AuditFilter, AuditPage};

/// List what was done, and what was refused, in order.
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit",
    params(
        ("after" = Option<u64>, Query, description = "Only entries with a larger number"),
        ("action" = Option<String>, Query, description = "Only this verb", example = "create_key"),
        ("actor" = Option<String>, Query, description = "Only what this actor did, by its id"),
        ("subject" = Option<Uuid>, Query, description = "Only what was done to this"),
        ("outcome" = Option<String>, Query, description = "`ok` or `refused`"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
    ),
    responses((status = 200, description = "One page", body = SeqPage<AuditDto>)))]
pub async fn list(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Query(mut params): Query,
) -> Result<Json<SeqPage<AuditDto>>, Problem> {
    let after = params.integer("after").unwrap_or(0);
    let subject = params.text("subject");
    let parsed = subject.as_deref().and_then(|id| Uuid::try_parse(id).ok());
    if subject.is_some() && parsed.is_none() {
        params.wrong("subject", "invalid", "must be an id");
    }
    let outcome = params.text("outcome");
    if outcome.as_deref().is_some_and(|word| !["ok", "refused"].contains(&word)) {
        params.wrong("outcome", "invalid", "must be ok or refused");
    }
    let filter = AuditFilter {
        action: params.text("action"),
        actor: params.text("actor"),
        subject: parsed,
        ok: outcome.map(|word| word == "ok"),
    };
    let limit = limit(&mut params);
    params.finish()?;
    let page = app.audit.page(ctx.tenant, after, &filter, limit).await?;
    let AuditPage { items, next_after, has_more } = page;
    let items = items.into_iter().map(AuditDto::from).collect();
    Ok(Json(SeqPage { items, next_after, has_more }))
}

/// Look along the whole chain of hashes; it reads every entry once.
#[utoipa::path(get, path = "/api/v1/audit/verify", tag = "audit",
    responses((status = 200, description = "What was found", body = VerdictDto)))]
pub async fn verify(
    State(app): State<AppState>,
    Caller(ctx): Caller,
) -> Result<Json<VerdictDto>, Problem> {
    Ok(Json(app.audit.verify(ctx.tenant).await?.into()))
}
