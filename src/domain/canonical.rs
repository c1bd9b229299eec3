//! Canonical JSON and the hashes that are taken of it.
//!
//! Source: RFC 8785 for the order of keys and the spelling of strings and numbers.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The canonical spelling: keys in UTF-16 order, no white space, shortest numbers.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_value(value, &mut text);
    text
}

/// SHA-256 of the canonical spelling, lower-case hex.
#[must_use]
pub fn canonical_hash(value: &Value) -> String {
    sha256_hex(canonical(value).as_bytes())
}

/// SHA-256 of bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 of bytes, lower-case hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in sha256(bytes) {
        text.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        text.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
    }
    text
}

/// Levels of nesting: 0 for a plain value, 1 for a map or list of plain values.
#[must_use]
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
    }
}

fn write_value(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => write_number(number, text),
        Value::String(string) => text.push_str(&Value::String(string.clone()).to_string()),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_value(item, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_by(|left, right| left.encode_utf16().cmp(right.encode_utf16()));
            text.push('{');
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::String(key.clone()).to_string());
                text.push(':');
                write_value(&map[key], text);
            }
            text.push('}');
        }
    }
}

/// Integers as they are; a float without fraction as an integer, as ECMAScript writes it.
fn write_number(number: &serde_json::Number, text: &mut String) {
    match number.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
            text.push_str(&(float as i64).to_string());
        }
        _ => text.push_str(&number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_and_numbers_are_short() {
        let value: Value =
            serde_json::from_str(r#"{ "b": 1.0, "a": [true, null, "é\n"], "ä": {} }"#)
                .expect("valid");
        assert_eq!(canonical(&value), "{\"a\":[true,null,\"é\\n\"],\"b\":1,\"ä\":{}}");
        assert_eq!(depth(&value), 2);
    }

    #[test]
    fn the_hash_of_nothing_is_the_known_one() {
        assert!(sha256_hex(b"").starts_with("e3b0c44298fc1c149afbf4c8996fb924"));
    }
}
