//! The two patches of the web, made into updates of paths.
//!
//! Source: RFC 7396 (merge patch), RFC 6902 (JSON patch) with the pointers of RFC 6901.

use serde_json::{Map, Value};

use super::data::clean_map;
use crate::domain::field::{FieldError, FieldErrors};

/// Steps that one JSON patch may have.
const MOST_STEPS: usize = 1000;

/// Why a JSON patch was not applied.
#[derive(Debug, Clone, PartialEq)]
pub enum PatchError {
    /// It is none.
    Invalid(Vec<FieldError>),
    /// What it is about is not there, or not as it expects.
    Failed {
        /// The pointer.
        pointer: String,
        /// What does not hold.
        what: &'static str,
    },
}

/// The data after a merge patch.
#[must_use]
pub fn merge_patch(data: &Map<String, Value>, patch: Map<String, Value>) -> Map<String, Value> {
    let mut merged = data.clone();
    for (name, value) in patch {
        let stands = merged.remove(&name);
        match value {
            Value::Null => {}
            Value::Object(patch) => {
                let stands = match stands {
                    Some(Value::Object(map)) => map,
                    Some(_) | None => Map::new(),
                };
                merged.insert(name, Value::Object(merge_patch(&stands, patch)));
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                merged.insert(name, value);
            }
        }
    }
    merged
}

/// One step of a JSON patch.
#[derive(Debug, Clone, PartialEq)]
enum Step {
    Add(Value),
    Remove,
    Replace(Value),
    Move(Vec<String>),
    Copy(Vec<String>),
    Test(Value),
}

/// A JSON patch that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPatch(Vec<(String, Vec<String>, Step)>);

impl JsonPatch {
    /// Reads a list of steps.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn parse(steps: &[Value]) -> Result<Self, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let is_short = steps.len() <= MOST_STEPS;
        errors.require(is_short, "", "too_long", "may have at most 1000 steps");
        let mut read = Vec::new();
        for (index, step) in steps.iter().enumerate().filter(|_| is_short) {
            read.extend(parse_step(index, step, &mut errors));
        }
        errors.into_result(Self(read))
    }

    /// The data after all steps; nothing of them is kept when one fails.
    ///
    /// # Errors
    /// `PatchError`.
    pub fn apply(&self, data: &Map<String, Value>) -> Result<Map<String, Value>, PatchError> {
        let mut root = Value::Object(data.clone());
        for (pointer, path, step) in &self.0 {
            let failed = |what| PatchError::Failed { pointer: pointer.clone(), what };
            let missing = || failed("nothing is there");
            match step {
                Step::Add(value) => add(&mut root, path, value.clone()).map_err(failed)?,
                Step::Remove => {
                    take(&mut root, path).ok_or_else(missing)?;
                }
                Step::Replace(value) => {
                    *at_mut(&mut root, path).ok_or_else(missing)? = value.clone();
                }
                Step::Move(from) => {
                    if path.starts_with(from) && path.len() > from.len() {
                        return Err(failed("it would be moved into itself"));
                    }
                    let value = take(&mut root, from).ok_or_else(missing)?;
                    add(&mut root, path, value).map_err(failed)?;
                }
                Step::Copy(from) => {
                    let value = at(&root, from).ok_or_else(missing)?.clone();
                    add(&mut root, path, value).map_err(failed)?;
                }
                Step::Test(value) => {
                    if at(&root, path) != Some(value) {
                        return Err(failed("another value is there"));
                    }
                }
            }
        }
        match root {
            Value::Object(map) => Ok(clean_map(map)),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                let message = "must leave an object".to_owned();
                Err(PatchError::Invalid(vec![FieldError {
                    pointer: String::new(),
                    code: "invalid",
                    message,
                }]))
            }
        }
    }
}

fn parse_step(
    index: usize,
    step: &Value,
    errors: &mut FieldErrors,
) -> Option<(String, Vec<String>, Step)> {
    let mut wrong = |name: &str, message: &str| {
        errors.add(format!("/{index}{name}"), "invalid", message);
    };
    let Some(fields) = step.as_object() else {
        wrong("", "must be an object with op and path");
        return None;
    };
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let Some((pointer, path)) = text("path").and_then(|text| Some((text, segments(text)?))) else {
        wrong("/path", "must be a JSON pointer such as /plan/steps/0");
        return None;
    };
    let op = text("op").unwrap_or_default();
    let step = match op {
        "remove" => Step::Remove,
        "add" | "replace" | "test" => {
            let Some(value) = fields.get("value").cloned() else {
                wrong("/value", "is required");
                return None;
            };
            match op {
                "add" => Step::Add(value),
                "replace" => Step::Replace(value),
                _ => Step::Test(value),
            }
        }
        "move" | "copy" => {
            let Some(from) = text("from").and_then(segments) else {
                wrong("/from", "must be a JSON pointer such as /plan/steps/0");
                return None;
            };
            if op == "move" { Step::Move(from) } else { Step::Copy(from) }
        }
        _ => {
            wrong("/op", "must be one of add, remove, replace, move, copy, test");
            return None;
        }
    };
    Some((pointer.to_owned(), path, step))
}

/// The names of a JSON pointer.
fn segments(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let names = pointer.strip_prefix('/')?.split('/');
    Some(names.map(|name| name.replace("~1", "/").replace("~0", "~")).collect())
}

/// A place in a list, without leading zeros.
fn place(name: &str, length: usize) -> Option<usize> {
    let is_plain = name == "0" || !name.starts_with('0');
    let digits = is_plain && name.bytes().all(|byte| byte.is_ascii_digit());
    name.parse().ok().filter(|place| digits && *place < length)
}

fn at<'a>(root: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(root, |value, name| match value {
        Value::Object(map) => map.get(name),
        Value::Array(items) => items.get(place(name, items.len())?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

fn at_mut<'a>(root: &'a mut Value, path: &[String]) -> Option<&'a mut Value> {
    path.iter().try_fold(root, |value, name| match value {
        Value::Object(map) => map.get_mut(name),
        Value::Array(items) => {
            let place = place(name, items.len())?;
            items.get_mut(place)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

fn add(root: &mut Value, path: &[String], value: Value) -> Result<(), &'static str> {
    const MISSING: &str = "there is nothing that it could be added to";
    let Some((last, way)) = path.split_last() else {
        *root = value;
        return Ok(());
    };
    match at_mut(root, way).ok_or(MISSING)? {
        Value::Object(map) => {
            map.insert(last.clone(), value);
        }
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => {
            let place = place(last, items.len() + 1).ok_or("the list has no such place")?;
            items.insert(place, value);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return Err(MISSING),
    }
    Ok(())
}

fn take(root: &mut Value, path: &[String]) -> Option<Value> {
    let Some((last, way)) = path.split_last() else {
        return Some(std::mem::take(root));
    };
    match at_mut(root, way)? {
        Value::Object(map) => map.remove(last),
        Value::Array(items) => {
            let place = place(last, items.len())?;
            Some(items.remove(place))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
