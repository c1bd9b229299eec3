//! Sums over many records: the roll-up of a day.
//!
//! Invariant: a roll-up follows from the records of its day alone, in whatever order they come.
//! Invariant: what was simulated is never added to what was not.

use std::collections::{BTreeMap, BTreeSet};

use super::period::Day;
use super::record::UsageRecord;
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::money::Usd;
use crate::domain::time::Timestamp;

/// Sums of a number of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the sums are those of the fields of a record")]
pub struct Sums {
    /// Records.
    pub records: u64,
    /// Of which nobody knows the cost.
    pub unpriced: u64,
    pub tokens_input: u64,
    pub tokens_output: u64,
    pub tokens_cache_read: u64,
    pub tokens_cache_write: u64,
    pub tokens_reasoning: u64,
    pub tokens_total: u64,
    /// Of those whose cost is known; `None` without one.
    pub cost_usd: Option<Usd>,
    pub wall_ms: u64,
}

impl Sums {
    /// The sums of one record.
    #[must_use]
    pub fn of(record: &UsageRecord) -> Self {
        let usage = &record.usage;
        Self {
            records: 1,
            unpriced: u64::from(usage.cost_usd.is_none()),
            tokens_input: usage.tokens_input,
            tokens_output: usage.tokens_output,
            tokens_cache_read: usage.tokens_cache_read,
            tokens_cache_write: usage.tokens_cache_write,
            tokens_reasoning: usage.tokens_reasoning,
            tokens_total: usage.tokens_total(),
            cost_usd: usage.cost_usd,
            wall_ms: record.wall_ms,
        }
    }

    /// Adds other sums.
    pub fn add(&mut self, other: &Self) {
        let Self {
            records,
            unpriced,
            tokens_input,
            tokens_output,
            tokens_cache_read,
            tokens_cache_write,
            tokens_reasoning,
            tokens_total,
            cost_usd,
            wall_ms,
        } = *other;
        for (sum, part) in [
            (&mut self.records, records),
            (&mut self.unpriced, unpriced),
            (&mut self.tokens_input, tokens_input),
            (&mut self.tokens_output, tokens_output),
            (&mut self.tokens_cache_read, tokens_cache_read),
            (&mut self.tokens_cache_write, tokens_cache_write),
            (&mut self.tokens_reasoning, tokens_reasoning),
            (&mut self.tokens_total, tokens_total),
            (&mut self.wall_ms, wall_ms),
        ] {
            *sum = sum.saturating_add(part);
        }
        self.cost_usd = match (self.cost_usd, cost_usd) {
            (Some(left), Some(right)) => Some(left + right),
            (left, right) => left.or(right),
        };
    }
}

/// What one agent used of one model in a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayRow {
    /// `provider/model`.
    pub model: Option<String>,
    /// The agent.
    pub agent_id: AgentId,
    /// Whether it was simulated.
    pub simulated: bool,
    /// Sessions that it was for.
    pub sessions: u64,
    /// The sums.
    pub sums: Sums,
}

/// What a tenant used in a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayUsage {
    /// The day.
    pub day: Day,
    /// When it was summed; before the day is over, more may come.
    pub made_at: Timestamp,
    /// Sessions that used something, and those of them that were simulated, each counted once.
    pub sessions: (u64, u64),
    /// By model, agent and whether it was simulated.
    pub rows: Vec<DayRow>,
}

impl DayUsage {
    /// Whether nothing can come after it: it was summed when its day was over.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.made_at >= self.day.end()
    }

    /// Whether it says the same of its day as another one.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.rows == other.rows
            && self.sessions == other.sessions
            && self.is_whole() == other.is_whole()
    }
}

type RowKey = (Option<String>, AgentId, bool);

/// A roll-up in the making.
#[derive(Debug, Clone, Default)]
pub struct DayTally {
    rows: BTreeMap<RowKey, (Sums, BTreeSet<SessionId>)>,
    real: BTreeSet<SessionId>,
    simulated: BTreeSet<SessionId>,
}

impl DayTally {
    /// Adds a record.
    pub fn add(&mut self, record: &UsageRecord) {
        let simulated = record.usage.simulated;
        let key = (record.model_identifier.clone(), record.agent_id, simulated);
        let (sums, sessions) = self.rows.entry(key).or_default();
        sums.add(&Sums::of(record));
        sessions.insert(record.session_id);
        let all = if simulated { &mut self.simulated } else { &mut self.real };
        all.insert(record.session_id);
    }

    /// The roll-up of a day whose records were added.
    #[must_use]
    pub fn finish(self, day: Day, made_at: Timestamp) -> DayUsage {
        let count = |set: &BTreeSet<SessionId>| u64::try_from(set.len()).unwrap_or(u64::MAX);
        let sessions = (count(&self.real), count(&self.simulated));
        let row = |((model, agent_id, simulated), (sums, sessions)): (RowKey, (Sums, _))| DayRow {
            model,
            agent_id,
            simulated,
            sessions: count(&sessions),
            sums,
        };
        DayUsage { day, made_at, sessions, rows: self.rows.into_iter().map(row).collect() }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::{TenantId, UsageId};
    use crate::domain::usage::{CostSource, Usage};

    fn record(number: u64, session: u128, model: &str, simulated: bool) -> UsageRecord {
        let cost_usd = (number != 3).then_some(Usd::from_micros(5));
        UsageRecord {
            id: UsageId::new(Uuid::from_u128(u128::from(number))),
            tenant_id: TenantId::BOOTSTRAP,
            session_id: SessionId::new(Uuid::from_u128(session)),
            attempt: 1,
            task_id: None,
            agent_id: AgentId::new(Uuid::from_u128(7)),
            model_identifier: Some(model.to_owned()),
            usage: Usage { tokens_input: number, cost_usd, simulated, ..Usage::default() },
            cost_source: CostSource::Unknown,
            wall_ms: 10,
            turn: number,
            recorded_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn a_roll_up_follows_from_its_records_in_whatever_order() {
        let records = [
            record(1, 1, "a", false),
            record(2, 1, "b", false),
            record(3, 2, "a", false),
            record(4, 2, "a", true),
        ];
        let (mut tally, mut reversed) = (DayTally::default(), DayTally::default());
        for (record, other) in records.iter().zip(records.iter().rev()) {
            tally.add(record);
            reversed.add(other);
        }
        let day = Day::of(Timestamp::EPOCH);
        let made = tally.finish(day, day.start());
        assert!(made.says_the_same(&reversed.finish(day, day.start())));
        assert_eq!(made.sessions, (2, 1), "a session that used two models is one");
        let rows: Vec<(Option<&str>, bool, u64, u64, u64)> = made
            .rows
            .iter()
            .map(|row| {
                let Sums { tokens_total, unpriced, .. } = row.sums;
                (row.model.as_deref(), row.simulated, row.sessions, tokens_total, unpriced)
            })
            .collect();
        let expected =
            [(Some("a"), false, 2, 4, 1), (Some("a"), true, 1, 4, 0), (Some("b"), false, 1, 2, 0)];
        assert_eq!(rows, expected);
        assert_eq!(made.rows[0].sums.cost_usd, Some(Usd::from_micros(5)), "of what is known");
        assert!(!made.is_whole() && DayUsage { made_at: day.end(), ..made }.is_whole());
    }
}
