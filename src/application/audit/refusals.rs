//! Refusals of the same kind: the first is put on record at once, those that follow it within a minute
//! as a count. Whoever is refused again and again fills the disk no faster than whoever waits.
//!
//! Invariant: at most two entries a minute are written of one caller, action and reason: one refusal,
//! and how many followed it.
//! Invariant: a refusal is counted in one entry and no other.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::audit::Actor;
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;

/// How long those that follow are counted.
const COUNTED: Duration = Duration::from_mins(1);
/// Kinds that are told apart; when there are more, all that was counted is written, and it begins anew.
const MOST: usize = 10_000;

/// What makes refusals equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Refusal {
    pub(super) tenant: TenantId,
    pub(super) actor: Actor,
    pub(super) action: String,
    pub(super) reason: String,
}

/// Those that followed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Followers {
    since: Timestamp,
    count: u64,
}

/// How many followed a refusal that is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repeated {
    pub(super) refusal: Refusal,
    /// When the one was refused that they follow.
    pub(super) since: Timestamp,
    /// At least one.
    pub(super) count: u64,
}

/// What to do about a refusal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    /// Put it on record; it was counted when not.
    pub(super) is_first: bool,
    /// Put these on record before it.
    pub(super) ended: Vec<Repeated>,
}

/// Refusals of the last minute, by kind.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<HashMap<Refusal, Followers>>);

impl Refusals {
    fn lock(&self) -> MutexGuard<'_, HashMap<Refusal, Followers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes one more.
    pub(super) fn note(&self, refusal: &Refusal, now: Timestamp) -> Noted {
        let mut known = self.lock();
        if let Some(followers) = known.get_mut(refusal) {
            if now.since(followers.since) < COUNTED {
                followers.count += 1;
                return Noted::default();
            }
            let before = std::mem::replace(followers, Followers { since: now, count: 0 });
            let ended = repeated(refusal.clone(), before).into_iter().collect();
            return Noted { is_first: true, ended };
        }
        let is_full = known.len() >= MOST;
        let ended = if is_full { known.drain().filter_map(pair).collect() } else { Vec::new() };
        known.insert(refusal.clone(), Followers { since: now, count: 0 });
        Noted { is_first: true, ended }
    }

    /// It could not be put on record: the next one is the first.
    pub(super) fn forget(&self, refusal: &Refusal) {
        self.lock().remove(refusal);
    }

    /// What followed refusals whose minute is over, or all.
    pub(super) fn over(&self, now: Timestamp, all: bool) -> Vec<Repeated> {
        let is_over =
            |_: &Refusal, followers: &mut Followers| all || now.since(followers.since) >= COUNTED;
        self.lock().extract_if(is_over).filter_map(pair).collect()
    }
}

fn pair((refusal, followers): (Refusal, Followers)) -> Option<Repeated> {
    repeated(refusal, followers)
}

fn repeated(refusal: Refusal, Followers { since, count }: Followers) -> Option<Repeated> {
    (count > 0).then_some(Repeated { refusal, since, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(id: usize) -> Refusal {
        Refusal {
            tenant: TenantId::BOOTSTRAP,
            actor: Actor::plain("key", &id.to_string()),
            action: "POST /api/v1/keys".to_owned(),
            reason: "needs admin".to_owned(),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn equal_refusals_are_one_entry_a_minute_and_a_count() {
        let refusals = Refusals::default();
        let one = refusal(1);
        assert!(refusals.note(&one, at(0)).is_first);
        for second in 1..60 {
            assert_eq!(refusals.note(&one, at(second)), Noted::default());
        }
        let other = Refusal { reason: "another".to_owned(), ..one.clone() };
        assert!(
            refusals.note(&other, at(5)).is_first && refusals.note(&refusal(2), at(5)).is_first
        );
        let followed = Repeated { refusal: one.clone(), since: at(0), count: 59 };
        let next = refusals.note(&one, at(60));
        assert_eq!(next, Noted { is_first: true, ended: vec![followed] });
        assert_eq!(refusals.over(at(119), false), [], "nothing followed the others");
        refusals.note(&one, at(119));
        let followed = Repeated { refusal: one.clone(), since: at(60), count: 1 };
        assert_eq!(refusals.over(at(120), false), [followed]);
        assert!(refusals.note(&one, at(121)).is_first);
        refusals.note(&one, at(122));
        assert_eq!(refusals.over(at(123), false), [], "its minute is not over");
        assert_eq!(refusals.over(at(123), true).len(), 1, "the server ends");
    }

    #[test]
    fn many_kinds_take_no_more_room_than_few_and_nothing_is_lost() {
        let refusals = Refusals::default();
        let mut told = 0;
        for number in 0..MOST * 2 + 10 {
            told += refusals.note(&refusal(number), at(0)).ended.len();
            refusals.note(&refusal(number), at(0));
            assert!(refusals.lock().len() <= MOST);
        }
        told += refusals.over(at(0), true).len();
        assert_eq!(told, MOST * 2 + 10);
    }

    #[test]
    fn a_refusal_that_could_not_be_written_is_written_the_next_time() {
        let refusals = Refusals::default();
        refusals.note(&refusal(1), at(0));
        refusals.forget(&refusal(1));
        assert!(refusals.note(&refusal(1), at(1)).is_first);
    }
}
