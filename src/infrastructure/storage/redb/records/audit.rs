//! Audit entries with the hashes that chain them.

use serde::{Deserialize, Serialize};

use super::event::SubjectV1;
use super::{Payload, Record, Unreadable, Unstorable, optional_json, optional_value};
use crate::domain::audit::{Actor, AuditEntry, Place, StoredAudit};
use crate::domain::ids::{AuditId, TenantId};
use crate::domain::time::Timestamp;
use crate::infrastructure::storage::redb::codec;

#[derive(Serialize, Deserialize)]
struct AuditV1 {
    tenant_id: [u8; 16],
    seq: u64,
    id: [u8; 16],
    at: i64,
    actor_kind: String,
    actor_id: String,
    actor_key: Option<String>,
    actor_role: Option<String>,
    action: String,
    subject: SubjectV1,
    ok: bool,
    reason: Option<String>,
    before: Option<String>,
    after: Option<String>,
    request_id: Option<String>,
    prev_hash: String,
    hash: String,
}

impl Record for StoredAudit {
    const KIND: u8 = 9;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Self { place: Place { tenant_id, seq, id: entry_id }, entry, prev_hash, hash } = self;
        let AuditEntry { at, actor, action, subject, ok, reason, before, after, request_id } =
            entry;
        let Actor { kind, id, key, role } = actor;
        Ok(codec::encode(&AuditV1 {
            tenant_id: *tenant_id.as_bytes(),
            seq: *seq,
            id: *entry_id.as_bytes(),
            at: at.millis(),
            actor_kind: kind.clone(),
            actor_id: id.clone(),
            actor_key: key.clone(),
            actor_role: role.clone(),
            action: action.clone(),
            subject: SubjectV1::of(*subject),
            ok: *ok,
            reason: reason.clone(),
            before: optional_json(before.as_ref())?,
            after: optional_json(after.as_ref())?,
            request_id: request_id.clone(),
            prev_hash: prev_hash.clone(),
            hash: hash.clone(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let AuditV1 {
            tenant_id,
            seq,
            id,
            at,
            actor_kind,
            actor_id,
            actor_key,
            actor_role,
            action,
            subject,
            ok,
            reason,
            before,
            after,
            request_id,
            prev_hash,
            hash,
        } = payload.parse(1)?;
        let entry = AuditEntry {
            at: Timestamp::from_millis(at),
            actor: Actor { kind: actor_kind, id: actor_id, key: actor_key, role: actor_role },
            action,
            subject: subject.domain()?,
            ok,
            reason,
            before: optional_value(before.as_ref(), "before")?,
            after: optional_value(after.as_ref(), "after")?,
            request_id,
        };
        let place =
            Place { tenant_id: TenantId::from_bytes(tenant_id), seq, id: AuditId::from_bytes(id) };
        Ok(Self { place, entry, prev_hash, hash })
    }
}
