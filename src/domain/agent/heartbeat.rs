//! What an agent says of itself, as it is kept.

use serde_json::{Map, Value};

use super::status::{HeartbeatStatus, Pulse};
use crate::domain::ids::AgentId;
use crate::domain::time::Timestamp;

/// The newest heartbeat of an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Heartbeat {
    /// Whose.
    pub agent_id: AgentId,
    /// When it was heard, by our clock.
    pub heard_at: Timestamp,
    /// When the agent says that it was.
    pub said_at: Option<Timestamp>,
    /// How it is.
    pub status: HeartbeatStatus,
    /// How busy it is, 0 to 1.
    pub current_load: f64,
    /// What it works on.
    pub tasks_in_progress: u32,
    /// Figures of its own.
    pub metrics: Map<String, Value>,
}

impl Heartbeat {
    /// As decisions see it. Silence counts from the start of the server at the earliest: whoever was
    /// heard before has one expiry to show itself again.
    #[must_use]
    pub fn pulse(&self, started_at: Timestamp) -> Pulse {
        Pulse {
            status: Some(self.status),
            from: self.heard_at.max(started_at),
            load: self.current_load,
            tasks: self.tasks_in_progress,
        }
    }
}
