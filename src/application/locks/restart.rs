//! After a restart: locks that an earlier process granted and did not end are void, which is told.
//!
//! They are found in the log of events, as far back as is looked; whoever renews one that was longer ago
//! is refused all the same.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::application::error::AppError;
use crate::application::ports::changes::ChangeSet;
use crate::application::ports::store::Store;
use crate::domain::event::{DomainEvent, EventType, StoredEvent};
use crate::domain::ids::TenantId;
use crate::domain::lock::LossReason;
use crate::domain::time::Timestamp;

/// Events of a tenant that are looked at, the newest ones.
const LOOKED_AT: u64 = 10_000;
/// Events that are read in one step.
const PAGE: usize = 500;

/// Tells of every lock that was granted before this process began and has no end in the log; how many.
///
/// # Errors
/// The store's.
pub async fn tell_of_void(store: &dyn Store, began: Timestamp) -> Result<usize, AppError> {
    let mut told = 0;
    for tenant in store.fleet().await?.tenants().await? {
        let void = void_of(store, tenant.value.id, began).await?;
        if !void.is_empty() {
            told += void.len();
            let events = void.into_values().map(|granted| lost(granted, began));
            store.commit(ChangeSet::new(tenant.value.id).events(events)).await?;
        }
    }
    Ok(told)
}

/// The grants without an end, by the ids of their holds.
async fn void_of(
    store: &dyn Store,
    tenant: TenantId,
    began: Timestamp,
) -> Result<BTreeMap<Uuid, DomainEvent>, AppError> {
    let snapshot = store.snapshot(tenant).await?;
    let mut after = snapshot.last_seq().await?.saturating_sub(LOOKED_AT);
    let mut open = BTreeMap::new();
    loop {
        let page = snapshot.events(after, None, PAGE).await?;
        let Some(last) = page.last().map(|event| event.seq) else { return Ok(open) };
        after = last;
        for event in page {
            note(&mut open, event, began);
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "most events are about no hold")]
fn note(open: &mut BTreeMap<Uuid, DomainEvent>, event: StoredEvent, began: Timestamp) {
    let id = event.event.subject.id;
    match event.event.event_type {
        EventType::LockAcquired if event.event.occurred_at < began => {
            open.insert(id, event.event);
        }
        EventType::LockReleased | EventType::LockLost => {
            open.remove(&id);
        }
        _ => {}
    }
}

fn lost(granted: DomainEvent, now: Timestamp) -> DomainEvent {
    let DomainEvent { event_type: _, subject, occurred_at: _, payload } = granted;
    let kept = ["name", "owner", "session_id", "agent_id", "expires_at"];
    let mut told: Map<String, Value> =
        payload.into_iter().filter(|(name, _)| kept.contains(&name.as_str())).collect();
    told.insert("reason".to_owned(), json!(LossReason::Restart));
    DomainEvent::new(EventType::LockLost, subject, now, Value::Object(told))
}
