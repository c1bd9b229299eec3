//! `tenant …`: a tenant, and what it may have.

use reqwest::Method;
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
    match command {
        TenantCommand::Quotas { set } => quotas(set, client, printer).await,
        TenantCommand::Update { name, weight } => update(name, weight, client, printer).await,
    }
}

async fn update(
    name: Option<String>,
    weight: Option<f64>,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let path = ["tenants", client.tenant()];
    let mut changes = Map::new();
    changes.extend(name.map(|name| ("name".to_owned(), json!(name))));
    changes.extend(weight.map(|weight| ("settings".to_owned(), json!({ "weight": weight }))));
    let tenant = if changes.is_empty() {
        client.get(&path, &[]).await?
    } else {
        client.json(client.request(Method::PATCH, &path).json(&Value::Object(changes))).await?
    };
    if printer.is_json() {
        printer.json(&tenant);
        return Ok(code::OK);
    }
    let row =
        [plain(&tenant["slug"]), plain(&tenant["name"]), plain(&tenant["settings"]["weight"])];
    printer.table(&["TENANT", "NAME", "WEIGHT"], &[row.to_vec()]);
    Ok(code::OK)
}

async fn quotas(
    set: Vec<(String, Value)>,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
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
            let whole = number.parse::<u64>().map(|number| json!(number));
            let amount =
                || number.parse::<f64>().ok().filter(|amount| amount.is_finite() && *amount >= 0.0);
            whole
                .or_else(|_| amount().map(|amount| json!(amount)).ok_or(()))
                .map_err(|()| format!("{number} is no number, nor none"))?
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
