//! People in the store in memory.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;

use super::data::{TenantData, versioned};
use super::snapshot::{MemorySnapshot, owned};
use crate::application::ports::people::{PeopleReads, PeopleWrite};
use crate::application::ports::store::{CommitError, StoreError};
use crate::domain::ids::{KeyId, UserId};
use crate::domain::tenant::key::{ApiKey, KeyKind};
use crate::domain::tenant::user::{ProviderIdentity, User, folded};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};
use crate::infrastructure::storage::shared;

/// Everybody of one tenant.
#[derive(Clone, Default)]
pub(super) struct People {
    pub(super) users: BTreeMap<UserId, Arc<Versioned<User>>>,
    uses: BTreeMap<KeyId, Timestamp>,
}

impl People {
    fn by_email(&self, email: &str) -> Option<UserId> {
        let mut all = self.users.values().map(|found| &found.value);
        all.find(|user| user.folded_email() == folded(email)).map(|user| user.id)
    }

    fn by_identity(&self, identity: &ProviderIdentity) -> Option<UserId> {
        let mut all = self.users.values().map(|found| &found.value);
        all.find(|user| user.identity.as_ref() == Some(identity)).map(|user| user.id)
    }

    /// Whether a write finds what it expects.
    pub(super) fn expect(&self, write: &PeopleWrite) -> Result<(), CommitError> {
        let version = |id: &UserId| self.users.get(id).map(|found| found.version);
        match write {
            PeopleWrite::User(put) => {
                shared::next_version(version(&put.value.id), put.expect)?;
                let known = put.value.identity.as_ref();
                let holders =
                    [self.by_email(&put.value.email), known.and_then(|it| self.by_identity(it))];
                if holders.into_iter().flatten().any(|holder| holder != put.value.id) {
                    return Err(CommitError::Refused);
                }
                Ok(())
            }
            PeopleWrite::RemoveUser(expected, id) => {
                if version(id) == Some(*expected) {
                    Ok(())
                } else {
                    Err(CommitError::Stale)
                }
            }
            PeopleWrite::KeyUsed(..) => Ok(()),
        }
    }

    /// Makes a write true.
    pub(super) fn apply(&mut self, write: PeopleWrite) {
        match write {
            PeopleWrite::User(put) => {
                self.users.insert(put.value.id, Arc::new(versioned(put)));
            }
            PeopleWrite::RemoveUser(_, id) => {
                self.users.remove(&id);
            }
            PeopleWrite::KeyUsed(id, at) => {
                let known = self.uses.entry(id).or_insert(at);
                *known = at.max(*known);
            }
        }
    }

    /// Whether somebody is there as they were read.
    pub(super) fn is_at(&self, id: UserId, version: Version) -> bool {
        self.users.get(&id).is_some_and(|found| found.version == version)
    }
}

impl TenantData {
    /// Keys of somebody that are not revoked.
    fn held_by(&self, user: UserId) -> impl Iterator<Item = &Arc<Versioned<ApiKey>>> {
        self.api_keys.values().filter(move |found| {
            let ApiKey { kind, user_id, revoked_at, .. } = &found.value;
            *kind != KeyKind::Invite && *user_id == Some(user) && revoked_at.is_none()
        })
    }

    /// Whether somebody has none but these keys.
    pub(super) fn has_no_other_keys(&self, user: UserId, known: &[KeyId]) -> bool {
        self.held_by(user).all(|found| known.contains(&found.value.id))
    }

    /// Whether an address has no open invitations but these.
    pub(super) fn has_no_other_invites(&self, email: &str, known: &[KeyId]) -> bool {
        let mut open = self.api_keys.values().map(|found| &found.value).filter(|key| {
            key.revoked_at.is_none() && key.invited.as_ref().is_some_and(|it| it.is_for(email))
        });
        open.all(|key| known.contains(&key.id))
    }
}

#[async_trait]
impl PeopleReads for MemorySnapshot {
    async fn user(&self, id: UserId) -> Result<Option<Versioned<User>>, StoreError> {
        Ok(owned(self.0.people.users.get(&id)))
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<UserId>, StoreError> {
        Ok(self.0.people.by_email(email))
    }

    async fn user_by_identity(
        &self,
        identity: &ProviderIdentity,
    ) -> Result<Option<UserId>, StoreError> {
        Ok(self.0.people.by_identity(identity))
    }

    async fn users(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Versioned<User>>, StoreError> {
        let low = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.0.people.users.range((low, Bound::Unbounded));
        Ok(behind.take(limit).map(|(_, found)| found.as_ref().clone()).collect())
    }

    async fn keys_of(&self, user: UserId) -> Result<Vec<Versioned<ApiKey>>, StoreError> {
        Ok(self.0.held_by(user).map(|found| found.as_ref().clone()).collect())
    }

    async fn invites(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Versioned<ApiKey>>, StoreError> {
        let low = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.0.api_keys.range((low, Bound::Unbounded)).map(|(_, found)| found);
        let is_open = |found: &&Arc<Versioned<ApiKey>>| {
            found.value.kind == KeyKind::Invite && found.value.revoked_at.is_none()
        };
        Ok(behind.filter(is_open).take(limit).map(|found| found.as_ref().clone()).collect())
    }

    async fn key_used(&self, id: KeyId) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.0.people.uses.get(&id).copied())
    }
}
