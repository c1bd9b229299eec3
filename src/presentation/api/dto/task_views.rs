//! What is shown of many tasks together: trees, graphs, statistics, decompositions and templates.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::task::TaskDto;
use crate::application::task::TaskGraph;
use crate::application::task::view::{Decomposed, TemplateView};
use crate::domain::decompose::template::{Refinement, TriggerKind};
use crate::domain::decompose::{Decomposition, Node, Warning, WarningCode};
use crate::domain::ids::{AgentId, SessionId, TaskId};
use crate::domain::task::critical_path::Times;
use crate::domain::task::dependency::DependencyType;
use crate::domain::task::estimate::ComplexityLevel;
use crate::domain::task::rollup::{Statistics, Summary};
use crate::domain::task::spec::TaskPriority;
use crate::domain::task::status::TaskStatus;
use crate::domain::task::view::{GraphEdge, GraphNode, LAYOUT, TreeNode};
use crate::domain::time::Timestamp;

/// A task with its parts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskTreeNode, no_recursion)]
pub struct TreeNodeDto {
    /// Which task.
    pub id: TaskId,
    /// What people call it.
    pub title: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// How hard it is.
    pub complexity_level: Option<ComplexityLevel>,
    /// 0–100.
    pub progress_percentage: f64,
    /// 0 for a root.
    pub depth: u32,
    /// Its parts, in order.
    pub children: Vec<Self>,
    /// What it needs.
    pub dependencies: Vec<TaskId>,
}

impl From<TreeNode> for TreeNodeDto {
    fn from(node: TreeNode) -> Self {
        let TreeNode {
            id,
            title,
            status,
            complexity_level,
            progress_percentage,
            depth,
            children,
            dependencies,
        } = node;
        Self {
            id,
            title,
            status,
            complexity_level,
            progress_percentage,
            depth,
            children: children.into_iter().map(Self::from).collect(),
            dependencies,
        }
    }
}

/// How a task stands, in figures; the counts leave out the task itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskSummary)]
#[expect(missing_docs, reason = "the fields are those of domain 4.5, by the same names")]
pub struct SummaryDto {
    pub task_id: TaskId,
    pub title: String,
    pub status: TaskStatus,
    pub progress_percentage: f64,
    pub total_tasks: usize,
    pub completed_tasks: usize,
    pub in_progress_tasks: usize,
    pub failed_tasks: usize,
    pub blocked_tasks: usize,
    pub elapsed_hours: Option<f64>,
    pub duration_hours: Option<f64>,
    pub estimated_remaining_hours: f64,
    pub assigned_agent: Option<AgentId>,
    pub complexity: Option<ComplexityLevel>,
    pub priority: TaskPriority,
}

impl From<Summary> for SummaryDto {
    fn from(summary: Summary) -> Self {
        let Summary {
            task_id,
            title,
            status,
            progress_percentage,
            total_tasks,
            completed_tasks,
            in_progress_tasks,
            failed_tasks,
            blocked_tasks,
            elapsed_hours,
            duration_hours,
            estimated_remaining_hours,
            assigned_agent,
            complexity,
            priority,
        } = summary;
        Self {
            task_id,
            title,
            status,
            progress_percentage,
            total_tasks,
            completed_tasks,
            in_progress_tasks,
            failed_tasks,
            blocked_tasks,
            elapsed_hours,
            duration_hours,
            estimated_remaining_hours,
            assigned_agent,
            complexity,
            priority,
        }
    }
}

/// A task with everything below it, and how it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskTree)]
pub struct TreeDto {
    /// The task with its parts.
    pub tree: TreeNodeDto,
    /// How it stands.
    pub summary: SummaryDto,
}

/// A node of a graph; times in hours from the start of the whole.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskGraphNode)]
#[expect(missing_docs, reason = "the fields are those of domain 4.5, by the same names")]
pub struct GraphNodeDto {
    pub id: TaskId,
    pub title: String,
    pub status: TaskStatus,
    pub expected_hours: f64,
    pub earliest_start: f64,
    pub earliest_finish: f64,
    pub latest_start: f64,
    pub latest_finish: f64,
    pub slack: f64,
    pub layer: u32,
    pub is_critical: bool,
}

impl From<GraphNode> for GraphNodeDto {
    fn from(node: GraphNode) -> Self {
        let GraphNode { id, title, status, expected_hours, times, is_critical } = node;
        let Times { earliest_start, earliest_finish, latest_start, latest_finish, slack, layer } =
            times;
        Self {
            id,
            title,
            status,
            expected_hours,
            earliest_start,
            earliest_finish,
            latest_start,
            latest_finish,
            slack,
            layer,
            is_critical,
        }
    }
}

/// A dependency in a graph.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskGraphEdge)]
#[expect(missing_docs, reason = "the fields are those of domain 4.5, by the same names")]
pub struct GraphEdgeDto {
    pub source: TaskId,
    pub target: TaskId,
    pub dependency_type: DependencyType,
    pub is_required: bool,
    pub is_satisfied: bool,
}

impl From<GraphEdge> for GraphEdgeDto {
    fn from(edge: GraphEdge) -> Self {
        let GraphEdge { source, target, dependency_type, is_required, is_satisfied } = edge;
        Self { source, target, dependency_type, is_required, is_satisfied }
    }
}

/// The graph of a task: when each leaf can start and must, and what the end hangs on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskGraph)]
pub struct GraphDto {
    /// Of which task.
    pub task_id: TaskId,
    /// Leaves, and containers that a dependency ends at.
    pub nodes: Vec<GraphNodeDto>,
    /// What they need of each other.
    pub edges: Vec<GraphEdgeDto>,
    /// The chain that the end hangs on, first to last.
    pub critical_path: Vec<TaskId>,
    /// Expected hours of all leaves.
    pub total_estimated_hours: f64,
    /// Leaves of one layer may run at once.
    pub layers: Vec<Vec<TaskId>>,
    /// 0–100.
    pub progress: f64,
    /// When the last leaf is expected to end; null before the first completion.
    pub eta: Option<Timestamp>,
    /// How it is meant to be laid out.
    pub layout_type: &'static str,
}

impl From<TaskGraph> for GraphDto {
    fn from(found: TaskGraph) -> Self {
        let TaskGraph { task_id, graph } = found;
        Self {
            task_id,
            nodes: graph.nodes.into_iter().map(GraphNodeDto::from).collect(),
            edges: graph.edges.into_iter().map(GraphEdgeDto::from).collect(),
            critical_path: graph.critical_path,
            total_estimated_hours: graph.total_estimated_hours,
            layers: graph.layers,
            progress: graph.progress,
            eta: graph.eta,
            layout_type: LAYOUT,
        }
    }
}

/// How many tasks are what.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskStatistics)]
pub struct StatisticsDto {
    /// All of them.
    pub total_tasks: usize,
    /// By where they stand.
    pub tasks_by_status: BTreeMap<String, usize>,
    /// By their urgency.
    pub tasks_by_priority: BTreeMap<String, usize>,
    /// By how hard they are; those without an estimate are in none.
    pub tasks_by_complexity: BTreeMap<String, usize>,
    /// Completed of all, 0–1.
    pub completion_rate: f64,
    /// Hours from start to end of those that completed.
    pub average_duration_hours: Option<f64>,
    /// In progress for longer than their pessimistic hours.
    pub overdue_tasks: usize,
    /// Those that wait for others.
    pub blocked_tasks: usize,
}

impl From<Statistics> for StatisticsDto {
    fn from(counted: Statistics) -> Self {
        let Statistics {
            total_tasks,
            tasks_by_status,
            tasks_by_priority,
            tasks_by_complexity,
            completion_rate,
            average_duration_hours,
            overdue_tasks,
            blocked_tasks,
        } = counted;
        Self {
            total_tasks,
            tasks_by_status: named(tasks_by_status, TaskStatus::as_str),
            tasks_by_priority: named(tasks_by_priority, TaskPriority::as_str),
            tasks_by_complexity: named(tasks_by_complexity, ComplexityLevel::as_str),
            completion_rate,
            average_duration_hours,
            overdue_tasks,
            blocked_tasks,
        }
    }
}

fn named<T: Copy>(
    counts: BTreeMap<T, usize>,
    name: impl Fn(T) -> &'static str,
) -> BTreeMap<String, usize> {
    counts.into_iter().map(|(key, count)| (name(key).to_owned(), count)).collect()
}

/// One subtask of a decomposition.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DecompositionNode)]
pub struct NodeDto {
    /// The task that it became; null in a preview.
    pub task_id: Option<TaskId>,
    /// The subtask that it is a part of, by its place in this list; null for a part of the task itself.
    pub parent: Option<usize>,
    /// Levels below the task, from 1.
    pub depth: u32,
    /// What people call it.
    pub title: String,
    /// What kind of work it is.
    pub task_type: String,
    /// How urgent it is.
    pub priority: TaskPriority,
    /// Expected hours.
    pub expected_hours: f64,
    /// How hard it is.
    pub complexity_level: ComplexityLevel,
    /// What an agent must be able to do.
    pub required_capabilities: Vec<String>,
    /// The template that made it.
    pub template_key: Option<String>,
    /// What it needs, by their places in this list.
    pub depends_on: Vec<usize>,
}

/// Something worth telling of a decomposition.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DecompositionWarning)]
pub struct WarningDto {
    /// What.
    pub code: WarningCode,
    /// Title of the task that it is about.
    pub title: String,
}

/// What a task was, or would be, split into.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decomposition)]
pub struct DecompositionDto {
    /// The task as it stands now.
    pub root_task: TaskDto,
    /// How many subtasks there are, at any depth.
    pub subtasks_created: usize,
    /// Levels below the task.
    pub max_depth_reached: u32,
    /// Templates chosen by type or by name.
    pub templates_applied: Vec<String>,
    /// Templates chosen by words.
    pub rules_applied: Vec<String>,
    /// Expected hours of the leaves.
    pub total_estimated_hours: f64,
    /// What is worth telling.
    pub warnings: Vec<WarningDto>,
    /// The subtasks, each before its parts.
    pub subtasks: Vec<NodeDto>,
    /// Nothing was written.
    pub dry_run: bool,
    /// The session that still works on a plan: send the same request again for what came of it.
    pub planner_session_id: Option<SessionId>,
    /// The plan that it comes from: edit it, and send it back as `plan`.
    #[schema(value_type = Option<Object>)]
    pub plan: Option<Value>,
}

impl From<&Decomposed> for DecompositionDto {
    fn from(decomposed: &Decomposed) -> Self {
        let Decomposed {
            root,
            decomposition,
            total_estimated_hours,
            made,
            dry_run,
            planner_session_id,
            plan,
        } = decomposed;
        let Decomposition {
            estimate: _,
            nodes,
            links,
            max_depth_reached,
            templates_applied,
            rules_applied,
            warnings,
        } = decomposition;
        let node = |(place, node): (usize, &Node)| NodeDto {
            task_id: made.get(place).copied(),
            parent: node.parent,
            depth: node.depth,
            title: node.title.clone(),
            task_type: node.task_type.clone(),
            priority: node.priority,
            expected_hours: node.estimate.hours.expected(),
            complexity_level: node.estimate.hours.level(),
            required_capabilities: node.estimate.required_capabilities.clone(),
            template_key: node.template_key.clone(),
            depends_on: links
                .iter()
                .filter(|link| link.source == place)
                .map(|link| link.target)
                .collect(),
        };
        let warning =
            |Warning { code, title }: &Warning| WarningDto { code: *code, title: title.clone() };
        Self {
            root_task: TaskDto::from(root),
            subtasks_created: nodes.len(),
            max_depth_reached: *max_depth_reached,
            templates_applied: templates_applied.clone(),
            rules_applied: rules_applied.clone(),
            total_estimated_hours: *total_estimated_hours,
            warnings: warnings.iter().map(warning).collect(),
            subtasks: nodes.iter().enumerate().map(node).collect(),
            dry_run: *dry_run,
            planner_session_id: *planner_session_id,
            plan: plan.clone(),
        }
    }
}

/// A template: into which children a kind of task is split.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Template)]
pub struct TemplateDto {
    /// A slug; unique among those of a tenant.
    pub key: String,
    /// For people.
    pub name: String,
    /// For people.
    pub description: String,
    /// A semantic version.
    pub version: String,
    /// What it is chosen by.
    pub trigger: TriggerKind,
    /// For a trigger by type.
    pub task_types: Vec<String>,
    /// For a trigger by words.
    pub keywords: Vec<String>,
    /// Types that it is never used for.
    pub excluded_task_types: Vec<String>,
    /// The lowest level that it is used for.
    pub threshold: ComplexityLevel,
    /// Children above it are refined.
    pub leaf_target: ComplexityLevel,
    /// How.
    pub strategy: Refinement,
    /// 1–5.
    pub max_depth: u32,
    /// 1–10, higher first.
    pub priority: u32,
    /// What can be said of it when it is used, as a file has it.
    #[schema(value_type = Vec<Object>)]
    pub parameter: Value,
    /// What it gives, as a file has it.
    #[schema(value_type = Vec<Object>)]
    pub subtask: Value,
    /// Whether a template of this key is shipped with the product.
    pub is_shipped: bool,
    /// Whether the tenant wrote it.
    pub is_own: bool,
    /// One more for each accepted change; null for one that is shipped.
    pub revision: Option<u64>,
    /// When the tenant added it.
    pub created_at: Option<Timestamp>,
    /// When the tenant changed it last.
    pub updated_at: Option<Timestamp>,
}

impl From<&TemplateView> for TemplateDto {
    fn from(view: &TemplateView) -> Self {
        let TemplateView { template, version, is_shipped, created_at, updated_at, made: _ } =
            view.clone();
        let mut spelled = template.to_json();
        Self {
            parameter: spelled["parameter"].take(),
            subtask: spelled["subtask"].take(),
            key: template.key,
            name: template.name,
            description: template.description,
            version: template.version,
            trigger: template.trigger,
            task_types: template.task_types,
            keywords: template.keywords,
            excluded_task_types: template.excluded_task_types,
            threshold: template.threshold,
            leaf_target: template.leaf_target,
            strategy: template.strategy,
            max_depth: template.max_depth,
            priority: template.priority,
            is_shipped,
            is_own: version.is_some(),
            revision: version.map(crate::domain::version::Version::get),
            created_at,
            updated_at,
        }
    }
}
