//! Tokens and money: what agents report having used.

pub mod budget;
pub mod month;
pub mod period;
pub mod price;
pub mod record;
pub mod rollup;

use super::money::Usd;
use crate::closed_enum;

closed_enum!(
    /// Where a cost comes from.
    CostSource {
        Reported = "reported",
        Computed = "computed",
        Unknown = "unknown",
    }
);

/// More tokens of a kind no model takes or gives in one call.
pub const MOST_TOKENS: u64 = 1_000_000_000;
/// No model call costs more: 100,000 dollars.
pub const MOST_COST: Usd = Usd::from_micros(100_000_000_000);

/// Tokens and cost of one or many model calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Prompt tokens without cache reads.
    pub tokens_input: u64,
    /// Answer tokens without reasoning.
    pub tokens_output: u64,
    /// Tokens read from a cache: priced, not counted in the total.
    pub tokens_cache_read: u64,
    /// Tokens written to a cache.
    pub tokens_cache_write: u64,
    /// Reasoning tokens.
    pub tokens_reasoning: u64,
    /// `None` when nobody knows the price.
    pub cost_usd: Option<Usd>,
    /// Whether any of it was simulated.
    pub simulated: bool,
    /// Whether anything was reported at all; without it the figures mean unknown, not zero.
    pub reported: bool,
}

impl Usage {
    /// Input, output, cache writes and reasoning.
    #[must_use]
    pub const fn tokens_total(&self) -> u64 {
        self.tokens_input
            .saturating_add(self.tokens_output)
            .saturating_add(self.tokens_cache_write)
            .saturating_add(self.tokens_reasoning)
    }

    /// Whether one model call can have used this: what is beyond was made up by the agent.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        let tokens = [
            self.tokens_input,
            self.tokens_output,
            self.tokens_cache_read,
            self.tokens_cache_write,
            self.tokens_reasoning,
        ];
        tokens.iter().all(|count| *count <= MOST_TOKENS)
            && self.cost_usd.is_none_or(|cost| (Usd::ZERO..=MOST_COST).contains(&cost))
    }

    /// What was used of it after that; nothing is less than none.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let cost_since = |cost: Usd| {
            let before = before.cost_usd.unwrap_or(Usd::ZERO);
            Usd::from_micros((cost.micros() - before.micros()).max(0))
        };
        let Self { tokens_input, tokens_output, tokens_cache_read, .. } = *self;
        Self {
            tokens_input: tokens_input.saturating_sub(before.tokens_input),
            tokens_output: tokens_output.saturating_sub(before.tokens_output),
            tokens_cache_read: tokens_cache_read.saturating_sub(before.tokens_cache_read),
            tokens_cache_write: self.tokens_cache_write.saturating_sub(before.tokens_cache_write),
            tokens_reasoning: self.tokens_reasoning.saturating_sub(before.tokens_reasoning),
            cost_usd: self.cost_usd.map(cost_since),
            ..*self
        }
    }

    /// The sum of two usages; a known and an unknown cost give the known one.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            tokens_input: self.tokens_input.saturating_add(other.tokens_input),
            tokens_output: self.tokens_output.saturating_add(other.tokens_output),
            tokens_cache_read: self.tokens_cache_read.saturating_add(other.tokens_cache_read),
            tokens_cache_write: self.tokens_cache_write.saturating_add(other.tokens_cache_write),
            tokens_reasoning: self.tokens_reasoning.saturating_add(other.tokens_reasoning),
            cost_usd: match (self.cost_usd, other.cost_usd) {
                (Some(left), Some(right)) => Some(left + right),
                (left, right) => left.or(right),
            },
            simulated: self.simulated || other.simulated,
            reported: self.reported || other.reported,
        }
    }
}
