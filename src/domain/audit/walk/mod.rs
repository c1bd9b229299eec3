//! A look along a chain, entry by entry.
//!
//! Invariant: a chain whose oldest part was removed begins behind an entry that a checkpoint among the
//! next ones vouches for; one that begins anywhere else is no chain.

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
    /// Who vouches for the part that was removed, once that is known.
    founder: Option<[u8; 32]>,
}

impl Walk {
    /// From the first entry on.
    #[must_use]
    pub fn new(verify: Verify, trusted: Option<[u8; 32]>) -> Self {
        let (prev_hash, recent) = (NO_HASH.to_owned(), VecDeque::new());
        Self { verify, trusted, first: 1, next: 1, prev_hash, recent, vouched: None, founder: None }
    }

    /// Takes one more entry.
    ///
    /// # Errors
    /// The number that should have stood here and did not, or not as it was written; 1 as long as
    /// nobody vouches for what is gone.
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
        if self.recent.is_empty() && (2..u64::MAX).contains(&entry.seq) {
            self.begin_at(entry);
        }
        let is_next = entry.seq == self.next && entry.prev_hash == self.prev_hash;
        if !is_next || entry.hash != link_hash(entry.prev_hash, entry.canonical) {
            return Err(self.bad(self.next));
        }
        match signed {
            Some(Some(signed)) => self.compare(&signed)?,
            // Nobody but a server writes such an entry, and none writes it so.
            Some(None) => return Err(self.bad(self.next)),
            None => {}
        }
        entry.hash.clone_into(&mut self.prev_hash);
        self.recent.push_back((self.next, self.prev_hash.clone()));
        self.next += 1;
        if self.recent.len() > KEPT {
            self.recent.pop_front();
            // No checkpoint of a server speaks of what is so far away.
            if self.first > 1 && self.founder.is_none() {
                return Err(self.bad(self.first));
            }
        }
        Ok(())
    }

    /// What is left to say at the end: 1 when nobody vouches for what is gone.
    ///
    /// Somebody else's word for it is enough once the one who is trusted vouched for the chain as it
    /// was then: so it is with a chain that came from another server.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        let is_vouched = self.vouched.is_some();
        let is_founded = self.founder.is_some_and(|key| is_vouched || self.trusts(&key));
        (self.first > 1 && !is_founded).then_some(1)
    }

    /// The checkpoint of an entry that has to be one.
    fn signed(&self, entry: Spelled<'_>) -> Option<SignedCheckpoint> {
        let signed = SignedCheckpoint::read(entry.tenant_id, entry.at, entry.after?)?;
        let is_before = signed.checkpoint.seq < entry.seq;
        (is_before && signed.is_genuine(self.verify)).then_some(signed)
    }

    /// A chain whose oldest part was removed; who vouches for that part comes soon.
    fn begin_at(&mut self, entry: Spelled<'_>) {
        (self.first, self.next) = (entry.seq, entry.seq);
        entry.prev_hash.clone_into(&mut self.prev_hash);
        self.recent.push_back((entry.seq - 1, self.prev_hash.clone()));
    }

    /// The number that is bad: the first of all while it is not known whether the beginning is one.
    const fn bad(&self, number: u64) -> u64 {
        if self.first > 1 && self.founder.is_none() { 1 } else { number }
    }

    fn trusts(&self, key: &[u8; 32]) -> bool {
        self.trusted.is_none_or(|trusted| trusted == *key)
    }

    /// Whether the chain is the one that was vouched for.
    fn compare(&mut self, signed: &SignedCheckpoint) -> Result<(), u64> {
        let seq = signed.checkpoint.seq;
        let Some((_, hash)) = self.recent.iter().rev().find(|(number, _)| *number == seq) else {
            return Ok(());
        };
        if *hash != signed.checkpoint.hash {
            let after = self.vouched.map_or(self.first, |vouched| vouched.seq + 1);
            return Err(self.bad(after));
        }
        let is_trusted = self.trusts(&signed.key);
        if seq + 1 == self.first && (is_trusted || self.founder.is_none()) {
            self.founder = Some(signed.key);
        }
        if is_trusted && self.vouched.is_none_or(|known| known.seq < seq) {
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

    /// Who vouches for the part that was removed.
    #[must_use]
    pub const fn founder(&self) -> Option<[u8; 32]> {
        self.founder
    }

    /// Who vouches, and how far.
    #[must_use]
    pub const fn vouched(&self) -> Option<Vouched> {
        self.vouched
    }
}

#[cfg(test)]
mod tests;
