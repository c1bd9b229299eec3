//! Audit entries on the wire, spelled as their hash is taken.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::event::SubjectDto;
use crate::application::audit::Verdict;
use crate::domain::audit::{Actor, AuditEntry, Place, StoredAudit};
use crate::domain::canonical::hex;
use crate::domain::ids::{AuditId, TenantId};
use crate::domain::time::Timestamp;

/// Who acted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditActor)]
pub struct ActorDto {
    /// `key`, `user`, `system`, `agent` or `supervisor`; `peer` for somebody who was not recognised.
    pub kind: String,
    /// Its id, or the name of a part of the server.
    pub id: String,
    /// Id of the key that a user acted with.
    pub key: Option<String>,
    /// The role that it acted in.
    pub role: Option<String>,
}

/// What somebody did, or was refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditDto {
    /// Its number in the tenant, from 1 without gap.
    #[schema(minimum = 1)]
    pub seq: u64,
    /// Its identity.
    pub id: AuditId,
    /// In whose chain it stands.
    pub tenant_id: TenantId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: ActorDto,
    /// The verb.
    #[schema(example = "pause")]
    pub action: String,
    /// To what.
    pub subject: SubjectDto,
    /// `ok` or `refused`.
    pub outcome: &'static str,
    /// The reason that was given.
    pub reason: Option<String>,
    /// What stood before, as far as it matters.
    #[schema(value_type = Option<Object>)]
    pub before: Option<Value>,
    /// What stood afterwards.
    #[schema(value_type = Option<Object>)]
    pub after: Option<Value>,
    /// The request that asked for it.
    pub request_id: Option<String>,
    /// Hash of the entry before; 64 zeros for the first.
    pub prev_hash: String,
    /// SHA-256 of `prev_hash` and the canonical JSON of the entry without its two hashes.
    pub hash: String,
}

impl From<StoredAudit> for AuditDto {
    fn from(stored: StoredAudit) -> Self {
        let StoredAudit { place: Place { tenant_id, seq, id }, entry, prev_hash, hash } = stored;
        let AuditEntry { at, actor, action, subject, ok, reason, before, after, request_id } =
            entry;
        let Actor { kind, id: actor, key, role } = actor;
        Self {
            seq,
            id,
            tenant_id,
            at,
            actor: ActorDto { kind, id: actor, key, role },
            action,
            subject: SubjectDto { kind: subject.kind, id: subject.id },
            outcome: if ok { "ok" } else { "refused" },
            reason,
            before,
            after,
            request_id,
            prev_hash,
            hash,
        }
    }
}

/// What a look along the whole chain found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditVerdict)]
pub struct VerdictDto {
    /// Whether every entry is as it was written.
    pub intact: bool,
    /// Entries that are, from the first on.
    pub entries: u64,
    /// Number of the first: 1 unless the oldest were removed by retention.
    pub first: u64,
    /// Public key (Ed25519, hex) of the signature that vouches for those that were removed, and stands
    /// among the next entries; null when none was.
    pub begins_signed_by: Option<String>,
    /// Whether the first ever written is among them; of those that are not there, nothing is said.
    pub complete: bool,
    /// Hash of the last of them; who keeps it sees later that none of them was taken away.
    pub head: String,
    /// Number of the first entry that is missing, out of place, unreadable or changed.
    pub first_bad: Option<u64>,
    /// Number of the newest entry that this server's signature stands for: entries up to there cannot
    /// have been written anew. New entries are signed within a minute or so.
    pub signed_up_to: Option<u64>,
    /// Public key (Ed25519, hex) of that signature; who keeps it can verify an export elsewhere.
    pub signed_by: Option<String>,
    /// Number of the first entry that is not signed yet: those from there on can have been written anew.
    pub unsigned_from: Option<u64>,
    /// When that one was written: long ago only if no server ran since.
    pub unsigned_since: Option<Timestamp>,
}

impl From<Verdict> for VerdictDto {
    fn from(verdict: Verdict) -> Self {
        let Verdict { entries, first, founder, head, vouched, unsigned, first_bad } = verdict;
        Self {
            intact: first_bad.is_none(),
            entries,
            first,
            begins_signed_by: founder.map(|key| hex(&key)),
            complete: first == 1,
            head,
            first_bad,
            signed_up_to: vouched.map(|vouched| vouched.seq),
            signed_by: vouched.map(|vouched| hex(&vouched.key)),
            unsigned_from: unsigned.map(|(seq, _)| seq),
            unsigned_since: unsigned.map(|(_, at)| at),
        }
    }
}
