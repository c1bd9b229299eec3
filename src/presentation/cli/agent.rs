//! `agent …`: who works.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::args::{
    AgentCommand, AgentListArgs, AgentRegisterArgs, AgentRemoveArgs, AgentTraits, AgentUpdateArgs,
    Switch,
};
use super::client::Client;
use super::exit::{CliError, code};
use super::fleet;
use super::format::{facts, line, plain, relative};
use super::output::{BOLD, Printer, painted};

/// Runs `agent …`.
pub(super) async fn run(
    command: AgentCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let changed = match command {
        // It needs no server.
        AgentCommand::Detect { .. } => return Ok(code::OK),
        AgentCommand::List(args) => return list(&args, client, printer).await,
        AgentCommand::Show { agent } => client.get(&["agents", &agent], &[]).await?,
        AgentCommand::Register(args) => client.post(&["agents"], &registration(&args)).await?,
        AgentCommand::Update(args) => {
            let request = client.request(Method::PATCH, &["agents", &args.agent]);
            client.json(request.json(&update(&args)?)).await?
        }
        AgentCommand::Drain { agent } => verb(client, &agent, "drain", &json!({})).await?,
        AgentCommand::Undrain { agent } => verb(client, &agent, "undrain", &json!({})).await?,
        AgentCommand::Maintenance { agent, switch } => {
            let body = json!({ "on": switch == Switch::On });
            verb(client, &agent, "maintenance", &body).await?
        }
        AgentCommand::Probe { agent } => {
            let found = verb(client, &agent, "probe", &json!({})).await?;
            return probed(&found, client, printer);
        }
        AgentCommand::Approve { agent } => verb(client, &agent, "approve", &json!({})).await?,
        AgentCommand::RotateToken { agent } => {
            let tokens = verb(client, &agent, "rotate-token", &json!({})).await?;
            return Ok(fleet::tokens(&tokens, printer));
        }
        AgentCommand::Rebalance { dry_run } => {
            return fleet::rebalance(dry_run, client, printer).await;
        }
        AgentCommand::Route(args) => return fleet::route(&args, client, printer).await,
        AgentCommand::Stats => return fleet::stats(client, printer).await,
        AgentCommand::Performance { agent } => {
            return fleet::performance(&agent, client, printer).await;
        }
        AgentCommand::Health { agent } => return fleet::health(&agent, client, printer).await,
        AgentCommand::Report(args) => return fleet::report(&args, client, printer).await,
        AgentCommand::ResetMetrics { agent } => {
            verb(client, &agent, "reset-metrics", &json!({})).await?
        }
        AgentCommand::Remove(args) => return remove(&args, client, printer).await,
    };
    show(&changed, client, printer);
    Ok(code::OK)
}

async fn verb(client: &Client, agent: &str, verb: &str, body: &Value) -> Result<Value, CliError> {
    client.post(&["agents", agent, verb], body).await
}

fn registration(args: &AgentRegisterArgs) -> Value {
    let AgentRegisterArgs { name, kind, traits, command } = args;
    let mut body = fields(traits, command);
    body.insert("name".to_owned(), json!(name));
    body.insert("kind".to_owned(), json!(kind));
    Value::Object(body)
}

fn update(args: &AgentUpdateArgs) -> Result<Value, CliError> {
    let AgentUpdateArgs { agent: _, traits, on, off, command } = args;
    let mut body = fields(traits, command);
    if *on || *off {
        body.insert("is_active".to_owned(), json!(on));
    }
    if body.is_empty() {
        return Err(CliError::usage("nothing is to be changed")
            .remedy("`orchestrator agent update --help` lists what can be"));
    }
    Ok(Value::Object(body))
}

/// What was said of an agent.
fn fields(traits: &AgentTraits, command: &[String]) -> Map<String, Value> {
    let AgentTraits {
        agent_type,
        capabilities,
        secondary,
        capacity,
        model,
        description,
        env,
        settings,
    } = traits;
    let mut body = Map::new();
    let mut say = |name: &str, value: Option<Value>| {
        body.extend(value.map(|value| (name.to_owned(), value)));
    };
    let list = |texts: &[String]| (!texts.is_empty()).then(|| json!(texts));
    say("agent_type", agent_type.as_ref().map(|word| json!(word)));
    say("capabilities", list(capabilities));
    say("secondary_capabilities", list(secondary));
    say("max_concurrent_capacity", capacity.map(|count| json!(count)));
    say("model_identifier", model.as_ref().map(|model| json!(model)));
    say("description", description.as_ref().map(|text| json!(text)));
    let mut config = Map::new();
    for (key, text) in settings {
        let value = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        config.insert(key.clone(), value);
    }
    config.extend(list(command).map(|command| ("command".to_owned(), command)));
    if !env.is_empty() {
        let variables: Map<String, Value> =
            env.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        config.insert("env".to_owned(), Value::Object(variables));
    }
    say("config", (!config.is_empty()).then_some(Value::Object(config)));
    body
}

async fn list(args: &AgentListArgs, client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let AgentListArgs { agent_type, kind, capabilities, states, tier, available } = args;
    let mut query: Vec<(&str, &str)> = Vec::new();
    query.extend(agent_type.iter().map(|word| ("agent_type", word.as_str())));
    query.extend(kind.iter().map(|word| ("kind", word.as_str())));
    query.extend(capabilities.iter().map(|slug| ("capability", slug.as_str())));
    query.extend(states.iter().map(|state| ("status", state.as_str())));
    query.extend(tier.iter().map(|tier| ("tier", tier.as_str())));
    query.extend(available.then_some(("available_only", "true")));
    let mut items = client.all_of(&["agents"], &query).await?;
    if printer.is_json() {
        printer.json(&json!({ "items": items }));
        return Ok(code::OK);
    }
    if items.is_empty() {
        printer.note("there is no such agent");
        return Ok(code::OK);
    }
    // What was asked for has an order of its own.
    if capabilities.is_empty() && !available {
        items.sort_by_key(|item| plain(&item["name"]));
    }
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    printer.table(&["NAME", "STATE", "KIND", "TYPE", "AT ONCE", "CAN", "TROUBLE"], &rows);
    Ok(code::OK)
}

fn row(agent: &Value) -> Vec<String> {
    vec![
        line(&plain(&agent["name"]), 70),
        plain(&agent["state"]),
        plain(&agent["kind"]),
        plain(&agent["agent_type"]),
        plain(&agent["max_concurrent_capacity"]),
        line(&words(&agent["capabilities"]), 40),
        agent["last_probe"]["error"].as_str().map(|error| line(error, 60)).unwrap_or_default(),
    ]
}

fn words(list: &Value) -> String {
    list.as_array().into_iter().flatten().map(plain).collect::<Vec<_>>().join(" ")
}

fn show(agent: &Value, client: &Client, printer: &Printer) {
    if printer.is_json() {
        return printer.json(agent);
    }
    let now = client.clock.now();
    printer.line(painted(&line(&plain(&agent["name"]), 100), BOLD));
    let yes = |value: &Value, word: &str| {
        if value == &json!(true) { word.to_owned() } else { String::new() }
    };
    let kind = format!("{} {}", plain(&agent["kind"]), plain(&agent["agent_type"]));
    let removal = if agent["removal_due_at"].is_null() {
        String::new()
    } else {
        format!("{} at the latest", relative(&agent["removal_due_at"], now))
    };
    let text = |value: &Value| value.as_str().map(|text| line(text, 200)).unwrap_or_default();
    let pairs = [
        ("id", plain(&agent["id"])),
        ("description", text(&agent["description"])),
        ("state", plain(&agent["state"])),
        ("kind", kind),
        ("comes from", yes(&agent["is_built_in"], "the settings of the server")),
        ("switched off", yes(&json!(agent["is_active"] == json!(false)), "gets nothing new")),
        ("tier", plain(&agent["performance_tier"])),
        ("breaker", plain(&agent["breaker"])),
        ("at once", plain(&agent["max_concurrent_capacity"])),
        ("can", line(&words(&agent["capabilities"]), 200)),
        ("model", text(&agent["model_identifier"])),
        ("settings", line(&agent["config"].to_string(), 200)),
        ("probed", probe(&agent["last_probe"], now)),
        ("to be removed", removal),
        ("because", text(&agent["removal_reason"])),
        ("registered", relative(&agent["created_at"], now)),
    ];
    printer.lines(facts(&pairs).iter().map(|fact| format!("  {fact}")));
}

fn probe(found: &Value, now: crate::domain::time::Timestamp) -> String {
    if found.is_null() {
        return "not yet".to_owned();
    }
    let when = relative(&found["at"], now);
    match found["error"].as_str() {
        Some(error) => line(&format!("{when}: {error}"), 200),
        None => line(&format!("{when}: version {}", plain(&found["version"])), 200),
    }
}

/// Tells what a probe found; an agent that cannot work is a failure.
fn probed(agent: &Value, client: &Client, printer: &Printer) -> Result<u8, CliError> {
    show(agent, client, printer);
    if agent["last_probe"]["is_alive"] == json!(true) {
        return Ok(code::OK);
    }
    let reason = agent["last_probe"]["error"].as_str().unwrap_or("nobody could ask it");
    Err(CliError::new(code::FAILED, format!("it cannot work: {}", line(reason, 400)))
        .remedy("mend what it says, or give the work to another agent: `orchestrator agent list`"))
}

async fn remove(
    args: &AgentRemoveArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let AgentRemoveArgs { agent, now, reason } = args;
    let body = json!({ "graceful": !now, "reason": reason });
    let left = verb(client, agent, "deregister", &body).await?;
    if printer.is_json() {
        printer.json(&left);
        return Ok(code::OK);
    }
    let name = line(&plain(&left["name"]), 100);
    if left["deleted_at"].is_null() {
        printer.note(format!("{name} ends what it works on, and is removed then"));
        printer.note(format!("to keep it after all: orchestrator agent undrain {name}"));
    } else {
        printer.note(format!("{name} is removed"));
    }
    Ok(code::OK)
}
