//! What happened to locks, as events of the tenant.

use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::{LockId, SessionId};
use crate::domain::lock::{Edge, Grant, Happening, LossReason, Owner, Waiter};
use crate::domain::time::Timestamp;

/// Whose a lock is, as it is told.
#[must_use]
pub fn owner(owner: Owner, label: &str) -> Value {
    json!({ "kind": owner.kind(), "id": owner.id(), "name": label })
}

/// A circle of owners, as it is told.
#[must_use]
pub fn cycle(edges: &[Edge]) -> Value {
    let steps = edges.iter().map(|edge| {
        let Edge { owner, waits_for, name, request_id } = edge;
        json!({
            "owner": owner.to_string(), "waits_for": waits_for.to_string(),
            "name": name.as_str(), "request_id": request_id,
        })
    });
    Value::Array(steps.collect())
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

fn event(kind: EventType, id: LockId, at: Timestamp, payload: Value) -> DomainEvent {
    DomainEvent::new(kind, Subject { kind: SubjectKind::Lock, id: id.uuid() }, at, payload)
}

/// Names the session or the agent, so that it stands in their rooms, too.
fn about(mut payload: Value, owner: Owner, session: Option<SessionId>) -> Value {
    let (session, agent) = match owner {
        Owner::Session(id) => (Some(id), None),
        Owner::Agent(id) => (session, Some(id)),
        Owner::Key(_) => (session, None),
    };
    if let Some(session) = session {
        payload["session_id"] = json!(session);
    }
    if let Some(agent) = agent {
        payload["agent_id"] = json!(agent);
    }
    payload
}

fn of_grant(kind: EventType, grant: &Grant, at: Timestamp, mut payload: Value) -> DomainEvent {
    payload["name"] = json!(grant.name.as_str());
    payload["owner"] = owner(grant.owner, &grant.label);
    event(kind, grant.lock_id, at, about(payload, grant.owner, grant.session))
}

fn of_waiter(kind: EventType, waiter: &Waiter, at: Timestamp, mut payload: Value) -> DomainEvent {
    payload["name"] = json!(waiter.name.as_str());
    payload["mode"] = json!(waiter.mode);
    payload["owner"] = owner(waiter.owner, &waiter.label);
    payload["request_id"] = json!(waiter.request_id);
    event(kind, waiter.request_id, at, about(payload, waiter.owner, None))
}

/// The events that something leads to, in order.
pub(super) fn events(happening: &Happening, now: Timestamp, told: &mut Vec<DomainEvent>) {
    match happening {
        Happening::Queued(waiter) => {
            let payload = json!({ "position": waiter.position });
            told.push(of_waiter(EventType::LockQueued, waiter, now, payload));
        }
        Happening::Granted { ticket: _, grants, waited } => {
            // Whoever takes again what it holds is told nothing new.
            for grant in grants.iter().filter(|grant| grant.hold_count == 1) {
                let payload = json!({
                    "mode": grant.mode, "fencing_token": grant.fencing_token,
                    "waited_seconds": seconds(*waited), "expires_at": grant.expires_at,
                });
                told.push(of_grant(EventType::LockAcquired, grant, now, payload));
            }
        }
        Happening::Released(grant) => {
            let held = seconds(now.since(grant.acquired_at));
            let payload = json!({ "held_seconds": held });
            told.push(of_grant(EventType::LockReleased, grant, now, payload));
        }
        Happening::Lost(grant, reason) => {
            let kind = match reason {
                LossReason::Expired => Some(EventType::LockExpired),
                LossReason::ForceReleased => Some(EventType::LockForceReleased),
                LossReason::SessionEnded
                | LossReason::AgentGone
                | LossReason::KeyRevoked
                | LossReason::Shutdown
                | LossReason::Restart => None,
            };
            let payload = json!({ "reason": reason, "expires_at": grant.expires_at });
            told.extend(kind.map(|kind| of_grant(kind, grant, now, payload.clone())));
            told.push(of_grant(EventType::LockLost, grant, now, payload));
        }
        Happening::TimedOut { ticket: _, waiter, refusal: _ } => {
            let payload = json!({ "waited_seconds": seconds(now.since(waiter.requested_at)) });
            told.push(of_waiter(EventType::LockWaitTimeout, waiter, now, payload));
        }
        Happening::Deadlocked { ticket: _, waiter, cycle: edges } => {
            let victim = owner(waiter.owner, &waiter.label);
            let payload = json!({ "cycle": cycle(edges), "victim": victim });
            told.push(of_waiter(EventType::LockDeadlockDetected, waiter, now, payload));
        }
        // A renewal is not kept, and whoever is gone has been told of as such.
        Happening::Renewed(_) | Happening::Ended(_) => {}
    }
}
