//! Contexts in the embedded store: what is written of them, and how they are read.
//!
//! Invariant: a context has an entry for each of its owners, which says its version, and one in the
//! order of its last write.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::keys::{self, Key, Span};
use super::plan::Planner;
use super::records::{Number, Record};
use super::rows::{Direction, Rows, View, decode, flow};
use super::snapshot::RedbSnapshot;
use super::tables::Table;
use crate::application::ports::changes::Put;
use crate::application::ports::contexts::{
    ContextQuery, ContextReads, ContextWrite, ContextsOf, OldContexts,
};
use crate::application::ports::store::{CommitError, StoreError};
use crate::domain::context::Context;
use crate::domain::context::merge::PendingMerge;
use crate::domain::context::write::Group;
use crate::domain::ids::{ContextId, SessionId, TenantId};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};

/// The keys under which a context is found, beside its own.
pub(super) fn owners(context: &Context) -> Vec<Key> {
    let of = |owner| keys::context_of(context.tenant_id, owner, context.id);
    ContextsOf::owners(context).into_iter().map(of).collect()
}

/// Its place in the order of last writes.
pub(super) fn age(context: &Context) -> Key {
    keys::context_age(context.tenant_id, context.scope, (context.updated_at, context.id))
}

impl<R: Rows> Planner<'_, R> {
    /// The plan of one write about a context.
    pub(super) fn put_context(&mut self, write: ContextWrite) -> Result<(), CommitError> {
        let tenant = self.tenant;
        match write {
            ContextWrite::Context(put) => self.keep_context(put),
            ContextWrite::Group(group) => {
                let key = keys::context_group(tenant, group.context_id, group.version);
                if self.rows.bytes(Table::ContextHistory, &key)?.is_some() {
                    return Err(CommitError::Stale);
                }
                self.keep(Table::ContextHistory, key, &group)
            }
            ContextWrite::DropGroup(id, version) => {
                let key = keys::context_group(tenant, id, version);
                self.let_go(Table::ContextHistory, key)
            }
            ContextWrite::Drop(version, id) => self.drop_context(version, id),
            ContextWrite::Merge(merge) => {
                let key = keys::context(tenant, merge.id);
                self.keep(Table::ContextMerges, key, &merge)
            }
            ContextWrite::DropMerge(id) => {
                // Whoever resolves it a second time has lost the race.
                let key = keys::context(tenant, id);
                if self.rows.bytes(Table::ContextMerges, &key)?.is_none() {
                    return Err(CommitError::Stale);
                }
                self.let_go(Table::ContextMerges, key)
            }
            ContextWrite::OwnerEnded(session) => {
                let span = keys::contexts_of(tenant, ContextsOf::Session(session));
                if !self.rows.keys(Table::ContextsByOwner, &span, 1)?.is_empty() {
                    self.plan.mark(Table::EndedOwners, keys::session(tenant, session));
                }
                Ok(())
            }
            ContextWrite::OwnerDone(session) => {
                self.plan.remove(Table::EndedOwners, keys::session(tenant, session));
                Ok(())
            }
        }
    }

    fn keep_context(&mut self, put: Put<Context>) -> Result<(), CommitError> {
        let key = keys::context(self.tenant, put.value.id);
        self.weigh(Table::Contexts, &key)?;
        let before: Option<Versioned<Context>> = self.rows.record(Table::Contexts, &key)?;
        let (_, now) = self.put(Table::Contexts, key, put)?;
        self.weigh_last();
        let version = before.as_ref().map_or(Version::FIRST, |before| before.version.next());
        let version = i64::try_from(version.get()).unwrap_or(i64::MAX);
        if let Some(before) = &before {
            self.plan.remove(Table::ContextsByAge, age(&before.value));
        }
        self.plan.mark(Table::ContextsByAge, age(&now));
        for owner in owners(&now) {
            self.plan.insert(Table::ContextsByOwner, owner, &Number(version))?;
        }
        Ok(())
    }

    fn drop_context(&mut self, version: Version, id: ContextId) -> Result<(), CommitError> {
        let key = keys::context(self.tenant, id);
        let found: Option<Versioned<Context>> = self.rows.record(Table::Contexts, &key)?;
        let found = found.filter(|found| found.version == version).ok_or(CommitError::Stale)?;
        for owner in owners(&found.value) {
            self.plan.remove(Table::ContextsByOwner, owner);
        }
        self.plan.remove(Table::ContextsByAge, age(&found.value));
        let span = keys::context_groups(self.tenant, id, (0, u64::MAX));
        for group in self.rows.keys(Table::ContextHistory, &span, usize::MAX)? {
            self.let_go(Table::ContextHistory, group)?;
        }
        self.let_go(Table::Contexts, key)
    }

    /// Plans a row that counts among what is stored.
    fn keep<T: Record>(&mut self, table: Table, key: Key, record: &T) -> Result<(), CommitError> {
        self.weigh(table, &key)?;
        self.plan.insert(table, key, record)?;
        self.weigh_last();
        Ok(())
    }

    fn let_go(&mut self, table: Table, key: Key) -> Result<(), CommitError> {
        self.weigh(table, &key)?;
        self.plan.remove(table, key);
        Ok(())
    }

    /// What lies under a key is no longer stored.
    fn weigh(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        let held = self.rows.bytes(table, key)?.map_or(0, |bytes| bytes.len());
        self.stored -= i64::try_from(held).unwrap_or(0);
        Ok(())
    }

    /// What was planned last is stored from now on.
    fn weigh_last(&mut self) {
        let written = self.plan.operations.last().and_then(|last| last.value.as_ref());
        self.stored += i64::try_from(written.map_or(0, Vec::len)).unwrap_or(0);
    }
}

/// Contexts of one owner or all, each as it can be read.
fn listed(
    view: &View<'_>,
    tenant: TenantId,
    query: ContextQuery,
) -> Result<Vec<Versioned<Context>>, StoreError> {
    let wanted =
        |found: &Versioned<Context>| query.scope.is_none_or(|scope| found.value.scope == scope);
    let mut found = Vec::new();
    if query.limit == 0 {
        return Ok(found);
    }
    if query.of == ContextsOf::All {
        let mut span = keys::contexts(tenant);
        if let Some(after) = query.after {
            span = span.above(keys::context(tenant, after));
        }
        view.scan(Table::Contexts, &span, Direction::Up, &mut |key, bytes| {
            match decode(view.shared(), Table::Contexts, key, bytes) {
                Ok(context) => found.extend(Some(context).filter(wanted)),
                Err(StoreError::Quarantined) => {}
                Err(other) => return Err(other),
            }
            Ok(flow(found.len() < query.limit))
        })?;
        return Ok(found);
    }
    let mut span = keys::contexts_of(tenant, query.of);
    if let Some(after) = query.after {
        span = span.above(keys::context_of(tenant, query.of, after));
    }
    for key in view.keys(Table::ContextsByOwner, &span, usize::MAX)? {
        let Some(id) = keys::tail_id(&key).map(ContextId::from_bytes) else { continue };
        match view.record(Table::Contexts, &keys::context(tenant, id)) {
            Ok(context) => found.extend(context.filter(wanted)),
            Err(StoreError::Quarantined) => {}
            Err(other) => return Err(other),
        }
        if found.len() >= query.limit {
            break;
        }
    }
    Ok(found)
}

/// What some versions changed, newest first.
fn groups(view: &View<'_>, span: &Span, limit: usize) -> Result<Vec<Group>, StoreError> {
    let mut found = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    view.scan(Table::ContextHistory, span, Direction::Down, &mut |key, bytes| {
        match decode(view.shared(), Table::ContextHistory, key, bytes) {
            Ok(group) => found.push(group),
            Err(StoreError::Quarantined) => {}
            Err(other) => return Err(other),
        }
        Ok(flow(found.len() < limit))
    })?;
    Ok(found)
}

/// Contexts of one scope in the order of their last writes.
pub(super) fn old(
    view: &View<'_>,
    asked: OldContexts,
) -> Result<Vec<(Timestamp, ContextId)>, StoreError> {
    let OldContexts { tenant, scope, until, after, limit } = asked;
    let mut span = keys::context_ages(tenant, scope, until);
    if let Some(after) = after {
        span = span.above(keys::context_age(tenant, scope, after));
    }
    let found = view.keys(Table::ContextsByAge, &span, limit)?;
    Ok(found.iter().filter_map(|key| keys::context_aged(key)).collect())
}

/// Sessions that ended and have contexts, at most `limit`.
pub(super) fn ended(
    view: &View<'_>,
    limit: usize,
) -> Result<Vec<(TenantId, SessionId)>, StoreError> {
    let found = view.keys(Table::EndedOwners, &keys::everything(), limit)?;
    let named =
        |key: &Key| Some((keys::tenant_of(key)?, SessionId::from_bytes(keys::tail_id(key)?)));
    Ok(found.iter().filter_map(named).collect())
}

/// Merges whose time is over, at most `limit`.
pub(super) fn old_merges(
    view: &View<'_>,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<(TenantId, ContextId)>, StoreError> {
    let mut found = Vec::new();
    view.scan(Table::ContextMerges, &keys::everything(), Direction::Up, &mut |key, bytes| {
        match decode::<PendingMerge>(view.shared(), Table::ContextMerges, key, bytes) {
            Ok(merge) if merge.expires_at <= now => found.push((merge.tenant_id, merge.id)),
            Ok(_) | Err(StoreError::Quarantined) => {}
            Err(other) => return Err(other),
        }
        Ok(flow(found.len() < limit))
    })?;
    Ok(found)
}

#[async_trait]
impl ContextReads for RedbSnapshot {
    async fn context(&self, id: ContextId) -> Result<Option<Versioned<Context>>, StoreError> {
        let key = keys::context(self.tenant, id);
        self.reader.read(|view| view.record(Table::Contexts, &key))
    }

    async fn contexts(&self, query: ContextQuery) -> Result<Vec<Versioned<Context>>, StoreError> {
        let tenant = self.tenant;
        self.range(move |view| listed(view, tenant, query)).await
    }

    /// Few and small rows: going to another thread would cost more.
    async fn context_versions(
        &self,
        session: SessionId,
        limit: usize,
    ) -> Result<BTreeMap<ContextId, u64>, StoreError> {
        let span = keys::contexts_of(self.tenant, ContextsOf::Session(session));
        self.reader.read(|view| {
            let mut found = BTreeMap::new();
            view.scan(Table::ContextsByOwner, &span, Direction::Up, &mut |key, bytes| {
                match decode(view.shared(), Table::ContextsByOwner, key, bytes) {
                    Ok(Number(version)) => {
                        let id = keys::tail_id(key).map(ContextId::from_bytes);
                        let version = u64::try_from(version).unwrap_or(0);
                        found.extend(id.map(|id| (id, version)));
                    }
                    Err(StoreError::Quarantined) => {}
                    Err(other) => return Err(other),
                }
                Ok(flow(found.len() < limit))
            })?;
            Ok(found)
        })
    }

    async fn context_groups(
        &self,
        id: ContextId,
        between: (u64, u64),
        limit: usize,
    ) -> Result<Vec<Group>, StoreError> {
        let span = keys::context_groups(self.tenant, id, between);
        self.range(move |view| groups(view, &span, limit)).await
    }

    async fn pending_merge(&self, id: ContextId) -> Result<Option<PendingMerge>, StoreError> {
        let key = keys::context(self.tenant, id);
        self.reader.read(|view| view.record(Table::ContextMerges, &key))
    }
}
