//! API keys: what a caller shows, and what is kept of it.
//!
//! Invariant: the secret is never stored; only its SHA-256 is.

use crate::closed_enum;
use crate::domain::ids::{KeyId, TenantId};
use crate::domain::time::Timestamp;

closed_enum!(
    /// Levels of rights; a later member includes the earlier ones.
    Role {
        Viewer = "viewer",
        Member = "member",
        Lead = "lead",
        Admin = "admin",
    }
);

/// What is kept of an API key.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    /// Its identity.
    pub id: KeyId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// For people, 1–100 characters.
    pub name: String,
    /// First twelve characters of the secret, by which people recognise it.
    pub prefix: String,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// Its rights.
    pub role: Role,
    /// May act in every tenant, and must then name one.
    pub is_system: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// From then on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Since then it is refused.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether it is accepted at `now`.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}
