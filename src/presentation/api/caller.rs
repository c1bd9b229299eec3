//! Who asks: credential, rate, tenant, rights — in this order, the same for REST and sockets.
//!
//! Invariant: every refusal of a credential looks the same, whether the key is unknown, expired or
//! revoked; a tenant that the key does not belong to looks the same whether it exists or not.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};

use super::codes::ErrorCode;
use super::limits::Allowance;
use super::openapi;
use super::params::Params;
use super::problem::Problem;
use super::request_id::RequestId;
use super::rights::{self, Needs};
use super::state::AppState;
use crate::application::principal::{Principal, RequestContext};
use crate::domain::ids::{KeyId, TenantId};
use crate::domain::tenant::is_slug;
use crate::domain::tenant::key::Role;
use crate::domain::tenant::scope::Scopes;

/// The header that names the tenant.
pub const X_TENANT_ID: &str = "x-tenant-id";

/// Routes about the server as a whole: nobody has to name a tenant for them.
const OF_THE_INSTANCE: [&str; 10] = [
    "/api/v1/recovery/apply",
    "/api/v1/recovery/plan",
    "/api/v1/storage/usage",
    "/api/v1/system/info",
    "/api/v1/tenants",
    "/api/v1/tenants/{id}",
    "/api/v1/tenants/{id}/quotas",
    "/api/v1/tenants/{id}/usage",
    "/api/v1/whoami",
    "/metrics",
];

/// Whether a route is about the server as a whole, and about no tenant.
#[must_use]
pub fn is_of_the_instance(route: &str) -> bool {
    OF_THE_INSTANCE.contains(&route)
}

/// Address of the other end, put on every request by the server.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Where the caller's allowance is left for the headers of the answer.
#[derive(Debug, Clone, Default)]
pub struct RateSlot(pub Arc<OnceLock<Allowance>>);

/// Somebody who was recognised, acting for one tenant.
pub struct Caller(pub RequestContext);

impl FromRequestParts<AppState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, Problem> {
        let asked =
            Asked { secret: bearer(&parts.headers)?, tenant: tenant_header(&parts.headers)? };
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

/// What a request shows of itself.
pub struct Asked {
    /// The key, when one was sent.
    pub secret: Option<String>,
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
    let peer = extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0);
    let (principal, home) = match authenticate(app, asked.secret, peer).await? {
        Some((principal, home)) => (principal, Some(home)),
        None => (developer(), None),
    };
    let counted = home.unwrap_or(TenantId::BOOTSTRAP);
    match app.rates.take(counted, principal.key, app.clock.now()) {
        Ok(Some(allowance)) => {
            if let Some(RateSlot(slot)) = extensions.get::<RateSlot>() {
                slot.get_or_init(|| allowance);
            }
        }
        Ok(None) => {}
        Err(seconds) => {
            let detail = "this key sends requests faster than it may";
            return Err(Problem::new(ErrorCode::RateLimited, detail).retry_after(seconds));
        }
    }
    let bound = home.filter(|_| !principal.is_system);
    let route = extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let tenant = match asked.tenant {
        // What is put on record of it is kept where the caller is at home.
        None if bound.is_none() && is_of_the_instance(route) => counted,
        named => find_tenant(app, named.as_deref(), bound)?,
    };
    let context = RequestContext { tenant, principal, request_id, if_match: None, repeat: None };
    match rights::needs(&parts.method, route) {
        Some(Needs::Right(right)) => {
            if let Err(lack) = context.principal.check(right) {
                app.audit.refused(&context, &format!("{} {route}", parts.method), lack).await;
                return Err(lack.into());
            }
        }
        Some(Needs::Key | Needs::Nothing) => {}
        None => return Err(Problem::new(ErrorCode::Forbidden, "nobody may use this route")),
    }
    Ok(context)
}

/// `None` for a request without a credential where none is needed.
async fn authenticate(
    app: &AppState,
    secret: Option<String>,
    peer: IpAddr,
) -> Result<Option<(Principal, TenantId)>, Problem> {
    if let Some(seconds) = app.failures.wait(peer, app.clock.now()) {
        let detail = "too many failed authentications from this address";
        return Err(Problem::new(ErrorCode::RateLimited, detail).retry_after(seconds));
    }
    let Some(secret) = secret else {
        return if app.options.dev { Ok(None) } else { Err(unauthenticated()) };
    };
    let known = app.identity.authenticate(&secret).await?;
    if known.is_none() {
        app.failures.count(peer, app.clock.now());
        return Err(unauthenticated());
    }
    Ok(known)
}

/// The refusal of every credential.
#[must_use]
pub fn unauthenticated() -> Problem {
    Problem::new(ErrorCode::Unauthenticated, "a valid API key is needed").header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"industrial-orchestrator\""),
    )
}

/// Who acts in `--dev` without a credential.
fn developer() -> Principal {
    Principal {
        key: KeyId::new(uuid::Uuid::nil()),
        credential: None,
        name: "dev".to_owned(),
        role: Role::Admin,
        scopes: Scopes::all(),
        is_system: true,
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
        (None, Some(own)) => known(&own.to_string()).ok_or_else(missing),
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
