//! `/keys` and `/whoami`: the keys of a tenant, for its administrators, and who the caller is.

use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::etag;
use super::caller::Caller;
use super::codes::ErrorCode;
use super::dto::key::{CreateKey, CreateKeyBody, KeyDto, RotateKey, RotateKeyBody};
use super::dto::user::UserDto;
use super::extract::{Path, Query};
use super::idempotency::Command;
use super::json::Json;
use super::page::{Page, Scope, limit};
use super::problem::Problem;
use super::state::AppState;
use crate::application::principal::Subject;
use crate::domain::ids::{KeyId, TenantId};
use crate::domain::tenant::key::{KeyKind, Role};

/// Make a key; the answer shows it once.
#[utoipa::path(post, path = "/api/v1/keys", tag = "keys", request_body = CreateKeyBody,
    responses((status = 201, description = "The key with its secret", body = KeyDto)))]
pub async fn create(
    State(app): State<AppState>,
    command: Command<CreateKey>,
) -> Result<Response, Problem> {
    let made = app.identity.create_key(&command.ctx, &command.body.0).await?;
    Ok(command.answer_once(&Subject::Key(&made)))
}

/// List keys, oldest first.
#[utoipa::path(get, path = "/api/v1/keys", tag = "keys",
    params(
        ("kind" = Option<String>, Query, description = "`key`, `browser` or `enrolment`; all of them when omitted"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "One page", body = Page<KeyDto>)))]
pub async fn list(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    uri: Uri,
    Query(mut params): Query,
) -> Result<Json<Page<KeyDto>>, Problem> {
    let scope = Scope::of(ctx.tenant, &uri);
    let after = scope.take(&mut params).map(KeyId::new);
    let limit = limit(&mut params);
    let kind = params.word("kind");
    if matches!(kind, Some(KeyKind::Invite | KeyKind::Agent)) {
        let rule = "must be key, browser or enrolment; invitations have a list of their own";
        params.wrong("kind", "invalid", rule);
    }
    params.finish()?;
    let mut found = app.identity.keys(&ctx, kind, after, limit + 1).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| has_more).map(|view| view.key.value.id);
    Ok(Json(Page {
        items: found.iter().map(KeyDto::from).collect(),
        next_cursor: last.map(|id| scope.cursor(id.uuid())),
        has_more,
        total: None,
    }))
}

/// Read a key.
#[utoipa::path(get, path = "/api/v1/keys/{id}", tag = "keys",
    params(("id" = KeyId, Path, description = "Id of the key")),
    responses((status = 200, description = "The key", body = KeyDto)))]
pub async fn get(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = app.identity.key(&ctx, parse(&id)?).await?;
    let tag = etag(found.key.version);
    Ok(([(header::ETAG, tag)], Json(KeyDto::from(&found))).into_response())
}

/// Revoke a key; it stays listed.
#[utoipa::path(delete, path = "/api/v1/keys/{id}", tag = "keys",
    params(("id" = KeyId, Path, description = "Id of the key")),
    responses((status = 204, description = "It is refused from now on")))]
pub async fn delete(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.identity.revoke_key(&ctx, parse(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make another secret for a key; the answer shows it once.
#[utoipa::path(post, path = "/api/v1/keys/{id}/rotate", tag = "keys", request_body = RotateKeyBody,
    params(("id" = KeyId, Path, description = "Id of the key")),
    responses((status = 200, description = "The key with its new secret", body = KeyDto)))]
pub async fn rotate(
    State(app): State<AppState>,
    Path(id): Path<String>,
    command: Command<RotateKey>,
) -> Result<Response, Problem> {
    let rotated = app.identity.rotate_key(&command.ctx, parse(&id)?, command.body.0).await?;
    Ok(command.answer_once(&Subject::Key(&rotated)))
}

/// Who the caller is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Whoami)]
pub struct WhoamiDto {
    /// The key that was shown; the nil id in `--dev`.
    pub key_id: KeyId,
    /// Who holds it; null for a program.
    pub user: Option<UserDto>,
    /// Address of whoever holds it, else its name.
    pub name: String,
    /// The tenant of this request.
    pub tenant_id: TenantId,
    /// What it is called.
    pub tenant_name: String,
    /// Rights in it.
    pub role: Role,
    /// What the key may be used for.
    pub scopes: Vec<String>,
    /// May act in every tenant.
    pub is_system: bool,
}

/// Read who the caller is.
#[utoipa::path(get, path = "/api/v1/whoami", tag = "keys",
    responses((status = 200, description = "The caller", body = WhoamiDto)))]
pub async fn whoami(
    State(app): State<AppState>,
    Caller(ctx): Caller,
) -> Result<Json<WhoamiDto>, Problem> {
    let user = app.identity.acting_user(&ctx).await?;
    let tenant = app.identity.any_tenant(&ctx.tenant.to_string());
    let who = ctx.principal;
    Ok(Json(WhoamiDto {
        key_id: who.key,
        user: user.as_ref().map(UserDto::from),
        name: who.name,
        tenant_id: ctx.tenant,
        tenant_name: tenant.map(|tenant| tenant.name.clone()).unwrap_or_default(),
        role: who.role,
        scopes: who.scopes.iter().map(|scope| scope.to_string()).collect(),
        is_system: who.is_system,
    }))
}

fn parse(id: &str) -> Result<KeyId, Problem> {
    let missing = || Problem::new(ErrorCode::KeyNotFound, "no such key");
    KeyId::parse(id).ok_or_else(missing)
}
