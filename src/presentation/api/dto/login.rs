//! Signing in, on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use crate::application::identity::browsers::{Known, Lent, Proof, SignedIn};
use crate::domain::ids::{KeyId, TenantId};
use crate::domain::tenant::key::{ApiKey, Role};
use crate::domain::time::Timestamp;
use crate::presentation::api::fields::{Fields, FromFields};

/// What somebody signs in with: one of both.
#[derive(Debug, ToSchema)]
#[schema(as = Login, example = json!({ "token": "iol_4Rk2c0…" }))]
pub struct LoginBody {
    /// From a login link; it is good once, for ten minutes.
    #[schema(min_length = 1, max_length = 200)]
    pub token: Option<String>,
    /// An API key.
    #[schema(min_length = 1, max_length = 200)]
    pub key: Option<String>,
}

/// The body of `POST /login`, read.
pub struct Login(pub Option<Proof>);

impl FromFields for Login {
    fn read(fields: &mut Fields) -> Self {
        let proof = match (secret(fields, "token"), secret(fields, "key")) {
            (Some(token), None) => Some(Proof::Link(token)),
            (None, Some(key)) => Some(Proof::Key(key)),
            (None, None) => {
                fields.require_one("token", "token or key is needed");
                None
            }
            (Some(_), Some(_)) => {
                fields.wrong("key", "conflict", "cannot be given together with token");
                None
            }
        };
        Self(proof)
    }
}

/// The token of a login link.
#[derive(Debug, ToSchema)]
#[schema(as = LookAtLogin, example = json!({ "token": "iol_4Rk2c0…" }))]
pub struct LookBody {
    /// From a login link; it is good afterwards as before.
    #[schema(min_length = 1, max_length = 200)]
    pub token: String,
}

/// The body of `POST /login/look`, read.
pub struct Look(pub String);

impl FromFields for Look {
    fn read(fields: &mut Fields) -> Self {
        if !fields.has("token") {
            fields.require_one("token", "is required");
        }
        Self(secret(fields, "token").unwrap_or_default())
    }
}

/// No secret of ours is as long as this.
fn secret(fields: &mut Fields, name: &'static str) -> Option<String> {
    fields.bounded_text(name, 1, 200)
}

/// Whom a link signs in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LinkedTo)]
pub struct LinkedDto {
    /// Address of whoever holds the key behind it, else the name of that key.
    pub who: String,
    /// What their tenant is called.
    pub tenant_name: String,
    /// Its short name.
    pub tenant_slug: String,
    /// Rights in it.
    pub role: Role,
    /// May act in every tenant.
    pub is_system: bool,
}

impl From<Known> for LinkedDto {
    fn from(known: Known) -> Self {
        let Known { name, tenant_name, tenant_slug, role, is_system } = known;
        Self { who: name, tenant_name, tenant_slug, role, is_system }
    }
}

/// Who is signed in now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignedIn)]
pub struct SignedInDto {
    /// The browser, as it is listed among the keys.
    pub key_id: KeyId,
    /// What it is called there.
    pub name: String,
    /// Address of whoever is signed in, else the name of their key.
    pub who: String,
    /// The key that it was signed in with.
    pub opened_by: Option<KeyId>,
    /// Where it is at home.
    pub tenant_id: TenantId,
    /// What that is called.
    pub tenant_name: String,
    /// Rights in it.
    pub role: Role,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// May act in every tenant.
    pub is_system: bool,
    /// Until then.
    pub expires_at: Option<Timestamp>,
}

impl SignedInDto {
    /// A browser that was signed in, for whom.
    #[must_use]
    pub fn of(signed: &SignedIn, known: Known) -> Self {
        let ApiKey { id, name, opened_by, tenant_id, scopes, expires_at, created_by, .. } =
            signed.key.clone();
        let Known { name: who, tenant_name, tenant_slug: _, role, is_system } = known;
        // A browser of nobody in particular is known by the key that opened it.
        let who = if signed.key.user_id.is_some() { who } else { created_by };
        Self {
            key_id: id,
            name,
            who,
            opened_by: opened_by.map(|opened| opened.key),
            tenant_id,
            tenant_name,
            role,
            scopes: scopes.iter().map(|scope| scope.to_string()).collect(),
            is_system,
            expires_at,
        }
    }
}

/// What signs a browser in, once.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LoginLink)]
pub struct LoginLinkDto {
    /// For `POST /login`; it is not shown again.
    pub token: String,
    /// The page with the token behind it, where browsers send it to nobody: `/login#token=…`.
    pub path: String,
    /// From then on it is refused.
    pub expires_at: Timestamp,
}

impl From<Lent> for LoginLinkDto {
    fn from(lent: Lent) -> Self {
        let Lent { secret, expires_at } = lent;
        Self { path: format!("/login#token={secret}"), token: secret, expires_at }
    }
}

/// What opens one socket.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WsTicket)]
pub struct WsTicketDto {
    /// To be sent as the sub-protocol `ticket.<ticket>`; it is not shown again.
    pub ticket: String,
    /// From then on it is refused.
    pub expires_at: Timestamp,
}

impl From<Lent> for WsTicketDto {
    fn from(lent: Lent) -> Self {
        let Lent { secret, expires_at } = lent;
        Self { ticket: secret, expires_at }
    }
}
