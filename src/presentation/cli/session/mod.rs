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
    let api = Api { client, printer };
    match verb {
        Verb::List(args) => show::list(&args, client, printer).await,
        Verb::Show { session } => show::one(&session, client, printer).await,
        Verb::Create(args) => change::create(&args, client, printer).await,
        Verb::Start { session } => api.order(&session, "start", json!({})).await,
        Verb::Pause { session } => api.order(&session, "pause", json!({})).await,
        Verb::Resume { session } => api.order(&session, "resume", json!({})).await,
        Verb::Stop { session, reason } => {
            api.order(&session, "stop", json!({ "reason": reason })).await
        }
        Verb::Cancel { session, reason } => {
            api.order(&session, "cancel", json!({ "reason": reason })).await
        }
        Verb::Retry { session, from_checkpoint } => {
            api.order(&session, "retry", json!({ "from_checkpoint": from_checkpoint })).await
        }
        Verb::Complete { session, result, success_rate, reason } => {
            let body = json!({ "result": result, "success_rate": success_rate, "reason": reason });
            api.order(&session, "complete", body).await
        }
        Verb::Fail { session, message, code, final_ } => {
            let body = json!({ "error_message": message, "error_code": code,
                               "retryable": !final_ });
            api.order(&session, "fail", body).await
        }
        Verb::Verify { session, force } => work::verify(&session, force, client, printer).await,
        Verb::Rate { session, success_rate, quality, comment } => {
            let body = json!({ "success_rate": success_rate, "code_quality_score": quality,
                               "comment": comment });
            api.order(&session, "rate", body).await
        }
        Verb::Prompt { session, text, interrupt } => {
            let mode = if interrupt { "interrupt" } else { "queue" };
            api.order(&session, "prompt", json!({ "text": text, "mode": mode })).await
        }
        Verb::Fork(args) => change::fork(&args, client, printer).await,
        Verb::Edit(args) => change::edit(&args, client, printer).await,
        Verb::Delete { session, purge } => change::delete(&session, purge, client, printer).await,
        Verb::Checkpoints { session } => show::checkpoints(&session, client, printer).await,
        Verb::Checkpoint { session, data } => {
            api.order(&session, "checkpoints", json!({ "checkpoint_data": data })).await
        }
        Verb::Restore { session, checkpoint } => api.restore(&session, checkpoint).await,
        Verb::Attempts { session } => show::attempts(&session, client, printer).await,
        Verb::Transcript { session, follow } => {
            follow::transcript(&session, follow, client, printer).await
        }
        Verb::Logs { session, follow, after } => {
            follow::logs(&session, follow, after.unwrap_or(0), client, printer).await
        }
        Verb::Artifacts(args) => work::artifacts(&args, client, printer).await,
        Verb::Diff(args) => work::diff(&args, client, printer).await,
        Verb::Merge(args) => work::merge(&args, client, printer).await,
        Verb::Tree { session } => show::tree(&session, client, printer).await,
        Verb::Stats => show::stats(client, printer).await,
        Verb::Events { session, args } => {
            events::list(&["sessions", &session, "events"], &args, client, printer).await
        }
        Verb::Watch { session } => follow::watch(&session, client, printer).await,
    }
}

/// Where orders go and what they say.
struct Api<'a> {
    client: &'a Client,
    printer: &'a Printer,
}

impl Api<'_> {
    /// Sends a verb with its body; the session, or what was made, comes back.
    async fn order(&self, session: &str, action: &str, body: Value) -> Result<u8, CliError> {
        let path = ["sessions", session, action];
        let answer = self.client.post(&path, &given(body)).await?;
        let remark = match (action, answer.get("status").and_then(Value::as_str)) {
            ("checkpoints", _) => format!("{session}: checkpoint {} saved", answer["sequence"]),
            ("rate", _) => format!("{session} is rated"),
            ("prompt", _) => format!("{session} will be told"),
            (_, Some(status)) => format!("{session} is {status}"),
            (_, None) => format!("{session}: {action} is under way"),
        };
        Ok(done(&answer, &remark, self.printer))
    }

    async fn restore(&self, session: &str, checkpoint: u64) -> Result<u8, CliError> {
        let number = checkpoint.to_string();
        let path = ["sessions", session, "checkpoints", &number, "restore"];
        let answer = self.client.post(&path, &json!({})).await?;
        Ok(done(&answer, &format!("{session} is back at checkpoint {number}"), self.printer))
    }
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
