//! `webhook …`: addresses that are told of events, and what they were told.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::args::{WebhookCommand, WebhookCreateArgs, WebhookDeliveriesArgs, WebhookEditArgs};
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{facts, line, plain, relative};
use super::output::{BOLD, Printer, painted};

/// Time between two looks at a test message.
const LOOK: Duration = Duration::from_millis(200);
/// Looks at a test message: a receiver may take a quarter of a minute.
const LOOKS: u32 = 100;

/// Runs `webhook …`.
pub(super) async fn run(
    command: WebhookCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    match command {
        WebhookCommand::List => list(client, printer).await,
        WebhookCommand::Show { webhook } => {
            let found = client.get(&["webhooks", &webhook], &[]).await?;
            show(&found, client, printer);
            Ok(code::OK)
        }
        WebhookCommand::Create(args) => {
            let made = client.post(&["webhooks"], &creation(&args)).await?;
            show(&made, client, printer);
            Ok(code::OK)
        }
        WebhookCommand::Edit(args) => {
            let request = client.request(Method::PATCH, &["webhooks", &args.webhook]);
            let changed = client.json(request.json(&edit(&args)?)).await?;
            show(&changed, client, printer);
            Ok(code::OK)
        }
        WebhookCommand::Rotate { webhook } => {
            let rotated = client.post(&["webhooks", &webhook, "rotate"], &json!({})).await?;
            show(&rotated, client, printer);
            Ok(code::OK)
        }
        WebhookCommand::Delete { webhook } => {
            client.json(client.request(Method::DELETE, &["webhooks", &webhook])).await?;
            printer.note(format!("{webhook} is deleted"));
            Ok(code::OK)
        }
        WebhookCommand::Deliveries(args) => deliveries(&args, client, printer).await,
        WebhookCommand::Redeliver { webhook, delivery } => {
            let path = ["webhooks", &webhook, "deliveries", &delivery, "redeliver"];
            let made = client.post(&path, &json!({})).await?;
            await_end(&webhook, made, client, printer).await
        }
        WebhookCommand::Test { webhook } => {
            let made = client.post(&["webhooks", &webhook, "test"], &json!({})).await?;
            await_end(&webhook, made, client, printer).await
        }
    }
}

fn creation(args: &WebhookCreateArgs) -> Value {
    let WebhookCreateArgs { address, types, description, after } = args;
    json!({ "url": address, "event_types": types, "description": description, "after": after })
}

fn edit(args: &WebhookEditArgs) -> Result<Value, CliError> {
    let WebhookEditArgs { webhook: _, address, types, all_types, description, on, off } = args;
    let mut body = Map::new();
    body.extend(address.as_ref().map(|url| ("url".to_owned(), json!(url))));
    body.extend(description.as_ref().map(|text| ("description".to_owned(), json!(text))));
    if *all_types || !types.is_empty() {
        body.insert("event_types".to_owned(), json!(types));
    }
    if *on || *off {
        body.insert("is_active".to_owned(), json!(on));
    }
    if body.is_empty() {
        return Err(CliError::usage("nothing is to be changed")
            .remedy("`orchestrator webhook edit --help` lists what can be"));
    }
    Ok(Value::Object(body))
}

async fn list(client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let page = client.get(&["webhooks"], &[]).await?;
    if printer.is_json() {
        printer.json(&page);
        return Ok(code::OK);
    }
    let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        printer.note("there is no webhook");
        return Ok(code::OK);
    }
    let now = client.clock.now();
    let row = |item: &Value| {
        vec![
            plain(&item["id"]),
            plain(&item["state"]),
            relative(&item["last_success_at"], now),
            plain(&item["cursor"]),
            types(item),
            line(&plain(&item["url"]), 60),
        ]
    };
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    printer.table(&["ID", "STATE", "LAST SUCCESS", "CURSOR", "TYPES", "URL"], &rows);
    Ok(code::OK)
}

fn types(webhook: &Value) -> String {
    let types: Vec<String> =
        webhook["event_types"].as_array().into_iter().flatten().map(plain).collect();
    if types.is_empty() { "all".to_owned() } else { line(&types.join(" "), 40) }
}

fn show(webhook: &Value, client: &Client, printer: &Printer) {
    if printer.is_json() {
        return printer.json(webhook);
    }
    let now = client.clock.now();
    printer.line(painted(&line(&plain(&webhook["url"]), 200), BOLD));
    let pairs = [
        ("id", plain(&webhook["id"])),
        ("description", plain(&webhook["description"])),
        ("types", types(webhook)),
        ("state", plain(&webhook["state"])),
        ("disabled", plain(&webhook["disabled_reason"])),
        ("failing since", relative(&webhook["failing_since"], now)),
        ("last error", line(&plain(&webhook["last_error"]), 200)),
        ("last success", relative(&webhook["last_success_at"], now)),
        ("cursor", plain(&webhook["cursor"])),
        ("secret", plain(&webhook["secret"])),
    ];
    printer.lines(facts(&pairs).iter().map(|fact| format!("  {fact}")));
    if !webhook["secret"].is_null() {
        printer.note("keep the secret where the receiver finds it: it is not shown again");
    }
}

async fn deliveries(
    args: &WebhookDeliveriesArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.state.clone().map(|state| ("state", state)));
    let page = client.get(&["webhooks", &args.webhook, "deliveries"], &query).await?;
    if printer.is_json() {
        printer.json(&page);
        return Ok(code::OK);
    }
    let now = client.clock.now();
    let row = |item: &Value| {
        let attempts = item["attempts"].as_array().map_or(&[][..], Vec::as_slice);
        let last = attempts.last().cloned().unwrap_or_default();
        let told = if last["error"].is_null() { &last["status_code"] } else { &last["error"] };
        vec![
            plain(&item["id"]),
            plain(&item["seq"]),
            plain(&item["type"]),
            plain(&item["state"]),
            attempts.len().to_string(),
            relative(&item["next_attempt_at"], now),
            line(&plain(told), 60),
        ]
    };
    let rows: Vec<Vec<String>> = page["items"].as_array().into_iter().flatten().map(row).collect();
    printer.table(&["ID", "SEQ", "TYPE", "STATE", "TRIES", "NEXT", "ANSWER"], &rows);
    Ok(code::OK)
}

/// Waits for the first answer to a message and tells it.
async fn await_end(
    webhook: &str,
    mut delivery: Value,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let id = plain(&delivery["id"]);
    let known = delivery["attempts"].as_array().map_or(0, Vec::len);
    for _ in 0..LOOKS {
        if delivery["attempts"].as_array().map_or(0, Vec::len) > known {
            break;
        }
        client.clock.sleep(LOOK).await;
        delivery = client.get(&["webhooks", webhook, "deliveries", &id], &[]).await?;
    }
    if printer.is_json() {
        printer.json(&delivery);
    }
    let attempts = delivery["attempts"].as_array().map_or(&[][..], Vec::as_slice);
    let Some(last) = attempts.get(known..).and_then(<[Value]>::last) else {
        printer.note("it is not sent yet: `orchestrator webhook deliveries` tells when it is");
        return Ok(code::OK);
    };
    let took = plain(&last["duration_ms"]);
    match last["error"].as_str() {
        None => {
            if !printer.is_json() {
                let status = plain(&last["status_code"]);
                printer.line(format!("accepted with {status} after {took} ms"));
            }
            Ok(code::OK)
        }
        Some(error) => Err(CliError::new(code::FAILED, format!("not accepted: {error}"))
            .remedy("it is tried again by and by; `orchestrator webhook deliveries` tells when")),
    }
}
