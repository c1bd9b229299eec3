//! How much a tenant may have at once, and use in a month.
//!
//! Invariant: a quota of things is enforced by a guard in the commit that would pass it, never by
//! counting first and writing later. What was used was used: a quota of use ends what would use more.
//! Requests are counted where they come in, and nowhere else.

use serde_json::{Value, json};

use crate::closed_enum;
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::money::Usd;

closed_enum!(
    /// The quotas that this version enforces.
    QuotaName {
        MaxConcurrentSessions = "max_concurrent_sessions",
        MaxQueueDepth = "max_queue_depth",
        MaxTokensPerMonth = "max_tokens_per_month",
        MonthlyBudgetUsd = "monthly_budget_usd",
        MaxStorageMb = "max_storage_mb",
        MaxAgents = "max_agents",
        RequestsPerMinute = "requests_per_minute",
    }
);

/// The bounds of one tenant; `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// Sessions in an open status, 1 or more.
    pub max_concurrent_sessions: Option<u64>,
    /// Sessions that wait in the queue.
    pub max_queue_depth: Option<u64>,
    /// Tokens of a UTC month.
    pub max_tokens_per_month: Option<u64>,
    /// Cost of a UTC month, in millionths of a dollar.
    pub monthly_budget_micros: Option<u64>,
    /// Checkpoints, transcripts and logs, in MiB.
    pub max_storage_mb: Option<u64>,
    /// Agents that are registered.
    pub max_agents: Option<u64>,
    /// Requests of all its keys together, 1 or more; a sixth of them at once.
    pub requests_per_minute: Option<u64>,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            max_concurrent_sessions: Some(10),
            max_queue_depth: Some(1000),
            max_tokens_per_month: Some(1_000_000),
            monthly_budget_micros: None,
            max_storage_mb: Some(10_240),
            max_agents: Some(50),
            requests_per_minute: Some(600),
        }
    }
}

impl Quotas {
    /// Nothing is bounded.
    pub const UNLIMITED: Self = Self {
        max_concurrent_sessions: None,
        max_queue_depth: None,
        max_tokens_per_month: None,
        monthly_budget_micros: None,
        max_storage_mb: None,
        max_agents: None,
        requests_per_minute: None,
    };

    /// The bound of this quota.
    #[must_use]
    pub const fn get(&self, name: QuotaName) -> Option<u64> {
        match name {
            QuotaName::MaxConcurrentSessions => self.max_concurrent_sessions,
            QuotaName::MaxQueueDepth => self.max_queue_depth,
            QuotaName::MaxTokensPerMonth => self.max_tokens_per_month,
            QuotaName::MonthlyBudgetUsd => self.monthly_budget_micros,
            QuotaName::MaxStorageMb => self.max_storage_mb,
            QuotaName::MaxAgents => self.max_agents,
            QuotaName::RequestsPerMinute => self.requests_per_minute,
        }
    }

    const fn slot(&mut self, name: QuotaName) -> &mut Option<u64> {
        match name {
            QuotaName::MaxConcurrentSessions => &mut self.max_concurrent_sessions,
            QuotaName::MaxQueueDepth => &mut self.max_queue_depth,
            QuotaName::MaxTokensPerMonth => &mut self.max_tokens_per_month,
            QuotaName::MonthlyBudgetUsd => &mut self.monthly_budget_micros,
            QuotaName::MaxStorageMb => &mut self.max_storage_mb,
            QuotaName::MaxAgents => &mut self.max_agents,
            QuotaName::RequestsPerMinute => &mut self.requests_per_minute,
        }
    }

    /// The bounds with some of them replaced, and what that changes.
    ///
    /// # Errors
    /// Every bound that is too small or too large.
    pub fn with(
        &self,
        wanted: &[(QuotaName, Option<u64>)],
    ) -> Result<(Self, Vec<QuotaChange>), Vec<FieldError>> {
        let (mut quotas, mut errors) = (*self, FieldErrors::default());
        let mut changes = Vec::new();
        for (quota, new) in wanted {
            let (least, largest) = (quota.least(), quota.largest());
            if new.is_some_and(|limit| limit < least || limit > largest) {
                let (least, largest) = (quota.figure(least), quota.figure(largest));
                let message = format!("must be {least} to {largest}, or null for no bound");
                errors.add(format!("/{quota}"), "out_of_range", message);
                continue;
            }
            let slot = quotas.slot(*quota);
            if slot != new {
                changes.push(QuotaChange { quota: *quota, old: *slot, new: *new });
                *slot = *new;
            }
        }
        errors.into_result((quotas, changes))
    }
}

/// A bound that is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaChange {
    /// Which.
    pub quota: QuotaName,
    /// As it was.
    pub old: Option<u64>,
    /// As it will be.
    pub new: Option<u64>,
}

impl QuotaName {
    /// A bound or a use as it is told: a count, or dollars.
    #[must_use]
    pub fn figure(self, number: u64) -> Value {
        match self {
            Self::MaxConcurrentSessions
            | Self::MaxQueueDepth
            | Self::MaxTokensPerMonth
            | Self::MaxStorageMb
            | Self::MaxAgents
            | Self::RequestsPerMinute => json!(number),
            Self::MonthlyBudgetUsd => {
                json!(Usd::from_micros(i64::try_from(number).unwrap_or(i64::MAX)))
            }
        }
    }

    /// How many of what its counter counts are one of what it bounds.
    #[must_use]
    pub const fn unit(self) -> u64 {
        match self {
            Self::MaxStorageMb => 1024 * 1024,
            Self::MaxConcurrentSessions
            | Self::MaxQueueDepth
            | Self::MaxTokensPerMonth
            | Self::MonthlyBudgetUsd
            | Self::MaxAgents
            | Self::RequestsPerMinute => 1,
        }
    }

    /// The largest bound; more is said by having none.
    const fn largest(self) -> u64 {
        match self {
            Self::MaxConcurrentSessions
            | Self::MaxQueueDepth
            | Self::MaxStorageMb
            | Self::MaxAgents
            | Self::RequestsPerMinute => 1_000_000_000,
            Self::MaxTokensPerMonth | Self::MonthlyBudgetUsd => 1_000_000_000_000_000,
        }
    }

    /// The smallest bound that makes sense.
    const fn least(self) -> u64 {
        match self {
            Self::MaxConcurrentSessions | Self::RequestsPerMinute => 1,
            Self::MaxQueueDepth
            | Self::MaxTokensPerMonth
            | Self::MonthlyBudgetUsd
            | Self::MaxStorageMb
            | Self::MaxAgents => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_replaced_one_by_one_and_checked_together() {
        let name = QuotaName::MaxConcurrentSessions;
        let (quotas, changes) = Quotas::default().with(&[(name, Some(64))]).expect("valid");
        assert_eq!(quotas, Quotas { max_concurrent_sessions: Some(64), ..Quotas::default() });
        assert_eq!(changes, [QuotaChange { quota: name, old: Some(10), new: Some(64) }]);
        let (same, changes) = quotas.with(&[(name, Some(64))]).expect("valid");
        assert_eq!((same, changes.len()), (quotas, 0));
        let all: Vec<_> = QuotaName::ALL.iter().map(|name| (*name, None)).collect();
        assert_eq!(Quotas::default().with(&all).expect("valid").0, Quotas::UNLIMITED);
        let wrong = [(name, Some(0)), (QuotaName::MaxQueueDepth, Some(u64::MAX))];
        let errors = Quotas::default().with(&wrong).expect_err("both are wrong");
        let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/max_concurrent_sessions", "/max_queue_depth"]);
    }
}
