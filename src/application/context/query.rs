//! Reading: contexts, their keys, what changed, and what lies between two of them.

use serde_json::{Map, Value};

use super::error::ContextError;
use super::{By, ContextService, ContextView, read};
use crate::application::error::AppError;
use crate::application::ports::contexts::{ContextQuery, ContextsOf};
use crate::application::ports::reads::Snapshot;
use crate::domain::context::data::all_paths;
use crate::domain::context::diff::{Diff, diff};
use crate::domain::context::merge::clashes;
use crate::domain::context::path::Path;
use crate::domain::context::stamp::Author;
use crate::domain::context::write::{Entry, Group, KEPT, undo};
use crate::domain::context::{Context, data};
use crate::domain::ids::{ContextId, SessionId};
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;

/// Bytes of data after which a page ends.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Contexts that are read at once.
const READ_AT_ONCE: usize = 8;
/// Contexts that a summary tells of.
const SUMMED_UP: usize = 200;
/// Changes that a summary tells of.
const RECENT: usize = 10;

/// One page of contexts.
#[derive(Debug, Clone, PartialEq)]
pub struct ContextPage {
    /// The contexts, in order of creation.
    pub items: Vec<ContextView>,
    /// Whether there may be more; a page ends early when it is large.
    pub has_more: bool,
}

/// One value of a context.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyView {
    /// The context as it stands.
    pub context: ContextView,
    /// Where.
    pub path: Path,
    /// What stands there.
    pub value: Value,
    /// Who wrote the newest of it, and when.
    pub updated: Option<(Author, Timestamp)>,
    /// Whether no agent wrote any of it.
    pub is_trusted: bool,
}

/// One change of the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// Where it stands in the history.
    pub place: Place,
    /// What changed.
    pub entry: Entry,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Author,
}

/// A place in the history: a version, and which of its changes.
pub type Place = (u64, usize);

/// One page of the history, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryPage {
    /// The changes.
    pub items: Vec<Changed>,
    /// Whether there are older ones.
    pub has_more: bool,
}

/// A version as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// Which context.
    pub id: ContextId,
    /// Which version.
    pub version: u64,
    /// Whether it is the one that stands.
    pub is_current: bool,
    /// What was remembered.
    pub data: Map<String, Value>,
}

/// Two contexts or versions side by side.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The first, and its version.
    pub first: (ContextId, u64),
    /// The second, and its version.
    pub second: (ContextId, u64),
    /// What the second has differently.
    pub diff: Diff,
}

/// What the contexts of a session hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Which session.
    pub session_id: SessionId,
    /// Each with the number of its paths.
    pub contexts: Vec<(ContextView, usize)>,
    /// The newest changes of all of them.
    pub recent: Vec<(ContextId, Changed)>,
}

impl ContextService {
    /// One context.
    ///
    /// # Errors
    /// `ContextNotFound`, `ContextAccessDenied`.
    pub async fn get(&self, by: By<'_>, id: ContextId) -> Result<ContextView, AppError> {
        let snapshot = self.store.snapshot(by.tenant()).await?;
        let found = read(&*snapshot, id).await?;
        by.may_read(&found.value)?;
        self.shown(&*snapshot, found).await
    }

    /// One page of contexts; of an agent, only those that it may read.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, by: By<'_>, query: ContextQuery) -> Result<ContextPage, AppError> {
        let snapshot = self.store.snapshot(by.tenant()).await?;
        let (mut items, mut bytes, mut after) = (Vec::new(), 0, query.after);
        loop {
            let limit = READ_AT_ONCE.min(query.limit + 1 - items.len());
            let page = snapshot.contexts(ContextQuery { after, limit, ..query }).await?;
            let Some(last) = page.last().map(|found| found.value.id) else {
                return Ok(ContextPage { items, has_more: false });
            };
            after = Some(last);
            for found in page.into_iter().filter(|found| by.may_read(&found.value).is_ok()) {
                if items.len() == query.limit || bytes > PAGE_BYTES {
                    return Ok(ContextPage { items, has_more: true });
                }
                bytes += Value::Object(found.value.data.clone()).to_string().len();
                items.push(self.shown(&*snapshot, found).await?);
            }
        }
    }

    /// The value at a path.
    ///
    /// # Errors
    /// `ContextNotFound`, `ContextKeyNotFound`, `ContextAccessDenied`.
    pub async fn key(&self, by: By<'_>, id: ContextId, path: &Path) -> Result<KeyView, AppError> {
        let view = self.get(by, id).await?;
        let name = path.to_string();
        let missing = || AppError::Context(ContextError::KeyNotFound { path: name.clone() });
        let context = &view.context.value;
        let value = data::get(&context.data, path.segments()).ok_or_else(missing)?.clone();
        let newest = context.newest_at(&name);
        let updated =
            newest.and_then(|stamp| Some((context.author(stamp)?.clone(), stamp.updated_at)));
        let is_trusted = context.is_trusted_at(&name);
        Ok(KeyView { path: path.clone(), value, updated, is_trusted, context: view })
    }

    /// What changed, newest first, behind a place.
    ///
    /// # Errors
    /// `ContextNotFound`, `ContextAccessDenied`.
    pub async fn history(
        &self,
        by: By<'_>,
        id: ContextId,
        after: Option<Place>,
        limit: usize,
    ) -> Result<HistoryPage, AppError> {
        let snapshot = self.store.snapshot(by.tenant()).await?;
        by.may_read(&read(&*snapshot, id).await?.value)?;
        let (mut items, mut before) = (Vec::new(), after.map(|(version, _)| version + 1));
        loop {
            let between = (0, before.unwrap_or(u64::MAX));
            let page = snapshot.context_groups(id, between, READ_AT_ONCE).await?;
            let Some(last) = page.last().map(|group| group.version) else {
                return Ok(HistoryPage { items, has_more: false });
            };
            before = Some(last);
            let behind = |changed: &Changed| {
                after.is_none_or(|(version, index)| {
                    changed.place.0 < version
                        || (changed.place.0 == version && changed.place.1 > index)
                })
            };
            for changed in page.into_iter().flat_map(changes).filter(behind) {
                if items.len() == limit {
                    return Ok(HistoryPage { items, has_more: true });
                }
                items.push(changed);
            }
        }
    }

    /// A version as it was; not older than what is kept of the history.
    ///
    /// # Errors
    /// `ContextNotFound`, also for a version that never was or is kept no longer.
    pub async fn past(&self, by: By<'_>, id: ContextId, version: u64) -> Result<Past, AppError> {
        let snapshot = self.store.snapshot(by.tenant()).await?;
        let found = read(&*snapshot, id).await?;
        by.may_read(&found.value)?;
        past(&*snapshot, &found, version).await
    }

    /// What the second of two contexts or versions has differently; as they stand without versions.
    /// Conflicts are told of what stands alone.
    ///
    /// # Errors
    /// `ContextNotFound`, `ContextAccessDenied`.
    pub async fn diff(
        &self,
        by: By<'_>,
        first: (ContextId, Option<u64>),
        second: (ContextId, Option<u64>),
    ) -> Result<Compared, AppError> {
        let snapshot = self.store.snapshot(by.tenant()).await?;
        let left = read(&*snapshot, first.0).await?;
        let right = read(&*snapshot, second.0).await?;
        by.may_read(&left.value)?;
        by.may_read(&right.value)?;
        let one = past(&*snapshot, &left, first.1.unwrap_or(left.version.get())).await?;
        let other = past(&*snapshot, &right, second.1.unwrap_or(right.version.get())).await?;
        let mut diff = diff(&one.data, &other.data);
        if one.is_current && other.is_current && first.0 != second.0 {
            let found = clashes(&left.value, &right.value);
            diff.conflicts = found.iter().map(|clash| clash.path.to_string()).collect();
        }
        Ok(Compared { first: (one.id, one.version), second: (other.id, other.version), diff })
    }

    /// What the contexts of a session hold, and what changed lately.
    ///
    /// # Errors
    /// `SessionNotFound`, `ContextAccessDenied`.
    pub async fn summary(&self, by: By<'_>, session_id: SessionId) -> Result<Summary, AppError> {
        if let By::Agent(agent) = by
            && agent.session_id != session_id
        {
            return Err(by.denied("read"));
        }
        let snapshot = self.store.snapshot(by.tenant()).await?;
        snapshot.session(session_id).await?.ok_or(AppError::SessionNotFound)?;
        let (mut contexts, mut recent, mut after) = (Vec::new(), Vec::new(), None);
        while contexts.len() < SUMMED_UP {
            let of = ContextsOf::Session(session_id);
            let query = ContextQuery { of, scope: None, after, limit: READ_AT_ONCE };
            let page = snapshot.contexts(query).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.value.id);
            for found in page {
                let id = found.value.id;
                let groups = snapshot.context_groups(id, (0, u64::MAX), RECENT).await?;
                let changed = groups.into_iter().flat_map(changes).take(RECENT);
                recent.extend(changed.map(|changed| (id, changed)));
                let keys = all_paths(&found.value.data).len();
                let mut view = self.shown(&*snapshot, found).await?;
                // Nothing of it is shown.
                view.context.value.data = Map::new();
                contexts.push((view, keys));
            }
            recent.sort_by_key(|(id, changed)| std::cmp::Reverse((changed.at, *id, changed.place)));
            recent.truncate(RECENT);
        }
        Ok(Summary { session_id, contexts, recent })
    }
}

/// The changes of one version, each with its place.
fn changes(group: Group) -> impl Iterator<Item = Changed> {
    let Group { version, entries, changed_at, changed_by, .. } = group;
    entries.into_iter().enumerate().map(move |(index, entry)| Changed {
        place: (version, index),
        entry,
        at: changed_at,
        by: changed_by.clone(),
    })
}

/// A version as it was: what came after it is taken back.
async fn past(
    snapshot: &dyn Snapshot,
    found: &Versioned<Context>,
    version: u64,
) -> Result<Past, AppError> {
    let (id, actual) = (found.value.id, found.version.get());
    let mut data = found.value.data.clone();
    let missing = actual.checked_sub(version).filter(|_| version > 0);
    let missing = missing
        .filter(|missing| *missing <= KEPT)
        .ok_or(AppError::Context(ContextError::NotFound))?;
    if missing > 0 {
        let limit = usize::try_from(missing).unwrap_or(usize::MAX);
        let groups = snapshot.context_groups(id, (version, actual + 1), limit).await?;
        if groups.len() != limit {
            return Err(AppError::Context(ContextError::NotFound));
        }
        for group in &groups {
            undo(&mut data, group);
        }
    }
    Ok(Past { id, version, is_current: missing == 0, data })
}
