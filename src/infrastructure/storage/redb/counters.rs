//! Counters: what is stored, and what the rows say where that cannot be read.
//!
//! Invariant: a damaged counter of rows is what its rows say, to whoever asks and in every commit;
//! the first commit that changes it writes it anew. Numbers that count no rows cannot be made up.

use std::sync::Arc;

use super::handle::{Reader, blocking};
use super::keys;
use super::records::Number;
use super::rows::{Direction, Rows, View, decode, flow};
use super::tables::Table;
use crate::application::ports::changes::Counter;
use crate::application::ports::reads::Recount;
use crate::application::ports::store::StoreError;
use crate::domain::ids::TenantId;
use crate::domain::session::status::SessionStatus;
use crate::domain::tenant::key::ApiKey;
use crate::domain::usage::period::Month;
use crate::domain::usage::record::UsageRecord;
use crate::domain::version::Versioned;

/// A counter as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// The number.
    pub(super) value: i64,
    /// Whether it is stored so; else it was counted.
    pub(super) is_stored: bool,
}

/// What is stored; `None` for what is damaged.
pub(super) fn stored<R: Rows>(
    rows: &R,
    tenant: TenantId,
    counter: Counter,
) -> Result<Option<i64>, StoreError> {
    match rows.record(Table::Counters, &keys::counter(tenant, counter)) {
        Ok(found) => Ok(Some(found.map_or(0, |Number(value)| value))),
        Err(StoreError::Quarantined) => Ok(None),
        Err(other) => Err(other),
    }
}

/// A counter, counted where it is damaged.
pub(super) fn standing<R: Rows>(
    rows: &R,
    tenant: TenantId,
    counter: Counter,
) -> Result<Standing, StoreError> {
    if let Some(value) = stored(rows, tenant, counter)? {
        return Ok(Standing { value, is_stored: true });
    }
    // A mark of time that cannot be read is as if it had never been set.
    let is_mark = matches!(counter, Counter::DaysWorkDone | Counter::ClockDoubted);
    let value = in_rows(rows, tenant, counter)?.or(is_mark.then_some(0));
    let value = value.ok_or(StoreError::Quarantined)?;
    Ok(Standing { value, is_stored: false })
}

/// A counter, for a reader; rows are counted on the blocking pool.
pub(super) async fn read(
    reader: &Arc<Reader>,
    tenant: TenantId,
    counter: Counter,
) -> Result<i64, StoreError> {
    if let Some(value) = reader.read(|view| stored(view, tenant, counter))? {
        return Ok(value);
    }
    let standing = move |view: &View<'_>| standing(view, tenant, counter);
    Ok(blocking(Arc::clone(reader), standing).await?.value)
}

/// A counter beside what the rows say; `None` for one that counts no rows.
pub(super) fn recount<R: Rows>(
    rows: &R,
    tenant: TenantId,
    counter: Counter,
) -> Result<Option<Recount>, StoreError> {
    let Some(in_rows) = in_rows(rows, tenant, counter)? else { return Ok(None) };
    Ok(Some(Recount { stored: stored(rows, tenant, counter)?, counted: in_rows }))
}

/// What the rows say; `None` for a counter of none.
fn in_rows<R: Rows>(
    rows: &R,
    tenant: TenantId,
    counter: Counter,
) -> Result<Option<i64>, StoreError> {
    let in_status = |status: SessionStatus| {
        count(rows, Table::SessionsByStatus, &keys::in_status(tenant, status))
    };
    Ok(Some(match counter {
        Counter::OpenSessions => {
            let mut open = 0;
            for status in SessionStatus::ALL.iter().filter(|status| status.is_open()) {
                open += in_status(*status)?;
            }
            open
        }
        Counter::SessionsIn(status) => in_status(status)?,
        Counter::Agents => count(rows, Table::AgentsByName, &keys::agent_names(tenant))?,
        Counter::Webhooks => count(rows, Table::Webhooks, &keys::webhooks(tenant))?,
        Counter::ApiKeys => usable_keys(rows, tenant)?,
        Counter::Users => count(rows, Table::Users, &keys::users(tenant))?,
        Counter::MonthTokens(month) => used(rows, tenant, month)?.0,
        Counter::MonthMicros(month) => used(rows, tenant, month)?.1,
        Counter::StoredBytes => stored_bytes(rows, tenant)?,
        Counter::SessionCodes
        | Counter::FencingTokens
        | Counter::DaysWorkDone
        | Counter::ClockDoubted => return Ok(None),
    }))
}

/// Keys that have their place; a damaged one may be one of them.
fn usable_keys<R: Rows>(rows: &R, tenant: TenantId) -> Result<i64, StoreError> {
    let mut usable = 0;
    let span = keys::api_keys(tenant);
    rows.scan(Table::ApiKeys, &span, Direction::Up, &mut |key, bytes| {
        let found = decode::<Versioned<ApiKey>>(rows.shared(), Table::ApiKeys, key, bytes);
        match found {
            Ok(found) => usable += i64::from(found.value.is_counted()),
            Err(StoreError::Quarantined) => usable += 1,
            Err(other) => return Err(other),
        }
        Ok(flow(true))
    })?;
    Ok(usable)
}

/// Charged tokens and millionths of a dollar of a month; a damaged record counts nothing.
fn used<R: Rows>(rows: &R, tenant: TenantId, month: Month) -> Result<(i64, i64), StoreError> {
    let mut sums = (0_i64, 0_i64);
    let span = keys::due_between(tenant, month.start(), month.end());
    rows.scan(Table::Usage, &span, Direction::Up, &mut |key, bytes| {
        match decode::<UsageRecord>(rows.shared(), Table::Usage, key, bytes) {
            Ok(record) => {
                sums.0 = sums.0.saturating_add(record.charged_tokens());
                sums.1 = sums.1.saturating_add(record.charged_micros());
            }
            Err(StoreError::Quarantined) => {}
            Err(other) => return Err(other),
        }
        Ok(flow(true))
    })?;
    Ok(sums)
}

/// Bytes of checkpoints and contexts as they lie there, and what journals weigh; a damaged weight is nothing.
fn stored_bytes<R: Rows>(rows: &R, tenant: TenantId) -> Result<i64, StoreError> {
    let mut bytes = checkpoint_bytes(rows, &keys::all_checkpoints(tenant))?;
    for (table, span) in [
        (Table::Contexts, keys::contexts(tenant)),
        (Table::ContextHistory, keys::context_histories(tenant)),
        (Table::ContextMerges, keys::contexts(tenant)),
    ] {
        bytes = bytes.saturating_add(bytes_in(rows, table, &span)?);
    }
    let heads = keys::journal_heads(tenant);
    rows.scan(Table::JournalHeads, &heads, Direction::Up, &mut |key, value| {
        if keys::is_journal_weight(key) {
            match decode::<Number>(rows.shared(), Table::JournalHeads, key, value) {
                Ok(Number(weight)) => bytes = bytes.saturating_add(weight),
                Err(StoreError::Quarantined) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(flow(true))
    })?;
    Ok(bytes)
}

/// Bytes of the checkpoints in a span.
pub(super) fn checkpoint_bytes<R: Rows>(rows: &R, span: &keys::Span) -> Result<i64, StoreError> {
    bytes_in(rows, Table::Checkpoints, span)
}

fn bytes_in<R: Rows>(rows: &R, table: Table, span: &keys::Span) -> Result<i64, StoreError> {
    let mut bytes = 0_i64;
    rows.scan(table, span, Direction::Up, &mut |_, value| {
        bytes = bytes.saturating_add(i64::try_from(value.len()).unwrap_or(i64::MAX));
        Ok(flow(true))
    })?;
    Ok(bytes)
}

fn count<R: Rows>(rows: &R, table: Table, span: &keys::Span) -> Result<i64, StoreError> {
    let mut count = 0;
    rows.scan(table, span, Direction::Up, &mut |_, _| {
        count += 1;
        Ok(flow(true))
    })?;
    Ok(count)
}
