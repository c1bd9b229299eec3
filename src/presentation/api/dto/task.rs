//! Tasks on the wire.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::application::task::view::{DependencyView, TaskView};
use crate::domain::ids::{AgentId, DependencyId, SessionId, TaskId, TenantId};
use crate::domain::money::Usd;
use crate::domain::schedule::blocker::BlockerCode;
use crate::domain::task::dependency::{Dependency, DependencyType};
use crate::domain::task::estimate::{ComplexityLevel, Estimate, EstimationSource, Hours};
use crate::domain::task::spec::{LintCode, OnUpstreamFailure, TaskPriority, TaskSpec};
use crate::domain::task::status::{TaskStatus, Trigger};
use crate::domain::task::{Place, Task, TaskError, Work};
use crate::domain::time::Timestamp;

/// How long a task is expected to take, and what it needs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskEstimate)]
pub struct EstimateDto {
    /// Hours if all goes well.
    pub optimistic_hours: f64,
    /// Hours, most likely.
    pub likely_hours: f64,
    /// Hours if much goes wrong.
    pub pessimistic_hours: f64,
    /// (O + 4·L + P) / 6.
    pub expected_hours: f64,
    /// (P − O) / 6.
    pub standard_deviation_hours: f64,
    /// Tokens.
    pub estimated_tokens: Option<u64>,
    /// Dollars.
    pub estimated_cost_usd: Option<Usd>,
    /// When it was made or learnt last.
    pub last_estimated_at: Option<Timestamp>,
    /// What an agent must be able to do.
    pub required_capabilities: Vec<String>,
    /// 0–1.
    pub estimate_confidence: f64,
    /// Where it comes from.
    pub estimation_source: EstimationSource,
}

impl From<&Estimate> for EstimateDto {
    fn from(estimate: &Estimate) -> Self {
        let Estimate {
            hours,
            estimated_tokens,
            estimated_cost_usd,
            last_estimated_at,
            required_capabilities,
            confidence,
            source,
        } = estimate.clone();
        let Hours { optimistic, likely, pessimistic } = hours;
        Self {
            optimistic_hours: optimistic,
            likely_hours: likely,
            pessimistic_hours: pessimistic,
            expected_hours: hours.expected(),
            standard_deviation_hours: hours.deviation(),
            estimated_tokens,
            estimated_cost_usd,
            last_estimated_at,
            required_capabilities,
            estimate_confidence: confidence,
            estimation_source: source,
        }
    }
}

/// What a task needs of another one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskDependency)]
pub struct DependencyDto {
    /// Its identity.
    pub id: DependencyId,
    /// Who needs.
    pub source_task_id: TaskId,
    /// What is needed.
    pub target_task_id: TaskId,
    /// How.
    pub dependency_type: DependencyType,
    /// Whether it gates; an optional one only orders candidates that are equal otherwise.
    pub is_required: bool,
    /// For people.
    pub description: Option<String>,
    /// Whether its target stands as it wants.
    pub is_satisfied: bool,
}

impl From<&DependencyView> for DependencyDto {
    fn from(view: &DependencyView) -> Self {
        let DependencyView { source_task_id, dependency, is_satisfied } = view.clone();
        let Dependency { id, target_task_id, dependency_type, is_required, description } =
            dependency;
        Self {
            id,
            source_task_id,
            target_task_id,
            dependency_type,
            is_required,
            description,
            is_satisfied,
        }
    }
}

/// Who needs a task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskDependent)]
pub struct DependentDto {
    /// The dependency.
    pub id: DependencyId,
    /// The task that has it.
    pub source_task_id: TaskId,
}

/// Why a task failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskError)]
pub struct TaskErrorDto {
    /// Stable word.
    #[serde(rename = "type")]
    pub error_type: String,
    /// For people.
    pub message: String,
    /// Further facts.
    #[schema(value_type = Option<Object>)]
    pub context: Value,
    /// When.
    pub timestamp: Timestamp,
}

impl From<TaskError> for TaskErrorDto {
    fn from(error: TaskError) -> Self {
        let TaskError { error_type, message, context, timestamp } = error;
        Self { error_type, message, context, timestamp }
    }
}

/// A unit in the breakdown of a piece of work.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Task)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of one task")]
pub struct TaskDto {
    /// Its identity.
    pub id: TaskId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// The root session that it belongs to.
    pub session_id: SessionId,
    /// The task that it is a part of.
    pub parent_task_id: Option<TaskId>,
    /// What people call it.
    pub title: String,
    /// What is to be done.
    pub description: Option<String>,
    /// What kind of work it is.
    pub task_type: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// Since when it stands there.
    pub status_updated_at: Timestamp,
    /// Why it stands there.
    pub status_reason: Option<String>,
    /// Whose it is.
    pub assigned_agent_id: Option<AgentId>,
    /// Since when.
    pub assigned_at: Option<Timestamp>,
    /// The session that executes it.
    pub child_session_id: Option<SessionId>,
    /// How urgent it is.
    pub priority: TaskPriority,
    /// How long it is expected to take.
    pub estimate: Option<EstimateDto>,
    /// How hard it is, by its expected hours; null without an estimate.
    pub complexity_level: Option<ComplexityLevel>,
    /// What it is made with.
    pub technologies: Vec<String>,
    /// What it needs.
    pub dependencies: Vec<DependencyDto>,
    /// Who needs it.
    pub dependents: Vec<DependentDto>,
    /// What becomes of it when something that it needs cannot come any more.
    pub on_upstream_failure: OnUpstreamFailure,
    /// When its current attempt began.
    pub started_at: Option<Timestamp>,
    /// When it was completed.
    pub completed_at: Option<Timestamp>,
    /// When its current attempt failed.
    pub failed_at: Option<Timestamp>,
    /// What it gave.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Map<String, Value>>,
    /// Why it failed.
    pub error: Option<TaskErrorDto>,
    /// What it left behind.
    #[schema(value_type = Vec<Object>)]
    pub artifacts: Vec<Map<String, Value>>,
    /// Number of the current attempt, from 1.
    pub attempt: u32,
    /// Retries by the executor.
    pub max_retries: u32,
    /// 0–100; of a container that of its leaves.
    pub progress_percentage: f64,
    /// It has no parts.
    pub is_leaf_task: bool,
    /// It is no part of another one.
    pub is_root_task: bool,
    /// It can be given out now.
    pub can_start: bool,
    /// Something that it needs is not there.
    pub is_blocked: bool,
    /// Why it is not given out.
    pub blockers: Vec<BlockerCode>,
    /// Commands that are possible now.
    pub actions: Vec<Trigger>,
    /// The template that made it.
    pub template_key: Option<String>,
    /// 0 for a root.
    pub depth: u32,
    /// Among its siblings, from 0.
    pub position: u32,
    /// For filters.
    pub tags: Vec<String>,
    /// For people and programs; `attempts` are earlier ones.
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// What is worth telling of it.
    pub warnings: Vec<LintCode>,
    /// One more for each accepted change.
    pub revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Newest accepted change.
    pub updated_at: Timestamp,
}

impl From<&TaskView> for TaskDto {
    #[expect(clippy::too_many_lines, reason = "one line for each field")]
    fn from(view: &TaskView) -> Self {
        let TaskView {
            task,
            dependencies,
            dependents,
            progress_percentage,
            is_leaf_task,
            can_start,
            is_blocked,
            blockers,
            actions,
            made: _,
        } = view.clone();
        let revision = task.version.get();
        let (is_root_task, complexity_level) =
            (task.value.is_root_task(), task.value.complexity_level());
        let status_reason = task.value.status_reason().map(str::to_owned);
        let (status, status_updated_at) = (task.value.status(), task.value.status_updated_at());
        let Task {
            id,
            tenant_id,
            session_id,
            spec,
            place,
            estimate,
            standing: _,
            dependencies: _,
            work,
            created_at,
            updated_at,
            deleted_at: _,
        } = task.value;
        let TaskSpec {
            title,
            description,
            task_type,
            priority,
            technologies,
            on_upstream_failure,
            max_retries,
            tags,
            metadata,
            warnings,
        } = spec;
        let Place { parent_task_id, depth, position, template_key } = place;
        let Work {
            attempt,
            assigned_agent_id,
            assigned_at,
            child_session_id,
            started_at,
            completed_at,
            failed_at,
            is_done: _,
            reported_progress: _,
            result,
            error,
            artifacts,
        } = work;
        let dependent = |(id, source_task_id)| DependentDto { id, source_task_id };
        Self {
            id,
            tenant_id,
            session_id,
            parent_task_id,
            title,
            description,
            task_type,
            status,
            status_updated_at,
            status_reason,
            assigned_agent_id,
            assigned_at,
            child_session_id,
            priority,
            estimate: estimate.as_ref().map(EstimateDto::from),
            complexity_level,
            technologies,
            dependencies: dependencies.iter().map(DependencyDto::from).collect(),
            dependents: dependents.into_iter().map(dependent).collect(),
            on_upstream_failure,
            started_at,
            completed_at,
            failed_at,
            result,
            error: error.map(TaskErrorDto::from),
            artifacts,
            attempt,
            max_retries,
            progress_percentage,
            is_leaf_task,
            is_root_task,
            can_start,
            is_blocked,
            blockers,
            actions,
            template_key,
            depth,
            position,
            tags,
            metadata,
            warnings,
            revision,
            created_at,
            updated_at,
        }
    }
}
