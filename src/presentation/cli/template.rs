//! `template …`: into which parts kinds of tasks are split.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use super::args::{TemplateCheckArgs, TemplateCommand};
use super::client::Client;
use super::exit::{CliError, code};
use super::format::{facts, line, plain};
use super::output::{BOLD, Printer, painted};
use crate::domain::decompose::catalogue::Catalogue;
use crate::domain::decompose::file::read;
use crate::domain::decompose::procedure::decompose;
use crate::domain::decompose::request::RequestDraft;
use crate::domain::decompose::template::Template;
use crate::domain::field::FieldError;
use crate::domain::ids::{SessionId, TaskId, TenantId};
use crate::domain::task::draft::TaskDraft;
use crate::domain::task::{Place, Task};
use crate::domain::time::Timestamp;

/// Largest file that is read.
const LARGEST: u64 = 8 * 1024 * 1024;

/// Runs `template …`.
pub(super) async fn run(
    command: TemplateCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    match command {
        TemplateCommand::List => list(client, printer).await,
        TemplateCommand::Show { template } => {
            show(&client.get(&["templates", &template], &[]).await?, printer);
            Ok(code::OK)
        }
        TemplateCommand::Check(args) => check(&args, printer),
        TemplateCommand::Add { file } => {
            for template in templates_of(&file)? {
                let path = ["templates", template.key.as_str()];
                let request = client.request(Method::PUT, &path).json(&template.to_json());
                let kept = client.json(request).await?;
                if printer.is_json() {
                    printer.json(&kept);
                } else {
                    printer.note(format!("{} is there now", template.key));
                }
            }
            Ok(code::OK)
        }
        TemplateCommand::Remove { template } => {
            client.json(client.request(Method::DELETE, &["templates", &template])).await?;
            printer.note(format!("{template} is gone"));
            Ok(code::OK)
        }
        TemplateCommand::Export { template } => {
            let found = client.get(&["templates", &template], &[]).await?;
            printer.json(&json!({ "schema_version": 1, "template": [as_file(found)] }));
            Ok(code::OK)
        }
    }
}

/// What a file has of a template.
fn as_file(mut found: Value) -> Value {
    if let Some(map) = found.as_object_mut() {
        for beside in ["is_shipped", "is_own", "revision", "created_at", "updated_at"] {
            map.remove(beside);
        }
    }
    found
}

async fn list(client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let page = client.get(&["templates"], &[]).await?;
    if printer.is_json() {
        printer.json(&page);
        return Ok(code::OK);
    }
    let row = |item: &Value| {
        let words = if item["trigger"] == "keyword" { "keywords" } else { "task_types" };
        let words = item[words].as_array().into_iter().flatten().map(plain);
        let whose = match (&item["is_own"], &item["is_shipped"]) {
            (Value::Bool(true), Value::Bool(true)) => "own, in place of the shipped one",
            (Value::Bool(true), _) => "own",
            (_, _) => "shipped",
        };
        vec![
            plain(&item["key"]),
            line(&plain(&item["name"]), 40),
            plain(&item["trigger"]),
            line(&words.collect::<Vec<_>>().join(", "), 50),
            plain(&item["threshold"]),
            whose.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = page["items"].as_array().into_iter().flatten().map(row).collect();
    printer.table(&["KEY", "NAME", "BY", "WORDS", "FROM", "WHOSE"], &rows);
    Ok(code::OK)
}

fn show(template: &Value, printer: &Printer) {
    if printer.is_json() {
        return printer.json(template);
    }
    printer.line(painted(&plain(&template["name"]), BOLD));
    let pairs = [
        ("key", plain(&template["key"])),
        ("description", plain(&template["description"])),
        ("version", plain(&template["version"])),
        ("from", plain(&template["threshold"])),
        ("parts down to", plain(&template["leaf_target"])),
        ("further by", plain(&template["strategy"])),
        ("levels", plain(&template["max_depth"])),
        ("priority", plain(&template["priority"])),
    ];
    printer.lines(facts(&pairs).iter().map(|fact| format!("  {fact}")));
    let row = |subtask: &Value| {
        let needs = subtask["depends_on"].as_array().into_iter().flatten();
        let needs: Vec<String> = needs.map(|one| plain(&one["on"])).collect();
        let effort = if subtask["hours"].is_null() {
            format!("{} of the whole", plain(&subtask["share"]))
        } else {
            format!("{} h", plain(&subtask["hours"]))
        };
        vec![plain(&subtask["key"]), line(&plain(&subtask["title"]), 50), effort, needs.join(", ")]
    };
    let subtasks = template["subtask"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = subtasks.map(row).collect();
    printer.table(&["KEY", "TITLE", "EFFORT", "AFTER"], &rows);
}

/// Checks a file, and tries it on a task when a title is given.
pub(super) fn check(args: &TemplateCheckArgs, printer: &Printer) -> Result<u8, CliError> {
    let templates = templates_of(&args.file)?;
    let mut told = Vec::new();
    for template in &templates {
        let tried = match &args.title {
            Some(title) => Some(tried(template, title, args)?),
            None => None,
        };
        told.push((template, tried));
    }
    if printer.is_json() {
        let told = told.iter().map(|(template, tried)| {
            json!({ "key": template.key, "name": template.name, "subtasks": tried })
        });
        printer.json(&json!({ "valid": true, "templates": told.collect::<Vec<_>>() }));
        return Ok(code::OK);
    }
    for (template, tried) in told {
        printer.note(format!("{} ({}) is valid", template.key, template.name));
        let row = |node: &Value| vec![plain(&node["title"]), plain(&node["expected_hours"])];
        if let Some(Value::Array(nodes)) = tried {
            let rows: Vec<Vec<String>> = nodes.iter().map(row).collect();
            printer.table(&["TITLE", "HOURS"], &rows);
        }
    }
    Ok(code::OK)
}

/// What a template makes of a task.
fn tried(template: &Template, title: &str, args: &TemplateCheckArgs) -> Result<Value, CliError> {
    let now = Timestamp::EPOCH;
    let kind = args.task_type.clone().or_else(|| template.task_types.first().cloned());
    let draft = TaskDraft {
        title: title.to_owned(),
        task_type: kind,
        estimated_hours: Some(args.hours),
        ..TaskDraft::default()
    };
    let made = draft.accept(now).map_err(|errors| broken("the task is not valid", &errors))?;
    let nobody = uuid::Uuid::nil();
    let owner = (TenantId::BOOTSTRAP, SessionId::new(nobody));
    let (task, _) = Task::create(TaskId::new(nobody), owner, made, Place::default(), now);
    let named =
        RequestDraft { template_name: Some(template.key.clone()), ..RequestDraft::default() };
    let request = named.accept().map_err(|errors| broken("the template is not valid", &errors))?;
    let known = Catalogue::of([template.clone()]);
    let split = decompose(&task, false, &request, &known, now)
        .map_err(|refused| CliError::new(code::FAILED, refused.to_string()))?;
    let node = |node: &crate::domain::decompose::Node| {
        let hours = (node.estimate.hours.expected() * 100.0).round() / 100.0;
        let indent = "  ".repeat(node.depth.saturating_sub(1) as usize);
        json!({ "title": format!("{indent}{}", node.title), "expected_hours": hours })
    };
    Ok(split.nodes.iter().map(node).collect())
}

fn broken(what: &str, errors: &[FieldError]) -> CliError {
    let one =
        |FieldError { pointer, message, .. }: &FieldError| format!("\n  {pointer}: {message}");
    let listed: String = errors.iter().map(one).collect();
    CliError::new(code::FAILED, format!("{what}{listed}"))
}

fn templates_of(file: &Path) -> Result<Vec<Template>, CliError> {
    let tree = parsed(file)?;
    let what = format!("{} is not valid", file.display());
    read(&tree).map_err(|errors| broken(&what, &errors))
}

/// The tree of values that a TOML or JSON file holds.
pub(super) fn parsed(file: &Path) -> Result<Value, CliError> {
    let unreadable = |error: &dyn std::fmt::Display| {
        CliError::new(code::FAILED, format!("{} cannot be read: {error}", file.display()))
    };
    let size = std::fs::metadata(file).map_err(|error| unreadable(&error))?.len();
    if size > LARGEST {
        return Err(unreadable(&"it is larger than 8 MiB"));
    }
    let text = std::fs::read_to_string(file).map_err(|error| unreadable(&error))?;
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(&text).map_err(|error| unreadable(&error));
    }
    toml::from_str(&text).map_err(|error| unreadable(&error))
}
