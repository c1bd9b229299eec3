//! `admissions …`

use clap::{Args, Subcommand, ValueEnum};

/// `admissions …`
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  orchestrator admissions hold --reason \"the provider is down\"
  orchestrator admissions hold --agent AGENT-OPENCODE
  orchestrator admissions release --scope instance")]
pub enum AdmissionsCommand {
    /// What is held, why, since when and by whom.
    List,
    /// Give nothing new to agents until it is released.
    Hold(AdmissionArgs),
    /// Go on giving work to agents.
    Release(AdmissionArgs),
}

/// What is held or released.
#[derive(Debug, Clone, Args)]
pub struct AdmissionArgs {
    /// How far it reaches: instance, tenant or agent [default: tenant, or agent with --agent].
    #[arg(long, value_enum, hide_possible_values = true)]
    pub scope: Option<ScopeWord>,
    /// The agent, by name or id.
    #[arg(long, value_name = "AGENT")]
    pub agent: Option<String>,
    /// Why, for people and the audit.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// How far a hold reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScopeWord {
    /// Everything.
    Instance,
    /// The tenant.
    Tenant,
    /// One agent.
    Agent,
}

impl ScopeWord {
    /// As the API spells it.
    #[must_use]
    pub const fn as_api(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Tenant => "tenant",
            Self::Agent => "agent",
        }
    }
}
