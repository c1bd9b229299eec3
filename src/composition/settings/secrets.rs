//! `[redact]`: what is found in text and replaced by a marker, and the secrets that the settings hold.

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::Environment;
use super::reader::Reader;
use crate::domain::redact::Redactor;

/// Words in the names of variables that hold secrets.
const TELLING: [&str; 7] = ["KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL", "AUTH", "DSN"];

/// Ends of names whose values say nothing that is secret, although agents are handed them.
const OPEN: [&str; 2] = ["_MODEL", "_LOCATION"];

/// `[redact]`
pub(super) fn read(reader: &mut Reader<'_>) -> Redactor {
    let emails = reader.flag("redact.emails");
    let patterns = reader.list("redact.patterns");
    match Redactor::new(emails, &patterns) {
        Ok(redactor) => redactor,
        Err((pattern, problem)) => {
            let message = format!("`redact.patterns`: `{pattern}` is no pattern: {problem}");
            reader.refuse("redact.patterns", message);
            Redactor::default()
        }
    }
}

/// Tells a redactor which values are secret here: those that were given, those that agents are handed, and
/// those that are called so.
pub(super) fn learn(
    redactor: &Redactor,
    given: [&Option<SecretString>; 3],
    handed: [&Vec<String>; 3],
    environment: &Environment,
) {
    redactor.learn(given.into_iter().flatten().map(ExposeSecret::expose_secret));
    let is_handed = |name: &String| {
        let is_open = OPEN.iter().any(|end| name.ends_with(end));
        !is_open && handed.iter().any(|names| names.contains(name))
    };
    let secret = environment.iter().filter(|(name, value)| {
        !is_place(value) && (is_telling(name) || is_handed(name)) && !is_ordinary(value)
    });
    redactor.learn(secret.map(|(_, value)| value.as_str()));
}

/// Whether a variable is likely to hold a secret: by its name, or as an address with a password.
pub(in super::super) fn is_secret(name: &str, value: &str) -> bool {
    let has_password = value.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    });
    let is_ours = name.starts_with("ORCHESTRATOR_");
    has_password || (is_telling(name) && (is_ours || (!is_place(value) && !is_ordinary(value))))
}

fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    TELLING.iter().any(|word| name.contains(word))
}

fn is_place(value: &str) -> bool {
    value.starts_with(['/', '~']) || value.contains("://")
}

/// Numbers, switches and single words, which are no secrets whatever their variable is called.
fn is_ordinary(value: &str) -> bool {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    let is_word = value.len() < 12 && value.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_number || is_word
}

/// Every text in a file of credentials that is long enough to be one.
pub(in super::super) fn credentials(text: &str) -> Vec<String> {
    /// Shorter texts are kinds and names.
    const LEAST: usize = 16;
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) if text.len() >= LEAST && !text.contains("://") => {
                found.push(text.clone());
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            Value::Object(map) => map.values().for_each(|item| walk(item, found)),
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_str(text) {
        walk(&value, &mut found);
    }
    found
}

/// Every text in a configuration whose name says that it is a key.
pub(in super::super) fn keys(value: &Value) -> Vec<String> {
    let is_key = |name: &str| {
        let name = name.to_ascii_lowercase();
        ["key", "token", "secret", "password", "authorization"]
            .iter()
            .any(|end| name.ends_with(end))
    };
    match value {
        Value::Object(map) => {
            let nested = map.iter().flat_map(|(name, value)| {
                let text = value.as_str().filter(|text| is_key(name) && !text.starts_with('{'));
                text.map_or_else(|| keys(value), |text| vec![text.to_owned()])
            });
            nested.collect()
        }
        Value::Array(items) => items.iter().flat_map(keys).collect(),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}
