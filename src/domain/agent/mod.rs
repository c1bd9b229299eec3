//! Agents: units that can be given sessions.
//!
//! `Agent` is what was registered. How it does (`performance`, `breaker`), how busy and how alive it is
//! (`load`, `status`) change with every assignment; `gate` and `routing` decide from both who gets work.

pub mod breaker;
pub mod capability;
pub mod gate;
pub mod health;
pub mod kind;
pub mod load;
pub mod performance;
pub mod profile;
pub mod routing;
pub mod status;
#[cfg(test)]
mod tests;
pub mod trend;

use serde_json::Value;

pub use self::kind::AgentKind;
use super::ids::{AgentId, TenantId};
use super::time::Timestamp;

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
    /// Slugs of what it is able to do.
    pub capabilities: Vec<String>,
    /// Sessions that it works on at once, 1–50.
    pub max_concurrent_capacity: u32,
    /// Settings of the driver; never secrets.
    pub config: Value,
    /// When it was registered.
    pub created_at: Timestamp,
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
        required.iter().all(|slug| self.capabilities.contains(slug))
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
