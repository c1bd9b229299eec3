//! Plans that are no change sets: appending to the journal, forgetting answers, setting aside.

use serde_json::json;

use super::counters;
use super::keys;
use super::plan::{self, Plan};
use super::records::{Chunk, MAX_ENTRY_BYTES, Number, Quarantined};
use super::rows::{Direction, Rows, flow};
use super::tables::Table;
use crate::application::ports::changes::Counter;
use crate::application::ports::clock::Ids;
use crate::application::ports::journal::{Appended, Entry, NewEntry, Stream};
use crate::application::ports::store::{CommitError, StoreError};
use crate::domain::audit::{Actor, AuditEntry};
use crate::domain::canonical::hex;
use crate::domain::event::{Subject, SubjectKind};
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::time::Timestamp;

/// A chunk is closed beyond this many bytes of bodies, so that reading a page stays cheap.
const CHUNK_BYTES: usize = 256 * 1024;
/// A chunk is closed at this many entries.
const CHUNK_ENTRIES: usize = 512;

/// Entries for one stream.
pub(super) struct Append {
    pub(super) tenant: TenantId,
    pub(super) session: SessionId,
    pub(super) stream: Stream,
    pub(super) entries: Vec<NewEntry>,
}

/// Numbers the entries and packs them into chunks.
pub(super) fn append<R: Rows>(rows: &R, append: Append) -> Result<(Plan, Appended), CommitError> {
    let Append { tenant, session, stream, entries } = append;
    let head = keys::stream(tenant, session, stream);
    let last = rows.record(Table::JournalHeads, &head)?.map_or(0, |Number(last)| last);
    let heavy = keys::journal_weight(tenant, session);
    let mut weight = rows.record(Table::JournalHeads, &heavy)?.map_or(0, |Number(weight)| weight);
    let before = weight;
    for entry in &entries {
        weight = weight.saturating_add(i64::try_from(entry.weight()).unwrap_or(i64::MAX));
    }
    let first = u64::try_from(last).unwrap_or(0) + 1;
    let entries: Vec<Entry> = (first..)
        .zip(entries)
        .map(|(seq, NewEntry { at, kind, body })| Entry { seq, at, kind, body })
        .collect();
    let mut plan = Plan::default();
    let (mut chunk, mut bytes) = (Vec::new(), 0);
    for entry in &entries {
        let size = entry.kind.len() + entry.body.to_string().len();
        if size > MAX_ENTRY_BYTES {
            return Err(CommitError::TooLarge);
        }
        if !chunk.is_empty() && (bytes + size > CHUNK_BYTES || chunk.len() >= CHUNK_ENTRIES) {
            close(&mut plan, (tenant, session, stream), std::mem::take(&mut chunk))?;
            bytes = 0;
        }
        bytes += size;
        chunk.push(entry.clone());
    }
    close(&mut plan, (tenant, session, stream), chunk)?;
    if let Some(newest) = entries.last() {
        plan.last_seq = newest.seq;
        let number = Number(i64::try_from(newest.seq).unwrap_or(i64::MAX));
        plan.insert(Table::JournalHeads, head, &number)?;
        plan.insert(Table::JournalHeads, heavy, &Number(weight))?;
        // A damaged one is what the rows say, until the next commit that counts writes it anew.
        if let Some(stored) = counters::stored(rows, tenant, Counter::StoredBytes)? {
            let key = keys::counter(tenant, Counter::StoredBytes);
            let after = stored.saturating_add(weight - before);
            plan.insert(Table::Counters, key, &Number(after))?;
        }
    }
    Ok((plan, Appended { tenant, session, stream, entries }))
}

fn close(
    plan: &mut Plan,
    (tenant, session, stream): (TenantId, SessionId, Stream),
    entries: Vec<Entry>,
) -> Result<(), CommitError> {
    let Some(first) = entries.first().map(|entry| entry.seq) else { return Ok(()) };
    plan.insert(Table::Journal, keys::chunk(tenant, session, stream, first), &Chunk { entries })
}

/// Removes answers whose time is over; returns how many.
pub(super) fn forget<R: Rows>(
    rows: &R,
    now: Timestamp,
    limit: usize,
) -> Result<(Plan, usize), CommitError> {
    let mut plan = Plan::default();
    let mut forgotten = 0;
    let mut tenant = first_tenant(rows, &keys::everything())?;
    while let Some(current) = tenant {
        let span = keys::expired(current, now);
        for expiry in rows.keys(Table::IdempotencyByExpiry, &span, limit - forgotten)? {
            if let Some(key) = expiry.last_chunk::<32>() {
                plan.remove(Table::Idempotency, keys::remembered(current, key));
                forgotten += 1;
            }
            plan.remove(Table::IdempotencyByExpiry, expiry);
        }
        let rest = keys::behind_tenant(current).filter(|_| forgotten < limit);
        tenant = rest.map(|rest| first_tenant(rows, &rest)).transpose()?.flatten();
    }
    Ok((plan, forgotten))
}

fn first_tenant<R: Rows>(rows: &R, span: &keys::Span) -> Result<Option<TenantId>, StoreError> {
    let mut found = None;
    rows.scan(Table::IdempotencyByExpiry, span, Direction::Up, &mut |key, _| {
        found = keys::tenant_of(key);
        Ok(flow(false))
    })?;
    Ok(found)
}

/// Keeps a copy of a damaged record and puts it on record; `None` when it was kept before.
pub(super) fn set_aside<R: Rows>(
    rows: &R,
    ids: &dyn Ids,
    table: Table,
    damage: &Quarantined,
) -> Result<Option<Plan>, CommitError> {
    let number = u8::try_from(table.index()).unwrap_or(u8::MAX);
    let key = keys::quarantine(number, &damage.key);
    if rows.bytes(Table::Quarantine, &key)?.is_some() {
        return Ok(None);
    }
    // Keys of these do not begin with a tenant.
    let shared = matches!(
        table,
        Table::ApiKeysBySecret | Table::TenantsBySlug | Table::Quarantine | Table::Meta
    );
    let owner = keys::tenant_of(&damage.key).filter(|_| !shared);
    let entry = AuditEntry {
        at: Timestamp::from_millis(damage.found_at_ms),
        actor: Actor::plain("system", "store"),
        action: "quarantine".to_owned(),
        subject: Subject { kind: SubjectKind::System, id: uuid::Uuid::nil() },
        ok: true,
        reason: Some(damage.reason.clone()),
        before: Some(json!({ "table": damage.table, "key": hex(&damage.key) })),
        after: None,
        request_id: None,
    };
    // When the audit's own head is what is damaged, the copy is kept all the same.
    let audited = plan::audit(rows, ids, owner.unwrap_or(TenantId::BOOTSTRAP), entry);
    let mut plan = audited.unwrap_or_else(|error| {
        tracing::error!(%error, "A damaged record is set aside without an entry in the audit");
        Plan::default()
    });
    plan.insert(Table::Quarantine, key, damage)?;
    Ok(Some(plan))
}
