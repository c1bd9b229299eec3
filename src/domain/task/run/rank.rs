//! In which order leaves are given out: slack ascending, the longer remaining path, urgency, what is
//! preferred first, age.
//!
//! Invariant: the order is that of the whole plan; what is done changes nothing about it, because a
//! leaf that waits has all of its followers before it.

use std::cmp::Ordering;

use super::Facts;
use crate::domain::task::critical_path::Schedule;
use crate::domain::task::forest::{Forest, NONE, small};

/// The place of each task, and the leaf of each place.
pub(super) fn places(
    forest: &Forest,
    facts: &[Facts],
    schedule: &Schedule,
) -> (Vec<u32>, Vec<u32>) {
    let all = 0..small(forest.len());
    let mut ranked: Vec<Ranked> = all
        .filter(|task| forest.is_leaf(*task))
        .map(|leaf| Ranked {
            slack: schedule.slack(leaf),
            remaining: schedule.remaining(leaf),
            // Urgency above what is preferred; both fit one number.
            then: u64::from(facts[leaf as usize].priority as u8) << 32
                | u64::from(schedule.after(leaf)),
            leaf,
        })
        .collect();
    ranked.sort_unstable_by(Ranked::order);
    let mut places = vec![NONE; forest.len()];
    for (place, ranked) in ranked.iter().enumerate() {
        places[ranked.leaf as usize] = small(place);
    }
    (places, ranked.into_iter().map(|ranked| ranked.leaf).collect())
}

struct Ranked {
    slack: f64,
    remaining: f64,
    then: u64,
    leaf: u32,
}

impl Ranked {
    fn order(&self, other: &Self) -> Ordering {
        self.slack
            .total_cmp(&other.slack)
            .then_with(|| other.remaining.total_cmp(&self.remaining))
            .then_with(|| self.then.cmp(&other.then))
            .then_with(|| self.leaf.cmp(&other.leaf))
    }
}
