//! `agent route`, `stats`, `performance`, `health`, `report`: agents looked at as a fleet.

use serde_json::{Map, Value, json};

use super::args::{AgentReportArgs, AgentRouteArgs, OutcomeWord};
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{count, facts, line, money, plain, relative, seconds};
use super::output::{BOLD, Printer, painted};

/// Components in the order in which they are told, with the heads of their columns.
const PARTS: [(&str, &str); 7] = [
    ("tier", "TIER"),
    ("capability", "CAN"),
    ("technology", "TECH"),
    ("session_type", "TYPE"),
    ("complexity", "SIZE"),
    ("load", "LOAD"),
    ("availability", "FREE"),
];

/// `agent route`.
pub(super) async fn route(
    args: &AgentRouteArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let told = client.post(&["agents", "route"], &work(args)).await?;
    if printer.is_json() {
        printer.json(&told);
        return Ok(code::OK);
    }
    printer.line(painted(&line(&plain(&told["routing_reason"]), 200), BOLD));
    let candidates = list(&told["candidates"]);
    let weight = |part: &str| {
        let parts = candidates.iter().flat_map(|one| list(&one["components"]));
        let mut found = parts.filter(|one| one["component"] == part);
        found.next().map(|one| decimals(&one["weight"], 2)).unwrap_or_default()
    };
    let heads: Vec<String> = ["AGENT".to_owned(), "SCORE".to_owned()]
        .into_iter()
        .chain(PARTS.iter().map(|(part, head)| format!("{head} ×{}", weight(part))))
        .chain(["WISHES".to_owned(), "REFUSED BY".to_owned()])
        .collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let rows: Vec<Vec<String>> = candidates.iter().map(candidate).collect();
    printer.table(&heads, &rows);
    let untold = told["candidates_total"].as_u64().unwrap_or(0) - rows.len() as u64;
    if untold > 0 {
        printer.note(format!("{untold} more agents are not told; leave --best out to see all"));
    }
    if let Some(id) = told["reservation"]["id"].as_str() {
        let until = relative(&told["reservation"]["expires_at"], client.clock.now());
        let name = line(&plain(&told["selected_agent"]["name"]), 100);
        printer.note(format!("room at {name} is held for you ({id}); it is free again {until}"));
        printer.note(format!("to use it: orchestrator run --agent {name} 'what is to be done'"));
    }
    Ok(code::OK)
}

fn work(args: &AgentRouteArgs) -> Value {
    let AgentRouteArgs {
        task,
        capabilities,
        any,
        technologies,
        session_type,
        complexity,
        prefer,
        prefer_type,
        min_tier,
        exclude,
        reserve,
        best,
    } = args;
    let mut body = Map::new();
    let mut say = |name: &str, value: Option<Value>| {
        body.extend(value.map(|value| (name.to_owned(), value)));
    };
    let all = |texts: &[String]| (!texts.is_empty()).then(|| json!(texts));
    say("task_description", Some(json!(task)));
    say("required_capabilities", Some(json!(capabilities)));
    say("match", any.then(|| json!("any")));
    say("technologies", all(technologies));
    say("session_type", session_type.as_ref().map(|word| json!(word)));
    say("estimated_complexity", complexity.map(|number| json!(number)));
    say("preferred_agent_ids", all(prefer));
    say("preferred_agent_type", prefer_type.as_ref().map(|word| json!(word)));
    say("min_performance_tier", min_tier.as_ref().map(|word| json!(word)));
    say("exclude_agent_ids", all(exclude));
    say("reserve", reserve.then(|| json!(true)));
    say("explain", best.then(|| json!("best")));
    Value::Object(body)
}

fn candidate(one: &Value) -> Vec<String> {
    let part = |name: &str| {
        let parts = list(&one["components"]);
        let found = parts.iter().find(|part| part["component"] == name);
        found.map(|part| decimals(&part["value"], 2)).unwrap_or_default()
    };
    let bonuses = &one["bonuses"];
    let wishes = ["preferred_agent", "preferred_type"];
    let earned: f64 = wishes.iter().filter_map(|name| bonuses[*name].as_f64()).sum();
    let wishes = if earned > 0.0 { format!("{earned:.1}") } else { String::new() };
    let score = if one["score"].is_null() { String::new() } else { decimals(&one["score"], 4) };
    [line(&plain(&one["agent_name"]), 70), score]
        .into_iter()
        .chain(PARTS.iter().map(|(name, _)| part(name)))
        .chain([wishes, one["gate"].as_str().unwrap_or_default().to_owned()])
        .collect()
}

/// `agent stats`.
/// Moves what waits for those who cannot take it.
pub(super) async fn rebalance(
    dry_run: bool,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let done = client.post(&["agents", "rebalance"], &json!({ "dry_run": dry_run })).await?;
    if printer.is_json() {
        printer.json(&done);
        return Ok(code::OK);
    }
    let count = plain(&done["tasks_rebalanced"]);
    let verb = if dry_run { "would move" } else { "moved" };
    printer.line(format!("{count} sessions {verb}"));
    let used = |name: &str, place: &str| percent(&done[place][name]);
    let names = done["agents_affected"].as_array().into_iter().flatten();
    let row = |name: &Value| {
        let name = plain(name);
        let (before, after) = (used(&name, "before_utilization"), used(&name, "after_utilization"));
        vec![name, before, after]
    };
    let rows: Vec<Vec<String>> = names.map(row).collect();
    if !rows.is_empty() {
        printer.table(&["AGENT", "BEFORE", "AFTER"], &rows);
    }
    for error in done["errors"].as_array().into_iter().flatten() {
        printer.note(plain(error));
    }
    Ok(code::OK)
}

/// Shows new tokens, once.
pub(super) fn tokens(tokens: &Value, printer: &Printer) -> u8 {
    if printer.is_json() {
        printer.json(tokens);
        return code::OK;
    }
    printer.lines(facts(&[
        ("token of the agent", plain(&tokens["auth_token"])),
        ("shown to the agent", plain(&tokens["dispatch_token"])),
        ("old one good until", plain(&tokens["previous_valid_until"])),
    ]));
    code::OK
}

pub(super) async fn stats(client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let pool = client.get(&["agents", "stats"], &[]).await?;
    if printer.is_json() {
        printer.json(&pool);
        return Ok(code::OK);
    }
    let pairs = [
        ("agents", plain(&pool["total_agents"])),
        ("available", plain(&pool["available_agents"])),
        ("busy", plain(&pool["busy_agents"])),
        ("degraded", plain(&pool["degraded_agents"])),
        ("used of all", percent(&pool["overall_utilization"])),
        ("success", percent(&pool["average_success_rate"])),
    ];
    printer.lines(facts(&pairs));
    let counts = [
        ("agents_by_state", "STATE"),
        ("agents_by_tier", "TIER"),
        ("agents_by_load_level", "LOAD"),
        ("agents_by_type", "TYPE"),
        ("agents_by_capability", "CAPABILITY"),
    ];
    for (name, head) in counts {
        let mut rows: Vec<(u64, String)> = pool[name]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(word, count)| (count.as_u64().unwrap_or(0), line(word, 64)))
            .collect();
        if rows.is_empty() {
            continue;
        }
        rows.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        let rows: Vec<Vec<String>> =
            rows.into_iter().map(|(count, word)| vec![word, count.to_string()]).collect();
        printer.line("");
        printer.table(&[head, "AGENTS"], &rows);
    }
    Ok(code::OK)
}

/// `agent performance`.
pub(super) async fn performance(
    agent: &str,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let found = client.get(&["agents", agent, "performance"], &[]).await?;
    show(&found, printer);
    Ok(code::OK)
}

/// `agent report`.
pub(super) async fn report(
    args: &AgentReportArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let AgentReportArgs { agent, outcome, quality, seconds, tokens, cost } = args;
    let mut body = Map::new();
    body.insert("task_success".to_owned(), json!(*outcome == OutcomeWord::Success));
    body.insert("partial_success".to_owned(), json!(*outcome == OutcomeWord::Partial));
    let mut say = |name: &str, value: Option<Value>| {
        body.extend(value.map(|value| (name.to_owned(), value)));
    };
    say("quality_score", quality.map(|number| json!(number)));
    say("execution_time_seconds", seconds.map(|number| json!(number)));
    say("tokens_used", tokens.map(|number| json!(number)));
    say("cost_usd", cost.map(|number| json!(number)));
    let found = client.post(&["agents", agent, "performance"], &Value::Object(body)).await?;
    show(&found, printer);
    Ok(code::OK)
}

fn show(found: &Value, printer: &Printer) {
    if printer.is_json() {
        return printer.json(found);
    }
    let figures = &found["performance"];
    printer.line(painted(&line(&plain(&found["agent_name"]), 100), BOLD));
    let provisional = if found["tier_provisional"] == json!(true) { ", provisional" } else { "" };
    let is_new = figures["total_tasks"] == json!(0);
    let rate = |value: &Value| if is_new { String::new() } else { percent(value) };
    let ended = format!(
        "{}: {} done, {} in part, {} failed",
        plain(&figures["total_tasks"]),
        plain(&figures["successful_tasks"]),
        plain(&figures["partially_successful_tasks"]),
        plain(&figures["failed_tasks"])
    );
    let took = seconds(&figures["average_execution_time_seconds"]);
    let trend = |label: &str, slope: &str| match figures[slope].as_f64() {
        Some(slope) => format!("{} ({slope:+.3} a day)", words(&figures["trends"][label])),
        None => words(&figures["trends"][label]),
    };
    let pairs = [
        ("tier", format!("{}{provisional}", plain(&found["performance_tier"]))),
        ("works on", plain(&found["tasks_in_progress"])),
        (
            "load",
            format!(
                "{} ({:.0} %)",
                plain(&found["load_level"]),
                number(&found["utilization_percentage"])
            ),
        ),
        ("finished", ended),
        ("today", plain(&found["tasks_completed_today"])),
        ("success", rate(&figures["overall_success_rate"])),
        ("complete", rate(&figures["complete_success_rate"])),
        ("quality", optional(&figures["average_quality_score"])),
        ("takes", took),
        ("tokens", if is_new { String::new() } else { count(&figures["total_tokens_used"]) }),
        ("cost", if is_new { String::new() } else { money(&figures["total_cost_usd"]) }),
        ("success goes", trend("success_rate", "success_rate_trend_30d")),
        ("quality goes", trend("quality", "quality_trend_30d")),
        ("speed goes", trend("efficiency", "efficiency_trend_30d")),
    ];
    printer.lines(facts(&pairs).iter().map(|fact| format!("  {fact}")));
    for (name, head) in
        [("capability_success_rates", "CAPABILITY"), ("technology_success_rates", "TECHNOLOGY")]
    {
        let rows: Vec<Vec<String>> = figures[name]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(word, rate)| vec![line(word, 64), percent(rate)])
            .collect();
        if !rows.is_empty() {
            printer.line("");
            printer.table(&[head, "SUCCESS"], &rows);
        }
    }
    for advice in list(&found["recommendations"]) {
        printer.note(line(&plain(advice), 200));
    }
}

/// `agent health`.
pub(super) async fn health(
    agent: &str,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let found = client.get(&["agents", agent, "health"], &[]).await?;
    if printer.is_json() {
        printer.json(&found);
        return Ok(code::OK);
    }
    let name = line(&plain(&found["agent_name"]), 100);
    let is_well = found["is_healthy"] == json!(true);
    let verdict = if is_well { "nothing is wrong" } else { "something is wrong" };
    printer.line(painted(&format!("{name}: {verdict}"), BOLD));
    let silent = found["last_active_hours"].as_f64();
    let silent = silent.map_or_else(
        || "never".to_owned(),
        |hours| format!("{} ago", seconds(&json!(hours * 3600.0))),
    );
    let pairs = [
        ("tier", plain(&found["performance_tier"])),
        ("load", plain(&found["load_level"])),
        ("used", percent(&found["utilization"])),
        ("success", percent(&found["success_rate"])),
        ("active", silent),
    ];
    printer.lines(facts(&pairs).iter().map(|fact| format!("  {fact}")));
    let rows: Vec<Vec<String>> = list(&found["issues"])
        .iter()
        .map(|issue| {
            vec![
                plain(&issue["severity"]),
                words(&issue["type"]),
                line(&plain(&issue["message"]), 120),
            ]
        })
        .collect();
    if !rows.is_empty() {
        printer.line("");
        printer.table(&["SEVERITY", "ISSUE", "WHAT"], &rows);
    }
    Ok(code::OK)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[][..], Vec::as_slice)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

fn decimals(value: &Value, places: usize) -> String {
    format!("{:.places$}", number(value))
}

fn optional(value: &Value) -> String {
    value.as_f64().map(|number| format!("{number:.2}")).unwrap_or_default()
}

fn percent(value: &Value) -> String {
    value.as_f64().map(|share| format!("{:.0} %", share * 100.0)).unwrap_or_default()
}

/// A slug as people write it.
fn words(value: &Value) -> String {
    plain(value).replace('_', " ")
}
