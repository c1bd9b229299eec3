//! Who did what, and why: one hash chain per tenant.
//!
//! Invariant: an entry is written in the commit of the change that it describes; the store gives it
//! its number and links it to the entry before.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::canonical::{Members, sha256_hex};
use super::event::Subject;
use super::ids::{AuditId, TenantId};
use super::time::Timestamp;

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// `key`, `system`, `agent` or `supervisor`.
    pub kind: String,
    /// The actor's id, or its name for parts of the product.
    pub id: String,
    /// The role it acted in, when it has one.
    pub role: Option<String>,
}

/// One entry before the store has linked it.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// The verb, spelled as in the API: `pause`, `create`, `merge`, …
    pub action: String,
    /// To what.
    pub subject: Subject,
    /// Whether it was done (`ok`) or refused.
    pub ok: bool,
    /// The reason that was given.
    pub reason: Option<String>,
    /// What stood before, as far as it matters.
    pub before: Option<Value>,
    /// What stands now.
    pub after: Option<Value>,
    /// The request that asked for it.
    pub request_id: Option<String>,
}

impl AuditEntry {
    /// The canonical spelling that the chain's hash is taken over, in its place.
    #[must_use]
    pub fn canonical(&self, place: Place) -> String {
        let Place { tenant_id, seq, id } = place;
        Members::of(|entry| {
            entry.plain("action", &self.action);
            entry.nested("actor", |actor| {
                actor.plain("id", &self.actor.id);
                actor.plain("kind", &self.actor.kind);
                actor.plain("role", &self.actor.role);
            });
            entry.value("after", self.after.as_ref());
            entry.plain("at", &self.at);
            entry.value("before", self.before.as_ref());
            entry.plain("id", &id);
            entry.plain("outcome", &if self.ok { "ok" } else { "refused" });
            entry.plain("reason", &self.reason);
            entry.plain("request_id", &self.request_id);
            entry.plain("seq", &seq);
            entry.nested("subject", |subject| {
                subject.plain("id", &self.subject.id);
                subject.plain("kind", &self.subject.kind);
            });
            entry.plain("tenant_id", &tenant_id);
        })
    }
}

/// `prev_hash` of the first entry.
pub const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// In whose chain.
    pub tenant_id: TenantId,
    /// Its number there, from 1 without gap.
    pub seq: u64,
    /// Its identity.
    pub id: AuditId,
}

/// An entry as it stands in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAudit {
    /// Where.
    pub place: Place,
    /// The entry.
    pub entry: AuditEntry,
    /// Hash of the entry before; 64 zeros for the first.
    pub prev_hash: String,
    /// SHA-256 of `prev_hash` and the canonical entry, lower-case hex.
    pub hash: String,
}

impl StoredAudit {
    /// An entry, linked to the one with this hash.
    #[must_use]
    pub fn link(entry: AuditEntry, place: Place, prev_hash: String) -> Self {
        let hash = link_hash(&prev_hash, &entry.canonical(place));
        Self { place, entry, prev_hash, hash }
    }
}

/// SHA-256 of the hash before and a canonical entry, lower-case hex.
#[must_use]
pub fn link_hash(prev_hash: &str, canonical: &str) -> String {
    sha256_hex(format!("{prev_hash}{canonical}").as_bytes())
}

/// A look along a chain, entry by entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walk {
    /// Number of the entry that comes next.
    next: u64,
    /// What it has to name as the hash before.
    prev_hash: String,
}

impl Default for Walk {
    fn default() -> Self {
        Self { next: 1, prev_hash: NO_HASH.to_owned() }
    }
}

impl Walk {
    /// Takes one more entry.
    ///
    /// # Errors
    /// The number that should have stood here and did not, or not as it was written.
    pub fn step(&mut self, entry: &StoredAudit) -> Result<(), u64> {
        let canonical = entry.entry.canonical(entry.place);
        self.take(entry.place.seq, &entry.prev_hash, &entry.hash, &canonical)
    }

    /// The same for an entry in its spelling.
    ///
    /// # Errors
    /// As `step`.
    pub fn take(
        &mut self,
        seq: u64,
        prev_hash: &str,
        hash: &str,
        canonical: &str,
    ) -> Result<(), u64> {
        let is_next = seq == self.next && prev_hash == self.prev_hash;
        if !is_next || hash != link_hash(prev_hash, canonical) {
            return Err(self.next);
        }
        hash.clone_into(&mut self.prev_hash);
        self.next += 1;
        Ok(())
    }

    /// Entries so far.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.next - 1
    }

    /// Hash of the newest one.
    #[must_use]
    pub fn head(&self) -> &str {
        &self.prev_hash
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::canonical::canonical;
    use crate::domain::ids::SessionId;

    #[test]
    fn the_spelling_is_the_canonical_one_of_all_its_members() {
        let entry = AuditEntry {
            at: Timestamp::from_millis(1_700_000_000_123),
            actor: Actor { kind: "key".to_owned(), id: "a\"b".to_owned(), role: None },
            action: "stop".to_owned(),
            subject: Subject::session(SessionId::new(uuid::Uuid::from_u128(7))),
            ok: false,
            reason: Some("because\n\u{1f600}".to_owned()),
            before: None,
            after: Some(json!({ "status": "stopped", "priority": 2.0, "a": [] })),
            request_id: Some("r".to_owned()),
        };
        let id = AuditId::new(uuid::Uuid::from_u128(8));
        let place = Place { tenant_id: TenantId::BOOTSTRAP, seq: 9, id };
        let expected = canonical(&json!({
            "seq": 9, "tenant_id": place.tenant_id, "id": place.id, "at": entry.at, "actor": entry.actor, "action": entry.action,
            "subject": { "kind": entry.subject.kind, "id": entry.subject.id },
            "outcome": "refused", "reason": entry.reason, "before": entry.before,
            "after": entry.after, "request_id": entry.request_id,
        }));
        assert_eq!(entry.canonical(place), expected);
    }

    #[test]
    fn a_walk_names_the_first_entry_that_is_not_as_it_was_written() {
        let mut chain: Vec<StoredAudit> = Vec::new();
        for seq in 1..=20 {
            let place = Place {
                tenant_id: TenantId::BOOTSTRAP,
                seq,
                id: AuditId::new(uuid::Uuid::from_u128(seq.into())),
            };
            let entry = AuditEntry {
                at: Timestamp::from_millis(i64::try_from(seq).expect("small")),
                actor: Actor { kind: "key".to_owned(), id: "k".to_owned(), role: None },
                action: "pause".to_owned(),
                subject: Subject::session(SessionId::new(uuid::Uuid::from_u128(7))),
                ok: true,
                reason: None,
                before: None,
                after: Some(json!({ "number": seq })),
                request_id: None,
            };
            let prev = chain.last().map_or_else(|| NO_HASH.to_owned(), |last| last.hash.clone());
            chain.push(StoredAudit::link(entry, place, prev));
        }
        let first_bad = |chain: &[StoredAudit]| {
            let mut walk = Walk::default();
            chain.iter().find_map(|entry| walk.step(entry).err())
        };
        assert_eq!(first_bad(&chain), None);
        for at in 0..20_usize {
            let number = at as u64 + 1;
            let tampered = |change: &dyn Fn(&mut Vec<StoredAudit>)| {
                let mut chain = chain.clone();
                change(&mut chain);
                first_bad(&chain)
            };
            assert_eq!(tampered(&|chain| chain[at].entry.action.push('d')), Some(number));
            assert_eq!(tampered(&|chain| chain[at].entry.ok = false), Some(number));
            assert_eq!(
                tampered(&|chain| chain[at].place.tenant_id = TenantId::SYSTEM),
                Some(number)
            );
            assert_eq!(tampered(&|chain| chain[at].hash.replace_range(0..1, "x")), Some(number));
            if at < 19 {
                assert_eq!(tampered(&|chain| drop(chain.remove(at))), Some(number));
                assert_eq!(tampered(&|chain| chain.swap(at, at + 1)), Some(number));
            }
            // An entry that is written anew with its hash does not fit to the next one.
            let forged = |chain: &mut Vec<StoredAudit>| {
                let StoredAudit { place, mut entry, prev_hash, .. } = chain[at].clone();
                entry.action = "other".to_owned();
                chain[at] = StoredAudit::link(entry, place, prev_hash);
            };
            assert_eq!(tampered(&forged), (at < 19).then_some(number + 1));
        }
    }
}
