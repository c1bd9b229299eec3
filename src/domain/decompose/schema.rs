//! A JSON Schema that values are held against: the one document is what an agent is told and what its
//! answer is checked by.
//!
//! Invariant: a keyword that is not known here is refused when the schema is read, never passed over.
//! A crate for schemas would bring all drafts and remote references; this is the part that is used.
//! Source: JSON Schema 2020-12, validation and core vocabularies.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

use crate::domain::field::FieldErrors;

/// Keywords that say nothing about validity.
const REMARKS: [&str; 4] = ["$schema", "$defs", "title", "description"];

/// A schema, ready to check by.
#[derive(Debug)]
pub struct Schema {
    root: Rules,
    definitions: BTreeMap<String, Rules>,
}

#[derive(Debug, Default)]
struct Rules {
    reference: Option<String>,
    kind: Option<String>,
    words: Option<Vec<Value>>,
    required: Vec<String>,
    properties: BTreeMap<String, Rules>,
    is_closed: bool,
    items: Option<Box<Rules>>,
    items_count: (u64, u64),
    length: (u64, u64),
    pattern: Option<Regex>,
    minimum: Option<f64>,
    maximum: Option<f64>,
}

/// What a schema says that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema says {0}, which is not understood")]
pub struct UnknownKeyword(String);

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// `UnknownKeyword`.
    pub fn read(document: &Value) -> Result<Self, UnknownKeyword> {
        let root = Rules::read(document)?;
        let mut definitions = BTreeMap::new();
        if let Some(listed) = document.get("$defs").and_then(Value::as_object) {
            for (name, rules) in listed {
                definitions.insert(format!("#/$defs/{name}"), Rules::read(rules)?);
            }
        }
        Ok(Self { root, definitions })
    }

    /// Notes everything in which a value differs from the schema, each with its place.
    pub fn check(&self, value: &Value, errors: &mut FieldErrors) {
        self.hold(&self.root, value, "", errors);
    }

    fn hold(&self, rules: &Rules, value: &Value, at: &str, errors: &mut FieldErrors) {
        if errors.is_full() {
            return;
        }
        if let Some(referred) = &rules.reference {
            match self.definitions.get(referred) {
                Some(referred) => self.hold(referred, value, at, errors),
                None => errors.add(at, "invalid", "has no rules"),
            }
        }
        if let Some(kind) = &rules.kind
            && !is_of(kind, value)
        {
            errors.add(at, "wrong_type", format!("must be of type {kind}"));
            return;
        }
        if let Some(words) = &rules.words
            && !words.contains(value)
        {
            let known: Vec<String> = words.iter().map(Value::to_string).collect();
            errors.add(at, "unknown", format!("must be one of {}", known.join(", ")));
        }
        match value {
            Value::Object(map) => self.hold_object(rules, map, at, errors),
            Value::Array(items) => {
                let (least, most) = rules.items_count;
                let count = items.len() as u64;
                if !(least..=most).contains(&count) {
                    errors.add(at, "out_of_range", format!("must have {least} to {most} items"));
                    return;
                }
                if let Some(rules) = &rules.items {
                    for (place, item) in items.iter().enumerate() {
                        self.hold(rules, item, &format!("{at}/{place}"), errors);
                    }
                }
            }
            Value::String(text) => {
                let (least, most) = rules.length;
                let length = text.chars().count() as u64;
                if !(least..=most).contains(&length) {
                    let message = format!("must have {least} to {most} characters");
                    errors.add(at, "out_of_range", message);
                } else if rules.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(text)) {
                    let pattern = rules.pattern.as_ref().map_or("", Regex::as_str);
                    errors.add(at, "invalid", format!("must match {pattern}"));
                }
            }
            Value::Number(number) => {
                let number = number.as_f64().unwrap_or(f64::NAN);
                let least = rules.minimum.unwrap_or(f64::NEG_INFINITY);
                let most = rules.maximum.unwrap_or(f64::INFINITY);
                if !(least..=most).contains(&number) {
                    errors.add(at, "out_of_range", format!("must be from {least} to {most}"));
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn hold_object(
        &self,
        rules: &Rules,
        map: &Map<String, Value>,
        at: &str,
        errors: &mut FieldErrors,
    ) {
        let place = |name: &str| format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        for name in rules.required.iter().filter(|name| !map.contains_key(*name)) {
            errors.add(place(name), "required", "must be given");
        }
        for (name, value) in map {
            match rules.properties.get(name) {
                Some(rules) => self.hold(rules, value, &place(name), errors),
                None if rules.is_closed => {
                    errors.add(place(name), "unknown_field", "is not a known key");
                }
                None => {}
            }
        }
    }
}

impl Rules {
    fn read(document: &Value) -> Result<Self, UnknownKeyword> {
        let unknown = |what: String| UnknownKeyword(what);
        let map = document.as_object().ok_or_else(|| unknown(document.to_string()))?;
        let mut rules =
            Self { items_count: (0, u64::MAX), length: (0, u64::MAX), ..Self::default() };
        for (keyword, said) in map {
            let wrong = || unknown(format!("{keyword}: {said}"));
            let text = || said.as_str().map(str::to_owned).ok_or_else(wrong);
            let whole = || said.as_u64().ok_or_else(wrong);
            match keyword.as_str() {
                "$ref" => rules.reference = Some(text()?),
                "type" => rules.kind = Some(text()?),
                "enum" => rules.words = Some(said.as_array().ok_or_else(wrong)?.clone()),
                "required" => {
                    let listed = said.as_array().ok_or_else(wrong)?;
                    let names = listed.iter().map(|name| name.as_str().map(str::to_owned));
                    rules.required = names.collect::<Option<_>>().ok_or_else(wrong)?;
                }
                "properties" => {
                    for (name, below) in said.as_object().ok_or_else(wrong)? {
                        rules.properties.insert(name.clone(), Self::read(below)?);
                    }
                }
                "additionalProperties" => {
                    rules.is_closed = !said.as_bool().ok_or_else(wrong)?;
                }
                "items" => rules.items = Some(Box::new(Self::read(said)?)),
                "minItems" => rules.items_count.0 = whole()?,
                "maxItems" => rules.items_count.1 = whole()?,
                "minLength" => rules.length.0 = whole()?,
                "maxLength" => rules.length.1 = whole()?,
                "minimum" => rules.minimum = Some(said.as_f64().ok_or_else(wrong)?),
                "maximum" => rules.maximum = Some(said.as_f64().ok_or_else(wrong)?),
                "pattern" => {
                    rules.pattern = Some(Regex::new(&text()?).map_err(|_| wrong())?);
                }
                remark if REMARKS.contains(&remark) => {}
                _ => return Err(wrong()),
            }
        }
        Ok(rules)
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}
