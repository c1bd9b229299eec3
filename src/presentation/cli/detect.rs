//! `agent detect`: which agents are installed on this machine.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Context;
use super::client::Client;
use super::exit::{CliError, code};
use super::format::line;
use super::output::Printer;
use crate::domain::agent::AgentKind;

/// Widest problem in a table.
const WIDTH: usize = 80;

/// An agent that was looked for on this machine.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// What it is called among those that are known.
    pub name: String,
    /// For people.
    pub title: String,
    /// Which driver speaks to it.
    pub kind: AgentKind,
    /// What it is registered as.
    pub agent: String,
    /// Where it lies; `None` when it was not found.
    pub program: Option<PathBuf>,
    /// What it says it is.
    pub version: Option<String>,
    /// What it can do here.
    pub abilities: Vec<String>,
    /// What it is registered with.
    pub capabilities: Vec<String>,
    /// Why it would not work.
    pub problem: Option<String>,
    /// How it is installed.
    pub install: String,
    /// The settings that it is registered with; `None` when the server does that by itself.
    pub config: Option<Value>,
}

impl Sighting {
    fn json(&self, registered: Option<&str>) -> Value {
        json!({
            "name": self.name,
            "title": self.title,
            "kind": self.kind,
            "agent": self.agent,
            "path": self.program,
            "version": self.version,
            "abilities": self.abilities,
            "works": self.problem.is_none(),
            "problem": self.problem,
            "install": self.install,
            "registered": registered,
        })
    }

    fn row(&self) -> Vec<String> {
        let path =
            self.program.as_ref().map_or_else(String::new, |path| path.display().to_string());
        let works = self.problem.as_ref().map_or("yes".to_owned(), |why| format!("no: {why}"));
        vec![
            self.name.clone(),
            self.kind.to_string(),
            self.version.clone().unwrap_or_else(|| "-".to_owned()),
            self.abilities.join(" "),
            path,
            line(&works, WIDTH),
        ]
    }
}

/// Runs `agent detect`.
pub(super) async fn run(register: bool, context: &Context<'_>) -> Result<u8, CliError> {
    let (seen, printer) = (context.host.sightings().await?, context.printer);
    if !register {
        show(&seen, &vec![None; seen.len()], printer);
        return Ok(code::OK);
    }
    if !printer.is_json() {
        show(&seen, &[], printer);
    }
    let (client, server) = context.reach(false).await?;
    let registered = register_all(&seen, &client, printer).await;
    if let Some(server) = server {
        (server.stop)().await;
    }
    let registered = registered?;
    if printer.is_json() {
        show(&seen, &registered, printer);
    }
    Ok(code::OK)
}

fn show(seen: &[Sighting], registered: &[Option<&str>], printer: &Printer) {
    if printer.is_json() {
        let items: Vec<Value> =
            seen.iter().zip(registered).map(|(one, registered)| one.json(*registered)).collect();
        return printer.json(&json!({ "items": items }));
    }
    let (found, missing): (Vec<_>, Vec<_>) =
        seen.iter().partition(|sighting| sighting.program.is_some());
    if found.is_empty() {
        printer.note("none of the agents that are known is installed here");
    } else {
        let rows: Vec<Vec<String>> = found.into_iter().map(Sighting::row).collect();
        printer.table(&["NAME", "KIND", "VERSION", "ABILITIES", "PATH", "WORKS"], &rows);
    }
    for one in missing {
        printer.note(format!("not found: {} ({})", one.title, one.install));
    }
}

/// What became of each.
async fn register_all(
    seen: &[Sighting],
    client: &Client,
    printer: &Printer,
) -> Result<Vec<Option<&'static str>>, CliError> {
    let mut registered = Vec::with_capacity(seen.len());
    for one in seen {
        let Some(config) = one.config.as_ref().filter(|_| one.problem.is_none()) else {
            registered.push(None);
            continue;
        };
        let body = json!({ "name": one.agent, "kind": one.kind, "capabilities": one.capabilities,
            "config": config });
        let (word, note) = match client.post(&["agents"], &body).await {
            Ok(_) => ("registered", "is registered"),
            Err(error) if error.is_code("ALREADY_EXISTS") => ("known", "is registered already"),
            Err(error) => return Err(error),
        };
        if !printer.is_json() {
            printer.note(format!("{} {note}", one.agent));
        }
        registered.push(Some(word));
    }
    if !printer.is_json() && registered.iter().all(Option::is_none) {
        printer.note("nothing was registered: no agent that works was found");
    }
    Ok(registered)
}
