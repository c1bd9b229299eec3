//! Secrets that are good once, for a short while: links for signing in, tickets for sockets.
//!
//! They live in memory alone, by the hash of their secret. A restart forgets them, which costs whoever
//! holds one no more than asking again.
//!
//! Invariant: a secret is given out of the table at most once, and never after its end; one maker fills
//! no more than a small part of the table.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::canonical::sha256;
use crate::domain::ids::KeyId;
use crate::domain::time::Timestamp;

/// Secrets that a table holds; one more is refused.
const MOST: usize = 1000;
/// Secrets of one maker; one more takes the place of the oldest.
const MOST_OF_ONE: usize = 20;

/// Secrets of one kind, each with what it stands for.
#[derive(Debug)]
pub struct OneTime<T> {
    life: Duration,
    held: Mutex<HashMap<[u8; 32], Held<T>>>,
}

#[derive(Debug)]
struct Held<T> {
    maker: KeyId,
    expires_at: Timestamp,
    value: T,
}

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
        maker: KeyId,
        value: T,
        now: Timestamp,
    ) -> Result<Timestamp, Full> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, entry| entry.expires_at > now);
        let own = held.iter().filter(|(_, entry)| entry.maker == maker);
        if own.clone().count() >= MOST_OF_ONE {
            let oldest = own.min_by_key(|(_, entry)| entry.expires_at).map(|(hash, _)| *hash);
            oldest.and_then(|hash| held.remove(&hash));
        }
        if held.len() >= MOST {
            return Err(Full);
        }
        let expires_at = now.after(self.life);
        held.insert(sha256(secret.as_bytes()), Held { maker, expires_at, value });
        Ok(expires_at)
    }

    /// What a secret stands for, once.
    pub fn take(&self, secret: &str, now: Timestamp) -> Option<T> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let found = held.remove(&sha256(secret.as_bytes()))?;
        (found.expires_at > now).then_some(found.value)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(seconds))
    }

    fn maker(number: u128) -> KeyId {
        KeyId::new(Uuid::from_u128(number))
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
        assert!(table.put("more", maker(5000), 0, at(30)).is_ok());
    }
}
