//! Checkpoints on the wire.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::ids::{CheckpointId, SessionId};
use crate::domain::session::checkpoint::{Checkpoint, CheckpointTrigger};
use crate::domain::time::Timestamp;

/// A point that a session can be restored to, forked from or resumed at.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Checkpoint)]
pub struct CheckpointDto {
    /// Its identity.
    pub id: CheckpointId,
    /// Whose it is.
    pub session_id: SessionId,
    /// From 1, rising even after older ones were dropped.
    #[schema(minimum = 1)]
    pub sequence: u64,
    /// When it was taken.
    pub created_at: Timestamp,
    /// What for.
    pub trigger: CheckpointTrigger,
    /// State; caller metadata lies under `_metadata`.
    #[schema(value_type = Object)]
    pub data: Value,
    /// The agent's own conversation.
    pub agent_session_ref: Option<String>,
    /// The last message of it that belongs to this point.
    pub agent_message_ref: Option<String>,
    /// Git commit of the workspace; null without git.
    pub workspace_ref: Option<String>,
    /// Versions of the shared contexts at that moment.
    pub context_versions: BTreeMap<String, u64>,
    /// SHA-256 of the canonical state, lower-case hex.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub state_hash: String,
}

impl From<&Checkpoint> for CheckpointDto {
    fn from(checkpoint: &Checkpoint) -> Self {
        let Checkpoint {
            id,
            session_id,
            sequence,
            created_at,
            trigger,
            data,
            agent_session_ref,
            agent_message_ref,
            workspace_ref,
            context_versions,
            state_hash,
        } = checkpoint.clone();
        Self {
            id,
            session_id,
            sequence,
            created_at,
            trigger,
            data,
            agent_session_ref,
            agent_message_ref,
            workspace_ref,
            context_versions,
            state_hash,
        }
    }
}
