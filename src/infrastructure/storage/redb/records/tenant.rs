//! Tenants and API keys.

use serde::{Deserialize, Serialize};

use super::{Payload, Record, Unreadable, Unstorable, millis, time, word};
use crate::domain::ids::{KeyId, TenantId};
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::{ApiKey, Role};
use crate::domain::tenant::quotas::Quotas;
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};
use crate::infrastructure::storage::redb::codec;

#[derive(Serialize, Deserialize)]
struct TenantV1 {
    version: u64,
    id: [u8; 16],
    slug: String,
    name: String,
    is_active: bool,
    max_concurrent_sessions: Option<u64>,
    max_queue_depth: Option<u64>,
    created_at: i64,
}

impl Record for Versioned<Tenant> {
    const KIND: u8 = 6;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Tenant { id, slug, name, is_active, quotas, created_at } = &self.value;
        let Quotas { max_concurrent_sessions, max_queue_depth } = *quotas;
        Ok(codec::encode(&TenantV1 {
            version: self.version.get(),
            id: *id.as_bytes(),
            slug: slug.clone(),
            name: name.clone(),
            is_active: *is_active,
            max_concurrent_sessions,
            max_queue_depth,
            created_at: created_at.millis(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let TenantV1 {
            version,
            id,
            slug,
            name,
            is_active,
            max_concurrent_sessions,
            max_queue_depth,
            created_at,
        } = payload.parse(1)?;
        let value = Tenant {
            id: TenantId::from_bytes(id),
            slug,
            name,
            is_active,
            quotas: Quotas { max_concurrent_sessions, max_queue_depth },
            created_at: Timestamp::from_millis(created_at),
        };
        Ok(Self { version: Version::new(version), value })
    }
}

#[derive(Serialize, Deserialize)]
struct ApiKeyV1 {
    version: u64,
    id: [u8; 16],
    tenant_id: [u8; 16],
    name: String,
    prefix: String,
    hash: [u8; 32],
    role: String,
    is_system: bool,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl Record for Versioned<ApiKey> {
    const KIND: u8 = 7;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let ApiKey {
            id,
            tenant_id,
            name,
            prefix,
            hash,
            role,
            is_system,
            created_at,
            expires_at,
            revoked_at,
        } = &self.value;
        Ok(codec::encode(&ApiKeyV1 {
            version: self.version.get(),
            id: *id.as_bytes(),
            tenant_id: *tenant_id.as_bytes(),
            name: name.clone(),
            prefix: prefix.clone(),
            hash: *hash,
            role: role.as_str().to_owned(),
            is_system: *is_system,
            created_at: created_at.millis(),
            expires_at: millis(*expires_at),
            revoked_at: millis(*revoked_at),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let ApiKeyV1 {
            version,
            id,
            tenant_id,
            name,
            prefix,
            hash,
            role,
            is_system,
            created_at,
            expires_at,
            revoked_at,
        } = payload.parse(1)?;
        let value = ApiKey {
            id: KeyId::from_bytes(id),
            tenant_id: TenantId::from_bytes(tenant_id),
            name,
            prefix,
            hash,
            role: word(&role, Role::parse, "role")?,
            is_system,
            created_at: Timestamp::from_millis(created_at),
            expires_at: time(expires_at),
            revoked_at: time(revoked_at),
        };
        Ok(Self { version: Version::new(version), value })
    }
}
