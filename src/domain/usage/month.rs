//! What a tenant may use in a month, and has used; and what it may have stored.

use std::collections::BTreeMap;

use super::budget::{self, BudgetLevel, BudgetScope, BudgetUse};
use super::period::Month;
use super::record::UsageRecord;
use crate::domain::tenant::quotas::{QuotaName, Quotas};

/// A tenant's month: its bounds, and what was used of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purse {
    /// The month.
    pub month: Month,
    /// Tokens that were charged.
    pub tokens: u64,
    /// Millionths of a dollar that were charged.
    pub micros: u64,
    /// Bytes that it has stored.
    pub stored: u64,
    quotas: Quotas,
}

impl Purse {
    /// The month of a tenant with these bounds, by its counters.
    #[must_use]
    pub fn new(quotas: &Quotas, month: Month, tokens: i64, micros: i64) -> Self {
        let positive = |number: i64| u64::try_from(number).unwrap_or(0);
        let (tokens, micros) = (positive(tokens), positive(micros));
        Self { month, tokens, micros, stored: 0, quotas: *quotas }
    }

    /// The same of a tenant that has so many bytes stored.
    #[must_use]
    pub fn storing(self, bytes: i64) -> Self {
        Self { stored: u64::try_from(bytes).unwrap_or(0), ..self }
    }

    /// Its budget and its quota of tokens, as far as they are bounded.
    #[must_use]
    pub fn uses(&self) -> Vec<BudgetUse> {
        let cost = self.quotas.get(QuotaName::MonthlyBudgetUsd).map(|limit| BudgetUse {
            scope: BudgetScope::TenantCost,
            limit,
            used: self.micros,
        });
        let tokens = self.quotas.get(QuotaName::MaxTokensPerMonth).map(|limit| BudgetUse {
            scope: BudgetScope::TenantTokens,
            limit,
            used: self.tokens,
        });
        cost.into_iter().chain(tokens).collect()
    }

    /// Its quota of storage, as far as it is bounded.
    #[must_use]
    pub fn storage(&self) -> Option<BudgetUse> {
        let quota = QuotaName::MaxStorageMb;
        self.quotas.get(quota).map(|limit| BudgetUse {
            scope: BudgetScope::TenantStorage,
            limit: limit.saturating_mul(quota.unit()),
            used: self.stored,
        })
    }

    /// The bound that nothing is left of; the tightest when there are several.
    #[must_use]
    pub fn exhausted(&self) -> Option<BudgetUse> {
        let tightest = budget::tightest_of(self.uses().into_iter().chain(self.storage()));
        tightest.filter(|budget| budget.level() == BudgetLevel::Hard)
    }
}

/// What a tenant was told of its bounds, so that it is told once a month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitsTold {
    /// The month that the rest is about; `None` before the first time.
    pub month: Option<Month>,
    /// How near to its budget.
    pub cost: Option<BudgetLevel>,
    /// How near to its quota of tokens.
    pub tokens: Option<BudgetLevel>,
}

/// A bound that a tenant came near to, or reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// Which, and what was used of it.
    pub budget: BudgetUse,
    /// How near.
    pub level: BudgetLevel,
}

impl LimitsTold {
    /// What is to be told of a month, in order, and how it stands once that is told. A bound that
    /// was raised is told of anew when the use comes near to it again.
    #[must_use]
    pub fn compare(&self, purse: &Purse) -> (Vec<News>, Self) {
        let before = if self.month == Some(purse.month) { *self } else { Self::default() };
        let mut after = Self { month: Some(purse.month), cost: None, tokens: None };
        let mut news = Vec::new();
        for budget in purse.uses() {
            let (told, slot) = match budget.scope {
                BudgetScope::TenantTokens => (before.tokens, &mut after.tokens),
                BudgetScope::TenantCost
                | BudgetScope::TenantStorage
                | BudgetScope::SessionCost
                | BudgetScope::SessionTokens => (before.cost, &mut after.cost),
            };
            let level = Some(budget.level()).filter(|level| *level != BudgetLevel::Free);
            for step in [BudgetLevel::Soft, BudgetLevel::Hard] {
                if level >= Some(step) && told < Some(step) {
                    news.push(News { budget, level: step });
                }
            }
            *slot = level;
        }
        // Nothing was told yet and nothing is to be: there is nothing to remember.
        if after.cost.is_none() && after.tokens.is_none() && before == Self::default() {
            return (news, *self);
        }
        (news, after)
    }
}

/// Charged tokens and millionths of a dollar by month: what the counters of a tenant must say.
#[must_use]
pub fn counted<'a>(
    records: impl IntoIterator<Item = &'a UsageRecord>,
) -> BTreeMap<Month, (i64, i64)> {
    let mut months: BTreeMap<Month, (i64, i64)> = BTreeMap::new();
    for record in records {
        let (tokens, micros) = months.entry(Month::of(record.recorded_at)).or_default();
        *tokens = tokens.saturating_add(record.charged_tokens());
        *micros = micros.saturating_add(record.charged_micros());
    }
    months
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotas(tokens: Option<u64>, micros: Option<u64>) -> Quotas {
        Quotas { max_tokens_per_month: tokens, monthly_budget_micros: micros, ..Quotas::UNLIMITED }
    }

    const MAY: Month = Month::from_number(676);
    const JUNE: Month = Month::from_number(677);

    fn levels(news: &[News]) -> Vec<(BudgetScope, BudgetLevel)> {
        news.iter().map(|one| (one.budget.scope, one.level)).collect()
    }

    #[test]
    fn the_tightest_bound_that_is_reached_is_named() {
        let purse = |tokens, micros| Purse::new(&quotas(Some(100), Some(50)), MAY, tokens, micros);
        assert_eq!(purse(99, 49).exhausted(), None);
        let scope = |purse: Purse| purse.exhausted().map(|budget| budget.scope);
        assert_eq!(scope(purse(100, 0)), Some(BudgetScope::TenantTokens));
        assert_eq!(scope(purse(0, 50)), Some(BudgetScope::TenantCost));
        assert_eq!(scope(purse(110, 500)), Some(BudgetScope::TenantCost));
        assert_eq!(Purse::new(&Quotas::UNLIMITED, MAY, i64::MAX, i64::MAX).exhausted(), None);
        let full = Quotas { max_storage_mb: Some(2), ..Quotas::UNLIMITED };
        let stores = |bytes| Purse::new(&full, MAY, 0, 0).storing(bytes);
        assert_eq!(stores((2 << 20) - 1).exhausted(), None);
        let storage = stores(2 << 20).exhausted().expect("nothing is left");
        assert_eq!(
            (storage.scope, storage.to_string()),
            (BudgetScope::TenantStorage, "2 of 2 MiB".to_owned())
        );
        assert!(stores(2 << 20).uses().is_empty(), "it is no matter of the month");
        // A budget of nothing is reached by nothing.
        assert!(Purse::new(&quotas(None, Some(0)), MAY, 0, 0).exhausted().is_some());
    }

    #[test]
    fn each_level_is_told_once_a_month_and_anew_when_the_bound_was_raised() {
        use BudgetLevel::{Hard, Soft};
        use BudgetScope::TenantTokens as Tokens;
        let purse = |limit, used, month| Purse::new(&quotas(Some(limit), None), month, used, 0);
        let (news, told) = LimitsTold::default().compare(&purse(100, 79, MAY));
        assert_eq!((news.len(), told), (0, LimitsTold::default()));
        let (news, told) = told.compare(&purse(100, 80, MAY));
        assert_eq!(levels(&news), [(Tokens, Soft)]);
        assert_eq!(told.compare(&purse(100, 99, MAY)), (vec![], told));
        let (news, told) = told.compare(&purse(100, 100, MAY));
        assert_eq!(levels(&news), [(Tokens, Hard)]);
        assert_eq!(told.compare(&purse(100, 500, MAY)), (vec![], told));
        let (news, raised) = told.compare(&purse(1000, 500, MAY));
        assert_eq!((news.len(), raised.tokens), (0, None));
        let (news, _) = raised.compare(&purse(1000, 1000, MAY));
        assert_eq!(levels(&news), [(Tokens, Soft), (Tokens, Hard)]);
        // Another month begins with nothing told, and so does the one before when the clock goes back.
        assert_eq!(told.compare(&purse(100, 0, JUNE)).0, vec![]);
        assert_eq!(levels(&told.compare(&purse(100, 85, JUNE)).0), [(Tokens, Soft)]);
    }
}
