//! What a server vouches for: the chain of a tenant up to one of its entries, signed, and kept as an
//! entry of the same chain.
//!
//! Whoever can write to the store can write a whole chain anew, hashes and all. A signature cannot be
//! made without the server's key, so that no entry in front of one can be changed unseen.
//!
//! Invariant: a checkpoint speaks only of entries in front of it.

use serde_json::{Value, json};

use super::{Actor, AuditEntry};
use crate::domain::canonical::{from_hex, hex};
use crate::domain::event::{Subject, SubjectKind};
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;

/// The verb of such entries.
pub const ACTION: &str = "sign_audit";

/// Whether a signature of a message was made with the key that belongs to this public key (Ed25519).
pub type Verify = fn(message: &[u8], signature: &[u8; 64], key: &[u8; 32]) -> bool;

/// What is vouched for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose chain.
    pub tenant_id: TenantId,
    /// Number of the newest entry that is vouched for.
    pub seq: u64,
    /// Its hash.
    pub hash: String,
    /// When it stood there.
    pub at: Timestamp,
}

/// The same with a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What is vouched for.
    pub checkpoint: Checkpoint,
    /// The public key of who vouches.
    pub key: [u8; 32],
    /// Over the message of the checkpoint.
    pub signature: [u8; 64],
}

impl Checkpoint {
    /// What is signed.
    #[must_use]
    pub fn message(&self) -> String {
        let Self { tenant_id, seq, hash, at } = self;
        format!("orchestrator audit\n{tenant_id}\n{seq}\n{hash}\n{}\n", at.millis())
    }
}

impl SignedCheckpoint {
    /// As it stands in the chain.
    #[must_use]
    pub fn entry(&self) -> AuditEntry {
        let Self { checkpoint: Checkpoint { tenant_id, seq, hash, at }, key, signature } = self;
        AuditEntry {
            at: *at,
            actor: Actor::plain("system", "orchestrator"),
            action: ACTION.to_owned(),
            subject: Subject { kind: SubjectKind::Tenant, id: tenant_id.uuid() },
            ok: true,
            reason: None,
            before: None,
            after: Some(json!({
                "seq": seq, "hash": hash, "key": hex(key), "signature": hex(signature),
            })),
            request_id: None,
        }
    }

    /// The checkpoint that an entry holds in its `after`; `None` when that is none.
    #[must_use]
    pub fn read(tenant_id: TenantId, at: Timestamp, after: &Value) -> Option<Self> {
        let text = |name: &str| after[name].as_str();
        let hash = text("hash")?.to_owned();
        let checkpoint = Checkpoint { tenant_id, seq: after["seq"].as_u64()?, hash, at };
        let (key, signature) = (from_hex(text("key")?)?, from_hex(text("signature")?)?);
        Some(Self { checkpoint, key, signature })
    }

    /// Whether the signature is that of the key.
    #[must_use]
    pub fn is_genuine(&self, verify: Verify) -> bool {
        verify(self.checkpoint.message().as_bytes(), &self.signature, &self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_as_it_was_written_and_nothing_else_is_one() {
        let checkpoint = Checkpoint {
            tenant_id: TenantId::BOOTSTRAP,
            seq: 7,
            hash: "ab".repeat(32),
            at: Timestamp::from_millis(5),
        };
        let signed = SignedCheckpoint { checkpoint, key: [1; 32], signature: [0xfe; 64] };
        let after = signed.entry().after.expect("what it vouches for");
        let read = |after: &Value| {
            SignedCheckpoint::read(TenantId::BOOTSTRAP, Timestamp::from_millis(5), after)
        };
        assert_eq!(read(&after), Some(signed));
        for name in ["seq", "hash", "key", "signature"] {
            let mut less = after.clone();
            less[name] = json!("x");
            assert!(name == "hash" || read(&less).is_none(), "{less}");
            less.as_object_mut().expect("an object").remove(name);
            assert_eq!(read(&less), None, "{less}");
        }
    }
}
