//! How much of what an agent says is told.

use serde_json::{Value, json};

use super::permission::cut;
use crate::domain::canonical::canonical;

/// Longest input or output of a call that is told.
pub(super) const MAX_CALL_BYTES: usize = 64 * 1024;
/// Longest text that is told.
pub(super) const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// The body of a piece of the transcript that is words.
pub(super) fn words(text: &str) -> Value {
    json!({ "text": cut(text, MAX_TEXT_BYTES) })
}

/// What a call was given.
pub(super) fn input(input: &Value) -> Value {
    match input {
        small if canonical(small).len() <= MAX_CALL_BYTES => small.clone(),
        large => json!({ "truncated": cut(&large.to_string(), MAX_CALL_BYTES) }),
    }
}

/// What a call gave.
pub(super) fn output(text: &str) -> String {
    cut(text, MAX_CALL_BYTES)
}
