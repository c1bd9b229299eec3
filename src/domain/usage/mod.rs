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
        self.tokens_input + self.tokens_output + self.tokens_cache_write + self.tokens_reasoning
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
