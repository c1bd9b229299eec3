//! `event list`, `event follow`, and the events of one session.

use futures_util::StreamExt;
use serde_json::Value;

use super::args::{EventArgs, EventCommand};
use super::client::Client;
use super::exit::{CliError, code};
use super::feed;
use super::format::{line, plain, table};
use super::output::{DIM, Printer, painted};

/// Runs `event …`.
pub(super) async fn run(
    command: EventCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    match command {
        EventCommand::List(args) => list(&["events"], &args, client, printer).await,
        EventCommand::Follow(args) => watch(&args, client, printer).await,
    }
}

fn query(args: &EventArgs) -> Vec<(&'static str, String)> {
    args.event_type.iter().map(|event_type| ("type", event_type.clone())).collect()
}

/// One page of events of the tenant, or of a session.
pub(super) async fn list(
    segments: &[&str],
    args: &EventArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let mut query = query(args);
    query.push(("limit", args.limit.to_string()));
    query.extend(args.after.map(|after| ("after", after.to_string())));
    let page = client.get(segments, &query).await?;
    if printer.is_json() {
        printer.json(&page);
        return Ok(code::OK);
    }
    let events = page["items"].as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<Vec<String>> = events.iter().map(row).collect();
    printer.lines(table(&["SEQ", "TIME", "TYPE", "SUBJECT", "FACTS"], &rows));
    Ok(code::OK)
}

fn row(event: &Value) -> Vec<String> {
    let subject = &event["subject"];
    let id: String = plain(&subject["id"]).chars().rev().take(12).collect();
    let id: String = id.chars().rev().collect();
    vec![
        plain(&event["seq"]),
        plain(&event["occurred_at"]),
        plain(&event["type"]),
        format!("{} …{id}", plain(&subject["kind"])),
        line(&facts(&event["payload"]), 80),
    ]
}

/// The payload without the subject's id and what is null.
fn facts(payload: &Value) -> String {
    let fields = payload.as_object().into_iter().flatten();
    let known = fields.filter(|(name, value)| !name.ends_with("_id") && !value.is_null());
    known.map(|(name, value)| format!("{name}={}", plain(value))).collect::<Vec<_>>().join(" ")
}

/// Events until interrupted.
async fn watch(args: &EventArgs, client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let mut events = feed::follow(client, &["events"], &query(args), args.after, false);
    while let Some(event) = events.next().await {
        let event = event?;
        if event.get("type").is_none() {
            continue;
        }
        if printer.is_json() {
            printer.json_line(&event);
        } else {
            printer.line(one_line(&event));
        }
        if printer.is_broken() {
            break;
        }
    }
    Ok(code::OK)
}

/// An event on one line.
fn one_line(event: &Value) -> String {
    let at = plain(&event["occurred_at"]);
    let facts = line(&facts(&event["payload"]), 100);
    format!("{} {}  {facts}", painted(&at, DIM), plain(&event["type"]))
}
