//! Clocks: the machine's, made steady, and one that is moved by hand.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use crate::application::ports::clock::Clock;
use crate::domain::time::Timestamp;

/// Wall time as it was at start, plus what the monotonic clock has counted since.
pub struct SystemClock {
    wall_at_start: Timestamp,
    started: Instant,
}

impl SystemClock {
    /// A clock that begins with the wall time of this moment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the adapter that the rule points to")]
    pub fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX);
        Self { wall_at_start: Timestamp::from_millis(millis), started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.wall_at_start.after(self.started.elapsed())
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A clock that stands still until it is moved; who sleeps wakes when it passes them.
///
/// Invariant: sleepers wake in the order of their instants, and of asking when these are equal.
pub struct ManualClock {
    state: Mutex<Moments>,
}

struct Moments {
    now: Timestamp,
    asked: u64,
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
}

impl ManualClock {
    /// A clock that shows this instant.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self { state: Mutex::new(Moments { now, asked: 0, sleepers: BTreeMap::new() }) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, duration: Duration) {
        let until = self.lock().now.after(duration);
        self.advance_to(until);
    }

    /// Moves the clock forward to an instant; it never goes back.
    pub fn advance_to(&self, until: Timestamp) {
        let mut state = self.lock();
        state.now = state.now.max(until);
        while let Some(entry) = state.sleepers.first_entry() {
            if entry.key().0 > until {
                break;
            }
            // A sleeper that gave up needs no waking.
            entry.remove().send(()).ok();
        }
    }

    /// The earliest instant that somebody still sleeps for: where a simulation goes next.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        let mut state = self.lock();
        state.sleepers.retain(|_, sleeper| !sleeper.is_closed());
        state.sleepers.keys().next().map(|(at, _)| *at)
    }

    fn lock(&self) -> MutexGuard<'_, Moments> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut state = self.lock();
        let at = state.now.after(duration);
        if duration.is_zero() {
            return Box::pin(std::future::ready(()));
        }
        let (wake, woken) = oneshot::channel();
        state.asked += 1;
        let key = (at, state.asked);
        state.sleepers.insert(key, wake);
        Box::pin(async move {
            // The sender lives as long as the clock; either way there is nothing to wait for.
            woken.await.ok();
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn sleepers_wake_when_the_clock_passes_them_and_not_before() {
        let clock = ManualClock::new(Timestamp::EPOCH);
        let short = clock.sleep(Duration::from_secs(1));
        let mut long = clock.sleep(Duration::from_secs(3));
        assert_eq!(clock.next_wake(), Some(Timestamp::from_millis(1000)));
        clock.advance(Duration::from_secs(2));
        short.await;
        assert_eq!(clock.now(), Timestamp::from_millis(2000));
        let still_asleep = futures_util::poll!(&mut long).is_pending();
        assert!(still_asleep);
        clock.advance_to(Timestamp::from_millis(3000));
        long.await;
        assert_eq!(clock.next_wake(), None);
    }

    #[tokio::test]
    async fn the_clock_never_goes_back_and_forgets_who_gave_up() {
        let clock = ManualClock::new(Timestamp::from_millis(5));
        drop(clock.sleep(Duration::from_secs(1)));
        assert_eq!(clock.next_wake(), None);
        clock.advance_to(Timestamp::EPOCH);
        assert_eq!(clock.now(), Timestamp::from_millis(5));
        clock.sleep(Duration::ZERO).await;
    }
}
