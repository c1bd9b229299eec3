//! JSON as bodies have it: any value, but no object that says the same key twice.
//!
//! Invariant: what was read is what was sent. The usual way keeps the last of two values, and which
//! of them a proxy, a log or a person saw is anybody's guess.
// Source: RFC 8259 section 4 and RFC 7493 section 2.3: names within an object should be unique.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why bytes are no such value.
#[derive(Debug)]
pub enum Unreadable {
    /// An object has a key twice; the text names it.
    RepeatedKey(String),
    /// It is no JSON.
    Malformed(String),
}

/// Reads a value.
///
/// # Errors
/// `Unreadable`.
pub fn read(bytes: &[u8]) -> Result<Value, Unreadable> {
    match serde_json::from_slice::<Strict>(bytes) {
        Ok(Strict(value)) => Ok(value),
        // Any well-formed value is accepted but for repeated keys.
        Err(error) if error.is_data() => Err(Unreadable::RepeatedKey(error.to_string())),
        Err(error) => Err(Unreadable::Malformed(error.to_string())),
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Any).map(Self)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                let shown: String = key.chars().take(100).collect();
                return Err(A::Error::custom(format_args!("the key {shown:?} is given twice")));
            }
            let Strict(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_repeated_key_is_named_at_any_depth() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"x":[{"a":1,"b":2,"a":1}]}"#, r#"{"a":1,"\u0061":1}"#]
        {
            let Err(Unreadable::RepeatedKey(said)) = read(text.as_bytes()) else {
                panic!("{text} is refused")
            };
            assert!(said.contains("\"a\""), "{said}");
        }
        assert!(read(br#"{"a":{"a":{"a":[]}}}"#).is_ok());
        assert!(matches!(read(b"{\"a\":1"), Err(Unreadable::Malformed(_))));
        assert!(matches!(read(b"{} x"), Err(Unreadable::Malformed(_))));
        assert!(matches!(read("[".repeat(1000).as_bytes()), Err(Unreadable::Malformed(_))));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((".*", inner), 0..5)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn everything_else_is_read_as_usual(value in any_value()) {
            let text = value.to_string();
            let usual: Value = serde_json::from_str(&text).expect("it is JSON");
            prop_assert_eq!(read(text.as_bytes()).ok(), Some(usual));
        }
    }
}
