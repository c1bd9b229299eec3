//! Events, and the subjects that audit entries share with them.

use serde::{Deserialize, Serialize};

use super::{Payload, Record, Unreadable, Unstorable, json_map, map, word};
use crate::domain::event::{DomainEvent, EventType, StoredEvent, Subject, SubjectKind};
use crate::domain::ids::{EventId, TenantId};
use crate::domain::time::Timestamp;
use crate::infrastructure::storage::redb::codec;

/// What an event or audit entry is about.
#[derive(Serialize, Deserialize)]
pub(super) struct SubjectV1 {
    kind: String,
    id: [u8; 16],
}

impl SubjectV1 {
    pub(super) fn of(subject: Subject) -> Self {
        let Subject { kind, id } = subject;
        Self { kind: kind.as_str().to_owned(), id: *id.as_bytes() }
    }

    pub(super) fn domain(self) -> Result<Subject, Unreadable> {
        let Self { kind, id } = self;
        let kind = word(&kind, SubjectKind::parse, "subject.kind")?;
        Ok(Subject { kind, id: uuid::Uuid::from_bytes(id) })
    }
}

#[derive(Serialize, Deserialize)]
struct EventV1 {
    id: [u8; 16],
    seq: u64,
    tenant_id: [u8; 16],
    event_type: String,
    subject: SubjectV1,
    occurred_at: i64,
    payload: String,
}

impl Record for StoredEvent {
    const KIND: u8 = 8;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Self { id, seq, tenant_id, event } = self;
        let DomainEvent { event_type, subject, occurred_at, payload } = event;
        Ok(codec::encode(&EventV1 {
            id: *id.as_bytes(),
            seq: *seq,
            tenant_id: *tenant_id.as_bytes(),
            event_type: event_type.as_str().to_owned(),
            subject: SubjectV1::of(*subject),
            occurred_at: occurred_at.millis(),
            payload: json_map(payload)?,
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let EventV1 { id, seq, tenant_id, event_type, subject, occurred_at, payload } =
            payload.parse(1)?;
        let event = DomainEvent {
            event_type: word(&event_type, EventType::parse, "event_type")?,
            subject: subject.domain()?,
            occurred_at: Timestamp::from_millis(occurred_at),
            payload: map(&payload, "payload")?,
        };
        let (id, tenant_id) = (EventId::from_bytes(id), TenantId::from_bytes(tenant_id));
        Ok(Self { id, seq, tenant_id, event })
    }
}
