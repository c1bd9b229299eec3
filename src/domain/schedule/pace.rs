//! How fast waiting sessions are given out, as observed.
//!
//! Invariant: nothing is invented: without enough fresh observations nobody can tell, and says so.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// Grants to be seen before anything is told.
const ENOUGH: u32 = 5;
/// Weight of the newest interval in the mean.
const NEWEST: f64 = 0.1;
/// A silence of so many mean intervals says that the pace no longer holds.
const STALE: f64 = 20.0;

/// The pace of a line: an exponentially weighted mean of the time between two grants out of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Pace {
    newest: Option<Timestamp>,
    mean_ms: f64,
    seen: u32,
}

impl Pace {
    /// A session that had to wait was given out.
    pub fn granted(&mut self, now: Timestamp) {
        if let Some(before) = self.newest {
            let interval = now.since(before).as_secs_f64() * 1000.0;
            let share = NEWEST.max(1.0 / f64::from(self.seen.max(1)));
            self.mean_ms += share * (interval - self.mean_ms);
        }
        self.newest = Some(now);
        self.seen = self.seen.saturating_add(1);
    }

    /// When the session at this place of the line, from 1, is expected to be given out; `None` when
    /// nobody can tell.
    #[must_use]
    pub fn expects(&self, place: usize, now: Timestamp) -> Option<Timestamp> {
        let newest = self.newest.filter(|_| self.seen >= ENOUGH)?;
        let silence = now.since(newest).as_secs_f64() * 1000.0;
        if self.mean_ms <= 0.0 || silence > self.mean_ms * STALE {
            return None;
        }
        let place = f64::from(u32::try_from(place).ok()?);
        // What has passed of the current interval counts, but the next grant is never in the past.
        let wait_ms = (place * self.mean_ms - silence).max(self.mean_ms.min(1000.0));
        let wait = Duration::try_from_secs_f64(wait_ms / 1000.0).ok()?;
        Some(now.after(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_steady_pace_is_carried_on_and_silence_ends_it() {
        let mut pace = Pace::default();
        for grant in 0..4 {
            pace.granted(at(100 + grant * 10));
            assert_eq!(pace.expects(1, at(100 + grant * 10)), None, "too few were seen");
        }
        pace.granted(at(140));
        assert_eq!(pace.expects(3, at(140)), Some(at(170)));
        assert_eq!(pace.expects(3, at(145)), Some(at(170)), "what has passed counts");
        assert!(pace.expects(1, at(155)).is_some_and(|eta| eta > at(155)), "never in the past");
        assert_eq!(pace.expects(3, at(140 + 201)), None, "it no longer holds");
    }

    #[test]
    fn a_pace_that_changes_is_followed() {
        let mut pace = Pace::default();
        let mut now = 0;
        for interval in [10; 20].into_iter().chain([20; 60]) {
            now += interval;
            pace.granted(at(now));
        }
        let eta = pace.expects(10, at(now)).expect("known");
        let wait = eta.since(at(now)).as_secs();
        assert!((195..=200).contains(&wait), "{wait}");
    }

    #[test]
    fn grants_of_one_moment_are_no_pace() {
        let mut pace = Pace::default();
        for _ in 0..50 {
            pace.granted(at(1));
        }
        assert_eq!(pace.expects(1, at(1)), None);
    }
}
