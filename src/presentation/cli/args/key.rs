//! `key …`

use clap::builder::PossibleValue;
use clap::{Args, Subcommand, ValueEnum};

use super::run::duration;
use crate::domain::tenant::key::Role;

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
    List {
        /// The browsers that were signed in with keys, instead.
        #[arg(long)]
        browsers: bool,
    },
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
    #[arg(long, value_enum, default_value_t = Role::Member)]
    pub role: Role,
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

/// Roles as words of the command line.
impl ValueEnum for Role {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Viewer => "Looks",
            Self::Member => "Works with sessions",
            Self::Lead => "Leads: forces ends, deletes, merges, registers agents",
            Self::Admin => "Manages the tenant",
        };
        Some(PossibleValue::new(self.as_str()).help(help))
    }
}
