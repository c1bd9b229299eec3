//! Use in the embedded store: records by time, roll-ups by day, prices, and what was told of bounds.
//!
//! Invariant: a record stands under its moment, so that a day or a month is one range of keys.

use async_trait::async_trait;

use super::keys;
use super::plan::Planner;
use super::rows::{Direction, Rows, flow};
use super::snapshot::RedbSnapshot;
use super::tables::Table;
use crate::application::ports::store::{CommitError, StoreError};
use crate::application::ports::usage::{UsageCursor, UsageReads, UsageWrite};
use crate::domain::time::Timestamp;
use crate::domain::usage::month::LimitsTold;
use crate::domain::usage::period::Day;
use crate::domain::usage::price::PriceTable;
use crate::domain::usage::record::UsageRecord;
use crate::domain::usage::rollup::DayUsage;
use crate::domain::version::Versioned;

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
                self.put_over(Table::UsageDays, key, put)
            }
            UsageWrite::Prices(put) => self.put_over(Table::Prices, keys::tenant(tenant), put),
            UsageWrite::LimitsTold(put) => {
                self.put_over(Table::LimitsTold, keys::tenant(tenant), put)
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
    async fn limits_told(&self) -> Result<Option<Versioned<LimitsTold>>, StoreError> {
        let key = keys::tenant(self.tenant);
        self.reader.read(|view| view.record(Table::LimitsTold, &key))
    }
}
