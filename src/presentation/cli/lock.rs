//! `lock …`: what one holds at a time.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::args::{LockAcquireArgs, LockCommand};
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{facts, line, plain, relative};
use super::output::{BOLD, Printer, painted};

/// Runs `lock …`.
pub(super) async fn run(
    command: LockCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    match command {
        LockCommand::List => list(client, printer).await,
        LockCommand::Show { name } => show(&name, client, printer).await,
        LockCommand::Acquire(args) => acquire(&args, client, printer).await,
        LockCommand::Renew { name, lock, ttl } => {
            let mut body = json!({ "lock_id": lock });
            if let Some(ttl) = ttl {
                body["ttl_seconds"] = json!(ttl);
            }
            let renewed = client.post(&["locks", &name, "renew"], &body).await?;
            tell(&[renewed], client, printer);
            Ok(code::OK)
        }
        LockCommand::Release { name, lock } => {
            let body = json!({ "lock_id": lock });
            let left = client.post(&["locks", &name, "release"], &body).await?;
            if printer.is_json() {
                printer.json(&left);
            } else if left["released"] == true {
                printer.note(format!("{name} is released"));
            } else {
                let count = plain(&left["hold_count"]);
                printer.note(format!("{name} was taken {count} times more than it was released"));
            }
            Ok(code::OK)
        }
        LockCommand::ForceRelease { name, reason } => {
            let request = client.request(Method::DELETE, &["locks", &name]);
            client.json(request.query(&[("reason", reason)])).await?;
            printer.note(format!("{name} was taken away from whoever held it"));
            Ok(code::OK)
        }
    }
}

async fn acquire(
    args: &LockAcquireArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let LockAcquireArgs { names, shared, ttl, wait, priority, owner, session } = args;
    let mode = if *shared { "shared" } else { "exclusive" };
    let mut body = Map::new();
    body.insert("mode".to_owned(), json!(mode));
    body.insert("ttl_seconds".to_owned(), json!(ttl));
    body.insert("wait_seconds".to_owned(), json!(wait));
    body.insert("priority".to_owned(), json!(priority));
    body.extend(owner.as_ref().map(|owner| ("owner".to_owned(), json!(owner))));
    body.extend(session.as_ref().map(|session| ("session_id".to_owned(), json!(session))));
    let longest = std::time::Duration::from_secs(wait + 30);
    let (path, many) = match &names[..] {
        [name] => (vec!["locks", name.as_str(), "acquire"], false),
        _ => (vec!["locks", "acquire"], true),
    };
    if many {
        body.insert("names".to_owned(), json!(names));
    }
    let request = client.request(Method::POST, &path).timeout(longest);
    let granted = client.json(request.json(&Value::Object(body))).await?;
    let grants = match &granted["grants"] {
        Value::Array(grants) if many => grants.clone(),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => vec![granted.clone()],
    };
    if printer.is_json() {
        printer.json(&granted);
    } else {
        tell(&grants, client, printer);
    }
    Ok(code::OK)
}

fn owner(value: &Value) -> String {
    line(&plain(&value["owner"]["name"]), 40)
}

/// Holds, one after another.
fn tell(grants: &[Value], client: &Client, printer: &Printer) {
    let now = client.clock.now();
    for grant in grants {
        if printer.is_json() {
            printer.json(grant);
            continue;
        }
        printer.line(painted(&line(&plain(&grant["name"]), 200), BOLD));
        let pairs = [
            ("lock", plain(&grant["lock_id"])),
            ("mode", plain(&grant["mode"])),
            ("fencing token", plain(&grant["fencing_token"])),
            ("expires", relative(&grant["expires_at"], now)),
            ("holds", plain(&grant["hold_count"])),
        ];
        printer.lines(facts(&pairs).iter().map(|fact| format!("  {fact}")));
    }
}

async fn list(client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let page = client.get(&["locks"], &[("limit", "200".to_owned())]).await?;
    if printer.is_json() {
        printer.json(&page);
        return Ok(code::OK);
    }
    let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        printer.note("no lock is held or waited for");
        return Ok(code::OK);
    }
    let now = client.clock.now();
    let row = |item: &Value| {
        let holders = item["holders"].as_array().map_or(&[][..], Vec::as_slice);
        let names: Vec<String> = holders.iter().map(owner).collect();
        let first = holders.first().cloned().unwrap_or_default();
        vec![
            line(&plain(&item["name"]), 60),
            plain(&first["mode"]),
            line(&names.join(", "), 60),
            relative(&first["expires_at"], now),
            item["queue"].as_array().map_or(0, Vec::len).to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    printer.table(&["NAME", "MODE", "HELD BY", "EXPIRES", "WAITING"], &rows);
    if page["has_more"] == true {
        printer.note("there are more: `orchestrator lock list --json` tells the cursor");
    }
    Ok(code::OK)
}

async fn show(name: &str, client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let found = client.get(&["locks", name], &[]).await?;
    if printer.is_json() {
        printer.json(&found);
        return Ok(code::OK);
    }
    let now = client.clock.now();
    let holders = found["holders"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<Vec<String>> = holders
        .iter()
        .map(|hold| {
            let facts = ["lock_id", "mode", "fencing_token"].map(|name| plain(&hold[name]));
            let mut row = vec![owner(hold)];
            row.extend(facts);
            row.push(relative(&hold["expires_at"], now));
            row
        })
        .collect();
    printer.table(&["HELD BY", "LOCK", "MODE", "TOKEN", "EXPIRES"], &rows);
    let queue = found["queue"].as_array().map_or(&[][..], Vec::as_slice);
    if !queue.is_empty() {
        let row = |waiter: &Value| {
            vec![
                plain(&waiter["position"]),
                owner(waiter),
                plain(&waiter["mode"]),
                plain(&waiter["effective_priority"]),
                relative(&waiter["requested_at"], now),
            ]
        };
        let rows: Vec<Vec<String>> = queue.iter().map(row).collect();
        printer.table(&["POSITION", "WAITS", "MODE", "PRIORITY", "SINCE"], &rows);
    }
    Ok(code::OK)
}
