//! `key …` and `whoami`: what programs and people act with.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::args::{KeyCommand, KeyCreateArgs};
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{facts, line, plain, relative};
use super::output::{BOLD, Printer, painted};
use super::user;

/// Runs `key …`.
pub(super) async fn run(
    command: KeyCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    match command {
        KeyCommand::List { browsers } => return list(browsers, client, printer).await,
        KeyCommand::Show { id } => {
            show(&client.get(&["keys", &id], &[]).await?, client, printer);
        }
        KeyCommand::Create(args) => {
            let mut body = creation(&args, client);
            if let Some(who) = &args.holder {
                body["user_id"] = user::find(client, who).await?["id"].take();
            }
            let made = client.post(&["keys"], &body).await?;
            show(&made, client, printer);
        }
        KeyCommand::Rotate { id, grace } => {
            let body = json!({ "grace_seconds": grace });
            show(&client.post(&["keys", &id, "rotate"], &body).await?, client, printer);
        }
        KeyCommand::Revoke { id } => {
            client.json(client.request(Method::DELETE, &["keys", &id])).await?;
            printer.note(format!("{id} is refused from now on"));
        }
    }
    Ok(code::OK)
}

/// Runs `whoami`.
pub(super) async fn whoami(client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let who = client.get(&["whoami"], &[]).await?;
    if printer.is_json() {
        printer.json(&who);
        return Ok(code::OK);
    }
    printer.line(painted(&line(&plain(&who["name"]), 200), BOLD));
    let role = if who["is_system"] == json!(true) {
        "administrator of the system".to_owned()
    } else {
        plain(&who["role"])
    };
    let pairs = [
        ("role", role),
        ("scopes", words(&who["scopes"])),
        ("person", plain(&who["user"]["full_name"])),
        ("tenant", plain(&who["tenant_id"])),
        ("key", plain(&who["key_id"])),
    ];
    printer.lines(facts(&pairs).iter().map(|fact| format!("  {fact}")));
    Ok(code::OK)
}

fn creation(args: &KeyCreateArgs, client: &Client) -> Value {
    let KeyCreateArgs { name, role, scopes, expires_in, never_expires, networks, service, .. } =
        args;
    let mut body = Map::new();
    body.insert("name".to_owned(), json!(name));
    body.insert("role".to_owned(), json!(role));
    if !scopes.is_empty() {
        body.insert("scopes".to_owned(), json!(scopes));
    }
    if !networks.is_empty() {
        body.insert("networks".to_owned(), json!(networks));
    }
    if *service {
        body.insert("service".to_owned(), json!(true));
    }
    if *never_expires {
        body.insert("expires_at".to_owned(), Value::Null);
    } else if let Some(seconds) = expires_in {
        let end = client.clock.now().after(Duration::from_secs(*seconds));
        body.insert("expires_at".to_owned(), json!(end));
    }
    Value::Object(body)
}

async fn list(browsers: bool, client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let kind = if browsers { "browser" } else { "key" };
    let items = client.all_of(&["keys"], &[("kind", kind)]).await?;
    if printer.is_json() {
        printer.json(&json!({ "items": items }));
        return Ok(code::OK);
    }
    let now = client.clock.now();
    let row = |key: &Value| {
        let state = if key["revoked_at"].is_null() {
            relative(&key["expires_at"], now)
        } else {
            "revoked".to_owned()
        };
        vec![
            plain(&key["id"]),
            plain(&key["prefix"]),
            plain(&key["role"]),
            line(&words(&key["scopes"]), 40),
            state,
            relative(&key["last_used_at"], now),
            holder(key).to_owned(),
            line(&plain(&key["name"]), 40),
        ]
    };
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    printer.table(&["ID", "PREFIX", "ROLE", "SCOPES", "EXPIRES", "USED", "OF", "NAME"], &rows);
    Ok(code::OK)
}

/// Whose it is, in one word.
fn holder(key: &Value) -> &'static str {
    if key["kind"] == json!("browser") {
        "browser"
    } else if key["is_system"] == json!(true) {
        "system"
    } else if key["user_id"].is_null() {
        "service"
    } else {
        "person"
    }
}

fn words(list: &Value) -> String {
    let words: Vec<String> = list.as_array().into_iter().flatten().map(plain).collect();
    words.join(" ")
}

fn show(key: &Value, client: &Client, printer: &Printer) {
    if printer.is_json() {
        return printer.json(key);
    }
    let now = client.clock.now();
    printer.line(painted(&line(&plain(&key["name"]), 200), BOLD));
    let pairs = [
        ("id", plain(&key["id"])),
        ("prefix", plain(&key["prefix"])),
        ("role", plain(&key["role"])),
        ("scopes", words(&key["scopes"])),
        ("of", holder(key).to_owned()),
        ("user", plain(&key["user_id"])),
        ("accepted from", words(&key["networks"])),
        ("last used", relative(&key["last_used_at"], now)),
        ("expires", relative(&key["expires_at"], now)),
        ("revoked", relative(&key["revoked_at"], now)),
        ("secret before", relative(&key["previous_secret_until"], now)),
        ("made by", plain(&key["created_by"])),
        ("secret", plain(&key["secret"])),
    ];
    printer.lines(facts(&pairs).iter().map(|fact| format!("  {fact}")));
    if !key["secret"].is_null() {
        printer.note("keep the secret in a safe place: it is not shown again");
    }
}
