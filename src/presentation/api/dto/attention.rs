//! Attention items on the wire.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::attention::{AttentionItem, AttentionKind, AttentionState, Decision, Risk};
use crate::domain::ids::{AttentionId, SessionId, TenantId};
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;

/// Something that waits for a person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AttentionItem)]
pub struct AttentionDto {
    /// Its identity.
    pub id: AttentionId,
    /// Whose session.
    pub tenant_id: TenantId,
    /// Which session.
    pub session_id: SessionId,
    /// Raised during this attempt.
    pub attempt: u32,
    /// What it is about.
    pub kind: AttentionKind,
    /// One line for people.
    #[schema(max_length = 200)]
    pub title: String,
    /// The facts, as the agent gave them.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// SHA-256 of exactly what is asked, for `resolve`: a decision about anything else settles nothing.
    pub fingerprint: String,
    /// How much could go wrong.
    pub risk: Risk,
    /// Where it stands.
    pub state: AttentionState,
    /// The decisions that it takes; empty once it is settled.
    pub decisions: Vec<Decision>,
    /// Whether the agent stands still until it is settled.
    pub blocks: bool,
    /// What was decided.
    pub decision: Option<Decision>,
    /// The text of an answer.
    pub answer: Option<String>,
    /// Who decided; `deadline` when the default was taken.
    pub resolved_by: Option<String>,
    /// When it was raised.
    pub created_at: Timestamp,
    /// When the default is taken.
    pub deadline: Timestamp,
    /// What is decided then.
    pub default_decision: Decision,
    /// When it was decided.
    pub resolved_at: Option<Timestamp>,
    /// Counts the accepted changes.
    pub revision: u64,
}

impl From<&Versioned<AttentionItem>> for AttentionDto {
    fn from(found: &Versioned<AttentionItem>) -> Self {
        let AttentionItem {
            id,
            tenant_id,
            session_id,
            attempt,
            kind,
            title,
            payload,
            fingerprint,
            risk,
            state,
            decision,
            answer,
            resolved_by,
            created_at,
            deadline,
            resolved_at,
            agent_ref: _,
        } = found.value.clone();
        let decisions = match state {
            AttentionState::Open => found.value.decisions(),
            AttentionState::Resolved | AttentionState::Expired => Vec::new(),
        };
        Self {
            id,
            tenant_id,
            session_id,
            attempt,
            kind,
            title,
            payload,
            fingerprint,
            risk,
            state,
            decisions,
            blocks: kind.blocks(),
            decision,
            answer,
            resolved_by,
            created_at,
            deadline,
            default_decision: kind.default_decision().0,
            resolved_at,
            revision: found.version.get(),
        }
    }
}
