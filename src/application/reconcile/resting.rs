//! What could not be done lately, and when it is tried again.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::time::Timestamp;

/// First rest after a failure; it doubles with every further one.
const FIRST: Duration = Duration::from_secs(1);
/// Longest rest.
const LONGEST: Duration = Duration::from_mins(5);

/// Things that failed, by name.
pub(super) struct Resting<K>(BTreeMap<K, (u32, Timestamp)>);

impl<K: Ord + Copy> Resting<K> {
    /// Nothing failed yet.
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// It failed, once more maybe: it rests for longer each time.
    pub(super) fn failed(&mut self, key: K, now: Timestamp) {
        let (failures, until) = self.0.entry(key).or_insert((0, now));
        let rest = FIRST.saturating_mul(2_u32.saturating_pow((*failures).min(16))).min(LONGEST);
        *failures += 1;
        *until = now.after(rest);
    }

    /// It waits for something that may come at any moment: it rests for so long each time.
    pub(super) fn waits(&mut self, key: K, now: Timestamp, rest: Duration) {
        self.0.insert(key, (0, now.after(rest)));
    }

    /// It was done.
    pub(super) fn done(&mut self, key: &K) {
        self.0.remove(key);
    }

    /// Whether it is too early to try it again.
    pub(super) fn rests(&self, key: &K, now: Timestamp) -> bool {
        self.0.get(key).is_some_and(|(_, until)| *until > now)
    }

    /// Things that failed when they were last tried.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets what is no longer wanted.
    pub(super) fn keep(&mut self, wanted: impl Fn(&K) -> bool) {
        self.0.retain(|key, _| wanted(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_and_end_with_success() {
        let mut resting = Resting::new();
        let at = |seconds| Timestamp::EPOCH.after(Duration::from_secs(seconds));
        assert!(!resting.rests(&1, at(0)));
        resting.failed(1, at(0));
        assert!(resting.rests(&1, at(0)) && !resting.rests(&1, at(1)));
        resting.failed(1, at(1));
        assert!(resting.rests(&1, at(2)) && !resting.rests(&1, at(3)));
        for _ in 0..40 {
            resting.failed(1, at(3));
        }
        assert!(resting.rests(&1, at(300)) && !resting.rests(&1, at(303)));
        resting.done(&1);
        assert!(!resting.rests(&1, at(3)) && resting.len() == 0);
        resting.failed(2, at(0));
        resting.keep(|key| *key == 1);
        assert_eq!(resting.len(), 0);
    }
}
