//! The entries of a chain that no signature stands behind yet.

use std::collections::VecDeque;

use crate::domain::time::Timestamp;

/// Entries that are kept: no checkpoint speaks of what is further away.
const KEPT: usize = 1024;

/// What was seen behind the newest entry that is vouched for; the checkpoint that does so needs no
/// further signature.
#[derive(Debug, Clone, Default)]
pub struct Tail {
    /// Number of the newest entry that is vouched for.
    signed: u64,
    first: Option<(u64, Timestamp)>,
    recent: VecDeque<(u64, Timestamp)>,
}

impl Tail {
    /// Takes one more entry, and up to which one those so far are vouched for, itself included.
    pub fn follow(&mut self, seq: u64, at: Timestamp, vouched: Option<u64>) {
        if let Some(signed) = vouched.filter(|signed| *signed > self.signed) {
            self.signed = signed;
            self.recent.retain(|(seq, _)| *seq > signed);
            self.first = self.recent.front().copied();
            return;
        }
        self.first.get_or_insert((seq, at));
        self.recent.push_back((seq, at));
        if self.recent.len() > KEPT {
            self.recent.pop_front();
        }
    }

    /// The first of them, with its time.
    #[must_use]
    pub const fn first(&self) -> Option<(u64, Timestamp)> {
        self.first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_begins_behind_what_is_vouched_for() {
        let mut tail = Tail::default();
        let at = |seq: u64| Timestamp::from_millis(i64::try_from(seq).expect("small"));
        let mut follow = |seq: u64, vouched| {
            tail.follow(seq, at(seq), vouched);
            tail.first().map(|(seq, _)| seq)
        };
        assert_eq!(follow(1, None), Some(1));
        assert_eq!(follow(2, None), Some(1));
        assert_eq!(follow(3, Some(2)), None, "the checkpoint itself is signed");
        assert_eq!(follow(4, Some(2)), Some(4));
        assert_eq!(follow(5, Some(2)), Some(4));
        assert_eq!(follow(6, Some(4)), Some(5), "it was written a little later");
        let mut long = Tail::default();
        for seq in 1..=5000 {
            long.follow(seq, at(seq), None);
        }
        assert_eq!(long.first(), Some((1, at(1))));
        assert_eq!(long.recent.len(), KEPT);
    }
}
