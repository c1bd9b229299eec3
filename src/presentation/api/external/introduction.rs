//! Who introduces an agent, and by which right.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;

use super::caller::{AgentCaller, by_token, token};
use super::object;
use crate::application::error::AppError;
use crate::application::external::work::Known;
use crate::application::external::{Registrar, agent_of};
use crate::application::principal::{Principal, RequestContext};
use crate::domain::eap::registration::{Registration, Unreadable};
use crate::domain::ids::{KeyId, TenantId};
use crate::domain::tenant::key::{KeyKind, Role};
use crate::domain::tenant::network::Reach;
use crate::domain::tenant::registration::RegistrationMode;
use crate::domain::tenant::right::Lack;
use crate::domain::tenant::scope::{Access, Area, Scope, Scopes};
use crate::presentation::api::caller::{
    Caller, KnownSlot, may_fail, not_accepted, peer, tenant_header, within_rate,
};
use crate::presentation::api::codes::ErrorCode;
use crate::presentation::api::problem::Problem;
use crate::presentation::api::request_id::RequestId;
use crate::presentation::api::state::AppState;

/// By which right an agent is introduced.
pub enum Introduced {
    /// By its own token: it was registered before.
    Again(AgentCaller),
    /// By somebody.
    By(Registrar),
}

/// An agent that is introduced.
pub struct Introduction {
    /// By which right.
    pub who: Introduced,
    /// What it says of itself.
    pub registration: Registration,
}

impl FromRequest<AppState> for Introduction {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let who = introduced(&mut parts, app).await?;
        let mut sent = object(&parts.headers, body, app.options.body_limit).await?;
        app.options.redactor.clean_map(&mut sent);
        let registration = Registration::read(&sent).map_err(|error| match error {
            Unreadable::Version(version) => {
                let detail =
                    format!("this server speaks version 1.0 of the protocol, not {version}");
                Problem::new(ErrorCode::ProtocolError, detail)
            }
            Unreadable::Malformed(errors) => AppError::Invalid(errors).into(),
        })?;
        Ok(Self { who, registration })
    }
}

async fn introduced(parts: &mut Parts, app: &AppState) -> Result<Introduced, Problem> {
    let Some(shown) = token(&parts.headers)? else {
        return without_token(parts, app).await;
    };
    if let Some((principal, tenant)) = by_token(parts, app, &shown).await? {
        let who = Known { tenant, agent: agent_of(principal.key) };
        is_active(app, tenant)?;
        within_rate(app, (tenant, principal.key), &parts.extensions)?;
        let ctx = context(parts, tenant, principal);
        app.external.hear(who);
        return Ok(Introduced::Again(AgentCaller { who, ctx }));
    }
    let peer = peer(&parts.extensions);
    let enrolment = app.identity.authenticate(&shown, KeyKind::Enrolment, peer).await?;
    if let Some((principal, tenant)) = enrolment {
        is_active(app, tenant)?;
        within_rate(app, (tenant, principal.key), &parts.extensions)?;
        let ctx = context(parts, tenant, principal);
        return Ok(Introduced::By(Registrar { ctx, by_enrolment: true }));
    }
    if parts.headers.contains_key(super::caller::X_AGENT_TOKEN) {
        may_fail(app, peer)?;
        return Err(not_accepted("Invalid agent token"));
    }
    by_key(parts, app).await
}

/// A tenant that is switched off takes no agents in.
fn is_active(app: &AppState, tenant: TenantId) -> Result<(), Problem> {
    let own = app.identity.active_tenant(tenant);
    own.map(drop).ok_or_else(|| Problem::new(ErrorCode::TenantNotFound, "no such tenant"))
}

/// With a key that may bring agents.
async fn by_key(parts: &mut Parts, app: &AppState) -> Result<Introduced, Problem> {
    let Caller(ctx) = Caller::from_request_parts(parts, app).await?;
    let Principal { role, scopes, .. } = &ctx.principal;
    let is_for_it = scopes.iter().any(|scope| scope == Scope::RegisterAgents);
    let may_write = scopes.allow(Scope::Of(Area::Agents, Access::Write));
    if is_for_it || (*role >= Role::Member && may_write) {
        return Ok(Introduced::By(Registrar { ctx, by_enrolment: false }));
    }
    Err(match role {
        Role::Viewer => Lack::Role(Role::Member).into(),
        Role::Member | Role::Lead | Role::Admin => Lack::Scope(Scope::RegisterAgents).into(),
    })
}

/// By a browser that was signed in, without a credential in `--dev`, or by anybody on this machine where
/// the tenant is open.
async fn without_token(parts: &mut Parts, app: &AppState) -> Result<Introduced, Problem> {
    let named = tenant_header(&parts.headers)?;
    let tenant = match &named {
        Some(named) => app.identity.tenant(named),
        None => app.identity.active_tenant(TenantId::BOOTSTRAP),
    };
    let is_open = tenant.as_ref().is_some_and(|own| own.registration == RegistrationMode::Open);
    match tenant.filter(|_| is_open && peer(&parts.extensions).is_loopback()) {
        Some(tenant) => {
            let who = stranger();
            within_rate(app, (tenant.id, who.key), &parts.extensions)?;
            let ctx = context(parts, tenant.id, who);
            Ok(Introduced::By(Registrar { ctx, by_enrolment: false }))
        }
        None => by_key(parts, app).await,
    }
}

fn context(parts: &Parts, tenant: TenantId, principal: Principal) -> RequestContext {
    let request_id = parts.extensions.get::<RequestId>().map_or("", RequestId::as_str);
    let request_id = request_id.to_owned();
    let ctx = RequestContext { tenant, principal, request_id, if_match: None, repeat: None };
    if let Some(KnownSlot(slot)) = parts.extensions.get::<KnownSlot>() {
        slot.get_or_init(|| ctx.clone());
    }
    ctx
}

/// Who brings an agent where nobody is asked who they are.
fn stranger() -> Principal {
    Principal {
        key: KeyId::new(uuid::Uuid::nil()),
        credential: None,
        user: None,
        agent: None,
        home: None,
        name: "open registration".to_owned(),
        role: Role::Viewer,
        scopes: Scopes::of([]),
        is_system: false,
        reach: Reach::default(),
    }
}
