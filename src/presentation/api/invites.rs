//! `/invites`: made, listed and withdrawn by administrators; accepted by whoever was invited.
//!
//! Invariant: a wrong invitation is refused in the same words whatever is wrong with it, and counts as a
//! failed authentication of its peer.

use std::net::IpAddr;

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::answer::etag;
use super::caller::{Caller, Scheme, may_fail, not_accepted, peer};
use super::codes::ErrorCode;
use super::dto::invite::{
    AcceptInvite, AcceptInviteBody, CreateInvite, CreateInviteBody, InviteDto, JoinedDto,
};
use super::extract::{Path, Query, STRANGERS_BODY, json_object, read_body};
use super::fields::{Fields, FromFields};
use super::idempotency::Command;
use super::json::Json;
use super::page::{Page, Scope, limit};
use super::params::Params;
use super::problem::Problem;
use super::request_id::RequestId;
use super::state::AppState;
use crate::application::identity::invites::InviteView;
use crate::application::principal::Subject;
use crate::domain::ids::KeyId;

/// Where a browser takes an invitation.
const LOGIN: &str = "/login#invite=";

/// Invite somebody; the answer shows the link once.
#[utoipa::path(post, path = "/api/v1/invites", tag = "users", request_body = CreateInviteBody,
    responses((status = 201, description = "The invitation with its link", body = InviteDto)))]
pub async fn create(
    State(app): State<AppState>,
    Base(base): Base,
    command: Command<CreateInvite>,
) -> Result<Response, Problem> {
    let made = app.identity.invite(&command.ctx, &command.body.0).await?;
    let link = made.secret.as_ref().map(|secret| format!("{base}{LOGIN}{secret}"));
    let made = InviteView { link, ..made };
    Ok(command.answer_once(&Subject::Invite(&made)))
}

/// List invitations that are neither accepted nor withdrawn, oldest first.
#[utoipa::path(get, path = "/api/v1/invites", tag = "users",
    params(
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 when omitted"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
    ),
    responses((status = 200, description = "One page", body = Page<InviteDto>)))]
pub async fn list(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    uri: Uri,
    Query(mut params): Query,
) -> Result<Json<Page<InviteDto>>, Problem> {
    let scope = Scope::of(ctx.tenant, &uri);
    let after = scope.take(&mut params).map(KeyId::new);
    let limit = limit(&mut params);
    params.finish()?;
    let mut found = app.identity.invites(&ctx, after, limit + 1).await?;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| has_more).map(|invite| invite.value.id);
    Ok(Json(Page {
        items: found.iter().map(InviteDto::from).collect(),
        next_cursor: last.map(|id| scope.cursor(id.uuid())),
        has_more,
        total: None,
    }))
}

/// Read an open invitation.
#[utoipa::path(get, path = "/api/v1/invites/{id}", tag = "users",
    params(("id" = KeyId, Path, description = "Id of the invitation")),
    responses((status = 200, description = "The invitation", body = InviteDto)))]
pub async fn get(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let found = app.identity.open_invite(&ctx, parse(&id)?).await?;
    let tag = etag(found.version);
    Ok(([(header::ETAG, tag)], Json(InviteDto::from(&found))).into_response())
}

/// Withdraw an invitation.
#[utoipa::path(delete, path = "/api/v1/invites/{id}", tag = "users",
    params(("id" = KeyId, Path, description = "Id of the invitation")),
    responses((status = 204, description = "It opens nothing from now on")))]
pub async fn delete(
    State(app): State<AppState>,
    Caller(ctx): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    app.identity.withdraw_invite(&ctx, parse(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accept an invitation: become a member and get a key, shown once. No credential is needed.
#[utoipa::path(post, path = "/api/v1/invites/accept", tag = "users",
    request_body = AcceptInviteBody,
    responses((status = 201, description = "You, with your key", body = JoinedDto)))]
pub async fn accept(
    State(app): State<AppState>,
    stranger: Stranger<AcceptInvite>,
) -> Result<Response, Problem> {
    let Stranger { peer, request_id, body } = stranger;
    let AcceptInvite { token, full_name } = body;
    let name = full_name.as_deref();
    let joined = app.identity.accept_invite(&token, name, peer, &request_id).await?;
    let Some(joined) = joined else {
        may_fail(&app, peer)?;
        app.audit.not_recognised(&peer.to_string(), "accept_invite", &request_id).await;
        return Err(not_accepted("this invitation is unknown, over, used or withdrawn"));
    };
    let location = format!("/api/v1/users/{}", joined.user.value.id);
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, Json(JoinedDto::from(&joined))).into_response())
}

fn parse(id: &str) -> Result<KeyId, Problem> {
    let missing = || Problem::new(ErrorCode::InviteNotFound, "no such invitation");
    KeyId::parse(id).ok_or_else(missing)
}

/// Address of this server as whoever asks knows it: as it is set, else as they named it.
pub struct Base(String);

impl FromRequestParts<AppState> for Base {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        if let Some(set) = &app.options.public_url {
            return Ok(Self(set.trim_end_matches('/').to_owned()));
        }
        Ok(Self::named(parts))
    }
}

impl Base {
    /// As they named it.
    fn named(parts: &Parts) -> Self {
        // Only a host that this server answers to comes this far.
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let scheme = match parts.extensions.get::<Scheme>() {
            Some(Scheme::Https) => "https",
            Some(Scheme::Http) | None => "http",
        };
        Self(format!("{scheme}://{}", host.unwrap_or("localhost")))
    }

    /// The address, without a `/` at its end.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Somebody without a credential, and what they say.
pub struct Stranger<T> {
    peer: IpAddr,
    request_id: String,
    body: T,
}

impl<T: FromFields> FromRequest<AppState> for Stranger<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let peer = peer(&parts.extensions);
        Params::parse(parts.uri.query()).finish()?;
        let request_id = parts.extensions.get::<RequestId>().map_or("", RequestId::as_str);
        let bytes = read_body(body, STRANGERS_BODY).await?;
        let map = json_object(&parts.headers, &bytes)?;
        let body = Fields::read(map).map_err(|errors| Problem::fields(&errors))?;
        Ok(Self { peer, request_id: request_id.to_owned(), body })
    }
}
