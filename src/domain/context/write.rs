//! Writing: what one request changes, what it is based on, and how it is undone.
//!
//! Invariant: a group holds all that one version changed; undoing the groups of a context from the
//! newest on gives every version before, exactly.

use serde_json::{Map, Value};

use super::path::Path;
use super::stamp::{self, Author, Stamp};
use super::{Context, Unfit, data};
use crate::closed_enum;
use crate::domain::field::{FieldError, FieldErrors};
use crate::domain::ids::{ContextId, TenantId};
use crate::domain::time::Timestamp;

/// Versions of a context whose changes are kept.
pub const KEPT: u64 = 100;
/// Paths that one request may write.
pub const MOST_PATHS: usize = 1000;

closed_enum!(
    /// What a write did at a path.
    ContextOp {
        Set = "set",
        Delete = "delete",
        Merge = "merge",
    }
);

/// What is to stand at a path: nothing, to delete it.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// Where.
    pub path: Path,
    /// What; without nulls in its maps.
    pub value: Option<Value>,
}

/// What one version changed at one path.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where.
    pub path: Path,
    /// How.
    pub op: ContextOp,
    /// What stood there.
    pub old_value: Option<Value>,
    /// What stands there.
    pub new_value: Option<Value>,
    /// What gave way on the way to the path: the highest such place, and what stood there.
    pub displaced: Option<(Path, Option<Value>)>,
}

/// Everything that one version changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Whose.
    pub tenant_id: TenantId,
    /// Of which context.
    pub context_id: ContextId,
    /// The version that it made.
    pub version: u64,
    /// At which paths.
    pub entries: Vec<Entry>,
    /// When.
    pub changed_at: Timestamp,
    /// Who.
    pub changed_by: Author,
}

/// What a write is based on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Base {
    /// The version that the writer knows.
    pub expected_version: Option<u64>,
    /// Nothing newer may be there, whatever it is about.
    pub strict: bool,
}

/// A write that is based on something else than what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What the writer knows.
    pub expected_version: u64,
    /// What stands there.
    pub actual_version: u64,
    /// The paths of the write that were changed meanwhile, or may have been.
    pub conflicting_keys: Vec<String>,
}

impl Base {
    /// Whether a write of these paths may be applied on top of `actual`. `since` are the groups of all
    /// versions that the writer does not know, as far as they are kept. The version that it was rebased
    /// from, when it was.
    ///
    /// # Errors
    /// `Conflict`.
    pub fn rebase(
        self,
        actual: u64,
        since: &[Group],
        paths: &[Path],
    ) -> Result<Option<u64>, Conflict> {
        let Some(expected) = self.expected_version.filter(|expected| *expected != actual) else {
            return Ok(None);
        };
        let refused = |keys: Vec<&Path>| Conflict {
            expected_version: expected,
            actual_version: actual,
            conflicting_keys: keys.into_iter().map(Path::to_string).collect(),
        };
        let missing = actual.checked_sub(expected);
        let is_known = missing == u64::try_from(since.len()).ok();
        let changed = |path: &&Path| {
            since.iter().flat_map(|group| &group.entries).any(|entry| {
                let displaced = entry.displaced.as_ref();
                entry.path.overlaps(path)
                    || displaced.is_some_and(|(displaced, _)| displaced.overlaps(path))
            })
        };
        if !is_known {
            return Err(refused(paths.iter().collect()));
        }
        let touched: Vec<&Path> = paths.iter().filter(changed).collect();
        if self.strict || !touched.is_empty() {
            return Err(refused(touched));
        }
        Ok(Some(expected))
    }
}

impl Update {
    /// The updates of a request: `updates` as paths and values, where null deletes.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn all(pointer: &str, updates: Map<String, Value>) -> Result<Vec<Self>, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        errors.require(!updates.is_empty(), pointer, "required", "must name at least one path");
        let is_short = updates.len() <= MOST_PATHS;
        errors.require(is_short, pointer, "too_long", "may name at most 1000 paths");
        let mut found: Vec<Self> = Vec::new();
        if is_short {
            for (name, value) in updates {
                let at = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                match Path::parse(&name) {
                    Ok(path) => found.push(Self::checked(&at, path, value, &mut errors)),
                    Err(rule) => errors.add(at, "invalid", rule),
                }
            }
        }
        // In the order of their names, those that overlap follow each other.
        found.sort_by(|left, right| left.path.cmp(&right.path));
        for pair in found.windows(2) {
            if pair[0].path.overlaps(&pair[1].path) {
                let message = format!("{} and {} overlap", pair[0].path, pair[1].path);
                errors.add(pointer, "invalid", message);
            }
        }
        errors.into_result(found)
    }

    /// One update.
    ///
    /// # Errors
    /// Every broken rule.
    pub fn one(pointer: &str, path: Path, value: Value) -> Result<Self, Vec<FieldError>> {
        let mut errors = FieldErrors::default();
        let update = Self::checked(pointer, path, value, &mut errors);
        errors.into_result(update)
    }

    fn checked(pointer: &str, path: Path, value: Value, errors: &mut FieldErrors) -> Self {
        data::check(pointer, path.segments(), &value, errors);
        let value = data::clean(value);
        Self { path, value: Some(value).filter(|value| !value.is_null()) }
    }

    /// The updates that lead from one state of the data to another.
    #[must_use]
    pub fn between(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Self> {
        let steps = data::steps(before, after).into_iter();
        steps.map(|(path, value)| Self { path, value }).collect()
    }
}

impl Context {
    /// Applies the updates of one request; what they changed. Nothing is changed when every deleted path
    /// was absent.
    ///
    /// # Errors
    /// `Unfit::TooLarge`; the context is then of no use any more.
    pub fn write(
        &mut self,
        updates: &[Update],
        by: &Author,
        at: Timestamp,
    ) -> Result<Vec<Entry>, Unfit> {
        let mut entries = Vec::with_capacity(updates.len());
        for update in updates {
            let op = if update.value.is_some() { ContextOp::Set } else { ContextOp::Delete };
            entries.extend(change(&mut self.data, update, op));
        }
        if entries.is_empty() {
            return Ok(entries);
        }
        if !data::is_small(&self.data) {
            return Err(Unfit::TooLarge);
        }
        let stamp = self.next_stamp(by, at);
        for entry in &entries {
            self.restamp(entry, stamp);
        }
        self.updated_at = at;
        self.settle_authors(by);
        Ok(entries)
    }

    /// Gives what an entry left the stamp of its write.
    fn restamp(&mut self, entry: &Entry, stamp: Stamp) {
        let path = entry.path.segments();
        for end in 1..path.len() {
            // What has something below it is no leaf any more.
            self.stamps.remove(&super::path::spelled(&path[..end]));
        }
        stamp::forget(&mut self.stamps, &entry.path.to_string());
        if let Some(value) = &entry.new_value {
            let leaves = data::leaves_at(path, value);
            self.stamps.extend(leaves.into_iter().map(|leaf| (leaf, stamp)));
            return;
        }
        let Some((_, above)) = path.split_last().filter(|(_, above)| !above.is_empty()) else {
            return;
        };
        if data::get(&self.data, above).is_some_and(data::is_leaf) {
            self.stamps.insert(super::path::spelled(above), stamp);
        }
    }
}

/// Makes one update true; what it changed.
pub(super) fn change(
    data: &mut Map<String, Value>,
    update: &Update,
    op: ContextOp,
) -> Option<Entry> {
    let Update { path, value } = update;
    let segments = path.segments();
    let (path, op) = (path.clone(), op);
    let old_value = data::get(data, segments).cloned();
    let Some(value) = value else {
        data::remove(data, segments)?;
        return Some(Entry { path, op, old_value, new_value: None, displaced: None });
    };
    let displaced = data::set(data, segments, value.clone());
    let displaced = displaced.map(|(path, stood)| (Path::of(path), stood));
    Some(Entry { path, op, old_value, new_value: Some(value.clone()), displaced })
}

/// Takes back what a version changed.
pub fn undo(data: &mut Map<String, Value>, group: &Group) {
    for entry in group.entries.iter().rev() {
        let (path, stood) = match &entry.displaced {
            Some((path, stood)) => (path, stood),
            None => (&entry.path, &entry.old_value),
        };
        match stood {
            Some(value) => {
                data::set(data, path.segments(), value.clone());
            }
            None => {
                data::remove(data, path.segments());
            }
        }
    }
}
