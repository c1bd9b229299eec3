//! How long a task is expected to take, in three figures, and how that learns from what happened.
//!
//! Invariant: 0 ≤ optimistic ≤ likely ≤ pessimistic, whatever an estimate goes through.
//! Source: domain 4.3; the expectation is that of PERT.

use crate::closed_enum;
use crate::domain::field::FieldErrors;
use crate::domain::money::Usd;
use crate::domain::time::Timestamp;

closed_enum!(
    /// How hard a task is, by its expected hours.
    ComplexityLevel {
        Trivial = "trivial",
        Simple = "simple",
        Moderate = "moderate",
        Complex = "complex",
        Expert = "expert",
    }
);

/// Hours below which a task has a level; what takes longer is for experts.
const LEVELS: [(f64, ComplexityLevel); 4] = [
    (0.25, ComplexityLevel::Trivial),
    (1.0, ComplexityLevel::Simple),
    (4.0, ComplexityLevel::Moderate),
    (8.0, ComplexityLevel::Complex),
];

impl ComplexityLevel {
    /// The level of these expected hours.
    #[must_use]
    pub fn of_hours(hours: f64) -> Self {
        let found = LEVELS.iter().find(|(below, _)| hours < *below);
        found.map_or(Self::Expert, |(_, level)| *level)
    }

    /// 1 for trivial to 5 for expert.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Trivial => 1,
            Self::Simple => 2,
            Self::Moderate => 3,
            Self::Complex => 4,
            Self::Expert => 5,
        }
    }

    /// What routing and the load of agents count it as.
    #[must_use]
    pub const fn routing_complexity(self) -> f64 {
        match self {
            Self::Trivial => 0.5,
            Self::Simple => 1.0,
            Self::Moderate => 1.6,
            Self::Complex => 2.2,
            Self::Expert => 3.0,
        }
    }

    /// Optimistic and pessimistic hours as shares of a figure of this band.
    const fn band(self) -> (f64, f64) {
        match self {
            Self::Trivial => (0.4, 2.0),
            Self::Simple => (0.5, 2.0),
            Self::Moderate => (0.7, 1.5),
            Self::Complex => (0.8, 1.3),
            Self::Expert => (0.75, 1.5),
        }
    }
}

closed_enum!(
    /// Where an estimate comes from.
    EstimationSource {
        Manual = "manual",
        Default = "default",
        AiAnalysis = "ai_analysis",
        Decomposition = "decomposition",
        TemplateDecomposition = "template_decomposition",
        FunctionalDecomposition = "functional_decomposition",
        TemporalDecomposition = "temporal_decomposition",
        CapabilityDecomposition = "capability_decomposition",
        PlannerDecomposition = "planner_decomposition",
        Historical = "historical",
    }
);

impl EstimationSource {
    /// Given by the split of a larger task, whose share it is.
    #[must_use]
    pub const fn is_split(self) -> bool {
        match self {
            Self::Decomposition
            | Self::TemplateDecomposition
            | Self::FunctionalDecomposition
            | Self::TemporalDecomposition
            | Self::CapabilityDecomposition
            | Self::PlannerDecomposition => true,
            Self::Manual | Self::Default | Self::AiAnalysis | Self::Historical => false,
        }
    }
}

/// The three figures, in hours.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Hours {
    /// If all goes well.
    pub optimistic: f64,
    /// Most likely.
    pub likely: f64,
    /// If much goes wrong.
    pub pessimistic: f64,
}

impl Hours {
    /// These three.
    #[must_use]
    pub const fn new(optimistic: f64, likely: f64, pessimistic: f64) -> Self {
        Self { optimistic, likely, pessimistic }
    }

    /// What somebody or a template says as one figure, with the other two by the band table.
    #[must_use]
    pub fn of_figure(hours: f64) -> Self {
        Self::in_band(hours, hours)
    }

    /// What was read out of a text: the likely hours stay within a quarter of an hour and eight.
    #[must_use]
    pub fn of_text(hours: f64) -> Self {
        Self::in_band(hours, hours.clamp(0.25, 8.0))
    }

    fn in_band(figure: f64, likely: f64) -> Self {
        let (low, high) = ComplexityLevel::of_hours(figure).band();
        Self::new(likely * low, likely, likely * high)
    }

    /// (O + 4·L + P) / 6.
    #[must_use]
    pub fn expected(self) -> f64 {
        (self.optimistic + 4.0 * self.likely + self.pessimistic) / 6.0
    }

    /// (P − O) / 6, and 0 when that is none.
    #[must_use]
    pub fn deviation(self) -> f64 {
        ((self.pessimistic - self.optimistic) / 6.0).max(0.0)
    }

    /// Whether nobody said anything.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.optimistic <= 0.0 && self.likely <= 0.0 && self.pessimistic <= 0.0
    }

    /// Each of the three, so many times.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self::new(self.optimistic * factor, self.likely * factor, self.pessimistic * factor)
    }

    /// The level of the expected hours.
    #[must_use]
    pub fn level(self) -> ComplexityLevel {
        ComplexityLevel::of_hours(self.expected())
    }

    /// Notes what is wrong with the three figures at this place.
    pub fn check(self, at: &str, errors: &mut FieldErrors) {
        let Self { optimistic: low, likely, pessimistic: high } = self;
        let figures = [("optimistic", low), ("likely", likely), ("pessimistic", high)];
        for (name, hours) in figures {
            if !hours.is_finite() || hours < 0.0 {
                let message = "must be a number of hours, 0 or more";
                errors.add(format!("{at}/{name}_hours"), "out_of_range", message);
            }
        }
        if low > likely || likely > high {
            let message = "must rise: optimistic_hours ≤ likely_hours ≤ pessimistic_hours";
            errors.add(format!("{at}/likely_hours"), "conflict", message);
        }
    }
}

/// How long a task is expected to take, what it costs and what it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The three figures.
    pub hours: Hours,
    /// Tokens.
    pub estimated_tokens: Option<u64>,
    /// Dollars.
    pub estimated_cost_usd: Option<Usd>,
    /// When it was made or learnt last.
    pub last_estimated_at: Option<Timestamp>,
    /// What an agent must be able to do.
    pub required_capabilities: Vec<String>,
    /// 0–1.
    pub confidence: f64,
    /// Where it comes from.
    pub source: EstimationSource,
}

impl Default for Estimate {
    fn default() -> Self {
        Self {
            hours: Hours::default(),
            estimated_tokens: None,
            estimated_cost_usd: None,
            last_estimated_at: None,
            required_capabilities: Vec::new(),
            confidence: 0.5,
            source: EstimationSource::Manual,
        }
    }
}

/// What a task took in the end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Actual {
    /// Hours of execution.
    pub hours: f64,
    /// Tokens; `None` when nobody measured them.
    pub tokens: Option<u64>,
    /// Dollars; `None` when nobody knows the price.
    pub cost_usd: Option<Usd>,
}

impl Estimate {
    /// Somebody's figure.
    #[must_use]
    pub fn manual(hours: f64) -> Self {
        Self { hours: Hours::of_figure(hours), ..Self::default() }
    }

    /// Whether it is too little to go by. A share of a larger task is not: its confidence falls with
    /// each split though its figures are what the split gave it.
    #[must_use]
    pub fn is_wanting(&self) -> bool {
        self.hours.is_zero() || (self.confidence < 0.5 && !self.source.is_split())
    }

    /// Learns from what the task took: the likely figure goes half the way, and the others widen to
    /// it. What nobody had estimated is taken as it was.
    pub fn learn(&mut self, actual: Actual, now: Timestamp) {
        let took = actual.hours;
        if took.is_finite() && took >= 0.0 {
            let Hours { optimistic, likely, pessimistic } = self.hours;
            self.hours = if self.hours.is_zero() {
                Hours::new(took, took, took)
            } else {
                let middle = f64::midpoint(likely, took);
                Hours::new(optimistic.min(took), middle, pessimistic.max(took))
            };
        }
        self.confidence = (self.confidence + 0.05).min(0.95);
        self.estimated_tokens = actual.tokens.or(self.estimated_tokens);
        self.estimated_cost_usd = actual.cost_usd.or(self.estimated_cost_usd);
        self.source = EstimationSource::Historical;
        self.last_estimated_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-9
    }

    /// T1: expectation, deviation and learning to the digit.
    #[test]
    fn the_three_figures_are_as_pinned() {
        assert!(near(Hours::new(1.0, 2.0, 6.0).expected(), 2.5));
        assert!(near(Hours::new(1.0, 3.0, 7.0).deviation(), 1.0));
        assert!(near(Hours::default().expected(), 0.0));
        assert!(near(Hours::new(3.0, 3.0, 3.0).deviation(), 0.0));
        let mut learnt = Estimate { hours: Hours::new(1.0, 2.0, 4.0), ..Estimate::default() };
        let actual = Actual { hours: 1.5, tokens: Some(900), cost_usd: None };
        learnt.learn(actual, Timestamp::from_millis(7));
        assert_eq!(learnt.hours, Hours::new(1.0, 1.75, 4.0));
        assert!(near(learnt.confidence, 0.55));
        assert_eq!(learnt.source, EstimationSource::Historical);
        assert_eq!(learnt.estimated_tokens, Some(900));
        assert_eq!(learnt.last_estimated_at, Some(Timestamp::from_millis(7)));
        learnt.learn(Actual { hours: 0.5, tokens: None, cost_usd: None }, Timestamp::EPOCH);
        assert_eq!(learnt.hours, Hours::new(0.5, 1.125, 4.0));
        learnt.learn(Actual { hours: 9.0, tokens: None, cost_usd: None }, Timestamp::EPOCH);
        assert!(near(learnt.hours.pessimistic, 9.0), "{learnt:?}");
        assert_eq!(learnt.estimated_tokens, Some(900), "what nobody measured stays");
        for _ in 0..20 {
            learnt.learn(Actual { hours: 2.0, tokens: None, cost_usd: None }, Timestamp::EPOCH);
        }
        assert!(near(learnt.confidence, 0.95), "{}", learnt.confidence);
    }

    /// T2: the levels at their edges, with their numbers and what routing counts.
    #[test]
    fn levels_change_at_their_edges() {
        let levels = [0.24, 0.99, 3.99, 7.99, 8.0].map(ComplexityLevel::of_hours);
        assert_eq!(levels, ComplexityLevel::ALL);
        assert_eq!(
            [0.25, 1.0, 4.0].map(|hours| ComplexityLevel::of_hours(hours).number()),
            [2, 3, 4]
        );
        let routed: Vec<f64> = levels.iter().map(|level| level.routing_complexity()).collect();
        assert_eq!(routed, [0.5, 1.0, 1.6, 2.2, 3.0]);
    }

    #[test]
    fn the_band_table_gives_what_a_figure_lacks() {
        for (hours, low, high) in [
            (0.2, 0.08, 0.4),
            (0.5, 0.25, 1.0),
            (2.0, 1.4, 3.0),
            (4.0, 3.2, 5.2),
            (12.0, 9.0, 18.0),
        ] {
            let figure = Hours::of_figure(hours);
            assert!(near(figure.optimistic, low) && near(figure.pessimistic, high), "{figure:?}");
            assert!(near(figure.likely, hours));
        }
        // Domain 4.3: the two examples of figures that a text gave.
        let tiny = Hours::of_text(0.1);
        assert!(
            near(tiny.likely, 0.25) && near(tiny.optimistic, 0.1) && near(tiny.pessimistic, 0.5)
        );
        assert_eq!(Hours::of_text(20.0), Hours::new(6.0, 8.0, 12.0));
    }

    #[test]
    fn an_estimate_is_made_anew_when_it_says_too_little() {
        assert!(Estimate::default().is_wanting());
        assert!(!Estimate::manual(2.0).is_wanting());
        let guess = Estimate { confidence: 0.49, ..Estimate::manual(2.0) };
        assert!(guess.is_wanting());
        let share = Estimate { source: EstimationSource::TemporalDecomposition, ..guess };
        assert!(!share.is_wanting());
    }

    proptest! {
        #[test]
        fn the_figures_stay_in_order_whatever_is_learnt(
            low in 0.0..10.0f64, more in 0.0..10.0f64, most in 0.0..10.0f64,
            took in proptest::collection::vec(0.0..50.0f64, 0..20),
        ) {
            let hours = Hours::new(low, low + more, low + more + most);
            let mut estimate = Estimate { hours, ..Estimate::default() };
            for hours in took {
                estimate.learn(Actual { hours, tokens: None, cost_usd: None }, Timestamp::EPOCH);
                let Hours { optimistic, likely, pessimistic } = estimate.hours;
                prop_assert!(optimistic <= likely && likely <= pessimistic, "{:?}", estimate.hours);
                prop_assert!(estimate.confidence <= 0.95);
            }
        }
    }
}
