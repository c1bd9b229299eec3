//! What is no longer kept, and what the store is full of: plans that remove old rows, and what each
//! class takes.
//!
//! Invariant: an event that is removed takes its index entries with it, and its number is never
//! given out again. Removal goes from the oldest on and ends at the first that is kept.

use redb::{ReadableTableMetadata as _, TableStats};

use super::keys;
use super::people;
use super::plan::Plan;
use super::records::Quarantined;
use super::rows::{Direction, Rows, View, decode, flow};
use super::tables::Table;
use crate::application::ports::reads::{ClassUsage, StoredClass};
use crate::application::ports::store::{CommitError, Outdated, StoreError};
use crate::domain::agent::Agent;
use crate::domain::event::StoredEvent;
use crate::domain::ids::{AgentId, KeyId, TenantId};
use crate::domain::tenant::key::{ApiKey, KeyKind};
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;
use crate::infrastructure::storage::shared::{failed, sessions_of};

/// The plan that removes old rows; how many there are.
pub(super) fn remove<R: Rows>(
    rows: &R,
    what: Outdated,
    limit: usize,
) -> Result<(Plan, usize), CommitError> {
    match what {
        Outdated::Events(before) => events(rows, None, before, limit),
        Outdated::EventsOf(tenant, before) => events(rows, Some(tenant), before, limit),
        Outdated::SetAside(before) => set_aside(rows, before, limit),
        Outdated::Browsers(before) => browsers(rows, before, limit),
        Outdated::Agent(tenant, id) => agent(rows, tenant, id),
        Outdated::Audit(tenant, up_to) => audit(rows, tenant, up_to),
    }
}

fn events<R: Rows>(
    rows: &R,
    only: Option<TenantId>,
    before: Timestamp,
    limit: usize,
) -> Result<(Plan, usize), CommitError> {
    let (mut plan, mut removed) = (Plan::default(), 0);
    let mut rest = Some(only.map_or_else(keys::everything, keys::numbers));
    while let Some(span) = rest.filter(|_| removed < limit) {
        let mut tenant = None;
        rows.scan(Table::Events, &span, Direction::Up, &mut |key, bytes| {
            let Some(whose) = keys::tenant_of(key) else { return Ok(flow(false)) };
            if tenant.is_some_and(|tenant| tenant != whose) || removed == limit {
                return Ok(flow(false));
            }
            tenant = Some(whose);
            match decode::<StoredEvent>(rows.shared(), Table::Events, key, bytes) {
                Ok(stored) if stored.event.occurred_at >= before => return Ok(flow(false)),
                Ok(stored) => {
                    for session in sessions_of(&stored.event) {
                        let entry = keys::event_by_session(whose, session, stored.seq);
                        plan.remove(Table::EventsBySession, entry);
                    }
                }
                // A damaged one was set aside; what is behind it does not wait for it.
                Err(StoreError::Quarantined) => {}
                Err(other) => return Err(other),
            }
            plan.remove(Table::Events, key.to_vec());
            removed += 1;
            Ok(flow(true))
        })?;
        rest = tenant.filter(|_| only.is_none()).and_then(keys::behind_tenant);
    }
    Ok((plan, removed))
}

fn audit<R: Rows>(rows: &R, tenant: TenantId, up_to: u64) -> Result<(Plan, usize), CommitError> {
    let (mut plan, mut removed, mut follows) = (Plan::default(), 0, false);
    rows.scan(Table::Audit, &keys::numbers(tenant), Direction::Up, &mut |key, _| {
        follows = keys::tail_number(key).is_none_or(|seq| seq > up_to);
        if !follows {
            plan.remove(Table::Audit, key.to_vec());
            removed += 1;
        }
        Ok(flow(!follows))
    })?;
    // A chain has an end, which what comes next is linked to.
    Ok(if follows { (plan, removed) } else { (Plan::default(), 0) })
}

fn set_aside<R: Rows>(
    rows: &R,
    before: Timestamp,
    limit: usize,
) -> Result<(Plan, usize), CommitError> {
    let (mut plan, mut removed) = (Plan::default(), 0);
    rows.scan(Table::Quarantine, &keys::everything(), Direction::Up, &mut |key, bytes| {
        let found = decode::<Quarantined>(rows.shared(), Table::Quarantine, key, bytes);
        if found.is_ok_and(|copy| copy.found_at_ms < before.millis()) {
            plan.remove(Table::Quarantine, key.to_vec());
            removed += 1;
        }
        Ok(flow(removed < limit))
    })?;
    Ok((plan, removed))
}

fn browsers<R: Rows>(
    rows: &R,
    before: Timestamp,
    limit: usize,
) -> Result<(Plan, usize), CommitError> {
    let (mut plan, mut removed) = (Plan::default(), 0);
    rows.scan(Table::ApiKeys, &keys::everything(), Direction::Up, &mut |key, bytes| {
        let found = match decode::<Versioned<ApiKey>>(rows.shared(), Table::ApiKeys, key, bytes) {
            Ok(found) => found.value,
            // A damaged one was set aside; nobody knows what it was.
            Err(StoreError::Quarantined) => return Ok(flow(true)),
            Err(other) => return Err(other),
        };
        let ended = found.ended_at(before).is_some_and(|end| end < before);
        if found.kind == KeyKind::Browser && ended {
            for secret in &found.secrets {
                let entry = keys::api_key_by_secret(&secret.hash, found.tenant_id, found.id);
                plan.remove(Table::ApiKeysBySecret, entry);
            }
            if let Some(at) = people::holder(&found) {
                plan.remove(Table::KeysByHolder, at);
            }
            plan.remove(Table::KeyUses, key.to_vec());
            plan.remove(Table::ApiKeys, key.to_vec());
            removed += 1;
        }
        Ok(flow(removed < limit))
    })?;
    Ok((plan, removed))
}

/// An agent and all that is kept of it alone; its name is free since it was deleted.
fn agent<R: Rows>(rows: &R, tenant: TenantId, id: AgentId) -> Result<(Plan, usize), CommitError> {
    let (mut plan, at) = (Plan::default(), keys::agent(tenant, id));
    let found = rows.record::<Versioned<Agent>>(Table::Agents, &at)?;
    if found.is_none_or(|found| found.value.deleted_at.is_none()) {
        return Ok((plan, 0));
    }
    let key = KeyId::new(id.uuid());
    let key_at = keys::api_key(tenant, key);
    match rows.record::<Versioned<ApiKey>>(Table::ApiKeys, &key_at) {
        Ok(Some(found)) => {
            for secret in &found.value.secrets {
                let entry = keys::api_key_by_secret(&secret.hash, tenant, key);
                plan.remove(Table::ApiKeysBySecret, entry);
            }
            plan.remove(Table::KeyUses, key_at.clone());
            plan.remove(Table::ApiKeys, key_at);
        }
        Ok(None) => {}
        // What it would open was set aside with it.
        Err(StoreError::Quarantined) => plan.remove(Table::ApiKeys, key_at),
        Err(other) => return Err(other.into()),
    }
    rows.scan(Table::EndedWork, &keys::ended_work_of(tenant, id), Direction::Up, &mut |key, _| {
        plan.remove(Table::EndedWork, key.to_vec());
        Ok(flow(true))
    })?;
    plan.remove(Table::Vitals, at.clone());
    plan.remove(Table::Heartbeats, at.clone());
    plan.remove(Table::Agents, at);
    Ok((plan, 1))
}

/// The class that a table belongs to, and whether its rows are what people count.
const fn class_of(table: Table) -> (StoredClass, bool) {
    match table {
        Table::Sessions => (StoredClass::Sessions, true),
        Table::SessionsByStatus
        | Table::SessionCodes
        | Table::SessionsByParent
        | Table::SessionsByAwaited
        | Table::SessionsByTag
        | Table::DueSessions
        | Table::OwedChildren => (StoredClass::Sessions, false),
        Table::Attempts => (StoredClass::Attempts, true),
        Table::Checkpoints => (StoredClass::Checkpoints, true),
        Table::Attention => (StoredClass::Attention, true),
        Table::AttentionBySession | Table::AttentionDue => (StoredClass::Attention, false),
        Table::Agents => (StoredClass::Agents, true),
        Table::AgentsByName | Table::EndedWork | Table::Vitals | Table::Heartbeats => {
            (StoredClass::Agents, false)
        }
        Table::Tenants => (StoredClass::Tenants, true),
        Table::ApiKeys
        | Table::ApiKeysBySecret
        | Table::TenantsBySlug
        | Table::Users
        | Table::UsersByEmail
        | Table::UsersByIdentity
        | Table::KeysByHolder
        | Table::KeyUses => (StoredClass::Tenants, false),
        Table::Events => (StoredClass::Events, true),
        Table::EventsBySession => (StoredClass::Events, false),
        Table::Audit => (StoredClass::Audit, true),
        Table::Usage => (StoredClass::Usage, true),
        Table::UsageDays | Table::Prices | Table::LimitsTold => (StoredClass::Usage, false),
        Table::Idempotency => (StoredClass::Answers, true),
        Table::IdempotencyByExpiry => (StoredClass::Answers, false),
        Table::Journal => (StoredClass::Journals, true),
        Table::JournalHeads => (StoredClass::Journals, false),
        Table::Quarantine => (StoredClass::Damaged, true),
        Table::Webhooks => (StoredClass::Webhooks, true),
        Table::WebhookProgress | Table::Deliveries | Table::PendingDeliveries => {
            (StoredClass::Webhooks, false)
        }
        Table::Contexts => (StoredClass::Contexts, true),
        Table::ContextsByOwner
        | Table::ContextsByAge
        | Table::ContextHistory
        | Table::ContextMerges
        | Table::EndedOwners => (StoredClass::Contexts, false),
        Table::Tasks => (StoredClass::Tasks, true),
        Table::TasksById | Table::TaskBooks | Table::TaskRuns | Table::Templates => {
            (StoredClass::Tasks, false)
        }
        Table::Heads | Table::Counters | Table::Meta => (StoredClass::Other, true),
    }
}

/// What is stored, by class.
pub(super) fn usage(view: &View<'_>) -> Result<Vec<ClassUsage>, StoreError> {
    let empty = |class: &StoredClass| ClassUsage { class: *class, rows: 0, bytes: Some(0) };
    let mut all: Vec<ClassUsage> = StoredClass::ALL.iter().map(empty).collect();
    for table in Table::ALL {
        let (class, is_counted) = class_of(*table);
        let open = view.table(*table)?;
        let stats: TableStats = open.stats().map_err(failed)?;
        let Some(used) = all.iter_mut().find(|used| used.class == class) else { continue };
        if is_counted {
            used.rows += open.len().map_err(failed)?;
        }
        let bytes = stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes();
        used.bytes = used.bytes.map(|sum| sum + bytes);
    }
    Ok(all)
}
