//! `team init`: everything that a team needs, as far as it is not there.
//!
//! Invariant: doing it again makes nothing twice. What was made is printed even when the rest fails,
//! because secrets are shown once.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{link, tell_reach};
use crate::domain::tenant::key::Role;
use crate::presentation::cli::args::TeamInitArgs;
use crate::presentation::cli::client::Client;
use crate::presentation::cli::exit::{CliError, code};
use crate::presentation::cli::format::{line, plain};
use crate::presentation::cli::output::{BOLD, Printer, painted};

/// Somebody or something of a team, and how they get in.
struct Member {
    name: String,
    role: String,
    /// As was asked for, which is another one for somebody who was there before.
    wanted: &'static str,
    state: &'static str,
    secret: Option<String>,
}

/// What was made or found.
#[derive(Default)]
struct Team {
    tenant: Value,
    is_new: bool,
    members: Vec<Member>,
    services: Vec<Member>,
}

/// Runs `team init`.
pub(super) async fn run(
    args: &TeamInitArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    named_once(args)?;
    let mut team = Team::default();
    let outcome = make(args, client, &mut team).await;
    if !team.tenant.is_null() {
        print(&team, printer);
    }
    outcome?;
    if !printer.is_json() {
        tell(&team, args, client, printer);
    }
    Ok(code::OK)
}

/// Nobody is named twice: the second link would end the first.
fn named_once(args: &TeamInitArgs) -> Result<(), CliError> {
    let mut known = BTreeSet::new();
    let people = args.members.iter().map(|(email, _)| email.to_ascii_lowercase());
    let services = args.services.iter().map(|(name, _)| name.trim().to_owned());
    for name in people.chain(services) {
        if let Some(twice) = known.replace(name) {
            return Err(CliError::usage(format!("{twice} is named twice"))
                .remedy("name everybody once, with one role"));
        }
    }
    Ok(())
}

async fn make(args: &TeamInitArgs, client: &Client, team: &mut Team) -> Result<(), CliError> {
    let slug = args.slug.clone().unwrap_or_else(|| short_name(&args.name));
    if slug.is_empty() {
        let message = format!("no short name can be made of `{}`", args.name);
        return Err(CliError::usage(message).remedy("name one with --slug"));
    }
    tenant(args, &slug, client, team).await?;
    let client = client.of(&slug);
    let users = client.all(&["users"]).await?;
    let invites = client.all(&["invites"]).await?;
    for (email, role) in &args.members {
        let member = member((email, *role), (&users, &invites), args, &client).await?;
        team.members.push(member);
    }
    let keys = client.all_of(&["keys"], &[("kind", "key")]).await?;
    for (name, role) in &args.services {
        team.services.push(service(name, *role, &keys, &client).await?);
    }
    Ok(())
}

/// Makes the tenant, or sets the quotas of the one that is there.
async fn tenant(
    args: &TeamInitArgs,
    slug: &str,
    client: &Client,
    team: &mut Team,
) -> Result<(), CliError> {
    let mut quotas = Map::new();
    quotas.extend(args.sessions.map(|most| ("max_concurrent_sessions".to_owned(), json!(most))));
    quotas.extend(args.budget.map(|most| ("monthly_budget_usd".to_owned(), json!(most))));
    match client.get(&["tenants", slug], &[]).await {
        Ok(found) if found["is_active"] == json!(false) => {
            let message = format!("the tenant {slug} is switched off");
            let remedy = format!("switch it on: orchestrator tenant activate {slug}");
            return Err(CliError::new(code::FAILED, message).remedy(remedy));
        }
        Ok(found) => {
            if !quotas.is_empty() {
                client.put(&["tenants", slug, "quotas"], &Value::Object(quotas)).await?;
            }
            team.tenant = found;
        }
        Err(error) if error.is_code("TENANT_NOT_FOUND") => {
            let body = json!({ "slug": slug, "name": args.name.trim(), "quotas": quotas });
            team.tenant = client.post(&["tenants"], &body).await?;
            team.is_new = true;
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Invites somebody who is neither there nor invited.
async fn member(
    (email, role): (&str, Role),
    (users, invites): (&[Value], &[Value]),
    args: &TeamInitArgs,
    client: &Client,
) -> Result<Member, CliError> {
    let is_theirs =
        |one: &&Value| one["email"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(email));
    let role_wanted = role.as_str();
    let known = |state, one: &Value| {
        let (name, role) = (plain(&one["email"]), plain(&one["role"]));
        Member { name, role, wanted: role_wanted, state, secret: None }
    };
    if let Some(user) = users.iter().find(is_theirs) {
        let is_active = user["is_active"] == json!(true);
        return Ok(known(if is_active { "member" } else { "inactive" }, user));
    }
    let now = client.clock.now().to_string();
    let is_open = |invite: &&Value| invite["expires_at"].as_str().is_some_and(|end| end > &*now);
    if let Some(invite) = invites.iter().filter(is_open).find(is_theirs) {
        return Ok(known("invited before", invite));
    }
    let body = json!({ "email": email, "role": role });
    let made = client.post(&["invites"], &body).await?;
    let secret = link(&made, client, args.address.as_deref());
    Ok(Member { secret, ..known("invited", &made) })
}

/// Makes the key of a service that has none.
async fn service(
    name: &str,
    role: Role,
    keys: &[Value],
    client: &Client,
) -> Result<Member, CliError> {
    let wanted = role.as_str();
    let has_key = |key: &&Value| {
        key["name"].as_str() == Some(name.trim())
            && key["user_id"].is_null()
            && key["revoked_at"].is_null()
    };
    if let Some(key) = keys.iter().find(has_key) {
        let (name, role) = (plain(&key["name"]), plain(&key["role"]));
        return Ok(Member { name, role, wanted, state: "has a key", secret: None });
    }
    let body = json!({ "name": name, "role": role, "service": true });
    let made = client.post(&["keys"], &body).await?;
    let (name, role) = (plain(&made["name"]), plain(&made["role"]));
    let secret = made["secret"].as_str().map(str::to_owned);
    Ok(Member { name, role, wanted, state: "new key", secret })
}

fn print(team: &Team, printer: &Printer) {
    if printer.is_json() {
        let each = |members: &[Member], secret: &str| -> Vec<Value> {
            let one = |member: &Member| {
                let Member { name, role, state, .. } = member;
                json!({ "name": name, "role": role, "state": state, secret: member.secret })
            };
            members.iter().map(one).collect()
        };
        return printer.json(&json!({
            "tenant": team.tenant, "is_new": team.is_new,
            "members": each(&team.members, "link"), "services": each(&team.services, "secret"),
        }));
    }
    let title = format!("{} ({})", plain(&team.tenant["name"]), plain(&team.tenant["slug"]));
    printer.line(painted(&line(&title, 200), BOLD));
    let row = |member: &Member| {
        let secret = member.secret.clone().unwrap_or_else(|| "-".to_owned());
        let Member { name, role, state, .. } = member;
        vec![line(name, 60), role.clone(), (*state).to_owned(), secret]
    };
    let rows: Vec<Vec<String>> = team.members.iter().chain(&team.services).map(row).collect();
    if !rows.is_empty() {
        printer.table(&["WHO", "ROLE", "STATE", "LINK OR KEY"], &rows);
    }
}

/// What comes next.
fn tell(team: &Team, args: &TeamInitArgs, client: &Client, printer: &Printer) {
    let slug = plain(&team.tenant["slug"]);
    let has_new = |members: &[Member]| members.iter().any(|member| member.secret.is_some());
    if has_new(&team.members) {
        printer.note("each link is good for one person, once, for 7 days; it is not shown again");
        printer.note(
            "they open it in a browser, or run: orchestrator team join LINK --name 'Your Name'",
        );
        tell_reach(client, args.address.as_deref(), printer);
    }
    for member in team.members.iter().filter(|member| member.role != member.wanted) {
        let Member { name, role, wanted, state, .. } = member;
        let way = match *state {
            "invited before" => format!("team invite {name} --role {wanted}"),
            _ => format!("user change {name} --role {wanted}"),
        };
        printer.note(format!(
            "{name} is {role} and stays so; to make them {wanted}: orchestrator {way} --tenant {slug}"
        ));
    }
    for service in team.services.iter().filter(|service| service.role != service.wanted) {
        let Member { name, role, wanted, .. } = service;
        printer.note(format!(
            "{name} has a key as {role}; as {wanted}, make another one under another name"
        ));
    }
    if team.members.iter().any(|member| member.state == "invited before") {
        printer.note(format!(
            "another link: orchestrator team invite EMAIL --tenant {slug}; the one before ends"
        ));
    }
    if has_new(&team.services) {
        printer.note("keep the keys of services in a safe place: they are not shown again");
    }
}

/// Lower-case letters, digits and `-`.
fn short_name(name: &str) -> String {
    let letters = name.chars().map(|letter| {
        if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { ' ' }
    });
    let words: String = letters.collect();
    let slug = words.split_whitespace().collect::<Vec<_>>().join("-");
    slug.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_made_of_names() {
        let cases =
            [("Acme", "acme"), (" The A-Team, Inc. ", "the-a-team-inc"), ("Ünï", "n"), ("—", "")];
        for (name, slug) in cases {
            assert_eq!(short_name(name), slug, "{name}");
        }
    }
}
