//! `tenant …`: a tenant, and what it may have.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::args::TenantCommand;
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{line, plain};
use super::output::Printer;

/// Runs `tenant …`.
pub(super) async fn run(
    command: TenantCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    match command {
        TenantCommand::List => list(client, printer).await,
        TenantCommand::Create { slug, name, weight, quotas } => {
            let mut body = Map::from_iter([("slug".to_owned(), json!(slug))]);
            body.extend(name.map(|name| ("name".to_owned(), json!(name))));
            body.extend(weight.map(|weight| ("settings".to_owned(), json!({ "weight": weight }))));
            let quotas: Map<String, Value> = quotas.into_iter().collect();
            body.insert("quotas".to_owned(), Value::Object(quotas));
            show(&client.post(&["tenants"], &Value::Object(body)).await?, printer);
            Ok(code::OK)
        }
        TenantCommand::Deactivate { slug } => {
            client.json(client.request(Method::DELETE, &["tenants", &slug])).await?;
            printer.note(format!("{slug} is inactive"));
            Ok(code::OK)
        }
        TenantCommand::Activate { slug } => {
            let on = json!({ "is_active": true });
            let request = client.request(Method::PATCH, &["tenants", &slug]);
            show(&client.json(request.json(&on)).await?, printer);
            Ok(code::OK)
        }
        TenantCommand::Quotas { set } => quotas(set, client, printer).await,
        TenantCommand::Update { name, weight, joining, registration, retention } => {
            let mut settings = Map::new();
            settings.extend(weight.map(|weight| ("weight".to_owned(), json!(weight))));
            let mode = joining.map(|mode| ("join_mode".to_owned(), json!(mode)));
            settings.extend(mode);
            let mode = registration.map(|mode| ("registration_mode".to_owned(), json!(mode)));
            settings.extend(mode);
            if !retention.is_empty() {
                let days: Map<String, Value> = retention.into_iter().collect();
                settings.insert("retention".to_owned(), Value::Object(days));
            }
            update(name, settings, client, printer).await
        }
    }
}

async fn update(
    name: Option<String>,
    settings: Map<String, Value>,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let path = ["tenants", client.tenant()];
    let mut changes = Map::new();
    changes.extend(name.map(|name| ("name".to_owned(), json!(name))));
    if !settings.is_empty() {
        changes.insert("settings".to_owned(), Value::Object(settings));
    }
    let tenant = if changes.is_empty() {
        client.get(&path, &[]).await?
    } else {
        client.json(client.request(Method::PATCH, &path).json(&Value::Object(changes))).await?
    };
    show(&tenant, printer);
    let kept = tenant["settings"]["retention"].as_object().into_iter().flatten();
    for (name, days) in kept.filter_map(|(name, days)| Some((name, days.as_u64()?))) {
        let what = name.trim_end_matches("_days").replace('_', " ");
        printer.note(format!("{what} are kept for {days} days"));
    }
    Ok(code::OK)
}

async fn list(client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let items = client.all(&["tenants"]).await?;
    if printer.is_json() {
        printer.json(&json!({ "items": items }));
    } else {
        table(&items, printer);
    }
    Ok(code::OK)
}

fn show(tenant: &Value, printer: &Printer) {
    if printer.is_json() {
        printer.json(tenant);
    } else {
        table(std::slice::from_ref(tenant), printer);
    }
}

fn table(tenants: &[Value], printer: &Printer) {
    let row = |tenant: &Value| {
        let state = if tenant["is_active"] == json!(true) { "active" } else { "inactive" };
        let weight = plain(&tenant["settings"]["weight"]);
        let joining = plain(&tenant["settings"]["join_mode"]);
        let name = line(&plain(&tenant["name"]), 40);
        vec![plain(&tenant["slug"]), name, weight, joining, state.to_owned()]
    };
    let rows: Vec<Vec<String>> = tenants.iter().map(row).collect();
    printer.table(&["TENANT", "NAME", "WEIGHT", "JOINING", "STATE"], &rows);
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
    let bounds = quotas.as_object().into_iter().flatten();
    let rows: Vec<Vec<String>> = bounds
        .filter(|(name, _)| !["tenant_id", "used"].contains(&name.as_str()))
        .map(|(name, limit)| {
            let used = quotas["used"].get(name).map_or_else(|| "-".to_owned(), plain);
            let limit = if limit.is_null() { "none".to_owned() } else { plain(limit) };
            vec![name.clone(), used, limit]
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
