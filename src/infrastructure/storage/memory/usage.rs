//! Use in memory: records by time, roll-ups by day, prices.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;

use super::data::versioned;
use super::snapshot::{MemorySnapshot, owned};
use crate::application::ports::changes::Expect;
use crate::application::ports::store::{CommitError, StoreError};
use crate::application::ports::usage::{UsageCursor, UsageReads, UsageWrite};
use crate::domain::ids::UsageId;
use crate::domain::time::Timestamp;
use crate::domain::usage::month::{LimitsTold, counted};
use crate::domain::usage::period::{Day, Month};
use crate::domain::usage::price::PriceTable;
use crate::domain::usage::record::UsageRecord;
use crate::domain::usage::rollup::DayUsage;
use crate::domain::version::{Version, Versioned};
use crate::infrastructure::storage::shared;

/// What one tenant used.
#[derive(Clone, Default)]
pub(super) struct Used {
    records: BTreeMap<UsageCursor, Arc<UsageRecord>>,
    days: BTreeMap<Day, Arc<Versioned<DayUsage>>>,
    prices: Option<Arc<Versioned<PriceTable>>>,
    told: Option<Arc<Versioned<LimitsTold>>>,
}

impl Used {
    /// Whether a write finds what it expects.
    pub(super) fn expect(&self, write: &UsageWrite) -> Result<(), CommitError> {
        let (found, expect) = match write {
            UsageWrite::Record(record) => {
                let found = self.records.get(&(record.recorded_at, record.id));
                (found.map(|_| Version::FIRST), Expect::Absent)
            }
            UsageWrite::Day(put) => {
                (self.days.get(&put.value.day).map(|found| found.version), put.expect)
            }
            UsageWrite::Prices(put) => {
                (self.prices.as_ref().map(|found| found.version), put.expect)
            }
            UsageWrite::LimitsTold(put) => {
                (self.told.as_ref().map(|found| found.version), put.expect)
            }
        };
        shared::next_version(found, expect).map(|_| ())
    }

    /// How many records there are.
    pub(super) fn records(&self) -> usize {
        self.records.len()
    }

    /// Charged tokens and millionths of a dollar of a month.
    pub(super) fn of_month(&self, month: Month) -> (i64, i64) {
        let records = self.records.values().map(AsRef::as_ref);
        counted(records).get(&month).copied().unwrap_or_default()
    }

    /// Makes a write true.
    pub(super) fn apply(&mut self, write: UsageWrite) {
        match write {
            UsageWrite::Record(record) => {
                self.records.insert((record.recorded_at, record.id), Arc::new(record));
            }
            UsageWrite::Day(put) => {
                self.days.insert(put.value.day, Arc::new(versioned(put)));
            }
            UsageWrite::Prices(put) => self.prices = Some(Arc::new(versioned(put))),
            UsageWrite::LimitsTold(put) => self.told = Some(Arc::new(versioned(put))),
        }
    }
}

#[async_trait]
impl UsageReads for MemorySnapshot {
    async fn usage_records(
        &self,
        from: Timestamp,
        to: Timestamp,
        after: Option<UsageCursor>,
        limit: usize,
    ) -> Result<Vec<UsageRecord>, StoreError> {
        let first = (from, UsageId::from_bytes([0; 16]));
        let low = after.filter(|after| *after >= first);
        let low = low.map_or(Bound::Included(first), Bound::Excluded);
        let range = self.0.used.records.range((low, Bound::Unbounded));
        let wanted = range.take_while(|((at, _), _)| *at < to).take(limit);
        Ok(wanted.map(|(_, record)| record.as_ref().clone()).collect())
    }

    async fn usage_day(&self, day: Day) -> Result<Option<Versioned<DayUsage>>, StoreError> {
        Ok(owned(self.0.used.days.get(&day)))
    }

    async fn last_usage_day(&self) -> Result<Option<Day>, StoreError> {
        Ok(self.0.used.days.keys().next_back().copied())
    }

    async fn prices(&self) -> Result<Option<Versioned<PriceTable>>, StoreError> {
        Ok(owned(self.0.used.prices.as_ref()))
    }

    async fn limits_told(&self) -> Result<Option<Versioned<LimitsTold>>, StoreError> {
        Ok(owned(self.0.used.told.as_ref()))
    }
}
