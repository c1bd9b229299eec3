//! An agent that has everything.

use serde_json::json;

use super::{at, id};
use crate::domain::agent::change::Removal;
use crate::domain::agent::kind::{AgentType, ComplexityPreference};
use crate::domain::agent::profile::{Profile, Switches};
use crate::domain::agent::{Agent, AgentKind, Behavior};
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::session::spec::SessionType;

pub(super) fn agent() -> Agent {
    Agent {
        id: AgentId::new(id(7)),
        tenant_id: TenantId::new(id(1)),
        name: "AGENT-A".to_owned(),
        kind: AgentKind::Opencode,
        description: Some("writes".to_owned()),
        version: "2.1".to_owned(),
        profile: Profile {
            agent_type: AgentType::Analyst,
            primary_capabilities: vec!["rust".to_owned()],
            secondary_capabilities: vec!["testing".to_owned()],
            preferred_technologies: vec!["c++".to_owned()],
            avoided_technologies: vec!["php".to_owned()],
            complexity_preference: ComplexityPreference::Expert,
            preferred_session_types: vec![SessionType::Review],
            max_concurrent_capacity: 3,
        },
        behavior: Behavior {
            model_identifier: Some("a/b".to_owned()),
            temperature: 0.25,
            max_tokens: 4000,
            system_prompt_template: "be brief".to_owned(),
            max_task_duration_hours: 1.5,
            min_quality_threshold: 0.75,
        },
        switches: Switches {
            is_active: true,
            is_approved: false,
            in_maintenance: true,
            is_draining: false,
        },
        config: json!({ "managed": true }).as_object().cloned().unwrap_or_default(),
        metadata: json!({ "rack": 7 }).as_object().cloned().unwrap_or_default(),
        removal: Some(Removal { due: at(2), reason: Some("old".to_owned()) }),
        deleted_at: Some(at(3)),
        created_at: at(0),
        updated_at: at(1),
    }
}
