//! What is asked of contexts.

use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::context::ContextScope;
use crate::domain::context::merge::{MergeStrategy, Resolution, Resolutions};
use crate::domain::context::path::Path;
use crate::domain::context::write::{Base, Update};
use crate::domain::ids::{ContextId, TaskId};
use crate::presentation::api::fields::{Fields, FromFields};

/// A context to be made.
#[derive(Debug, ToSchema)]
#[schema(as = CreateContext, example = json!({
    "scope": "session", "session_id": "IND-000001", "initial_data": { "plan": { "step": 1 } }
}))]
pub struct CreateContextBody {
    /// `session` when omitted.
    pub scope: Option<ContextScope>,
    /// Id or code; required for the scope `session`.
    #[schema(max_length = 64)]
    pub session_id: Option<String>,
    /// Required for the scope `task`.
    pub task_id: Option<TaskId>,
    /// Id or name; required for the scope `agent`.
    #[schema(max_length = 70)]
    pub agent_id: Option<String>,
    /// What it remembers from the beginning, at most 1 MiB.
    #[schema(value_type = Option<Object>)]
    pub initial_data: Option<Map<String, Value>>,
    /// `{"important": true}` keeps it as a global one when its session ends.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
    /// The first context of the owner with this scope, when there is one, instead of a new one.
    pub get_or_create: Option<bool>,
}

/// The body of `POST /contexts`, read; sessions and agents as they were named.
#[expect(missing_docs, reason = "the fields are those of the body")]
pub struct CreateContext {
    pub scope: Option<ContextScope>,
    pub session: Option<String>,
    pub task_id: Option<TaskId>,
    pub agent: Option<String>,
    pub initial_data: Map<String, Value>,
    pub metadata: Map<String, Value>,
    pub get_or_create: bool,
}

impl FromFields for CreateContext {
    fn read(fields: &mut Fields) -> Self {
        let task = fields.text("task_id");
        let task_id = task.as_deref().and_then(TaskId::parse);
        if task.is_some() && task_id.is_none() {
            fields.wrong("task_id", "invalid", "must be a UUID");
        }
        Self {
            scope: fields.word("scope"),
            session: fields.text("session_id"),
            task_id,
            agent: fields.text("agent_id"),
            initial_data: fields.map("initial_data").unwrap_or_default(),
            metadata: fields.map("metadata").unwrap_or_default(),
            get_or_create: fields.flag("get_or_create").unwrap_or(false),
        }
    }
}

/// Values to write, by their paths.
#[derive(Debug, ToSchema)]
#[schema(as = WriteContext, example = json!({
    "updates": { "plan.step": 2, "plan.notes": null }, "expected_version": 3
}))]
pub struct WriteContextBody {
    /// Paths such as `plan.step`, each with its value; null deletes. At most 1000.
    #[schema(value_type = Object)]
    pub updates: Map<String, Value>,
    /// The version that the writer knows. Newer ones do not matter as long as they changed something
    /// else.
    #[schema(minimum = 1)]
    pub expected_version: Option<u64>,
    /// Newer versions matter, whatever they changed.
    pub strict: Option<bool>,
}

/// The body of `PATCH /contexts/{id}`, read.
pub struct WriteContext(pub Vec<Update>, pub Base);

fn base(fields: &mut Fields) -> Base {
    let expected_version = fields.integer("expected_version");
    Base { expected_version, strict: fields.flag("strict").unwrap_or(false) }
}

impl FromFields for WriteContext {
    fn read(fields: &mut Fields) -> Self {
        let base = base(fields);
        let updates = fields.map("updates").unwrap_or_default();
        let updates = Update::all("/updates", updates).unwrap_or_else(|errors| {
            fields.complete(errors);
            Vec::new()
        });
        Self(updates, base)
    }
}

/// A value to write.
#[derive(Debug, ToSchema)]
#[schema(as = PutContextKey, example = json!({ "value": 2, "expected_version": 3 }))]
pub struct PutKeyBody {
    /// What is to stand there; null deletes.
    #[schema(value_type = Option<Object>)]
    pub value: Option<Value>,
    /// The version that the writer knows.
    #[schema(minimum = 1)]
    pub expected_version: Option<u64>,
    /// Newer versions matter, whatever they changed.
    pub strict: Option<bool>,
}

/// The body of `PUT /contexts/{id}/keys/{path}`, read.
pub struct PutKey(pub Value, pub Base);

impl FromFields for PutKey {
    fn read(fields: &mut Fields) -> Self {
        let base = base(fields);
        if !fields.has("value") && !fields.is_null("value") {
            fields.require_one("value", "is required; null deletes");
        }
        Self(fields.take("value").unwrap_or(Value::Null), base)
    }
}

/// Whom to give what a context has.
#[derive(Debug, ToSchema)]
#[schema(as = ShareContext, example = json!({ "target_session_id": "IND-000002" }))]
pub struct ShareContextBody {
    /// Id or code.
    #[schema(max_length = 64)]
    pub target_session_id: String,
    /// Into the session's own copy when it has one, `true` when omitted; else as another copy.
    pub merge_existing: Option<bool>,
}

/// The body of `POST /contexts/{id}/share`, read.
pub struct ShareContext(pub String, pub bool);

impl FromFields for ShareContext {
    fn read(fields: &mut Fields) -> Self {
        let merge_existing = fields.flag("merge_existing").unwrap_or(true);
        Self(fields.required_text("target_session_id"), merge_existing)
    }
}

/// Contexts to be merged into a new one.
#[derive(Debug, ToSchema)]
#[schema(as = MergeContexts, example = json!({
    "context_ids": ["0198f3a0-5b1c-7c3e-8f00-0123456789c0", "0198f3a0-5b1c-7c3e-8f00-0123456789c1"],
    "strategy": "deep_merge"
}))]
pub struct MergeContextsBody {
    /// The first is the target of the second, and so on.
    #[schema(min_items = 2, max_items = 32)]
    pub context_ids: Vec<ContextId>,
    /// What becomes of a clash; `last_write_wins` when omitted.
    pub strategy: Option<MergeStrategy>,
}

/// The body of `POST /contexts/merge`, read.
pub struct MergeContexts(pub Vec<ContextId>, pub MergeStrategy);

impl FromFields for MergeContexts {
    fn read(fields: &mut Fields) -> Self {
        let strategy = fields.word("strategy").unwrap_or(MergeStrategy::LastWriteWins);
        let mut ids = Vec::new();
        for (index, text) in fields.texts("context_ids").iter().enumerate() {
            match Uuid::try_parse(text) {
                Ok(id) => ids.push(ContextId::new(id)),
                Err(_) => fields.wrong_at("context_ids", index, "must be a UUID"),
            }
        }
        Self(ids, strategy)
    }
}

/// Decisions about the clashes of a merge.
#[derive(Debug, ToSchema)]
#[schema(as = ResolveContext, example = json!({
    "resolutions": { "plan.step": "source", "plan.notes": { "value": "both" } }
}))]
pub struct ResolveContextBody {
    /// For each path that clashes `source`, `target`, or `{"value": …}`.
    #[schema(value_type = Object)]
    pub resolutions: Map<String, Value>,
}

/// The body of `POST /contexts/{id}/resolve`, read.
pub struct ResolveContext(pub Resolutions);

impl FromFields for ResolveContext {
    fn read(fields: &mut Fields) -> Self {
        let mut read = Resolutions::new();
        if !fields.has("resolutions") {
            fields.require_one("resolutions", "is required");
        }
        for (name, decision) in fields.map("resolutions").unwrap_or_default() {
            let pointer = format!("resolutions/{name}");
            let path = match Path::parse(&name) {
                Ok(path) => path,
                Err(rule) => {
                    fields.wrong(&pointer, "invalid", rule);
                    continue;
                }
            };
            match decided(&path, &decision) {
                Ok(decision) => {
                    read.insert(path, decision);
                }
                Err(rule) => fields.wrong(&pointer, "invalid", rule),
            }
        }
        Self(read)
    }
}

fn decided(path: &Path, decision: &Value) -> Result<Resolution, String> {
    match decision.as_str() {
        Some("source") => return Ok(Resolution::Source),
        Some("target") => return Ok(Resolution::Target),
        Some(_) | None => {}
    }
    let value = decision.as_object().filter(|map| map.len() == 1).and_then(|map| map.get("value"));
    let value = value.ok_or("must be source, target, or an object with a value")?;
    let update = Update::one("", path.clone(), value.clone());
    let update = update
        .map_err(|errors| errors.first().map(|error| error.message.clone()).unwrap_or_default())?;
    Ok(Resolution::Value(update.value))
}
