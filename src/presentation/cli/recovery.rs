//! `recovery …`: what an earlier server left open, and having it done.

use serde_json::{Value, json};

use super::args::RecoveryCommand;
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{UNKNOWN, line, plain};
use super::output::Printer;

/// Runs `recovery …`.
pub(super) async fn run(
    command: RecoveryCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let page = match command {
        RecoveryCommand::Plan => client.get(&["recovery", "plan"], &[]).await?,
        RecoveryCommand::Apply { ids } => {
            let body = if ids.is_empty() { json!({}) } else { json!({ "ids": ids }) };
            client.post(&["recovery", "apply"], &body).await?
        }
    };
    if printer.is_json() {
        printer.json(&page);
    } else {
        show(&page, printer);
    }
    Ok(code::OK)
}

fn show(page: &Value, printer: &Printer) {
    let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        printer.note("nothing is left open");
        return;
    }
    let row = |item: &Value| {
        let is_plan = item["step"].is_null();
        let step = if is_plan { item } else { &item["step"] };
        let name = plain(&step["code"]);
        let error = plain(&item["error"]);
        let why = if error == UNKNOWN { plain(&step["reason"]) } else { error };
        let outcome = if is_plan { "to do".to_owned() } else { plain(&item["outcome"]) };
        vec![plain(&step["id"]), name, plain(&step["action"]), outcome, line(&why, 80)]
    };
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    printer.table(&["ID", "SESSION", "ACTION", "OUTCOME", "REASON"], &rows);
}
