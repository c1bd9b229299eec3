//! Who asks: credential, rate, tenant, rights — in this order, the same for REST and sockets.
//!
//! A credential that was sent on purpose counts alone: the cookie, which a browser sends by itself, is
//! looked at only without one.
//!
//! Invariant: every refusal of a credential looks the same, whether the key is unknown, expired or
//! revoked; a tenant that the key does not belong to looks the same whether it exists or not.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, header};

use super::browser;
use super::codes::ErrorCode;
use super::external::caller as agent;
use super::limits::{Allowance, Refused};
use super::openapi;
use super::params::Params;
use super::problem::Problem;
use super::request_id::RequestId;
use super::rights::{self, Needs};
use super::state::AppState;
use crate::application::identity::browsers::Holder;
use crate::application::principal::{Principal, RequestContext};
use crate::domain::ids::{KeyId, TenantId};
use crate::domain::tenant::is_slug;
use crate::domain::tenant::key::{KeyKind, Role};
use crate::domain::tenant::network::Reach;
use crate::domain::tenant::scope::Scopes;

/// The header that names the tenant.
pub const X_TENANT_ID: &str = "x-tenant-id";

/// Routes about the server as a whole: nobody has to name a tenant for them.
const OF_THE_INSTANCE: [&str; 21] = [
    "/api/v1/hosts",
    "/api/v1/hosts/{id}/recycle",
    "/api/v1/invites/accept",
    "/api/v1/login",
    "/api/v1/login-links",
    "/api/v1/login/look",
    "/api/v1/logout",
    "/api/v1/recovery/apply",
    "/api/v1/recovery/plan",
    "/api/v1/storage/usage",
    "/api/v1/system/info",
    "/api/v1/tenants",
    "/api/v1/tenants/{id}",
    "/api/v1/tenants/{id}/quotas",
    "/api/v1/tenants/{id}/usage",
    "/api/v1/whoami",
    "/api/v1/ws-tickets",
    "/health",
    "/health/ready",
    "/metrics",
    "/ready",
];

/// Whether a route is about the server as a whole, and about no tenant.
#[must_use]
pub fn is_of_the_instance(route: &str) -> bool {
    OF_THE_INSTANCE.contains(&route)
}

/// Address of the other end, put on every request by the server.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// How the other end reached the server, put on every request by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS, here or at a proxy that is believed.
    Https,
}

/// Where the caller's allowance is left for the headers of the answer.
#[derive(Debug, Clone, Default)]
pub struct RateSlot(pub Arc<OnceLock<Allowance>>);

/// Where it is left who was recognised, so that what is refused to them is put on record wherever
/// that is decided.
#[derive(Clone, Default)]
pub struct KnownSlot(pub Arc<OnceLock<RequestContext>>);

/// Somebody who was recognised, acting for one tenant.
pub struct Caller(pub RequestContext);

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        if let Some(context) = agent::recognise(parts, app).await? {
            return Ok(Self(context));
        }
        let credential = match bearer(&parts.headers)? {
            Some(secret) => Some(Credential::Key(secret)),
            None => cookie(parts, app)?,
        };
        let asked = Asked { credential, tenant: tenant_header(&parts.headers)? };
        let mut context = recognise(app, asked, parts).await?;
        if let Some(query) = parts.uri.query().filter(|_| !openapi::takes_parameters(parts)) {
            Params::parse(Some(query)).finish()?;
        }
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            context.if_match = if_match(&parts.headers)?;
        }
        Ok(Self(context))
    }
}

/// What a caller is recognised by.
pub enum Credential {
    /// A key.
    Key(String),
    /// The cookie of a browser that was signed in.
    Browser(String),
    /// A ticket for one socket.
    Ticket(String),
}

/// What a request shows of itself.
pub struct Asked {
    /// The credential, when one was sent.
    pub credential: Option<Credential>,
    /// The tenant, by id or slug, when one was named.
    pub tenant: Option<String>,
}

/// Authenticates, counts against the rate, finds the tenant, compares the rights with those that the
/// route asks for.
///
/// # Errors
/// `UNAUTHENTICATED`, `RATE_LIMITED`, `TENANT_*`, `FORBIDDEN`.
pub async fn recognise(
    app: &AppState,
    asked: Asked,
    parts: &Parts,
) -> Result<RequestContext, Problem> {
    let extensions = &parts.extensions;
    let request_id = extensions.get::<RequestId>().map_or("", RequestId::as_str).to_owned();
    let peer = peer(extensions);
    let route = extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let who = match authenticate(app, asked.credential, peer).await {
        Err(Unknown::Refused { is_browser }) => {
            let action = format!("{} {route}", parts.method);
            app.audit.not_recognised(&peer.to_string(), &action, &request_id).await;
            // A browser that forgets what is of no use does not show it again and again.
            let forget = is_browser.then(|| browser::forget(app, extensions));
            return Err(forget.into_iter().fold(unauthenticated(), |refusal, cookie| {
                refusal.header(header::SET_COOKIE, cookie)
            }));
        }
        Err(Unknown::Problem(problem)) => return Err(problem),
        Ok(who) => who,
    };
    let (principal, home) = match who {
        Some((principal, home)) => (principal, Some(home)),
        None => (developer(), None),
    };
    let counted = home.unwrap_or(TenantId::BOOTSTRAP);
    within_rate(app, (counted, principal.key), extensions)?;
    let bound = home.filter(|_| !principal.is_system);
    let found = match asked.tenant {
        // What is put on record of it is kept where the caller is at home.
        None if bound.is_none() && is_of_the_instance(route) => Ok(counted),
        named => find_tenant(app, named.as_deref(), bound),
    };
    let tenant = *found.as_ref().unwrap_or(&counted);
    let context = RequestContext { tenant, principal, request_id, if_match: None, repeat: None };
    if let Some(KnownSlot(slot)) = extensions.get::<KnownSlot>() {
        slot.get_or_init(|| context.clone());
    }
    found?;
    match rights::needs(&parts.method, route) {
        Some(Needs::Right(right) | Needs::AgentOr(right)) => context.principal.check(right)?,
        Some(Needs::Key | Needs::Nothing | Needs::Registrar) => {}
        Some(Needs::Agent) => return Err(not_accepted("Invalid agent token")),
        None => return Err(Problem::new(ErrorCode::Forbidden, "nobody may use this route")),
    }
    Ok(context)
}

/// Counts a request of a key, and leaves what it may still send for the headers of the answer.
///
/// # Errors
/// `RATE_LIMITED`.
pub fn within_rate(
    app: &AppState,
    who: (TenantId, KeyId),
    extensions: &Extensions,
) -> Result<(), Problem> {
    let per_minute = || app.identity.requests_per_minute(who.0);
    let taken = app.rates.take(who, app.clock.now(), per_minute);
    let allowance = taken.as_ref().map_or_else(|refused| Some(refused.0), |left| *left);
    if let (Some(RateSlot(slot)), Some(allowance)) = (extensions.get::<RateSlot>(), allowance) {
        slot.get_or_init(|| allowance);
    }
    let Err(Refused(Allowance { of, wait, .. })) = taken else { return Ok(()) };
    let detail = format!("this {of} sends requests faster than it may");
    Err(Problem::new(ErrorCode::RateLimited, detail).retry_after(wait))
}

/// Why nobody was recognised.
enum Unknown {
    /// A secret was shown that is not accepted.
    Refused {
        /// By a browser, which should forget it.
        is_browser: bool,
    },
    /// Something else.
    Problem(Problem),
}

impl From<Problem> for Unknown {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// `None` for a request without a credential where none is needed.
async fn authenticate(
    app: &AppState,
    credential: Option<Credential>,
    peer: IpAddr,
) -> Result<Option<(Principal, TenantId)>, Unknown> {
    let known = match &credential {
        None if app.options.dev => return Ok(None),
        None => return Err(unauthenticated().into()),
        Some(Credential::Key(secret)) => {
            app.identity.authenticate(secret, KeyKind::Key, peer).await
        }
        Some(Credential::Browser(secret)) => {
            app.identity.authenticate(secret, KeyKind::Browser, peer).await
        }
        Some(Credential::Ticket(ticket)) => match app.identity.redeem(ticket) {
            Some(Holder(None)) if app.options.dev => return Ok(None),
            Some(Holder(Some(shown))) => app.identity.whoever_showed(shown, peer).await,
            Some(Holder(None)) | None => Ok(None),
        },
    };
    // Who shows a valid secret is let in however often others at the same address failed: nobody locks
    // out their neighbours.
    let known = known.map_err(Problem::from)?;
    if known.is_some() {
        return Ok(known);
    }
    may_fail(app, peer)?;
    Err(Unknown::Refused { is_browser: matches!(credential, Some(Credential::Browser(_))) })
}

/// Counts a secret that is not accepted against its address.
///
/// # Errors
/// `RATE_LIMITED` after too many.
pub fn may_fail(app: &AppState, peer: IpAddr) -> Result<(), Problem> {
    let now = app.clock.now();
    let Some(seconds) = app.failures.wait(peer, now) else {
        app.failures.count(peer, now);
        return Ok(());
    };
    let detail = "too many failed authentications from this address";
    Err(Problem::new(ErrorCode::RateLimited, detail).retry_after(seconds))
}

/// Where a request comes from.
#[must_use]
pub fn peer(extensions: &Extensions) -> IpAddr {
    extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0)
}

/// The cookie of somebody who is signed in, from a page that may use it.
fn cookie(parts: &Parts, app: &AppState) -> Result<Option<Credential>, Problem> {
    let shown = browser::cookie(app, parts)?;
    if shown.is_some() {
        browser::may_act(parts)?;
    }
    Ok(shown.map(Credential::Browser))
}

/// The refusal of every credential.
#[must_use]
pub fn unauthenticated() -> Problem {
    not_accepted("a valid API key is needed")
}

/// The refusal of something that was shown to get in.
#[must_use]
pub fn not_accepted(detail: &str) -> Problem {
    Problem::new(ErrorCode::Unauthenticated, detail).header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"industrial-orchestrator\""),
    )
}

/// Who acts in `--dev` without a credential.
fn developer() -> Principal {
    Principal {
        key: KeyId::new(uuid::Uuid::nil()),
        credential: None,
        user: None,
        agent: None,
        home: None,
        name: "dev".to_owned(),
        role: Role::Admin,
        scopes: Scopes::all(),
        is_system: true,
        reach: Reach::default(),
    }
}

fn find_tenant(
    app: &AppState,
    named: Option<&str>,
    bound: Option<TenantId>,
) -> Result<TenantId, Problem> {
    let missing = || Problem::new(ErrorCode::TenantNotFound, "no such tenant");
    let known = |reference: &str| app.identity.tenant(reference).map(|tenant| tenant.id);
    match (named, bound) {
        (None, None) => Err(Problem::new(
            ErrorCode::TenantRequired,
            "this caller may act in every tenant and must name one in X-Tenant-ID",
        )),
        (None, Some(own)) => {
            app.identity.active_tenant(own).map(|tenant| tenant.id).ok_or_else(missing)
        }
        (Some(named), None) => known(named).ok_or_else(missing),
        (Some(named), Some(own)) => {
            let mismatch =
                || Problem::new(ErrorCode::TenantMismatch, "this key belongs to another tenant");
            match app.identity.any_tenant(named) {
                Some(found) if found.id != own => Err(mismatch()),
                Some(found) if found.is_active => Ok(own),
                None if TenantId::parse(named) != Some(own) => Err(mismatch()),
                Some(_) | None => Err(missing()),
            }
        }
    }
}

/// The key in `Authorization: Bearer`.
///
/// # Errors
/// `PROTOCOL_ERROR` for a repeated header, `UNAUTHENTICATED` for another scheme.
pub fn bearer(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Problem::new(ErrorCode::ProtocolError, "Authorization is given twice"));
    }
    let text = value.to_str().map_err(|_| unauthenticated())?;
    match text.split_once(' ') {
        Some((scheme, secret)) if scheme.eq_ignore_ascii_case("bearer") => {
            Ok(Some(secret.trim().to_owned()))
        }
        Some(_) | None => Err(unauthenticated()),
    }
}

/// The tenant in `X-Tenant-ID`, well formed.
///
/// # Errors
/// `TENANT_MALFORMED`.
pub fn tenant_header(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(X_TENANT_ID).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(malformed("X-Tenant-ID is given twice"));
    }
    let text = value.to_str().map_err(|_| malformed("X-Tenant-ID must be plain text"))?;
    well_formed(text).map(Some)
}

/// A tenant's id or slug.
///
/// # Errors
/// `TENANT_MALFORMED`.
pub fn well_formed(text: &str) -> Result<String, Problem> {
    if is_slug(text) || TenantId::parse(text).is_some() {
        Ok(text.to_owned())
    } else {
        Err(malformed("a tenant is named by its UUID or by its slug"))
    }
}

fn malformed(detail: &str) -> Problem {
    Problem::new(ErrorCode::TenantMalformed, detail)
}

fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut values = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or("");
    if text == "*" && values.next().is_none() {
        return Ok(None);
    }
    let version = text.strip_prefix("\"v").and_then(|rest| rest.strip_suffix('"'));
    match (version.and_then(|digits| digits.parse().ok()), values.next()) {
        (Some(version), None) => Ok(Some(version)),
        _ => Err(Problem::field(
            "If-Match",
            "invalid",
            "must be one ETag as this API gives them, for example \"v3\"",
        )),
    }
}
