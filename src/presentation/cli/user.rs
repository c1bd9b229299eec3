//! `user …`: the people of a tenant.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::args::{InviteArgs, UserChangeArgs, UserCommand};
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{facts, line, plain, relative};
use super::output::{BOLD, Printer, painted};
use super::team;
use crate::domain::ids::UserId;
use crate::domain::tenant::key::Role;

/// Runs `user …`.
pub(super) async fn run(
    command: UserCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    match command {
        UserCommand::List => return list(client, printer).await,
        UserCommand::Show { who } => show(&find(client, &who).await?, client, printer),
        UserCommand::Invite(args) => return invite(&args, client, printer).await,
        UserCommand::Change(args) => return change(&args, client, printer).await,
        UserCommand::Deactivate { who } => {
            let off = patch(client, &who, &json!({ "is_active": false })).await?;
            show(&off, client, printer);
            printer.note("all keys of theirs are refused from now on");
        }
        UserCommand::Activate { who } => {
            let on = patch(client, &who, &json!({ "is_active": true })).await?;
            show(&on, client, printer);
            printer.note(format!("a key for them: orchestrator key create NAME --user {who}"));
        }
        UserCommand::Remove { who } => {
            let id = plain(&find(client, &who).await?["id"]);
            client.json(client.request(Method::DELETE, &["users", &id])).await?;
            printer.note(format!("{who} is gone, and their keys are refused from now on"));
        }
    }
    Ok(code::OK)
}

/// Invites somebody, and prints the link.
pub(super) async fn invite(
    args: &InviteArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let InviteArgs { email, role, full_name, expires_in, address } = args;
    let mut body = Map::new();
    body.insert("email".to_owned(), json!(email));
    body.insert("role".to_owned(), json!(role));
    body.extend(full_name.iter().map(|name| ("full_name".to_owned(), json!(name))));
    body.extend(expires_in.iter().map(|seconds| ("expires_in".to_owned(), json!(seconds))));
    let mut made = client.post(&["invites"], &Value::Object(body)).await?;
    if let Some(link) = team::link(&made, client, address.as_deref()) {
        made["link"] = json!(link);
    }
    if printer.is_json() {
        printer.json(&made);
        return Ok(code::OK);
    }
    printer.line(plain(&made["link"]));
    let end = relative(&made["expires_at"], client.clock.now());
    let team = team_name(client).await;
    printer.note(format!("{email} becomes {role} of {team} with it"));
    printer.note(format!("they open it once, {end} at the latest; it is not shown again"));
    printer.note("in a browser, or with: orchestrator team join LINK --name 'Your Name'");
    team::tell_reach(client, address.as_deref(), printer);
    Ok(code::OK)
}

/// The team that is acted for, as people know it; whoever may not look at it gets what they typed.
async fn team_name(client: &Client) -> String {
    match client.get(&["tenants", client.tenant()], &[]).await {
        Ok(team) => line(&format!("{} ({})", plain(&team["name"]), plain(&team["slug"])), 200),
        Err(_) => client.tenant().to_owned(),
    }
}

/// Somebody, by e-mail address or id.
pub(super) async fn find(client: &Client, who: &str) -> Result<Value, CliError> {
    if UserId::parse(who).is_some() {
        return client.get(&["users", who], &[]).await;
    }
    let users = client.all(&["users"]).await?;
    let is_meant = |user: &&Value| {
        user["email"].as_str().is_some_and(|email| email.eq_ignore_ascii_case(who.trim()))
    };
    users.iter().find(is_meant).cloned().ok_or_else(|| {
        CliError::new(code::FAILED, format!("there is nobody with the e-mail address {who}"))
            .remedy("`orchestrator user list` shows who is there")
    })
}

async fn patch(client: &Client, who: &str, body: &Value) -> Result<Value, CliError> {
    let id = plain(&find(client, who).await?["id"]);
    client.json(client.request(Method::PATCH, &["users", &id]).json(body)).await
}

async fn change(args: &UserChangeArgs, client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let UserChangeArgs { who, role, full_name, email, forget_provider } = args;
    let mut body = Map::new();
    body.extend(role.iter().map(|role| ("role".to_owned(), json!(role))));
    body.extend(full_name.iter().map(|name| ("full_name".to_owned(), json!(name))));
    body.extend(email.iter().map(|email| ("email".to_owned(), json!(email))));
    body.extend(forget_provider.then(|| ("identity_provider".to_owned(), Value::Null)));
    let changed = patch(client, who, &Value::Object(body)).await?;
    show(&changed, client, printer);
    if role.is_some() && !printer.is_json() {
        tell_lesser(&changed, client, printer).await;
    }
    Ok(code::OK)
}

/// Says which keys of somebody have less than their role. Whoever may not look at keys is told nothing.
async fn tell_lesser(user: &Value, client: &Client, printer: &Printer) {
    let keys = client.all_of(&["keys"], &[("kind", "key")]).await.unwrap_or_default();
    let role_of = |one: &Value| one["role"].as_str().and_then(Role::parse);
    let is_lesser = |key: &&Value| {
        key["user_id"] == user["id"] && key["revoked_at"].is_null() && role_of(key) < role_of(user)
    };
    let told =
        |key: &Value| format!("{} ({})", line(&plain(&key["name"]), 40), plain(&key["role"]));
    let lesser: Vec<String> = keys.iter().filter(is_lesser).map(told).collect();
    if !lesser.is_empty() {
        let (email, role) = (plain(&user["email"]), plain(&user["role"]));
        printer.note(format!("keys of theirs that keep less: {}", lesser.join(", ")));
        printer.note(format!(
            "one that has all: orchestrator key create NAME --user {email} --role {role}"
        ));
    }
}

async fn list(client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let items = client.all(&["users"]).await?;
    if printer.is_json() {
        printer.json(&json!({ "items": items }));
        return Ok(code::OK);
    }
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    printer.table(&["EMAIL", "ROLE", "STATE", "NAME", "ID"], &rows);
    Ok(code::OK)
}

fn row(user: &Value) -> Vec<String> {
    vec![
        line(&plain(&user["email"]), 60),
        plain(&user["role"]),
        state(user).to_owned(),
        line(&plain(&user["full_name"]), 40),
        plain(&user["id"]),
    ]
}

/// Whether somebody is let in.
pub(super) fn state(user: &Value) -> &'static str {
    if user["is_active"] == json!(true) { "active" } else { "inactive" }
}

fn show(user: &Value, client: &Client, printer: &Printer) {
    if printer.is_json() {
        return printer.json(user);
    }
    printer.line(painted(&line(&plain(&user["full_name"]), 200), BOLD));
    let system = user["is_system_admin"] == json!(true);
    let pairs = [
        ("id", plain(&user["id"])),
        ("email", plain(&user["email"])),
        ("role", plain(&user["role"])),
        ("state", state(user).to_owned()),
        ("system", if system { "administrator".to_owned() } else { String::new() }),
        (
            "signs in",
            user["identity_provider"].as_str().map(|it| line(it, 200)).unwrap_or_default(),
        ),
        ("came", relative(&user["created_at"], client.clock.now())),
        ("let in by", plain(&user["created_by"])),
    ];
    printer.lines(facts(&pairs).iter().map(|fact| format!("  {fact}")));
}
