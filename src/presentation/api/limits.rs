//! How fast a key may ask, and how often a peer may fail to say who it is.
//!
//! Invariant: both tables are bounded; what is forgotten first is what has recovered already.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use crate::domain::ids::{KeyId, TenantId};
use crate::domain::time::Timestamp;

/// Entries that a table holds before it sheds those that have recovered.
const MAX_ENTRIES: usize = 10_000;
/// Failed authentications of one peer within a minute.
const FAILURES_PER_MINUTE: u32 = 10;

/// What a request takes from a bucket. In this unit a rate per minute is what comes back in each
/// millisecond, so that every rate is a whole number.
const REQUEST: u64 = 60_000;

/// What is left after a request was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Whose rate it is: `key` or `tenant`.
    pub of: &'static str,
    /// Requests at once.
    pub burst: u64,
    /// Requests that could be sent now.
    pub left: u64,
    /// Seconds in which an empty bucket is full again.
    pub window: u64,
    /// Seconds until the whole burst is there again.
    pub reset: u64,
    /// Seconds until the next request is accepted; 0 while there is one left.
    pub wait: u64,
}

/// A request that is one too many, with what is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(pub Allowance);

/// Token buckets of keys, and of the tenants that they belong to.
pub struct Rates {
    rate: Option<(u32, u32)>,
    keys: Buckets<(TenantId, KeyId)>,
    tenants: Buckets<TenantId>,
}

impl Rates {
    /// With this burst and refill per second for each key; `None` counts nothing at all.
    #[must_use]
    pub fn new(rate: Option<(u32, u32)>) -> Self {
        Self { rate, keys: Buckets::default(), tenants: Buckets::default() }
    }

    /// Takes one request from the bucket of the key, then from that of its tenant, which may send
    /// so many a minute. Gives what is left in the one that is nearer to its end.
    ///
    /// # Errors
    /// `Refused` when one of them is empty. What the key has spent by then stays spent: who hurries
    /// one limit on does not get round the other.
    pub fn take(
        &self,
        who: (TenantId, KeyId),
        now: Timestamp,
        per_minute: impl FnOnce() -> Option<u64>,
    ) -> Result<Option<Allowance>, Refused> {
        let Some((burst, per_second)) = self.rate else { return Ok(None) };
        let pace = Pace { burst: burst.into(), per_minute: u64::from(per_second.max(1)) * 60 };
        let of_key = self.keys.take("key", who, pace, now)?;
        let Some(per_minute) = per_minute() else { return Ok(Some(of_key)) };
        let of_tenant = self.tenants.take("tenant", who.0, Pace::of_tenant(per_minute), now)?;
        Ok(Some(if of_tenant.left < of_key.left { of_tenant } else { of_key }))
    }
}

/// How fast a bucket empties and fills.
#[derive(Clone, Copy)]
struct Pace {
    burst: u64,
    per_minute: u64,
}

impl Pace {
    /// Source: domain 11.4.
    fn of_tenant(per_minute: u64) -> Self {
        Self { burst: (per_minute / 6).max(10), per_minute: per_minute.max(1) }
    }
}

struct Buckets<K>(Mutex<HashMap<K, Bucket>>);

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[derive(Clone, Copy)]
struct Bucket {
    /// What is in it, in parts of a request.
    parts: u64,
    at: Timestamp,
}

impl<K: Hash + Eq> Buckets<K> {
    fn take(
        &self,
        of: &'static str,
        key: K,
        pace: Pace,
        now: Timestamp,
    ) -> Result<Allowance, Refused> {
        let Pace { burst, per_minute } = pace;
        let full = burst.saturating_mul(REQUEST);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shed(&mut buckets, |bucket| filled(bucket, pace, now) < full, |bucket| bucket.at);
        let bucket = buckets.entry(key).or_insert(Bucket { parts: full, at: now });
        bucket.parts = filled(bucket, pace, now);
        bucket.at = now;
        let seconds = |parts: u64| parts.div_ceil(per_minute.saturating_mul(1000));
        let missing = REQUEST.saturating_sub(bucket.parts);
        if missing == 0 {
            bucket.parts -= REQUEST;
        }
        let allowance = Allowance {
            of,
            burst,
            left: bucket.parts / REQUEST,
            window: seconds(full).max(1),
            reset: seconds(full - bucket.parts),
            wait: seconds(missing),
        };
        if missing == 0 { Ok(allowance) } else { Err(Refused(allowance)) }
    }
}

fn filled(bucket: &Bucket, pace: Pace, now: Timestamp) -> u64 {
    let elapsed = u64::try_from(now.since(bucket.at).as_millis()).unwrap_or(u64::MAX);
    let full = pace.burst.saturating_mul(REQUEST);
    bucket.parts.saturating_add(elapsed.saturating_mul(pace.per_minute)).min(full)
}

/// Makes room in a full table: what no longer matters goes, and if all of it does, the older half.
fn shed<K: Hash + Eq, V>(
    entries: &mut HashMap<K, V>,
    matters: impl Fn(&V) -> bool,
    at: impl Fn(&V) -> Timestamp,
) {
    if entries.len() < MAX_ENTRIES {
        return;
    }
    entries.retain(|_, entry| matters(entry));
    if entries.len() < MAX_ENTRIES {
        return;
    }
    let mut moments: Vec<_> = entries.values().map(&at).collect();
    let (_, middle, _) = moments.select_nth_unstable(MAX_ENTRIES / 2);
    let middle = *middle;
    let mut room = entries.len() / 2;
    entries.retain(|_, entry| {
        // Those of one moment are told apart by their number alone.
        let goes = at(entry) <= middle && room > 0;
        room -= usize::from(goes);
        !goes
    });
}

/// Whose failures are counted together: an address, or the network of 64 bits that one subscriber of
/// IPv6 has to themselves.
fn subscriber(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
        }
        four @ IpAddr::V4(_) => four,
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
        let (since, count) = failures.get(&subscriber(peer))?;
        let elapsed = now.since(*since).as_secs();
        (*count >= FAILURES_PER_MINUTE && elapsed < 60).then(|| 60 - elapsed)
    }

    /// Counts a failure.
    pub fn count(&self, peer: IpAddr, now: Timestamp) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |(since, _): &(Timestamp, u32)| now.since(*since).as_secs() < 60;
        shed(&mut failures, is_recent, |(since, _)| *since);
        let entry = failures.entry(subscriber(peer)).or_insert((now, 0));
        if now.since(entry.0).as_secs() >= 60 {
            *entry = (now, 0);
        }
        entry.1 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u128) -> KeyId {
        KeyId::new(uuid::Uuid::from_u128(number))
    }

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let rates = Rates::new(Some((2, 1)));
        let take = |millis| {
            let now = Timestamp::from_millis(millis);
            rates.take((TenantId::BOOTSTRAP, key(0)), now, || None)
        };
        assert_eq!(take(0).map(|left| left.map(|left| left.left)), Ok(Some(1)));
        assert!(take(0).is_ok());
        assert_eq!(take(0).map_err(|refused| refused.0.wait), Err(1));
        assert!(take(1000).is_ok());
        assert_eq!(take(1000).map_err(|refused| refused.0.wait), Err(1));
    }

    #[test]
    fn keys_of_a_tenant_share_its_rate_and_others_do_not_notice() {
        let rates = Rates::new(Some((100, 50)));
        let (ours, theirs) = (TenantId::BOOTSTRAP, TenantId::new(uuid::Uuid::from_u128(9)));
        let take = |tenant, number, millis| {
            rates.take((tenant, key(number)), Timestamp::from_millis(millis), || Some(60))
        };
        // 60 a minute is ten at once, and one a second.
        for number in 0..10 {
            let left = take(ours, number % 2, 0).expect("within the burst").expect("counted");
            assert_eq!((left.of, u128::from(left.left)), ("tenant", 9 - number));
        }
        let Refused(refused) = take(ours, 1, 0).expect_err("one too many");
        assert_eq!((refused.of, refused.left, refused.wait), ("tenant", 0, 1));
        assert_eq!((refused.burst, refused.window, refused.reset), (10, 10, 10));
        assert!(take(theirs, 1, 0).is_ok());
        assert!(take(ours, 1, 1000).is_ok());
        assert!(take(ours, 1, 1000).is_err());
    }

    #[test]
    fn slow_rates_come_back_in_time_and_none_is_no_bound() {
        let rates = Rates::new(Some((100, 50)));
        let who = (TenantId::BOOTSTRAP, key(1));
        let take = |millis| rates.take(who, Timestamp::from_millis(millis), || Some(1));
        for _ in 0..10 {
            assert!(take(0).is_ok());
        }
        assert_eq!(take(0).map_err(|refused| refused.0.wait), Err(60));
        assert!(take(59_999).is_err());
        assert!(take(60_000).is_ok());
        for _ in 0..90 {
            assert!(rates.take(who, Timestamp::from_millis(60_000), || None).is_ok());
        }
        let off = Rates::new(None);
        for _ in 0..1000 {
            assert_eq!(off.take(who, Timestamp::EPOCH, || Some(1)), Ok(None));
        }
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

    #[test]
    fn a_full_table_forgets_the_older_half_and_counts_a_subscriber_once() {
        let failures = Failures::default();
        let peer = |number: u128| IpAddr::V6(Ipv6Addr::from_bits(number << 64));
        let at = |millis| Timestamp::from_millis(millis);
        for _ in 0..10 {
            failures.count(peer(1), at(5000));
        }
        assert_eq!(
            failures.wait(IpAddr::V6(Ipv6Addr::from_bits((1 << 64) + 77)), at(5000)),
            Some(60)
        );
        assert_eq!(failures.wait(peer(2), at(5000)), None);
        for number in 0..20_000 {
            failures.count(peer(100 + number), at(4000));
            let known = failures.0.lock().expect("whole").len();
            assert!(known <= MAX_ENTRIES, "{known}");
        }
        assert_eq!(failures.wait(peer(1), at(6000)), Some(59), "the newest is not forgotten");
    }
}
