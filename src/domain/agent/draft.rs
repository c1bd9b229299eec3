//! From what was sent to an agent: every default and every limit of domain 2.1.
//!
//! Invariant: all broken rules are reported together; an `Agent` that came from here is valid.

use serde_json::{Map, Value};

use super::capability::{is_slug, is_technology};
use super::config;
use super::kind::{AgentKind, AgentType, ComplexityPreference};
use super::profile::{Profile, Switches};
use super::{Agent, Behavior, is_agent_name};
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::session::spec::SessionType;
use crate::domain::time::Timestamp;

/// Most capabilities of an agent.
const MOST_CAPABILITIES: usize = 50;
/// Most technologies that it prefers, and that it avoids.
const MOST_TECHNOLOGIES: usize = 20;

/// What the settings of each kind may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Text,
    Flag,
    Whole,
    Texts,
    TextMap,
}

impl Shape {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Flag => value.is_boolean(),
            Self::Whole => value.is_u64(),
            Self::Texts => {
                let texts = value.as_array();
                texts.is_some_and(|texts| !texts.is_empty() && texts.iter().all(Value::is_string))
            }
            Self::TextMap => {
                value.as_object().is_some_and(|map| map.values().all(Value::is_string))
            }
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Text => "must be a text",
            Self::Flag => "must be true or false",
            Self::Whole => "must be a whole number, 0 or more",
            Self::Texts => "must be a list of texts that is not empty",
            Self::TextMap => "must be an object of texts",
        }
    }
}

const fn settings(kind: AgentKind) -> &'static [(&'static str, Shape)] {
    match kind {
        AgentKind::Opencode => &[
            ("base_url", Shape::Text),
            ("managed", Shape::Flag),
            ("password_ref", Shape::Text),
            ("username", Shape::Text),
        ],
        AgentKind::Eap => &[("endpoint_url", Shape::Text)],
        AgentKind::Acp => &[
            ("command", Shape::Texts),
            ("cwd", Shape::Text),
            ("env", Shape::TextMap),
            ("preset", Shape::Text),
        ],
        AgentKind::Command => &[
            ("command", Shape::Texts),
            ("env", Shape::TextMap),
            ("output", Shape::Text),
            ("preset", Shape::Text),
        ],
        AgentKind::Simulated => {
            &[("latency_ms", Shape::Whole), ("script", Shape::Text), ("seed", Shape::Whole)]
        }
    }
}

/// An agent as it was sent: what is `None` takes its default.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of `Agent`, before defaults and checks")]
pub struct AgentDraft {
    pub name: String,
    pub kind: AgentKind,
    pub agent_type: Option<AgentType>,
    pub description: Option<String>,
    pub version: Option<String>,
    pub primary_capabilities: Vec<String>,
    pub secondary_capabilities: Vec<String>,
    pub preferred_technologies: Vec<String>,
    pub avoided_technologies: Vec<String>,
    pub complexity_preference: Option<ComplexityPreference>,
    pub preferred_session_types: Vec<SessionType>,
    pub model_identifier: Option<String>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<u32>,
    pub system_prompt_template: Option<String>,
    pub max_concurrent_capacity: Option<u32>,
    pub max_task_duration_hours: Option<f64>,
    pub min_quality_threshold: Option<f64>,
    pub config: Map<String, Value>,
    pub metadata: Map<String, Value>,
}

impl AgentDraft {
    /// One that nothing but its name, its kind and what it can is said of.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        kind: AgentKind,
        capabilities: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            name: name.into(),
            kind,
            agent_type: None,
            description: None,
            version: None,
            primary_capabilities: capabilities.into_iter().map(Into::into).collect(),
            secondary_capabilities: Vec::new(),
            preferred_technologies: Vec::new(),
            avoided_technologies: Vec::new(),
            complexity_preference: None,
            preferred_session_types: Vec::new(),
            model_identifier: None,
            temperature: None,
            max_tokens: None,
            system_prompt_template: None,
            max_concurrent_capacity: None,
            max_task_duration_hours: None,
            min_quality_threshold: None,
            config: Map::new(),
            metadata: Map::new(),
        }
    }

    /// The same for so many sessions at once.
    #[must_use]
    pub fn with_capacity(self, capacity: u32) -> Self {
        Self { max_concurrent_capacity: Some(capacity), ..self }
    }

    /// The valid agent.
    ///
    /// # Errors
    /// Every broken rule, with a JSON pointer each.
    pub fn accept(
        self,
        id: AgentId,
        tenant_id: TenantId,
        now: Timestamp,
    ) -> Result<Agent, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        errors.require(
            is_agent_name(&self.name),
            "/name",
            "invalid",
            "must be AGENT- and 1 to 64 upper-case letters, digits, _ and -, as in AGENT-CODE-01",
        );
        if let Some(description) = &self.description {
            errors.length("/description", description, 0, 500);
        }
        let version = self.version.unwrap_or_else(|| "1.0.0".to_owned());
        errors.length("/version", &version, 1, 50);
        let agent_type = self.agent_type.unwrap_or(AgentType::Implementer);
        let max_concurrent_capacity = self.max_concurrent_capacity.unwrap_or(5);
        errors.range("/max_concurrent_capacity", max_concurrent_capacity, 1, 50);
        check_capabilities(&self.primary_capabilities, &self.secondary_capabilities, &mut errors);
        let preferred_technologies = lower(self.preferred_technologies);
        let avoided_technologies = lower(self.avoided_technologies);
        check_technologies("/preferred_technologies", &preferred_technologies, &mut errors);
        check_technologies("/avoided_technologies", &avoided_technologies, &mut errors);
        if let Some(both) =
            avoided_technologies.iter().find(|one| preferred_technologies.contains(one))
        {
            let message = format!("{both} is preferred as well; it can be one of both");
            errors.add("/avoided_technologies", "conflict", message);
        }
        let behavior = Behavior {
            model_identifier: self.model_identifier,
            temperature: self.temperature.unwrap_or(0.3),
            max_tokens: self.max_tokens.unwrap_or(agent_type.default_max_tokens()),
            system_prompt_template: self.system_prompt_template.unwrap_or_default(),
            max_task_duration_hours: self.max_task_duration_hours.unwrap_or(4.0),
            min_quality_threshold: self.min_quality_threshold.unwrap_or(0.7),
        };
        behavior.check(&mut errors);
        check_config(self.kind, &self.config, &mut errors);
        errors.map("/metadata", &self.metadata);
        let agent = Agent {
            id,
            tenant_id,
            name: self.name,
            kind: self.kind,
            description: self.description,
            version,
            profile: Profile {
                agent_type,
                primary_capabilities: self.primary_capabilities,
                secondary_capabilities: self.secondary_capabilities,
                preferred_technologies,
                avoided_technologies,
                complexity_preference: self
                    .complexity_preference
                    .unwrap_or(ComplexityPreference::Medium),
                preferred_session_types: self.preferred_session_types,
                max_concurrent_capacity,
            },
            behavior,
            switches: Switches::ON,
            config: self.config,
            metadata: self.metadata,
            removal: None,
            deleted_at: None,
            created_at: now,
            updated_at: now,
        };
        errors.into_result(agent)
    }
}

impl From<Agent> for AgentDraft {
    fn from(agent: Agent) -> Self {
        let Agent { name, kind, description, version, profile, behavior, config, metadata, .. } =
            agent;
        Self {
            name,
            kind,
            agent_type: Some(profile.agent_type),
            description,
            version: Some(version),
            primary_capabilities: profile.primary_capabilities,
            secondary_capabilities: profile.secondary_capabilities,
            preferred_technologies: profile.preferred_technologies,
            avoided_technologies: profile.avoided_technologies,
            complexity_preference: Some(profile.complexity_preference),
            preferred_session_types: profile.preferred_session_types,
            model_identifier: behavior.model_identifier,
            temperature: Some(behavior.temperature),
            max_tokens: Some(behavior.max_tokens),
            system_prompt_template: Some(behavior.system_prompt_template),
            max_concurrent_capacity: Some(profile.max_concurrent_capacity),
            max_task_duration_hours: Some(behavior.max_task_duration_hours),
            min_quality_threshold: Some(behavior.min_quality_threshold),
            config,
            metadata,
        }
    }
}

impl Agent {
    /// Whether it is one that could have been registered here, whoever says so.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let (id, tenant, at) = (self.id, self.tenant_id, self.created_at);
        AgentDraft::from(self.clone()).accept(id, tenant, at).map(drop)
    }
}

impl Behavior {
    fn check(&self, errors: &mut FieldErrors) {
        if let Some(model) = &self.model_identifier {
            errors.length("/model_identifier", model, 1, 200);
        }
        errors.range("/temperature", self.temperature, 0.0, 2.0);
        errors.range("/max_tokens", self.max_tokens, 1000, 100_000);
        let template = self.system_prompt_template.trim();
        if !template.is_empty() {
            errors.length("/system_prompt_template", template, 50, 20_000);
        }
        errors.range("/max_task_duration_hours", self.max_task_duration_hours, 0.5, 24.0);
        errors.range("/min_quality_threshold", self.min_quality_threshold, 0.0, 1.0);
    }
}

fn lower(names: Vec<String>) -> Vec<String> {
    names.into_iter().map(|name| name.to_lowercase()).collect()
}

fn check_capabilities(primary: &[String], secondary: &[String], errors: &mut FieldErrors) {
    let count = primary.len() + secondary.len();
    errors.require(
        count > 0,
        "/primary_capabilities",
        "required",
        "must say what the agent is able to do, as in [\"code_generation\"]",
    );
    errors.require(
        count <= MOST_CAPABILITIES,
        "/primary_capabilities",
        "too_many",
        "at most 50 are allowed, secondary ones included",
    );
    for (pointer, slugs) in
        [("/primary_capabilities", primary), ("/secondary_capabilities", secondary)]
    {
        for (index, _) in slugs.iter().enumerate().filter(|(_, slug)| !is_slug(slug)) {
            errors.add(
                format!("{pointer}/{index}"),
                "invalid",
                "must be a slug such as code_review: 2 to 64 lower-case letters, digits and _, a letter first",
            );
        }
    }
}

fn check_technologies(pointer: &str, names: &[String], errors: &mut FieldErrors) {
    let is_few = names.len() <= MOST_TECHNOLOGIES;
    errors.require(is_few, pointer, "too_many", "at most 20 are allowed");
    for (index, _) in names.iter().enumerate().filter(|(_, name)| !is_technology(name)) {
        errors.add(
            format!("{pointer}/{index}"),
            "invalid",
            "must be a name such as rust or c++: 1 to 50 letters, digits and . + # _ -",
        );
    }
}

fn check_config(kind: AgentKind, config: &Map<String, Value>, errors: &mut FieldErrors) {
    let known = settings(kind);
    for (key, value) in config {
        let pointer = format!("/config/{}", key.replace('~', "~0").replace('/', "~1"));
        match known.iter().find(|(name, _)| name == key) {
            Some((_, shape)) if shape.fits(value) => config::check(key, value, errors),
            Some((_, shape)) => errors.add(pointer, "wrong_type", shape.words()),
            None => {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                let message = format!("is none of a {kind} agent; known are {}", names.join(", "));
                errors.add(pointer, "unknown_field", message);
            }
        }
    }
    let is_started = matches!(kind, AgentKind::Acp | AgentKind::Command);
    errors.require(
        !is_started || config.contains_key("command") || config.contains_key("preset"),
        "/config/command",
        "required",
        "must say how the agent is started, as in [\"opencode\", \"acp\"], or /config/preset which known agent it is",
    );
    errors.map("/config", config);
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn draft() -> AgentDraft {
        let draft = AgentDraft::new("AGENT-CODE-01", AgentKind::Command, ["code_generation"]);
        let config = json!({ "command": ["true"] });
        AgentDraft { config: config.as_object().cloned().unwrap_or_default(), ..draft }
    }

    fn accept(draft: AgentDraft) -> Result<Agent, Vec<String>> {
        let accepted =
            draft.accept(AgentId::new(Uuid::nil()), TenantId::BOOTSTRAP, Timestamp::EPOCH);
        accepted.map_err(|errors| errors.into_iter().map(|error| error.pointer).collect())
    }

    #[test]
    fn defaults_are_those_of_the_specification() {
        let agent = accept(draft()).expect("valid");
        assert_eq!(agent.profile.agent_type, AgentType::Implementer);
        assert_eq!(agent.profile.max_concurrent_capacity, 5);
        assert_eq!((agent.behavior.max_tokens, agent.version.as_str()), (8000, "1.0.0"));
        assert_eq!(agent.switches, Switches::ON);
        assert_eq!(agent.check(), Ok(()));
        let analyst = AgentDraft { agent_type: Some(AgentType::Analyst), ..draft() };
        assert_eq!(accept(analyst).expect("valid").behavior.max_tokens, 3000);
    }

    #[test]
    fn names_and_capabilities_are_checked() {
        for name in ["agent-x", "BOT", "AGENT-"] {
            let told = accept(AgentDraft { name: name.to_owned(), ..draft() });
            assert_eq!(told, Err(vec!["/name".to_owned()]), "{name}");
        }
        let can = |slugs: &[&str]| AgentDraft {
            primary_capabilities: slugs.iter().map(|slug| (*slug).to_owned()).collect(),
            ..draft()
        };
        assert!(accept(can(&["rust_expert"])).is_ok(), "a custom one");
        let wrong = accept(can(&["testing", "Rust Expert"]));
        assert_eq!(wrong, Err(vec!["/primary_capabilities/1".to_owned()]));
        assert_eq!(accept(can(&[])), Err(vec!["/primary_capabilities".to_owned()]));
        let many = AgentDraft { secondary_capabilities: vec!["testing".into(); 50], ..draft() };
        assert_eq!(accept(many), Err(vec!["/primary_capabilities".to_owned()]));
        let torn = AgentDraft {
            preferred_technologies: vec!["Rust".into()],
            avoided_technologies: vec!["rust".into()],
            ..draft()
        };
        assert_eq!(accept(torn), Err(vec!["/avoided_technologies".to_owned()]));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let told = accept(AgentDraft {
            temperature: Some(2.5),
            max_tokens: Some(999),
            system_prompt_template: Some(" short ".into()),
            max_concurrent_capacity: Some(51),
            max_task_duration_hours: Some(f64::NAN),
            min_quality_threshold: Some(-0.1),
            ..draft()
        });
        let expected = [
            "/max_concurrent_capacity",
            "/temperature",
            "/max_tokens",
            "/system_prompt_template",
            "/max_task_duration_hours",
            "/min_quality_threshold",
        ];
        assert_eq!(told.expect_err("wrong"), expected);
    }

    #[test]
    fn settings_are_those_of_the_kind() {
        let with = |kind: AgentKind, config: Value| {
            let config = config.as_object().cloned().unwrap_or_default();
            accept(AgentDraft { kind, config, ..draft() }).err().unwrap_or_default()
        };
        let good = json!({ "command": ["a"], "env": { "A": "b" }, "output": "lines" });
        assert_eq!(with(AgentKind::Command, good), [""; 0]);
        assert_eq!(with(AgentKind::Command, json!({ "command": [] })), ["/config/command"]);
        assert_eq!(
            with(AgentKind::Acp, json!({ "command": ["a"], "output": "x" })),
            ["/config/output"]
        );
        assert_eq!(with(AgentKind::Acp, json!({})), ["/config/command"]);
        assert_eq!(with(AgentKind::Command, json!({ "env": {} })), ["/config/command"]);
        assert_eq!(with(AgentKind::Command, json!({ "preset": 1 })), ["/config/preset"]);
        for kind in [AgentKind::Acp, AgentKind::Command] {
            assert_eq!(with(kind, json!({ "preset": "claude" })), [""; 0]);
        }
        assert_eq!(with(AgentKind::Eap, json!({ "preset": "claude" })), ["/config/preset"]);
        assert_eq!(with(AgentKind::Opencode, json!({ "managed": 1 })), ["/config/managed"]);
        assert_eq!(with(AgentKind::Simulated, json!({ "seed": -1 })), ["/config/seed"]);
    }
}
