//! One tenant at one moment. Point reads run where they are asked for, ranges on the blocking pool.

use std::sync::Arc;

use async_trait::async_trait;

use super::counters;
use super::handle::{Reader, blocking};
use super::keys;
use super::list;
use super::records::{Head, Number, Reference};
use super::rows::{Direction, Rows, View, flow};
use super::tables::Table;
use crate::application::ports::changes::{Counter, Remembered};
use crate::application::ports::reads::{
    AttentionReads, EventReads, Logged, SessionPage, SessionQuery, SessionReads, Snapshot,
};
use crate::application::ports::store::StoreError;
use crate::domain::agent::Agent;
use crate::domain::attention::{AttentionItem, AttentionState};
use crate::domain::audit::StoredAudit;
use crate::domain::event::StoredEvent;
use crate::domain::ids::{AgentId, AttentionId, KeyId, SessionId, TenantId};
use crate::domain::session::attempt::Attempt;
use crate::domain::session::checkpoint::Checkpoint;
use crate::domain::session::{Session, SessionCode};
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::ApiKey;
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;

/// Keys that are read where they are asked for: going to another thread costs more.
const FEW: usize = 16;

/// A snapshot of the embedded store.
pub(super) struct RedbSnapshot {
    pub(super) tenant: TenantId,
    pub(super) reader: Arc<Reader>,
}

impl RedbSnapshot {
    pub(super) const fn new(tenant: TenantId, reader: Arc<Reader>) -> Self {
        Self { tenant, reader }
    }

    fn any_session(&self, id: SessionId) -> Result<Option<Versioned<Session>>, StoreError> {
        let key = keys::session(self.tenant, id);
        self.reader.read(|view| view.record(Table::Sessions, &key))
    }

    fn head(&self) -> Result<Head, StoreError> {
        let key = keys::tenant(self.tenant);
        Ok(self.reader.read(|view| view.record(Table::Heads, &key))?.unwrap_or_default())
    }

    pub(super) async fn range<T: Send + 'static>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        blocking(Arc::clone(&self.reader), work).await
    }

    /// Sessions that an index names for another one.
    async fn related(
        &self,
        index: Table,
        to: SessionId,
        limit: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        let span = keys::of_parent(self.tenant, to);
        let few = limit.min(FEW);
        let first = self.reader.read(|view| view.keys(index, &span, few))?;
        let found = if first.len() < few || few == limit {
            first
        } else {
            self.range(move |view| view.keys(index, &span, limit)).await?
        };
        Ok(found.iter().filter_map(|key| keys::tail_id(key)).map(SessionId::from_bytes).collect())
    }
}

#[async_trait]
impl SessionReads for RedbSnapshot {
    async fn session(&self, id: SessionId) -> Result<Option<Versioned<Session>>, StoreError> {
        let found = self.any_session(id)?;
        Ok(found.filter(|found| found.value.stamps.deleted_at.is_none()))
    }

    async fn deleted_session(
        &self,
        id: SessionId,
    ) -> Result<Option<Versioned<Session>>, StoreError> {
        let found = self.any_session(id)?;
        Ok(found.filter(|found| found.value.stamps.deleted_at.is_some()))
    }

    async fn session_by_code(&self, code: SessionCode) -> Result<Option<SessionId>, StoreError> {
        let key = keys::code(self.tenant, code);
        let found = self.reader.read(|view| view.record(Table::SessionCodes, &key))?;
        Ok(found.map(|Reference(id)| SessionId::from_bytes(id)))
    }

    async fn sessions(&self, query: SessionQuery) -> Result<SessionPage, StoreError> {
        let tenant = self.tenant;
        self.range(move |view| list::page(view, tenant, &query)).await
    }

    async fn children(
        &self,
        parent: SessionId,
        limit: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.related(Table::SessionsByParent, parent, limit).await
    }

    async fn followers(
        &self,
        awaited: SessionId,
        limit: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.related(Table::SessionsByAwaited, awaited, limit).await
    }

    async fn attempt(
        &self,
        session: SessionId,
        number: u32,
    ) -> Result<Option<Versioned<Attempt>>, StoreError> {
        let key = keys::attempt(self.tenant, session, number);
        self.reader.read(|view| view.record(Table::Attempts, &key))
    }

    async fn attempts(&self, session: SessionId) -> Result<Vec<Versioned<Attempt>>, StoreError> {
        let span = keys::attempts(self.tenant, session);
        self.range(move |view| view.records(Table::Attempts, &span, usize::MAX)).await
    }

    async fn checkpoint(
        &self,
        session: SessionId,
        sequence: u64,
    ) -> Result<Option<Checkpoint>, StoreError> {
        let key = keys::checkpoint(self.tenant, session, sequence);
        self.reader.read(|view| view.record(Table::Checkpoints, &key))
    }

    async fn checkpoints(&self, session: SessionId) -> Result<Vec<Checkpoint>, StoreError> {
        let span = keys::checkpoints(self.tenant, session);
        self.range(move |view| view.records(Table::Checkpoints, &span, usize::MAX)).await
    }
}

#[async_trait]
impl AttentionReads for RedbSnapshot {
    async fn attention(
        &self,
        id: AttentionId,
    ) -> Result<Option<Versioned<AttentionItem>>, StoreError> {
        let key = keys::attention(self.tenant, id);
        self.reader.read(|view| view.record(Table::Attention, &key))
    }

    async fn attention_items(
        &self,
        session: Option<SessionId>,
        state: Option<AttentionState>,
        after: Option<AttentionId>,
        limit: usize,
    ) -> Result<Vec<Versioned<AttentionItem>>, StoreError> {
        let tenant = self.tenant;
        self.range(move |view| list::attention(view, tenant, (session, state, after), limit)).await
    }
}

#[async_trait]
impl EventReads for RedbSnapshot {
    async fn last_seq(&self) -> Result<u64, StoreError> {
        Ok(self.head()?.last_event)
    }

    async fn first_seq(&self) -> Result<u64, StoreError> {
        let span = keys::numbers(self.tenant);
        self.reader.read(|view| {
            let mut first = 0;
            view.scan(Table::Events, &span, Direction::Up, &mut |key, _| {
                first = keys::tail_number(key).unwrap_or(0);
                Ok(flow(false))
            })?;
            Ok(first)
        })
    }

    async fn events(
        &self,
        after: u64,
        session: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let tenant = self.tenant;
        self.range(move |view| list::events(view, tenant, after, session, limit)).await
    }

    async fn log(
        &self,
        after: u64,
        session: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Logged>, StoreError> {
        let tenant = self.tenant;
        self.range(move |view| list::log(view, tenant, after, session, limit)).await
    }

    async fn audit_head(&self) -> Result<Option<(u64, String)>, StoreError> {
        Ok(self.head()?.last_audit)
    }

    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<StoredAudit>, StoreError> {
        let span = keys::numbers(self.tenant).above(keys::numbered(self.tenant, after));
        self.range(move |view| view.records(Table::Audit, &span, limit)).await
    }
}

#[async_trait]
impl Snapshot for RedbSnapshot {
    async fn tenant(&self) -> Result<Option<Versioned<Tenant>>, StoreError> {
        let key = keys::tenant(self.tenant);
        self.reader.read(|view| view.record(Table::Tenants, &key))
    }

    async fn counter(&self, counter: Counter) -> Result<i64, StoreError> {
        counters::read(&self.reader, self.tenant, counter).await
    }

    async fn remembered(&self, key: [u8; 32]) -> Result<Option<Remembered>, StoreError> {
        let place = keys::remembered(self.tenant, &key);
        self.reader.read(|view| {
            let Some(Number(until)) = view.record(Table::Idempotency, &place)? else {
                return Ok(None);
            };
            let expiry = keys::expiry(self.tenant, Timestamp::from_millis(until), &key);
            view.record(Table::IdempotencyByExpiry, &expiry)
        })
    }

    async fn agent(&self, id: AgentId) -> Result<Option<Versioned<Agent>>, StoreError> {
        let key = keys::agent(self.tenant, id);
        let found: Option<Versioned<Agent>> =
            self.reader.read(|view| view.record(Table::Agents, &key))?;
        Ok(found.filter(|agent| agent.value.deleted_at.is_none()))
    }

    async fn api_key(&self, id: KeyId) -> Result<Option<Versioned<ApiKey>>, StoreError> {
        let key = keys::api_key(self.tenant, id);
        self.reader.read(|view| view.record(Table::ApiKeys, &key))
    }

    async fn api_keys(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Versioned<ApiKey>>, StoreError> {
        let all = keys::api_keys(self.tenant);
        let span = match after {
            Some(id) => all.above(keys::api_key(self.tenant, id)),
            None => all,
        };
        self.range(move |view| view.records(Table::ApiKeys, &span, limit)).await
    }

    async fn agents(&self) -> Result<Vec<Versioned<Agent>>, StoreError> {
        let span = keys::agents(self.tenant);
        let mut found: Vec<Versioned<Agent>> =
            self.range(move |view| view.records(Table::Agents, &span, usize::MAX)).await?;
        found.retain(|agent| agent.value.deleted_at.is_none());
        found.sort_by(|left, right| left.value.name.cmp(&right.value.name));
        Ok(found)
    }
}
