//! The shapes that are written: one frozen struct per aggregate and schema, and the conversions.
//!
//! Invariant: a `…V1` never changes once released; a new shape is a new struct, and the old one is
//! read for ever. Conversions name every field, so a new one does not compile until it has a place.
//! JSON of unknown shape is stored as text, words as their slugs, instants as milliseconds.

mod agent;
mod attempt;
mod attention;
mod audit;
mod checkpoint;
mod context;
mod event;
mod gates;
mod journal;
pub(super) mod kinds;
mod metrics;
mod remembered;
mod session;
mod small;
mod spec;
mod task;
mod tenant;
#[cfg(test)]
mod tests;
mod usage;
mod user;
mod vitals;
mod webhook;

use std::cell::RefCell;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::codec::{self, CodecError};
use super::envelope::{self, Broken, Envelope};
use crate::domain::canonical::depth;
use crate::domain::time::Timestamp;

pub(super) use self::journal::{Chunk, MAX_ENTRY_BYTES};
pub(super) use self::small::{Head, Number, Quarantined, Reference, StoreMeta};

/// Deepest nesting that can be read back.
const MAX_DEPTH: usize = 120;

/// Something that lies in a table.
pub(super) trait Record: Sized {
    /// Its kind byte: never changed, never used again.
    const KIND: u8;
    /// The schema that is written now.
    const SCHEMA: u16 = 1;

    /// The payload in the current schema and codec.
    fn spell(&self) -> Result<Vec<u8>, Unstorable>;

    /// What a payload of this schema says.
    fn read(payload: Payload<'_>) -> Result<Self, Unreadable>;
}

/// A payload with what is needed to read it.
#[derive(Clone, Copy)]
pub(super) struct Payload<'a> {
    schema: u16,
    codec: u8,
    bytes: &'a [u8],
    /// Where the shape is shown, when somebody asked for it.
    shown: Option<&'a RefCell<Option<Value>>>,
}

impl<'a> Payload<'a> {
    /// The record struct, when the schema is the one that it belongs to.
    fn parse<T: Deserialize<'a> + Serialize>(self, schema: u16) -> Result<T, Unreadable> {
        if self.schema != schema {
            return Err(Unreadable::UnknownSchema(self.schema));
        }
        let shape = codec::decode(self.codec, self.bytes)?;
        self.show(&shape);
        Ok(shape)
    }

    /// Shows what exports say of the record, where that is not the struct itself.
    fn show(self, shape: &impl Serialize) {
        if let Some(shown) = self.shown {
            shown.replace(serde_json::to_value(shape).ok());
        }
    }

    /// Whether this is what exports say of the record.
    const fn is_shape(self) -> bool {
        self.codec == codec::JSON
    }
}

/// A value that could be written but not read back, and so is not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unstorable {
    /// Too large, or not spellable.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Deeper than a reader goes.
    #[error("the value is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Compression failed.
    #[error("the entries cannot be compressed")]
    Compression(#[source] std::io::Error),
}

/// Bytes that are no record of the expected kind.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// The envelope is damaged.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// The payload is damaged.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// It is a record of another kind.
    #[error("the record is of kind {0}")]
    Kind(u8),
    /// A field has a value that it cannot have.
    #[error("the field {0} cannot have this value")]
    Field(&'static str),
    /// Written by a newer version of the product.
    #[error("the record has the unknown schema {0}")]
    UnknownSchema(u16),
}

/// Something that is not the shape of a record.
#[derive(Debug, thiserror::Error)]
pub(super) enum Misshapen {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It says more than such a record can.
    #[error("the field {0:?} is unknown")]
    Unknown(String),
}

/// The bytes of a record under this key.
pub(super) fn seal<T: Record>(key: &[u8], record: &T) -> Result<Vec<u8>, Unstorable> {
    let payload = record.spell()?;
    let envelope =
        Envelope { kind: T::KIND, schema: T::SCHEMA, codec: codec::BINCODE, payload: &payload };
    Ok(envelope::seal(key, &envelope))
}

/// The record under this key.
pub(super) fn open<T: Record>(key: &[u8], bytes: &[u8]) -> Result<T, Unreadable> {
    let Envelope { kind, schema, codec, payload } = envelope::open(key, bytes)?;
    if kind != T::KIND {
        return Err(Unreadable::Kind(kind));
    }
    T::read(Payload { schema, codec, bytes: payload, shown: None })
}

/// The schema and the stored shape of the record under this key, as JSON.
pub(super) fn shape<T: Record>(key: &[u8], bytes: &[u8]) -> Result<(u16, Value), Unreadable> {
    let Envelope { kind, schema, codec, payload } = envelope::open(key, bytes)?;
    if kind != T::KIND {
        return Err(Unreadable::Kind(kind));
    }
    let shown = RefCell::new(None);
    T::read(Payload { schema, codec, bytes: payload, shown: Some(&shown) })?;
    Ok((schema, shown.into_inner().ok_or(Unreadable::Field("shape"))?))
}

/// The record that has this shape, and nothing besides.
pub(super) fn of_shape<T: Record>(schema: u16, shape: &Value) -> Result<T, Misshapen> {
    let (text, shown) = (shape.to_string(), RefCell::new(None));
    let payload =
        Payload { schema, codec: codec::JSON, bytes: text.as_bytes(), shown: Some(&shown) };
    let record = T::read(payload)?;
    let read = shown.into_inner().ok_or(Unreadable::Field("shape"))?;
    unknown(shape, &read).map_or(Ok(record), |name| Err(Misshapen::Unknown(name)))
}

/// Where something stands that nobody read.
fn unknown(given: &Value, read: &Value) -> Option<String> {
    match (given, read) {
        (Value::Object(given), Value::Object(read)) => given.iter().find_map(|(name, given)| {
            let Some(read) = read.get(name) else { return Some(format!("/{name}")) };
            unknown(given, read).map(|below| format!("/{name}{below}"))
        }),
        (Value::Array(given), Value::Array(read)) => {
            given.iter().zip(read).enumerate().find_map(|(index, (given, read))| {
                unknown(given, read).map(|below| format!("/{index}{below}"))
            })
        }
        _ => None,
    }
}

fn json(value: &Value) -> Result<String, Unstorable> {
    if depth(value) > MAX_DEPTH {
        return Err(Unstorable::TooDeep);
    }
    Ok(serde_json::to_string(value).unwrap_or_default())
}

fn optional_json(value: Option<&Value>) -> Result<Option<String>, Unstorable> {
    value.map(json).transpose()
}

fn json_map(map: &Map<String, Value>) -> Result<String, Unstorable> {
    if map.values().any(|value| depth(value) >= MAX_DEPTH) {
        return Err(Unstorable::TooDeep);
    }
    Ok(serde_json::to_string(map).unwrap_or_default())
}

fn value(text: &str, field: &'static str) -> Result<Value, Unreadable> {
    serde_json::from_str(text).map_err(|_| Unreadable::Field(field))
}

fn optional_value(text: Option<&String>, field: &'static str) -> Result<Option<Value>, Unreadable> {
    text.map(|text| value(text, field)).transpose()
}

fn map(text: &str, field: &'static str) -> Result<Map<String, Value>, Unreadable> {
    if text == "{}" {
        return Ok(Map::new());
    }
    serde_json::from_str(text).map_err(|_| Unreadable::Field(field))
}

fn word<T>(slug: &str, parse: fn(&str) -> Option<T>, field: &'static str) -> Result<T, Unreadable> {
    parse(slug).ok_or(Unreadable::Field(field))
}

fn millis(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::millis)
}

fn time(at: Option<i64>) -> Option<Timestamp> {
    at.map(Timestamp::from_millis)
}

/// Bytes that are spelled in one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Blob(Vec<u8>);

impl Serialize for Blob {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> serde::de::Visitor<'de> for Bytes {
            type Value = Blob;

            fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                to.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }

            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }

            fn visit_seq<A>(self, mut items: A) -> Result<Blob, A::Error>
            where
                A: serde::de::SeqAccess<'de>,
            {
                let mut bytes = Vec::new();
                while let Some(byte) = items.next_element()? {
                    bytes.push(byte);
                }
                Ok(Blob(bytes))
            }
        }
        from.deserialize_byte_buf(Bytes)
    }
}
