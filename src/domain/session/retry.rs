//! When a failed session is tried again, and after how long.

use std::time::Duration;

/// How often and how patiently a session is retried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Retries after the first attempt, 0–10.
    pub max_retries: u32,
    /// Delay before the first retry, 0–3600.
    pub initial_backoff_seconds: u32,
    /// Each further delay is this many times the one before, 1–10.
    pub backoff_factor: f64,
    /// No delay is longer, 0–86400.
    pub max_backoff_seconds: u32,
    /// Share by which a delay varies either way, 0–1.
    pub jitter: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 3,
            initial_backoff_seconds: 5,
            backoff_factor: 2.0,
            max_backoff_seconds: 300,
            jitter: 0.2,
        }
    }
}

impl RetryPolicy {
    /// Delay before retry `n` (1, 2, …); `chance` in 0–1 places it within the jitter.
    ///
    /// Source: domain 1.8.
    #[must_use]
    pub fn delay(&self, n: u32, chance: f64) -> Duration {
        let power = f64::from(n.saturating_sub(1).min(64));
        let base = f64::from(self.initial_backoff_seconds) * self.backoff_factor.powf(power);
        let spread = 1.0 - self.jitter + 2.0 * self.jitter * chance.clamp(0.0, 1.0);
        Duration::from_secs_f64((base.min(f64::from(self.max_backoff_seconds)) * spread).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_default_delays_are_5_10_and_20_seconds() {
        let policy = RetryPolicy::default();
        let middle: Vec<u64> = (1..=3).map(|n| policy.delay(n, 0.5).as_secs()).collect();
        assert_eq!(middle, [5, 10, 20]);
    }

    proptest! {
        #[test]
        fn a_delay_stays_within_the_jitter_and_the_ceiling(n in 1..200u32, chance in 0.0..1.0f64) {
            let policy = RetryPolicy::default();
            let delay = policy.delay(n, chance).as_secs_f64();
            let middle = policy.delay(n, 0.5).as_secs_f64();
            prop_assert!(delay >= middle * 0.8 - 1e-6 && delay <= middle * 1.2 + 1e-6);
            prop_assert!(middle <= 300.0);
        }
    }
}
