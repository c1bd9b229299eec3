//! Removing the oldest part of a chain, as far as a signature of this server vouches for it.
//!
//! The checkpoint that vouches for the newest removed entry stays, and is the anchor of what is left:
//! it names the number and the hash that the chain then begins behind.
//!
//! Invariant: only what was just found to be as it was written is removed; a chain that breaks keeps
//! everything from there on, and can be looked into.
//! Invariant: each commit leaves a chain that verifies, so that it does not matter where it is cut off.

use super::{AuditService, PAGE};
use crate::application::error::AppError;
use crate::application::ports::store::{Outdated, StoreError};
use crate::domain::audit::walk::Walk;
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;

/// A look along the old part of a chain.
enum Look {
    /// There may be more behind.
    GoesOn,
    /// The first entry that is kept was seen, or the end.
    Ended,
    /// This entry is not as it was written, or cannot be read.
    Broken(u64),
}

impl AuditService {
    /// Removes one batch of entries that were written before a time: as soon as `batch` of them or
    /// more end at an entry that is vouched for, else all of them up to such an entry; how many.
    ///
    /// # Errors
    /// The store's.
    pub async fn retire(
        &self,
        tenant: TenantId,
        before: Timestamp,
        batch: usize,
    ) -> Result<usize, AppError> {
        let mut walk = Walk::new(self.signer.verifier(), Some(self.signer.key()));
        loop {
            let look = self.look(tenant, before, &mut walk).await?;
            if let Look::Broken(seq) = look {
                tracing::error!(tenant.id = %tenant, seq, "The audit of tenant {tenant} breaks at entry {seq}; what is old is kept from there on");
            }
            let ready = up_to(&walk).map_or(0, |seq| seq + 1 - walk.first());
            let is_enough = usize::try_from(ready).unwrap_or(usize::MAX) >= batch;
            if is_enough || !matches!(look, Look::GoesOn) {
                return match up_to(&walk) {
                    Some(seq) => {
                        Ok(self.store.remove_outdated(Outdated::Audit(tenant, seq), batch).await?)
                    }
                    None => Ok(0),
                };
            }
        }
    }

    /// Takes the next page of what is old.
    async fn look(
        &self,
        tenant: TenantId,
        before: Timestamp,
        walk: &mut Walk,
    ) -> Result<Look, AppError> {
        let snapshot = self.store.snapshot(tenant).await?;
        let (page, is_last) = match snapshot.audit(walk.last(), PAGE).await {
            Ok(page) => {
                let is_last = page.len() < PAGE;
                (page, is_last)
            }
            // Which of them it is, is found one by one.
            Err(StoreError::Quarantined) => match snapshot.audit(walk.last(), 1).await {
                Ok(one) => (one, false),
                Err(StoreError::Quarantined) => return Ok(Look::Broken(walk.last() + 1)),
                Err(error) => return Err(error.into()),
            },
            Err(error) => return Err(error.into()),
        };
        for entry in &page {
            if entry.entry.at >= before {
                return Ok(Look::Ended);
            }
            if let Err(seq) = walk.step(entry) {
                return Ok(Look::Broken(seq));
            }
        }
        Ok(if is_last { Look::Ended } else { Look::GoesOn })
    }
}

/// The newest entry that is vouched for, if there is one to remove.
fn up_to(walk: &Walk) -> Option<u64> {
    let vouched = walk.vouched()?;
    (vouched.seq >= walk.first() && walk.end().is_none()).then_some(vouched.seq)
}

#[cfg(test)]
mod tests;
