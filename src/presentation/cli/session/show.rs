//! Tables and facts about sessions.

use serde_json::Value;

use super::super::args::ListArgs;
use super::super::client::Client;
use super::super::exit::{CliError, code};
use super::super::format::{count, facts, line, money, plain, priority, relative, seconds, table};
use super::super::output::{ALERT, BAD, BOLD, Printer, painted, status_word};
use crate::domain::time::Timestamp;

/// The items of a page, or of a bare list.
pub(super) fn items(page: &Value) -> &[Value] {
    let list = page.get("items").unwrap_or(page);
    list.as_array().map_or(&[], Vec::as_slice)
}

pub(super) async fn list(
    args: &ListArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.status.iter().map(|status| ("status", status.clone())));
    query.extend(args.tag.iter().map(|tag| ("tag", tag.clone())));
    let single = [
        ("session_type", &args.session_type),
        ("priority", &args.priority),
        ("agent", &args.agent),
        ("parent_id", &args.parent),
        ("attention", &args.attention),
        ("created_after", &args.created_after),
        ("created_before", &args.created_before),
        ("q", &args.query),
        ("cursor", &args.cursor),
    ];
    query.extend(single.iter().filter_map(|(name, value)| Some((*name, Option::clone(value)?))));
    let page = client.get(&["sessions"], &query).await?;
    if printer.is_json() {
        printer.json(&page);
        return Ok(code::OK);
    }
    let sessions = items(&page);
    if sessions.is_empty() {
        printer.note("no sessions; start one with `orchestrator run \"what to do\"`");
        return Ok(code::OK);
    }
    let now = client.clock.now();
    let rows: Vec<Vec<String>> = sessions.iter().map(|session| row(session, now)).collect();
    let headers = ["CODE", "STATUS", "TITLE", "PRIORITY", "CREATED", "TOKENS", "COST", "ATTENTION"];
    printer.status_table(&headers, &rows);
    if let Some(cursor) = page["next_cursor"].as_str() {
        printer.note(format!("more: --cursor {cursor}"));
    }
    Ok(code::OK)
}

fn row(session: &Value, now: Timestamp) -> Vec<String> {
    let metrics = &session["metrics"];
    let attention = plain(&session["attention"]);
    vec![
        plain(&session["code"]),
        plain(&session["status"]),
        line(&plain(&session["title"]), 48),
        priority(&session["priority"]),
        relative(&session["created_at"], now),
        count(&metrics["total_tokens_used"]),
        money(&metrics["estimated_cost_usd"]),
        if attention == "none" { String::new() } else { attention },
    ]
}

pub(super) async fn one(
    reference: &str,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let session = client.get(&["sessions", reference], &[]).await?;
    if printer.is_json() {
        printer.json(&session);
        return Ok(code::OK);
    }
    print(&session, client.clock.now(), printer);
    Ok(code::OK)
}

/// A session with its figures.
fn print(session: &Value, now: Timestamp, printer: &Printer) {
    let metrics = &session["metrics"];
    let head = painted(&plain(&session["code"]), BOLD);
    let status = status_word(&plain(&session["status"]));
    printer.line(format!("{head}  {status}  {}", line(&plain(&session["title"]), 120)));
    let pairs = [
        ("id", plain(&session["id"])),
        ("reason", plain(&session["status_reason"])),
        ("phase", plain(&session["phase"])),
        ("type", plain(&session["session_type"])),
        ("priority", priority(&session["priority"])),
        ("agent", agent(session)),
        ("model", plain(&session["model_identifier"])),
        ("after", joined(&session["after"])),
        ("workspace", workspace(&session["workspace"])),
        ("created", relative(&session["created_at"], now)),
        ("started", relative(&session["started_at"], now)),
        ("ended", relative(&session["ended_at"], now)),
        ("waited", seconds(&metrics["queue_duration_seconds"])),
        ("worked", seconds(&metrics["execution_duration_seconds"])),
        ("attempt", plain(&session["attempt"])),
        ("checkpoints", plain(&session["checkpoint_count"])),
        ("tokens", count(&metrics["total_tokens_used"])),
        ("cost", money(&metrics["estimated_cost_usd"])),
        ("next attempt", relative(&session["next_attempt_at"], now)),
        ("tags", joined(&session["tags"])),
    ];
    printer.lines(facts(&pairs).iter().map(|fact| format!("  {fact}")));
    if let Some(attention) = session["attention"].as_str().filter(|word| *word != "none") {
        let code = plain(&session["code"]);
        let text = format!("  {attention}: `orchestrator attention show {code}`");
        printer.line(painted(&text, ALERT));
    }
    if let Some(error) = metrics.get("error").filter(|error| error.is_object()) {
        let text = format!("{}: {}", plain(&error["type"]), plain(&error["message"]));
        printer.line(format!("  {} {text}", painted("error", BAD)));
    }
}

/// The agent that works on it, else the one that it is pinned to.
fn agent(session: &Value) -> String {
    let named = ["current_agent_name", "agent"].iter().find_map(|name| session[*name].as_str());
    named.unwrap_or_default().to_owned()
}

fn workspace(workspace: &Value) -> String {
    let kind = plain(&workspace["kind"]);
    let places = ["repo", "path", "branch", "base_ref"];
    let places = places.iter().filter_map(|name| workspace.get(*name)?.as_str());
    std::iter::once(kind.as_str()).chain(places).collect::<Vec<_>>().join(" ")
}

fn joined(texts: &Value) -> String {
    let texts = texts.as_array().map_or(&[][..], Vec::as_slice);
    texts.iter().map(plain).collect::<Vec<_>>().join(", ")
}

pub(super) async fn checkpoints(
    reference: &str,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let page = client.get(&["sessions", reference, "checkpoints"], &[]).await?;
    let now = client.clock.now();
    rows(&page, &["SEQ", "TRIGGER", "SAVED", "COMMIT"], printer, |checkpoint| {
        vec![
            plain(&checkpoint["sequence"]),
            plain(&checkpoint["trigger"]),
            relative(&checkpoint["created_at"], now),
            plain(&checkpoint["workspace_ref"]).chars().take(12).collect(),
        ]
    });
    Ok(code::OK)
}

pub(super) async fn attempts(
    reference: &str,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let page = client.get(&["sessions", reference, "attempts"], &[]).await?;
    let now = client.clock.now();
    let headers = ["NUMBER", "OUTCOME", "STARTED", "ENDED", "TOKENS", "COST", "ERROR"];
    rows(&page, &headers, printer, |attempt| {
        let usage = &attempt["usage"];
        vec![
            plain(&attempt["number"]),
            plain(&attempt["outcome"]),
            relative(&attempt["started_at"], now),
            relative(&attempt["ended_at"], now),
            count(&usage["tokens_total"]),
            money(&usage["cost_usd"]),
            line(&plain(&attempt["error"]["message"]), 60),
        ]
    });
    Ok(code::OK)
}

fn rows(page: &Value, headers: &[&str], printer: &Printer, row: impl Fn(&Value) -> Vec<String>) {
    if printer.is_json() {
        return printer.json(page);
    }
    let rows: Vec<Vec<String>> = items(page).iter().map(row).collect();
    printer.table(headers, &rows);
}

pub(super) async fn tree(
    reference: &str,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let root = client.get(&["sessions", reference, "tree"], &[]).await?;
    if printer.is_json() {
        printer.json(&root);
    } else {
        branch(&root, 0, printer);
    }
    Ok(code::OK)
}

/// A node and what is below it; the depth is bounded whatever the answer says.
fn branch(node: &Value, depth: usize, printer: &Printer) {
    let indent = "  ".repeat(depth);
    let (code, title) = (plain(&node["code"]), line(&plain(&node["title"]), 80));
    printer.line(format!("{indent}{code}  {}  {title}", status_word(&plain(&node["status"]))));
    if depth < 10 {
        let children = node["children"].as_array().map_or(&[][..], Vec::as_slice);
        for child in children {
            branch(child, depth + 1, printer);
        }
    }
}

pub(super) async fn stats(client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let stats = client.get(&["sessions", "stats"], &[]).await?;
    if printer.is_json() {
        printer.json(&stats);
        return Ok(code::OK);
    }
    let duration = &stats["duration_stats"];
    let pairs = [
        ("sessions", plain(&stats["total_sessions"])),
        ("active", plain(&stats["active_sessions"])),
        ("completed", plain(&stats["completed_sessions"])),
        ("failed", plain(&stats["failed_sessions"])),
        ("success rate", plain(&stats["average_success_rate"])),
        ("mean duration", seconds(&stats["average_duration_seconds"])),
        ("median duration", seconds(&duration["median_duration_seconds"])),
        ("longest", seconds(&duration["max_duration_seconds"])),
        ("tokens", count(&stats["total_tokens"])),
        ("cost", money(&stats["total_cost_usd"])),
    ];
    printer.lines(facts(&pairs));
    if stats["simulated"].as_bool() == Some(true) {
        printer.note("some of these figures come from simulated agents");
    }
    let by_status = stats["sessions_by_status"].as_object().into_iter().flatten();
    let rows: Vec<Vec<String>> = by_status
        .filter(|(_, number)| number.as_u64() != Some(0))
        .map(|(status, number)| vec![status.clone(), plain(number)])
        .collect();
    if !rows.is_empty() {
        printer.line("");
        printer.lines(table(&["STATUS", "SESSIONS"], &rows));
    }
    Ok(code::OK)
}
