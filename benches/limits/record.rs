//! The probe's record: about 650 bytes in the same codec that the product uses.

use bincode::config::{Configuration, standard};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What is sent to create a record; the same body creates a session in the product.
#[derive(Deserialize)]
pub(super) struct Draft {
    title: String,
    initial_prompt: String,
}

/// What is stored.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    /// `UUIDv7`, so that keys are written in order.
    pub(super) id: Uuid,
    title: String,
    initial_prompt: String,
    status: String,
    priority: u8,
    tags: Vec<String>,
    created_at: String,
    /// Stands for the fields that a session has beside the above.
    rest: String,
}

/// A page of records.
#[derive(Serialize)]
pub(super) struct Page {
    /// Newest first.
    pub(super) items: Vec<Record>,
}

impl Draft {
    /// A record with a new identity.
    #[expect(clippy::disallowed_methods, reason = "the probe has no ports")]
    pub(super) fn into_record(self) -> Record {
        let size_so_far = self.title.len() + self.initial_prompt.len() + 90;
        Record {
            id: Uuid::now_v7(),
            title: self.title,
            initial_prompt: self.initial_prompt,
            status: "pending".to_owned(),
            priority: 2,
            tags: vec!["bench".to_owned()],
            created_at: "2026-01-31T09:30:00.000Z".to_owned(),
            rest: "x".repeat(650_usize.saturating_sub(size_so_far)),
        }
    }
}

impl Record {
    /// As it is stored.
    pub(super) fn encode(&self) -> anyhow::Result<Vec<u8>> {
        Ok(bincode::serde::encode_to_vec(self, standard())?)
    }

    /// From what is stored.
    pub(super) fn decode(bytes: &[u8]) -> anyhow::Result<Self> {
        const LIMIT: usize = 64 * 1024;
        let limited: Configuration<_, _, bincode::config::Limit<LIMIT>> =
            standard().with_limit::<LIMIT>();
        Ok(bincode::serde::decode_from_slice(bytes, limited)?.0)
    }

    /// As it is answered.
    pub(super) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always become JSON")
    }

    /// As sockets get it: the size of an event of the product.
    pub(super) fn event(&self) -> Vec<u8> {
        let event = serde_json::json!({
            "id": self.id, "seq": 1, "tenant_id": self.id,
            "subject": { "kind": "session", "id": self.id },
            "occurred_at": self.created_at, "timestamp": self.created_at,
            "payload": {
                "code": "IND-000001", "created_by": "administrator", "forked_from": null,
                "parent_id": null, "priority": self.priority, "session_id": self.id,
                "session_type": "execution", "title": self.title,
            },
            "trace_id": null,
        });
        // The type stands near the beginning, as the product sends it.
        let rest = serde_json::to_string(&event).expect("strings and numbers always become JSON");
        format!("{{\"type\":\"session.created\",{}", &rest[1..]).into_bytes()
    }
}

impl Page {
    /// As it is answered.
    pub(super) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always become JSON")
    }
}
