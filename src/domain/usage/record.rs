//! One report of use, as it is kept for ever.
//!
//! Invariant: records are never changed; a correction is a new record.

use serde_json::{Value, json};

use super::{CostSource, Usage};
use crate::domain::ids::{AgentId, SessionId, TaskId, TenantId, UsageId};
use crate::domain::time::Timestamp;

/// What one report of a run used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecord {
    /// Its identity.
    pub id: UsageId,
    /// Whose.
    pub tenant_id: TenantId,
    /// Of which session.
    pub session_id: SessionId,
    /// Of which of its attempts.
    pub attempt: u32,
    /// For which task, when it worked on one.
    pub task_id: Option<TaskId>,
    /// The agent that worked.
    pub agent_id: AgentId,
    /// `provider/model`.
    pub model_identifier: Option<String>,
    /// Tokens and cost, as charged.
    pub usage: Usage,
    /// Who says what it cost.
    pub cost_source: CostSource,
    /// Time on the attempt's execution clock since the report before.
    pub wall_ms: u64,
    /// Number of the report in its attempt, from 1.
    pub turn: u64,
    /// When it was recorded; its day and month are those of this moment.
    pub recorded_at: Timestamp,
}

impl UsageRecord {
    /// Seconds since the report before.
    #[must_use]
    pub fn wall_seconds(&self) -> f64 {
        std::time::Duration::from_millis(self.wall_ms).as_secs_f64()
    }

    /// The record as its event tells it.
    #[must_use]
    pub fn payload(&self) -> Value {
        let Self {
            id,
            tenant_id,
            session_id,
            attempt,
            task_id,
            agent_id,
            model_identifier,
            usage,
            cost_source,
            wall_ms: _,
            turn,
            recorded_at,
        } = self;
        json!({
            "id": id, "tenant_id": tenant_id, "session_id": session_id, "attempt": attempt,
            "task_id": task_id, "agent_id": agent_id, "model_identifier": model_identifier,
            "tokens_input": usage.tokens_input, "tokens_output": usage.tokens_output,
            "tokens_cache_read": usage.tokens_cache_read,
            "tokens_cache_write": usage.tokens_cache_write,
            "tokens_reasoning": usage.tokens_reasoning, "tokens_total": usage.tokens_total(),
            "cost_usd": usage.cost_usd, "cost_source": cost_source,
            "wall_seconds": self.wall_seconds(), "turn": turn, "recorded_at": recorded_at,
            "simulated": usage.simulated,
        })
    }

    /// Tokens that count against quotas: what was simulated does not.
    #[must_use]
    pub fn charged_tokens(&self) -> i64 {
        if self.usage.simulated {
            return 0;
        }
        i64::try_from(self.usage.tokens_total()).unwrap_or(i64::MAX)
    }

    /// Millionths of a dollar that count against budgets: what was simulated does not.
    #[must_use]
    pub fn charged_micros(&self) -> i64 {
        let cost = self.usage.cost_usd.filter(|_| !self.usage.simulated);
        cost.map_or(0, |cost| cost.micros().max(0))
    }
}
