//! Who did what, and why: one hash chain per tenant.
//!
//! Invariant: an entry is written in the commit of the change that it describes; the store gives it
//! its number and links it to the entry before.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::canonical::canonical;
use super::event::Subject;
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
    /// The canonical spelling that the chain's hash is taken over.
    #[must_use]
    pub fn canonical(&self, seq: u64) -> String {
        canonical(&json!({
            "seq": seq, "at": self.at, "actor": self.actor, "action": self.action,
            "subject": { "kind": self.subject.kind, "id": self.subject.id },
            "outcome": if self.ok { "ok" } else { "refused" },
            "reason": self.reason, "before": self.before, "after": self.after,
            "request_id": self.request_id,
        }))
    }
}

/// An entry as it stands in the chain.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredAudit {
    /// Number in the tenant, from 1 without gap.
    pub seq: u64,
    /// The entry.
    pub entry: AuditEntry,
    /// Hash of the entry before; 64 zeros for the first.
    pub prev_hash: String,
    /// SHA-256 of `prev_hash` and the canonical entry, lower-case hex.
    pub hash: String,
}
