//! The first key of a server: that of its administrator, made from a secret that only its owner keeps.
//!
//! Invariant: a server is started with one secret at a time. Another one takes the place of the one
//! before at once, so that replacing a secret that came out is all that has to be done.

use std::time::Duration;

use super::{IdentityService, keys};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Counter, CounterChange, Expect, Put, Write};
use crate::application::ports::store::CommitError;
use crate::application::session::MAX_COMMIT_ATTEMPTS;
use crate::domain::audit::{Actor, AuditEntry};
use crate::domain::canonical::sha256;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::{KeyId, TenantId};
use crate::domain::tenant::key::{ApiKey, KeyKind, KeySecret, Role, prefix};
use crate::domain::tenant::network::Networks;
use crate::domain::tenant::scope::Scopes;
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;

/// Who makes the key, as its record says.
const MAKER: &str = "orchestrator";
/// Keys that are read at once.
const PAGE: usize = 500;

/// What became of a secret that a server is started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    /// It was known; nothing was changed.
    Known,
    /// The key was made.
    Made,
    /// It took the place of the secret before, which is not accepted any more.
    Replaced,
}

impl IdentityService {
    /// Lets the administrator in with a secret. One that is known already changes nothing, be it
    /// accepted or not: what was revoked does not come back by a restart.
    ///
    /// # Errors
    /// The store's.
    pub async fn admit_administrator(&self, secret: &str) -> Result<Admitted, AppError> {
        let hash = sha256(secret.as_bytes());
        for _ in 0..MAX_COMMIT_ATTEMPTS {
            if self.store.fleet().await?.api_key(hash).await?.is_some() {
                return Ok(Admitted::Known);
            }
            let now = self.clock.now();
            let before = self.administrator(now).await?;
            let mut set = ChangeSet::new(TenantId::BOOTSTRAP);
            let (key, expect, (action, event, became)) = if let Some(found) = &before {
                let mut key = found.value.clone();
                key.rotate(secret, hash, now, Duration::ZERO);
                let words = ("rotate_key", EventType::TenantKeyRotated, Admitted::Replaced);
                (key, Expect::At(found.version), words)
            } else {
                set = set.count(Counter::ApiKeys, CounterChange::Add(1));
                let words = ("create_key", EventType::TenantKeyCreated, Admitted::Made);
                (self.new_administrator(secret, hash, now), Expect::Absent, words)
            };
            let subject = Subject { kind: SubjectKind::Key, id: key.id.uuid() };
            let audit = AuditEntry {
                at: now,
                actor: Actor::plain("system", MAKER),
                action: action.to_owned(),
                subject,
                ok: true,
                reason: Some("the secret that the server was started with".to_owned()),
                before: before.map(|found| keys::facts(&found.value)),
                after: Some(keys::facts(&key)),
                request_id: None,
            };
            let set = set
                .events([DomainEvent::new(event, subject, now, keys::news(&key))])
                .write(Write::ApiKey(Put { expect, value: key }))
                .audit(Some(audit));
            match self.store.commit(set).await {
                Ok(_) => return Ok(became),
                Err(CommitError::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Contended)
    }

    /// The key that was made from the secret of an earlier start, while it is accepted.
    async fn administrator(&self, now: Timestamp) -> Result<Option<Versioned<ApiKey>>, AppError> {
        let snapshot = self.store.snapshot(TenantId::BOOTSTRAP).await?;
        let is_it =
            |key: &ApiKey| key.is_system && key.created_by == MAKER && key.ended_at(now).is_none();
        let mut after = None;
        loop {
            let page = snapshot.api_keys(after, PAGE).await?;
            after = page.last().map(|found| found.value.id);
            let is_last = page.len() < PAGE;
            let found = page.into_iter().find(|found| is_it(&found.value));
            if found.is_some() || is_last {
                return Ok(found);
            }
        }
    }

    fn new_administrator(&self, secret: &str, hash: [u8; 32], now: Timestamp) -> ApiKey {
        ApiKey {
            id: KeyId::new(self.ids.uuid()),
            tenant_id: TenantId::BOOTSTRAP,
            kind: KeyKind::Key,
            user_id: None,
            opened_by: None,
            name: "administrator".to_owned(),
            prefix: prefix(secret),
            secrets: vec![KeySecret { hash, expires_at: None }],
            role: Role::Admin,
            follows: false,
            scopes: Scopes::all(),
            is_system: true,
            networks: Networks::default(),
            invited: None,
            created_by: MAKER.to_owned(),
            created_at: now,
            expires_at: None,
            revoked_at: None,
        }
    }
}
