//! Bodies of commands, on the wire. Each struct documents a body and is what it is read into.

use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::create::{dollars, priority};
use crate::application::ports::workspaces::MergeMode;
use crate::application::session::control::DeclaredFailure;
use crate::application::session::fork::ForkRequest;
use crate::domain::attention::Decision;
use crate::domain::field::FieldErrors;
use crate::domain::money::Usd;
use crate::domain::session::PromptMode;
use crate::domain::session::draft::SessionPatch;
use crate::domain::session::life::Outcome;
use crate::domain::session::spec::Priority;
use crate::presentation::api::fields::{Fields, FromFields};

/// Fields to change; what is omitted stays.
#[derive(Debug, ToSchema)]
#[schema(as = PatchSession, example = json!({ "priority": 1, "tags": ["urgent"] }))]
#[expect(missing_docs, reason = "the fields are those of domain 1.1")]
pub struct PatchSessionBody {
    #[schema(min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// Null clears it.
    #[schema(max_length = 1000)]
    pub description: Option<String>,
    pub priority: Option<Priority>,
    #[schema(minimum = 60, maximum = 86_400)]
    pub max_duration_seconds: Option<u32>,
    /// US dollars; null lifts the budget.
    pub budget_usd: Option<Usd>,
    /// Only while pending.
    #[schema(value_type = Option<Object>)]
    pub agent_config: Option<Map<String, Value>>,
    pub exclude_from_training: Option<bool>,
    #[schema(max_items = 20)]
    pub tags: Option<Vec<String>>,
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

/// The body of `PATCH /sessions/{id}`, read.
pub struct PatchSession(pub SessionPatch);

impl FromFields for PatchSession {
    fn read(fields: &mut Fields) -> Self {
        let tags_given = fields.has("tags");
        Self(SessionPatch {
            title: fields.text("title"),
            description: fields.nullable("description", Fields::text),
            priority: priority(fields),
            max_duration_seconds: fields.integer("max_duration_seconds"),
            budget_usd: fields.nullable("budget_usd", dollars),
            agent_config: fields.map("agent_config"),
            exclude_from_training: fields.flag("exclude_from_training"),
            tags: Some(fields.texts("tags")).filter(|_| tags_given),
            metadata: fields.map("metadata"),
        })
    }
}

/// Why, for people and the audit.
#[derive(Debug, ToSchema)]
#[schema(as = Reason, example = json!({ "reason": "superseded" }))]
pub struct ReasonBody {
    /// For people and the audit.
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
}

impl FromFields for ReasonBody {
    fn read(fields: &mut Fields) -> Self {
        Self { reason: fields.bounded_text("reason", 0, 1000) }
    }
}

/// Where the next attempt goes on from.
#[derive(Debug, ToSchema)]
#[schema(as = Retry, example = json!({ "from_checkpoint": 3 }))]
pub struct RetryBody {
    /// The newest one when omitted.
    #[schema(minimum = 1)]
    pub from_checkpoint: Option<u64>,
}

impl FromFields for RetryBody {
    fn read(fields: &mut Fields) -> Self {
        Self { from_checkpoint: fields.integer("from_checkpoint") }
    }
}

/// Finished work, declared by a person.
#[derive(Debug, ToSchema)]
#[schema(as = Complete, example = json!({ "result": { "summary": "done by hand" }, "reason": "fixed manually" }))]
pub struct CompleteBody {
    /// What the work gave.
    #[schema(value_type = Object)]
    pub result: Map<String, Value>,
    /// 1 when omitted.
    #[schema(minimum = 0, maximum = 1, default = 1.0)]
    pub success_rate: Option<f64>,
    /// How sure that is.
    #[schema(minimum = 0, maximum = 1)]
    pub confidence_score: Option<f64>,
    /// Why it is completed by force; audited.
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// The body of `POST /sessions/{id}/complete`, read.
pub struct Complete {
    /// What is stored.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
}

impl FromFields for Complete {
    fn read(fields: &mut Fields) -> Self {
        if !fields.has("result") {
            fields.wrong("result", "required", "is required");
        }
        let result = Value::Object(bounded(fields, "result").unwrap_or_default());
        let success_rate = share(fields, "success_rate").unwrap_or(1.0);
        let confidence_score = share(fields, "confidence_score");
        let reason = required(fields, "reason", 1000);
        let outcome =
            Outcome { result, success_rate: Some(success_rate), source: None, confidence_score };
        Self { outcome, reason }
    }
}

/// A person's judgement of what a session gave; at least one of its fields.
#[derive(Debug, ToSchema)]
#[schema(as = Rate, example = json!({ "success_rate": 0.8, "comment": "the edge cases are missing" }))]
pub struct RateBody {
    /// Share of the work that succeeded; stands above what was measured.
    #[schema(minimum = 0, maximum = 1)]
    pub success_rate: Option<f64>,
    /// How good the code is.
    #[schema(minimum = 0, maximum = 1)]
    pub code_quality_score: Option<f64>,
    /// Why, for the audit.
    #[schema(max_length = 1000)]
    pub comment: Option<String>,
}

impl FromFields for RateBody {
    fn read(fields: &mut Fields) -> Self {
        let rating = Self {
            success_rate: share(fields, "success_rate"),
            code_quality_score: share(fields, "code_quality_score"),
            comment: fields.bounded_text("comment", 0, 1000),
        };
        if let Self { success_rate: None, code_quality_score: None, comment: None } = rating {
            fields.require_one("success_rate", "is required, or code_quality_score, or a comment");
        }
        rating
    }
}

/// A failure, declared by a person.
#[derive(Debug, ToSchema)]
#[schema(as = Fail, example = json!({ "error_message": "the branch is gone", "retryable": false }))]
pub struct FailBody {
    /// What happened.
    #[schema(min_length = 1, max_length = 1000)]
    pub error_message: String,
    /// `operator_failure` when omitted.
    #[schema(min_length = 1, max_length = 50)]
    pub error_code: Option<String>,
    /// Further facts.
    #[schema(value_type = Option<Object>)]
    pub error_context: Option<Map<String, Value>>,
    /// Whether an automatic retry may follow.
    #[schema(default = true)]
    pub retryable: Option<bool>,
}

/// The body of `POST /sessions/{id}/fail`, read.
pub struct Fail(pub DeclaredFailure);

impl FromFields for Fail {
    fn read(fields: &mut Fields) -> Self {
        Self(DeclaredFailure {
            message: required(fields, "error_message", 1000),
            code: fields.bounded_text("error_code", 1, 50),
            context: bounded(fields, "error_context").map_or(Value::Null, Value::Object),
            retryable: fields.flag("retryable").unwrap_or(true),
        })
    }
}

/// Something to tell the agent.
#[derive(Debug, ToSchema)]
#[schema(as = Prompt, example = json!({ "text": "Also update the changelog", "mode": "queue" }))]
pub struct PromptBody {
    /// What to say.
    #[schema(min_length = 1, max_length = 100_000)]
    pub text: String,
    /// After the current turn, or aborting it; `queue` when omitted.
    pub mode: Option<PromptMode>,
}

impl FromFields for PromptBody {
    fn read(fields: &mut Fields) -> Self {
        Self { text: required(fields, "text", 100_000), mode: fields.word("mode") }
    }
}

/// What differs from the source; what is omitted is copied.
#[derive(Debug, ToSchema)]
#[schema(as = Fork, example = json!({ "from_checkpoint": 3, "initial_prompt": "Try it without the cache" }))]
pub struct ForkBody {
    /// The newest one when omitted.
    #[schema(minimum = 1)]
    pub from_checkpoint: Option<u64>,
    /// The source's title with `(fork)` when omitted.
    #[schema(min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// What to do.
    #[schema(min_length = 1, max_length = 100_000)]
    pub initial_prompt: Option<String>,
    /// Pinned agent, by id or name.
    #[schema(min_length = 1, max_length = 100)]
    pub agent: Option<String>,
    /// `provider/model`.
    #[schema(min_length = 1, max_length = 200)]
    pub model_identifier: Option<String>,
    /// US dollars; that of the source when omitted.
    pub budget_usd: Option<Usd>,
    /// A fork has a parent only when one is named, by id or code.
    #[schema(min_length = 1, max_length = 64)]
    pub parent_id: Option<String>,
}

/// The body of `POST /sessions/{id}/fork`, read.
pub struct Fork(pub ForkRequest);

impl FromFields for Fork {
    fn read(fields: &mut Fields) -> Self {
        Self(ForkRequest {
            from_checkpoint: fields.integer("from_checkpoint"),
            title: fields.bounded_text("title", 1, 200),
            initial_prompt: fields.bounded_text("initial_prompt", 1, 100_000),
            agent: fields.bounded_text("agent", 1, 100),
            model_identifier: fields.bounded_text("model_identifier", 1, 200),
            budget_usd: dollars(fields, "budget_usd"),
            parent: fields.bounded_text("parent_id", 1, 64),
        })
    }
}

/// A manual checkpoint.
#[derive(Debug, ToSchema)]
#[schema(as = CreateCheckpoint, example = json!({ "checkpoint_data": { "note": "before the rewrite" } }))]
pub struct CheckpointBody {
    /// At most 256 KiB canonical.
    #[schema(value_type = Option<Object>)]
    pub checkpoint_data: Option<Map<String, Value>>,
    /// Lies under `_metadata` in the data.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

impl FromFields for CheckpointBody {
    fn read(fields: &mut Fields) -> Self {
        Self { checkpoint_data: fields.map("checkpoint_data"), metadata: fields.map("metadata") }
    }
}

/// How work is brought home.
#[derive(Debug, ToSchema)]
#[schema(as = Merge, example = json!({ "mode": "squash", "message": "Fix the parser" }))]
pub struct MergeBody {
    /// `merge` when omitted.
    pub mode: Option<MergeMode>,
    /// Message of the commit.
    #[schema(min_length = 1, max_length = 5000)]
    pub message: Option<String>,
}

impl FromFields for MergeBody {
    fn read(fields: &mut Fields) -> Self {
        Self { mode: fields.word("mode"), message: fields.bounded_text("message", 1, 5000) }
    }
}

/// A decision about one item.
#[derive(Debug, ToSchema)]
#[schema(as = Resolve, example = json!({ "decision": "allow_once" }))]
pub struct ResolveBody {
    /// One of the item's `decisions`.
    #[schema(value_type = Decision)]
    pub decision: Option<Decision>,
    /// The text of an answer.
    #[schema(max_length = 100_000)]
    pub answer: Option<String>,
    /// The item's `fingerprint`, as it was when this was decided: what is asked by then for anything
    /// else is left open.
    #[schema(max_length = 200)]
    pub fingerprint: Option<String>,
}

impl FromFields for ResolveBody {
    fn read(fields: &mut Fields) -> Self {
        let (decision, answer) = decided(fields);
        Self { decision, answer, fingerprint: fields.bounded_text("fingerprint", 1, 200) }
    }
}

fn decided(fields: &mut Fields) -> (Option<Decision>, Option<String>) {
    let decision = fields.word("decision");
    if decision.is_none() {
        fields.require_one("decision", "is required");
    }
    (decision, fields.bounded_text("answer", 0, 100_000))
}

/// A decision about every open item that asks the same.
#[derive(Debug, ToSchema)]
#[schema(as = ResolveMany, example = json!({ "fingerprint": "…", "decision": "deny" }))]
pub struct ResolveManyBody {
    /// The items' `fingerprint`.
    #[schema(min_length = 1, max_length = 200)]
    pub fingerprint: String,
    /// One of the items' `decisions`.
    #[schema(value_type = Decision)]
    pub decision: Option<Decision>,
    /// The text of an answer.
    #[schema(max_length = 100_000)]
    pub answer: Option<String>,
}

impl FromFields for ResolveManyBody {
    fn read(fields: &mut Fields) -> Self {
        let fingerprint = required(fields, "fingerprint", 200);
        let (decision, answer) = decided(fields);
        Self { fingerprint, decision, answer }
    }
}

fn required(fields: &mut Fields, name: &'static str, most: usize) -> String {
    if !fields.has(name) {
        fields.wrong(name, "required", "is required");
    }
    let text = fields.bounded_text(name, 1, most).unwrap_or_default();
    if !text.is_empty() && text.trim().is_empty() {
        fields.wrong(name, "required", "must not be blank");
    }
    text
}

/// A free object within the limits of every stored map.
fn bounded(fields: &mut Fields, name: &'static str) -> Option<Map<String, Value>> {
    let map = fields.map(name)?;
    let mut errors = FieldErrors::default();
    errors.map(&format!("/{name}"), &map);
    fields.complete(errors.into_result(()).err().unwrap_or_default());
    Some(map)
}

fn share(fields: &mut Fields, name: &'static str) -> Option<f64> {
    let share = fields.number(name)?;
    if !(0.0..=1.0).contains(&share) {
        fields.wrong(name, "out_of_range", "must be between 0 and 1");
    }
    Some(share)
}
