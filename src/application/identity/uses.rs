//! When keys were last used: noted as they are shown, stored once a minute.
//!
//! Precision: whoever asks this server is told to the millisecond. A server that is killed forgets up to
//! a minute of it, and nothing else; one that is stopped stores it first.
//!
//! Invariant: no request waits for a write of this, and every key has one place at the most.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::IdentityService;
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Write};
use crate::application::ports::people::PeopleWrite;
use crate::domain::ids::{KeyId, TenantId};
use crate::domain::time::Timestamp;

/// How often it is stored.
const EVERY: Duration = Duration::from_mins(1);
/// Keys of one commit.
const BATCH: usize = 500;

/// Uses that are not stored yet.
#[derive(Clone, Default)]
pub(super) struct Uses(Arc<Mutex<BTreeMap<(TenantId, KeyId), Timestamp>>>);

impl Uses {
    /// Somebody used a key.
    pub(super) fn note(&self, tenant: TenantId, key: KeyId, now: Timestamp) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = noted.entry((tenant, key)).or_insert(now);
        *known = now.max(*known);
    }

    /// When a key was last used, when that is not stored yet.
    pub(super) fn of(&self, tenant: TenantId, key: KeyId) -> Option<Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&(tenant, key)).copied()
    }

    /// By tenant, in bounded parts.
    fn parts(&self) -> Vec<(TenantId, Vec<(KeyId, Timestamp)>)> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut by_tenant: BTreeMap<TenantId, Vec<(KeyId, Timestamp)>> = BTreeMap::new();
        for ((tenant, key), at) in noted {
            by_tenant.entry(tenant).or_default().push((key, at));
        }
        let parts = |(tenant, uses): (TenantId, Vec<_>)| {
            uses.chunks(BATCH).map(move |part| (tenant, part.to_vec())).collect::<Vec<_>>()
        };
        by_tenant.into_iter().flat_map(parts).collect()
    }

    /// They are stored; whatever was used since stays noted.
    fn stored(&self, tenant: TenantId, uses: &[(KeyId, Timestamp)]) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, at) in uses {
            if noted.get(&(tenant, *key)) == Some(at) {
                noted.remove(&(tenant, *key));
            }
        }
    }
}

impl IdentityService {
    /// When a key was last used.
    ///
    /// # Errors
    /// The store's.
    pub async fn last_used(
        &self,
        tenant: TenantId,
        key: KeyId,
    ) -> Result<Option<Timestamp>, AppError> {
        let stored = self.store.snapshot(tenant).await?.key_used(key).await?;
        Ok(stored.max(self.uses.of(tenant, key)))
    }

    /// Stores what is noted; what cannot be stored stays noted.
    ///
    /// # Errors
    /// The store's.
    pub async fn store_uses(&self) -> Result<(), AppError> {
        for (tenant, uses) in self.uses.parts() {
            let set = uses.iter().fold(ChangeSet::new(tenant), |set, (key, at)| {
                set.write(Write::People(PeopleWrite::KeyUsed(*key, *at)))
            });
            self.store.commit(set).await?;
            self.uses.stored(tenant, &uses);
        }
        Ok(())
    }

    /// Stores it every minute, and once more at the end.
    pub async fn keep_uses(self, stop: CancellationToken) {
        loop {
            let is_over = tokio::select! {
                biased;
                () = stop.cancelled() => true,
                () = self.clock.sleep(EVERY) => false,
            };
            if let Err(error) = self.store_uses().await {
                tracing::debug!(%error, "When keys were used is stored with the next look");
            }
            if is_over {
                return;
            }
        }
    }
}
