//! People, as they are written.

use serde::{Deserialize, Serialize};

use super::{Payload, Record, Unreadable, Unstorable, word};
use crate::domain::ids::{TenantId, UserId};
use crate::domain::tenant::key::Role;
use crate::domain::tenant::user::{ProviderIdentity, User};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};
use crate::infrastructure::storage::redb::codec;

#[derive(Serialize, Deserialize)]
struct UserV1 {
    version: u64,
    id: [u8; 16],
    tenant_id: [u8; 16],
    email: String,
    full_name: String,
    role: String,
    is_active: bool,
    is_system_admin: bool,
    identity: Option<(String, String)>,
    created_by: String,
    created_at: i64,
}

impl Record for Versioned<User> {
    const KIND: u8 = 40;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let User {
            id,
            tenant_id,
            email,
            full_name,
            role,
            is_active,
            is_system_admin,
            identity,
            created_by,
            created_at,
        } = &self.value;
        let identity =
            identity.clone().map(|ProviderIdentity { issuer, subject }| (issuer, subject));
        Ok(codec::encode(&UserV1 {
            version: self.version.get(),
            id: *id.as_bytes(),
            tenant_id: *tenant_id.as_bytes(),
            email: email.clone(),
            full_name: full_name.clone(),
            role: role.as_str().to_owned(),
            is_active: *is_active,
            is_system_admin: *is_system_admin,
            identity,
            created_by: created_by.clone(),
            created_at: created_at.millis(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let UserV1 {
            version,
            id,
            tenant_id,
            email,
            full_name,
            role,
            is_active,
            is_system_admin,
            identity,
            created_by,
            created_at,
        } = payload.parse(1)?;
        let value = User {
            id: UserId::from_bytes(id),
            tenant_id: TenantId::from_bytes(tenant_id),
            email,
            full_name,
            role: word(&role, Role::parse, "role")?,
            is_active,
            is_system_admin,
            identity: identity.map(|(issuer, subject)| ProviderIdentity { issuer, subject }),
            created_by,
            created_at: Timestamp::from_millis(created_at),
        };
        Ok(Self { version: Version::new(version), value })
    }
}
