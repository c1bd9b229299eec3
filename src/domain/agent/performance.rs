//! How well an agent did: figures of finished assignments, and the tier that follows from them.
//!
//! Invariant: only real outcomes count, and a rate that nobody measured is no rate: it is absent, not 0.

use std::collections::{BTreeMap, VecDeque};

use super::trend::{Days, Sample};
use crate::closed_enum;
use crate::domain::money::Usd;
use crate::domain::time::Timestamp;

/// Finished assignments that the tier is judged by.
const WINDOW: usize = 100;
/// Fewer than these say nothing yet.
pub(super) const LEAST: usize = 5;
/// Capabilities and technologies, each, that a rate is kept for.
const MOST_RATES: usize = 200;

closed_enum!(
    /// How good an agent is, the best first.
    Tier {
        Elite = "elite",
        Advanced = "advanced",
        Competent = "competent",
        Trainee = "trainee",
        Degraded = "degraded",
    }
);

impl Tier {
    /// The tier with this name; `premium` and `standard` are older words for two of them.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "premium" => Some(Self::Advanced),
            "standard" => Some(Self::Competent),
            _ => Self::parse(word),
        }
    }
}

closed_enum!(
    /// How an assignment ended for its agent.
    Outcome {
        Success = "success",
        Partial = "partial",
        Failure = "failure",
    }
);

impl Outcome {
    /// In halves: 2, 1 or 0.
    const fn halves(self) -> u32 {
        match self {
            Self::Success => 2,
            Self::Partial => 1,
            Self::Failure => 0,
        }
    }
}

/// Outcomes, counted so that a rate of them is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many.
    pub count: u32,
    /// What they are worth together, in halves.
    pub halves: u32,
}

impl Tally {
    /// With one more.
    pub const fn add(&mut self, outcome: Outcome) {
        self.count = self.count.saturating_add(1);
        self.halves = self.halves.saturating_add(outcome.halves());
    }

    /// The mean outcome, 0 to 1; nothing without one.
    #[must_use]
    pub fn rate(self) -> Option<f64> {
        (self.count > 0).then(|| f64::from(self.halves) / (2.0 * f64::from(self.count)))
    }
}

/// A mean over the samples that carry a value.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Mean {
    /// How many.
    pub count: u32,
    /// Their sum.
    pub sum: f64,
}

impl Mean {
    /// With one more; what is no number is left out.
    pub fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.count = self.count.saturating_add(1);
            self.sum += value;
        }
    }

    /// The mean; nothing without a sample.
    #[must_use]
    pub fn value(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / f64::from(self.count))
    }
}

/// A finished assignment, as it counts.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of domain 2.4")]
pub struct Finished {
    pub outcome: Outcome,
    pub at: Timestamp,
    pub capabilities: Vec<String>,
    pub technologies: Vec<String>,
    pub quality_score: Option<f64>,
    pub execution_time_seconds: Option<f64>,
    pub tokens: Option<u64>,
    pub cost: Option<Usd>,
    pub coverage_impact: Option<f64>,
    pub security_improvement: Option<f64>,
    pub performance_improvement: Option<f64>,
}

impl Finished {
    /// Whether its quality is known and below the least that its agent is to give.
    #[must_use]
    pub fn is_poor(&self, least_quality: f64) -> bool {
        self.quality_score.is_some_and(|score| score < least_quality)
    }

    /// One of which nothing but its outcome is known.
    #[must_use]
    pub const fn plain(outcome: Outcome, at: Timestamp) -> Self {
        Self {
            outcome,
            at,
            capabilities: Vec::new(),
            technologies: Vec::new(),
            quality_score: None,
            execution_time_seconds: None,
            tokens: None,
            cost: None,
            coverage_impact: None,
            security_improvement: None,
            performance_improvement: None,
        }
    }
}

/// All that is known of an agent's work since it was registered or its figures were reset.
#[derive(Debug, Clone, PartialEq, Default)]
#[expect(missing_docs, reason = "the fields are those of domain 2.4")]
pub struct Performance {
    pub total: Tally,
    pub successful: u32,
    pub partial: u32,
    pub tokens: u64,
    /// Assignments whose tokens are known.
    pub with_tokens: u32,
    pub cost: Usd,
    /// Assignments whose cost is known.
    pub with_cost: u32,
    pub quality: Mean,
    pub execution_seconds: Mean,
    pub coverage_impact: Mean,
    pub security_improvement: Mean,
    pub performance_improvement: Mean,
    pub capabilities: BTreeMap<String, Tally>,
    pub technologies: BTreeMap<String, Tally>,
    pub days: Days,
    /// The newest finished assignments of the window, the oldest first, with their quality.
    pub window: VecDeque<(Outcome, Option<f64>)>,
    /// Whether the window began with the closing of a breaker.
    pub on_probation: bool,
}

impl Performance {
    /// Counts one more.
    pub fn record(&mut self, finished: &Finished) {
        let Finished { outcome, at, quality_score, execution_time_seconds, .. } = *finished;
        self.total.add(outcome);
        let one_more = |count: u32, wanted| count.saturating_add(u32::from(outcome == wanted));
        self.successful = one_more(self.successful, Outcome::Success);
        self.partial = one_more(self.partial, Outcome::Partial);
        if let Some(tokens) = finished.tokens {
            self.tokens = self.tokens.saturating_add(tokens);
            self.with_tokens = self.with_tokens.saturating_add(1);
        }
        if let Some(cost) = finished.cost {
            self.cost = self.cost + cost;
            self.with_cost = self.with_cost.saturating_add(1);
        }
        self.quality.add(quality_score);
        self.execution_seconds.add(execution_time_seconds);
        self.coverage_impact.add(finished.coverage_impact);
        self.security_improvement.add(finished.security_improvement);
        self.performance_improvement.add(finished.performance_improvement);
        count_each(&mut self.capabilities, &finished.capabilities, outcome);
        count_each(&mut self.technologies, &finished.technologies, outcome);
        let sample = Sample { quality: quality_score, seconds: execution_time_seconds };
        self.days.add(at, outcome, sample);
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        self.window.push_back((outcome, quality_score));
    }

    /// Finished assignments that failed.
    #[must_use]
    pub const fn failed(&self) -> u32 {
        self.total.count - self.successful - self.partial
    }

    /// Mean outcome of all; 0 without any.
    #[must_use]
    pub fn success_rate(&self) -> f64 {
        self.total.rate().unwrap_or(0.0)
    }

    /// Share of complete successes; 0 without any.
    #[must_use]
    pub fn complete_success_rate(&self) -> f64 {
        match self.total.count {
            0 => 0.0,
            count => f64::from(self.successful) / f64::from(count),
        }
    }

    /// Whether too little is known for a judgement.
    #[must_use]
    pub fn is_provisional(&self) -> bool {
        self.window.len() < LEAST
    }

    /// The tier that the window gives.
    #[must_use]
    pub fn tier(&self) -> Tier {
        if self.is_provisional() {
            return if self.on_probation { Tier::Trainee } else { Tier::Competent };
        }
        let rate = tally(self.window.iter()).rate().unwrap_or(0.0);
        let mut quality = Mean::default();
        self.window.iter().for_each(|(_, score)| quality.add(*score));
        match rate {
            rate if rate >= 0.95 && quality.value().is_some_and(|mean| mean >= 0.9) => Tier::Elite,
            rate if rate >= 0.85 => Tier::Advanced,
            rate if rate >= 0.70 => Tier::Competent,
            rate if rate >= 0.50 => Tier::Trainee,
            _ => Tier::Degraded,
        }
    }

    /// The newest outcomes of the window, at most so many.
    #[must_use]
    pub fn latest(&self, count: usize) -> Tally {
        tally(self.window.iter().rev().take(count))
    }

    /// Begins a new window.
    pub fn begin_window(&mut self, on_probation: bool) {
        self.window.clear();
        self.on_probation = on_probation;
    }
}

fn tally<'a>(outcomes: impl Iterator<Item = &'a (Outcome, Option<f64>)>) -> Tally {
    let mut tally = Tally::default();
    outcomes.for_each(|(outcome, _)| tally.add(*outcome));
    tally
}

/// Names come from clients: what is new is not counted any more when there are very many.
fn count_each(rates: &mut BTreeMap<String, Tally>, names: &[String], outcome: Outcome) {
    for name in names {
        if let Some(known) = rates.get_mut(name) {
            known.add(outcome);
        } else if rates.len() < MOST_RATES {
            rates.entry(name.clone()).or_default().add(outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn of(successes: usize, partial: usize, failures: usize) -> Performance {
        let mut performance = Performance::default();
        let outcomes = std::iter::repeat_n(Outcome::Success, successes)
            .chain(std::iter::repeat_n(Outcome::Partial, partial))
            .chain(std::iter::repeat_n(Outcome::Failure, failures));
        outcomes.for_each(|outcome| performance.record(&Finished::plain(outcome, NOW)));
        performance
    }

    fn with_quality(successes: usize, failures: usize, quality: Option<f64>) -> Tier {
        let mut performance = Performance::default();
        for (outcome, count) in [(Outcome::Success, successes), (Outcome::Failure, failures)] {
            let one = Finished { quality_score: quality, ..Finished::plain(outcome, NOW) };
            (0..count).for_each(|_| performance.record(&one));
        }
        performance.tier()
    }

    #[test]
    fn partial_successes_count_half() {
        let performance = of(80, 10, 10);
        assert_eq!(performance.success_rate().to_bits(), 0.85f64.to_bits());
        assert_eq!(performance.complete_success_rate().to_bits(), 0.80f64.to_bits());
        assert_eq!((performance.failed(), performance.partial), (10, 10));
        assert_eq!(Performance::default().success_rate().to_bits(), 0.0f64.to_bits());
    }

    #[test]
    fn tiers_are_those_of_the_specification() {
        assert_eq!(with_quality(96, 4, Some(0.92)), Tier::Elite);
        assert_eq!(with_quality(96, 4, None), Tier::Advanced);
        assert_eq!(with_quality(96, 4, Some(0.89)), Tier::Advanced);
        assert_eq!(with_quality(90, 10, Some(0.80)), Tier::Advanced);
        assert_eq!(with_quality(75, 25, None), Tier::Competent);
        assert_eq!(with_quality(60, 40, None), Tier::Trainee);
        assert_eq!(with_quality(40, 60, None), Tier::Degraded);
        let fresh = Performance::default();
        assert!(fresh.is_provisional());
        assert_eq!(fresh.tier(), Tier::Competent);
        assert_eq!(of(0, 0, 4).tier(), Tier::Competent, "four say nothing yet");
        assert_eq!(of(0, 0, 5).tier(), Tier::Degraded);
        let mut again = of(0, 0, 5);
        again.begin_window(true);
        assert_eq!((again.tier(), again.is_provisional()), (Tier::Trainee, true));
    }

    #[test]
    fn the_tier_is_that_of_the_newest_hundred() {
        let mut performance = of(0, 0, 100);
        let good = Finished::plain(Outcome::Success, NOW);
        (0..100).for_each(|_| performance.record(&good));
        assert_eq!(performance.tier(), Tier::Advanced);
        assert_eq!(performance.success_rate().to_bits(), 0.5f64.to_bits());
    }

    #[test]
    fn a_capability_counts_only_work_that_used_it() {
        let mut performance = Performance::default();
        for (outcome, slug) in [
            (Outcome::Success, "code_review"),
            (Outcome::Failure, "testing"),
            (Outcome::Failure, "testing"),
            (Outcome::Success, "testing"),
        ] {
            let mut one = Finished::plain(outcome, NOW);
            one.capabilities = vec![slug.to_owned()];
            performance.record(&one);
        }
        let rate = |slug: &str| performance.capabilities.get(slug).and_then(|tally| tally.rate());
        assert_eq!(rate("code_review"), Some(1.0));
        assert_eq!(rate("testing"), Some(1.0 / 3.0));
        assert_eq!(rate("documentation"), None);
    }
}
