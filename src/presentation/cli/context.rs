//! `context …`: what sessions, tasks and agents remember.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::args::{ContextCommand, ContextCreateArgs, ContextListArgs, ContextSetArgs};
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{facts, line, plain, relative};
use super::output::{BOLD, Printer, painted};

/// Runs `context …`.
pub(super) async fn run(
    command: ContextCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let empty = json!({});
    let found = match command {
        ContextCommand::List(args) => return list(&args, client, printer).await,
        ContextCommand::Show { context } => client.get(&["contexts", &context], &[]).await?,
        ContextCommand::Create(args) => client.post(&["contexts"], &creation(&args)?).await?,
        ContextCommand::Get { context, path } => {
            let found = client.get(&["contexts", &context, "keys", &path], &[]).await?;
            return Ok(tell(&found, &found["value"], printer));
        }
        ContextCommand::Set(args) => {
            let path = ["contexts", &args.context, "keys", &args.path];
            let request = client.request(Method::PUT, &path).json(&setting(&args));
            client.json(request).await?
        }
        ContextCommand::Unset { context, path } => {
            let request = client.request(Method::DELETE, &["contexts", &context, "keys", &path]);
            client.json(request).await?;
            printer.note(format!("{path} is deleted"));
            return Ok(code::OK);
        }
        ContextCommand::Delete { context } => {
            client.json(client.request(Method::DELETE, &["contexts", &context])).await?;
            printer.note(format!("{context} is deleted"));
            return Ok(code::OK);
        }
        ContextCommand::History(args) => {
            let limit = [("limit", args.limit.to_string())];
            let page = client.get(&["contexts", &args.context, "history"], &limit).await?;
            return Ok(history(&page, client, printer));
        }
        ContextCommand::Version { context, version } => {
            let version = version.to_string();
            let found = client.get(&["contexts", &context, "versions", &version], &[]).await?;
            return Ok(tell(&found, &found["data"], printer));
        }
        ContextCommand::Diff { context, other } => {
            let found = client.get(&["contexts", &context, "diff", &other], &[]).await?;
            return Ok(differences(&found, printer));
        }
        ContextCommand::Share(args) => {
            let body = json!({ "target_session_id": args.session, "merge_existing": !args.copy });
            client.post(&["contexts", &args.context, "share"], &body).await?
        }
        ContextCommand::Promote { context } => {
            client.post(&["contexts", &context, "promote-to-global"], &empty).await?
        }
        ContextCommand::Merge(args) => {
            let body = json!({ "context_ids": args.contexts, "strategy": args.strategy });
            let answer = client.post(&["contexts", "merge"], &body).await?;
            return Ok(merged(&answer, client, printer));
        }
        ContextCommand::Resolve { context, decisions } => {
            let body = json!({ "resolutions": resolutions(&decisions)? });
            client.post(&["contexts", &context, "resolve"], &body).await?
        }
        ContextCommand::Summary { session } => {
            let found = client.get(&["contexts", "session", &session, "summary"], &[]).await?;
            return Ok(summary(&found, client, printer));
        }
    };
    show(&found, client, printer);
    Ok(code::OK)
}

/// JSON, or the text as it is.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

fn creation(args: &ContextCreateArgs) -> Result<Value, CliError> {
    let ContextCreateArgs { scope, session, agent, task, data, important } = args;
    let data: Option<Map<String, Value>> =
        data.as_deref().map(serde_json::from_str).transpose().map_err(|error| {
            CliError::usage(format!("--data is no JSON object: {error}"))
                .remedy("write it as in --data '{\"plan\": {\"step\": 1}}'")
        })?;
    let metadata = if *important { json!({ "important": true }) } else { json!({}) };
    Ok(json!({
        "scope": scope, "session_id": session, "agent_id": agent, "task_id": task,
        "initial_data": data, "metadata": metadata,
    }))
}

fn setting(args: &ContextSetArgs) -> Value {
    let ContextSetArgs { context: _, path: _, value: text, expect, strict } = args;
    json!({ "value": value(text), "expected_version": expect, "strict": strict })
}

fn resolutions(decisions: &[String]) -> Result<Map<String, Value>, CliError> {
    let one = |text: &String| {
        let Some((path, decision)) = text.split_once('=') else {
            return Err(CliError::usage(format!("{text} decides nothing"))
                .remedy("write PATH=source, PATH=target or PATH=VALUE"));
        };
        let decision = match decision {
            "source" | "target" => json!(decision),
            other => json!({ "value": value(other) }),
        };
        Ok((path.to_owned(), decision))
    };
    decisions.iter().map(one).collect()
}

async fn list(args: &ContextListArgs, client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.scope.clone().map(|scope| ("scope", scope)));
    query.extend(args.session.clone().map(|session| ("session_id", session)));
    query.extend(args.agent.clone().map(|agent| ("agent_id", agent)));
    let page = client.get(&["contexts"], &query).await?;
    if printer.is_json() {
        printer.json(&page);
        return Ok(code::OK);
    }
    let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        printer.note("there is no context");
        return Ok(code::OK);
    }
    let now = client.clock.now();
    let row = |item: &Value| {
        let keys = item["data"].as_object().map_or(0, Map::len);
        vec![
            plain(&item["id"]),
            plain(&item["scope"]),
            plain(&item["version"]),
            keys.to_string(),
            trust(item).to_owned(),
            relative(&item["updated_at"], now),
            relative(&item["expires_at"], now),
        ]
    };
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    let headers = ["ID", "SCOPE", "VERSION", "KEYS", "WRITTEN BY", "UPDATED", "EXPIRES"];
    printer.table(&headers, &rows);
    Ok(code::OK)
}

/// Whether an agent had a hand in it.
fn trust(item: &Value) -> &'static str {
    if item["trusted"] == json!(false) { "agents too" } else { "people" }
}

fn show(context: &Value, client: &Client, printer: &Printer) {
    if printer.is_json() {
        return printer.json(context);
    }
    let now = client.clock.now();
    printer.line(painted(&plain(&context["id"]), BOLD));
    let pairs = [
        ("scope", plain(&context["scope"])),
        ("session", plain(&context["session_id"])),
        ("agent", plain(&context["agent_id"])),
        ("version", plain(&context["version"])),
        ("written by", trust(context).to_owned()),
        ("updated", relative(&context["updated_at"], now)),
        ("expires", relative(&context["expires_at"], now)),
    ];
    printer.lines(facts(&pairs).iter().map(|fact| format!("  {fact}")));
    printer.text(&pretty(&context["data"]));
}

fn pretty(value: &Value) -> String {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    text + "\n"
}

/// A part of an answer for people, the whole for programs.
fn tell(answer: &Value, part: &Value, printer: &Printer) -> u8 {
    if printer.is_json() {
        printer.json(answer);
    } else {
        printer.text(&pretty(part));
    }
    code::OK
}

fn history(page: &Value, client: &Client, printer: &Printer) -> u8 {
    if printer.is_json() {
        printer.json(page);
        return code::OK;
    }
    let now = client.clock.now();
    let row = |item: &Value| {
        vec![
            plain(&item["version"]),
            plain(&item["op"]),
            line(&plain(&item["path"]), 40),
            line(&item["old_value"].to_string(), 30),
            line(&item["new_value"].to_string(), 30),
            plain(&item["changed_by"]),
            relative(&item["changed_at"], now),
        ]
    };
    let rows: Vec<Vec<String>> = page["items"].as_array().into_iter().flatten().map(row).collect();
    printer.table(&["VERSION", "OP", "PATH", "OLD", "NEW", "BY", "WHEN"], &rows);
    code::OK
}

fn differences(found: &Value, printer: &Printer) -> u8 {
    if printer.is_json() {
        printer.json(found);
        return code::OK;
    }
    let mut rows = Vec::new();
    for (name, sign) in [("added", "+"), ("modified", "~"), ("deleted", "-")] {
        for (path, value) in found[name].as_object().into_iter().flatten() {
            rows.push(vec![sign.to_owned(), line(path, 60), line(&value.to_string(), 60)]);
        }
    }
    printer.table(&["", "PATH", "VALUE"], &rows);
    for path in found["conflicts"].as_array().into_iter().flatten() {
        printer.note(format!("neither side knows of the other's write at {}", plain(path)));
    }
    code::OK
}

fn merged(answer: &Value, client: &Client, printer: &Printer) -> u8 {
    if printer.is_json() {
        printer.json(answer);
        return code::OK;
    }
    if answer["status"] == "merged" {
        show(&answer["context"], client, printer);
        return code::OK;
    }
    let row = |clash: &Value| {
        vec![
            line(&plain(&clash["path"]), 40),
            line(&clash["target"].to_string(), 40),
            line(&clash["source"].to_string(), 40),
        ]
    };
    let clashes = answer["conflicts"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = clashes.map(row).collect();
    printer.table(&["PATH", "TARGET", "SOURCE"], &rows);
    let id = plain(&answer["context_id"]);
    printer.note(format!("decide: orchestrator context resolve {id} PATH=source …"));
    code::OK
}

fn summary(found: &Value, client: &Client, printer: &Printer) -> u8 {
    if printer.is_json() {
        printer.json(found);
        return code::OK;
    }
    let now = client.clock.now();
    let row = |item: &Value| {
        vec![
            plain(&item["id"]),
            plain(&item["scope"]),
            plain(&item["version"]),
            plain(&item["key_count"]),
            relative(&item["updated_at"], now),
        ]
    };
    let contexts = found["contexts"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = contexts.map(row).collect();
    printer.table(&["ID", "SCOPE", "VERSION", "KEYS", "UPDATED"], &rows);
    code::OK
}
