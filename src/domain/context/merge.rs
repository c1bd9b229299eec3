//! Merging: two states of one memory become one, by what each side knows of the other.
//!
//! Invariant: where exactly one side knows the other's write, it wins, whatever the strategy; a strategy
//! decides only what neither can know.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::path::{Path, spelled};
use super::stamp::{self, Author, AuthorKey, Stamp, Stamps, Vector};
use super::write::{ContextOp, Entry, Update, change};
use super::{Birth, Context, Unfit, data};
use crate::closed_enum;
use crate::domain::ids::{ContextId, TenantId};
use crate::domain::time::Timestamp;

closed_enum!(
    /// What becomes of a clash.
    MergeStrategy {
        LastWriteWins = "last_write_wins",
        PreferSource = "prefer_source",
        PreferTarget = "prefer_target",
        DeepMerge = "deep_merge",
        Manual = "manual",
    }
);

/// Most contexts of one merge.
pub const MOST_MERGED: usize = 32;
/// How long a merge waits for whoever resolves it.
pub const WAITS: std::time::Duration = std::time::Duration::from_hours(168);

/// Two sides that differ, and neither knows of the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Clash {
    /// Where.
    pub path: Path,
    /// What the target has there.
    pub target: Value,
    /// What the source has there.
    pub source: Value,
}

/// What somebody decided about a clash.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolution {
    /// The target's value.
    Target,
    /// The source's value.
    Source,
    /// This; nothing, to have none.
    Value(Option<Value>),
}

/// Decisions about clashes, by path.
pub type Resolutions = BTreeMap<Path, Resolution>;

/// A merge that waits until somebody decides its clashes.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingMerge {
    /// The identity that the result will have.
    pub id: ContextId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What is merged, in order, each as it was then.
    pub inputs: Vec<(ContextId, u64)>,
    /// What is to be decided.
    pub clashes: Vec<Clash>,
    /// Who asked for it.
    pub created_by: Author,
    /// When.
    pub created_at: Timestamp,
    /// When it is forgotten.
    pub expires_at: Timestamp,
}

/// One side of a merge.
#[derive(Debug, Clone, Copy)]
struct Side<'a> {
    stamps: &'a Stamps,
    vector: &'a Vector,
}

impl<'a> Side<'a> {
    const fn of(context: &'a Context) -> Self {
        Self { stamps: &context.stamps, vector: &context.vector }
    }

    /// Whether all that the other side has at and below a path is known.
    fn knows(self, other: Self, path: &str) -> bool {
        stamp::below(other.stamps, path).all(|(_, stamp)| self.vector.knows(stamp))
    }

    fn newest(self, path: &str) -> Option<Timestamp> {
        stamp::below(self.stamps, path).map(|(_, stamp)| stamp.updated_at).max()
    }
}

/// A merge of two sides under way.
struct Merging<'a> {
    target: Side<'a>,
    source: Side<'a>,
    strategy: MergeStrategy,
    resolutions: &'a Resolutions,
    /// The stamp of what neither side has so.
    fresh: Stamp,
    is_fresh_used: bool,
    stamps: Stamps,
    clashes: Vec<Clash>,
}

impl Merging<'_> {
    /// All names of two maps, each merged.
    fn maps(
        &mut self,
        path: &mut Vec<String>,
        target: &Map<String, Value>,
        source: &Map<String, Value>,
    ) -> Map<String, Value> {
        let names: BTreeSet<&String> = target.keys().chain(source.keys()).collect();
        let mut merged = Map::new();
        for name in names {
            path.push(name.clone());
            let (left, right) = (target.get(name), source.get(name));
            let known = self.clashes.len();
            let mut value = self.values(path, left, right);
            let clashed = path.len() == 1 && self.clashes.len() > known;
            if clashed && self.strategy == MergeStrategy::LastWriteWins {
                value = self.later(path, left, right);
            }
            if let Some(value) = value {
                merged.insert(name.clone(), value);
            }
            path.pop();
        }
        merged
    }

    fn values(
        &mut self,
        path: &mut Vec<String>,
        target: Option<&Value>,
        source: Option<&Value>,
    ) -> Option<Value> {
        match (target, source) {
            (None, None) => None,
            (Some(value), None) => self.alone(path, value, self.target, self.source),
            (None, Some(value)) => self.alone(path, value, self.source, self.target),
            (Some(Value::Object(target)), Some(Value::Object(source))) => {
                let merged = self.maps(path, target, source);
                if merged.is_empty() {
                    let path = spelled(path);
                    let own = self.target.stamps.get(&path).or(self.source.stamps.get(&path));
                    let stamp = own.copied().unwrap_or_else(|| self.fresh());
                    self.stamps.insert(path, stamp);
                }
                Some(Value::Object(merged))
            }
            (Some(target), Some(source)) if target == source => {
                let at = spelled(path);
                let side = if self.source.newest(&at) > self.target.newest(&at) {
                    self.source
                } else {
                    self.target
                };
                Some(self.take(path, target, side))
            }
            (Some(target), Some(source)) => self.differing(path, target, source),
        }
    }

    /// What only one side has: it stays unless the other side knows it, and so has deleted it.
    fn alone(
        &mut self,
        path: &mut Vec<String>,
        value: &Value,
        own: Side<'_>,
        other: Side<'_>,
    ) -> Option<Value> {
        let at = spelled(path);
        if let Value::Object(map) = value
            && !map.is_empty()
        {
            let mut kept = Map::new();
            for (name, value) in map {
                path.push(name.clone());
                if let Some(value) = self.alone(path, value, own, other) {
                    kept.insert(name.clone(), value);
                }
                path.pop();
            }
            return (!kept.is_empty()).then_some(Value::Object(kept));
        }
        let stamp = own.stamps.get(&at).copied();
        if stamp.is_some_and(|stamp| other.vector.knows(&stamp)) {
            return None;
        }
        let stamp = stamp.unwrap_or_else(|| self.fresh());
        self.stamps.insert(at, stamp);
        Some(value.clone())
    }

    fn differing(&mut self, path: &[String], target: &Value, source: &Value) -> Option<Value> {
        let at = spelled(path);
        let target_knows = self.target.knows(self.source, &at);
        let source_knows = self.source.knows(self.target, &at);
        if target_knows != source_knows {
            let (value, side) =
                if target_knows { (target, self.target) } else { (source, self.source) };
            return Some(self.take(path, value, side));
        }
        let clash =
            Clash { path: Path::of(path.to_vec()), target: target.clone(), source: source.clone() };
        let decision = match self.strategy {
            MergeStrategy::PreferSource => Resolution::Source,
            MergeStrategy::PreferTarget | MergeStrategy::LastWriteWins => Resolution::Target,
            MergeStrategy::DeepMerge => self.deep(&at, target, source),
            MergeStrategy::Manual => match self.resolutions.get(&clash.path) {
                Some(decision) => decision.clone(),
                None => Resolution::Target,
            },
        };
        self.clashes.push(clash);
        match decision {
            Resolution::Target => Some(self.take(path, target, self.target)),
            Resolution::Source => Some(self.take(path, source, self.source)),
            Resolution::Value(value) => {
                let value = value?;
                let fresh = self.fresh();
                let leaves = data::leaves_at(path, &value);
                self.stamps.extend(leaves.into_iter().map(|leaf| (leaf, fresh)));
                Some(value)
            }
        }
    }

    /// Lists are joined; of everything else the later one stays.
    fn deep(&self, at: &str, target: &Value, source: &Value) -> Resolution {
        if let (Value::Array(target), Value::Array(source)) = (target, source) {
            let mut joined = target.clone();
            for item in source {
                if !joined.contains(item) {
                    joined.push(item.clone());
                }
            }
            return Resolution::Value(Some(Value::Array(joined)));
        }
        if self.source.newest(at) > self.target.newest(at) {
            Resolution::Source
        } else {
            Resolution::Target
        }
    }

    /// The whole value of a top-level name from the side that wrote under it last.
    fn later(
        &mut self,
        path: &[String],
        target: Option<&Value>,
        source: Option<&Value>,
    ) -> Option<Value> {
        let at = spelled(path);
        stamp::forget(&mut self.stamps, &at);
        let (value, side) = if self.target.newest(&at) > self.source.newest(&at) {
            (target, self.target)
        } else {
            (source, self.source)
        };
        value.map(|value| self.take(path, value, side))
    }

    /// A whole value of one side, with its stamps.
    fn take(&mut self, path: &[String], value: &Value, side: Side<'_>) -> Value {
        let at = spelled(path);
        let own = stamp::below(side.stamps, &at).map(|(path, stamp)| (path.clone(), *stamp));
        self.stamps.extend(own);
        value.clone()
    }

    const fn fresh(&mut self) -> Stamp {
        self.is_fresh_used = true;
        self.fresh
    }
}

/// What two contexts become together; clashes are told whether they were decided or not.
struct Merged {
    data: Map<String, Value>,
    stamps: Stamps,
    clashes: Vec<Clash>,
    is_fresh_used: bool,
}

fn merged(
    target: &Context,
    source: &Context,
    strategy: MergeStrategy,
    resolutions: &Resolutions,
    fresh: Stamp,
) -> Merged {
    let mut merging = Merging {
        target: Side::of(target),
        source: Side::of(source),
        strategy,
        resolutions,
        fresh,
        is_fresh_used: false,
        stamps: Stamps::new(),
        clashes: Vec::new(),
    };
    let data = merging.maps(&mut Vec::new(), &target.data, &source.data);
    let Merging { is_fresh_used, stamps, clashes, .. } = merging;
    Merged { data, stamps, clashes, is_fresh_used }
}

/// Where two contexts differ and neither knows of the other.
#[must_use]
pub fn clashes(target: &Context, source: &Context) -> Vec<Clash> {
    let fresh = Stamp {
        writer: stamp::WriterKey { context: target.id, principal: uuid::Uuid::nil() },
        session: None,
        counter: u64::MAX,
        updated_at: target.updated_at,
    };
    let strategy = MergeStrategy::PreferTarget;
    merged(target, source, strategy, &Resolutions::new(), fresh).clashes
}

/// The result of a merge, and its clashes in order.
pub struct Outcome {
    /// What became of all; to be kept when nothing is left to decide.
    pub context: Context,
    /// What clashed, whoever decided it.
    pub clashes: Vec<Clash>,
}

impl Outcome {
    /// Clashes of a manual merge about which nothing was decided.
    #[must_use]
    pub fn undecided(&self, resolutions: &Resolutions) -> Vec<&Clash> {
        self.clashes.iter().filter(|clash| !resolutions.contains_key(&clash.path)).collect()
    }
}

/// Folds contexts into a new one, the first being the target of the second and so on.
///
/// # Errors
/// `Unfit::TooLarge`.
pub fn merge(
    first: &Context,
    others: &[Context],
    strategy: MergeStrategy,
    resolutions: &Resolutions,
    birth: Birth<'_>,
) -> Result<Outcome, Unfit> {
    let mut result = first.copied(birth, first.scope);
    result.lineage_id = birth.id;
    let fresh = result.next_stamp(birth.by, birth.at);
    result.vector = first.vector.clone();
    let (mut clashed, mut is_fresh_used) = (Vec::<Clash>::new(), false);
    for source in others {
        let step = merged(&result, source, strategy, resolutions, fresh);
        (result.data, result.stamps) = (step.data, step.stamps);
        result.vector.join(&source.vector);
        is_fresh_used |= step.is_fresh_used;
        if is_fresh_used {
            // What comes next must not take it for something unknown.
            result.vector.join(&Vector::of([(fresh.writer, fresh.counter)].into()));
        }
        for clash in step.clashes {
            if !clashed.iter().any(|known| known.path == clash.path) {
                clashed.push(clash);
            }
        }
        adopt(&mut result.authors, &source.authors);
        result.scope = result.scope.max(source.scope);
        result.session_id = result.session_id.or(source.session_id);
        result.task_id = result.task_id.or(source.task_id);
        result.agent_id = result.agent_id.or(source.agent_id);
        for (name, value) in &source.metadata {
            result.metadata.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    if !data::is_small(&result.data) {
        return Err(Unfit::TooLarge);
    }
    result.settle_authors(birth.by);
    let ids: Vec<ContextId> = std::iter::once(first).chain(others).map(|one| one.id).collect();
    let names: Vec<String> = clashed.iter().take(100).map(|clash| clash.path.to_string()).collect();
    result.note("merged_from", json!(ids));
    result.note("merge_strategy", json!(strategy));
    result.note("conflicts", json!(names));
    Ok(Outcome { context: result, clashes: clashed })
}

fn adopt(own: &mut BTreeMap<AuthorKey, Author>, others: &BTreeMap<AuthorKey, Author>) {
    for (key, author) in others {
        own.entry(*key).or_insert_with(|| author.clone());
    }
}

impl Context {
    /// Takes in what another context of the same lineage has: lists are joined, of what clashes the later
    /// stays. What that changed.
    ///
    /// # Errors
    /// `Unfit::TooLarge`; the context is then of no use any more.
    pub fn take_in(
        &mut self,
        source: &Self,
        by: &Author,
        at: Timestamp,
    ) -> Result<Vec<Entry>, Unfit> {
        let before = self.clone();
        let fresh = self.next_stamp(by, at);
        let strategy = MergeStrategy::DeepMerge;
        let step = merged(&before, source, strategy, &Resolutions::new(), fresh);
        let updates = Update::between(&self.data, &step.data);
        let entries: Vec<Entry> = updates
            .iter()
            .filter_map(|update| change(&mut self.data, update, ContextOp::Merge))
            .collect();
        if !data::is_small(&self.data) {
            return Err(Unfit::TooLarge);
        }
        self.stamps = step.stamps;
        self.vector.join(&source.vector);
        adopt(&mut self.authors, &source.authors);
        self.updated_at = at;
        self.settle_authors(by);
        Ok(entries)
    }
}
