//! What the store keeps of people, and of who uses which key.

use async_trait::async_trait;
use uuid::Uuid;

use super::changes::Put;
use super::store::StoreError;
use crate::domain::ids::{KeyId, TenantId, UserId};
use crate::domain::tenant::key::ApiKey;
use crate::domain::tenant::user::{ProviderIdentity, User};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

/// One write about people.
#[derive(Debug, Clone, PartialEq)]
pub enum PeopleWrite {
    /// Somebody; refused while somebody else has the e-mail address, or is known to an identity
    /// provider by the same name.
    User(Put<User>),
    /// Somebody goes for good.
    RemoveUser(Version, UserId),
    /// A key was used then. Later times win, whatever comes first.
    KeyUsed(KeyId, Timestamp),
}

impl PeopleWrite {
    /// The tenant that the value names; `None` when it names none.
    #[must_use]
    pub const fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::User(put) => Some(put.value.tenant_id),
            Self::RemoveUser(..) | Self::KeyUsed(..) => None,
        }
    }

    /// The record that it writes: one change set writes each once.
    #[must_use]
    pub const fn record(&self) -> (u8, Uuid) {
        match self {
            Self::User(put) => (0, put.value.id.uuid()),
            Self::RemoveUser(_, id) => (0, id.uuid()),
            Self::KeyUsed(id, _) => (1, id.uuid()),
        }
    }
}

/// People and their keys.
#[async_trait]
pub trait PeopleReads: Send + Sync {
    /// Somebody.
    async fn user(&self, id: UserId) -> Result<Option<Versioned<User>>, StoreError>;
    /// Whose e-mail address this is, however it is capitalised.
    async fn user_by_email(&self, email: &str) -> Result<Option<UserId>, StoreError>;
    /// Who this is to an identity provider.
    async fn user_by_identity(
        &self,
        identity: &ProviderIdentity,
    ) -> Result<Option<UserId>, StoreError>;
    /// People in order of their coming behind `after`, at most `limit`.
    async fn users(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Versioned<User>>, StoreError>;
    /// The keys of somebody that are not revoked, of every kind but invitations.
    async fn keys_of(&self, user: UserId) -> Result<Vec<Versioned<ApiKey>>, StoreError>;
    /// Invitations that are neither accepted nor withdrawn, behind `after`, at most `limit`.
    async fn invites(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Versioned<ApiKey>>, StoreError>;
    /// When a key was last used, as far as that was noted.
    async fn key_used(&self, id: KeyId) -> Result<Option<Timestamp>, StoreError>;
}
