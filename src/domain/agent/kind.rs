//! What sort of agent it is: which driver speaks to it, and what it is for.

use crate::closed_enum;

closed_enum!(
    /// Which driver speaks to the agent.
    AgentKind {
        Opencode = "opencode",
        Eap = "eap",
        Acp = "acp",
        Command = "command",
        Simulated = "simulated",
    }
);

closed_enum!(
    /// What an agent is for. Capabilities outside its row count as secondary.
    AgentType {
        Architect = "architect",
        Implementer = "implementer",
        Reviewer = "reviewer",
        Debugger = "debugger",
        Integrator = "integrator",
        Orchestrator = "orchestrator",
        Analyst = "analyst",
        Optimizer = "optimizer",
    }
);

closed_enum!(
    /// How hard the work is that an agent does best.
    ComplexityPreference {
        Simple = "simple",
        Medium = "medium",
        Complex = "complex",
        Expert = "expert",
    }
);

impl AgentKind {
    /// Whether agents of this kind are asked whether they can work; others tell it by themselves.
    #[must_use]
    pub const fn is_asked(self) -> bool {
        !matches!(self, Self::Eap)
    }

    /// Whether this server can have an agent of the kind without being told how to reach it.
    #[must_use]
    pub const fn needs_no_settings(self) -> bool {
        matches!(self, Self::Opencode | Self::Simulated)
    }
}

impl AgentType {
    /// The capabilities that make up the type.
    #[must_use]
    pub const fn row(self) -> &'static [&'static str] {
        match self {
            Self::Architect => &[
                "requirements_analysis",
                "system_design",
                "architecture_planning",
                "task_decomposition",
            ],
            Self::Implementer => {
                &["code_generation", "test_generation", "documentation", "refactoring"]
            }
            Self::Reviewer => {
                &["code_review", "security_audit", "performance_analysis", "compliance_check"]
            }
            Self::Debugger => {
                &["debugging", "troubleshooting", "root_cause_analysis", "optimization"]
            }
            Self::Integrator => &["deployment", "configuration", "monitoring", "scaling"],
            Self::Orchestrator => &[
                "workflow_orchestration",
                "resource_allocation",
                "conflict_resolution",
                "progress_tracking",
            ],
            Self::Analyst => &[
                "requirements_analysis",
                "performance_analysis",
                "root_cause_analysis",
                "compliance_check",
                "progress_tracking",
            ],
            Self::Optimizer => &[
                "optimization",
                "performance_optimization",
                "performance_analysis",
                "refactoring",
                "scaling",
            ],
        }
    }

    /// Most tokens of an answer when nothing else was said.
    #[must_use]
    pub const fn default_max_tokens(self) -> u32 {
        match self {
            Self::Implementer => 8000,
            Self::Architect | Self::Debugger => 4000,
            Self::Integrator | Self::Analyst => 3000,
            Self::Reviewer | Self::Orchestrator | Self::Optimizer => 2000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::agent::capability::KNOWN;

    #[test]
    fn rows_hold_known_capabilities_only() {
        for agent_type in AgentType::ALL {
            for slug in agent_type.row() {
                assert!(KNOWN.contains(slug), "{agent_type}: {slug}");
            }
        }
    }
}
