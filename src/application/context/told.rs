//! What is told of contexts: events, and who did what.
//!
//! Invariant: an event is small, however large what was written is.

use serde_json::{Value, json};

use super::By;
use crate::domain::audit::AuditEntry;
use crate::domain::context::Context;
use crate::domain::context::write::{Entry, Group};
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::ContextId;
use crate::domain::time::Timestamp;

/// Bytes of values that one event tells.
const TOLD_BYTES: usize = 64 * 1024;
/// Changes that one event tells one by one.
const TOLD_CHANGES: usize = 200;

/// An event about a context.
pub(super) fn event(
    event_type: EventType,
    id: ContextId,
    at: Timestamp,
    payload: Value,
) -> DomainEvent {
    let subject = Subject { kind: SubjectKind::Context, id: id.uuid() };
    DomainEvent::new(event_type, subject, at, payload)
}

/// That a context came to be, went or expired.
pub(super) fn life(event_type: EventType, context: &Context, at: Timestamp) -> DomainEvent {
    let payload = json!({
        "scope": context.scope, "session_id": context.session_id, "agent_id": context.agent_id,
    });
    event(event_type, context.id, at, payload)
}

/// What one version changed. Values for which there is no room are left out, and that is said.
pub(super) fn updated(group: &Group, rebased_from: Option<u64>) -> DomainEvent {
    let mut room = TOLD_BYTES;
    let one = |entry: &Entry| {
        let length =
            |value: &Option<Value>| value.as_ref().map_or(0, |value| value.to_string().len());
        let size = length(&entry.old_value) + length(&entry.new_value);
        let fits = size <= room;
        room -= if fits { size } else { 0 };
        let told = |value: &Option<Value>| value.clone().filter(|_| fits);
        let mut change = json!({
            "version": group.version, "path": entry.path.to_string(), "op": entry.op,
            "old_value": told(&entry.old_value), "new_value": told(&entry.new_value),
            "changed_at": group.changed_at, "changed_by": group.changed_by.name,
        });
        if !fits {
            change["truncated"] = json!(true);
        }
        change
    };
    let changes: Vec<Value> = group.entries.iter().take(TOLD_CHANGES).map(one).collect();
    let mut payload = json!({
        "version": group.version, "rebased_from": rebased_from, "changes": changes,
        "trusted": group.changed_by.is_trusted(),
    });
    let untold = group.entries.len().saturating_sub(TOLD_CHANGES);
    if untold > 0 {
        payload["changes_left_out"] = json!(untold);
    }
    event(EventType::ContextUpdated, group.context_id, group.changed_at, payload)
}

/// What is put on record of a command of a caller; agents are known by the history itself.
pub(super) fn audit(
    by: By<'_>,
    action: &str,
    id: ContextId,
    at: Timestamp,
    after: Value,
) -> Option<AuditEntry> {
    let By::Caller(ctx) = by else { return None };
    Some(AuditEntry {
        at,
        actor: ctx.actor(),
        action: action.to_owned(),
        subject: Subject { kind: SubjectKind::Context, id: id.uuid() },
        ok: true,
        reason: None,
        before: None,
        after: Some(after),
        request_id: Some(ctx.request_id.clone()),
    })
}

/// What the audit keeps of a context: everything but what it remembers.
pub(super) fn facts(context: &Context) -> Value {
    json!({
        "scope": context.scope, "session_id": context.session_id, "task_id": context.task_id,
        "agent_id": context.agent_id, "lineage_id": context.lineage_id,
    })
}
