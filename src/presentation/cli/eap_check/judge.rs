//! What is the same for agents that are called and agents that fetch: registrations, heartbeats, results.

use serde_json::{Map, Value};

use super::sheet::{Rule, Sheet};
use super::stage::{Stage, told};
use crate::domain::canonical::depth;
use crate::domain::eap::result::{ResultStatus, TaskResult, is_relative};
use crate::domain::eap::said;
use crate::domain::ids::AgentId;
use crate::domain::time::Timestamp;

/// Deepest nesting of an answer.
const MOST_DEPTH: usize = 64;

/// How a result came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// As the answer to an assignment.
    Answered,
    /// By a call of the agent.
    Brought,
}

/// What the agent registered with.
pub(super) fn registration(sheet: &mut Sheet<'_>, stage: &Stage) {
    let known = stage.state();
    let Some((sent, wrong)) = &known.registered else { return };
    let name = sent.get("name").and_then(Value::as_str).unwrap_or("no name").to_owned();
    let first = known.calls.iter().find(|call| call.what == "register");
    let has_key = first.is_some_and(|call| call.has_key);
    let came = if wrong.is_empty() { name } else { wrong.join("; ") };
    sheet.judge(Rule::Registers, wrong.is_empty(), came);
    if has_key {
        sheet.pass(Rule::Credential, "Authorization");
    } else {
        sheet.warn(
            Rule::Credential,
            "none: it can register where anybody on the machine may, alone",
        );
    }
}

/// What is wrong with a heartbeat.
pub(super) fn heartbeat(sent: &Map<String, Value>, now: Timestamp) -> Result<String, String> {
    let beat = said::heartbeat(AgentId::new(uuid::Uuid::nil()), sent, now);
    let beat = beat.map_err(|errors| told(&errors).join("; "))?;
    Ok(format!("{}, load {}", beat.status, beat.current_load))
}

/// Whether the agent showed its own token wherever it had to.
pub(super) fn tokens(sheet: &mut Sheet<'_>, stage: &Stage) {
    let known = stage.state();
    let own = || known.calls.iter().filter(|call| call.what != "register");
    let wrong = own().find_map(|call| {
        let why = call.wrong_token?;
        Some(format!("{} {}: {why}", call.method, call.what))
    });
    match wrong {
        Some(wrong) => sheet.fail(Rule::TokenHeader, wrong),
        None if own().next().is_none() => {}
        None => sheet.pass(Rule::TokenHeader, format!("{} calls", own().count())),
    }
}

/// Everything about one result.
pub(super) fn result(
    sheet: &mut Sheet<'_>,
    result: &Map<String, Value>,
    work: &Map<String, Value>,
    way: Way,
) {
    let levels = depth(&Value::Object(result.clone()));
    sheet.judge(Rule::AnswerDepth, levels <= MOST_DEPTH, format!("depth {levels}"));
    let value = |name: &str| result.get(name).unwrap_or(&Value::Null);
    let is_echoed = value("task_id") == &work["task_id"];
    let came = if is_echoed { "the same".to_owned() } else { value("task_id").to_string() };
    sheet.judge(Rule::ResultTask, is_echoed, came);
    match (value("fencing_token"), way) {
        (token, _) if token == &work["fencing_token"] => sheet.pass(Rule::ResultToken, token),
        (Value::Null, Way::Answered) => {
            sheet.pass(Rule::ResultToken, "none, as it may be in a direct answer");
        }
        (Value::Null, Way::Brought) => sheet.fail(Rule::ResultToken, "none"),
        (other, _) => {
            let wanted = &work["fencing_token"];
            sheet.fail(Rule::ResultToken, format!("{other} for {wanted}"));
        }
    }
    let status = value("status");
    let is_known = status.as_str().and_then(ResultStatus::parse).is_some();
    sheet.judge(Rule::ResultStatus, is_known, status);
    let paths: Vec<&str> = value("artifacts")
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| one["path"].as_str().unwrap_or_default())
        .collect();
    let astray: Vec<String> =
        paths.iter().filter(|path| !is_relative(path)).map(|path| format!("{path:?}")).collect();
    let count = format!("{} files", paths.len());
    let came = if astray.is_empty() { count } else { astray.join(", ") };
    sheet.judge(Rule::Artifacts, astray.is_empty(), came);
    // What has a rule of its own was told already.
    let has_own = |pointer: &str| {
        matches!(pointer, "/task_id" | "/status" | "/fencing_token")
            || (pointer.starts_with("/artifacts/") && pointer.ends_with("/path"))
    };
    let mut errors = TaskResult::read(result).err().unwrap_or_default();
    errors.retain(|error| !has_own(&error.pointer));
    let came = if errors.is_empty() { "readable".to_owned() } else { told(&errors).join("; ") };
    sheet.judge(Rule::ResultReadable, errors.is_empty(), came);
}
