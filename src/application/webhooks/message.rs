//! What a message says: its type, its time, and the event as every other reader sees it.
//!
//! Invariant: the same delivery gives the same bytes at every attempt.

use serde_json::{Value, json};

use crate::domain::event::{DomainEvent, StoredEvent};
use crate::domain::webhook::delivery::{Delivery, Told};

/// An event as pages, streams and sockets show it.
#[must_use]
pub fn envelope(stored: &StoredEvent) -> Value {
    let StoredEvent { id, seq, tenant_id, event } = stored;
    let DomainEvent { event_type, subject, occurred_at, payload } = event;
    json!({
        "id": id, "seq": seq, "type": event_type, "tenant_id": tenant_id,
        "subject": { "kind": subject.kind, "id": subject.id },
        "occurred_at": occurred_at, "timestamp": occurred_at, "payload": payload,
        "trace_id": null,
    })
}

/// The bytes of a delivery; `None` when the event that it tells of was not given.
#[must_use]
pub fn body(delivery: &Delivery, event: Option<&StoredEvent>) -> Option<Vec<u8>> {
    let (kind, at, data) = match &delivery.told {
        Told::Event { .. } => {
            let stored = event?;
            (stored.event.event_type.as_str(), stored.event.occurred_at, envelope(stored))
        }
        Told::Gap { requested, oldest, subject } => {
            let about = subject.map(|it| json!({ "kind": it.kind, "id": it.id }));
            let data = json!({
                "webhook_id": delivery.webhook_id, "tenant_id": delivery.tenant_id,
                "requested": requested, "oldest": oldest, "subject": about,
            });
            ("gap", delivery.created_at, data)
        }
        Told::Test => {
            let data = json!({
                "webhook_id": delivery.webhook_id, "tenant_id": delivery.tenant_id,
                "message": "this webhook works",
            });
            ("test", delivery.created_at, data)
        }
    };
    Some(json!({ "type": kind, "timestamp": at, "data": data }).to_string().into_bytes())
}
