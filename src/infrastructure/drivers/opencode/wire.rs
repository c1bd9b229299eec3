//! What the server says, as far as we read it.
//!
//! Invariant: everything that is not needed may be missing or unknown; nothing here fails because
//! a newer server says more.

use serde::Deserialize;
use serde_json::Value;

/// `GET /global/health`.
#[derive(Debug, Deserialize)]
pub(super) struct Health {
    #[serde(default)]
    pub(super) healthy: bool,
    #[serde(default)]
    pub(super) version: String,
}

/// A conversation.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Session {
    pub(super) id: String,
    #[serde(default, rename = "parentID")]
    pub(super) parent: Option<String>,
    /// Its own rules; the last matching one wins.
    #[serde(default)]
    pub(super) permission: Value,
}

/// An agent profile.
#[derive(Debug, Deserialize)]
pub(super) struct Profile {
    #[serde(default)]
    pub(super) name: String,
}

/// `GET /config/providers`.
#[derive(Debug, Deserialize)]
pub(super) struct Providers {
    #[serde(default)]
    pub(super) providers: Vec<Provider>,
    /// Provider to the model that is taken when none is named.
    #[serde(default)]
    pub(super) default: std::collections::HashMap<String, String>,
}

/// A provider of models.
#[derive(Debug, Deserialize)]
pub(super) struct Provider {
    #[serde(default)]
    pub(super) id: String,
    #[serde(default)]
    pub(super) models: serde_json::Map<String, Value>,
}

/// `GET /config`, the one field of it that we read; the rest holds keys in plain text.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    #[serde(default)]
    pub(super) model: Option<String>,
}

/// A message and its parts.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Message {
    pub(super) info: Info,
    #[serde(default)]
    pub(super) parts: Vec<Part>,
}

/// A message: one per prompt, and one per step of the answer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Info {
    pub(super) id: String,
    #[serde(rename = "sessionID")]
    pub(super) session: String,
    pub(super) role: String,
    #[serde(rename = "parentID")]
    pub(super) parent: Option<String>,
    #[serde(rename = "providerID")]
    pub(super) provider: Option<String>,
    #[serde(rename = "modelID")]
    pub(super) model: Option<String>,
    pub(super) time: Times,
    pub(super) finish: Option<String>,
    pub(super) cost: Option<f64>,
    pub(super) tokens: Tokens,
    pub(super) error: Option<Fault>,
}

impl Info {
    /// Whether it is a step of an answer that is over.
    pub(super) fn is_complete_step(&self) -> bool {
        self.role == "assistant" && self.time.completed.is_some()
    }
}

/// When something began and ended, milliseconds since the epoch.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Times {
    pub(super) completed: Option<f64>,
    pub(super) end: Option<f64>,
}

/// Tokens of one step.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    pub(super) input: f64,
    pub(super) output: f64,
    pub(super) reasoning: f64,
    pub(super) cache: CacheTokens,
}

/// Tokens that a cache was read or written for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct CacheTokens {
    pub(super) read: f64,
    pub(super) write: f64,
}

/// An error as messages and error answers carry it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fault {
    pub(super) name: String,
    pub(super) data: Value,
}

impl Fault {
    /// What it says.
    pub(super) fn message(&self) -> &str {
        self.data.get("message").and_then(Value::as_str).unwrap_or_default()
    }
}

/// A piece of a message.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Part {
    pub(super) id: String,
    #[serde(rename = "sessionID")]
    pub(super) session: String,
    #[serde(rename = "messageID")]
    pub(super) message: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) text: String,
    pub(super) synthetic: bool,
    pub(super) time: Times,
    pub(super) tool: String,
    pub(super) state: ToolState,
}

/// Where a tool call stands.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolState {
    pub(super) status: String,
    pub(super) input: Value,
    pub(super) output: Option<String>,
    pub(super) title: Option<String>,
    pub(super) error: Option<String>,
}

/// `busy`, `idle` or `retry`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) message: String,
    pub(super) next: Option<f64>,
}

/// A permission that is asked for.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct PermissionAsk {
    pub(super) id: String,
    #[serde(rename = "sessionID")]
    pub(super) session: String,
    pub(super) permission: String,
    #[serde(default)]
    pub(super) patterns: Vec<String>,
    #[serde(default)]
    pub(super) metadata: Value,
}

/// A question to the person.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct QuestionAsk {
    pub(super) id: String,
    #[serde(rename = "sessionID")]
    pub(super) session: String,
    #[serde(default)]
    pub(super) questions: Vec<Question>,
}

/// One of its questions.
#[derive(Debug, Clone, Default, Deserialize, serde::Serialize)]
#[serde(default)]
pub(super) struct Question {
    #[serde(rename = "question")]
    pub(super) text: String,
    pub(super) header: String,
    pub(super) options: Vec<Choice>,
}

/// An answer that is offered.
#[derive(Debug, Clone, Default, Deserialize, serde::Serialize)]
#[serde(default)]
pub(super) struct Choice {
    pub(super) label: String,
    pub(super) description: String,
}

/// One event of the stream.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Event {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) properties: Value,
}
