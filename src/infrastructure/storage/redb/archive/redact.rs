//! Texts of an export in which secrets are replaced.

use std::borrow::Cow;
use std::sync::LazyLock;

use serde_json::Value;

use crate::domain::redact::Redactor;

/// Replaces what looks like a secret in a text.
pub(super) type Redact = fn(&str) -> Cow<'_, str>;

/// Replaces what has the shape of a secret, is said to be one, or is a long random word.
pub(super) fn secrets(text: &str) -> Cow<'_, str> {
    static REDACTOR: LazyLock<Redactor> = LazyLock::new(|| Redactor::default().strict());
    REDACTOR.redact(text)
}

/// Replaces secrets in every text of a shape.
pub(super) fn redacted(shape: &mut Value, redact: Redact) {
    match shape {
        Value::String(text) => {
            if let Cow::Owned(clean) = redact(text) {
                *text = clean;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redacted(item, redact)),
        Value::Object(fields) => {
            fields.iter_mut().for_each(|(_, value)| redacted(value, redact));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
