//! `tenant …`: what a tenant may have.

use serde_json::{Map, Value, json};

use super::args::TenantCommand;
use super::client::Client;
use super::exit::{CliError, code};
use super::format::plain;
use super::output::Printer;

/// Runs `tenant …`.
pub(super) async fn run(
    command: TenantCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let TenantCommand::Quotas { set } = command;
    let path = ["tenants", client.tenant(), "quotas"];
    let quotas = if set.is_empty() {
        client.get(&path, &[]).await?
    } else {
        let changes: Map<String, Value> = set.into_iter().collect();
        client.put(&path, &Value::Object(changes)).await?
    };
    if printer.is_json() {
        printer.json(&quotas);
        return Ok(code::OK);
    }
    let used = quotas["used"].as_object().into_iter().flatten();
    let rows: Vec<Vec<String>> = used
        .map(|(name, used)| {
            let limit = Some(&quotas[name]).filter(|limit| !limit.is_null());
            vec![name.clone(), plain(used), limit.map_or_else(|| "none".to_owned(), plain)]
        })
        .collect();
    printer.table(&["QUOTA", "USED", "LIMIT"], &rows);
    Ok(code::OK)
}

/// Reads `max_queue_depth=50` or `max_queue_depth=none`.
///
/// # Errors
/// What is wrong, for people.
pub(super) fn bound(text: &str) -> Result<(String, Value), String> {
    let (name, limit) = text.split_once('=').ok_or("expected QUOTA=NUMBER or QUOTA=none")?;
    let limit = match limit {
        "none" | "null" | "unlimited" => Value::Null,
        number => {
            let number: u64 =
                number.parse().map_err(|_| format!("{number} is no whole number, nor none"))?;
            json!(number)
        }
    };
    Ok((name.trim().to_owned(), limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_numbers_or_none() {
        assert_eq!(bound("a=5"), Ok(("a".to_owned(), json!(5))));
        assert_eq!(bound("a=none"), Ok(("a".to_owned(), Value::Null)));
        assert!(bound("a").is_err() && bound("a=-1").is_err() && bound("a=b").is_err());
    }
}
