//! The data of a context: reading and changing it by paths.
//!
//! Invariant: null and absent are the same: no map of it holds a null. Lists are values; nothing
//! reaches into them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::path::{MOST_CHARACTERS, MOST_SEGMENTS, Path, spelled};
use crate::domain::canonical::{canonical, depth};
use crate::domain::field::FieldErrors;

/// Most bytes of the data of one context, canonical.
pub const MOST_BYTES: usize = 1024 * 1024;
/// Deepest nesting.
const MOST_DEPTH: usize = 32;

/// The value at a path.
#[must_use]
pub fn get<'a>(data: &'a Map<String, Value>, path: &[String]) -> Option<&'a Value> {
    let (last, way) = path.split_last()?;
    let mut map = data;
    for segment in way {
        map = map.get(segment)?.as_object()?;
    }
    map.get(last)
}

/// What a change put out of the way besides the value at its own path.
pub type Displaced = (Vec<String>, Option<Value>);

/// Puts a value at a path. Maps are made on the way, and values that are no maps give way to them:
/// then the highest such place is told, with what stood there.
pub fn set(data: &mut Map<String, Value>, path: &[String], value: Value) -> Option<Displaced> {
    let (last, way) = path.split_last()?;
    let (mut map, mut displaced) = (data, None);
    for (index, segment) in way.iter().enumerate() {
        let slot = map.entry(segment.clone()).or_insert(Value::Null);
        if !slot.is_object() {
            let stood = std::mem::replace(slot, Value::Object(Map::new()));
            let stood = Some(stood).filter(|stood| !stood.is_null());
            displaced.get_or_insert_with(|| (path[..=index].to_vec(), stood));
        }
        map = slot.as_object_mut()?;
    }
    map.insert(last.clone(), value);
    displaced
}

/// Takes the value at a path away; the maps on the way stay.
pub fn remove(data: &mut Map<String, Value>, path: &[String]) -> Option<Value> {
    let (last, way) = path.split_last()?;
    let mut map = data;
    for segment in way {
        map = map.get_mut(segment)?.as_object_mut()?;
    }
    map.remove(last)
}

/// Every path, those of maps too, in order.
#[must_use]
pub fn all_paths(data: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    walk(data, &mut Vec::new(), &mut |path, _| found.push(spelled(path)));
    found.sort_unstable();
    found
}

/// Every leaf by its path: what is no map, and maps that are empty.
#[must_use]
pub fn leaves(data: &Map<String, Value>) -> BTreeMap<String, &Value> {
    let mut found = BTreeMap::new();
    walk(data, &mut Vec::new(), &mut |path, value| {
        if is_leaf(value) {
            found.insert(spelled(path), value);
        }
    });
    found
}

/// The leaves at and below a path.
#[must_use]
pub fn leaves_at(path: &[String], value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    match value.as_object().filter(|map| !map.is_empty()) {
        None => found.push(spelled(path)),
        Some(map) => walk(map, &mut path.to_vec(), &mut |path, value| {
            if is_leaf(value) {
                found.push(spelled(path));
            }
        }),
    }
    found
}

/// Whether nothing lies below a value.
#[must_use]
pub fn is_leaf(value: &Value) -> bool {
    value.as_object().is_none_or(Map::is_empty)
}

fn walk<'a>(
    map: &'a Map<String, Value>,
    path: &mut Vec<String>,
    each: &mut impl FnMut(&[String], &'a Value),
) {
    for (name, value) in map {
        path.push(name.clone());
        each(path, value);
        if let Value::Object(inner) = value {
            walk(inner, path, each);
        }
        path.pop();
    }
}

/// The value without the nulls of its maps; what lies inside lists stays as it is.
#[must_use]
pub fn clean(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(clean_map(map)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            value
        }
    }
}

/// The same of a map.
#[must_use]
pub fn clean_map(map: Map<String, Value>) -> Map<String, Value> {
    let kept = map.into_iter().filter(|(_, value)| !value.is_null());
    kept.map(|(name, value)| (name, clean(value))).collect()
}

/// The steps that lead from one state to another, as paths and what is to stand there.
#[must_use]
pub fn steps(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Vec<(Path, Option<Value>)> {
    let mut found = Vec::new();
    step(before, after, &mut Vec::new(), &mut found);
    found
}

fn step(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    path: &mut Vec<String>,
    found: &mut Vec<(Path, Option<Value>)>,
) {
    for (name, stood) in before {
        path.push(name.clone());
        match (stood, after.get(name)) {
            (_, None) => found.push((Path::of(path.clone()), None)),
            (Value::Object(old), Some(Value::Object(new))) => step(old, new, path, found),
            (old, Some(new)) if old == new => {}
            (_, Some(new)) => found.push((Path::of(path.clone()), Some(new.clone()))),
        }
        path.pop();
    }
    for (name, value) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        path.push(name.clone());
        found.push((Path::of(path.clone()), Some(value.clone())));
        path.pop();
    }
}

/// Whether data is small enough to be kept.
#[must_use]
pub fn is_small(data: &Map<String, Value>) -> bool {
    canonical(&Value::Object(data.clone())).len() <= MOST_BYTES
}

/// Notes what keeps a value from being data at this path: what could not be reached again.
pub fn check(pointer: &str, path: &[String], value: &Value, errors: &mut FieldErrors) {
    let is_flat = path.len() + depth(value) <= MOST_DEPTH;
    errors.require(is_flat, pointer, "too_deep", "is nested deeper than 32 levels");
    if !is_flat {
        return;
    }
    let Value::Object(map) = value else { return };
    walk(map, &mut path.to_vec(), &mut |below, _| {
        let is_named = below.last().is_none_or(|name| !name.is_empty());
        let is_short =
            below.len() <= MOST_SEGMENTS && spelled(below).chars().count() <= MOST_CHARACTERS;
        errors.require(is_named, pointer, "invalid", "has a field without a name");
        errors.require(is_short, pointer, "too_long", "has a path of more than 512 characters");
    });
}
