//! The order among the waiting sessions of one tenant: effective priority, slack, age, id.
//!
//! Invariant: whoever waits long enough comes first: after ten minutes for each class above it, and
//! ten more in which slack counts, only older sessions are before it.

use std::time::Duration;

use crate::domain::ids::SessionId;
use crate::domain::session::spec::Priority;
use crate::domain::time::Timestamp;

/// A wait this long lifts a session by one class, so that nothing starves.
pub const AGEING: Duration = Duration::from_mins(10);

/// What the order looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Which session.
    pub session: SessionId,
    /// As asked for.
    pub priority: Priority,
    /// How long it can wait without delaying the task graph that it belongs to; a session of no
    /// graph has none, and stands with those that cannot wait.
    pub slack: Option<Duration>,
    /// Since when it waits.
    pub queued_at: Timestamp,
}

/// The place of a waiting session at one moment; smaller comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    class: u8,
    slack_ms: u64,
    queued_at: Timestamp,
    session: SessionId,
}

impl Rank {
    /// Whose place it is.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Since when it waits.
    #[must_use]
    pub const fn queued_at(&self) -> Timestamp {
        self.queued_at
    }
}

impl Waiting {
    /// Its place at this moment.
    #[must_use]
    pub fn rank(&self, now: Timestamp) -> Rank {
        let (level, lifts) = (u64::from(self.priority.level()), self.lifts(now));
        let class = u8::try_from(level.saturating_sub(lifts)).unwrap_or(u8::MAX);
        let slack_ms = if lifts > level { 0 } else { self.slack_ms() };
        Rank { class, slack_ms, queued_at: self.queued_at, session: self.session }
    }

    /// When its place changes next by waiting alone; `None` when it never will.
    #[must_use]
    pub fn next_lift(&self, now: Timestamp) -> Option<Timestamp> {
        let (level, lifts) = (u64::from(self.priority.level()), self.lifts(now));
        let changes = lifts < level || (lifts == level && self.slack_ms() > 0);
        let next = u32::try_from(lifts + 1).ok()?;
        changes.then(|| self.queued_at.after(AGEING.saturating_mul(next)))
    }

    fn lifts(&self, now: Timestamp) -> u64 {
        now.since(self.queued_at).as_secs() / AGEING.as_secs()
    }

    fn slack_ms(&self) -> u64 {
        self.slack.map_or(0, |slack| u64::try_from(slack.as_millis()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(seconds))
    }

    fn waiting(number: u128, level: u64, since: u64, slack: Option<u64>) -> Waiting {
        Waiting {
            session: SessionId::new(Uuid::from_u128(number)),
            priority: Priority::from_level(level).expect("a level"),
            slack: slack.map(Duration::from_secs),
            queued_at: at(since),
        }
    }

    #[test]
    fn priority_then_slack_then_age_then_id() {
        let in_order = [
            waiting(9, 1, 50, None),
            waiting(8, 2, 10, Some(0)),
            waiting(7, 2, 20, None),
            waiting(5, 2, 30, None),
            waiting(6, 2, 30, None),
            waiting(4, 2, 5, Some(60)),
            waiting(3, 2, 4, Some(61)),
            waiting(2, 3, 0, None),
        ];
        assert!(in_order.is_sorted_by_key(|waiting| waiting.rank(at(100))));
    }

    #[test]
    fn each_ten_minutes_lift_a_class_and_the_last_ten_end_slack() {
        let patient = waiting(1, 2, 0, Some(3600));
        let mut now = at(0);
        let mut seen = vec![patient.rank(now)];
        while let Some(next) = patient.next_lift(now) {
            let before = Timestamp::from_millis(next.millis() - 1);
            assert_eq!(patient.rank(before), *seen.last().expect("some"), "nothing before {next}");
            now = next;
            seen.push(patient.rank(now));
        }
        assert_eq!(now, at(1800));
        assert!(seen.is_sorted_by(|earlier, later| earlier > later), "{seen:?}");
        assert!(patient.rank(now) < waiting(2, 0, 1700, None).rank(now));
        assert_eq!(waiting(3, 0, 0, None).next_lift(at(0)), None);
    }
}
