//! What lies between two contexts, or two versions of one: leaves only.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::data::leaves;

/// What the second of two states has differently.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Diff {
    /// Leaves that only the second has.
    pub added: BTreeMap<String, Value>,
    /// Leaves that differ: the value of the first and of the second.
    pub modified: BTreeMap<String, (Value, Value)>,
    /// Leaves that only the first has.
    pub deleted: BTreeMap<String, Value>,
    /// Where they differ and neither side knows of the other's write.
    pub conflicts: Vec<String>,
}

/// The differences of two states.
#[must_use]
pub fn diff(first: &Map<String, Value>, second: &Map<String, Value>) -> Diff {
    let (first, second) = (leaves(first), leaves(second));
    let mut found = Diff::default();
    for (path, old) in &first {
        match second.get(path) {
            None => {
                found.deleted.insert(path.clone(), (*old).clone());
            }
            Some(new) if new == old => {}
            Some(new) => {
                found.modified.insert(path.clone(), ((*old).clone(), (*new).clone()));
            }
        }
    }
    for (path, new) in second.iter().filter(|(path, _)| !first.contains_key(*path)) {
        found.added.insert(path.clone(), (*new).clone());
    }
    found
}
