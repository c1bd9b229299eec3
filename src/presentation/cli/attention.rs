//! `attention …`: what waits for a person, and deciding it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, IsTerminal};
use std::time::Duration;

use serde_json::{Value, json};

use super::args::{AttentionCommand, DecisionWord};
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{facts, line, plain, relative};
use super::output::{ALERT, BOLD, Printer, painted};
use crate::domain::session::SessionCode;

/// Time between two looks while watching.
const LOOK: Duration = Duration::from_secs(1);

/// Runs `attention …`.
pub(super) async fn run(
    command: AttentionCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    match command {
        AttentionCommand::List { all } => list(all, client, printer).await,
        AttentionCommand::Show { item } => {
            let (id, _) = item_id(client, &item).await?;
            let item = client.get(&["attention", &id], &[]).await?;
            show(&item, client, printer);
            Ok(code::OK)
        }
        AttentionCommand::Resolve { item, decision, text, fingerprint } => {
            let (id, seen) = item_id(client, &item).await?;
            let about = json!({ "id": id, "fingerprint": fingerprint.or(seen) });
            let settled = resolve(client, &about, decision, text.as_deref()).await?;
            if printer.is_json() {
                printer.json(&settled);
            } else {
                printer.line(format!(
                    "{}: {}",
                    line(&plain(&settled["title"]), 100),
                    plain(&settled["decision"])
                ));
            }
            Ok(code::OK)
        }
        AttentionCommand::Watch => watch(client, printer).await,
    }
}

async fn list(all: bool, client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let mut query = vec![("limit", "200".to_owned())];
    if !all {
        query.push(("state", "open".to_owned()));
    }
    let page = client.get(&["attention"], &query).await?;
    if printer.is_json() {
        printer.json(&page);
        return Ok(code::OK);
    }
    let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        printer.note("nothing waits for you");
        return Ok(code::OK);
    }
    let now = client.clock.now();
    let codes = session_codes(all, client).await?;
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| {
            let session = plain(&item["session_id"]);
            vec![
                codes.get(&session).cloned().unwrap_or(session),
                plain(&item["id"]),
                plain(&item["kind"]),
                plain(&item["risk"]),
                plain(&item["state"]),
                relative(&item["deadline"], now),
                line(&plain(&item["title"]), 60),
            ]
        })
        .collect();
    printer.table(&["SESSION", "ID", "KIND", "RISK", "STATE", "DEADLINE", "TITLE"], &rows);
    Ok(code::OK)
}

/// Codes of the newest sessions by id: of those that have an agent, or of all.
async fn session_codes(all: bool, client: &Client) -> Result<BTreeMap<String, String>, CliError> {
    let mut query = vec![("limit", "200".to_owned())];
    if !all {
        let alive = ["running", "degraded", "paused"];
        query.extend(alive.map(|status| ("status", status.to_owned())));
    }
    let page = client.get(&["sessions"], &query).await?;
    let sessions = page["items"].as_array().into_iter().flatten();
    Ok(sessions.map(|session| (plain(&session["id"]), plain(&session["code"]))).collect())
}

fn show(item: &Value, client: &Client, printer: &Printer) {
    if printer.is_json() {
        return printer.json(item);
    }
    let now = client.clock.now();
    printer.line(painted(&line(&plain(&item["title"]), 200), BOLD));
    let pairs = [
        ("id", plain(&item["id"])),
        ("session", plain(&item["session_id"])),
        ("kind", plain(&item["kind"])),
        ("risk", plain(&item["risk"])),
        ("state", plain(&item["state"])),
        ("decision", plain(&item["decision"])),
        ("answer", plain(&item["answer"])),
        ("by", plain(&item["resolved_by"])),
        ("asked", relative(&item["created_at"], now)),
        ("deadline", relative(&item["deadline"], now)),
        ("fingerprint", plain(&item["fingerprint"])),
    ];
    printer.lines(facts(&pairs).iter().map(|fact| format!("  {fact}")));
    if !item["payload"].is_null() {
        printer.line(super::format::clean(&format!("{:#}", item["payload"])));
    }
}

/// Open items of a session, oldest first.
pub(super) async fn open_items(client: &Client, session: &str) -> Result<Vec<Value>, CliError> {
    let query = [
        ("state", "open".to_owned()),
        ("session_id", session.to_owned()),
        ("limit", "200".to_owned()),
    ];
    let page = client.get(&["attention"], &query).await?;
    let items = page["items"].as_array().cloned().unwrap_or_default();
    Ok(items.into_iter().filter(|item| item["session_id"] == session).collect())
}

/// The id of an item that was named by id, or by the code of a session with one open item; then with
/// the fingerprint of what it asks.
async fn item_id(client: &Client, reference: &str) -> Result<(String, Option<String>), CliError> {
    if SessionCode::parse(reference).is_none() {
        return Ok((reference.to_owned(), None));
    }
    let session = client.get(&["sessions", reference], &[]).await?;
    let items = open_items(client, &plain(&session["id"])).await?;
    match items.as_slice() {
        [one] => Ok((plain(&one["id"]), one["fingerprint"].as_str().map(str::to_owned))),
        [] => Err(CliError::new(code::FAILED, format!("{reference} waits for nobody"))
            .remedy(format!("`orchestrator why {reference}` tells what it waits for"))),
        several => Err(CliError::usage(format!("{reference} has {} open items", several.len()))
            .remedy("name one by its id; `orchestrator attention list` shows them")),
    }
}

/// Settles an item, and no other that it may have become.
pub(super) async fn resolve(
    client: &Client,
    item: &Value,
    decision: DecisionWord,
    text: Option<&str>,
) -> Result<Value, CliError> {
    let mut body = json!({ "decision": decision.as_api() });
    match (decision, text) {
        (DecisionWord::Answer, None) => {
            return Err(CliError::usage("an answer needs a text")
                .remedy("put it behind `answer`, in quotes"));
        }
        (_, Some(text)) => body["answer"] = json!(text),
        (_, None) => {}
    }
    if let Some(fingerprint) = item["fingerprint"].as_str() {
        body["fingerprint"] = json!(fingerprint);
    }
    client.post(&["attention", &plain(&item["id"]), "resolve"], &body).await
}

/// What somebody typed about an item; `None` when it says nothing that the item takes.
pub(super) fn decision_of(item: &Value, typed: &str) -> Option<(DecisionWord, Option<String>)> {
    let typed = typed.trim();
    match item["kind"].as_str() {
        Some("permission") => match typed.to_ascii_lowercase().as_str() {
            "y" | "yes" | "a" | "allow" | "once" => Some((DecisionWord::Allow, None)),
            "always" => Some((DecisionWord::Always, None)),
            "n" | "no" | "d" | "deny" => Some((DecisionWord::Deny, None)),
            _ => None,
        },
        Some("question") if typed.is_empty() => None,
        Some("question") => Some((DecisionWord::Answer, Some(typed.to_owned()))),
        _ => Some((DecisionWord::Acknowledge, None)),
    }
}

/// Shows items as they come; on a terminal each is decided at once.
async fn watch(client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let decides = !printer.is_json() && std::io::stdin().is_terminal();
    let mut seen = BTreeSet::new();
    printer.note("waiting for whatever needs a decision; interrupt to leave");
    let query = [("state", "open".to_owned()), ("limit", "200".to_owned())];
    while !printer.is_broken() {
        let page = client.get(&["attention"], &query).await?;
        for item in page["items"].as_array().into_iter().flatten() {
            if !seen.insert(plain(&item["id"])) {
                continue;
            }
            if printer.is_json() {
                printer.json_line(item);
            } else {
                show(item, client, printer);
            }
            if decides && !decide(item, client, printer).await {
                return Ok(code::OK);
            }
        }
        client.clock.sleep(LOOK).await;
    }
    Ok(code::OK)
}

/// Asks at the terminal; false when standard input has ended. Blocks: nothing else happens
/// meanwhile, and an interrupt ends the process.
async fn decide(item: &Value, client: &Client, printer: &Printer) -> bool {
    loop {
        printer.note(painted("allow, always, deny, or the answer; empty leaves it open", ALERT));
        let mut typed = String::new();
        if !matches!(std::io::stdin().lock().read_line(&mut typed), Ok(read) if read > 0) {
            return false;
        }
        if typed.trim().is_empty() {
            return true;
        }
        let Some((decision, text)) = decision_of(item, &typed) else { continue };
        if let Err(error) = resolve(client, item, decision, text.as_deref()).await {
            printer.error(&error);
        }
        return true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_fits_the_kind_of_item() {
        let permission = json!({ "kind": "permission" });
        assert_eq!(decision_of(&permission, " Yes "), Some((DecisionWord::Allow, None)));
        assert_eq!(decision_of(&permission, "always"), Some((DecisionWord::Always, None)));
        assert_eq!(decision_of(&permission, "n"), Some((DecisionWord::Deny, None)));
        assert_eq!(decision_of(&permission, ""), None);
        let question = json!({ "kind": "question" });
        let answer = Some((DecisionWord::Answer, Some("blue".to_owned())));
        assert_eq!(decision_of(&question, "blue\n"), answer);
        assert_eq!(decision_of(&question, "\n"), None);
    }
}
