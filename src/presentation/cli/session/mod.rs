//! `session …`: one request a verb, and tables of what came back.

mod change;
mod follow;
mod show;
mod work;

use serde_json::{Value, json};

pub(super) use self::change::{absolute, allow_all, prompt_text};
pub(super) use self::work::stat;
use super::args::SessionCommand as Verb;
use super::client::Client;
use super::events;
use super::exit::{CliError, code};
use super::output::Printer;

/// Runs `session …`.
pub(super) async fn run(verb: Verb, client: &Client, printer: &Printer) -> Result<u8, CliError> {
    match verb {
        Verb::List(args) => show::list(&args, client, printer).await,
        Verb::Show { session } => show::one(&session, client, printer).await,
        Verb::Create(args) => change::create(&args, client, printer).await,
        Verb::Fork(args) => change::fork(&args, client, printer).await,
        Verb::Edit(args) => change::edit(&args, client, printer).await,
        Verb::Delete { session, purge } => change::delete(&session, purge, client, printer).await,
        Verb::Checkpoints { session } => show::checkpoints(&session, client, printer).await,
        Verb::Attempts { session } => show::attempts(&session, client, printer).await,
        Verb::Tree { session } => show::tree(&session, client, printer).await,
        Verb::Stats => show::stats(client, printer).await,
        Verb::Diff(args) => work::diff(&args, client, printer).await,
        Verb::Merge(args) => work::merge(&args, client, printer).await,
        Verb::Transcript { session, follow } => {
            follow::transcript(&session, follow, client, printer).await
        }
        Verb::Logs { session, follow, after } => {
            follow::logs(&session, follow, after.unwrap_or(0), client, printer).await
        }
        Verb::Events { session, args } => {
            events::list(&["sessions", &session, "events"], &args, client, printer).await
        }
        Verb::Watch { session } => follow::watch(&session, client, printer).await,
        other => Box::pin(control(other, client, printer)).await,
    }
}

/// The verbs that send one body and get the session, or what was made, back.
async fn control(verb: Verb, client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let (session, action, body) = match verb {
        Verb::Start { session } => (session, "start", json!({})),
        Verb::Pause { session } => (session, "pause", json!({})),
        Verb::Resume { session } => (session, "resume", json!({})),
        Verb::Stop { session, reason } => (session, "stop", given(json!({ "reason": reason }))),
        Verb::Cancel { session, reason } => (session, "cancel", given(json!({ "reason": reason }))),
        Verb::Retry { session, from_checkpoint } => {
            (session, "retry", given(json!({ "from_checkpoint": from_checkpoint })))
        }
        Verb::Complete { session, result, success_rate, reason } => {
            let body = json!({ "result": result, "success_rate": success_rate, "reason": reason });
            (session, "complete", given(body))
        }
        Verb::Fail { session, message, code, final_ } => {
            let body = json!({ "error_message": message, "error_code": code,
                               "retryable": !final_ });
            (session, "fail", given(body))
        }
        Verb::Prompt { session, text, interrupt } => {
            let mode = if interrupt { "interrupt" } else { "queue" };
            (session, "prompt", json!({ "text": text, "mode": mode }))
        }
        Verb::Checkpoint { session, data } => {
            (session, "checkpoints", json!({ "checkpoint_data": data }))
        }
        Verb::Restore { session, checkpoint } => {
            let number = checkpoint.to_string();
            let path = ["sessions", &session, "checkpoints", &number, "restore"];
            let answer = client.post(&path, &json!({})).await?;
            return Ok(done(
                &answer,
                &format!("{session} is back at checkpoint {number}"),
                printer,
            ));
        }
        other => return Err(CliError::usage(format!("not a command that changes: {other:?}"))),
    };
    let answer = client.post(&["sessions", &session, action], &body).await?;
    let remark = match (action, answer.get("status").and_then(Value::as_str)) {
        ("checkpoints", _) => format!("{session}: checkpoint {} saved", answer["sequence"]),
        ("prompt", _) => format!("{session} will be told"),
        (_, Some(status)) => format!("{session} is {status}"),
        (_, None) => format!("{session}: {action} is under way"),
    };
    Ok(done(&answer, &remark, printer))
}

/// A body without what was not given.
pub(super) fn given(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    body
}

/// Prints the answer for programs, a remark for people.
fn done(answer: &Value, remark: &str, printer: &Printer) -> u8 {
    if printer.is_json() {
        printer.json(answer);
    } else {
        printer.line(super::format::clean(remark));
    }
    code::OK
}
