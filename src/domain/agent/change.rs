//! How a registered agent changes: its fields, its switches, and its end.

use std::time::Duration;

use serde_json::{Map, Value};

use super::draft::AgentDraft;
use super::kind::{AgentType, ComplexityPreference};
use super::profile::Switches;
use super::{Agent, config};
use crate::domain::field::FieldError;
use crate::domain::session::spec::SessionType;
use crate::domain::time::Timestamp;

/// Longest time that an agent which is to be removed is left with what it works on.
pub const LONGEST_DEPARTURE: Duration = Duration::from_hours(1);

/// Somebody wants an agent removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// It goes at this time, whatever it works on.
    pub due: Timestamp,
    /// Why.
    pub reason: Option<String>,
}

/// What is to become different; what is omitted stays.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of the agent")]
pub struct AgentPatch {
    pub agent_type: Option<AgentType>,
    pub description: Option<Option<String>>,
    pub version: Option<String>,
    pub primary_capabilities: Option<Vec<String>>,
    pub secondary_capabilities: Option<Vec<String>>,
    pub preferred_technologies: Option<Vec<String>>,
    pub avoided_technologies: Option<Vec<String>>,
    pub complexity_preference: Option<ComplexityPreference>,
    pub preferred_session_types: Option<Vec<SessionType>>,
    pub model_identifier: Option<Option<String>>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<u32>,
    pub system_prompt_template: Option<String>,
    pub max_concurrent_capacity: Option<u32>,
    pub max_task_duration_hours: Option<f64>,
    pub min_quality_threshold: Option<f64>,
    pub is_active: Option<bool>,
    /// Merged with what stands; a null takes a setting away.
    pub config: Option<Map<String, Value>>,
    pub metadata: Option<Map<String, Value>>,
}

impl AgentPatch {
    /// What the agent would be registered as.
    fn onto(self, agent: &Agent) -> AgentDraft {
        fn set<T>(field: &mut T, new: Option<T>) {
            if let Some(new) = new {
                *field = new;
            }
        }
        let mut draft = AgentDraft::from(agent.clone());
        let some = |new: Option<f64>| new.map(Some);
        set(&mut draft.agent_type, self.agent_type.map(Some));
        set(&mut draft.description, self.description);
        set(&mut draft.version, self.version.map(Some));
        set(&mut draft.primary_capabilities, self.primary_capabilities);
        set(&mut draft.secondary_capabilities, self.secondary_capabilities);
        set(&mut draft.preferred_technologies, self.preferred_technologies);
        set(&mut draft.avoided_technologies, self.avoided_technologies);
        set(&mut draft.complexity_preference, self.complexity_preference.map(Some));
        set(&mut draft.preferred_session_types, self.preferred_session_types);
        set(&mut draft.model_identifier, self.model_identifier);
        set(&mut draft.temperature, some(self.temperature));
        set(&mut draft.max_tokens, self.max_tokens.map(Some));
        set(&mut draft.system_prompt_template, self.system_prompt_template.map(Some));
        set(&mut draft.max_concurrent_capacity, self.max_concurrent_capacity.map(Some));
        set(&mut draft.max_task_duration_hours, some(self.max_task_duration_hours));
        set(&mut draft.min_quality_threshold, some(self.min_quality_threshold));
        set(&mut draft.config, self.config.map(|patch| config::merged(&agent.config, &patch)));
        set(&mut draft.metadata, self.metadata);
        draft
    }
}

impl Agent {
    /// Whether it may be given anything new.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let Switches { is_active, is_approved, in_maintenance, is_draining } = self.switches;
        self.deleted_at.is_none() && is_active && is_approved && !in_maintenance && !is_draining
    }

    /// Takes over what was changed; the names of the fields that differ.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn change(
        &mut self,
        patch: AgentPatch,
        now: Timestamp,
    ) -> Result<Vec<&'static str>, Vec<FieldError>> {
        let before = self.clone();
        let is_active = patch.is_active.unwrap_or(self.switches.is_active);
        let after = patch.onto(self).accept(self.id, self.tenant_id, now)?;
        *self = Self {
            switches: Switches { is_active, ..self.switches },
            removal: self.removal.clone(),
            deleted_at: self.deleted_at,
            created_at: self.created_at,
            updated_at: self.updated_at,
            ..after
        };
        let changed = differences(&before, self);
        if !changed.is_empty() {
            self.updated_at = now;
        }
        Ok(changed)
    }

    /// It ends what it has and gets nothing new, or is given work again, which takes back its removal
    /// too; the names of the fields that differ.
    pub fn drain(&mut self, on: bool, now: Timestamp) -> Vec<&'static str> {
        let before = self.clone();
        self.switches.is_draining = on;
        if !on {
            self.removal = None;
        }
        self.changed_since(&before, now)
    }

    /// It is worked on and gets nothing new, or is given work again; the names of the fields that differ.
    pub fn maintain(&mut self, on: bool, now: Timestamp) -> Vec<&'static str> {
        let before = self.clone();
        self.switches.in_maintenance = on;
        self.changed_since(&before, now)
    }

    /// A lead lets it in; the names of the fields that differ.
    pub fn approve(&mut self, now: Timestamp) -> Vec<&'static str> {
        let before = self.clone();
        self.switches.is_approved = true;
        self.changed_since(&before, now)
    }

    /// It is to be removed once it has ended what it has; the names of the fields that differ.
    pub fn depart(&mut self, reason: Option<String>, now: Timestamp) -> Vec<&'static str> {
        let before = self.clone();
        self.switches.is_draining = true;
        self.removal = Some(Removal { due: now.after(LONGEST_DEPARTURE), reason });
        self.changed_since(&before, now)
    }

    /// It is removed.
    pub fn remove(&mut self, now: Timestamp) {
        self.removal = None;
        self.deleted_at = Some(now);
        self.updated_at = now;
    }

    fn changed_since(&mut self, before: &Self, now: Timestamp) -> Vec<&'static str> {
        let changed = differences(before, self);
        if !changed.is_empty() {
            self.updated_at = now;
        }
        changed
    }
}

/// The names of the fields that differ.
#[must_use]
pub fn differences(before: &Agent, after: &Agent) -> Vec<&'static str> {
    let ((was, is), (did, does)) =
        ((&before.profile, &after.profile), (&before.behavior, &after.behavior));
    let (off, on) = (before.switches, after.switches);
    let differs = [
        ("agent_type", was.agent_type != is.agent_type),
        ("description", before.description != after.description),
        ("version", before.version != after.version),
        ("primary_capabilities", was.primary_capabilities != is.primary_capabilities),
        ("secondary_capabilities", was.secondary_capabilities != is.secondary_capabilities),
        ("preferred_technologies", was.preferred_technologies != is.preferred_technologies),
        ("avoided_technologies", was.avoided_technologies != is.avoided_technologies),
        ("complexity_preference", was.complexity_preference != is.complexity_preference),
        ("preferred_session_types", was.preferred_session_types != is.preferred_session_types),
        ("max_concurrent_capacity", was.max_concurrent_capacity != is.max_concurrent_capacity),
        ("model_identifier", did.model_identifier != does.model_identifier),
        ("temperature", did.temperature.to_bits() != does.temperature.to_bits()),
        ("max_tokens", did.max_tokens != does.max_tokens),
        ("system_prompt_template", did.system_prompt_template != does.system_prompt_template),
        (
            "max_task_duration_hours",
            did.max_task_duration_hours.to_bits() != does.max_task_duration_hours.to_bits(),
        ),
        (
            "min_quality_threshold",
            did.min_quality_threshold.to_bits() != does.min_quality_threshold.to_bits(),
        ),
        ("is_active", off.is_active != on.is_active),
        ("approved", off.is_approved != on.is_approved),
        ("maintenance_mode", off.in_maintenance != on.in_maintenance),
        ("draining", off.is_draining != on.is_draining),
        ("removal", before.removal != after.removal),
        ("config", before.config != after.config),
        ("metadata", before.metadata != after.metadata),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::domain::agent::AgentKind;
    use crate::domain::ids::{AgentId, TenantId};

    const LATER: Timestamp = Timestamp::from_millis(5000);

    fn agent() -> Agent {
        let draft = AgentDraft::new("AGENT-CODE-01", AgentKind::Command, ["code_generation"]);
        let config = json!({ "command": ["true"], "env": { "MODE": "fast" } });
        let draft = AgentDraft { config: config.as_object().cloned().unwrap_or_default(), ..draft };
        let id = AgentId::new(Uuid::nil());
        draft.accept(id, TenantId::BOOTSTRAP, Timestamp::EPOCH).expect("valid")
    }

    #[test]
    fn what_is_omitted_stays_and_what_differs_is_named() {
        let mut changed = agent();
        assert_eq!(changed.change(AgentPatch::default(), LATER), Ok(Vec::new()));
        assert_eq!(changed, agent(), "nothing is touched");
        let config = json!({ "env": { "MORE": "1" } });
        let patch = AgentPatch {
            description: Some(Some("Writes".to_owned())),
            temperature: Some(0.5),
            is_active: Some(false),
            config: config.as_object().cloned(),
            ..AgentPatch::default()
        };
        let names = changed.change(patch, LATER).expect("valid");
        assert_eq!(names, ["description", "temperature", "is_active", "config"]);
        assert_eq!(changed.config["env"], json!({ "MODE": "fast", "MORE": "1" }));
        assert_eq!((changed.created_at, changed.updated_at), (Timestamp::EPOCH, LATER));
        assert_eq!(changed.profile, agent().profile);
        let patch = AgentPatch { description: Some(None), ..AgentPatch::default() };
        assert_eq!(changed.change(patch, LATER), Ok(vec!["description"]));
    }

    #[test]
    fn a_change_has_to_keep_every_rule() {
        let mut changed = agent();
        let patch = AgentPatch {
            temperature: Some(3.0),
            max_concurrent_capacity: Some(0),
            config: json!({ "command": null }).as_object().cloned(),
            ..AgentPatch::default()
        };
        let told = changed.change(patch, LATER).expect_err("three rules are broken");
        let pointers: Vec<&str> = told.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/max_concurrent_capacity", "/temperature", "/config/command"]);
        assert_eq!(changed, agent());
    }

    #[test]
    fn an_agent_is_open_while_no_switch_is_against_it() {
        let mut agent = agent();
        assert!(agent.is_open());
        assert_eq!(agent.maintain(true, LATER), ["maintenance_mode"]);
        assert!(!agent.is_open() && agent.maintain(true, LATER).is_empty());
        assert_eq!(agent.maintain(false, LATER), ["maintenance_mode"]);
        assert_eq!(agent.drain(true, LATER), ["draining"]);
        assert!(!agent.is_open());
        assert_eq!(agent.depart(Some("old".to_owned()), LATER), ["removal"]);
        assert_eq!(agent.drain(false, LATER), ["draining", "removal"], "it stays after all");
        assert!(agent.is_open());
        agent.remove(LATER);
        assert!(!agent.is_open());
    }
}
