//! `team …`

use clap::{Args, Subcommand};

use super::InviteArgs;
use super::run::amount;
use super::user::{address, email};
use crate::domain::tenant::key::Role;

const EXAMPLES: &str = "\
Examples:
  orchestrator team init Acme --member ann@example.org:admin --member bob@example.org --service ci
  orchestrator team show --tenant acme
  orchestrator team invite eve@example.org --tenant acme
  orchestrator team join 'http://server:8000/login#invite=iok_...' --name 'Ann Other'";

/// The verbs of teams.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum TeamCommand {
    /// Make a team, or what of it is missing: tenant, quotas, invitations, keys of services.
    Init(TeamInitArgs),
    /// Who is there, who is invited, and what the team may have.
    Show,
    /// Invite somebody; the link is shown once.
    Invite(InviteArgs),
    /// Accept an invitation on this machine; later commands act as you.
    Join(TeamJoinArgs),
}

/// A team to be made.
#[derive(Debug, Args)]
pub struct TeamInitArgs {
    /// What the team is called.
    pub name: String,
    /// Its short name [default: the name in lower-case letters, digits and `-`].
    #[arg(long, value_name = "TEXT")]
    pub slug: Option<String>,
    /// Somebody to be invited, as a member unless a role is named; repeatable.
    #[arg(long = "member", value_name = "EMAIL[:ROLE]", value_parser = member)]
    pub members: Vec<(String, Role)>,
    /// A program that gets a key of its own, as a member unless a role is named; repeatable.
    #[arg(long = "service", value_name = "NAME[:ROLE]", value_parser = with_role)]
    pub services: Vec<(String, Role)>,
    /// Most sessions at a time.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub sessions: Option<u64>,
    /// Most US dollars a month.
    #[arg(long, value_name = "DOLLARS", value_parser = amount)]
    pub budget: Option<f64>,
    /// Address under which the team reaches the server, for the links.
    #[arg(long, value_name = "URL", value_parser = address)]
    pub address: Option<String>,
}

/// An invitation to be accepted.
#[derive(Debug, Args)]
pub struct TeamJoinArgs {
    /// The link that you were sent, or the secret in it.
    #[arg(value_name = "LINK")]
    pub invitation: String,
    /// What you are called [default: as the invitation says, else you are asked].
    #[arg(long = "name", value_name = "TEXT")]
    pub full_name: Option<String>,
    /// Forget the key that was kept here when another team was joined.
    #[arg(long)]
    pub force: bool,
}

/// Reads `ann@example.org:lead`.
///
/// # Errors
/// What is wrong, for people.
fn member(text: &str) -> Result<(String, Role), String> {
    let (who, role) = with_role(text)?;
    Ok((email(&who)?, role))
}

/// Reads `ci:lead`.
///
/// # Errors
/// What is wrong, for people.
fn with_role(text: &str) -> Result<(String, Role), String> {
    let Some((name, role)) = text.rsplit_once(':') else {
        return Ok((text.to_owned(), Role::Member));
    };
    let role = Role::parse(role)
        .ok_or_else(|| format!("{role} is no role: viewer, member, lead or admin"))?;
    Ok((name.to_owned(), role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_stands_behind_a_name() {
        let read = |text: &str| with_role(text).map(|(name, role)| (name, role.as_str()));
        assert_eq!(read("ann@example.org"), Ok(("ann@example.org".to_owned(), "member")));
        assert_eq!(read("ann@example.org:lead"), Ok(("ann@example.org".to_owned(), "lead")));
        assert!(read("ann@example.org:owner").is_err());
        assert!(read("ci").is_ok() && member("ci").is_err());
        assert_eq!(
            member("ann@example.org:lead").map(|(who, _)| who),
            Ok("ann@example.org".to_owned())
        );
    }
}
