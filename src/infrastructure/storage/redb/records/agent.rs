//! Agents.

use serde::{Deserialize, Serialize};

use super::{Payload, Record, Unreadable, Unstorable, json_map, map, word};
use crate::domain::agent::change::Removal;
use crate::domain::agent::kind::{AgentKind, AgentType, ComplexityPreference};
use crate::domain::agent::profile::{Profile, Switches};
use crate::domain::agent::{Agent, Behavior};
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::session::spec::SessionType;
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
    description: Option<String>,
    software_version: String,
    profile: ProfileV1,
    behavior: BehaviorV1,
    switches: SwitchesV1,
    config: String,
    metadata: String,
    removal: Option<RemovalV1>,
    deleted_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

#[derive(Serialize, Deserialize)]
struct RemovalV1 {
    due: i64,
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "as in `Switches`")]
struct SwitchesV1 {
    is_active: bool,
    is_approved: bool,
    in_maintenance: bool,
    is_draining: bool,
}

#[derive(Serialize, Deserialize)]
struct ProfileV1 {
    agent_type: String,
    primary_capabilities: Vec<String>,
    secondary_capabilities: Vec<String>,
    preferred_technologies: Vec<String>,
    avoided_technologies: Vec<String>,
    complexity_preference: String,
    preferred_session_types: Vec<String>,
    max_concurrent_capacity: u32,
}

#[derive(Serialize, Deserialize)]
struct BehaviorV1 {
    model_identifier: Option<String>,
    temperature: f64,
    max_tokens: u32,
    system_prompt_template: String,
    max_task_duration_hours: f64,
    min_quality_threshold: f64,
}

fn profile_v1(profile: &Profile) -> ProfileV1 {
    let Profile {
        agent_type,
        primary_capabilities,
        secondary_capabilities,
        preferred_technologies,
        avoided_technologies,
        complexity_preference,
        preferred_session_types,
        max_concurrent_capacity,
    } = profile.clone();
    ProfileV1 {
        agent_type: agent_type.as_str().to_owned(),
        primary_capabilities,
        secondary_capabilities,
        preferred_technologies,
        avoided_technologies,
        complexity_preference: complexity_preference.as_str().to_owned(),
        preferred_session_types: preferred_session_types
            .iter()
            .map(|session_type| session_type.as_str().to_owned())
            .collect(),
        max_concurrent_capacity,
    }
}

fn profile(stored: ProfileV1) -> Result<Profile, Unreadable> {
    let ProfileV1 {
        agent_type,
        primary_capabilities,
        secondary_capabilities,
        preferred_technologies,
        avoided_technologies,
        complexity_preference,
        preferred_session_types,
        max_concurrent_capacity,
    } = stored;
    let session_type =
        |slug: &String| word(slug, SessionType::parse, "profile.preferred_session_types");
    Ok(Profile {
        agent_type: word(&agent_type, AgentType::parse, "profile.agent_type")?,
        primary_capabilities,
        secondary_capabilities,
        preferred_technologies,
        avoided_technologies,
        complexity_preference: word(
            &complexity_preference,
            ComplexityPreference::parse,
            "profile.complexity_preference",
        )?,
        preferred_session_types: preferred_session_types
            .iter()
            .map(session_type)
            .collect::<Result<_, _>>()?,
        max_concurrent_capacity,
    })
}

fn behavior_v1(behavior: &Behavior) -> BehaviorV1 {
    let Behavior {
        model_identifier,
        temperature,
        max_tokens,
        system_prompt_template,
        max_task_duration_hours,
        min_quality_threshold,
    } = behavior.clone();
    BehaviorV1 {
        model_identifier,
        temperature,
        max_tokens,
        system_prompt_template,
        max_task_duration_hours,
        min_quality_threshold,
    }
}

fn behavior(stored: BehaviorV1) -> Behavior {
    let BehaviorV1 {
        model_identifier,
        temperature,
        max_tokens,
        system_prompt_template,
        max_task_duration_hours,
        min_quality_threshold,
    } = stored;
    Behavior {
        model_identifier,
        temperature,
        max_tokens,
        system_prompt_template,
        max_task_duration_hours,
        min_quality_threshold,
    }
}

fn removal_v1(removal: &Removal) -> RemovalV1 {
    let Removal { due, reason } = removal.clone();
    RemovalV1 { due: due.millis(), reason }
}

fn removal(stored: RemovalV1) -> Removal {
    let RemovalV1 { due, reason } = stored;
    Removal { due: Timestamp::from_millis(due), reason }
}

impl Record for Versioned<Agent> {
    const KIND: u8 = 5;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Agent {
            id,
            tenant_id,
            name,
            kind,
            description,
            version,
            profile,
            behavior,
            switches,
            config,
            metadata,
            removal,
            deleted_at,
            created_at,
            updated_at,
        } = &self.value;
        let Switches { is_active, is_approved, in_maintenance, is_draining } = *switches;
        Ok(codec::encode(&AgentV1 {
            version: self.version.get(),
            id: *id.as_bytes(),
            tenant_id: *tenant_id.as_bytes(),
            name: name.clone(),
            kind: kind.as_str().to_owned(),
            description: description.clone(),
            software_version: version.clone(),
            profile: profile_v1(profile),
            behavior: behavior_v1(behavior),
            switches: SwitchesV1 { is_active, is_approved, in_maintenance, is_draining },
            config: json_map(config)?,
            metadata: json_map(metadata)?,
            removal: removal.as_ref().map(removal_v1),
            deleted_at: deleted_at.map(Timestamp::millis),
            created_at: created_at.millis(),
            updated_at: updated_at.millis(),
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let AgentV1 {
            version,
            id,
            tenant_id,
            name,
            kind,
            description,
            software_version,
            profile: stored_profile,
            behavior: stored_behavior,
            switches: SwitchesV1 { is_active, is_approved, in_maintenance, is_draining },
            config,
            metadata,
            removal: stored_removal,
            deleted_at,
            created_at,
            updated_at,
        } = payload.parse(1)?;
        let value = Agent {
            id: AgentId::from_bytes(id),
            tenant_id: TenantId::from_bytes(tenant_id),
            name,
            kind: word(&kind, AgentKind::parse, "kind")?,
            description,
            version: software_version,
            profile: profile(stored_profile)?,
            behavior: behavior(stored_behavior),
            switches: Switches { is_active, is_approved, in_maintenance, is_draining },
            config: map(&config, "config")?,
            metadata: map(&metadata, "metadata")?,
            removal: stored_removal.map(removal),
            deleted_at: deleted_at.map(Timestamp::from_millis),
            created_at: Timestamp::from_millis(created_at),
            updated_at: Timestamp::from_millis(updated_at),
        };
        Ok(Self { version: Version::new(version), value })
    }
}
