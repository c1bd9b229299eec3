//! What the store keeps of use: the records, their roll-ups by day, the prices, and what was told.

use async_trait::async_trait;

use super::changes::Put;
use super::store::StoreError;
use crate::domain::ids::{TenantId, UsageId};
use crate::domain::time::Timestamp;
use crate::domain::usage::month::LimitsTold;
use crate::domain::usage::period::Day;
use crate::domain::usage::price::PriceTable;
use crate::domain::usage::record::UsageRecord;
use crate::domain::usage::rollup::DayUsage;
use crate::domain::version::Versioned;

/// One write about use.
#[derive(Debug, Clone, PartialEq)]
pub enum UsageWrite {
    /// A record; never changed once written, so it always expects absence.
    Record(UsageRecord),
    /// The roll-up of a day.
    Day(Put<DayUsage>),
    /// The prices.
    Prices(Put<PriceTable>),
    /// What the tenant was told of the bounds of its month.
    LimitsTold(Put<LimitsTold>),
}

impl UsageWrite {
    /// The tenant that the value names; `None` when it names none.
    #[must_use]
    pub const fn tenant(&self) -> Option<TenantId> {
        match self {
            Self::Record(record) => Some(record.tenant_id),
            Self::Day(_) | Self::Prices(_) | Self::LimitsTold(_) => None,
        }
    }

    /// The record that it writes: one change set writes each once.
    #[must_use]
    pub const fn record(&self) -> (u8, Option<UsageId>, Option<Day>) {
        match self {
            Self::Record(record) => (0, Some(record.id), None),
            Self::Day(put) => (1, None, Some(put.value.day)),
            Self::Prices(_) => (2, None, None),
            Self::LimitsTold(_) => (3, None, None),
        }
    }
}

/// Where a page of records ended.
pub type UsageCursor = (Timestamp, UsageId);

/// What a tenant used.
#[async_trait]
pub trait UsageReads: Send + Sync {
    /// Records from this instant to before that one, oldest first, behind a cursor; damaged ones
    /// are left out.
    async fn usage_records(
        &self,
        from: Timestamp,
        to: Timestamp,
        after: Option<UsageCursor>,
        limit: usize,
    ) -> Result<Vec<UsageRecord>, StoreError>;
    /// The roll-up of a day.
    async fn usage_day(&self, day: Day) -> Result<Option<Versioned<DayUsage>>, StoreError>;
    /// The newest day that was ever rolled up.
    async fn last_usage_day(&self) -> Result<Option<Day>, StoreError>;
    /// The prices; `None` before any were set.
    async fn prices(&self) -> Result<Option<Versioned<PriceTable>>, StoreError>;
    /// What the tenant was told of the bounds of its month; `None` before the first time.
    async fn limits_told(&self) -> Result<Option<Versioned<LimitsTold>>, StoreError>;
}
