//! Contexts in memory: themselves, what their versions changed, and merges that wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::data::versioned;
use super::snapshot::{MemorySnapshot, owned};
use crate::application::ports::changes::Expect;
use crate::application::ports::contexts::{
    ContextQuery, ContextReads, ContextWrite, ContextsOf, OldContexts,
};
use crate::application::ports::store::{CommitError, StoreError};
use crate::domain::context::Context;
use crate::domain::context::merge::PendingMerge;
use crate::domain::context::write::Group;
use crate::domain::ids::{ContextId, SessionId};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};
use crate::infrastructure::storage::shared;

/// The contexts of one tenant.
#[derive(Clone, Default)]
pub(super) struct Contexts {
    pub(super) all: BTreeMap<ContextId, Arc<Versioned<Context>>>,
    groups: BTreeMap<(ContextId, u64), Arc<Group>>,
    pub(super) merges: BTreeMap<ContextId, Arc<PendingMerge>>,
    pub(super) ended: BTreeSet<SessionId>,
}

impl Contexts {
    /// Whether a write finds what it expects.
    pub(super) fn expect(&self, write: &ContextWrite) -> Result<(), CommitError> {
        let (found, expect) = match write {
            ContextWrite::Context(put) => {
                (self.all.get(&put.value.id).map(|found| found.version), put.expect)
            }
            ContextWrite::Group(group) => {
                let found = self.groups.get(&(group.context_id, group.version));
                (found.map(|_| Version::FIRST), Expect::Absent)
            }
            ContextWrite::Drop(version, id) => {
                (self.all.get(id).map(|found| found.version), Expect::At(*version))
            }
            ContextWrite::DropMerge(id) => {
                let found = self.merges.get(id).map(|_| Version::FIRST);
                (found, Expect::At(Version::FIRST))
            }
            ContextWrite::DropGroup(..)
            | ContextWrite::Merge(_)
            | ContextWrite::OwnerEnded(_)
            | ContextWrite::OwnerDone(_) => return Ok(()),
        };
        shared::next_version(found, expect).map(|_| ())
    }

    /// Makes a write true; how many bytes are stored more.
    pub(super) fn apply(&mut self, write: ContextWrite) -> i64 {
        match write {
            ContextWrite::Context(put) => {
                let now = Arc::new(versioned(put));
                let more = of_context(&now.value);
                let before = self.all.insert(now.value.id, now);
                more - before.map_or(0, |before| of_context(&before.value))
            }
            ContextWrite::Group(group) => {
                let more = of_group(&group);
                self.groups.insert((group.context_id, group.version), Arc::new(group));
                more
            }
            ContextWrite::DropGroup(id, version) => {
                self.groups.remove(&(id, version)).map_or(0, |gone| -of_group(&gone))
            }
            ContextWrite::Drop(_, id) => {
                let context = self.all.remove(&id).map_or(0, |gone| -of_context(&gone.value));
                let groups: i64 = self.of(id).map(|group| -of_group(group)).sum();
                self.groups.retain(|(context, _), _| *context != id);
                context + groups
            }
            ContextWrite::Merge(merge) => {
                self.merges.insert(merge.id, Arc::new(merge));
                0
            }
            ContextWrite::DropMerge(id) => {
                self.merges.remove(&id);
                0
            }
            ContextWrite::OwnerEnded(session) => {
                let owner = Some(session);
                if self.all.values().any(|found| found.value.session_id == owner) {
                    self.ended.insert(session);
                }
                0
            }
            ContextWrite::OwnerDone(session) => {
                self.ended.remove(&session);
                0
            }
        }
    }

    fn of(&self, id: ContextId) -> impl DoubleEndedIterator<Item = &Group> {
        self.groups.range((id, 0)..=(id, u64::MAX)).map(|(_, group)| group.as_ref())
    }

    /// Contexts of one scope in the order of their last writes.
    pub(super) fn old(&self, asked: OldContexts) -> Vec<(Timestamp, ContextId)> {
        let all = self.all.values().map(|found| &found.value);
        let wanted = all.filter(|one| one.scope == asked.scope && one.updated_at <= asked.until);
        let mut aged: Vec<_> = wanted.map(|one| (one.updated_at, one.id)).collect();
        aged.sort_unstable();
        aged.retain(|aged| asked.after.is_none_or(|after| *aged > after));
        aged.truncate(asked.limit);
        aged
    }
}

fn length(value: &impl serde::Serialize) -> i64 {
    let spelled = serde_json::to_string(value).unwrap_or_default();
    i64::try_from(spelled.len()).unwrap_or(i64::MAX)
}

fn of_context(context: &Context) -> i64 {
    length(&context.data) + length(&context.metadata)
}

fn of_group(group: &Group) -> i64 {
    let values = group.entries.iter().flat_map(|entry| [&entry.old_value, &entry.new_value]);
    values.map(|value: &Option<Value>| length(value)).sum()
}

#[async_trait]
impl ContextReads for MemorySnapshot {
    async fn context(&self, id: ContextId) -> Result<Option<Versioned<Context>>, StoreError> {
        Ok(owned(self.0.contexts.all.get(&id)))
    }

    async fn contexts(&self, query: ContextQuery) -> Result<Vec<Versioned<Context>>, StoreError> {
        let ContextQuery { of, scope, after, limit } = query;
        let wanted = self.0.contexts.all.values().filter(|found| {
            let context = &found.value;
            after.is_none_or(|after| context.id > after)
                && scope.is_none_or(|scope| context.scope == scope)
                && (of == ContextsOf::All || ContextsOf::owners(context).contains(&of))
        });
        Ok(wanted.take(limit).map(|found| found.as_ref().clone()).collect())
    }

    async fn context_versions(
        &self,
        session: SessionId,
        limit: usize,
    ) -> Result<BTreeMap<ContextId, u64>, StoreError> {
        let all = self.0.contexts.all.values();
        let own = all.filter(|found| found.value.session_id == Some(session)).take(limit);
        Ok(own.map(|found| (found.value.id, found.version.get())).collect())
    }

    async fn context_groups(
        &self,
        id: ContextId,
        (after, before): (u64, u64),
        limit: usize,
    ) -> Result<Vec<Group>, StoreError> {
        let own = self.0.contexts.of(id).rev();
        let wanted = own.filter(|group| group.version > after && group.version < before);
        Ok(wanted.take(limit).cloned().collect())
    }

    async fn pending_merge(&self, id: ContextId) -> Result<Option<PendingMerge>, StoreError> {
        Ok(owned(self.0.contexts.merges.get(&id)))
    }
}
