//! Use in the embedded store: records by time, roll-ups by day, prices, and what the counters of a
//! month must say.
//!
//! Invariant: a record stands under its moment, so that a day or a month is one range of keys.

use async_trait::async_trait;

use super::keys::{self, Key};
use super::medium::OpenError;
use super::plan::Planner;
use super::records;
use super::rows::{Direction, Rows, bounds, flow};
use super::snapshot::RedbSnapshot;
use super::tables::Table;
use crate::application::ports::changes::Counter;
use crate::application::ports::store::{CommitError, StoreError};
use crate::application::ports::usage::{UsageCursor, UsageReads, UsageWrite};
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;
use crate::domain::usage::month::counted;
use crate::domain::usage::period::{Day, Month};
use crate::domain::usage::price::PriceTable;
use crate::domain::usage::record::UsageRecord;
use crate::domain::usage::rollup::DayUsage;
use crate::domain::version::Versioned;

/// Records that are summed at once.
const BATCH: usize = 4096;

impl<R: Rows> Planner<'_, R> {
    /// The plan of one write about use.
    pub(super) fn put_usage(&mut self, write: UsageWrite) -> Result<(), CommitError> {
        let tenant = self.tenant;
        match write {
            UsageWrite::Record(record) => {
                let key = keys::due(tenant, record.recorded_at, *record.id.as_bytes());
                if self.rows.bytes(Table::Usage, &key)?.is_some() {
                    return Err(CommitError::Stale);
                }
                self.plan.insert(Table::Usage, key, &record)
            }
            UsageWrite::Day(put) => {
                let key = keys::day(tenant, put.value.day);
                self.put(Table::UsageDays, key, put).map(|_| ())
            }
            UsageWrite::Prices(put) => {
                self.put(Table::Prices, keys::tenant(tenant), put).map(|_| ())
            }
        }
    }
}

#[async_trait]
impl UsageReads for RedbSnapshot {
    async fn usage_records(
        &self,
        from: Timestamp,
        to: Timestamp,
        after: Option<UsageCursor>,
        limit: usize,
    ) -> Result<Vec<UsageRecord>, StoreError> {
        let mut span = keys::due_between(self.tenant, from, to);
        if let Some((at, id)) = after {
            span = span.above(keys::due(self.tenant, at, *id.as_bytes()));
        }
        self.range(move |view| view.records(Table::Usage, &span, limit)).await
    }

    async fn usage_day(&self, day: Day) -> Result<Option<Versioned<DayUsage>>, StoreError> {
        let key = keys::day(self.tenant, day);
        self.reader.read(|view| view.record(Table::UsageDays, &key))
    }

    async fn last_usage_day(&self) -> Result<Option<Day>, StoreError> {
        let span = keys::days(self.tenant);
        self.reader.read(|view| {
            let mut last = None;
            view.scan(Table::UsageDays, &span, Direction::Down, &mut |key, _| {
                last = keys::day_of(key);
                Ok(flow(false))
            })?;
            Ok(last)
        })
    }

    async fn prices(&self) -> Result<Option<Versioned<PriceTable>>, StoreError> {
        let key = keys::tenant(self.tenant);
        self.reader.read(|view| view.record(Table::Prices, &key))
    }
}

type Open = redb::ReadOnlyTable<&'static [u8], &'static [u8]>;

/// What the counters of this month and the one before must say, by the records of a tenant. Nothing
/// looks at the counters of earlier ones. A damaged record counts nothing.
pub(super) fn recounted(
    usage: &Open,
    tenant: TenantId,
    now: Timestamp,
) -> Result<Vec<(Key, i64)>, OpenError> {
    let this = Month::of(now);
    let mut expected = Vec::new();
    for month in [this.before(), this] {
        let (mut tokens, mut micros) = (0_i64, 0_i64);
        let span = keys::due_between(tenant, month.start(), month.end());
        let mut batch: Vec<UsageRecord> = Vec::new();
        let mut add = |batch: &mut Vec<UsageRecord>| {
            for (more_tokens, more_micros) in counted(&*batch).into_values() {
                tokens = tokens.saturating_add(more_tokens);
                micros = micros.saturating_add(more_micros);
            }
            batch.clear();
        };
        for row in usage.range::<&[u8]>(bounds(&span)).map_err(OpenError::failed)? {
            let (key, value) = row.map_err(OpenError::failed)?;
            batch.extend(records::open::<UsageRecord>(key.value(), value.value()));
            if batch.len() == BATCH {
                add(&mut batch);
            }
        }
        add(&mut batch);
        expected.push((keys::counter(tenant, Counter::MonthTokens(month)), tokens));
        expected.push((keys::counter(tenant, Counter::MonthMicros(month)), micros));
    }
    Ok(expected)
}
