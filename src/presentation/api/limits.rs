//! How fast a key may ask, and how often a peer may fail to say who it is.
//!
//! Invariant: both tables are bounded; what is forgotten first is what has recovered already.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::domain::ids::{KeyId, TenantId};
use crate::domain::time::Timestamp;

/// Entries that a table holds before it sheds those that have recovered.
const MAX_ENTRIES: usize = 10_000;
/// Failed authentications of one peer within a minute.
const FAILURES_PER_MINUTE: u32 = 10;

/// What is left after a request was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Requests at once.
    pub burst: u32,
    /// Requests that could be sent now.
    pub left: u32,
    /// Seconds until the whole burst is there again.
    pub reset: u64,
}

/// Token buckets per tenant and key.
pub struct Rates {
    rate: Option<(u32, u32)>,
    buckets: Mutex<HashMap<(TenantId, KeyId), Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    /// Thousandths of a request.
    milli: u64,
    at: Timestamp,
}

impl Rates {
    /// Buckets of this burst and refill per second; `None` counts nothing.
    #[must_use]
    pub fn new(rate: Option<(u32, u32)>) -> Self {
        Self { rate, buckets: Mutex::default() }
    }

    /// Takes one request from the bucket; `Err` with the seconds to wait when it is empty.
    ///
    /// # Errors
    /// Seconds until the next request is accepted.
    pub fn take(
        &self,
        tenant: TenantId,
        key: KeyId,
        now: Timestamp,
    ) -> Result<Option<Allowance>, u64> {
        let Some((burst, per_second)) = self.rate else { return Ok(None) };
        let (full, refill) = (u64::from(burst) * 1000, u64::from(per_second.max(1)));
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        shed(&mut buckets, |bucket| filled(bucket, refill, full, now) < full);
        let bucket = buckets.entry((tenant, key)).or_insert(Bucket { milli: full, at: now });
        bucket.milli = filled(bucket, refill, full, now);
        bucket.at = now;
        if bucket.milli < 1000 {
            return Err((1000 - bucket.milli).div_ceil(refill * 1000).max(1));
        }
        bucket.milli -= 1000;
        let left = u32::try_from(bucket.milli / 1000).unwrap_or(burst);
        Ok(Some(Allowance { burst, left, reset: (full - bucket.milli).div_ceil(refill * 1000) }))
    }
}

fn filled(bucket: &Bucket, refill: u64, full: u64, now: Timestamp) -> u64 {
    let elapsed = u64::try_from(now.since(bucket.at).as_millis()).unwrap_or(u64::MAX);
    bucket.milli.saturating_add(elapsed.saturating_mul(refill)).min(full)
}

fn shed<K: Hash + Eq, V>(entries: &mut HashMap<K, V>, matters: impl Fn(&V) -> bool) {
    if entries.len() >= MAX_ENTRIES {
        entries.retain(|_, entry| matters(entry));
        if entries.len() >= MAX_ENTRIES {
            entries.clear();
        }
    }
}

/// Failed authentications per peer, by fixed windows of a minute.
#[derive(Default)]
pub struct Failures(Mutex<HashMap<IpAddr, (Timestamp, u32)>>);

impl Failures {
    /// Seconds that this peer has to wait before it may try again.
    #[must_use]
    pub fn wait(&self, peer: IpAddr, now: Timestamp) -> Option<u64> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, count) = failures.get(&peer)?;
        let elapsed = now.since(*since).as_secs();
        (*count >= FAILURES_PER_MINUTE && elapsed < 60).then(|| 60 - elapsed)
    }

    /// Counts a failure.
    pub fn count(&self, peer: IpAddr, now: Timestamp) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shed(&mut failures, |(since, _)| now.since(*since).as_secs() < 60);
        let entry = failures.entry(peer).or_insert((now, 0));
        if now.since(entry.0).as_secs() >= 60 {
            *entry = (now, 0);
        }
        entry.1 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let rates = Rates::new(Some((2, 1)));
        let (key, at) = (KeyId::new(uuid::Uuid::nil()), Timestamp::from_millis);
        let take = |now| rates.take(TenantId::BOOTSTRAP, key, at(now));
        assert_eq!(take(0).map(|left| left.map(|left| left.left)), Ok(Some(1)));
        assert!(take(0).is_ok());
        assert_eq!(take(0), Err(1));
        assert!(take(1000).is_ok());
        assert_eq!(take(1000), Err(1));
    }

    #[test]
    fn the_tenth_failure_closes_the_door_for_the_rest_of_the_minute() {
        let failures = Failures::default();
        let peer = IpAddr::from([127, 0, 0, 1]);
        for _ in 0..9 {
            failures.count(peer, Timestamp::EPOCH);
        }
        assert_eq!(failures.wait(peer, Timestamp::EPOCH), None);
        failures.count(peer, Timestamp::EPOCH);
        assert_eq!(failures.wait(peer, Timestamp::from_millis(20_000)), Some(40));
        assert_eq!(failures.wait(peer, Timestamp::from_millis(60_000)), None);
    }
}
