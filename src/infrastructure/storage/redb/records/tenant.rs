//! Tenants and API keys.

use serde::{Deserialize, Serialize};

use super::{Payload, Record, Unreadable, Unstorable, millis, time, word};
use crate::domain::ids::{AgentId, KeyId, TenantId, UserId};
use crate::domain::schedule::hold::{Held, Hold, HoldScope};
use crate::domain::tenant::Tenant;
use crate::domain::tenant::joining::JoinMode;
use crate::domain::tenant::key::{
    ApiKey, Invited, Inviter, InviterId, KeyKind, KeySecret, OpenedBy, Role,
};
use crate::domain::tenant::network::{Networks, parse_network};
use crate::domain::tenant::quotas::Quotas;
use crate::domain::tenant::registration::RegistrationMode;
use crate::domain::tenant::retention::Retention;
use crate::domain::tenant::scope::{Scope, Scopes};
use crate::domain::tenant::weight::Weight;
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
    inactive_since: Option<i64>,
    max_concurrent_sessions: Option<u64>,
    max_queue_depth: Option<u64>,
    max_tokens_per_month: Option<u64>,
    monthly_budget_micros: Option<u64>,
    max_storage_mb: Option<u64>,
    max_agents: Option<u64>,
    requests_per_minute: Option<u64>,
    weight_hundredths: u32,
    joining: String,
    registration: String,
    sessions_days: Option<u32>,
    deleted_sessions_days: Option<u32>,
    events_days: Option<u32>,
    holds: Vec<HoldV1>,
    created_at: i64,
}

#[derive(Serialize, Deserialize)]
struct HoldV1 {
    scope: String,
    agent: Option<[u8; 16]>,
    reason: Option<String>,
    since: i64,
    by: String,
}

fn hold_v1(hold: &Hold) -> HoldV1 {
    let Hold { held, reason, since, by } = hold;
    let agent = match held {
        Held::Agent(id) => Some(*id.as_bytes()),
        Held::Instance | Held::Tenant => None,
    };
    HoldV1 {
        scope: held.scope().as_str().to_owned(),
        agent,
        reason: reason.clone(),
        since: since.millis(),
        by: by.clone(),
    }
}

fn hold(stored: HoldV1) -> Result<Hold, Unreadable> {
    let HoldV1 { scope, agent, reason, since, by } = stored;
    let held = match (word(&scope, HoldScope::parse, "holds.scope")?, agent) {
        (HoldScope::Instance, None) => Held::Instance,
        (HoldScope::Tenant, None) => Held::Tenant,
        (HoldScope::Agent, Some(id)) => Held::Agent(AgentId::from_bytes(id)),
        (HoldScope::Instance | HoldScope::Tenant, Some(_)) | (HoldScope::Agent, None) => {
            return Err(Unreadable::Field("holds.agent"));
        }
    };
    Ok(Hold { held, reason, since: Timestamp::from_millis(since), by })
}

impl Record for Versioned<Tenant> {
    const KIND: u8 = 6;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Tenant {
            id,
            slug,
            name,
            is_active,
            inactive_since,
            quotas,
            weight,
            joining,
            registration,
            retention,
            holds,
            created_at,
        } = &self.value;
        let Retention { sessions_days, deleted_sessions_days, events_days } = *retention;
        let Quotas {
            max_concurrent_sessions,
            max_queue_depth,
            max_tokens_per_month,
            monthly_budget_micros,
            max_storage_mb,
            max_agents,
            requests_per_minute,
        } = *quotas;
        Ok(codec::encode(&TenantV1 {
            version: self.version.get(),
            id: *id.as_bytes(),
            slug: slug.clone(),
            name: name.clone(),
            is_active: *is_active,
            inactive_since: millis(*inactive_since),
            max_concurrent_sessions,
            max_queue_depth,
            max_tokens_per_month,
            monthly_budget_micros,
            max_storage_mb,
            max_agents,
            requests_per_minute,
            weight_hundredths: weight.hundredths(),
            joining: joining.as_str().to_owned(),
            registration: registration.as_str().to_owned(),
            sessions_days,
            deleted_sessions_days,
            events_days,
            holds: holds.iter().map(hold_v1).collect(),
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
            inactive_since,
            max_concurrent_sessions,
            max_queue_depth,
            max_tokens_per_month,
            monthly_budget_micros,
            max_storage_mb,
            max_agents,
            requests_per_minute,
            weight_hundredths,
            joining,
            registration,
            sessions_days,
            deleted_sessions_days,
            events_days,
            holds,
            created_at,
        } = payload.parse(1)?;
        let value = Tenant {
            id: TenantId::from_bytes(id),
            slug,
            name,
            is_active,
            inactive_since: time(inactive_since),
            quotas: Quotas {
                max_concurrent_sessions,
                max_queue_depth,
                max_tokens_per_month,
                monthly_budget_micros,
                max_storage_mb,
                max_agents,
                requests_per_minute,
            },
            weight: Weight::from_hundredths(weight_hundredths)
                .ok_or(Unreadable::Field("weight_hundredths"))?,
            joining: word(&joining, JoinMode::parse, "joining")?,
            registration: word(&registration, RegistrationMode::parse, "registration")?,
            retention: Retention { sessions_days, deleted_sessions_days, events_days },
            holds: holds.into_iter().map(hold).collect::<Result<_, _>>()?,
            created_at: Timestamp::from_millis(created_at),
        };
        Ok(Self { version: Version::new(version), value })
    }
}

#[derive(Serialize, Deserialize)]
struct KeySecretV1 {
    hash: [u8; 32],
    expires_at: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct OpenedByV1 {
    key: [u8; 16],
    secret: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct InvitedV1 {
    email: String,
    full_name: Option<String>,
    by: Option<InviterV1>,
    until: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct InviterV1 {
    home: [u8; 16],
    user: Option<[u8; 16]>,
    key: Option<[u8; 16]>,
}

#[derive(Serialize, Deserialize)]
struct ApiKeyV1 {
    version: u64,
    id: [u8; 16],
    tenant_id: [u8; 16],
    kind: String,
    user_id: Option<[u8; 16]>,
    opened_by: Option<OpenedByV1>,
    name: String,
    prefix: String,
    secrets: Vec<KeySecretV1>,
    role: String,
    follows: bool,
    scopes: Vec<String>,
    is_system: bool,
    networks: Vec<String>,
    invited: Option<InvitedV1>,
    created_by: String,
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
            kind,
            user_id,
            opened_by,
            name,
            prefix,
            secrets,
            role,
            follows,
            scopes,
            is_system,
            networks,
            invited,
            created_by,
            created_at,
            expires_at,
            revoked_at,
        } = &self.value;
        let secret = |secret: &KeySecret| {
            let KeySecret { hash, expires_at } = secret;
            KeySecretV1 { hash: *hash, expires_at: millis(*expires_at) }
        };
        Ok(codec::encode(&ApiKeyV1 {
            version: self.version.get(),
            id: *id.as_bytes(),
            tenant_id: *tenant_id.as_bytes(),
            kind: kind.as_str().to_owned(),
            user_id: user_id.map(|id| *id.as_bytes()),
            opened_by: opened_by.map(opened_by_v1),
            name: name.clone(),
            prefix: prefix.clone(),
            secrets: secrets.iter().map(secret).collect(),
            role: role.as_str().to_owned(),
            follows: *follows,
            scopes: scopes.iter().map(|scope| scope.to_string()).collect(),
            is_system: *is_system,
            networks: networks.texts(),
            invited: invited.as_ref().map(invited_v1),
            created_by: created_by.clone(),
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
            kind,
            user_id,
            opened_by,
            name,
            prefix,
            secrets,
            role,
            follows,
            scopes,
            is_system,
            networks,
            invited,
            created_by,
            created_at,
            expires_at,
            revoked_at,
        } = payload.parse(1)?;
        let network = |text: &String| word(text, parse_network, "networks");
        let networks = networks.iter().map(network).collect::<Result<Vec<_>, _>>()?;
        let secret = |secret: KeySecretV1| {
            let KeySecretV1 { hash, expires_at } = secret;
            KeySecret { hash, expires_at: time(expires_at) }
        };
        let scope = |text: &String| word(text, Scope::parse, "scopes");
        let value = ApiKey {
            id: KeyId::from_bytes(id),
            tenant_id: TenantId::from_bytes(tenant_id),
            kind: word(&kind, KeyKind::parse, "kind")?,
            user_id: user_id.map(UserId::from_bytes),
            opened_by: opened_by.map(opened_by_of),
            name,
            prefix,
            secrets: secrets.into_iter().map(secret).collect(),
            role: word(&role, Role::parse, "role")?,
            follows,
            scopes: Scopes::of(scopes.iter().map(scope).collect::<Result<Vec<_>, _>>()?),
            is_system,
            networks: Networks::of(networks),
            invited: invited.map(invited_of).transpose()?,
            created_by,
            created_at: Timestamp::from_millis(created_at),
            expires_at: time(expires_at),
            revoked_at: time(revoked_at),
        };
        Ok(Self { version: Version::new(version), value })
    }
}

fn opened_by_v1(OpenedBy { key, secret }: OpenedBy) -> OpenedByV1 {
    OpenedByV1 { key: *key.as_bytes(), secret }
}

fn opened_by_of(OpenedByV1 { key, secret }: OpenedByV1) -> OpenedBy {
    OpenedBy { key: KeyId::from_bytes(key), secret }
}

fn invited_v1(invited: &Invited) -> InvitedV1 {
    let Invited { email, full_name, by, until } = invited.clone();
    let by = by.map(|Inviter { home, who }| {
        let (user, key) = match who {
            InviterId::User(id) => (Some(*id.as_bytes()), None),
            InviterId::Key(id) => (None, Some(*id.as_bytes())),
        };
        InviterV1 { home: *home.as_bytes(), user, key }
    });
    InvitedV1 { email, full_name, by, until: millis(until) }
}

fn invited_of(InvitedV1 { email, full_name, by, until }: InvitedV1) -> Result<Invited, Unreadable> {
    let inviter = |InviterV1 { home, user, key }| {
        let who = match (user, key) {
            (Some(id), None) => InviterId::User(UserId::from_bytes(id)),
            (None, Some(id)) => InviterId::Key(KeyId::from_bytes(id)),
            (Some(_), Some(_)) | (None, None) => return Err(Unreadable::Field("by")),
        };
        Ok(Inviter { home: TenantId::from_bytes(home), who })
    };
    let by = by.map(inviter).transpose()?;
    Ok(Invited { email, full_name, by, until: time(until) })
}
