//! Decomposition as a whole: the shipped templates, files that are refused, splits and plans.

mod files;
mod plans;
mod splits;
mod templates;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::catalogue::Catalogue;
use super::procedure::decompose;
use super::request::{DecompositionRefused, Request, RequestDraft, Strategy};
use super::{Decomposition, Node, file};
use crate::domain::ids::{SessionId, TaskId, TenantId};
use crate::domain::task::draft::TaskDraft;
use crate::domain::task::estimate::{Estimate, Hours};
use crate::domain::task::{Place, Task};
use crate::domain::time::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A file as whoever calls the domain parses it.
fn parsed(text: &str) -> Value {
    toml::from_str(text).expect("well-formed")
}

fn shipped() -> Catalogue {
    let file = parsed(include_str!("../../../../assets/templates.toml"));
    Catalogue::of(file::read(&file).expect("valid"))
}

fn task(title: &str, task_type: &str, hours: f64) -> Task {
    let draft = TaskDraft {
        title: title.to_owned(),
        task_type: Some(task_type.to_owned()),
        estimated_hours: Some(hours),
        ..TaskDraft::default()
    };
    let owner = (TenantId::BOOTSTRAP, SessionId::new(Uuid::nil()));
    let id = TaskId::new(Uuid::from_u128(1));
    Task::create(id, owner, draft.accept(NOW).expect("valid"), Place::default(), NOW).0
}

/// A task with these three figures.
fn figured(hours: Hours) -> Task {
    let mut made = task("Build it", "other", 1.0);
    made.estimate = Some(Estimate { hours, ..Estimate::default() });
    made
}

fn asked(strategy: Option<Strategy>) -> Request {
    RequestDraft { strategy, ..RequestDraft::default() }.accept().expect("valid")
}

fn split(task: &Task, request: &Request) -> Result<Decomposition, DecompositionRefused> {
    decompose(task, false, request, &shipped(), NOW)
}

fn by_default(task: &Task) -> Decomposition {
    split(task, &asked(None)).expect("allowed")
}

fn with(parameters: &Value) -> Request {
    let parameters: Map<String, Value> = parameters.as_object().cloned().expect("an object");
    RequestDraft { parameters, ..RequestDraft::default() }.accept().expect("valid")
}

fn children(made: &Decomposition) -> Vec<&Node> {
    made.children(None).collect()
}

/// The titles of the task's own children, without its own.
fn names(made: &Decomposition) -> Vec<&str> {
    made.children(None).map(|node| node.own_title.as_str()).collect()
}

fn likely(made: &Decomposition) -> Vec<f64> {
    let hours = made.children(None).map(|node| node.estimate.hours.likely);
    hours.map(|hours| (hours * 1e9).round() / 1e9).collect()
}

/// Links by the titles of both ends: who needs what.
fn links(made: &Decomposition) -> Vec<(String, String, &'static str)> {
    let name = |place: usize| made.nodes[place].own_title.clone();
    made.links
        .iter()
        .map(|link| (name(link.source), name(link.target), link.kind.as_str()))
        .collect()
}
