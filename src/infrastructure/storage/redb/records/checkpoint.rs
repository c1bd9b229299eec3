//! Checkpoints.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Payload, Record, Unreadable, Unstorable, json, value, word};
use crate::domain::ids::{CheckpointId, SessionId};
use crate::domain::session::checkpoint::{Checkpoint, CheckpointTrigger};
use crate::domain::time::Timestamp;
use crate::infrastructure::storage::redb::codec;

#[derive(Serialize, Deserialize)]
struct CheckpointV1 {
    id: [u8; 16],
    session_id: [u8; 16],
    sequence: u64,
    created_at: i64,
    trigger: String,
    data: String,
    agent_session_ref: Option<String>,
    agent_message_ref: Option<String>,
    workspace_ref: Option<String>,
    context_versions: BTreeMap<String, u64>,
    state_hash: String,
}

impl Record for Checkpoint {
    const KIND: u8 = 3;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Self {
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
        } = self;
        Ok(codec::encode(&CheckpointV1 {
            id: *id.as_bytes(),
            session_id: *session_id.as_bytes(),
            sequence: *sequence,
            created_at: created_at.millis(),
            trigger: trigger.as_str().to_owned(),
            data: json(data)?,
            agent_session_ref: agent_session_ref.clone(),
            agent_message_ref: agent_message_ref.clone(),
            workspace_ref: workspace_ref.clone(),
            context_versions: context_versions.clone(),
            state_hash: state_hash.clone(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let CheckpointV1 {
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
        } = payload.parse(1)?;
        Ok(Self {
            id: CheckpointId::from_bytes(id),
            session_id: SessionId::from_bytes(session_id),
            sequence,
            created_at: Timestamp::from_millis(created_at),
            trigger: word(&trigger, CheckpointTrigger::parse, "trigger")?,
            data: value(&data, "data")?,
            agent_session_ref,
            agent_message_ref,
            workspace_ref,
            context_versions,
            state_hash,
        })
    }
}
