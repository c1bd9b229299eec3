//! `admissions …`: what nothing new is given to, and holding and releasing it.

use serde_json::{Map, Value, json};

use super::args::{AdmissionArgs, AdmissionsCommand, ScopeWord};
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{UNKNOWN, line, plain, relative};
use super::output::Printer;

/// Runs `admissions …`.
pub(super) async fn run(
    command: AdmissionsCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let page = match command {
        AdmissionsCommand::List => client.get(&["admissions"], &[]).await?,
        AdmissionsCommand::Hold(args) => client.post(&["admissions", "hold"], &body(args)).await?,
        AdmissionsCommand::Release(args) => {
            client.post(&["admissions", "release"], &body(args)).await?
        }
    };
    if printer.is_json() {
        printer.json(&page);
    } else {
        show(&page, client, printer);
    }
    Ok(code::OK)
}

fn body(args: AdmissionArgs) -> Value {
    let AdmissionArgs { scope, agent, reason } = args;
    let scope = scope.unwrap_or(if agent.is_some() { ScopeWord::Agent } else { ScopeWord::Tenant });
    let mut body = Map::from_iter([("scope".to_owned(), json!(scope.as_api()))]);
    body.extend(agent.map(|agent| ("agent".to_owned(), json!(agent))));
    body.extend(reason.map(|reason| ("reason".to_owned(), json!(reason))));
    Value::Object(body)
}

fn show(page: &Value, client: &Client, printer: &Printer) {
    let holds = page["items"].as_array().map_or(&[][..], Vec::as_slice);
    if holds.is_empty() {
        printer.note("nothing is held");
        return;
    }
    let now = client.clock.now();
    let rows: Vec<Vec<String>> = holds
        .iter()
        .map(|hold| {
            let name = plain(&hold["agent_name"]);
            let agent = if name == UNKNOWN { plain(&hold["agent_id"]) } else { name };
            vec![
                plain(&hold["scope"]),
                agent,
                relative(&hold["since"], now),
                plain(&hold["held_by"]),
                line(&plain(&hold["reason"]), 60),
            ]
        })
        .collect();
    printer.table(&["SCOPE", "AGENT", "SINCE", "BY", "REASON"], &rows);
}
