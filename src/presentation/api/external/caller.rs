//! Who calls on the routes of external agents: an agent by its token, or somebody who may act for it.
//!
//! Invariant: a token is good for its own agent alone. An unknown token, and that of another agent, look the
//! same; only an agent that does not exist is told apart.

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use crate::application::external::agent_of;
use crate::application::external::work::Known;
use crate::application::principal::{Principal, RequestContext};
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::tenant::key::KeyKind;
use crate::presentation::api::caller::{
    Caller, KnownSlot, may_fail, not_accepted, peer, tenant_header, within_rate,
};
use crate::presentation::api::codes::ErrorCode;
use crate::presentation::api::problem::Problem;
use crate::presentation::api::request_id::RequestId;
use crate::presentation::api::rights::{self, Needs};
use crate::presentation::api::state::AppState;

/// The header with an agent's token.
pub const X_AGENT_TOKEN: &str = "x-agent-token";

/// An agent that showed its own token.
pub struct AgentCaller {
    /// Which.
    pub who: Known,
    /// For what is put on record.
    pub ctx: RequestContext,
}

impl FromRequestParts<AppState> for AgentCaller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let shown = token(&parts.headers)?;
        Self::showing(parts, app, shown).await
    }
}

impl AgentCaller {
    /// The agent that the path names, by the token that it showed.
    ///
    /// # Errors
    /// `UNAUTHENTICATED`, `AGENT_NOT_FOUND`, `RATE_LIMITED`, `TENANT_*`.
    pub async fn showing(
        parts: &mut Parts,
        app: &AppState,
        token: Option<String>,
    ) -> Result<Self, Problem> {
        let wanted = named(parts, app).await?;
        let token = token.ok_or_else(invalid_token)?;
        let (principal, tenant) = match by_token(parts, app, &token).await? {
            Some((principal, tenant)) if agent_of(principal.key) == wanted => (principal, tenant),
            shown => {
                let home = shown.map(|(_, tenant)| tenant);
                return Err(refused(parts, app, (wanted, home), &token).await);
            }
        };
        recognised(parts, app, wanted, principal, tenant).await
    }
}

/// An agent by its own token, or somebody who has the rights that the route asks for.
pub enum AgentOrLead {
    /// The agent itself.
    Agent(AgentCaller),
    /// Somebody else, and what they call the agent.
    Lead(RequestContext, String),
}

impl AgentOrLead {
    /// For what is put on record.
    #[must_use]
    pub fn ctx(&self) -> &RequestContext {
        match self {
            Self::Agent(AgentCaller { ctx, .. }) | Self::Lead(ctx, _) => ctx,
        }
    }

    /// The agent that it is about.
    ///
    /// # Errors
    /// `AGENT_NOT_FOUND`.
    pub async fn who(&self, app: &AppState) -> Result<Known, Problem> {
        match self {
            Self::Agent(AgentCaller { who, .. }) => Ok(*who),
            Self::Lead(ctx, reference) => {
                let found = app.agents.get(ctx, reference).await?;
                Ok(Known { tenant: ctx.tenant, agent: found.agent.value.id })
            }
        }
    }
}

impl FromRequestParts<AppState> for AgentOrLead {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let is_agent = match token(&parts.headers)? {
            _ if parts.headers.contains_key(X_AGENT_TOKEN) => true,
            Some(token) => by_token(parts, app, &token).await?.is_some(),
            None => false,
        };
        if is_agent {
            return AgentCaller::from_request_parts(parts, app).await.map(Self::Agent);
        }
        let Caller(ctx) = Caller::from_request_parts(parts, app).await?;
        Ok(Self::Lead(ctx, path_parameter(parts, app).await?))
    }
}

/// The token that was shown; `X-Agent-Token` before `Authorization`.
///
/// # Errors
/// For a header that is given twice or is no text.
pub fn token(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    for (name, scheme) in [(X_AGENT_TOKEN, ""), (AUTHORIZATION.as_str(), "bearer ")] {
        let mut values = headers.get_all(name).iter();
        let Some(value) = values.next() else { continue };
        let text = value.to_str().ok().filter(|_| values.next().is_none());
        let text = text.ok_or_else(invalid_token)?;
        let is_of_scheme =
            text.get(..scheme.len()).is_some_and(|own| own.eq_ignore_ascii_case(scheme));
        return Ok(is_of_scheme.then(|| text[scheme.len()..].trim().to_owned()));
    }
    Ok(None)
}

/// Whoever shows this as the token of an agent.
pub async fn by_token(
    parts: &Parts,
    app: &AppState,
    token: &str,
) -> Result<Option<(Principal, TenantId)>, Problem> {
    let peer = peer(&parts.extensions);
    Ok(app.identity.authenticate(token, KeyKind::Agent, peer).await?)
}

async fn path_parameter(parts: &mut Parts, app: &AppState) -> Result<String, Problem> {
    let parameters = RawPathParams::from_request_parts(parts, app).await;
    let parameters = parameters.map_err(|_| no_agent())?;
    let found = parameters.iter().find(|(name, _)| *name == "id");
    found.map(|(_, value)| value.to_owned()).ok_or_else(no_agent)
}

/// The agent that the path names.
async fn named(parts: &mut Parts, app: &AppState) -> Result<AgentId, Problem> {
    AgentId::parse(&path_parameter(parts, app).await?).ok_or_else(no_agent)
}

async fn recognised(
    parts: &Parts,
    app: &AppState,
    agent: AgentId,
    principal: Principal,
    tenant: TenantId,
) -> Result<AgentCaller, Problem> {
    within_rate(app, (tenant, principal.key), &parts.extensions)?;
    let own = app.identity.active_tenant(tenant);
    let own = own.ok_or_else(|| Problem::new(ErrorCode::TenantNotFound, "no such tenant"))?;
    let named = tenant_header(&parts.headers)?;
    if named.is_some_and(|named| named != own.slug && TenantId::parse(&named) != Some(own.id)) {
        let detail = "this token belongs to another tenant";
        return Err(Problem::new(ErrorCode::TenantMismatch, detail));
    }
    if app
        .store
        .snapshot(tenant)
        .await
        .map_err(app_error)?
        .agent(agent)
        .await
        .map_err(app_error)?
        .is_none()
    {
        return Err(no_agent());
    }
    let request_id = parts.extensions.get::<RequestId>().map_or("", RequestId::as_str);
    let request_id = request_id.to_owned();
    let ctx = RequestContext { tenant, principal, request_id, if_match: None, repeat: None };
    if let Some(KnownSlot(slot)) = parts.extensions.get::<KnownSlot>() {
        slot.get_or_init(|| ctx.clone());
    }
    let who = Known { tenant, agent };
    app.external.hear(who);
    Ok(AgentCaller { who, ctx })
}

/// An agent on a route that is open to any agent and names none; `None` when somebody else calls.
///
/// # Errors
/// For a token that is not accepted, or of another tenant.
pub async fn recognise(parts: &Parts, app: &AppState) -> Result<Option<RequestContext>, Problem> {
    let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let is_open = matches!(rights::needs(&parts.method, route), Some(Needs::AgentOr(_)));
    if !is_open || route.starts_with("/api/v1/agents") {
        return Ok(None);
    }
    let Some(token) = token(&parts.headers)? else { return Ok(None) };
    let Some((principal, tenant)) = by_token(parts, app, &token).await? else {
        // Whoever shows a key is recognised by that.
        if !parts.headers.contains_key(X_AGENT_TOKEN) {
            return Ok(None);
        }
        may_fail(app, peer(&parts.extensions))?;
        return Err(invalid_token());
    };
    let agent = agent_of(principal.key);
    recognised(parts, app, agent, principal, tenant).await.map(|caller| Some(caller.ctx))
}

fn app_error(error: crate::application::ports::store::StoreError) -> Problem {
    crate::application::error::AppError::from(error).into()
}

/// The refusal of whoever is not the agent that the path names. Who belongs to a tenant learns nothing of
/// the agents of others.
async fn refused(
    parts: &Parts,
    app: &AppState,
    (wanted, home): (AgentId, Option<TenantId>),
    token: &str,
) -> Problem {
    let peer = peer(&parts.extensions);
    if let Err(problem) = may_fail(app, peer) {
        return problem;
    }
    let is_there = async {
        let home = if home.is_some() {
            home
        } else {
            let key = app.identity.authenticate(token, KeyKind::Key, peer).await?;
            key.filter(|(who, _)| !who.is_system).map(|(_, tenant)| tenant)
        };
        app.external.is_there(wanted, home).await
    };
    match is_there.await {
        Ok(true) => {
            let request_id = parts.extensions.get::<RequestId>().map_or("", RequestId::as_str);
            app.audit.not_recognised(&peer.to_string(), "agent_token", request_id).await;
            invalid_token()
        }
        Ok(false) => no_agent(),
        Err(error) => error.into(),
    }
}

fn invalid_token() -> Problem {
    not_accepted("Invalid agent token")
}

/// The refusal where there is no such agent.
#[must_use]
pub fn no_agent() -> Problem {
    Problem::new(ErrorCode::AgentNotFound, "Agent not found")
}
