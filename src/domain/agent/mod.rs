//! Agents: units that can be given sessions.
//!
//! `Agent` is what was registered. How it does (`performance`, `breaker`), how busy and how alive it is
//! (`load`, `status`) change with every assignment; `gate` and `routing` decide from both who gets work.

pub mod breaker;
pub mod capability;
pub mod change;
pub mod config;
pub mod draft;
pub mod gate;
pub mod health;
pub mod heartbeat;
pub mod kind;
pub mod load;
pub mod performance;
pub mod profile;
pub mod routing;
pub mod status;
#[cfg(test)]
mod tests;
pub mod trend;
pub mod vitals;
pub mod wanted;

use serde_json::{Map, Value};

use self::change::Removal;
pub use self::kind::AgentKind;
use self::profile::{Mastery, Profile, Switches};
use super::ids::{AgentId, TenantId};
use super::time::Timestamp;

/// How an agent goes about its work.
#[derive(Debug, Clone, PartialEq)]
pub struct Behavior {
    /// `provider/model`; the driver's own when null.
    pub model_identifier: Option<String>,
    /// 0 to 2.
    pub temperature: f64,
    /// Most tokens of an answer.
    pub max_tokens: u32,
    /// Stands before the prompt; empty for the driver's own.
    pub system_prompt_template: String,
    /// An assignment that runs longer is brought to people's attention.
    pub max_task_duration_hours: f64,
    /// A result that is worse counts half, and is brought to people's attention.
    pub min_quality_threshold: f64,
}

/// A registered agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent {
    /// Its identity.
    pub id: AgentId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// `AGENT-…`, unique per tenant.
    pub name: String,
    /// Which driver speaks to it.
    pub kind: AgentKind,
    /// For people.
    pub description: Option<String>,
    /// Version of its software.
    pub version: String,
    /// What it is good for.
    pub profile: Profile,
    /// How it works.
    pub behavior: Behavior,
    /// Whether it is to be given work.
    pub switches: Switches,
    /// Settings of the driver; never secrets.
    pub config: Map<String, Value>,
    /// What whoever registered it says besides.
    pub metadata: Map<String, Value>,
    /// Somebody wants it removed: it ends what it has and then goes.
    pub removal: Option<Removal>,
    /// When it was removed; its sessions keep their history.
    pub deleted_at: Option<Timestamp>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When what stands here was changed last.
    pub updated_at: Timestamp,
}

impl Agent {
    /// Whether this is its id or its name, in any case.
    #[must_use]
    pub fn is_called(&self, reference: &str) -> bool {
        self.name.eq_ignore_ascii_case(reference)
            || AgentId::parse(reference).is_some_and(|id| id == self.id)
    }

    /// Whether the agent can be given work that needs these capabilities.
    #[must_use]
    pub fn has_all(&self, required: &[String]) -> bool {
        required.iter().all(|slug| self.profile.mastery(slug) > Mastery::Missing)
    }
}

/// `AGENT-` and 1 to 64 upper-case letters, digits, `_` and `-`, not beginning with a sign.
#[must_use]
pub fn is_agent_name(name: &str) -> bool {
    name.strip_prefix("AGENT-").is_some_and(|rest| {
        (1..=64).contains(&rest.len())
            && !rest.starts_with(['_', '-'])
            && rest.bytes().all(|byte| {
                byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"_-".contains(&byte)
            })
    })
}

#[cfg(test)]
mod names {
    use super::is_agent_name;

    #[test]
    fn names_are_as_pinned() {
        assert!(is_agent_name("AGENT-CODE-01"));
        for wrong in ["agent-x", "BOT", "AGENT-", "AGENT--X"] {
            assert!(!is_agent_name(wrong), "{wrong}");
        }
    }
}
