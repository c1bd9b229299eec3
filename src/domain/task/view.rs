//! What people see of the tasks of a session: a tree, and a graph with its times.
//!
//! Invariant: a dependency is shown as it was given. So a container that one ends at is a node of the
//! graph too, with the figures of its leaves together; all other nodes are leaves.

use std::collections::BTreeSet;

use super::critical_path::{Schedule, Times};
use super::dependency::DependencyType;
use super::estimate::ComplexityLevel;
use super::forest::{CycleFound, small};
use super::graph::Graph;
use super::rollup::Breakdown;
use super::status::TaskStatus;
use crate::domain::ids::TaskId;
use crate::domain::time::Timestamp;

/// How the graph is meant to be laid out.
pub const LAYOUT: &str = "dagre";

/// A node of the graph; times in hours from the start of the whole.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of domain 4.5, by the same names")]
pub struct GraphNode {
    pub id: TaskId,
    pub title: String,
    pub status: TaskStatus,
    pub expected_hours: f64,
    pub times: Times,
    pub is_critical: bool,
}

/// A dependency as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of domain 4.5, by the same names")]
pub struct GraphEdge {
    pub source: TaskId,
    pub target: TaskId,
    pub dependency_type: DependencyType,
    pub is_required: bool,
    pub is_satisfied: bool,
}

/// The graph of a session or of one task.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of domain 4.5, by the same names")]
pub struct GraphView {
    pub nodes: Vec<GraphNode>,
    pub edges: Vec<GraphEdge>,
    pub critical_path: Vec<TaskId>,
    pub total_estimated_hours: f64,
    pub layers: Vec<Vec<TaskId>>,
    pub progress: f64,
    pub eta: Option<Timestamp>,
}

/// A task with its parts.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of domain 4.5, by the same names")]
pub struct TreeNode {
    pub id: TaskId,
    pub title: String,
    pub status: TaskStatus,
    pub complexity_level: Option<ComplexityLevel>,
    pub progress_percentage: f64,
    pub depth: u32,
    pub children: Vec<Self>,
    /// What it needs.
    pub dependencies: Vec<TaskId>,
}

impl Breakdown<'_> {
    /// The graph of all tasks that are looked at.
    ///
    /// # Errors
    /// `CycleFound` when tasks need each other in a circle.
    pub fn graph(&self, now: Timestamp) -> Result<GraphView, CycleFound> {
        let graph = Graph::of(&self.forest)?;
        let expected = |leaf: u32| self.task(leaf).expected_hours();
        let schedule = Schedule::of(&self.forest, &graph, expected);
        let path = schedule.critical_path(&self.forest, &graph, expected);
        let on_path: BTreeSet<u32> = path.iter().copied().collect();
        let links = self.forest.links();
        let ends: BTreeSet<u32> =
            links.iter().flat_map(|link| [link.source, link.target]).collect();
        let all = 0..small(self.forest.len());
        let shown = all.clone().filter(|task| self.forest.is_leaf(*task) || ends.contains(task));
        let nodes = shown.map(|number| {
            let task = self.task(number);
            let mut leaves = self.forest.leaves(number);
            let is_critical = leaves.any(|leaf| on_path.contains(&leaf));
            GraphNode {
                id: task.id,
                title: task.spec.title.clone(),
                status: task.status(),
                expected_hours: self.forest.leaves(number).map(expected).sum(),
                times: self.times(&schedule, number),
                is_critical,
            }
        });
        let edges = links.iter().map(|link| {
            let target = self.task(link.target);
            GraphEdge {
                source: self.forest.id(link.source),
                target: target.id,
                dependency_type: link.kind,
                is_required: link.is_required,
                is_satisfied: link.kind.is_satisfied(target.as_target()),
            }
        });
        let named = |numbers: Vec<u32>| -> Vec<TaskId> {
            numbers.into_iter().map(|number| self.forest.id(number)).collect()
        };
        let leaves = || all.clone().filter(|task| self.forest.is_leaf(*task));
        Ok(GraphView {
            nodes: nodes.collect(),
            edges: edges.collect(),
            critical_path: named(path),
            total_estimated_hours: leaves().map(expected).sum(),
            layers: schedule.layers(&self.forest).into_iter().map(named).collect(),
            progress: self.mean_progress(leaves()),
            eta: self.eta(&graph, now),
        })
    }

    /// Those of a leaf, or of all leaves of a container together.
    fn times(&self, schedule: &Schedule, number: u32) -> Times {
        let mut leaves = self.forest.leaves(number).map(|leaf| schedule.times(leaf));
        let first = leaves.next().unwrap_or_else(|| schedule.times(number));
        leaves.fold(first, |all, one| Times {
            earliest_start: all.earliest_start.min(one.earliest_start),
            earliest_finish: all.earliest_finish.max(one.earliest_finish),
            latest_start: all.latest_start.min(one.latest_start),
            latest_finish: all.latest_finish.max(one.latest_finish),
            slack: all.slack.min(one.slack),
            layer: all.layer.min(one.layer),
        })
    }

    /// The trees of all tasks that are looked at, roots in the order of their places.
    #[must_use]
    pub fn trees(&self) -> Vec<TreeNode> {
        let all = 0..small(self.forest.len());
        let roots = all.filter(|task| self.forest.parent(*task).is_none());
        self.nodes(roots)
    }

    /// The tree of a task.
    #[must_use]
    pub fn tree(&self, id: TaskId) -> Option<TreeNode> {
        let number = self.forest.number(id)?;
        self.nodes(std::iter::once(number)).pop()
    }

    fn nodes(&self, numbers: impl Iterator<Item = u32>) -> Vec<TreeNode> {
        let mut nodes: Vec<(u32, TreeNode)> = numbers
            .map(|number| {
                let task = self.task(number);
                let node = TreeNode {
                    id: task.id,
                    title: task.spec.title.clone(),
                    status: task.status(),
                    complexity_level: task.complexity_level(),
                    progress_percentage: self.progress_of(number),
                    depth: task.place.depth,
                    children: self.nodes(self.forest.children(number)),
                    dependencies: task
                        .dependencies
                        .iter()
                        .map(|dependency| dependency.target_task_id)
                        .collect(),
                };
                (task.place.position, node)
            })
            .collect();
        nodes.sort_by_key(|(position, node)| (*position, node.id));
        nodes.into_iter().map(|(_, node)| node).collect()
    }
}
