//! Settings of drivers: what they may hold, how a change of some of them is taken over, and what is
//! shown of them.
//!
//! Invariant: a secret stands here as a reference only, `$NAME` for a variable of the server's
//! environment. What may be one nevertheless, a value of `env`, is never shown.

use serde_json::{Map, Value};

use crate::domain::field::FieldErrors;
use crate::domain::redact::is_marked;

/// Stands in the place of values that are not shown.
pub const MASK: &str = "***";

/// Settings that hold the address of a server.
const ADDRESSES: [&str; 2] = ["base_url", "endpoint_url"];
/// Most bytes of an address.
const MOST_URL_BYTES: usize = 2048;

/// Whether a text names a variable of the server's environment.
#[must_use]
pub fn is_reference(text: &str) -> bool {
    text.strip_prefix('$').is_some_and(is_variable)
}

fn is_variable(name: &str) -> bool {
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    begins && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Checks one setting whose shape is right.
pub(super) fn check(key: &str, value: &Value, errors: &mut FieldErrors) {
    let pointer = format!("/config/{key}");
    match value {
        Value::String(text) => check_text(key, pointer, text, errors),
        Value::Array(items) => {
            for (index, text) in items.iter().enumerate() {
                let text = text.as_str().unwrap_or_default();
                check_secret(format!("{pointer}/{index}"), text, errors);
            }
        }
        Value::Object(members) => {
            for (name, text) in members {
                let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                if !is_variable(name) {
                    let message = "must be named with letters, digits and _, no digit first";
                    errors.add(pointer, "invalid", message);
                    continue;
                }
                let text = text.as_str().unwrap_or_default();
                if text == MASK {
                    let message =
                        "is what is shown in the place of a value; leave it out to keep it";
                    errors.add(pointer, "masked", message);
                } else {
                    check_secret(pointer, text, errors);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn check_text(key: &str, pointer: String, text: &str, errors: &mut FieldErrors) {
    if key == "password_ref" {
        let message = "must name a variable of the server's environment, as in $OPENCODE_PASSWORD";
        return errors.require(is_reference(text), &pointer, "invalid", message);
    }
    if ADDRESSES.contains(&key) {
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let host = rest.unwrap_or_default().split(['/', '?', '#']).next().unwrap_or_default();
        let is_whole = !host.is_empty() && !text.contains('#') && text.len() <= MOST_URL_BYTES;
        let message = "must be an address such as http://127.0.0.1:4096";
        errors.require(is_whole, &pointer, "invalid", message);
        let message = "may not hold a name and a password";
        return errors.require(!host.contains('@'), &pointer, "invalid", message);
    }
    check_secret(pointer, text, errors);
}

/// The way in puts markers where secrets stand: such a text would be of no use.
fn check_secret(pointer: String, text: &str, errors: &mut FieldErrors) {
    if text.contains('\0') {
        return errors.add(pointer, "invalid", "may not hold a zero byte");
    }
    if is_marked(text) {
        let message = "holds a secret; let a variable of the server's environment hold it, and \
                       name that in `env`, as in $NAME";
        errors.add(pointer, "secret", message);
    }
}

/// The settings with some of them changed: a null takes one away, and what is not named stays.
// Source: RFC 7396.
#[must_use]
pub fn merged(settings: &Map<String, Value>, patch: &Map<String, Value>) -> Map<String, Value> {
    let mut all = settings.clone();
    for (key, value) in patch {
        match (value, all.get(key)) {
            (Value::Null, _) => drop(all.remove(key)),
            (Value::Object(patch), Some(Value::Object(known))) => {
                let inner = Value::Object(merged(known, patch));
                all.insert(key.clone(), inner);
            }
            (Value::Object(patch), _) => {
                all.insert(key.clone(), Value::Object(merged(&Map::new(), patch)));
            }
            (value, _) => drop(all.insert(key.clone(), value.clone())),
        }
    }
    all
}

/// The settings as they are shown: values of `env` only where they are references.
#[must_use]
pub fn shown(settings: &Map<String, Value>) -> Map<String, Value> {
    let mut shown = settings.clone();
    if let Some(Value::Object(variables)) = shown.get_mut("env") {
        for value in variables.values_mut() {
            if !value.as_str().is_some_and(is_reference) {
                *value = Value::String(MASK.to_owned());
            }
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    fn told(key: &str, value: &Value) -> Vec<(String, &'static str)> {
        let mut errors = FieldErrors::default();
        check(key, value, &mut errors);
        let told = errors.into_result(()).err().unwrap_or_default();
        told.into_iter().map(|error| (error.pointer, error.code)).collect()
    }

    #[test]
    fn values_of_variables_are_shown_only_where_they_are_references() {
        let settings = map(&json!({
            "command": ["a"], "env": { "KEY": "$MY_KEY", "MODE": "fast", "ODD": "$1", "NO": "$" },
        }));
        let expected = json!({
            "command": ["a"], "env": { "KEY": "$MY_KEY", "MODE": "***", "ODD": "***", "NO": "***" },
        });
        assert_eq!(Value::Object(shown(&settings)), expected);
    }

    #[test]
    fn a_change_of_some_settings_leaves_the_others() {
        let settings =
            map(&json!({ "command": ["a"], "env": { "A": "1", "B": "2" }, "cwd": "/x" }));
        let patch = map(&json!({ "env": { "A": null, "C": "3" }, "cwd": null, "command": ["b"] }));
        let expected = json!({ "command": ["b"], "env": { "B": "2", "C": "3" } });
        assert_eq!(Value::Object(merged(&settings, &patch)), expected);
        let fresh = merged(&Map::new(), &map(&json!({ "env": { "A": null } })));
        assert_eq!(Value::Object(fresh), json!({ "env": {} }));
    }

    #[test]
    fn secrets_masks_and_broken_addresses_are_refused() {
        let env = json!({ "A": "***", "b c": "x", "D": "[REDACTED:password]", "E": "$FINE" });
        let expected = [
            ("/config/env/A".to_owned(), "masked"),
            ("/config/env/D".to_owned(), "secret"),
            ("/config/env/b c".to_owned(), "invalid"),
        ];
        assert_eq!(told("env", &env), expected);
        let command = json!(["run", "--key", "[REDACTED:api_key]"]);
        assert_eq!(told("command", &command), [("/config/command/2".to_owned(), "secret")]);
        for wrong in ["ftp://a", "http://", "http://a#b", "https://u:p@a/b"] {
            assert_eq!(told("base_url", &json!(wrong)).len(), 1, "{wrong}");
        }
        assert_eq!(told("base_url", &json!("http://127.0.0.1:4096/a@b")), []);
        assert_eq!(told("password_ref", &json!("hunter2")).len(), 1);
        assert_eq!(told("password_ref", &json!("$OPENCODE_PASSWORD")), []);
    }
}
