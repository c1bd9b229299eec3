//! Permissions, as every agent that asks for them is answered: by the policy, or by a person.

use serde_json::Value;

use crate::domain::attention::Risk;
use crate::domain::session::policy::{PermissionDecision, PermissionPolicy};

/// Longest text inside the facts of an ask.
const MAX_FACT_BYTES: usize = 64 * 1024;

/// What the policy says of a call.
pub(super) fn decide(
    policy: &PermissionPolicy,
    tool: &str,
    pieces: &[String],
) -> PermissionDecision {
    let mut policy = policy.clone();
    for rule in &mut policy.rules {
        rule.tool = class(&rule.tool).to_owned();
    }
    policy.decide(tool, pieces)
}

/// The name under which a tool is asked for.
pub(super) fn class(tool: &str) -> &str {
    match tool {
        "write" | "patch" | "apply_patch" | "multiedit" => "edit",
        other => other,
    }
}

pub(super) fn risk(permission: &str) -> Risk {
    match permission {
        "read" | "glob" | "grep" | "list" | "lsp" | "skill" | "todowrite" | "todoread" => Risk::Low,
        "edit" | "webfetch" | "websearch" | "task" => Risk::Medium,
        _ => Risk::High,
    }
}

/// One line for people.
pub(super) fn line(text: &str) -> String {
    let flat: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    flat.trim().to_owned()
}

/// Facts of a bounded size.
pub(super) fn shortened(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(cut(text, MAX_FACT_BYTES)),
        Value::Array(items) => items.iter().take(200).map(shortened).collect(),
        Value::Object(map) => Value::Object(
            map.iter().take(200).map(|(key, value)| (key.clone(), shortened(value))).collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// At most `limit` bytes of a text, and a note when something was left out.
pub(super) fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit);
    format!("{}\n[{} bytes left out]", &text[..end], text.len() - end)
}
