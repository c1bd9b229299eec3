//! `key …`

use clap::{Args, Subcommand, ValueEnum};

use super::run::duration;

const EXAMPLES: &str = "\
Examples:
  orchestrator key create ci --role member --scope sessions:read --scope sessions:write
  orchestrator key create dashboard --role viewer --expires-in 30d
  orchestrator key create deploy --service --from 10.0.0.0/8
  orchestrator key rotate KEY --grace 1h
  orchestrator key revoke KEY

KEY is an id, as `key list` shows it.";

/// The verbs of API keys.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum KeyCommand {
    /// Keys, oldest first, revoked ones too.
    #[command(visible_alias = "ls")]
    List,
    /// One key with all its facts.
    Show {
        /// Which key.
        #[arg(value_name = "KEY")]
        id: String,
    },
    /// Make a key; it is shown once.
    Create(KeyCreateArgs),
    /// Make a new secret, shown once; the one before is accepted for a while.
    Rotate {
        /// Which key.
        #[arg(value_name = "KEY")]
        id: String,
        /// How long the secret before is accepted, a day at the most [default: 24h].
        #[arg(long, value_name = "TIME", value_parser = duration)]
        grace: Option<u64>,
    },
    /// Refuse a key from now on.
    Revoke {
        /// Which key.
        #[arg(value_name = "KEY")]
        id: String,
    },
}

/// A key to be made.
#[derive(Debug, Args)]
pub struct KeyCreateArgs {
    /// For people.
    pub name: String,
    /// What it may do.
    #[arg(long, value_enum, default_value_t = RoleWord::Member)]
    pub role: RoleWord,
    /// What it may be used for: `*`, AREA:read, AREA:write, agents:register or metrics; repeatable
    /// [default: what your own key has].
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// How long it is accepted [default: 90 days].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub expires_in: Option<u64>,
    /// It is accepted until it is revoked.
    #[arg(long, conflicts_with = "expires_in")]
    pub never_expires: bool,
    /// From where it is accepted: a network such as 10.0.0.0/8, or an address; repeatable
    /// [default: from where your own key is].
    #[arg(long = "from", value_name = "CIDR")]
    pub networks: Vec<String>,
    /// It belongs to nobody: a program acts with it [default: it is yours].
    #[arg(long)]
    pub service: bool,
    /// Who acts with it, by e-mail address or id [default: you].
    #[arg(long = "user", value_name = "USER", conflicts_with = "service")]
    pub holder: Option<String>,
}

/// Words for roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleWord {
    /// Looks.
    Viewer,
    /// Works with sessions.
    Member,
    /// Leads: forces ends, deletes, merges, registers agents.
    Lead,
    /// Manages the tenant.
    Admin,
}

impl RoleWord {
    /// As the API spells it.
    #[must_use]
    pub const fn as_api(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Lead => "lead",
            Self::Admin => "admin",
        }
    }
}
