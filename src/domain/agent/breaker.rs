//! Keeps work away from an agent that fails, and lets it show one piece at a time that it is well again.
//!
//! Which assignment is the one that is tried needs no memory of its own: it is the one that was granted
//! since the breaker is half open.

use std::time::Duration;

use super::performance::{LEAST, Outcome, Performance, Tally, Tier};
use crate::closed_enum;
use crate::domain::time::Timestamp;

/// Finished assignments that open it.
const WINDOW: usize = 20;

closed_enum!(
    /// What a breaker lets through.
    BreakerState {
        Closed = "closed",
        Open = "open",
        HalfOpen = "half_open",
    }
);

/// One agent's breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breaker {
    state: BreakerState,
    changed_at: Timestamp,
    /// Outcomes since it was closed last.
    outcomes: Tally,
}

/// How long it stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRules {
    /// Then one assignment is tried.
    pub open_for: Duration,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self { open_for: Duration::from_mins(1) }
    }
}

impl Breaker {
    /// One that lets everything through.
    #[must_use]
    pub const fn closed(now: Timestamp) -> Self {
        Self::stored(BreakerState::Closed, now, Tally { count: 0, halves: 0 })
    }

    /// As it was stored.
    #[must_use]
    pub const fn stored(state: BreakerState, changed_at: Timestamp, outcomes: Tally) -> Self {
        Self { state, changed_at, outcomes }
    }

    /// What is to be stored: the last change, when it was, and the outcomes since it was closed last.
    #[must_use]
    pub const fn parts(&self) -> (BreakerState, Timestamp, Tally) {
        (self.state, self.changed_at, self.outcomes)
    }

    /// What it is now, and since when: an open one becomes half open by itself.
    #[must_use]
    pub fn state(&self, rules: BreakerRules, now: Timestamp) -> (BreakerState, Timestamp) {
        let tried_from = self.changed_at.after(rules.open_for);
        if self.state == BreakerState::Open && now >= tried_from {
            return (BreakerState::HalfOpen, tried_from);
        }
        (self.state, self.changed_at)
    }

    /// When an open one becomes half open.
    #[must_use]
    pub fn tried_from(&self, rules: BreakerRules) -> Option<Timestamp> {
        (self.state == BreakerState::Open).then(|| self.changed_at.after(rules.open_for))
    }

    /// Whether an assignment is being tried, by when the newest one was granted that is under way.
    #[must_use]
    pub fn is_probing(
        &self,
        rules: BreakerRules,
        now: Timestamp,
        newest_grant: Option<Timestamp>,
    ) -> bool {
        let (state, since) = self.state(rules, now);
        state == BreakerState::HalfOpen && newest_grant.is_some_and(|granted| granted >= since)
    }

    /// An outcome was counted in the agent's figures. The new state, when it is another.
    pub fn judge(
        &mut self,
        performance: &mut Performance,
        outcome: Outcome,
        rules: BreakerRules,
        now: Timestamp,
    ) -> Option<BreakerState> {
        let (state, _) = self.state(rules, now);
        let next = match state {
            BreakerState::Closed => next_of_closed(performance),
            BreakerState::Open => {
                self.outcomes.add(outcome);
                return None;
            }
            BreakerState::HalfOpen => {
                self.outcomes.add(outcome);
                let is_well = self.outcomes.rate().is_some_and(|rate| rate > 0.50);
                match outcome {
                    Outcome::Failure => BreakerState::Open,
                    Outcome::Success | Outcome::Partial if is_well => BreakerState::Closed,
                    Outcome::Success | Outcome::Partial => BreakerState::HalfOpen,
                }
            }
        };
        if next == state {
            return None;
        }
        if state == BreakerState::Closed || next == BreakerState::Closed {
            self.outcomes = Tally::default();
        }
        if next == BreakerState::Closed {
            performance.begin_window(true);
        }
        (self.state, self.changed_at) = (next, now);
        Some(next)
    }

    /// Whether the agent counts as degraded because of it.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, BreakerState::Closed)
    }

    /// The tier of an agent with these figures behind it.
    #[must_use]
    pub fn tier(&self, performance: &Performance) -> Tier {
        if self.is_closed() { performance.tier() } else { Tier::Degraded }
    }
}

fn next_of_closed(performance: &Performance) -> BreakerState {
    let latest = performance.latest(WINDOW);
    let is_enough = usize::try_from(latest.count).is_ok_and(|count| count >= LEAST);
    if is_enough && latest.rate().is_some_and(|rate| rate < 0.30) {
        BreakerState::Open
    } else if performance.tier() == Tier::Degraded {
        BreakerState::HalfOpen
    } else {
        BreakerState::Closed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::agent::performance::Finished;

    const RULES: BreakerRules = BreakerRules { open_for: Duration::from_mins(1) };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + seconds * 1000)
    }

    struct Agent {
        performance: Performance,
        breaker: Breaker,
    }

    impl Agent {
        fn new() -> Self {
            Self { performance: Performance::default(), breaker: Breaker::closed(at(0)) }
        }

        fn ends(&mut self, outcome: Outcome, seconds: i64) -> Option<BreakerState> {
            self.performance.record(&Finished::plain(outcome, at(seconds)));
            self.breaker.judge(&mut self.performance, outcome, RULES, at(seconds))
        }

        fn state(&self, seconds: i64) -> BreakerState {
            self.breaker.state(RULES, at(seconds)).0
        }

        fn is_probing(&self, seconds: i64, newest_grant: i64) -> bool {
            self.breaker.is_probing(RULES, at(seconds), Some(at(newest_grant)))
        }
    }

    fn opened() -> Agent {
        let mut agent = Agent::new();
        assert_eq!(agent.ends(Outcome::Success, 0), None);
        for _ in 0..3 {
            assert_eq!(agent.ends(Outcome::Failure, 0), None, "fewer than five say nothing");
        }
        assert_eq!(agent.ends(Outcome::Failure, 0), Some(BreakerState::Open), "1 of 5");
        agent
    }

    #[test]
    fn it_opens_tries_one_at_a_time_and_closes_on_probation() {
        let mut agent = opened();
        assert_eq!(agent.breaker.tier(&agent.performance), Tier::Degraded);
        assert_eq!(
            (agent.state(59), agent.state(60)),
            (BreakerState::Open, BreakerState::HalfOpen)
        );
        assert!(!agent.is_probing(61, 0), "what was granted before is none");
        assert!(!agent.breaker.is_probing(RULES, at(61), None));
        assert!(agent.is_probing(61, 60), "one at a time");
        assert_eq!(agent.ends(Outcome::Success, 62), Some(BreakerState::Closed));
        assert!(!agent.is_probing(63, 60));
        assert_eq!(agent.breaker.tier(&agent.performance), Tier::Trainee);
        assert!(agent.performance.is_provisional());
    }

    #[test]
    fn a_failed_probe_opens_it_again_and_more_successes_are_needed_then() {
        let mut agent = opened();
        assert_eq!(agent.ends(Outcome::Failure, 61), Some(BreakerState::Open));
        assert_eq!(
            (agent.state(120), agent.state(121)),
            (BreakerState::Open, BreakerState::HalfOpen)
        );
        assert_eq!(agent.ends(Outcome::Success, 122), None, "one of two is not above one half");
        assert_eq!(agent.ends(Outcome::Success, 124), Some(BreakerState::Closed));
    }

    #[test]
    fn what_ends_while_it_is_open_is_counted_and_changes_nothing() {
        let mut agent = opened();
        assert_eq!(agent.ends(Outcome::Success, 30), None);
        assert_eq!(agent.state(31), BreakerState::Open);
        assert_eq!(agent.breaker.parts().2.count, 1);
    }

    #[test]
    fn a_rate_that_is_poor_but_not_hopeless_half_opens_it() {
        use Outcome::{Failure, Success};
        let mut agent = Agent::new();
        let states = [Success, Failure, Failure, Success, Failure].map(|one| agent.ends(one, 1));
        assert_eq!(states, [None, None, None, None, Some(BreakerState::HalfOpen)], "2 of 5");
        assert!(!agent.is_probing(2, 0));
    }

    proptest! {
        #[test]
        fn it_is_half_open_before_it_closes_and_closing_begins_anew(
            steps in proptest::collection::vec((0u8..3, 0i64..90), 1..200),
        ) {
            let (mut agent, mut now) = (Agent::new(), 0);
            for (step, wait) in steps {
                now += wait;
                let before = agent.state(now);
                let outcome = Outcome::ALL[usize::from(step)];
                let changed = agent.ends(outcome, now);
                let after = agent.state(now);
                prop_assert_eq!(changed.unwrap_or(before), after);
                if changed == Some(BreakerState::Closed) {
                    prop_assert_eq!(before, BreakerState::HalfOpen);
                    prop_assert_ne!(outcome, Outcome::Failure);
                    prop_assert_eq!(agent.performance.tier(), Tier::Trainee);
                }
                if before == BreakerState::Open {
                    prop_assert_eq!(changed, None);
                }
                if before == BreakerState::HalfOpen && outcome == Outcome::Failure {
                    prop_assert_eq!(after, BreakerState::Open);
                }
            }
        }
    }
}
