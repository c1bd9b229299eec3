//! Checkpoints: where a session can be taken up again.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::closed_enum;
use crate::domain::canonical::{canonical, canonical_hash};
use crate::domain::ids::{CheckpointId, SessionId};
use crate::domain::time::Timestamp;

/// Checkpoints kept per session; older ones are dropped as new ones come.
pub const KEPT: u64 = 100;
/// Largest `data`, canonical.
pub const MAX_DATA_BYTES: usize = 256 * 1024;

closed_enum!(
    /// What a checkpoint was taken for.
    CheckpointTrigger {
        Start = "start",
        Turn = "turn",
        Periodic = "periodic",
        Pause = "pause",
        Stop = "stop",
        Failure = "failure",
        Manual = "manual",
    }
);

/// A point that a session can be restored to, forked from or resumed at.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Its identity.
    pub id: CheckpointId,
    /// Whose it is.
    pub session_id: SessionId,
    /// From 1, rising even after older ones were dropped.
    pub sequence: u64,
    /// When it was taken.
    pub created_at: Timestamp,
    /// What for.
    pub trigger: CheckpointTrigger,
    /// State as a JSON object; caller metadata lies under `_metadata`.
    pub data: Value,
    /// The agent's own conversation.
    pub agent_session_ref: Option<String>,
    /// The last message of that conversation that belongs to this point.
    pub agent_message_ref: Option<String>,
    /// Git commit of the workspace; `None` without git.
    pub workspace_ref: Option<String>,
    /// Versions of the shared contexts at that moment.
    pub context_versions: BTreeMap<String, u64>,
    /// SHA-256 of the canonical state, lower-case hex.
    pub state_hash: String,
}

/// What a checkpoint records, before it has a number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CheckpointState {
    /// State as a JSON object.
    pub data: Value,
    /// The agent's own conversation.
    pub agent_session_ref: Option<String>,
    /// The last message that belongs to this point.
    pub agent_message_ref: Option<String>,
    /// Git commit of the workspace.
    pub workspace_ref: Option<String>,
    /// Versions of the shared contexts.
    pub context_versions: BTreeMap<String, u64>,
}

impl CheckpointState {
    /// The hash by which two states are the same.
    #[must_use]
    pub fn hash(&self) -> String {
        canonical_hash(&json!({
            "data": self.data,
            "agent_session_ref": self.agent_session_ref,
            "agent_message_ref": self.agent_message_ref,
            "workspace_ref": self.workspace_ref,
            "context_versions": self.context_versions,
        }))
    }

    /// Whether the data is larger than a checkpoint may be.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        canonical(&self.data).len() > MAX_DATA_BYTES
    }

    /// The state of an automatic checkpoint: data that is too large is left out and said so.
    #[must_use]
    pub fn truncated(mut self) -> Self {
        if self.is_too_large() {
            self.data = json!({ "truncated": true });
        }
        self
    }
}
