//! Records as JSON that people can read, and back, without loss.
//!
//! The shape is the one that is stored. Only what JSON says badly is spelled apart: identities and
//! other bytes, and numbers that would not come back as they were. No stored shape has an object with
//! one of these names alone in it and a text behind it, so that each is recognised again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// An identity.
const ID: &str = "$id";
/// Other bytes, as base64.
const BYTES: &str = "$bytes";
/// A number whose digits do not lead back to it.
const NUMBER: &str = "$number";
/// Shorter lists of small numbers are left as they are.
const LEAST_BYTES: usize = 8;

/// The shape as it is written.
pub(super) fn spelled(shape: Value) -> Value {
    match shape {
        Value::Array(items) => match bytes(&items) {
            Some(bytes) => match <[u8; 16]>::try_from(bytes.as_slice()) {
                Ok(id) => json!({ ID: Uuid::from_bytes(id) }),
                Err(_) => json!({ BYTES: STANDARD.encode(bytes) }),
            },
            None => items.into_iter().map(spelled).collect(),
        },
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, spelled(value))).collect()
        }
        Value::Number(number) if !comes_back(&number) => json!({ NUMBER: number.to_string() }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => shape,
    }
}

fn bytes(items: &[Value]) -> Option<Vec<u8>> {
    if items.len() < LEAST_BYTES {
        return None;
    }
    items.iter().map(|item| u8::try_from(item.as_u64()?).ok()).collect()
}

fn comes_back(number: &serde_json::Number) -> bool {
    let Some(exact) = number.as_f64().filter(|_| number.is_f64()) else { return true };
    let read: Result<f64, _> = serde_json::from_str(&number.to_string());
    read.is_ok_and(|read| read.to_bits() == exact.to_bits())
}

/// The shape that was written so; `None` when it was not.
pub(super) fn unspelled(written: Value) -> Option<Value> {
    match written {
        Value::Array(items) => {
            items.into_iter().map(unspelled).collect::<Option<Vec<_>>>().map(Value::Array)
        }
        Value::Object(fields) => match apart(&fields) {
            Some((ID, text)) => Some(json!(Uuid::try_parse(text).ok()?.as_bytes())),
            Some((BYTES, text)) => Some(json!(STANDARD.decode(text).ok()?)),
            Some((_, text)) => Some(json!(text.parse::<f64>().ok()?)),
            None => {
                let fields =
                    fields.into_iter().map(|(name, value)| Some((name, unspelled(value)?)));
                fields.collect::<Option<Map<_, _>>>().map(Value::Object)
            }
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(written),
    }
}

/// What is spelled apart: how, and its text.
fn apart(fields: &Map<String, Value>) -> Option<(&'static str, &str)> {
    let (name, value) = fields.iter().next().filter(|_| fields.len() == 1)?;
    let name = [ID, BYTES, NUMBER].into_iter().find(|known| known == name)?;
    Some((name, value.as_str()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shapes() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            proptest::num::f64::NORMAL.prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::from),
            any::<[u8; 16]>().prop_map(|id| json!(id)),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-z$]{1,6}", inner, 0..4)
                    .prop_map(|fields| fields.into_iter().collect::<Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_shape_comes_back_through_its_text(shape in shapes()) {
            let text = spelled(shape.clone()).to_string();
            let read = unspelled(serde_json::from_str(&text).expect("JSON"));
            prop_assert_eq!(read, Some(shape));
        }
    }

    #[test]
    fn identities_are_read_by_people() {
        let id = Uuid::from_u128(7);
        let written = spelled(json!({ "id": id.as_bytes(), "few": [1, 2, 3] }));
        assert_eq!(written, json!({ "id": { "$id": id }, "few": [1, 2, 3] }));
        assert_eq!(unspelled(json!({ "$id": "none" })), None, "nothing is made up");
    }
}
