//! Sockets: the events of a tenant, live and without gap.
//!
//! Invariant: credential, tenant and Origin are checked before the upgrade; neither a key nor a ticket
//! ever stands in a URL.

pub mod connection;
pub mod frame;
pub mod hub;
pub mod rooms;
pub mod seats;

use axum::extract::ws::{WebSocketUpgrade, rejection::WebSocketUpgradeRejection};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use self::connection::Start;
use self::rooms::Room;
use super::api::browser;
use super::api::caller::{
    Asked, Credential, bearer, recognise, tenant_header, unauthenticated, well_formed,
};
use super::api::codes::ErrorCode;
use super::api::external::caller::{AgentCaller, X_AGENT_TOKEN, by_token, token};
use super::api::extract::Path;
use super::api::params::Params;
use super::api::problem::Problem;
use super::api::state::AppState;
use crate::application::principal::RequestContext;
use crate::domain::ids::{AgentId, TaskId, TenantId};

/// Largest frame of a client.
const MAX_FRAME: usize = 64 * 1024;
/// The sub-protocol that stands beside `bearer.<key>` and `ticket.<ticket>` for clients that want one
/// without it.
const PROTOCOL: &str = "orchestrator.v1";

/// Somebody who may open a socket, and how it begins.
pub struct Joining {
    ctx: RequestContext,
    after: Option<u64>,
    client_id: Option<String>,
    protocol: Option<HeaderValue>,
    /// The external agent that showed its own token.
    own: Option<AgentId>,
}

/// An external agent that showed its own token, or somebody who may look at agents.
pub struct AgentOrPerson(Joining);

impl FromRequestParts<AppState> for AgentOrPerson {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let (protocol, offered) = protocols(&parts.headers)?;
        let shown = match (token(&parts.headers)?, offered) {
            (Some(_), Some(_)) => return Err(unauthenticated()),
            (Some(token), None) | (None, Some(Credential::Key(token))) => Some(token),
            (None, Some(Credential::Browser(_) | Credential::Ticket(_)) | None) => None,
        };
        let is_agent = match &shown {
            _ if parts.headers.contains_key(X_AGENT_TOKEN) => true,
            Some(token) => by_token(parts, app, token).await?.is_some(),
            None => false,
        };
        if !is_agent {
            return Joining::from_request_parts(parts, app).await.map(Self);
        }
        let AgentCaller { who, ctx } = AgentCaller::showing(parts, app, shown).await?;
        let mut params = Params::parse(parts.uri.query());
        let tenant = named_tenant(&mut params)?;
        let (after, client_id) = beginning(params, app)?;
        let own = app.identity.active_tenant(who.tenant).map(|tenant| tenant.slug.clone());
        let is_own = |named: &String| {
            Some(named) == own.as_ref() || TenantId::parse(named) == Some(who.tenant)
        };
        if tenant.is_some_and(|named| !is_own(&named)) {
            let detail = "this token belongs to another tenant";
            return Err(Problem::new(ErrorCode::TenantMismatch, detail));
        }
        Ok(Self(Joining { ctx, after, client_id, protocol, own: Some(who.agent) }))
    }
}

/// The tenant that the query names.
fn named_tenant(params: &mut Params) -> Result<Option<String>, Problem> {
    params.text("tenant").map(|text| well_formed(&text)).transpose()
}

/// Where a socket begins and what its client calls it; nothing else may stand in the query.
fn beginning(mut params: Params, app: &AppState) -> Result<(Option<u64>, Option<String>), Problem> {
    let after = params.integer("after");
    let client_id = params.text("client_id");
    if client_id.as_ref().is_some_and(|label| label.chars().count() > 100) {
        params.wrong("client_id", "too_long", "may have at most 100 characters");
    }
    params.finish()?;
    let client_id = client_id.map(|label| app.options.redactor.redact(&label).into_owned());
    Ok((after, client_id))
}

impl FromRequestParts<AppState> for Joining {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let mut params = Params::parse(parts.uri.query());
        let (protocol, offered) = protocols(&parts.headers)?;
        let credential = match (bearer(&parts.headers)?, offered) {
            (Some(_), Some(_)) => return Err(unauthenticated()),
            (Some(secret), None) => Some(Credential::Key(secret)),
            (None, Some(offered)) => Some(offered),
            (None, None) => cookie(app, parts)?,
        };
        let named = named_tenant(&mut params)?;
        let tenant = match (tenant_header(&parts.headers)?, named) {
            (Some(header), Some(named)) if header != named => {
                let detail = "X-Tenant-ID and ?tenant= name different tenants";
                return Err(Problem::new(ErrorCode::TenantMalformed, detail));
            }
            (header, named) => header.or(named),
        };
        let ctx = recognise(app, Asked { credential, tenant }, parts).await?;
        let (after, client_id) = beginning(params, app)?;
        Ok(Self { ctx, after, client_id, protocol, own: None })
    }
}

/// The cookie of somebody who is signed in, from a page of this server.
fn cookie(app: &AppState, parts: &Parts) -> Result<Option<Credential>, Problem> {
    let shown = browser::cookie(app, parts)?;
    if shown.is_some() {
        browser::may_listen(parts)?;
    }
    Ok(shown.map(Credential::Browser))
}

/// The sub-protocol to answer with, and the credential that was offered as one.
fn protocols(headers: &HeaderMap) -> Result<(Option<HeaderValue>, Option<Credential>), Problem> {
    let (mut plain, mut shown) = (None, None);
    for value in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        for offered in value.to_str().unwrap_or("").split(',').map(str::trim) {
            if offered == PROTOCOL {
                plain = Some(HeaderValue::from_static(PROTOCOL));
                continue;
            }
            let secret = |beginning| offered.strip_prefix(beginning).map(str::to_owned);
            let key = secret("bearer.").map(Credential::Key);
            let Some(credential) = key.or_else(|| secret("ticket.").map(Credential::Ticket)) else {
                continue;
            };
            let echo = HeaderValue::from_str(offered).ok();
            if shown.replace((echo, credential)).is_some() {
                let detail = "one sub-protocol at the most names a credential";
                return Err(Problem::new(ErrorCode::ProtocolError, detail));
            }
        }
    }
    let (echo, credential) = shown.unzip();
    Ok((plain.or(echo.flatten()), credential))
}

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

fn upgrade(
    app: &AppState,
    joining: Joining,
    upgrade: Upgrade,
    rooms: Vec<Room>,
) -> Result<Response, Problem> {
    let mut upgrade = upgrade.map_err(|_| {
        Problem::new(ErrorCode::ProtocolError, "this path takes WebSocket connections only")
            .header(header::UPGRADE, HeaderValue::from_static("websocket"))
    })?;
    let Joining { ctx, after, client_id, protocol, own } = joining;
    let seat = app.seats.take(&ctx, &app.options.ws)?;
    if let Some(protocol) = protocol {
        upgrade.set_selected_protocol(protocol);
    }
    let start = Start { rooms, after, client_id, own };
    let (app, tracker) = (app.clone(), app.tracker.clone());
    let sized = upgrade
        .max_message_size(MAX_FRAME)
        .max_frame_size(MAX_FRAME)
        .read_buffer_size(4 * 1024)
        .write_buffer_size(16 * 1024);
    Ok(sized.on_upgrade(move |socket| async move {
        // The upgraded connection outlives the request: it is a task of its own on the tracker.
        drop(tracker.spawn(connection::run(socket, app, ctx, start, seat)));
    }))
}

/// Every event of sessions.
#[utoipa::path(get, path = "/ws/sessions", tag = "sockets",
    params(
        ("after" = Option<u64>, Query, description = "Stored events with a larger number come first"),
        ("client_id" = Option<String>, Query, description = "A label; several connections may share it"),
        ("tenant" = Option<String>, Query, description = "The tenant, for clients that cannot send headers"),
    ),
    responses((status = 101, description = "Frames `{type, seq, tenant_id, subject, payload, timestamp}`")))]
pub async fn sessions(
    State(app): State<AppState>,
    joining: Joining,
    socket: Upgrade,
) -> Result<Response, Problem> {
    upgrade(&app, joining, socket, vec![Room::Sessions])
}

/// Every event, log line and word of one session.
#[utoipa::path(get, path = "/ws/sessions/{id}", tag = "sockets",
    params(
        ("id" = String, Path, description = "Id or code of the session", example = "IND-000042"),
        ("after" = Option<u64>, Query, description = "Stored events with a larger number come first"),
        ("client_id" = Option<String>, Query, description = "A label; several connections may share it"),
        ("tenant" = Option<String>, Query, description = "The tenant, for clients that cannot send headers"),
    ),
    responses((status = 101, description = "Frames `{type, seq, tenant_id, subject, payload, timestamp}`")))]
pub async fn session(
    State(app): State<AppState>,
    joining: Joining,
    Path(id): Path<String>,
    socket: Upgrade,
) -> Result<Response, Problem> {
    let id = app.sessions.find(joining.ctx.tenant, &id).await?;
    app.sessions.get(&joining.ctx, id).await?;
    upgrade(&app, joining, socket, vec![Room::Session(id)])
}

/// Every event of one task.
#[utoipa::path(get, path = "/ws/tasks/{id}", tag = "sockets",
    params(
        ("id" = TaskId, Path, description = "Id of the task"),
        ("after" = Option<u64>, Query, description = "Stored events with a larger number come first"),
        ("client_id" = Option<String>, Query, description = "A label; several connections may share it"),
        ("tenant" = Option<String>, Query, description = "The tenant, for clients that cannot send headers"),
    ),
    responses((status = 101, description = "Frames `{type, seq, tenant_id, subject, payload, timestamp}`")))]
pub async fn task(
    State(app): State<AppState>,
    joining: Joining,
    Path(id): Path<String>,
    socket: Upgrade,
) -> Result<Response, Problem> {
    let id = super::api::tasks::parse(&id)?;
    let found = app.tasks.get(&joining.ctx, id).await?;
    upgrade(&app, joining, socket, vec![Room::Task(found.task.value.id)])
}

/// Every event of agents, and how external ones say that they are.
#[utoipa::path(get, path = "/ws/agents", tag = "sockets",
    params(
        ("after" = Option<u64>, Query, description = "Stored events with a larger number come first"),
        ("client_id" = Option<String>, Query, description = "A label; several connections may share it"),
        ("tenant" = Option<String>, Query, description = "The tenant, for clients that cannot send headers"),
    ),
    responses((status = 101, description = "Frames `{type, seq, tenant_id, subject, payload, timestamp}`")))]
pub async fn agents(
    State(app): State<AppState>,
    joining: Joining,
    socket: Upgrade,
) -> Result<Response, Problem> {
    upgrade(&app, joining, socket, vec![Room::Agents])
}

/// Every event of one agent. An external agent that shows its own token is told at once, beside events about
/// itself, what waits for it (`agent.task_available`) and what it is to know (`agent.notice`).
#[utoipa::path(get, path = "/ws/agents/{id}", tag = "sockets",
    params(
        ("id" = String, Path, description = "Id or name of the agent; its id for the agent itself"),
        ("after" = Option<u64>, Query, description = "Stored events with a larger number come first"),
        ("client_id" = Option<String>, Query, description = "A label; several connections may share it"),
        ("tenant" = Option<String>, Query, description = "The tenant, for clients that cannot send headers"),
    ),
    responses((status = 101, description = "Frames `{type, seq, tenant_id, subject, payload, timestamp}`")))]
pub async fn agent(
    State(app): State<AppState>,
    AgentOrPerson(joining): AgentOrPerson,
    Path(id): Path<String>,
    socket: Upgrade,
) -> Result<Response, Problem> {
    let id = match joining.own {
        Some(own) => own,
        None => app.agents.get(&joining.ctx, &id).await?.agent.value.id,
    };
    upgrade(&app, joining, socket, vec![Room::Agent(id)])
}

/// Events of the server itself.
#[utoipa::path(get, path = "/ws/system", tag = "sockets",
    params(
        ("after" = Option<u64>, Query, description = "Stored events with a larger number come first"),
        ("client_id" = Option<String>, Query, description = "A label; several connections may share it"),
        ("tenant" = Option<String>, Query, description = "The tenant, for clients that cannot send headers"),
    ),
    responses((status = 101, description = "Frames `{type, seq, tenant_id, subject, payload, timestamp}`")))]
pub async fn system(
    State(app): State<AppState>,
    joining: Joining,
    socket: Upgrade,
) -> Result<Response, Problem> {
    upgrade(&app, joining, socket, vec![Room::System])
}

/// Nothing until rooms are subscribed to.
#[utoipa::path(get, path = "/ws/events", tag = "sockets",
    params(
        ("after" = Option<u64>, Query, description = "Stored events with a larger number come first"),
        ("client_id" = Option<String>, Query, description = "A label; several connections may share it"),
        ("tenant" = Option<String>, Query, description = "The tenant, for clients that cannot send headers"),
    ),
    responses((status = 101, description = "Frames `{type, seq, tenant_id, subject, payload, timestamp}`")))]
pub async fn events(
    State(app): State<AppState>,
    joining: Joining,
    socket: Upgrade,
) -> Result<Response, Problem> {
    upgrade(&app, joining, socket, Vec::new())
}
