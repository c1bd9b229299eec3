//! `user …`

use clap::{Args, Subcommand};

use super::run::duration;
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::tenant::key::Role;
use crate::domain::tenant::user::checked_email;

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
    #[arg(value_parser = email)]
    pub email: String,
    /// What they may do.
    #[arg(long, value_enum, default_value_t = Role::Member)]
    pub role: Role,
    /// What they are called.
    #[arg(long = "name", value_name = "TEXT")]
    pub full_name: Option<String>,
    /// How long the link is good, 30 days at the most [default: 7 days].
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub expires_in: Option<u64>,
    /// Address under which they reach the server, for the link.
    #[arg(long, value_name = "URL", value_parser = address)]
    pub address: Option<String>,
}

/// Reads an e-mail address.
///
/// # Errors
/// What is wrong, for people.
pub(super) fn email(text: &str) -> Result<String, String> {
    let mut errors = FieldErrors::default();
    let email = checked_email(text, &mut errors);
    let told = |errors: Vec<FieldError>| errors.into_iter().map(|error| error.message).collect();
    errors.into_result(email).map_err(told)
}

/// Reads the address of a server, without `/` at its end.
///
/// # Errors
/// What is wrong, for people.
pub(super) fn address(text: &str) -> Result<String, String> {
    let base = text.trim().trim_end_matches('/');
    let is_address = url::Url::parse(base)
        .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if is_address {
        return Ok(base.to_owned());
    }
    Err("must be an address such as https://server:8443".to_owned())
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
    pub role: Option<Role>,
    /// What they are called.
    #[arg(long = "name", value_name = "TEXT")]
    pub full_name: Option<String>,
    /// Another e-mail address.
    #[arg(long, value_name = "EMAIL")]
    pub email: Option<String>,
    /// Whom the identity provider takes them for is forgotten: whoever has their address there signs in
    /// as them next.
    #[arg(long)]
    pub forget_provider: bool,
}
