//! Attention items.

use serde::{Deserialize, Serialize};

use super::{Payload, Record, Unreadable, Unstorable, json, millis, time, value, word};
use crate::domain::attention::{AttentionItem, AttentionKind, AttentionState, Decision, Risk};
use crate::domain::ids::{AttentionId, SessionId, TenantId};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};
use crate::infrastructure::storage::redb::codec;

#[derive(Serialize, Deserialize)]
struct AttentionItemV1 {
    version: u64,
    id: [u8; 16],
    tenant_id: [u8; 16],
    session_id: [u8; 16],
    attempt: u32,
    kind: String,
    title: String,
    payload: String,
    fingerprint: String,
    risk: String,
    state: String,
    decision: Option<String>,
    answer: Option<String>,
    resolved_by: Option<String>,
    created_at: i64,
    deadline: i64,
    resolved_at: Option<i64>,
    agent_ref: String,
}

impl Record for Versioned<AttentionItem> {
    const KIND: u8 = 4;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
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
            agent_ref,
        } = &self.value;
        Ok(codec::encode(&AttentionItemV1 {
            version: self.version.get(),
            id: *id.as_bytes(),
            tenant_id: *tenant_id.as_bytes(),
            session_id: *session_id.as_bytes(),
            attempt: *attempt,
            kind: kind.as_str().to_owned(),
            title: title.clone(),
            payload: json(payload)?,
            fingerprint: fingerprint.clone(),
            risk: risk.as_str().to_owned(),
            state: state.as_str().to_owned(),
            decision: decision.map(|decision| decision.as_str().to_owned()),
            answer: answer.clone(),
            resolved_by: resolved_by.clone(),
            created_at: created_at.millis(),
            deadline: deadline.millis(),
            resolved_at: millis(*resolved_at),
            agent_ref: agent_ref.clone(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let AttentionItemV1 {
            version,
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
            agent_ref,
        } = payload.parse(1)?;
        let decision = decision.map(|slug| word(&slug, Decision::parse, "decision")).transpose()?;
        let value = AttentionItem {
            id: AttentionId::from_bytes(id),
            tenant_id: TenantId::from_bytes(tenant_id),
            session_id: SessionId::from_bytes(session_id),
            attempt,
            kind: word(&kind, AttentionKind::parse, "kind")?,
            title,
            payload: value(&payload, "payload")?,
            fingerprint,
            risk: word(&risk, Risk::parse, "risk")?,
            state: word(&state, AttentionState::parse, "state")?,
            decision,
            answer,
            resolved_by,
            created_at: Timestamp::from_millis(created_at),
            deadline: Timestamp::from_millis(deadline),
            resolved_at: time(resolved_at),
            agent_ref,
        };
        Ok(Self { version: Version::new(version), value })
    }
}
