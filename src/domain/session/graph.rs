//! A session that is a graph of tasks: it runs without an agent, and its children work.

use serde_json::{Value, json};

use super::spec::ExecutionMode;
use super::status::{InvalidTransition, Trigger};
use super::{Cause, Session};
use crate::domain::event::{DomainEvent, EventType};

impl Session {
    /// Whether its tasks are executed by children instead of an agent of its own.
    #[must_use]
    pub fn is_graph(&self) -> bool {
        self.spec.execution_mode == ExecutionMode::TaskGraph
    }

    /// queued → running, without agent and lease.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn begin_graph(&mut self, cause: Cause<'_>) -> Result<Vec<DomainEvent>, InvalidTransition> {
        let payload = json!({
            "agent_id": Value::Null, "attempt": self.metrics.retry_count + 1,
            "fencing_token": Value::Null, "resumed_from_checkpoint": Value::Null,
        });
        self.transition(Trigger::Dispatch, cause, EventType::SessionStarted, payload)
    }

    /// paused → running, without agent and lease.
    ///
    /// # Errors
    /// `InvalidTransition`.
    pub fn resume_graph(
        &mut self,
        cause: Cause<'_>,
    ) -> Result<Vec<DomainEvent>, InvalidTransition> {
        let payload = json!({ "reason": cause.reason, "actor": cause.actor });
        self.transition(Trigger::Resume, cause, EventType::SessionResumed, payload)
    }
}
