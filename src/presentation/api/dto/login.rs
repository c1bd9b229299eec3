//! Signing in, on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use crate::application::identity::browsers::{Lent, Proof, SignedIn};
use crate::domain::ids::{KeyId, TenantId};
use crate::domain::tenant::key::{ApiKey, Role};
use crate::domain::time::Timestamp;
use crate::presentation::api::fields::{Fields, FromFields};

/// What somebody signs in with: one of both.
#[derive(Debug, ToSchema)]
#[schema(as = Login, example = json!({ "token": "iol_4Rk2c0…" }))]
pub struct LoginBody {
    /// From a login link; it is good once, for ten minutes.
    pub token: Option<String>,
    /// An API key.
    pub key: Option<String>,
}

/// The body of `POST /login`, read.
pub struct Login(pub Option<Proof>);

impl FromFields for Login {
    fn read(fields: &mut Fields) -> Self {
        let proof = match (fields.text("token"), fields.text("key")) {
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

/// Who is signed in now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignedIn)]
pub struct SignedInDto {
    /// The browser, as it is listed among the keys.
    pub key_id: KeyId,
    /// What it is called there.
    pub name: String,
    /// The key that it was signed in with.
    pub opened_by: Option<KeyId>,
    /// Where it is at home.
    pub tenant_id: TenantId,
    /// Rights in it.
    pub role: Role,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// May act in every tenant.
    pub is_system: bool,
    /// Until then.
    pub expires_at: Option<Timestamp>,
}

impl From<&SignedIn> for SignedInDto {
    fn from(signed: &SignedIn) -> Self {
        let ApiKey { id, name, opened_by, tenant_id, role, scopes, is_system, expires_at, .. } =
            signed.key.clone();
        Self {
            key_id: id,
            name,
            opened_by,
            tenant_id,
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
