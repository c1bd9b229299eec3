//! People in the embedded store: by id and by e-mail address, their keys, and when those were used.
//!
//! Invariant: a key stands under its holder while it is not revoked, an invitation under nobody.

use async_trait::async_trait;

use super::keys::{self, Key, Span};
use super::plan::Planner;
use super::records::{Number, Reference};
use super::rows::{Rows, View};
use super::snapshot::RedbSnapshot;
use super::tables::Table;
use crate::application::ports::changes::Put;
use crate::application::ports::people::{PeopleReads, PeopleWrite};
use crate::application::ports::store::{CommitError, StoreError};
use crate::domain::ids::{KeyId, TenantId, UserId};
use crate::domain::tenant::key::{ApiKey, KeyKind};
use crate::domain::tenant::user::{ProviderIdentity, User, folded};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

impl<R: Rows> Planner<'_, R> {
    /// The plan of one write about people.
    pub(super) fn put_people(&mut self, write: PeopleWrite) -> Result<(), CommitError> {
        match write {
            PeopleWrite::User(put) => self.put_user(put),
            PeopleWrite::RemoveUser(version, id) => self.remove_user(version, id),
            PeopleWrite::KeyUsed(id, at) => self.note_use(id, at),
        }
    }

    fn put_user(&mut self, put: Put<User>) -> Result<(), CommitError> {
        let (old, now) = self.put(Table::Users, keys::user(self.tenant, put.value.id), put)?;
        let email = |user: &User| Some(keys::user_email(self.tenant, &user.folded_email()));
        let identity = |user: &User| {
            user.identity.as_ref().map(|identity| keys::user_identity(self.tenant, identity))
        };
        let emails = (old.as_ref().and_then(email), email(&now));
        let identities = (old.as_ref().and_then(identity), identity(&now));
        self.lead_to(Table::UsersByEmail, now.id, emails)?;
        self.lead_to(Table::UsersByIdentity, now.id, identities)
    }

    /// Makes the key lead to somebody that did so before, or a new one; refused while it leads to
    /// somebody else.
    fn lead_to(
        &mut self,
        table: Table,
        id: UserId,
        (before, after): (Option<Key>, Option<Key>),
    ) -> Result<(), CommitError> {
        let own = Reference(*id.as_bytes());
        if let Some(key) = &after {
            match self.rows.record::<Reference>(table, key)? {
                Some(holder) if holder != own => return Err(CommitError::Refused),
                Some(_) => {}
                None => self.plan.insert(table, key.clone(), &own)?,
            }
        }
        if let Some(before) = before.filter(|before| after.as_ref() != Some(before)) {
            self.plan.remove(table, before);
        }
        Ok(())
    }

    fn remove_user(&mut self, version: Version, id: UserId) -> Result<(), CommitError> {
        let found = self.user(id)?.filter(|found| found.version == version);
        let user = found.ok_or(CommitError::Stale)?.value;
        self.plan.remove(Table::UsersByEmail, keys::user_email(self.tenant, &user.folded_email()));
        if let Some(identity) = &user.identity {
            let key = keys::user_identity(self.tenant, identity);
            self.plan.remove(Table::UsersByIdentity, key);
        }
        self.plan.remove(Table::Users, keys::user(self.tenant, id));
        Ok(())
    }

    fn note_use(&mut self, id: KeyId, at: Timestamp) -> Result<(), CommitError> {
        let key = keys::api_key(self.tenant, id);
        let known = match self.rows.record::<Number>(Table::KeyUses, &key) {
            Ok(known) => known.map_or(i64::MIN, |Number(millis)| millis),
            // The next time that is noted takes its place.
            Err(StoreError::Quarantined) => i64::MIN,
            Err(other) => return Err(other.into()),
        };
        if known < at.millis() {
            self.plan.insert(Table::KeyUses, key, &Number(at.millis()))?;
        }
        Ok(())
    }

    fn user(&self, id: UserId) -> Result<Option<Versioned<User>>, StoreError> {
        self.rows.record(Table::Users, &keys::user(self.tenant, id))
    }

    /// Whether somebody is there as they were read.
    pub(super) fn user_is_at(&self, id: UserId, version: Version) -> Result<bool, StoreError> {
        Ok(self.user(id)?.is_some_and(|found| found.version == version))
    }

    /// Whether somebody has none but these keys.
    pub(super) fn has_no_other_keys(
        &self,
        user: UserId,
        known: &[KeyId],
    ) -> Result<bool, StoreError> {
        let span = keys::held_keys(self.tenant, Some(user));
        let held = self.rows.keys(Table::KeysByHolder, &span, usize::MAX)?;
        for id in held.iter().filter_map(|key| keys::tail_id(key)).map(KeyId::from_bytes) {
            let key = keys::api_key(self.tenant, id);
            if !known.contains(&id) && self.rows.bytes(Table::ApiKeys, &key)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether an address has no open invitations but these. There are no more of them than a tenant may
    /// have keys, and whoever asks is about to change people.
    pub(super) fn has_no_other_invites(
        &self,
        email: &str,
        known: &[KeyId],
    ) -> Result<bool, StoreError> {
        let span = keys::held_keys(self.tenant, None);
        let held = self.rows.keys(Table::KeysByHolder, &span, usize::MAX)?;
        for id in held.iter().filter_map(|key| keys::tail_id(key)).map(KeyId::from_bytes) {
            if known.contains(&id) {
                continue;
            }
            let key = keys::api_key(self.tenant, id);
            let found: Option<Versioned<ApiKey>> = match self.rows.record(Table::ApiKeys, &key) {
                Ok(found) => found,
                // What cannot be read opens nothing.
                Err(StoreError::Quarantined) => None,
                Err(other) => return Err(other),
            };
            let invited = found.as_ref().and_then(|found| found.value.invited.as_ref());
            if invited.is_some_and(|invited| invited.is_for(email)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Moves a key to where its holder's keys are found.
    pub(super) fn index_holder(&mut self, old: Option<&ApiKey>, now: &ApiKey) {
        let (before, after) = (old.and_then(holder), holder(now));
        if before == after {
            return;
        }
        if let Some(key) = before {
            self.plan.remove(Table::KeysByHolder, key);
        }
        if let Some(key) = after {
            self.plan.mark(Table::KeysByHolder, key);
        }
    }
}

/// Where a key is found by its holder; nowhere once it is revoked, or when nobody holds it.
pub(super) fn holder(key: &ApiKey) -> Option<Key> {
    let ApiKey { id, tenant_id, kind, user_id, revoked_at, .. } = key;
    if revoked_at.is_some() {
        return None;
    }
    match (kind, user_id) {
        (KeyKind::Invite, _) => Some(keys::held_key(*tenant_id, None, *id)),
        (KeyKind::Key | KeyKind::Browser, Some(user)) => {
            Some(keys::held_key(*tenant_id, Some(*user), *id))
        }
        (KeyKind::Key | KeyKind::Browser, None) | (KeyKind::Enrolment | KeyKind::Agent, _) => None,
    }
}

/// The keys that an index names; what is damaged or gone is left out.
fn held(
    view: &View<'_>,
    tenant: TenantId,
    span: &Span,
    limit: usize,
) -> Result<Vec<Versioned<ApiKey>>, StoreError> {
    let mut found = Vec::new();
    for key in view.keys(Table::KeysByHolder, span, limit)? {
        let Some(id) = keys::tail_id(&key).map(KeyId::from_bytes) else { continue };
        match view.record(Table::ApiKeys, &keys::api_key(tenant, id)) {
            Ok(key) => found.extend(key),
            Err(StoreError::Quarantined) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(found)
}

#[async_trait]
impl PeopleReads for RedbSnapshot {
    async fn user(&self, id: UserId) -> Result<Option<Versioned<User>>, StoreError> {
        let key = keys::user(self.tenant, id);
        self.reader.read(|view| view.record(Table::Users, &key))
    }

    async fn user_by_email(&self, email: &str) -> Result<Option<UserId>, StoreError> {
        let key = keys::user_email(self.tenant, &folded(email));
        let found = self.reader.read(|view| view.record(Table::UsersByEmail, &key))?;
        Ok(found.map(|Reference(id)| UserId::from_bytes(id)))
    }

    async fn user_by_identity(
        &self,
        identity: &ProviderIdentity,
    ) -> Result<Option<UserId>, StoreError> {
        let key = keys::user_identity(self.tenant, identity);
        let found = self.reader.read(|view| view.record(Table::UsersByIdentity, &key))?;
        Ok(found.map(|Reference(id)| UserId::from_bytes(id)))
    }

    async fn users(
        &self,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<Versioned<User>>, StoreError> {
        let all = keys::users(self.tenant);
        let span = match after {
            Some(id) => all.above(keys::user(self.tenant, id)),
            None => all,
        };
        self.range(move |view| view.records(Table::Users, &span, limit)).await
    }

    async fn keys_of(&self, user: UserId) -> Result<Vec<Versioned<ApiKey>>, StoreError> {
        let (tenant, span) = (self.tenant, keys::held_keys(self.tenant, Some(user)));
        self.range(move |view| held(view, tenant, &span, usize::MAX)).await
    }

    async fn invites(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Versioned<ApiKey>>, StoreError> {
        let tenant = self.tenant;
        let all = keys::held_keys(tenant, None);
        let span = match after {
            Some(id) => all.above(keys::held_key(tenant, None, id)),
            None => all,
        };
        self.range(move |view| held(view, tenant, &span, limit)).await
    }

    async fn key_used(&self, id: KeyId) -> Result<Option<Timestamp>, StoreError> {
        let key = keys::api_key(self.tenant, id);
        match self.reader.read(|view| view.record(Table::KeyUses, &key)) {
            Ok(found) => Ok(found.map(|Number(millis)| Timestamp::from_millis(millis))),
            Err(StoreError::Quarantined) => Ok(None),
            Err(other) => Err(other),
        }
    }
}
