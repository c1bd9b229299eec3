//! `task …`: work in parts.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::args::{TaskCommand, TaskCreateArgs, TaskDecomposeArgs, TaskListArgs, TaskMoveArgs};
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{facts, line, plain, relative};
use super::output::{BOLD, Printer, painted};

/// Runs `task …`.
pub(super) async fn run(
    command: TaskCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let found = match command {
        TaskCommand::List(args) => return list(&args, client, printer).await,
        TaskCommand::Show { task } => client.get(&["tasks", &task], &[]).await?,
        TaskCommand::Create(args) => client.post(&["tasks"], &creation(&args)).await?,
        TaskCommand::Delete { task } => {
            client.json(client.request(Method::DELETE, &["tasks", &task])).await?;
            printer.note(format!("{task} is deleted"));
            return Ok(code::OK);
        }
        TaskCommand::Tree { task } => {
            let found = client.get(&["tasks", &task, "tree"], &[]).await?;
            return Ok(tree(&found, printer));
        }
        TaskCommand::Graph { task } => {
            let found = client.get(&["tasks", &task, "graph"], &[]).await?;
            return Ok(graph(&found, printer));
        }
        TaskCommand::Stats { session } => {
            let query: Vec<_> = session.into_iter().map(|it| ("session_id", it)).collect();
            let found = client.get(&["tasks", "stats"], &query).await?;
            return Ok(stats(&found, printer));
        }
        TaskCommand::Depend(args) => {
            let body = json!({
                "target_task_id": args.target, "dependency_type": args.kind,
                "is_required": !args.optional,
            });
            let made = client.post(&["tasks", &args.task, "dependencies"], &body).await?;
            if printer.is_json() {
                printer.json(&made);
            } else {
                printer.note(format!("{} needs {} now", args.task, args.target));
            }
            return Ok(code::OK);
        }
        TaskCommand::Free { task, dependency } => {
            let path = ["tasks", &task, "dependencies", &dependency];
            client.json(client.request(Method::DELETE, &path)).await?;
            printer.note("the dependency is gone");
            return Ok(code::OK);
        }
        TaskCommand::Decompose(args) => return decompose(&args, client, printer).await,
        TaskCommand::Execute { task, max_parallel, fail_fast } => {
            let body = json!({ "max_parallel": max_parallel, "fail_fast": fail_fast });
            moved(client, &task, "execute", body).await?
        }
        TaskCommand::Assign { task, agent } => {
            moved(client, &task, "assign", json!({ "agent": agent })).await?
        }
        TaskCommand::Start { task } => moved(client, &task, "start", json!({})).await?,
        TaskCommand::Complete { task, result } => {
            let result: Option<Map<String, Value>> =
                result.as_deref().map(serde_json::from_str).transpose().map_err(|error| {
                    CliError::usage(format!("--result is no JSON object: {error}"))
                })?;
            moved(client, &task, "complete", json!({ "result": result })).await?
        }
        TaskCommand::Fail { task, message } => {
            moved(client, &task, "fail", json!({ "error_message": message })).await?
        }
        TaskCommand::Pause(args) => with_reason(client, &args, "pause").await?,
        TaskCommand::Cancel(args) => with_reason(client, &args, "cancel").await?,
        TaskCommand::Skip(args) => with_reason(client, &args, "skip").await?,
        TaskCommand::Retry(args) => with_reason(client, &args, "retry").await?,
    };
    show(&found, client, printer);
    Ok(code::OK)
}

async fn moved(client: &Client, task: &str, verb: &str, body: Value) -> Result<Value, CliError> {
    client.post(&["tasks", task, verb], &body).await
}

async fn with_reason(client: &Client, args: &TaskMoveArgs, verb: &str) -> Result<Value, CliError> {
    moved(client, &args.task, verb, json!({ "reason": args.reason })).await
}

fn creation(args: &TaskCreateArgs) -> Value {
    let TaskCreateArgs {
        session,
        title,
        description,
        task_type,
        hours,
        priority,
        parent,
        needs,
        capabilities,
        max_retries,
    } = args;
    let needs: Vec<Value> = needs.iter().map(|task| json!({ "target_task_id": task })).collect();
    json!({
        "session_id": session, "title": title, "description": description, "task_type": task_type,
        "estimated_hours": hours, "priority": priority, "parent_task_id": parent,
        "dependencies": needs, "required_capabilities": capabilities, "max_retries": max_retries,
    })
}

async fn list(args: &TaskListArgs, client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let mut query = vec![("limit", args.limit.to_string())];
    query.extend(args.session.clone().map(|session| ("session_id", session)));
    query.extend(args.parent.clone().map(|parent| ("parent_task_id", parent)));
    query.extend(args.status.iter().map(|status| ("status", status.clone())));
    let page = client.get(&["tasks"], &query).await?;
    if printer.is_json() {
        printer.json(&page);
        return Ok(code::OK);
    }
    let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        printer.note("there is no task");
        return Ok(code::OK);
    }
    let now = client.clock.now();
    let row = |item: &Value| {
        let depth = item["depth"].as_u64().and_then(|depth| usize::try_from(depth).ok());
        let indent = "  ".repeat(depth.unwrap_or(0));
        vec![
            plain(&item["id"]),
            line(&format!("{indent}{}", plain(&item["title"])), 60),
            plain(&item["status"]),
            percent(&item["progress_percentage"]),
            hours(&item["estimate"]["expected_hours"]),
            plain(&item["priority"]),
            relative(&item["updated_at"], now),
        ]
    };
    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
    printer.table(&["ID", "TITLE", "STATUS", "DONE", "HOURS", "PRIORITY", "UPDATED"], &rows);
    Ok(code::OK)
}

fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(String::new, |share| format!("{share:.0} %"))
}

fn hours(value: &Value) -> String {
    value.as_f64().map_or_else(String::new, |hours| format!("{hours:.1}"))
}

fn show(task: &Value, client: &Client, printer: &Printer) {
    if printer.is_json() {
        return printer.json(task);
    }
    let now = client.clock.now();
    printer.line(painted(&plain(&task["title"]), BOLD));
    let pairs = [
        ("id", plain(&task["id"])),
        ("status", plain(&task["status"])),
        ("because", plain(&task["status_reason"])),
        ("session", plain(&task["session_id"])),
        ("executed by", plain(&task["child_session_id"])),
        ("agent", plain(&task["assigned_agent_id"])),
        ("type", plain(&task["task_type"])),
        ("priority", plain(&task["priority"])),
        ("hours", hours(&task["estimate"]["expected_hours"])),
        ("complexity", plain(&task["complexity_level"])),
        ("done", percent(&task["progress_percentage"])),
        ("attempt", plain(&task["attempt"])),
        ("updated", relative(&task["updated_at"], now)),
    ];
    printer.lines(facts(&pairs).iter().map(|fact| format!("  {fact}")));
    for need in task["dependencies"].as_array().into_iter().flatten() {
        let open = if need["is_satisfied"] == true { "is there" } else { "waits" };
        let (target, kind) = (plain(&need["target_task_id"]), plain(&need["dependency_type"]));
        printer
            .line(format!("  needs {target} ({kind}): {open}; dependency {}", plain(&need["id"])));
    }
    for code in task["warnings"].as_array().into_iter().flatten() {
        printer.note(plain(code));
    }
}

fn tree(found: &Value, printer: &Printer) -> u8 {
    if printer.is_json() {
        printer.json(found);
        return code::OK;
    }
    let mut rows = Vec::new();
    branch(&found["tree"], 0, &mut rows);
    printer.table(&["TITLE", "STATUS", "DONE", "ID"], &rows);
    let summary = &found["summary"];
    printer.note(format!(
        "{} of {} subtasks completed; about {} hours are left",
        plain(&summary["completed_tasks"]),
        plain(&summary["total_tasks"]),
        hours(&summary["estimated_remaining_hours"]),
    ));
    code::OK
}

fn branch(node: &Value, depth: usize, rows: &mut Vec<Vec<String>>) {
    rows.push(vec![
        line(&format!("{}{}", "  ".repeat(depth), plain(&node["title"])), 80),
        plain(&node["status"]),
        percent(&node["progress_percentage"]),
        plain(&node["id"]),
    ]);
    for child in node["children"].as_array().into_iter().flatten() {
        branch(child, depth + 1, rows);
    }
}

fn graph(found: &Value, printer: &Printer) -> u8 {
    if printer.is_json() {
        printer.json(found);
        return code::OK;
    }
    let row = |node: &Value| {
        vec![
            line(&plain(&node["title"]), 60),
            plain(&node["status"]),
            hours(&node["expected_hours"]),
            hours(&node["earliest_start"]),
            hours(&node["latest_start"]),
            hours(&node["slack"]),
            if node["is_critical"] == true { "yes".to_owned() } else { String::new() },
        ]
    };
    let rows: Vec<Vec<String>> = found["nodes"].as_array().into_iter().flatten().map(row).collect();
    printer.table(&["TITLE", "STATUS", "HOURS", "FROM", "AT LAST", "SLACK", "CRITICAL"], &rows);
    printer.note(format!(
        "{} done; {} hours in all; expected to end: {}",
        percent(&found["progress"]),
        hours(&found["total_estimated_hours"]),
        plain(&found["eta"]),
    ));
    code::OK
}

fn stats(found: &Value, printer: &Printer) -> u8 {
    if printer.is_json() {
        printer.json(found);
        return code::OK;
    }
    let mut rows = Vec::new();
    for group in ["tasks_by_status", "tasks_by_priority", "tasks_by_complexity"] {
        for (name, count) in found[group].as_object().into_iter().flatten() {
            rows.push(vec![
                group.trim_start_matches("tasks_by_").to_owned(),
                name.clone(),
                plain(count),
            ]);
        }
    }
    printer.table(&["BY", "WHAT", "TASKS"], &rows);
    printer.note(format!(
        "{} tasks; {} overdue, {} blocked",
        plain(&found["total_tasks"]),
        plain(&found["overdue_tasks"]),
        plain(&found["blocked_tasks"]),
    ));
    code::OK
}

async fn decompose(
    args: &TaskDecomposeArgs,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    let TaskDecomposeArgs { task, strategy, template, max_depth, dry_run, plan } = args;
    let plan = plan.as_deref().map(super::template::parsed).transpose()?;
    let body = json!({
        "strategy": strategy, "template_name": template, "max_depth": max_depth,
        "dry_run": dry_run, "plan": plan,
    });
    let made = client.post(&["tasks", task, "decompose"], &body).await?;
    if printer.is_json() {
        printer.json(&made);
        return Ok(code::OK);
    }
    if let Value::String(session) = &made["planner_session_id"] {
        printer.note(format!("session {session} works on a plan; ask again for what came of it"));
        return Ok(code::OK);
    }
    let row = |node: &Value| {
        let depth = node["depth"].as_u64().and_then(|depth| usize::try_from(depth).ok());
        let indent = "  ".repeat(depth.unwrap_or(1).saturating_sub(1));
        vec![
            line(&format!("{indent}{}", plain(&node["title"])), 80),
            hours(&node["expected_hours"]),
            plain(&node["complexity_level"]),
            plain(&node["template_key"]),
            plain(&node["task_id"]),
        ]
    };
    let rows: Vec<Vec<String>> =
        made["subtasks"].as_array().into_iter().flatten().map(row).collect();
    printer.table(&["TITLE", "HOURS", "COMPLEXITY", "TEMPLATE", "ID"], &rows);
    for warning in made["warnings"].as_array().into_iter().flatten() {
        printer.note(format!("{}: {}", plain(&warning["code"]), plain(&warning["title"])));
    }
    let count = plain(&made["subtasks_created"]);
    let would = if *dry_run { "would be made; nothing was written" } else { "were made" };
    printer.note(format!(
        "{count} subtasks {would}; {} hours in all",
        hours(&made["total_estimated_hours"])
    ));
    Ok(code::OK)
}
