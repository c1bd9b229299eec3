//! `host …`: the agent servers that the server keeps.

use serde_json::{Value, json};

use super::args::HostCommand;
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{UNKNOWN, line, plain, seconds};
use super::output::Printer;

/// Runs `host …`.
pub(super) async fn run(
    command: HostCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    match command {
        HostCommand::List => {
            let page = client.get(&["hosts"], &[]).await?;
            if printer.is_json() {
                printer.json(&page);
            } else {
                show(&page, printer);
            }
        }
        HostCommand::Recycle { id, reason } => {
            let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
            let begun = client.post(&["hosts", &id, "recycle"], &body).await?;
            if printer.is_json() {
                printer.json(&begun);
            } else {
                for step in begun["steps"].as_array().into_iter().flatten() {
                    printer.line(plain(step));
                }
            }
        }
    }
    Ok(code::OK)
}

fn show(page: &Value, printer: &Printer) {
    let hosts = page["items"].as_array().map_or(&[][..], Vec::as_slice);
    if hosts.is_empty() {
        printer.note("no agent server was needed so far");
        return;
    }
    let mut rows = Vec::new();
    for host in hosts {
        let replacement = &host["replacement"];
        rows.push(row(host, &plain(&host["state"]), &host["server"]));
        if !replacement.is_null() {
            rows.push(row(host, "taking over", replacement));
        }
    }
    let titles = ["HOST", "STATE", "PID", "VERSION", "AGE", "SESSIONS", "SERVED", "MIB", "REASON"];
    printer.table(&titles, &rows);
}

fn row(host: &Value, state: &str, server: &Value) -> Vec<String> {
    let mib = server["rss_bytes"].as_u64().map(|bytes| (bytes >> 20).to_string());
    vec![
        plain(&host["id"]),
        state.to_owned(),
        plain(&server["pid"]),
        plain(&server["version"]),
        seconds(&server["age_seconds"]),
        plain(&server["running_sessions"]),
        plain(&server["served_sessions"]),
        mib.unwrap_or_else(|| UNKNOWN.to_owned()),
        line(&plain(&host["reason"]), 60),
    ]
}
