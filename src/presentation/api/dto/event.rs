//! Events and journal entries on the wire: the same for pages, server-sent events and sockets.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::application::ports::journal::Entry;
use crate::domain::event::{DomainEvent, EventType, StoredEvent, SubjectKind};
use crate::domain::ids::{EventId, TenantId};
use crate::domain::time::Timestamp;

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventDto<'a> {
    /// Its identity.
    pub id: EventId,
    /// Its number in the tenant, from 1 without gap.
    #[schema(minimum = 1)]
    pub seq: u64,
    /// What happened.
    pub r#type: EventType,
    /// Whose it is; null for one of the server itself, which has a sequence of its own.
    pub tenant_id: Option<TenantId>,
    /// What it happened to.
    pub subject: SubjectDto,
    /// When.
    pub occurred_at: Timestamp,
    /// The same as `occurred_at`.
    pub timestamp: Timestamp,
    /// The facts; always repeats the subject as `<kind>_id`.
    #[schema(value_type = Object)]
    pub payload: &'a Map<String, Value>,
    /// Trace that it belongs to.
    pub trace_id: Option<String>,
}

/// What an event is about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventSubject)]
pub struct SubjectDto {
    /// Its kind.
    pub kind: SubjectKind,
    /// Its id.
    pub id: Uuid,
}

impl<'a> From<&'a StoredEvent> for EventDto<'a> {
    fn from(stored: &'a StoredEvent) -> Self {
        let StoredEvent { id, seq, tenant_id, event } = stored;
        let DomainEvent { event_type, subject, occurred_at, payload } = event;
        Self {
            id: *id,
            seq: *seq,
            r#type: *event_type,
            tenant_id: Some(*tenant_id).filter(|tenant| *tenant != TenantId::SYSTEM),
            subject: SubjectDto { kind: subject.kind, id: subject.id },
            occurred_at: *occurred_at,
            timestamp: *occurred_at,
            payload,
            trace_id: None,
        }
    }
}

/// A log line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LogLine)]
pub struct LogLineDto {
    /// Its number in the log of its session, from 1.
    pub seq: u64,
    /// When.
    pub timestamp: Timestamp,
    /// How serious.
    pub level: String,
    /// The text.
    pub message: Value,
    /// Further facts.
    #[schema(value_type = Object)]
    pub fields: Map<String, Value>,
}

impl From<Entry> for LogLineDto {
    fn from(entry: Entry) -> Self {
        let Entry { seq, at, kind, body } = entry;
        let (message, fields) = if let Value::Object(mut fields) = body {
            (fields.remove("message").unwrap_or(Value::Null), fields)
        } else {
            (body, Map::new())
        };
        Self { seq, timestamp: at, level: kind, message, fields }
    }
}

/// A part of the conversation with the agent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TranscriptEntry)]
pub struct TranscriptEntryDto {
    /// Its number in the transcript of its session, from 1.
    pub seq: u64,
    /// When.
    pub timestamp: Timestamp,
    /// `user`, `text`, `reasoning`, `tool`, `todo` or `notice`.
    pub kind: String,
    /// The content, by kind.
    #[schema(value_type = Object)]
    pub body: Value,
}

impl From<Entry> for TranscriptEntryDto {
    fn from(entry: Entry) -> Self {
        let Entry { seq, at, kind, body } = entry;
        Self { seq, timestamp: at, kind, body }
    }
}

/// One page of a numbered stream.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeqPage<T> {
    /// The entries in order.
    pub items: Vec<T>,
    /// Send it as `after` to go on; null when the page is empty.
    pub next_after: Option<u64>,
    /// Whether there is more.
    pub has_more: bool,
}

impl<T> SeqPage<T> {
    /// A page of what was read with one more than `limit`.
    #[must_use]
    pub fn new(mut items: Vec<T>, limit: usize, seq: impl Fn(&T) -> u64) -> Self {
        let has_more = items.len() > limit;
        items.truncate(limit);
        Self { next_after: items.last().map(seq), has_more, items }
    }
}
