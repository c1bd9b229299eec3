//! Creating, forking, editing and deleting sessions.

use std::io::Read;

use reqwest::{Method, header};
use serde_json::{Value, json};

use super::super::args::{CreateArgs, EditArgs, ForkArgs};
use super::super::client::Client;
use super::super::exit::{CliError, code};
use super::super::format::plain;
use super::super::output::Printer;
use super::{done, given};

/// Longer prompts are refused by the server anyway.
const MAX_PROMPT_BYTES: u64 = 400_000;

/// The prompt as given, or from standard input for `-`.
pub(in super::super) fn prompt_text(prompt: &str) -> Result<String, CliError> {
    if prompt.trim().is_empty() {
        return Err(CliError::usage("the prompt is empty").remedy("say what is to be done"));
    }
    if prompt != "-" {
        return Ok(prompt.to_owned());
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_PROMPT_BYTES + 1).read_to_string(&mut text);
    match read {
        Ok(_) if text.trim().is_empty() => Err(CliError::usage("standard input gave no prompt")),
        Ok(_) => Ok(text),
        Err(error) => Err(CliError::usage(format!("the prompt cannot be read: {error}"))),
    }
}

/// A folder as the server must name it.
pub(in super::super) fn absolute(path: &std::path::Path) -> Result<String, CliError> {
    let found = path.canonicalize().map_err(|error| {
        CliError::usage(format!("{} cannot be used: {error}", path.display()))
            .remedy("name a folder that exists and that you may read")
    })?;
    let text = found.to_str().map(str::to_owned);
    text.ok_or_else(|| CliError::usage(format!("{} is not UTF-8", path.display())))
}

/// The policy that allows everything.
pub(in super::super) fn allow_all() -> Value {
    json!({ "default": "allow", "rules": [] })
}

pub(super) async fn create(
    args: &CreateArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let prompt = prompt_text(&args.prompt)?;
    let workspace = match (&args.repo, &args.dir) {
        (Some(repo), _) => {
            let base = args.base.as_deref().unwrap_or("HEAD");
            Some(json!({ "kind": "git", "repo": absolute(repo)?, "base_ref": base }))
        }
        (None, Some(dir)) => Some(json!({ "kind": "directory", "path": absolute(dir)? })),
        (None, None) => None,
    };
    let gates = args.gate.iter().map(|gate| gate_of(gate)).collect::<Result<Vec<_>, _>>()?;
    let body = given(json!({
        "initial_prompt": prompt,
        "gates": Some(gates).filter(|gates| !gates.is_empty()),
        "title": args.title,
        "session_type": args.session_type,
        "priority": args.priority,
        "tags": Some(&args.tag).filter(|tags| !tags.is_empty()),
        "agent": args.agent,
        "model_identifier": args.model,
        "parent_id": args.parent,
        "on_parent_end": args.on_parent_end,
        "after": Some(&args.after).filter(|after| !after.is_empty()),
        "max_duration_seconds": args.timeout,
        "budget_usd": args.budget,
        "token_budget": args.token_budget,
        "permission_policy": args.yes.then(allow_all),
        "workspace": workspace,
        "start": args.start,
    }));
    let session = client.post(&["sessions"], &body).await?;
    Ok(created(&session, args.start, printer))
}

/// How long a gate from the command line may take.
const GATE_SECONDS: u32 = 600;

fn gate_of(text: &str) -> Result<Value, CliError> {
    match text.split_once('=') {
        Some((name, command)) if !name.trim().is_empty() && !command.trim().is_empty() => {
            Ok(json!({ "name": name.trim(), "command": ["sh", "-c", command],
                       "timeout_seconds": GATE_SECONDS }))
        }
        _ => Err(CliError::usage(format!("{text} is no gate"))
            .remedy("say what it is called and what it runs, as in --gate tests='make test'")),
    }
}

pub(super) async fn fork(
    args: &ForkArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let body = given(json!({
        "from_checkpoint": args.from_checkpoint,
        "title": args.title,
        "initial_prompt": args.prompt,
        "agent": args.agent,
        "model_identifier": args.model,
    }));
    let session = client.post(&["sessions", &args.session, "fork"], &body).await?;
    Ok(created(&session, false, printer))
}

fn created(session: &Value, is_started: bool, printer: &Printer) -> u8 {
    let (code, status) = (plain(&session["code"]), plain(&session["status"]));
    let next = if status == "pending" && is_started {
        format!(" until its time comes; `orchestrator why {code}` says what it waits for")
    } else if status == "pending" {
        format!("; `orchestrator session start {code}` runs it")
    } else {
        format!("; `orchestrator session watch {code}` follows it")
    };
    done(session, &format!("{code} is {status}{next}"), printer)
}

pub(super) async fn edit(
    args: &EditArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let body = given(json!({
        "title": args.title,
        "description": args.description,
        "priority": args.priority,
        "tags": args.tag,
        "max_duration_seconds": args.timeout,
        "budget_usd": args.budget,
    }));
    if body.as_object().is_some_and(serde_json::Map::is_empty) {
        return Err(CliError::usage("nothing to change; see `session edit --help`"));
    }
    let mut request = client.request(Method::PATCH, &["sessions", &args.session]).json(&body);
    if let Some(version) = args.if_version {
        request = request.header(header::IF_MATCH, format!("\"v{version}\""));
    }
    let session = client.json(request).await?;
    Ok(done(&session, &format!("{} is changed", args.session), printer))
}

pub(super) async fn delete(
    session: &str,
    purge: bool,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let mut request = client.request(Method::DELETE, &["sessions", session]);
    if purge {
        request = request.query(&[("purge", "true")]);
    }
    let answer = client.json(request).await?;
    if answer.is_null() {
        if !printer.is_json() {
            printer.line(format!("{session} is deleted"));
        }
        return Ok(code::OK);
    }
    Ok(done(&answer, &format!("{session} is deleted"), printer))
}
