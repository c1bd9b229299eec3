//! Who did what, and why: one hash chain per tenant.
//!
//! Invariant: an entry is written in the commit of the change that it describes; the store gives it
//! its number and links it to the entry before.

pub mod checkpoint;
pub mod tail;
pub mod walk;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::canonical::{Members, sha256_hex};
use super::event::Subject;
use super::ids::{AuditId, KeyId, TenantId, UserId};
use super::tenant::key::Role;
use super::time::Timestamp;

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// `user`, `key`, `system`, `agent` or `supervisor`.
    pub kind: String,
    /// The actor's id, or its name for parts of the product.
    pub id: String,
    /// The key that somebody acted with; for people only, since a key is its own actor.
    pub key: Option<String>,
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

impl Actor {
    /// A part of the server, or somebody who needs no further word than its id.
    #[must_use]
    pub fn plain(kind: &str, id: &str) -> Self {
        Self { kind: kind.to_owned(), id: id.to_owned(), key: None, role: None }
    }

    /// Who holds a key: a person, or without one the key itself.
    #[must_use]
    pub fn holding(key: KeyId, user: Option<UserId>, role: Role) -> Self {
        let role = Some(role.as_str().to_owned());
        let key = key.to_string();
        match user {
            Some(user) => {
                Self { kind: "user".to_owned(), id: user.to_string(), key: Some(key), role }
            }
            None => Self { kind: "key".to_owned(), id: key, key: None, role },
        }
    }
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
                actor.plain("key", &self.actor.key);
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
            actor: Actor {
                kind: "user".to_owned(),
                id: "a\"b".to_owned(),
                key: Some("c".to_owned()),
                role: None,
            },
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
}
