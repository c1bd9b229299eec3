//! What an agent is good for, and whether it is to be given work: the part of it that routing reads.

use super::capability;
use super::kind::{AgentType, ComplexityPreference};
use crate::domain::session::spec::SessionType;

/// How an agent has a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mastery {
    /// Not at all.
    Missing,
    /// It can.
    Secondary,
    /// It is what the agent is for.
    Primary,
}

/// What an agent is good for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the fields are those of domain 2.1")]
pub struct Profile {
    pub agent_type: AgentType,
    pub primary_capabilities: Vec<String>,
    pub secondary_capabilities: Vec<String>,
    pub preferred_technologies: Vec<String>,
    pub avoided_technologies: Vec<String>,
    pub complexity_preference: ComplexityPreference,
    pub preferred_session_types: Vec<SessionType>,
    pub max_concurrent_capacity: u32,
}

impl Profile {
    /// One that can everything that is known, for agents that nobody described.
    #[must_use]
    pub fn of_everything(max_concurrent_capacity: u32) -> Self {
        Self {
            agent_type: AgentType::Implementer,
            primary_capabilities: capability::KNOWN.map(str::to_owned).to_vec(),
            secondary_capabilities: Vec::new(),
            preferred_technologies: Vec::new(),
            avoided_technologies: Vec::new(),
            complexity_preference: ComplexityPreference::Medium,
            preferred_session_types: Vec::new(),
            max_concurrent_capacity,
        }
    }

    /// How it has a capability: as primary when it says so and its type is made of it.
    #[must_use]
    pub fn mastery(&self, slug: &str) -> Mastery {
        let named = |list: &[String]| list.iter().any(|one| one == slug);
        if named(&self.primary_capabilities) {
            let is_typical = self.agent_type.row().contains(&slug);
            return if is_typical { Mastery::Primary } else { Mastery::Secondary };
        }
        if named(&self.secondary_capabilities) { Mastery::Secondary } else { Mastery::Missing }
    }

    /// All that it can, primary ones first, each once.
    #[must_use]
    pub fn capabilities(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for slug in self.primary_capabilities.iter().chain(&self.secondary_capabilities) {
            if !all.contains(&slug.as_str()) {
                all.push(slug);
            }
        }
        all
    }
}

/// What people decided about an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of domain 2.1")]
pub struct Switches {
    /// It may be given work at all.
    pub is_active: bool,
    /// A lead let it in.
    pub is_approved: bool,
    /// It is being worked on.
    pub in_maintenance: bool,
    /// It ends what it has and gets nothing new.
    pub is_draining: bool,
}

impl Switches {
    /// Those of an agent that may work.
    pub const ON: Self =
        Self { is_active: true, is_approved: true, in_maintenance: false, is_draining: false };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primary_is_what_the_type_is_made_of() {
        let profile = Profile {
            primary_capabilities: vec!["code_generation".into(), "rust_expert".into()],
            secondary_capabilities: vec!["code_review".into(), "refactoring".into()],
            ..Profile::of_everything(5)
        };
        assert_eq!(profile.mastery("code_generation"), Mastery::Primary);
        assert_eq!(profile.mastery("rust_expert"), Mastery::Secondary, "outside the row");
        assert_eq!(profile.mastery("refactoring"), Mastery::Secondary, "named so");
        assert_eq!(profile.mastery("testing"), Mastery::Missing);
        let all = ["code_generation", "rust_expert", "code_review", "refactoring"];
        assert_eq!(profile.capabilities(), all);
    }
}
