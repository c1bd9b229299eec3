//! Budgets: what may be used, and how near a use is to it.
//!
//! Invariant: what was simulated is never charged.

use serde_json::{Value, json};

use super::Usage;
use crate::closed_enum;
use crate::domain::money::Usd;
use crate::domain::tenant::quotas::QuotaName;

closed_enum!(
    /// What a budget bounds.
    BudgetScope {
        SessionCost = "session_budget_usd",
        SessionTokens = "session_token_budget",
        TenantCost = "monthly_budget_usd",
        TenantTokens = "max_tokens_per_month",
        TenantStorage = "max_storage_mb",
    }
);

closed_enum!(
    /// How near a use is to its bound, in rising order.
    BudgetLevel {
        Free = "free",
        Soft = "soft",
        Hard = "hard",
    }
);

/// Share of a budget, in percent, at which people are told.
const SOFT_PERCENT: u128 = 80;

/// A budget and what was used of it: millionths of a dollar, tokens, or bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetUse {
    /// What it bounds.
    pub scope: BudgetScope,
    /// The bound.
    pub limit: u64,
    /// What was used.
    pub used: u64,
}

impl BudgetUse {
    /// How near the use is to the bound; a bound of nothing is reached by nothing.
    #[must_use]
    pub const fn level(&self) -> BudgetLevel {
        if self.used >= self.limit {
            BudgetLevel::Hard
        } else if self.used as u128 * 100 >= self.limit as u128 * SOFT_PERCENT {
            BudgetLevel::Soft
        } else {
            BudgetLevel::Free
        }
    }

    /// Bound and use as the events tell them: dollars, or tokens.
    #[must_use]
    pub fn figures(&self) -> (Value, Value) {
        let spell = |number: u64| match self.scope {
            BudgetScope::SessionCost | BudgetScope::TenantCost => {
                json!(Usd::from_micros(i64::try_from(number).unwrap_or(i64::MAX)))
            }
            BudgetScope::SessionTokens | BudgetScope::TenantTokens => json!(number),
            BudgetScope::TenantStorage => json!(mebibytes(number)),
        };
        (spell(self.limit), spell(self.used))
    }
}

impl std::fmt::Display for BudgetUse {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (used, limit) = (self.used, self.limit);
        match self.scope {
            BudgetScope::SessionCost | BudgetScope::TenantCost => {
                let dollars =
                    |number: u64| Usd::from_micros(i64::try_from(number).unwrap_or(i64::MAX));
                write!(formatter, "{} of {}", dollars(used), dollars(limit))
            }
            BudgetScope::SessionTokens | BudgetScope::TenantTokens => {
                write!(formatter, "{used} of {limit} tokens")
            }
            BudgetScope::TenantStorage => {
                write!(formatter, "{} of {} MiB", mebibytes(used), mebibytes(limit))
            }
        }
    }
}

/// Bytes as people read them, rounded up.
#[must_use]
pub const fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(QuotaName::MaxStorageMb.unit())
}

/// The tightest budget of a session: the one whose use is nearest to its bound.
#[must_use]
pub fn tightest(cost: Option<Usd>, tokens: Option<u64>, usage: &Usage) -> Option<BudgetUse> {
    let charged = if usage.simulated { Usage::default() } else { *usage };
    let micros = |amount: Usd| u64::try_from(amount.micros()).unwrap_or(0);
    let cost = cost.map(|limit| BudgetUse {
        scope: BudgetScope::SessionCost,
        limit: micros(limit),
        used: charged.cost_usd.map_or(0, micros),
    });
    let tokens = tokens.map(|limit| BudgetUse {
        scope: BudgetScope::SessionTokens,
        limit,
        used: charged.tokens_total(),
    });
    tightest_of(cost.into_iter().chain(tokens))
}

/// The tightest of several budgets: the one whose use is nearest to its bound.
#[must_use]
pub fn tightest_of(budgets: impl IntoIterator<Item = BudgetUse>) -> Option<BudgetUse> {
    // Shares are compared crosswise: left.used / left.limit against right.used / right.limit.
    let share = |left: &BudgetUse, right: &BudgetUse| {
        let crossed =
            |one: &BudgetUse, other: &BudgetUse| u128::from(one.used) * u128::from(other.limit);
        left.level().cmp(&right.level()).then(crossed(left, right).cmp(&crossed(right, left)))
    };
    budgets.into_iter().max_by(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(tokens: u64, micros: i64) -> Usage {
        Usage {
            tokens_input: tokens,
            cost_usd: Some(Usd::from_micros(micros)),
            reported: true,
            ..Usage::default()
        }
    }

    #[test]
    fn levels_begin_at_their_share() {
        for (limit, spent, level) in [
            (100, 0, BudgetLevel::Free),
            (100, 79, BudgetLevel::Free),
            (100, 80, BudgetLevel::Soft),
            (100, 99, BudgetLevel::Soft),
            (100, 100, BudgetLevel::Hard),
            (100, 250, BudgetLevel::Hard),
            (0, 0, BudgetLevel::Hard),
            (u64::MAX, u64::MAX - 1, BudgetLevel::Soft),
        ] {
            let one = BudgetUse { scope: BudgetScope::SessionTokens, limit, used: spent };
            assert_eq!(one.level(), level, "{spent} of {limit}");
        }
    }

    #[test]
    fn the_tightest_counts_and_what_is_simulated_does_not() {
        let cost = Some(Usd::from_micros(1_000_000));
        let scope = |tokens, usage: &Usage| tightest(cost, tokens, usage).map(|one| one.scope);
        assert_eq!(scope(Some(1000), &used(900, 500_000)), Some(BudgetScope::SessionTokens));
        assert_eq!(scope(Some(1000), &used(100, 500_000)), Some(BudgetScope::SessionCost));
        assert_eq!(scope(None, &used(100, 0)), Some(BudgetScope::SessionCost));
        assert_eq!(tightest(None, None, &used(1, 1)), None);
        let simulated = Usage { simulated: true, ..used(5000, 5_000_000) };
        let told = tightest(cost, Some(1000), &simulated).expect("bounded");
        assert_eq!((told.level(), told.used), (BudgetLevel::Free, 0));
    }

    #[test]
    fn figures_are_dollars_or_tokens() {
        let cost = BudgetUse { scope: BudgetScope::SessionCost, limit: 1_500_000, used: 1_250_000 };
        assert_eq!(cost.figures(), (json!(1.5), json!(1.25)));
        assert_eq!(cost.to_string(), "$1.250000 of $1.500000");
        let tokens = BudgetUse { scope: BudgetScope::SessionTokens, limit: 10, used: 8 };
        assert_eq!(tokens.figures(), (json!(10), json!(8)));
        assert_eq!(tokens.to_string(), "8 of 10 tokens");
    }
}
