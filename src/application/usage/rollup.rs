//! Sums up days: every hour what has come, and soon after midnight UTC the day that is over.
//!
//! Invariant: a roll-up is made from the records of its day alone, whatever was summed before; it
//! may be made again at any time.

use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{AT_LEAST_EVERY, UsageService};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Expect, Put, Write};
use crate::application::ports::reads::Snapshot;
use crate::application::ports::store::{CommitError, StoreError};
use crate::application::ports::usage::UsageWrite;
use crate::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;
use crate::domain::usage::period::Day;
use crate::domain::usage::record::UsageRecord;
use crate::domain::usage::rollup::{DayTally, DayUsage};

/// Time between two roll-ups.
const HOURLY: Duration = Duration::from_hours(1);
/// How long after its end a day is summed for good.
const AFTER_MIDNIGHT: Duration = Duration::from_mins(5);
/// Most days that are summed for a tenant in one pass.
const MOST_DAYS: usize = 400;
/// Records that are read at once.
const PAGE: usize = 1000;

impl UsageService {
    /// Sums up, until cancelled.
    pub(super) async fn sum_up(&self, stop: &CancellationToken) {
        loop {
            let now = self.clock.now();
            if let Err(error) = self.roll_up_all().await {
                tracing::warn!(%error, "What was used could not be summed; it is in an hour");
            }
            let due = next_due(now);
            // The clock may be set meanwhile, so it is looked at now and then.
            while (now..due).contains(&self.clock.now()) {
                let left = due.since(self.clock.now()).min(AT_LEAST_EVERY);
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = self.clock.sleep(left.max(Duration::from_millis(1))) => {}
                }
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }

    /// Sums up what has come of all tenants.
    ///
    /// # Errors
    /// The store's; the tenants that can be summed are.
    pub async fn roll_up_all(&self) -> Result<(), AppError> {
        let mut failed = None;
        for tenant in self.tenants().await? {
            if let Err(error) = self.roll_up(tenant).await {
                tracing::warn!(tenant.id = %tenant, %error, "What tenant {tenant} used could not be summed");
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Sums up the days of a tenant from the last one that was summed, and yesterday in any case. Days
    /// without records are passed over, so that neither a long rest nor a clock that is far ahead
    /// costs anything; of very many the rest comes with the next pass.
    ///
    /// # Errors
    /// The store's.
    pub async fn roll_up(&self, tenant: TenantId) -> Result<(), AppError> {
        let today = Day::of(self.clock.now());
        let last = self.store.snapshot(tenant).await?.last_usage_day().await?;
        let mut from = last.map_or(Day::from_number(0), |day| day.min(today.before()));
        for _ in 0..MOST_DAYS {
            let snapshot = self.store.snapshot(tenant).await?;
            let next = snapshot.usage_records(from.start(), today.end(), None, 1).await?;
            drop(snapshot);
            let Some(day) = next.first().map(|record| Day::of(record.recorded_at)) else { break };
            self.rebuild_day(tenant, day).await?;
            from = day.next();
        }
        Ok(())
    }

    /// Sums up a day anew, and tells of it when it changed by that.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn rebuild_day(&self, tenant: TenantId, day: Day) -> Result<(), AppError> {
        let now = self.clock.now();
        let snapshot = self.store.snapshot(tenant).await?;
        let before = snapshot.usage_day(day).await;
        let made = day_of(&*snapshot, day, now).await?;
        drop(snapshot);
        let expect = match before {
            Ok(Some(before)) if before.value.says_the_same(&made) => return Ok(()),
            Ok(Some(before)) => Expect::At(before.version),
            Ok(None) if made.rows.is_empty() => return Ok(()),
            Ok(None) => Expect::Absent,
            Err(StoreError::Quarantined) => Expect::Damaged,
            Err(other) => return Err(other.into()),
        };
        let subject = Subject { kind: SubjectKind::Tenant, id: tenant.uuid() };
        let payload = json!({ "day": day });
        let event = DomainEvent::new(EventType::UsageRollupCompleted, subject, now, payload);
        let put = Put { expect, value: made };
        let set = ChangeSet::new(tenant).write(Write::Usage(UsageWrite::Day(put))).events([event]);
        match self.store.commit(set).await {
            // Somebody else has just summed it.
            Ok(_) | Err(CommitError::Stale) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The next full hour, or five past midnight when that comes first.
fn next_due(now: Timestamp) -> Timestamp {
    let hour = i64::try_from(HOURLY.as_millis()).unwrap_or(i64::MAX);
    let next_hour = Timestamp::from_millis((now.millis() / hour + 1) * hour);
    let midnight = Day::of(now).start().after(AFTER_MIDNIGHT);
    if now < midnight { midnight } else { next_hour }
}

/// A day as its records say.
pub(super) async fn day_of(
    snapshot: &dyn Snapshot,
    day: Day,
    now: Timestamp,
) -> Result<DayUsage, StoreError> {
    let mut tally = DayTally::default();
    let add = |record: &UsageRecord| {
        tally.add(record);
        ControlFlow::Continue(())
    };
    each_record(snapshot, day.start(), day.end(), add).await?;
    Ok(tally.finish(day, now))
}

/// Shows every record of a span, oldest first, until told to stop.
pub(super) async fn each_record(
    snapshot: &dyn Snapshot,
    from: Timestamp,
    to: Timestamp,
    mut show: impl FnMut(&UsageRecord) -> ControlFlow<()>,
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = snapshot.usage_records(from, to, after, PAGE).await?;
        if page.iter().try_for_each(&mut show).is_break() {
            return Ok(());
        }
        match page.last() {
            Some(last) => after = Some((last.recorded_at, last.id)),
            None => return Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_summed_hourly_and_soon_after_midnight() {
        for (now, due) in [
            ("2026-11-21T12:34:56.789Z", "2026-11-21T13:00:00.000Z"),
            ("2026-11-21T13:00:00.000Z", "2026-11-21T14:00:00.000Z"),
            ("2026-11-30T23:59:59.999Z", "2026-12-01T00:00:00.000Z"),
            ("2026-12-01T00:00:00.000Z", "2026-12-01T00:05:00.000Z"),
            ("2026-12-01T00:05:00.000Z", "2026-12-01T01:00:00.000Z"),
        ] {
            let now = Timestamp::parse(now).expect("a time");
            assert_eq!(next_due(now).to_string(), due);
        }
    }
}
