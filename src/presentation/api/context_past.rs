//! What contexts were: their history, their versions, and what lies between two.

use axum::extract::State;
use axum::http::Uri;
use uuid::Uuid;

use super::caller::Caller;
use super::contexts::{missing, parse};
use super::dto::context::{ChangeDto, DiffDto, VersionDto};
use super::extract::{Path, Query};
use super::json::Json;
use super::page::{Page, Scope};
use super::problem::Problem;
use super::state::AppState;
use crate::application::context::By;
use crate::domain::ids::ContextId;

/// What the second of two contexts or versions has differently.
#[utoipa::path(get, path = "/api/v1/contexts/{id}/diff/{other_id}", tag = "contexts",
    params(
        ("id" = ContextId, Path, description = "The first"),
        ("other_id" = ContextId, Path, description = "The second, which may be the same"),
        ("version" = Option<u64>, Query, description = "A version of the first; as it stands when omitted"),
        ("other_version" = Option<u64>, Query, description = "A version of the second"),
    ),
    responses((status = 200, description = "The differences", body = DiffDto)))]
pub async fn diff(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path((id, other)): Path<(String, String)>,
    Query(mut params): Query,
) -> Result<Json<DiffDto>, Problem> {
    let (version, other_version) = (params.integer("version"), params.integer("other_version"));
    params.finish()?;
    let (first, second) = ((parse(&id)?, version), (parse(&other)?, other_version));
    Ok(Json(app.contexts.diff(By::Caller(&ctx), first, second).await?.into()))
}

/// What changed, newest first; the newest 100 versions are kept.
#[utoipa::path(get, path = "/api/v1/contexts/{id}/history", tag = "contexts",
    params(
        ("id" = ContextId, Path, description = "Id of the context"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 10 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "One page", body = Page<ChangeDto>)))]
pub async fn history(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
    uri: Uri,
    Query(mut params): Query,
) -> Result<Json<Page<ChangeDto>>, Problem> {
    let pages = Scope::of(ctx.tenant, &uri);
    let after = pages.take(&mut params).map(|place| {
        let place = place.as_u128();
        let (version, index) = (u64::try_from(place >> 32), place & u128::from(u32::MAX));
        (version.unwrap_or(u64::MAX - 1), usize::try_from(index).unwrap_or(usize::MAX))
    });
    let limit = params.integer("limit").unwrap_or(10);
    if !(1..=200).contains(&limit) {
        params.wrong("limit", "out_of_range", "must be between 1 and 200");
    }
    params.finish()?;
    let limit = usize::try_from(limit).unwrap_or(200);
    let found = app.contexts.history(By::Caller(&ctx), parse(&id)?, after, limit).await?;
    let last = found.items.last().filter(|_| found.has_more).map(|changed| changed.place);
    let cursor = last.map(|(version, index)| {
        let index = u128::try_from(index).unwrap_or(0);
        pages.cursor(Uuid::from_u128((u128::from(version) << 32) | index))
    });
    Ok(Json(Page {
        items: found.items.into_iter().map(ChangeDto::from).collect(),
        next_cursor: cursor,
        has_more: found.has_more,
        total: None,
    }))
}

/// Read a version as it was.
#[utoipa::path(get, path = "/api/v1/contexts/{id}/versions/{n}", tag = "contexts",
    params(
        ("id" = ContextId, Path, description = "Id of the context"),
        ("n" = u64, Path, description = "The version; of the newest 100"),
    ),
    responses((status = 200, description = "The version", body = VersionDto)))]
pub async fn version(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path((id, version)): Path<(String, String)>,
) -> Result<Json<VersionDto>, Problem> {
    let version = version.parse().map_err(|_| missing())?;
    Ok(Json(app.contexts.past(By::Caller(&ctx), parse(&id)?, version).await?.into()))
}
