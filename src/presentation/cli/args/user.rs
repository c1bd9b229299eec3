//! `user …`

use clap::{Args, Subcommand};

use super::RoleWord;
use super::run::duration;

const EXAMPLES: &str = "\
Examples:
  orchestrator user invite ann@example.org --role lead
  orchestrator user change ann@example.org --role admin
  orchestrator user deactivate ann@example.org

USER is an e-mail address or an id, as `user list` shows them.";

/// The verbs of people.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum UserCommand {
    /// Everybody, in order of their coming.
    #[command(visible_alias = "ls")]
    List,
    /// Somebody with all their facts.
    Show {
        /// Who.
        #[arg(value_name = "USER")]
        who: String,
    },
    /// Invite somebody; the link is shown once.
    Invite(InviteArgs),
    /// Change somebody.
    Change(UserChangeArgs),
    /// Switch somebody off: all keys of theirs are refused from now on.
    Deactivate {
        /// Who.
        #[arg(value_name = "USER")]
        who: String,
    },
    /// Switch somebody on again; `key create NAME --user USER` makes them a key.
    Activate {
        /// Who.
        #[arg(value_name = "USER")]
        who: String,
    },
    /// Send somebody away for good.
    #[command(visible_alias = "rm")]
    Remove {
        /// Who.
        #[arg(value_name = "USER")]
        who: String,
    },
}

/// Somebody to be invited.
#[derive(Debug, Args)]
pub struct InviteArgs {
    /// Their e-mail address.
    pub email: String,
    /// What they may do.
    #[arg(long, value_enum, default_value_t = RoleWord::Member)]
    pub role: RoleWord,
    /// What they are called.
    #[arg(long = "name", value_name = "TEXT")]
    pub full_name: Option<String>,
    /// How long the link is good, 30 days at the most [default: 7 days].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub expires_in: Option<u64>,
    /// Address under which they reach the server, for the link.
    #[arg(long, value_name = "URL")]
    pub address: Option<String>,
}

/// What is to become different of somebody.
#[derive(Debug, Args)]
#[group(required = true, multiple = true, args = ["role", "full_name", "email"])]
pub struct UserChangeArgs {
    /// Who.
    #[arg(value_name = "USER")]
    pub who: String,
    /// What they may do.
    #[arg(long, value_enum)]
    pub role: Option<RoleWord>,
    /// What they are called.
    #[arg(long = "name", value_name = "TEXT")]
    pub full_name: Option<String>,
    /// Another e-mail address.
    #[arg(long, value_name = "EMAIL")]
    pub email: Option<String>,
}
