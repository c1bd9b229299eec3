//! A look along a chain, entry by entry.

use std::collections::VecDeque;

use serde_json::Value;

use super::checkpoint::{ACTION, SignedCheckpoint, Verify};
use super::{NO_HASH, StoredAudit, link_hash};
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;

/// Hashes that are kept to compare checkpoints with; one is written right behind what it vouches for,
/// or a few entries later.
const KEPT: usize = 1024;

/// An entry in its spelling.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields are those of a stored entry")]
pub struct Spelled<'a> {
    pub tenant_id: TenantId,
    pub seq: u64,
    pub at: Timestamp,
    pub action: &'a str,
    pub after: Option<&'a Value>,
    pub prev_hash: &'a str,
    pub hash: &'a str,
    /// Canonical JSON of the entry without its two hashes.
    pub canonical: &'a str,
}

/// Who vouches, and how far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vouched {
    /// Number of the newest entry that is vouched for.
    pub seq: u64,
    /// The public key of who does.
    pub key: [u8; 32],
}

/// A look along a chain.
#[derive(Debug, Clone)]
pub struct Walk {
    verify: Verify,
    /// Only who has this key is believed; anybody when it is not known.
    trusted: Option<[u8; 32]>,
    /// Number of the first entry, 1 unless the oldest were removed.
    first: u64,
    /// Number of the entry that comes next.
    next: u64,
    /// What it has to name as the hash before.
    prev_hash: String,
    /// The newest numbers with their hashes.
    recent: VecDeque<(u64, String)>,
    vouched: Option<Vouched>,
}

impl Walk {
    /// From the first entry on.
    #[must_use]
    pub fn new(verify: Verify, trusted: Option<[u8; 32]>) -> Self {
        let (prev_hash, recent) = (NO_HASH.to_owned(), VecDeque::new());
        Self { verify, trusted, first: 1, next: 1, prev_hash, recent, vouched: None }
    }

    /// Takes one more entry.
    ///
    /// # Errors
    /// The number that should have stood here and did not, or not as it was written.
    pub fn step(&mut self, stored: &StoredAudit) -> Result<(), u64> {
        let StoredAudit { place, entry, prev_hash, hash } = stored;
        self.take(Spelled {
            tenant_id: place.tenant_id,
            seq: place.seq,
            at: entry.at,
            action: &entry.action,
            after: entry.after.as_ref(),
            prev_hash,
            hash,
            canonical: &entry.canonical(*place),
        })
    }

    /// The same for an entry in its spelling.
    ///
    /// # Errors
    /// As `step`.
    pub fn take(&mut self, entry: Spelled<'_>) -> Result<(), u64> {
        let signed = match entry.action {
            ACTION => Some(self.signed(entry)),
            _ => None,
        };
        if let Some(Some(signed)) = &signed
            && self.entries() == 0
        {
            self.begin_behind(signed, entry);
        }
        let is_next = entry.seq == self.next && entry.prev_hash == self.prev_hash;
        if !is_next || entry.hash != link_hash(entry.prev_hash, entry.canonical) {
            return Err(self.next);
        }
        match signed {
            Some(Some(signed)) => self.compare(&signed)?,
            // Nobody but a server writes such an entry, and none writes it so.
            Some(None) => return Err(self.next),
            None => {}
        }
        entry.hash.clone_into(&mut self.prev_hash);
        self.recent.push_back((self.next, self.prev_hash.clone()));
        if self.recent.len() > KEPT {
            self.recent.pop_front();
        }
        self.next += 1;
        Ok(())
    }

    /// The checkpoint of an entry that has to be one.
    fn signed(&self, entry: Spelled<'_>) -> Option<SignedCheckpoint> {
        let signed = SignedCheckpoint::read(entry.tenant_id, entry.at, entry.after?)?;
        let is_before = signed.checkpoint.seq < entry.seq;
        (is_before && signed.is_genuine(self.verify)).then_some(signed)
    }

    /// A chain whose oldest part was removed begins with who vouches for that part.
    fn begin_behind(&mut self, signed: &SignedCheckpoint, entry: Spelled<'_>) {
        let removed = &signed.checkpoint;
        let is_adjacent = removed.seq + 1 == entry.seq && removed.hash == entry.prev_hash;
        if is_adjacent && self.believes(signed) {
            (self.first, self.next) = (entry.seq, entry.seq);
            entry.prev_hash.clone_into(&mut self.prev_hash);
            self.recent.push_back((removed.seq, removed.hash.clone()));
        }
    }

    fn believes(&self, signed: &SignedCheckpoint) -> bool {
        self.trusted.is_none_or(|trusted| trusted == signed.key)
    }

    /// Whether the chain is the one that was vouched for.
    fn compare(&mut self, signed: &SignedCheckpoint) -> Result<(), u64> {
        let seq = signed.checkpoint.seq;
        let Some((_, hash)) = self.recent.iter().rev().find(|(number, _)| *number == seq) else {
            return Ok(());
        };
        if *hash != signed.checkpoint.hash {
            return Err(self.vouched.map_or(self.first, |vouched| vouched.seq + 1));
        }
        if self.believes(signed) {
            self.vouched = Some(Vouched { seq, key: signed.key });
        }
        Ok(())
    }

    /// Number of the first entry.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// Number of the last entry so far.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.next - 1
    }

    /// Entries so far.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.next - self.first
    }

    /// Hash of the newest one.
    #[must_use]
    pub fn head(&self) -> &str {
        &self.prev_hash
    }

    /// Who vouches, and how far.
    #[must_use]
    pub const fn vouched(&self) -> Option<Vouched> {
        self.vouched
    }
}

#[cfg(test)]
mod tests;
