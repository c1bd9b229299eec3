//! Secrets that are good once, for a short while: links for signing in, tickets for sockets.
//!
//! They live in memory alone, by the hash of their secret. A restart forgets them, which costs whoever
//! holds one no more than asking again.
//!
//! Invariant: a secret is good for one use at a time, and for none after its end or after a use that was
//! not given back; one maker fills no more than a small part of the table, one tenant no more than its
//! share, and administrators of the system find room whatever tenants do.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::canonical::sha256;
use crate::domain::ids::{KeyId, TenantId};
use crate::domain::time::Timestamp;

/// Secrets of tenants that a table holds; one more is refused.
const MOST: usize = 1000;
/// Secrets of one maker; one more takes the place of the oldest.
const MOST_OF_ONE: usize = 20;
/// Secrets of one share; one more takes the place of the oldest in it.
const MOST_OF_SHARE: usize = 100;

/// Whoever a secret is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Maker {
    /// By which key.
    pub key: KeyId,
    /// Where that is at home.
    pub tenant: TenantId,
    /// It is an administrator of the system, for whom room is kept.
    pub is_system: bool,
}

impl Maker {
    /// Whether both take from the same share.
    fn shares_with(&self, other: &Self) -> bool {
        match (self.is_system, other.is_system) {
            (true, true) => true,
            (false, false) => self.tenant == other.tenant,
            (true, false) | (false, true) => false,
        }
    }
}

/// Secrets of one kind, each with what it stands for.
#[derive(Debug)]
pub struct OneTime<T> {
    life: Duration,
    held: Mutex<HashMap<[u8; 32], Held<T>>>,
}

#[derive(Debug)]
struct Held<T> {
    maker: Maker,
    expires_at: Timestamp,
    /// Somebody uses it just now.
    is_in_use: bool,
    value: T,
}

/// A secret that is being used, by its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loan([u8; 32]);

/// The table has no place left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl<T> OneTime<T> {
    /// An empty table of secrets that live this long.
    #[must_use]
    pub fn new(life: Duration) -> Self {
        Self { life, held: Mutex::default() }
    }

    /// Takes a secret in; until when it is good.
    ///
    /// # Errors
    /// `Full` while others hold every place.
    pub fn put(
        &self,
        secret: &str,
        maker: Maker,
        value: T,
        now: Timestamp,
    ) -> Result<Timestamp, Full> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, entry| entry.expires_at > now);
        make_room(&mut held, MOST_OF_ONE, |other| other.key == maker.key);
        make_room(&mut held, MOST_OF_SHARE, |other| other.shares_with(&maker));
        let of_tenants = held.values().filter(|entry| !entry.maker.is_system).count();
        if !maker.is_system && of_tenants >= MOST {
            return Err(Full);
        }
        let expires_at = now.after(self.life);
        held.insert(sha256(secret.as_bytes()), Held { maker, expires_at, is_in_use: false, value });
        Ok(expires_at)
    }

    /// Whose secrets would have to give way to one more of this maker; nobody's while there is room.
    pub fn in_the_way_of(&self, maker: &Maker, now: Timestamp) -> Vec<Maker> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let good = held.values().filter(|entry| entry.expires_at > now).map(|entry| entry.maker);
        let (own, others): (Vec<Maker>, Vec<Maker>) =
            good.partition(|other| other.shares_with(maker));
        let of_tenants = others.iter().filter(|other| !other.is_system).count() + own.len();
        let mut found = if own.len() >= MOST_OF_SHARE {
            own
        } else if !maker.is_system && of_tenants >= MOST {
            own.into_iter().chain(others.into_iter().filter(|other| !other.is_system)).collect()
        } else {
            return Vec::new();
        };
        found.sort_unstable_by_key(|other| other.key);
        found.dedup_by_key(|other| other.key);
        found
    }

    /// Forgets every secret of a key, which is of no use any more.
    pub fn forget(&self, key: KeyId) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, entry| entry.maker.key != key);
    }

    /// What a secret stands for, once.
    pub fn take(&self, secret: &str, now: Timestamp) -> Option<T> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let found = held.remove(&sha256(secret.as_bytes()))?;
        (found.expires_at > now && !found.is_in_use).then_some(found.value)
    }
}

impl<T: Clone> OneTime<T> {
    /// What a secret stands for, and what it is given back or used up by; nobody else gets it meanwhile.
    /// One that is neither given back nor used up is good for nobody any more.
    pub fn lend(&self, secret: &str, now: Timestamp) -> Option<(T, Loan)> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = sha256(secret.as_bytes());
        let found = held.get_mut(&hash).filter(|found| found.expires_at > now)?;
        if std::mem::replace(&mut found.is_in_use, true) {
            return None;
        }
        Some((found.value.clone(), Loan(hash)))
    }

    /// Nothing came of its use: it is good as before.
    pub fn give_back(&self, Loan(hash): Loan) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = held.get_mut(&hash) {
            found.is_in_use = false;
        }
    }

    /// It was used.
    pub fn use_up(&self, Loan(hash): Loan) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash);
    }
}

impl<T: Clone> OneTime<T> {
    /// What a secret stands for, without using it up.
    pub fn look(&self, secret: &str, now: Timestamp) -> Option<T> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let found = held.get(&sha256(secret.as_bytes()))?;
        (found.expires_at > now).then(|| found.value.clone())
    }
}

/// As many of these makers' secrets as leave room for one more; the oldest go first.
fn make_room<T>(
    held: &mut HashMap<[u8; 32], Held<T>>,
    most: usize,
    is_meant: impl Fn(&Maker) -> bool,
) {
    let of_them = held.iter().filter(|(_, entry)| is_meant(&entry.maker));
    if of_them.clone().count() < most {
        return;
    }
    let oldest = of_them.min_by_key(|(_, entry)| entry.expires_at).map(|(hash, _)| *hash);
    oldest.and_then(|hash| held.remove(&hash));
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(seconds))
    }

    /// A key of a tenant of its own.
    fn maker(number: u128) -> Maker {
        of_tenant(number, number)
    }

    fn of_tenant(tenant: u128, key: u128) -> Maker {
        Maker {
            key: KeyId::new(Uuid::from_u128(key)),
            tenant: TenantId::new(Uuid::from_u128(tenant)),
            is_system: false,
        }
    }

    #[test]
    fn a_secret_is_good_once_and_for_a_while() {
        let table = OneTime::new(Duration::from_secs(30));
        assert_eq!(table.put("a", maker(1), "A", at(0)), Ok(at(30)));
        assert_eq!(table.put("b", maker(1), "B", at(0)), Ok(at(30)));
        assert_eq!(table.take("other", at(1)), None);
        assert_eq!(table.take("a", at(29)), Some("A"));
        assert_eq!(table.take("a", at(29)), None, "once");
        assert_eq!(table.take("b", at(30)), None, "too late");
        assert_eq!(table.take("b", at(0)), None, "not even if the clock went back");
    }

    #[test]
    fn a_secret_that_is_lent_is_nobody_elses_until_it_is_given_back() {
        let table = OneTime::new(Duration::from_secs(30));
        table.put("a", maker(1), "A", at(0)).expect("room");
        let (value, loan) = table.lend("a", at(1)).expect("lent");
        assert_eq!((value, table.lend("a", at(1))), ("A", None), "it is in use");
        table.give_back(loan);
        let (_, loan) = table.lend("a", at(2)).expect("lent again");
        table.use_up(loan);
        assert_eq!(table.lend("a", at(3)), None, "used up");
        table.give_back(loan);
        assert_eq!(table.lend("a", at(3)), None, "what is used up does not come back");
        table.put("b", maker(1), "B", at(0)).expect("room");
        let (_, loan) = table.lend("b", at(29)).expect("lent");
        assert_eq!(table.take("b", at(29)), None, "nor is it taken meanwhile");
        table.give_back(loan);
        assert_eq!(table.lend("b", at(29)), None, "whoever tried to take it ended it");
        table.put("c", maker(1), "C", at(0)).expect("room");
        let (_, loan) = table.lend("c", at(29)).expect("lent");
        table.give_back(loan);
        assert_eq!(table.lend("c", at(30)), None, "too late");
    }

    #[test]
    fn one_maker_takes_nobody_elses_place() {
        let table = OneTime::new(Duration::from_secs(30));
        for number in 0..100 {
            let told = table.put(&format!("greedy {number}"), maker(1), number, at(number));
            assert!(told.is_ok());
        }
        assert_eq!(table.put("other", maker(2), 7, at(3)), Ok(at(33)));
        assert_eq!(table.take("greedy 79", at(99)), None, "the oldest gave their places");
        assert_eq!(table.take("greedy 80", at(99)), Some(80));
    }

    #[test]
    fn a_full_table_refuses_until_something_ends() {
        let table = OneTime::new(Duration::from_secs(30));
        for number in 0..1000 {
            let told = table.put(&format!("{number}"), maker(number), number, at(0));
            assert!(told.is_ok());
        }
        assert_eq!(table.put("more", maker(5000), 0, at(29)), Err(Full));
        // Whoever administrates the system finds room all the same.
        let system = Maker { is_system: true, ..maker(5001) };
        assert!(table.put("system", system, 0, at(29)).is_ok());
        assert_eq!(table.in_the_way_of(&maker(5000), at(29)).len(), 1000);
        assert!(table.in_the_way_of(&system, at(29)).is_empty());
        // Secrets of keys that have ended leave their places.
        table.forget(maker(7).key);
        assert!(table.put("more", maker(5000), 0, at(29)).is_ok());
        assert_eq!(table.put("even more", maker(5002), 0, at(29)), Err(Full));
        assert!(table.put("more", maker(5000), 0, at(30)).is_ok());
    }

    #[test]
    fn a_tenant_takes_its_own_places_alone() {
        let table = OneTime::new(Duration::from_mins(30));
        let mut number = 0;
        for key in 0..50 {
            for _ in 0..20 {
                number += 1;
                let (maker, secret) = (of_tenant(1, key), number.to_string());
                assert!(table.put(&secret, maker, number, at(number)).is_ok());
            }
        }
        assert_eq!(table.look("900", at(1000)), None, "the oldest of the tenant gave way");
        assert_eq!(table.look("901", at(1000)), Some(901));
        assert_eq!(table.look("901", at(1000)), Some(901), "whoever looks takes nothing");
        assert!(table.put("other", of_tenant(2, 99), 0, at(1000)).is_ok());
        assert_eq!(table.in_the_way_of(&of_tenant(1, 0), at(1000)).len(), 5);
        assert_eq!(table.take("901", at(1000)), Some(901));
    }
}
