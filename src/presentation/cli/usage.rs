//! `usage …`: what was used, what it costs, and how much of it may be.

use reqwest::{Method, header};
use serde_json::{Map, Value, json};

use super::args::{GroupWord, UsageArgs, UsageCommand};
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{UNKNOWN, count, line, money, plain, seconds};
use super::output::Printer;

/// Runs `usage …`.
pub(super) async fn run(
    args: UsageArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let UsageArgs { command, from, to, group_by } = args;
    match command {
        None => figures(from, to, group_by, client, printer).await,
        Some(UsageCommand::Budgets { monthly, tokens }) => {
            budgets(monthly, tokens, client, printer).await
        }
        Some(UsageCommand::Prices { set, remove }) => prices(set, &remove, client, printer).await,
    }
}

async fn figures(
    from: Option<String>,
    to: Option<String>,
    group_by: GroupWord,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let mut query = vec![("group_by", group_by.as_api().to_owned())];
    query.extend(from.map(|day| ("from", day)));
    query.extend(to.map(|day| ("to", day)));
    let report = client.get(&["usage"], &query).await?;
    if printer.is_json() {
        printer.json(&report);
        return Ok(code::OK);
    }
    let groups = report["items"].as_array().map_or(&[][..], Vec::as_slice);
    let (from, to) = (plain(&report["from"]), plain(&report["to"]));
    if groups.is_empty() {
        printer.note(format!("nothing was used from {from} to {to}"));
        return Ok(code::OK);
    }
    let mut rows: Vec<Vec<String>> =
        groups.iter().map(|group| row(&name(group, group_by), group)).collect();
    rows.push(row("total", &report["totals"]));
    let title = group_by.as_api().to_uppercase();
    let columns =
        [title.as_str(), "SESSIONS", "INPUT", "OUTPUT", "CACHE READ", "TOKENS", "COST", "TIME"];
    printer.table(&columns, &rows);
    if groups.iter().any(|group| group["simulated"] == true) {
        printer.note("what was simulated is charged to nobody, and is in no total");
    }
    if report["totals"]["unpriced_records"].as_u64().is_some_and(|unknown| unknown > 0) {
        printer.note("the cost of some of it is not known: set prices with `usage prices --set`");
    }
    Ok(code::OK)
}

fn name(group: &Value, group_by: GroupWord) -> String {
    let name = match group_by {
        GroupWord::Day => plain(&group["day"]),
        GroupWord::Model => line(&plain(&group["model_identifier"]), 60),
        GroupWord::Session => plain(&group["session_id"]),
        GroupWord::Agent => match plain(&group["agent_name"]) {
            unknown if unknown == UNKNOWN => plain(&group["agent_id"]),
            name => name,
        },
    };
    if group["simulated"] == true { format!("{name} (simulated)") } else { name }
}

fn row(name: &str, sums: &Value) -> Vec<String> {
    vec![
        name.to_owned(),
        plain(&sums["sessions"]),
        count(&sums["tokens_input"]),
        count(&sums["tokens_output"]),
        count(&sums["tokens_cache_read"]),
        count(&sums["tokens_total"]),
        money(&sums["cost_usd"]),
        seconds(&sums["wall_seconds"]),
    ]
}

async fn budgets(
    monthly: Option<Value>,
    tokens: Option<Value>,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let mut changes = Map::new();
    changes.extend(monthly.map(|limit| ("monthly_budget_usd".to_owned(), limit)));
    changes.extend(tokens.map(|limit| ("max_tokens_per_month".to_owned(), limit)));
    let budgets = if changes.is_empty() {
        client.get(&["budgets"], &[]).await?
    } else {
        client.put(&["budgets"], &Value::Object(changes)).await?
    };
    if printer.is_json() {
        printer.json(&budgets);
        return Ok(code::OK);
    }
    let row = |name: &str, figure: fn(&Value) -> String| {
        let budget = &budgets[name];
        let limit =
            if budget["limit"].is_null() { "none".to_owned() } else { figure(&budget["limit"]) };
        let percent = budget["percent"].as_f64().map(|percent| format!("{percent} %"));
        let percent = percent.unwrap_or_else(|| UNKNOWN.to_owned());
        vec![name.to_owned(), figure(&budget["used"]), limit, percent, plain(&budget["state"])]
    };
    let rows = [row("monthly_budget_usd", money), row("max_tokens_per_month", count)];
    printer.table(&["BUDGET", "USED", "LIMIT", "SHARE", "STATE"], &rows);
    let (period, end) = (plain(&budgets["period"]), plain(&budgets["period_ends_at"]));
    printer.note(format!("of {period}, which ends at {end}"));
    Ok(code::OK)
}

async fn prices(
    set: Vec<Value>,
    remove: &[String],
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let changes = !set.is_empty() || !remove.is_empty();
    let prices = if changes {
        change(set, remove, client).await?
    } else {
        client.get(&["prices"], &[]).await?
    };
    if printer.is_json() {
        printer.json(&prices);
        return Ok(code::OK);
    }
    let all = prices["prices"].as_array().map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        printer.note("no prices are set: only what agents report themselves has a cost");
        return Ok(code::OK);
    }
    let cell = |price: &Value, name: &str, default: &str| {
        if price[name].is_null() { default.to_owned() } else { money(&price[name]) }
    };
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|price| {
            vec![
                line(&plain(&price["model"]), 60),
                money(&price["input"]),
                money(&price["output"]),
                cell(price, "cache_read", "input / 10"),
                cell(price, "cache_write", "as input"),
                cell(price, "reasoning", "as output"),
            ]
        })
        .collect();
    let columns = ["MODEL", "INPUT", "OUTPUT", "CACHE READ", "CACHE WRITE", "REASONING"];
    printer.table(&columns, &rows);
    Ok(code::OK)
}

/// Reads the table, changes it, and sets it if nobody else did meanwhile.
async fn change(set: Vec<Value>, remove: &[String], client: &Client) -> Result<Value, CliError> {
    let answer = client.send(client.request(Method::GET, &["prices"])).await?;
    let tag = answer.headers().get(header::ETAG).cloned();
    let table: Value = answer.json().await.map_err(|error| client.unreachable(&error))?;
    let changed = |row: &Value| {
        let model = row["model"].as_str().unwrap_or_default();
        remove.iter().any(|name| name == model) || set.iter().any(|new| new["model"] == model)
    };
    let mut rows = table["prices"].as_array().cloned().unwrap_or_default();
    rows.retain(|row| !changed(row));
    rows.extend(set);
    let request = client.request(Method::PUT, &["prices"]).json(&json!({ "prices": rows }));
    let request =
        tag.into_iter().fold(request, |request, tag| request.header(header::IF_MATCH, tag));
    client.json(request).await
}

/// Reads `50`, `12.5` or `none`.
///
/// # Errors
/// What is wrong, for people.
pub(super) fn limit(text: &str) -> Result<Value, String> {
    match text {
        "none" | "null" | "unlimited" => Ok(Value::Null),
        number => {
            let whole = number.parse::<u64>().map(|number| json!(number));
            whole
                .or_else(|_| amount(number))
                .map_err(|_| format!("{number} is no number, nor none"))
        }
    }
}

/// Reads `anthropic/*=3,15,0.3`.
///
/// # Errors
/// What is wrong, for people.
pub(super) fn price(text: &str) -> Result<Value, String> {
    const NAMES: [&str; 5] = ["input", "output", "cache_read", "cache_write", "reasoning"];
    let (model, prices) = text.rsplit_once('=').ok_or("expected MODEL=INPUT,OUTPUT")?;
    let given: Vec<&str> = prices.split(',').map(str::trim).collect();
    if given.len() < 2 || given.len() > NAMES.len() {
        return Err("expected two to five prices, separated by commas".to_owned());
    }
    let mut row = Map::from_iter([("model".to_owned(), json!(model.trim()))]);
    for (name, price) in NAMES.iter().zip(given) {
        row.insert((*name).to_owned(), amount(price)?);
    }
    Ok(Value::Object(row))
}

fn amount(text: &str) -> Result<Value, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    number.map(|number| json!(number)).ok_or_else(|| format!("{text} is no amount of dollars"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_two_to_five_amounts() {
        let read = price("a/b=c*=3, 15,0.3").expect("a price");
        assert_eq!(
            read,
            json!({ "model": "a/b=c*", "input": 3.0, "output": 15.0, "cache_read": 0.3 })
        );
        for wrong in ["a", "a=1", "a=1,2,3,4,5,6", "a=1,x", "a=1,inf"] {
            assert!(price(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn limits_are_numbers_or_none() {
        assert_eq!(limit("50"), Ok(json!(50)));
        assert_eq!(limit("12.5"), Ok(json!(12.5)));
        assert_eq!(limit("none"), Ok(Value::Null));
        assert!(limit("much").is_err() && limit("nan").is_err());
    }
}
