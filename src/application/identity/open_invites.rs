//! The open invitations of an address: they end in the commit that decides about whoever has it.
//!
//! Invariant: whoever is let in, changed for the worse or sent away leaves no invitation open, however
//! many were made at the same time.

use super::keys;
use crate::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Write,
};
use crate::application::ports::reads::Snapshot;
use crate::application::ports::store::StoreError;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::KeyId;
use crate::domain::tenant::key::ApiKey;
use crate::domain::tenant::user::folded;
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;

/// Invitations that are looked through at once.
const PAGE: usize = 200;

/// The invitations of an address that are neither accepted nor withdrawn.
pub(super) struct OpenInvites {
    email: String,
    found: Vec<Versioned<ApiKey>>,
}

impl OpenInvites {
    /// As they are now.
    pub(super) async fn of(snapshot: &dyn Snapshot, email: &str) -> Result<Self, StoreError> {
        let is_theirs = |key: &Versioned<ApiKey>| {
            key.value.invited.as_ref().is_some_and(|invited| invited.is_for(email))
        };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = snapshot.invites(after, PAGE).await?;
            after = page.last().filter(|_| page.len() == PAGE).map(|last| last.value.id);
            found.extend(page.into_iter().filter(is_theirs));
            if after.is_none() {
                return Ok(Self { email: folded(email), found });
            }
        }
    }

    /// The change set with the end of all of them, but of the one that it spends itself. It is refused
    /// when others were made meanwhile.
    pub(super) fn end(self, set: ChangeSet, spent: Option<KeyId>, now: Timestamp) -> ChangeSet {
        let known = self.found.iter().map(|invite| invite.value.id).collect();
        let mut set = set.guard(Guard::NoOtherInvites { email: self.email, known });
        for open in self.found.into_iter().filter(|open| Some(open.value.id) != spent) {
            let value = ApiKey { revoked_at: Some(now), ..open.value };
            let put = Put { expect: Expect::At(open.version), value };
            set = set
                .events([revoked(&put.value, now)])
                .count(Counter::ApiKeys, CounterChange::Add(-1))
                .write(Write::ApiKey(put));
        }
        set
    }
}

/// What is told of an invitation that opens nothing from now on.
pub(super) fn revoked(invite: &ApiKey, now: Timestamp) -> DomainEvent {
    let subject = Subject { kind: SubjectKind::Key, id: invite.id.uuid() };
    DomainEvent::new(EventType::TenantKeyRevoked, subject, now, keys::news(invite))
}
