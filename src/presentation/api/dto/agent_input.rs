//! Bodies about agents, on the wire. Each struct documents a body and is what it is read into.

use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::application::agent::Departure;
use crate::domain::agent::AgentKind;
use crate::domain::agent::change::AgentPatch;
use crate::domain::agent::draft::AgentDraft;
use crate::domain::agent::kind::{AgentType, ComplexityPreference};
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::session::spec::SessionType;
use crate::domain::time::Timestamp;
use crate::presentation::api::fields::{AsWord, Fields, FromFields};

/// An agent to be registered; name, kind and capabilities are required, everything else has a default.
#[derive(Debug, ToSchema)]
#[schema(as = RegisterAgent, example = json!({
    "name": "AGENT-CODE-01", "kind": "command", "capabilities": ["code_generation", "testing"],
    "config": { "command": ["my-agent", "--work"], "env": { "API_KEY": "$MY_API_KEY" } },
}))]
#[expect(missing_docs, reason = "the fields are those of domain 2.1")]
pub struct RegisterAgentBody {
    /// `AGENT-` and upper-case letters, digits, `_` and `-`; unique among the agents of the tenant.
    #[schema(min_length = 7, max_length = 70, pattern = "^AGENT-[A-Z0-9][A-Z0-9_-]{0,63}$")]
    pub name: String,
    /// Which driver speaks to it; `eap` agents register themselves.
    pub kind: AgentKind,
    pub agent_type: Option<AgentType>,
    #[schema(max_length = 500)]
    pub description: Option<String>,
    #[schema(min_length = 1, max_length = 50, default = "1.0.0")]
    pub version: Option<String>,
    /// Slugs, known or your own; 1 to 50 with the secondary ones.
    #[schema(max_items = 50)]
    pub primary_capabilities: Option<Vec<String>>,
    /// The same as `primary_capabilities`.
    #[schema(max_items = 50)]
    pub capabilities: Option<Vec<String>>,
    #[schema(max_items = 50)]
    pub secondary_capabilities: Option<Vec<String>>,
    #[schema(max_items = 20)]
    pub preferred_technologies: Option<Vec<String>>,
    /// Sessions with one of them go to others.
    #[schema(max_items = 20)]
    pub avoided_technologies: Option<Vec<String>>,
    pub complexity_preference: Option<ComplexityPreference>,
    #[schema(max_items = 20)]
    pub preferred_session_types: Option<Vec<SessionType>>,
    #[schema(min_length = 1, max_length = 200)]
    pub model_identifier: Option<String>,
    #[schema(minimum = 0, maximum = 2, default = 0.3)]
    pub temperature: Option<f64>,
    /// By its type when omitted.
    #[schema(minimum = 1000, maximum = 100_000)]
    pub max_tokens: Option<u32>,
    /// Empty, or 50 characters and more.
    #[schema(max_length = 20_000)]
    pub system_prompt_template: Option<String>,
    #[schema(minimum = 1, maximum = 50, default = 5)]
    pub max_concurrent_capacity: Option<u32>,
    #[schema(minimum = 0.5, maximum = 24, default = 4.0)]
    pub max_task_duration_hours: Option<f64>,
    #[schema(minimum = 0, maximum = 1, default = 0.7)]
    pub min_quality_threshold: Option<f64>,
    /// Settings of the driver, by the kind: `command` (list) and `env` for `acp` and `command`, which needs
    /// them; secrets only as `$NAME`, a variable of the server's environment.
    #[schema(value_type = Option<Object>)]
    pub config: Option<Map<String, Value>>,
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// The body of `POST /agents`, read.
pub struct RegisterAgent(pub AgentDraft);

impl FromFields for RegisterAgent {
    fn read(fields: &mut Fields) -> Self {
        let name = fields.required_text("name");
        if !fields.has("kind") {
            fields.wrong("kind", "required", "is required");
        }
        let kind: Option<AgentKind> = fields.word("kind");
        let draft = AgentDraft {
            agent_type: fields.word("agent_type"),
            description: fields.text("description"),
            version: fields.text("version"),
            primary_capabilities: capabilities(fields).unwrap_or_default(),
            secondary_capabilities: fields.texts("secondary_capabilities"),
            preferred_technologies: fields.texts("preferred_technologies"),
            avoided_technologies: fields.texts("avoided_technologies"),
            complexity_preference: fields.word("complexity_preference"),
            preferred_session_types: session_types(fields).unwrap_or_default(),
            model_identifier: fields.text("model_identifier"),
            temperature: fields.number("temperature"),
            max_tokens: fields.integer("max_tokens"),
            system_prompt_template: fields.text("system_prompt_template"),
            max_concurrent_capacity: fields.integer("max_concurrent_capacity"),
            max_task_duration_hours: fields.number("max_task_duration_hours"),
            min_quality_threshold: fields.number("min_quality_threshold"),
            config: fields.map("config").unwrap_or_default(),
            metadata: fields.map("metadata").unwrap_or_default(),
            ..AgentDraft::new(name, kind.unwrap_or(AgentKind::Simulated), [""; 0])
        };
        let (id, tenant) = (AgentId::new(Uuid::nil()), TenantId::BOOTSTRAP);
        let mut broken =
            draft.clone().accept(id, tenant, Timestamp::EPOCH).err().unwrap_or_default();
        // Without a kind nobody knows which settings are right.
        broken.retain(|error| kind.is_some() || !error.pointer.starts_with("/config"));
        fields.complete(broken);
        Self(draft)
    }
}

/// Fields to change; what is omitted stays.
#[derive(Debug, ToSchema)]
#[schema(as = PatchAgent, example = json!({ "max_concurrent_capacity": 2, "config": { "env": { "MODE": "fast" } } }))]
#[expect(missing_docs, reason = "the fields are those of domain 2.1")]
pub struct PatchAgentBody {
    pub agent_type: Option<AgentType>,
    /// Null clears it.
    #[schema(max_length = 500)]
    pub description: Option<String>,
    #[schema(min_length = 1, max_length = 50)]
    pub version: Option<String>,
    #[schema(max_items = 50)]
    pub primary_capabilities: Option<Vec<String>>,
    /// The same as `primary_capabilities`.
    #[schema(max_items = 50)]
    pub capabilities: Option<Vec<String>>,
    #[schema(max_items = 50)]
    pub secondary_capabilities: Option<Vec<String>>,
    #[schema(max_items = 20)]
    pub preferred_technologies: Option<Vec<String>>,
    #[schema(max_items = 20)]
    pub avoided_technologies: Option<Vec<String>>,
    pub complexity_preference: Option<ComplexityPreference>,
    #[schema(max_items = 20)]
    pub preferred_session_types: Option<Vec<SessionType>>,
    /// Null for the driver's own.
    #[schema(min_length = 1, max_length = 200)]
    pub model_identifier: Option<String>,
    #[schema(minimum = 0, maximum = 2)]
    pub temperature: Option<f64>,
    #[schema(minimum = 1000, maximum = 100_000)]
    pub max_tokens: Option<u32>,
    #[schema(max_length = 20_000)]
    pub system_prompt_template: Option<String>,
    #[schema(minimum = 1, maximum = 50)]
    pub max_concurrent_capacity: Option<u32>,
    #[schema(minimum = 0.5, maximum = 24)]
    pub max_task_duration_hours: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    pub min_quality_threshold: Option<f64>,
    /// Switched off, it gets nothing new.
    pub is_active: Option<bool>,
    /// Merged with what stands, members of `env` too; null takes one away.
    #[schema(value_type = Option<Object>)]
    pub config: Option<Map<String, Value>>,
    /// In the place of what stands.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// The body of `PATCH /agents/{id}`, read.
pub struct PatchAgent(pub AgentPatch);

impl FromFields for PatchAgent {
    fn read(fields: &mut Fields) -> Self {
        fields.refuse("name", "cannot be changed; register another agent, and remove this one");
        fields.refuse("kind", "cannot be changed; register another agent, and remove this one");
        fields.refuse("draining", "is changed with POST /api/v1/agents/{id}/drain and undrain");
        fields.refuse("maintenance_mode", "is changed with POST /api/v1/agents/{id}/maintenance");
        Self(AgentPatch {
            agent_type: fields.word("agent_type"),
            description: fields.nullable("description", Fields::text),
            version: fields.text("version"),
            primary_capabilities: capabilities(fields),
            secondary_capabilities: list(fields, "secondary_capabilities"),
            preferred_technologies: list(fields, "preferred_technologies"),
            avoided_technologies: list(fields, "avoided_technologies"),
            complexity_preference: fields.word("complexity_preference"),
            preferred_session_types: session_types(fields),
            model_identifier: fields.nullable("model_identifier", Fields::text),
            temperature: fields.number("temperature"),
            max_tokens: fields.integer("max_tokens"),
            system_prompt_template: fields.text("system_prompt_template"),
            max_concurrent_capacity: fields.integer("max_concurrent_capacity"),
            max_task_duration_hours: fields.number("max_task_duration_hours"),
            min_quality_threshold: fields.number("min_quality_threshold"),
            is_active: fields.flag("is_active"),
            config: fields.map("config"),
            metadata: fields.map("metadata"),
        })
    }
}

/// A list; nothing when it was not given.
fn list(fields: &mut Fields, name: &'static str) -> Option<Vec<String>> {
    let is_given = fields.has(name);
    let texts = fields.texts(name);
    is_given.then_some(texts)
}

/// The primary capabilities, by either name.
fn capabilities(fields: &mut Fields) -> Option<Vec<String>> {
    match (list(fields, "primary_capabilities"), list(fields, "capabilities")) {
        (Some(primary), Some(other)) if primary != other => {
            fields.wrong("capabilities", "conflict", "is another name of primary_capabilities");
            Some(primary)
        }
        (primary, other) => primary.or(other),
    }
}

fn session_types(fields: &mut Fields) -> Option<Vec<SessionType>> {
    const NAME: &str = "preferred_session_types";
    let mut types = Vec::new();
    for (index, text) in list(fields, NAME)?.iter().enumerate() {
        if let Some(known) = SessionType::parse(text) {
            types.push(known);
            continue;
        }
        let message = format!("must be one of {}", SessionType::words());
        fields.wrong_at(NAME, index, &message);
    }
    Some(types)
}

/// How an agent is removed.
#[derive(Debug, ToSchema)]
#[schema(as = Deregister, example = json!({ "reason": "replaced", "graceful": true }))]
pub struct DeregisterBody {
    /// For people and the audit.
    #[schema(max_length = 200)]
    pub reason: Option<String>,
    /// It ends what it works on first, for an hour at most; else its sessions wait for another agent.
    #[schema(default = true)]
    pub graceful: Option<bool>,
}

/// The body of `POST /agents/{id}/deregister`, read.
pub struct Deregister(pub Departure);

impl FromFields for Deregister {
    fn read(fields: &mut Fields) -> Self {
        let reason = fields.bounded_text("reason", 0, 200);
        Self(Departure { reason, graceful: fields.flag("graceful").unwrap_or(true) })
    }
}

/// Whether an agent is worked on.
#[derive(Debug, ToSchema)]
#[schema(as = Maintenance, example = json!({ "on": true }))]
pub struct MaintenanceBody {
    /// It gets nothing new, or is taken up again.
    pub on: bool,
}

impl FromFields for MaintenanceBody {
    fn read(fields: &mut Fields) -> Self {
        if !fields.has("on") {
            fields.wrong("on", "required", "is required: true or false");
        }
        Self { on: fields.flag("on").unwrap_or_default() }
    }
}
