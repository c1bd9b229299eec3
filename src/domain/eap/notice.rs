//! What an external agent is told beside its work.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::domain::ids::SessionId;
use crate::domain::time::Timestamp;

/// Something that an agent is told until its next call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A piece of work is to end; the right to it is void.
    Cancel {
        /// Which.
        task: SessionId,
        /// The right that is void.
        fencing_token: u64,
        /// Why.
        reason: String,
    },
    /// A lock is held no longer.
    LockLost {
        /// Its name.
        name: String,
        /// The hold that ended.
        lock_id: Uuid,
    },
    /// The token is to be replaced.
    RotateToken {
        /// Until then the old one is accepted.
        before: Timestamp,
    },
    /// It gets nothing new.
    Drain,
    /// Somebody answered a question of its.
    Answer {
        /// Which work it is about.
        task: SessionId,
        /// The right to it.
        fencing_token: u64,
        /// The answer.
        text: String,
    },
}

impl Notice {
    /// As it is sent.
    #[must_use]
    pub fn document(&self) -> Map<String, Value> {
        let document = match self {
            Self::Cancel { task, fencing_token, reason } => json!({
                "kind": "cancel", "task_id": task, "fencing_token": fencing_token, "reason": reason,
            }),
            Self::LockLost { name, lock_id } => {
                json!({ "kind": "lock_lost", "name": name, "lock_id": lock_id })
            }
            Self::RotateToken { before } => json!({ "kind": "rotate_token", "before": before }),
            Self::Drain => json!({ "kind": "drain" }),
            Self::Answer { task, fencing_token, text } => json!({
                "kind": "answer", "task_id": task, "fencing_token": fencing_token, "text": text,
            }),
        };
        match document {
            Value::Object(map) => map,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        }
    }
}
