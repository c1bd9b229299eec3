//! Canonical JSON and the hashes that are taken of it.
//!
//! Source: RFC 8785 for the order of keys and the spelling of strings and numbers.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Values of a JSON text that somebody sends: each takes many times the memory of the byte or two that it
/// may be spelled with.
pub const MOST_VALUES: usize = 250_000;

/// The canonical spelling: keys in UTF-16 order, no white space, shortest numbers.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "what serde_json writes is always UTF-8")]
pub fn canonical(value: &Value) -> String {
    let mut text = Vec::with_capacity(512);
    write_value(value, &mut text);
    String::from_utf8(text).expect("only JSON was written, which is UTF-8")
}

/// The canonical spelling of an object whose members are known: without a tree of values.
///
/// Invariant: members are given in the order of their names, which are plain ASCII.
pub struct Members(Vec<u8>);

impl Members {
    /// The object that these members make.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "what serde_json writes is always UTF-8")]
    pub fn of(write: impl FnOnce(&mut Self)) -> String {
        let mut members = Self(Vec::with_capacity(512));
        members.object(write);
        String::from_utf8(members.0).expect("only JSON was written, which is UTF-8")
    }

    /// A text, an integer or nothing.
    pub fn plain(&mut self, name: &'static str, value: &impl serde::Serialize) {
        self.name(name);
        write_plain(value, &mut self.0);
    }

    /// Any value, or null.
    pub fn value(&mut self, name: &'static str, value: Option<&Value>) {
        self.name(name);
        write_value(value.unwrap_or(&Value::Null), &mut self.0);
    }

    /// An object inside.
    pub fn nested(&mut self, name: &'static str, write: impl FnOnce(&mut Self)) {
        self.name(name);
        self.object(write);
    }

    fn object(&mut self, write: impl FnOnce(&mut Self)) {
        self.0.push(b'{');
        write(self);
        self.0.push(b'}');
    }

    fn name(&mut self, name: &'static str) {
        if self.0.last() != Some(&b'{') {
            self.0.push(b',');
        }
        self.0.push(b'"');
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
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
    hex(&sha256(bytes))
}

/// Bytes in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(*byte));
    }
    text
}

/// The bytes that `hex` wrote so; `None` for any other spelling or length.
#[must_use]
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

/// How many values a JSON text has at most: each but the first follows a comma, or opens a list or a map.
#[must_use]
pub fn values_in(bytes: &[u8]) -> usize {
    let (mut count, mut in_text, mut is_escaped) = (1, false, false);
    for byte in bytes {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => count += 1,
            _ => {}
        }
    }
    count
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

fn write_value(value: &Value, text: &mut Vec<u8>) {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => write_plain(value, text),
        Value::Number(number) => write_number(number, text),
        Value::Array(items) => {
            text.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write_value(item, text);
            }
            text.push(b']');
        }
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            // The order of bytes is that of UTF-16 as long as nobody leaves ASCII.
            if entries.iter().all(|(key, _)| key.is_ascii()) {
                entries.sort_unstable_by_key(|(key, _)| *key);
            } else {
                entries
                    .sort_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
            }
            text.push(b'{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write_plain(key, text);
                text.push(b':');
                write_value(value, text);
            }
            text.push(b'}');
        }
    }
}

/// A value that has one spelling only.
fn write_plain(value: &impl serde::Serialize, text: &mut Vec<u8>) {
    serde_json::to_writer(text, value).expect("memory takes every text and plain value");
}

/// Integers as they are; a float without fraction as an integer, as ECMAScript writes it.
fn write_number(number: &serde_json::Number, text: &mut Vec<u8>) {
    match number.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
            write_plain(&(float as i64), text);
        }
        _ => write_plain(number, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_before_they_are_read() {
        assert_eq!(values_in(br#"{"a": [1, 2], "b,[{\"": ",,", "c": "\\"}"#), 6);
    }

    #[test]
    fn keys_are_ordered_and_numbers_are_short() {
        let value: Value =
            serde_json::from_str(r#"{ "b": 1.0, "a": [true, null, "é\n"], "ä": {} }"#)
                .expect("valid");
        assert_eq!(canonical(&value), "{\"a\":[true,null,\"é\\n\"],\"b\":1,\"ä\":{}}");
        assert_eq!(depth(&value), 2);
    }

    #[test]
    fn keys_beyond_the_basic_plane_come_before_those_at_its_end() {
        let value = serde_json::json!({ "\u{ff21}": 1, "\u{1f600}": 2, "z": 3 });
        assert_eq!(canonical(&value), "{\"z\":3,\"\u{1f600}\":2,\"\u{ff21}\":1}");
    }

    #[test]
    fn the_hash_of_nothing_is_the_known_one() {
        assert!(sha256_hex(b"").starts_with("e3b0c44298fc1c149afbf4c8996fb924"));
    }
}
