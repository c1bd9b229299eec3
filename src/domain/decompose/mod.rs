//! Decomposition: a task is split into children by templates, by rules, by a generic split or by a plan.
//!
//! `reading` says what a text needs, `template` and `file` what templates are, `request` what can be
//! asked for, `procedure` decides, `apply` and `split` make children, `plan` takes those of a planner.
//!
//! Invariant: nothing here is written: a decomposition is nodes that know their parent by place, which
//! become tasks once somebody gives them ids. It is whole, or it is refused.

pub mod words;

pub mod reading;

mod check;
pub mod file;
pub mod template;

pub mod catalogue;
pub mod request;

mod apply;
pub mod procedure;
mod split;

pub mod plan;
pub mod schema;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use super::event::{DomainEvent, EventType};
use super::ids::{DependencyId, TaskId};
use super::time::Timestamp;
use crate::closed_enum;
use crate::domain::task::dependency::{Dependency, DependencyType};
use crate::domain::task::estimate::Estimate;
use crate::domain::task::spec::{TaskPriority, TaskSpec, lint};
use crate::domain::task::{Place, Task};

/// Most subtasks of one request.
pub const MOST_SUBTASKS: usize = 200;
/// Most characters of a title.
pub(super) const TITLE: usize = 200;

closed_enum!(
    /// What is worth telling of a decomposition.
    WarningCode {
        /// The likely hours of the children are more than twice those of the task.
        EffortInflated = "EFFORT_INFLATED",
        /// No template fits the task.
        NoTemplateMatched = "NO_TEMPLATE_MATCHED",
        /// The task is as small as its parts would be.
        AlreadySimple = "ALREADY_SIMPLE",
    }
);

/// Something worth telling, and of which task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// What.
    pub code: WarningCode,
    /// The title of the task.
    pub title: String,
}

/// One subtask to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The node that it is a part of; `None` for a child of the task itself.
    pub parent: Option<usize>,
    /// Levels below the task, from 1.
    pub depth: u32,
    /// Among its siblings, from 0.
    pub position: u32,
    /// At most 200 characters.
    pub title: String,
    /// What its parents' titles do not say.
    pub own_title: String,
    /// What is to be done.
    pub description: Option<String>,
    /// A slug.
    pub task_type: String,
    /// How urgent it is.
    pub priority: TaskPriority,
    /// What it is made with.
    pub technologies: Vec<String>,
    /// All three figures.
    pub estimate: Estimate,
    /// The template that made it.
    pub template_key: Option<String>,
}

/// What one subtask needs of another one, by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLink {
    /// Who needs.
    pub source: usize,
    /// What is needed.
    pub target: usize,
    /// How.
    pub kind: DependencyType,
    /// Whether it gates.
    pub is_required: bool,
}

/// What a task is split into.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Decomposition {
    /// The estimate that the task itself was given for it.
    pub estimate: Option<Estimate>,
    /// The subtasks, each before its parts.
    pub nodes: Vec<Node>,
    /// What they need of each other.
    pub links: Vec<NodeLink>,
    /// Levels below the task.
    pub max_depth_reached: u32,
    /// Templates chosen by type or by name, each once.
    pub templates_applied: Vec<String>,
    /// Templates chosen by words, each once.
    pub rules_applied: Vec<String>,
    /// What is worth telling.
    pub warnings: Vec<Warning>,
}

impl Decomposition {
    /// How many subtasks there are.
    #[must_use]
    pub const fn subtasks_created(&self) -> usize {
        self.nodes.len()
    }

    /// How many tasks there are with the one that was split.
    #[must_use]
    pub const fn flattened(&self) -> usize {
        1 + self.nodes.len()
    }

    /// Expected hours of the leaves; of the task itself when there is none.
    #[must_use]
    pub fn total_estimated_hours(&self, root: &Task) -> f64 {
        if self.nodes.is_empty() {
            let estimate = self.estimate.as_ref().or(root.estimate.as_ref());
            return estimate.map_or(0.0, |estimate| estimate.hours.expected());
        }
        let mut is_leaf = vec![true; self.nodes.len()];
        for parent in self.nodes.iter().filter_map(|node| node.parent) {
            is_leaf[parent] = false;
        }
        let leaves = self.nodes.iter().zip(is_leaf).filter(|(_, is_leaf)| *is_leaf);
        leaves.map(|(node, _)| node.estimate.hours.expected()).sum()
    }

    /// The event that tells of it.
    #[must_use]
    pub fn event(&self, root: &Task, now: Timestamp) -> DomainEvent {
        let payload = json!({
            "session_id": root.session_id, "subtasks_created": self.subtasks_created(),
            "templates_applied": self.templates_applied, "rules_applied": self.rules_applied,
            "total_estimated_hours": self.total_estimated_hours(root),
        });
        root.event(EventType::TaskDecomposed, now, payload)
    }

    /// The children of the task or of a node.
    pub fn children(&self, of: Option<usize>) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.parent == of)
    }

    /// The tasks that these nodes become, with their events; `ids` gives an id for each.
    #[must_use]
    pub fn into_tasks(
        self,
        root: &Task,
        mut ids: impl FnMut() -> uuid::Uuid,
        now: Timestamp,
    ) -> (Vec<Task>, Vec<DomainEvent>) {
        let names: Vec<TaskId> = self.nodes.iter().map(|_| TaskId::new(ids())).collect();
        let mut events = Vec::with_capacity(self.nodes.len());
        let mut tasks = Vec::with_capacity(self.nodes.len());
        for (id, node) in names.iter().zip(self.nodes) {
            let parent = node.parent.map_or(root.id, |parent| names[parent]);
            let place = Place {
                parent_task_id: Some(parent),
                depth: root.place.depth + node.depth,
                position: node.position,
                template_key: node.template_key,
            };
            let spec = TaskSpec {
                warnings: lint(&node.title),
                title: node.title,
                description: node.description,
                task_type: node.task_type,
                priority: node.priority,
                technologies: node.technologies,
                on_upstream_failure: root.spec.on_upstream_failure,
                max_retries: root.spec.max_retries,
                tags: root.spec.tags.clone(),
                metadata: Map::<String, Value>::new(),
            };
            let owner = (root.tenant_id, root.session_id);
            let (task, event) = Task::create(*id, owner, (spec, Some(node.estimate)), place, now);
            tasks.push(task);
            events.push(event);
        }
        for link in self.links {
            tasks[link.source].dependencies.push(Dependency {
                id: DependencyId::new(ids()),
                target_task_id: names[link.target],
                dependency_type: link.kind,
                is_required: link.is_required,
                description: None,
            });
        }
        (tasks, events)
    }
}

/// A title of at most 200 characters: the parent's part is shortened where it would be more.
pub(super) fn titled(parent: &str, pattern: &str) -> String {
    let own = pattern.replace("{title}", "").chars().count();
    let times = pattern.matches("{title}").count();
    let room = TITLE.saturating_sub(own).checked_div(times).unwrap_or(0);
    let kept = crate::domain::task::child::shortened(parent, room);
    crate::domain::task::child::shortened(&pattern.replace("{title}", &kept), TITLE)
}

/// What a title says besides its parent's: the pattern without it and the dash between.
pub(super) fn own_part(pattern: &str) -> String {
    let rest = pattern.replace("{title}", "");
    rest.trim_matches(|letter: char| letter.is_whitespace() || letter == '-').to_owned()
}
