//! Whether the clock is believed before anything is removed by it.
//!
//! A machine that wakes with a clock that is years ahead would remove all that it keeps. So it is
//! stored when the day's work was done; a clock that leapt far ahead of that is told of, and believed
//! once it has said so for a day. A server that rested for so long removes a day later.
//!
//! Invariant: by a clock that leapt no session, event, copy or removed folder is gone before it was
//! told and a day has passed. Answers for repeated requests are no more than a day old anyway.

use std::time::Duration;

use serde_json::json;

use super::{DAY, Daily, LEAP};
use crate::application::error::AppError;
use crate::application::ports::changes::{ChangeSet, Counter, CounterChange};
use crate::application::ports::reads::Fleet;
use crate::application::ports::store::StoreError;
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;

/// A server that is used so rarely is believed when it is started again after a doubt; a clock that is
/// further ahead of the doubt leapt once more.
const LONGEST_REST: Duration = Duration::from_hours(90 * 24);

/// What is thought of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It is right.
    Believed,
    /// It leapt, and nobody was told yet.
    Leapt,
    /// It leapt, and a day has not passed since that was told.
    Doubted,
}

/// What is thought of a clock that shows this time, by when the day's work was done and when the clock
/// was doubted; 0 is never.
fn judge(now: Timestamp, done: i64, doubted: i64, leap: Duration) -> Verdict {
    let since = |millis: i64| now.since(Timestamp::from_millis(millis));
    if done == 0 || since(done) <= leap {
        return Verdict::Believed;
    }
    if doubted == 0 || now.millis() < doubted || since(doubted) > LONGEST_REST {
        return Verdict::Leapt;
    }
    if since(doubted) >= DAY { Verdict::Believed } else { Verdict::Doubted }
}

/// Whether the day's work was done by this clock lately, or never.
///
/// # Errors
/// The store's.
pub async fn believes(fleet: &dyn Fleet, now: Timestamp) -> Result<bool, StoreError> {
    let done = fleet.counter(TenantId::SYSTEM, Counter::DaysWorkDone).await?;
    let leap = LEAP.unwrap_or(Duration::MAX);
    Ok(judge(now, done, 0, leap) == Verdict::Believed)
}

impl Daily {
    /// Whether what is old by the clock may be removed.
    pub(super) async fn may_remove(&self) -> Result<bool, AppError> {
        let Some(leap) = self.kept.leap else { return Ok(true) };
        let now = self.clock.now();
        let fleet = self.store.fleet().await?;
        let done = fleet.counter(TenantId::SYSTEM, Counter::DaysWorkDone).await?;
        let doubted = fleet.counter(TenantId::SYSTEM, Counter::ClockDoubted).await?;
        drop(fleet);
        let set = ChangeSet::new(TenantId::SYSTEM);
        let by = |before: i64, after: i64| CounterChange::Add(after.saturating_sub(before));
        match judge(now, done, doubted, leap) {
            Verdict::Believed => {
                let set = set.count(Counter::DaysWorkDone, by(done, now.millis()));
                self.store.commit(set.count(Counter::ClockDoubted, by(doubted, 0))).await?;
                Ok(true)
            }
            Verdict::Leapt => {
                let last = Timestamp::from_millis(done);
                let message = format!(
                    "the clock shows {now} and the day's work was last done at {last}: nothing old is removed until the clock has said so for a day; set it if it is wrong"
                );
                tracing::error!(%now, %last, "{message}");
                self.alert("CLOCK_LEAPT", &message, &json!({ "now": now, "last": last })).await?;
                let set = set.count(Counter::ClockDoubted, by(doubted, now.millis()));
                self.store.commit(set).await?;
                Ok(false)
            }
            Verdict::Doubted => {
                tracing::warn!(%now, "Nothing old is removed: the clock leapt less than a day ago");
                Ok(false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_leapt_is_believed_after_a_day() {
        let day = 86_400_000;
        let start = 20_000 * day;
        let judge = |now: i64, done: i64, doubted: i64| {
            judge(Timestamp::from_millis(now), done, doubted, DAY * 7)
        };
        assert_eq!(judge(start, 0, 0), Verdict::Believed, "the first time");
        assert_eq!(judge(start + 7 * day, start, 0), Verdict::Believed);
        assert_eq!(judge(start - 90 * day, start, 0), Verdict::Believed, "it went back");
        let late = start + 8 * day;
        assert_eq!(judge(late, start, 0), Verdict::Leapt);
        assert_eq!(judge(late + day - 1, start, late), Verdict::Doubted);
        assert_eq!(judge(late + day, start, late), Verdict::Believed);
        // What was doubted once says nothing of another leap, before or behind it.
        assert_eq!(judge(late + 91 * day, start, late), Verdict::Leapt);
        // Whoever uses the server every ten days is not doubted for ever.
        assert_eq!(judge(late + 10 * day, start, late), Verdict::Believed);
        assert_eq!(judge(late - 1, start - day, late), Verdict::Leapt);
    }
}
