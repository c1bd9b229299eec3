//! What is done once a day: what is kept no longer goes, and counters are compared with rows.
//!
//! Each job is an idempotent scan of stored state in small steps: one that was cut off, by a kill or
//! by a full disk, is owed as before and finds what is left. A job that fails keeps no other from
//! its turn.
//!
//! Invariant: no step holds the writer for longer than one bounded batch, and no snapshot is held
//! across a commit.

pub mod leap;
mod recount;
mod retention;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::agent::AgentService;
use super::audit::AuditService;
use super::error::AppError;
use super::ports::clock::Clock;
use super::ports::store::Store;
use super::session::SessionService;
use crate::closed_enum;
use crate::domain::tenant::retention::Retention;
use crate::domain::time::Timestamp;

/// Rows that one step takes on.
const BATCH: usize = 500;
/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// When the day's work begins, after midnight UTC.
const BEGINS: Duration = Duration::from_hours(3);
const DAY: Duration = Duration::from_hours(24);
/// When jobs that were cut off are done again.
const AGAIN: Duration = Duration::from_mins(10);
/// A clock that is so far ahead is doubted.
pub const LEAP: Option<Duration> = Some(Duration::from_hours(7 * 24));

/// How long things are kept; `None` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Sessions after their end, until they are deleted.
    pub sessions: Option<Duration>,
    /// Deleted sessions, and agents that were removed, until they are gone for good.
    pub deleted_sessions: Option<Duration>,
    /// Events.
    pub events: Option<Duration>,
    /// Entries of the audit.
    pub audit: Option<Duration>,
    /// Copies of damaged records.
    pub set_aside: Option<Duration>,
    /// How far the clock may be ahead of when this was last looked at, before it is doubted; `None`
    /// for a clock that is believed whatever it says.
    pub leap: Option<Duration>,
}

impl Default for Kept {
    fn default() -> Self {
        let days = |days: u32| Some(DAY * days);
        Self {
            sessions: days(30),
            deleted_sessions: days(30),
            events: days(30),
            audit: days(365),
            set_aside: days(90),
            leap: LEAP,
        }
    }
}

impl Kept {
    /// How long tenants may have their things kept, in days.
    #[must_use]
    pub fn days(&self) -> Retention {
        let days = |kept: Option<Duration>| {
            let days = kept?.as_secs() / DAY.as_secs();
            Some(u32::try_from(days).unwrap_or(u32::MAX))
        };
        Retention {
            sessions_days: days(self.sessions),
            deleted_sessions_days: days(self.deleted_sessions),
            events_days: days(self.events),
        }
    }

    /// The same for a tenant that has some things gone earlier.
    #[must_use]
    pub fn of(self, own: Retention) -> Self {
        let Retention { sessions_days, deleted_sessions_days, events_days } = own;
        let sooner = |kept: Option<Duration>, own: Option<u32>| {
            kept.into_iter().chain(own.map(|days| DAY * days)).min()
        };
        Self {
            sessions: sooner(self.sessions, sessions_days),
            deleted_sessions: sooner(self.deleted_sessions, deleted_sessions_days),
            events: sooner(self.events, events_days),
            ..self
        }
    }
}

closed_enum!(
    /// The jobs, in their order.
    Job {
        Counters = "counters",
        Sessions = "sessions",
        Events = "events",
        Audit = "audit",
        SetAside = "set_aside",
        Browsers = "browsers",
        Agents = "agents",
    }
);

/// What is done once a day.
#[derive(Clone)]
pub struct Daily {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    sessions: SessionService,
    audit: AuditService,
    kept: Kept,
    /// Knows what is kept of agents beside the store.
    agents: Option<AgentService>,
}

impl Daily {
    /// The jobs over these services.
    #[must_use]
    pub const fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        sessions: SessionService,
        audit: AuditService,
        kept: Kept,
    ) -> Self {
        Self { store, clock, sessions, audit, kept, agents: None }
    }

    /// With the agents, of which files are kept, too.
    #[must_use]
    pub fn with_agents(self, agents: AgentService) -> Self {
        Self { agents: Some(agents), ..self }
    }

    /// Does the jobs soon after the start, since a server may never be up at their time, and then
    /// every day at 03:00 UTC, until cancelled.
    pub async fn run(self, stop: CancellationToken) {
        let mut due = self.clock.now();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.sleep(LOOK) => {}
            }
            if self.clock.now() < due {
                continue;
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                done = self.everything() => {
                    let now = self.clock.now();
                    due = if done { next_time(now) } else { now.after(AGAIN) };
                }
            }
        }
    }

    /// Does every job once, those that remove what is old only while the clock is believed; whether
    /// all of them came to their end.
    pub async fn everything(&self) -> bool {
        let mut done = true;
        let may_remove = self.may_remove().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "Nothing old is removed: it is not known when that was done last");
            done = false;
            false
        });
        for job in Job::ALL.iter().filter(|job| may_remove || **job == Job::Counters) {
            match self.job(*job).await {
                Ok(0) => {}
                Ok(count) => {
                    tracing::info!(%job, count, "The daily job {job} changed {count} rows");
                }
                Err(error) => {
                    tracing::warn!(%job, %error, "The daily job {job} was cut off; it is done again soon");
                    done = false;
                }
            }
        }
        done
    }

    /// Does one job; how many rows it changed.
    ///
    /// # Errors
    /// The store's.
    pub async fn job(&self, job: Job) -> Result<usize, AppError> {
        match job {
            Job::Sessions => self.old_sessions().await,
            Job::Events => self.old_events().await,
            Job::Audit => self.old_audit().await,
            Job::SetAside => self.old_copies().await,
            Job::Browsers => self.old_browsers().await,
            Job::Agents => self.old_agents().await,
            Job::Counters => self.recount().await,
        }
    }

    /// When what happened before is no longer kept.
    fn before(&self, kept: Option<Duration>) -> Option<Timestamp> {
        let now = self.clock.now();
        let kept = i64::try_from(kept?.as_millis()).ok()?;
        now.millis().checked_sub(kept).filter(|millis| *millis > 0).map(Timestamp::from_millis)
    }

    async fn alert(&self, code: &str, message: &str, details: &Value) -> Result<(), AppError> {
        let alert = super::system::news::alert(code, message, details);
        super::system::news::tell(self.store.as_ref(), self.clock.now(), alert).await
    }
}

/// The next time that is three hours after a midnight.
fn next_time(now: Timestamp) -> Timestamp {
    let since_midnight = now.millis().rem_euclid(86_400_000).unsigned_abs();
    let midnight = Timestamp::from_millis(now.millis() - since_midnight.cast_signed());
    let today = midnight.after(BEGINS);
    if today > now { today } else { today.after(DAY) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_time_is_at_three_and_never_now() {
        let at = |text: &str| Timestamp::parse(text).expect("a time");
        for (now, next) in [
            ("2026-02-28T02:59:59.999Z", "2026-02-28T03:00:00.000Z"),
            ("2026-02-28T03:00:00.000Z", "2026-03-01T03:00:00.000Z"),
            ("2026-12-31T23:00:00.000Z", "2027-01-01T03:00:00.000Z"),
            ("1970-01-01T00:00:00.000Z", "1970-01-01T03:00:00.000Z"),
        ] {
            assert_eq!(next_time(at(now)), at(next), "after {now}");
        }
    }
}
