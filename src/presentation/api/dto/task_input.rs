//! What is asked of tasks.

use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::application::task::{Ask, Completion};
use crate::domain::decompose::request::{RequestDraft, Strategy};
use crate::domain::ids::TaskId;
use crate::domain::money::Usd;
use crate::domain::task::dependency::{DependencyDraft, DependencyType};
use crate::domain::task::draft::{EstimateDraft, TaskDraft, TaskPatch};
use crate::domain::task::spec::{OnUpstreamFailure, TaskPriority};
use crate::domain::task::status::TaskStatus;
use crate::presentation::api::dto::create::dollars;
use crate::presentation::api::fields::{Fields, FromFields};

/// How long a task is expected to take, in three figures that rise.
#[derive(Debug, ToSchema)]
#[schema(as = TaskEstimateInput)]
#[expect(missing_docs, reason = "the fields are those of domain 4.3, by the same names")]
pub struct EstimateBody {
    #[schema(minimum = 0)]
    pub optimistic_hours: Option<f64>,
    #[schema(minimum = 0)]
    pub likely_hours: Option<f64>,
    #[schema(minimum = 0)]
    pub pessimistic_hours: Option<f64>,
    pub estimated_tokens: Option<u64>,
    pub estimated_cost_usd: Option<Usd>,
    #[schema(minimum = 0, maximum = 1)]
    pub estimate_confidence: Option<f64>,
    #[schema(max_items = 20)]
    pub required_capabilities: Option<Vec<String>>,
}

/// What a task needs of another one of its session.
#[derive(Debug, ToSchema)]
#[schema(as = AddDependency, example = json!({
    "target_task_id": "0198f3a0-5b1c-7c3e-8f00-0123456789b0", "dependency_type": "finish_to_start"
}))]
pub struct DependencyBody {
    /// What is needed.
    pub target_task_id: Option<TaskId>,
    /// Another word for `target_task_id`.
    pub depends_on_task_id: Option<TaskId>,
    /// `finish_to_start` when omitted.
    pub dependency_type: Option<DependencyType>,
    /// Whether it gates; true when omitted.
    pub is_required: Option<bool>,
    /// For people.
    #[schema(max_length = 200)]
    pub description: Option<String>,
}

/// A task to be made.
#[derive(Debug, ToSchema)]
#[schema(as = CreateTask, example = json!({
    "session_id": "IND-000001", "title": "Implement the login page", "estimated_hours": 6
}))]
pub struct CreateTaskBody {
    /// Id or code of the root session; that of the parent when omitted.
    #[schema(max_length = 64)]
    pub session_id: Option<String>,
    /// The task that it is a part of.
    pub parent_task_id: Option<TaskId>,
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    pub title: String,
    /// What is to be done.
    #[schema(max_length = 5000)]
    pub description: Option<String>,
    /// A slug; `implementation` when omitted.
    #[schema(max_length = 64)]
    pub task_type: Option<String>,
    /// `normal` when omitted.
    pub priority: Option<TaskPriority>,
    /// One figure in place of three; not together with `estimate`.
    #[schema(minimum = 0.1, maximum = 1000)]
    pub estimated_hours: Option<f64>,
    /// Three figures.
    #[schema(value_type = Option<EstimateBody>)]
    pub estimate: Option<EstimateBody>,
    /// What an agent must be able to do.
    #[schema(max_items = 20)]
    pub required_capabilities: Option<Vec<String>>,
    /// What it is made with.
    #[schema(max_items = 20)]
    pub technologies: Option<Vec<String>>,
    /// `skip` when omitted.
    pub on_upstream_failure: Option<OnUpstreamFailure>,
    /// Retries by the executor.
    #[schema(maximum = 10)]
    pub max_retries: Option<u32>,
    /// For filters.
    #[schema(max_items = 20)]
    pub tags: Option<Vec<String>>,
    /// For people and programs.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// What it needs from the beginning.
    #[schema(max_items = 100)]
    pub dependencies: Option<Vec<DependencyBody>>,
}

/// The body of `POST /tasks`, read; the session as it was named.
#[expect(missing_docs, reason = "the fields are those of the body")]
pub struct CreateTask {
    pub session: Option<String>,
    pub parent: Option<TaskId>,
    pub draft: TaskDraft,
    pub dependencies: Vec<DependencyDraft>,
}

fn task_id(fields: &mut Fields, name: &'static str) -> Option<TaskId> {
    let text = fields.text(name)?;
    let id = TaskId::parse(&text);
    if id.is_none() {
        fields.wrong(name, "invalid", "must be a UUID");
    }
    id
}

fn estimate(fields: &mut Fields) -> EstimateDraft {
    EstimateDraft {
        optimistic_hours: fields.number("optimistic_hours"),
        likely_hours: fields.number("likely_hours"),
        pessimistic_hours: fields.number("pessimistic_hours"),
        estimated_tokens: fields.integer("estimated_tokens"),
        estimated_cost_usd: dollars(fields, "estimated_cost_usd"),
        estimate_confidence: fields.number("estimate_confidence"),
        required_capabilities: fields.texts("required_capabilities"),
    }
}

fn dependency(fields: &mut Fields) -> Option<DependencyDraft> {
    let (target, alias) =
        (task_id(fields, "target_task_id"), task_id(fields, "depends_on_task_id"));
    if target.is_some() && alias.is_some() && target != alias {
        fields.wrong("depends_on_task_id", "conflict", "names another task than target_task_id");
    }
    let target_task_id = target.or(alias);
    if target_task_id.is_none() {
        fields.require_one("target_task_id", "is required");
    }
    let (dependency_type, is_required) =
        (fields.word("dependency_type"), fields.flag("is_required"));
    let description = fields.text("description");
    target_task_id.map(|target_task_id| DependencyDraft {
        target_task_id,
        dependency_type,
        is_required,
        description,
    })
}

impl FromFields for CreateTask {
    fn read(fields: &mut Fields) -> Self {
        let (session, parent) = (fields.text("session_id"), task_id(fields, "parent_task_id"));
        let dependencies = fields.objects("dependencies", dependency).unwrap_or_default();
        if dependencies.len() > 100 {
            fields.wrong("dependencies", "too_many", "at most 100 are allowed");
        }
        let draft = TaskDraft {
            title: fields.required_text("title"),
            description: fields.text("description"),
            task_type: fields.text("task_type"),
            priority: fields.word("priority"),
            estimated_hours: fields.number("estimated_hours"),
            estimate: fields.object("estimate", estimate),
            required_capabilities: fields.texts("required_capabilities"),
            technologies: fields.texts("technologies"),
            on_upstream_failure: fields.word("on_upstream_failure"),
            max_retries: fields.integer("max_retries"),
            tags: fields.texts("tags"),
            metadata: fields.map("metadata").unwrap_or_default(),
        };
        let now = crate::domain::time::Timestamp::EPOCH;
        if let Err(errors) = draft.clone().accept(now) {
            fields.complete(errors);
        }
        Self { session, parent, draft, dependencies: dependencies.into_iter().flatten().collect() }
    }
}

/// A change of a task; what is not named stays.
#[derive(Debug, ToSchema)]
#[schema(as = PatchTask, example = json!({ "priority": "high", "estimated_hours": 3 }))]
#[expect(missing_docs, reason = "the fields are those of CreateTask")]
pub struct PatchTaskBody {
    #[schema(min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// Null clears it.
    #[schema(max_length = 5000)]
    pub description: Option<String>,
    #[schema(max_length = 64)]
    pub task_type: Option<String>,
    pub priority: Option<TaskPriority>,
    #[schema(minimum = 0.1, maximum = 1000)]
    pub estimated_hours: Option<f64>,
    /// Null clears it.
    #[schema(value_type = Option<EstimateBody>)]
    pub estimate: Option<EstimateBody>,
    #[schema(max_items = 20)]
    pub required_capabilities: Option<Vec<String>>,
    #[schema(max_items = 20)]
    pub technologies: Option<Vec<String>>,
    pub on_upstream_failure: Option<OnUpstreamFailure>,
    #[schema(maximum = 10)]
    pub max_retries: Option<u32>,
    #[schema(max_items = 20)]
    pub tags: Option<Vec<String>>,
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// The body of `PATCH /tasks/{id}`, read.
pub struct PatchTask(pub TaskPatch);

fn given_texts(fields: &mut Fields, name: &'static str) -> Option<Vec<String>> {
    let is_given = fields.has(name);
    let texts = fields.texts(name);
    is_given.then_some(texts)
}

impl FromFields for PatchTask {
    fn read(fields: &mut Fields) -> Self {
        Self(TaskPatch {
            title: fields.text("title"),
            description: fields.nullable("description", Fields::text),
            task_type: fields.text("task_type"),
            priority: fields.word("priority"),
            estimated_hours: fields.number("estimated_hours"),
            estimate: fields.nullable("estimate", |fields, name| fields.object(name, estimate)),
            required_capabilities: given_texts(fields, "required_capabilities"),
            technologies: given_texts(fields, "technologies"),
            on_upstream_failure: fields.word("on_upstream_failure"),
            max_retries: fields.integer("max_retries"),
            tags: given_texts(fields, "tags"),
            metadata: fields.map("metadata"),
        })
    }
}

/// The body of `POST /tasks/{id}/dependencies`, read.
pub struct AddDependency(pub Option<DependencyDraft>);

impl FromFields for AddDependency {
    fn read(fields: &mut Fields) -> Self {
        Self(dependency(fields))
    }
}

/// To whom a task is given.
#[derive(Debug, ToSchema)]
#[schema(as = AssignTask)]
pub struct AssignTaskBody {
    /// Id or name; routing chooses when omitted.
    #[schema(max_length = 70)]
    pub agent: Option<String>,
    /// For people.
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
}

/// The body of `POST /tasks/{id}/assign`, read.
pub struct AssignTask(pub Ask);

impl FromFields for AssignTask {
    fn read(fields: &mut Fields) -> Self {
        Self(Ask {
            agent: fields.text("agent"),
            completion: Completion::default(),
            reason: fields.text("reason"),
        })
    }
}

/// What a task gave.
#[derive(Debug, ToSchema)]
#[schema(as = CompleteTask)]
pub struct CompleteTaskBody {
    /// A JSON object, at most 64 KiB.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Map<String, Value>>,
}

/// The body of `POST /tasks/{id}/complete`, read.
pub struct CompleteTask(pub Ask);

impl FromFields for CompleteTask {
    fn read(fields: &mut Fields) -> Self {
        let completion = Completion { result: fields.map("result"), error_message: None };
        Self(Ask { completion, ..Ask::default() })
    }
}

/// Why a task failed.
#[derive(Debug, ToSchema)]
#[schema(as = FailTask, example = json!({ "error_message": "the build is broken" }))]
pub struct FailTaskBody {
    /// For people.
    #[schema(min_length = 1, max_length = 1000)]
    pub error_message: String,
}

/// The body of `POST /tasks/{id}/fail`, read.
pub struct FailTask(pub Ask);

impl FromFields for FailTask {
    fn read(fields: &mut Fields) -> Self {
        let error_message = Some(fields.required_text("error_message"));
        let completion = Completion { result: None, error_message };
        Self(Ask { completion, ..Ask::default() })
    }
}

/// Why a task is moved.
#[derive(Debug, ToSchema)]
#[schema(as = MoveTask)]
pub struct MoveTaskBody {
    /// For people.
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
}

/// The body of the commands that carry nothing else, read.
pub struct MoveTask(pub Ask);

impl FromFields for MoveTask {
    fn read(fields: &mut Fields) -> Self {
        Self(Ask { reason: fields.text("reason"), ..Ask::default() })
    }
}

/// Where a task is to stand.
#[derive(Debug, ToSchema)]
#[schema(as = SetTaskStatus, example = json!({ "status": "in_progress" }))]
pub struct SetTaskStatusBody {
    /// One that a command leads to.
    pub status: TaskStatus,
    /// What it gave, with `completed`.
    #[schema(value_type = Option<Object>)]
    pub result: Option<Map<String, Value>>,
    /// Why it failed, with `failed`.
    #[schema(max_length = 1000)]
    pub error_message: Option<String>,
    /// For people.
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
}

/// The body of `POST /tasks/{id}/status`, read.
pub struct SetTaskStatus(pub TaskStatus, pub Ask);

impl FromFields for SetTaskStatus {
    fn read(fields: &mut Fields) -> Self {
        if !fields.has("status") {
            fields.wrong("status", "required", "is required");
        }
        let status = fields.word("status").unwrap_or(TaskStatus::Pending);
        let completion = Completion {
            result: fields.map("result"),
            error_message: fields.text("error_message"),
        };
        Self(status, Ask { agent: None, completion, reason: fields.text("reason") })
    }
}

/// By what a task is split.
#[derive(Debug, ToSchema)]
#[schema(as = DecomposeTask, example = json!({ "strategy": "template", "dry_run": true }))]
pub struct DecomposeTaskBody {
    /// Templates by type, then by words, when omitted.
    pub strategy: Option<Strategy>,
    /// This template, whatever its trigger and its threshold.
    #[schema(max_length = 64)]
    pub template_name: Option<String>,
    /// What is said of the templates that are used.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Map<String, Value>>,
    /// Whether templates are looked for by type; true when omitted.
    pub apply_templates: Option<bool>,
    /// Whether templates are looked for by words; true when omitted.
    pub apply_rules: Option<bool>,
    /// Levels below the task.
    #[schema(minimum = 1, maximum = 5)]
    pub max_depth: Option<u32>,
    /// Whether a task without a good estimate is given one; true when omitted.
    pub auto_estimate: Option<bool>,
    /// Only tell what it would be split into.
    pub dry_run: Option<bool>,
    /// With the strategy `planner`: the tasks as a planner gave them, perhaps edited.
    #[schema(value_type = Option<Object>)]
    pub plan: Option<Map<String, Value>>,
}

/// The body of `POST /tasks/{id}/decompose`, read.
pub struct DecomposeTask(pub RequestDraft, pub Option<Value>);

impl FromFields for DecomposeTask {
    fn read(fields: &mut Fields) -> Self {
        let draft = RequestDraft {
            strategy: fields.word("strategy"),
            apply_templates: fields.flag("apply_templates"),
            apply_rules: fields.flag("apply_rules"),
            template_name: fields.text("template_name"),
            parameters: fields.map("parameters").unwrap_or_default(),
            max_depth: fields.integer("max_depth"),
            auto_estimate: fields.flag("auto_estimate"),
            dry_run: fields.flag("dry_run"),
        };
        Self(draft, fields.map("plan").map(Value::Object))
    }
}

/// How a task is executed.
#[derive(Debug, ToSchema)]
#[schema(as = ExecuteTask, example = json!({ "max_parallel": 3 }))]
pub struct ExecuteTaskBody {
    /// Leaves at a time; 5 when omitted.
    #[schema(minimum = 1, maximum = 50)]
    pub max_parallel: Option<u32>,
    /// The first failure that stays ends everything that has not finished.
    pub fail_fast: Option<bool>,
}

/// The body of `POST /tasks/{id}/execute`, read.
pub struct ExecuteTask(pub Option<u32>, pub Option<bool>);

impl FromFields for ExecuteTask {
    fn read(fields: &mut Fields) -> Self {
        Self(fields.integer("max_parallel"), fields.flag("fail_fast"))
    }
}

/// A template, as a file has it.
#[derive(Debug, ToSchema)]
#[schema(as = PutTemplate)]
#[expect(missing_docs, reason = "the fields are those of domain 5.5, by the same names")]
pub struct PutTemplateBody {
    #[schema(max_length = 64)]
    pub key: String,
    #[schema(max_length = 100)]
    pub name: String,
    #[schema(max_length = 500)]
    pub description: Option<String>,
    #[schema(max_length = 64)]
    pub version: Option<String>,
    #[schema(max_length = 20)]
    pub trigger: String,
    #[schema(max_items = 50)]
    pub task_types: Option<Vec<String>>,
    #[schema(max_items = 50)]
    pub keywords: Option<Vec<String>>,
    #[schema(max_items = 50)]
    pub excluded_task_types: Option<Vec<String>>,
    #[schema(max_length = 20)]
    pub threshold: Option<String>,
    #[schema(max_length = 20)]
    pub leaf_target: Option<String>,
    #[schema(max_length = 20)]
    pub strategy: Option<String>,
    #[schema(minimum = 1, maximum = 5)]
    pub max_depth: Option<u32>,
    #[schema(minimum = 1, maximum = 10)]
    pub priority: Option<u32>,
    #[schema(value_type = Option<Vec<Object>>, max_items = 20)]
    pub parameter: Option<Vec<Value>>,
    #[schema(value_type = Vec<Object>, max_items = 50)]
    pub subtask: Vec<Value>,
}

/// The body of `POST /templates` and `PUT /templates/{name}`, still to be read by the domain.
pub struct PutTemplate(pub Value);

impl FromFields for PutTemplate {
    fn read(fields: &mut Fields) -> Self {
        let names = [
            "key",
            "name",
            "description",
            "version",
            "trigger",
            "task_types",
            "keywords",
            "excluded_task_types",
            "threshold",
            "leaf_target",
            "strategy",
            "max_depth",
            "priority",
            "parameter",
            "subtask",
        ];
        let given = names.map(|name| (name, fields.take(name)));
        let given = given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Self(Value::Object(given.collect()))
    }
}
