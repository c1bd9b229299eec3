//! Agents.

use serde::{Deserialize, Serialize};

use super::{Payload, Record, Unreadable, Unstorable, json, value, word};
use crate::domain::agent::{Agent, AgentKind};
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};
use crate::infrastructure::storage::redb::codec;

#[derive(Serialize, Deserialize)]
struct AgentV1 {
    version: u64,
    id: [u8; 16],
    tenant_id: [u8; 16],
    name: String,
    kind: String,
    capabilities: Vec<String>,
    max_concurrent_capacity: u32,
    config: String,
    created_at: i64,
}

impl Record for Versioned<Agent> {
    const KIND: u8 = 5;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Agent {
            id,
            tenant_id,
            name,
            kind,
            capabilities,
            max_concurrent_capacity,
            config,
            created_at,
        } = &self.value;
        Ok(codec::encode(&AgentV1 {
            version: self.version.get(),
            id: *id.as_bytes(),
            tenant_id: *tenant_id.as_bytes(),
            name: name.clone(),
            kind: kind.as_str().to_owned(),
            capabilities: capabilities.clone(),
            max_concurrent_capacity: *max_concurrent_capacity,
            config: json(config)?,
            created_at: created_at.millis(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let AgentV1 {
            version,
            id,
            tenant_id,
            name,
            kind,
            capabilities,
            max_concurrent_capacity,
            config,
            created_at,
        } = payload.parse(1)?;
        let value = Agent {
            id: AgentId::from_bytes(id),
            tenant_id: TenantId::from_bytes(tenant_id),
            name,
            kind: word(&kind, AgentKind::parse, "kind")?,
            capabilities,
            max_concurrent_capacity,
            config: value(&config, "config")?,
            created_at: Timestamp::from_millis(created_at),
        };
        Ok(Self { version: Version::new(version), value })
    }
}
