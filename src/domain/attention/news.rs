//! What people are told and asked nothing of.

use std::time::Duration;

use serde_json::Value;

use super::{AttentionItem, AttentionKind, AttentionState, Risk};
use crate::domain::canonical::sha256_hex;
use crate::domain::ids::{AttentionId, SessionId, TenantId};
use crate::domain::time::Timestamp;

/// When news counts as seen, though nobody said so.
const SEEN_AFTER: Duration = Duration::from_hours(24);

/// Something about a session that a person should know. The agent is not held up by it.
#[derive(Debug, Clone, PartialEq)]
pub struct News {
    /// Whose session.
    pub tenant_id: TenantId,
    /// Which session.
    pub session_id: SessionId,
    /// What became known during or of this attempt.
    pub attempt: u32,
    /// What it is about.
    pub kind: AttentionKind,
    /// One line for people, at most 200 characters.
    pub title: String,
    /// The facts.
    pub payload: Value,
    /// What the same news of the same session is known by.
    pub about: String,
}

impl News {
    /// The fingerprint of what is known of a session by these words.
    #[must_use]
    pub fn fingerprint_of(session: SessionId, about: &str) -> String {
        sha256_hex(format!("{session}:{about}").as_bytes())
    }

    /// The item that tells it.
    #[must_use]
    pub fn item(self, id: AttentionId, now: Timestamp) -> AttentionItem {
        let Self { tenant_id, session_id, attempt, kind, title, payload, about } = self;
        AttentionItem {
            id,
            tenant_id,
            session_id,
            attempt,
            kind,
            title,
            payload,
            fingerprint: Self::fingerprint_of(session_id, &about),
            risk: Risk::Low,
            state: AttentionState::Open,
            decision: None,
            answer: None,
            resolved_by: None,
            created_at: now,
            deadline: now.after(SEEN_AFTER),
            resolved_at: None,
            agent_ref: String::new(),
        }
    }
}
