//! What the store keeps of how agents do: work that ended and is to be counted, figures, heartbeats.

use async_trait::async_trait;

use super::changes::Put;
use super::store::StoreError;
use crate::domain::agent::heartbeat::Heartbeat;
use crate::domain::agent::vitals::{Ended, Vitals};
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::version::Versioned;

/// Which assignment: its agent, its session, its attempt.
pub type WorkKey = (AgentId, SessionId, u32);

/// One write about how agents do.
#[derive(Debug, Clone, PartialEq)]
pub enum VitalsWrite {
    /// Work ended on an agent; it expects absence. Found by `Fleet::uncounted`.
    Ended(Ended),
    /// It was counted; it must be there.
    Counted(WorkKey),
    /// How an agent does.
    Vitals(Put<Vitals>),
    /// The newest heartbeat of an agent, whatever was there before.
    Heard(Heartbeat),
}

impl VitalsWrite {
    /// The record that it writes: one change set writes each once.
    #[must_use]
    pub const fn record(&self) -> (u8, AgentId, Option<(SessionId, u32)>) {
        match self {
            Self::Ended(Ended { agent_id, session_id, attempt, .. }) => {
                (0, *agent_id, Some((*session_id, *attempt)))
            }
            Self::Counted((agent, session, attempt)) => (0, *agent, Some((*session, *attempt))),
            Self::Vitals(put) => (1, put.value.agent_id, None),
            Self::Heard(heartbeat) => (2, heartbeat.agent_id, None),
        }
    }
}

/// How the agents of a tenant do.
#[async_trait]
pub trait VitalsReads: Send + Sync {
    /// One agent's; `None` before work of its was counted.
    async fn vitals(&self, agent: AgentId) -> Result<Option<Versioned<Vitals>>, StoreError>;
    /// Those of all agents; damaged ones are left out.
    async fn all_vitals(&self) -> Result<Vec<Vitals>, StoreError>;
    /// One agent's newest heartbeat.
    async fn heartbeat(&self, agent: AgentId) -> Result<Option<Heartbeat>, StoreError>;
    /// Those of all agents; damaged ones are left out.
    async fn heartbeats(&self) -> Result<Vec<Heartbeat>, StoreError>;
}
