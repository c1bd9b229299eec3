//! Views of the store in memory: the data as it was, shared and never changed.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;

use super::data::{Data, TenantData};
use crate::application::ports::changes::{Counter, Remembered};
use crate::application::ports::contexts::OldContexts;
use crate::application::ports::reads::{
    AttentionReads, ClassUsage, EventReads, Fleet, Logged, Order, OwedChildren, Recount,
    SessionPage, SessionQuery, SessionReads, Snapshot, StoredClass,
};
use crate::application::ports::store::StoreError;
use crate::domain::agent::Agent;
use crate::domain::agent::vitals::Ended;
use crate::domain::attention::{AttentionItem, AttentionState};
use crate::domain::audit::StoredAudit;
use crate::domain::event::StoredEvent;
use crate::domain::ids::{
    AgentId, AttentionId, ContextId, KeyId, SessionId, TenantId, UserId, WebhookId,
};
use crate::domain::session::attempt::Attempt;
use crate::domain::session::checkpoint::Checkpoint;
use crate::domain::session::status::SessionStatus;
use crate::domain::session::{Session, SessionCode};
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::ApiKey;
use crate::domain::tenant::user::User;
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;
use crate::infrastructure::storage::shared::{Pager, first_session_at, sessions_of};

/// One tenant at one moment.
pub(super) struct MemorySnapshot(pub(super) Arc<TenantData>);

pub(super) fn owned<T: Clone>(found: Option<&Arc<T>>) -> Option<T> {
    found.map(|found| found.as_ref().clone())
}

#[async_trait]
impl SessionReads for MemorySnapshot {
    async fn session(&self, id: SessionId) -> Result<Option<Versioned<Session>>, StoreError> {
        let found = owned(self.0.sessions.get(&id));
        Ok(found.filter(|found| found.value.stamps.deleted_at.is_none()))
    }

    async fn deleted_session(
        &self,
        id: SessionId,
    ) -> Result<Option<Versioned<Session>>, StoreError> {
        let found = owned(self.0.sessions.get(&id));
        Ok(found.filter(|found| found.value.stamps.deleted_at.is_some()))
    }

    async fn session_by_code(&self, code: SessionCode) -> Result<Option<SessionId>, StoreError> {
        Ok(self.0.codes.get(&code.number()).copied())
    }

    async fn sessions(&self, query: SessionQuery) -> Result<SessionPage, StoreError> {
        let total = query.count.then(|| {
            let all = self.0.sessions.values();
            all.filter(|found| query.filter.matches(&found.value)).count()
        });
        let total = total.and_then(|total| u64::try_from(total).ok());
        let behind = |id: &SessionId| match (query.after, query.order) {
            (None, _) => true,
            (Some(after), Order::OldestFirst) => *id > after,
            (Some(after), Order::NewestFirst) => *id < after,
        };
        let all = self.0.sessions.iter().filter(|(id, _)| behind(id));
        let ordered: Box<dyn Iterator<Item = _> + Send> = match query.order {
            Order::OldestFirst => Box::new(all),
            Order::NewestFirst => Box::new(all.rev()),
        };
        let mut pager = Pager::new(&query);
        for (id, found) in ordered {
            if pager.offer(*id, Ok(Some(found.as_ref().clone())))?.is_break() {
                break;
            }
        }
        Ok(pager.finish(total))
    }

    async fn children(
        &self,
        parent: SessionId,
        limit: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        let all = self.0.sessions.values().map(|found| &found.value);
        let children = all.filter(|session| session.is_child_of(parent));
        Ok(children.map(|session| session.id).take(limit).collect())
    }

    async fn followers(
        &self,
        awaited: SessionId,
        limit: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        let all = self.0.sessions.values().map(|found| &found.value);
        let open = all.filter(|session| session.stamps.deleted_at.is_none());
        let followers = open.filter(|session| session.waits_for().any(|id| id == awaited));
        Ok(followers.map(|session| session.id).take(limit).collect())
    }

    async fn attempt(
        &self,
        session: SessionId,
        number: u32,
    ) -> Result<Option<Versioned<Attempt>>, StoreError> {
        Ok(owned(self.0.attempts.get(&(session, number))))
    }

    async fn attempts(&self, session: SessionId) -> Result<Vec<Versioned<Attempt>>, StoreError> {
        let range = self.0.attempts.range((session, 0)..=(session, u32::MAX));
        Ok(range.map(|(_, found)| found.as_ref().clone()).collect())
    }

    async fn checkpoint(
        &self,
        session: SessionId,
        sequence: u64,
    ) -> Result<Option<Checkpoint>, StoreError> {
        Ok(owned(self.0.checkpoints.get(&(session, sequence))))
    }

    async fn checkpoints(&self, session: SessionId) -> Result<Vec<Checkpoint>, StoreError> {
        let range = self.0.checkpoints.range((session, 0)..=(session, u64::MAX));
        Ok(range.map(|(_, found)| found.as_ref().clone()).collect())
    }
}

#[async_trait]
impl AttentionReads for MemorySnapshot {
    async fn attention(
        &self,
        id: AttentionId,
    ) -> Result<Option<Versioned<AttentionItem>>, StoreError> {
        Ok(owned(self.0.attention.get(&id)))
    }

    async fn attention_items(
        &self,
        session: Option<SessionId>,
        state: Option<AttentionState>,
        after: Option<AttentionId>,
        limit: usize,
    ) -> Result<Vec<Versioned<AttentionItem>>, StoreError> {
        let wanted = self.0.attention.iter().filter(|(id, item)| {
            after.is_none_or(|after| **id > after)
                && session.is_none_or(|session| session == item.value.session_id)
                && state.is_none_or(|state| state == item.value.state)
        });
        Ok(wanted.map(|(_, item)| item.as_ref().clone()).take(limit).collect())
    }
}

#[async_trait]
impl EventReads for MemorySnapshot {
    async fn last_seq(&self) -> Result<u64, StoreError> {
        Ok(self.0.last_event)
    }

    async fn first_seq(&self) -> Result<u64, StoreError> {
        Ok(self.0.events.first().map_or(0, |event| event.seq))
    }

    async fn events(
        &self,
        after: u64,
        session: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let from = self.0.events.partition_point(|event| event.seq <= after);
        let wanted = self.0.events[from..].iter().filter(|stored| {
            session.is_none_or(|session| sessions_of(&stored.event).contains(&session))
        });
        Ok(wanted.map(|event| event.as_ref().clone()).take(limit).collect())
    }

    async fn log(
        &self,
        after: u64,
        session: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Logged>, StoreError> {
        let found = self.events(after, session, limit).await?;
        Ok(found.into_iter().map(Logged::Event).collect())
    }

    async fn audit_head(&self) -> Result<Option<(u64, String)>, StoreError> {
        Ok(self.0.audit.last().map(|last| (last.place.seq, last.hash.clone())))
    }

    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<StoredAudit>, StoreError> {
        let later = self.0.audit.iter().filter(|entry| entry.place.seq > after);
        Ok(later.map(|entry| entry.as_ref().clone()).take(limit).collect())
    }
}

#[async_trait]
impl Snapshot for MemorySnapshot {
    async fn tenant(&self) -> Result<Option<Versioned<Tenant>>, StoreError> {
        Ok(self.0.tenant.clone())
    }

    async fn counter(&self, counter: Counter) -> Result<i64, StoreError> {
        Ok(self.0.counters.get(&counter).copied().unwrap_or(0))
    }

    async fn remembered(&self, key: [u8; 32]) -> Result<Option<Remembered>, StoreError> {
        Ok(owned(self.0.remembered.get(&key)))
    }

    async fn agent(&self, id: AgentId) -> Result<Option<Versioned<Agent>>, StoreError> {
        let found = self.0.agents.get(&id);
        Ok(owned(found.filter(|agent| agent.value.deleted_at.is_none())))
    }

    async fn api_key(&self, id: KeyId) -> Result<Option<Versioned<ApiKey>>, StoreError> {
        Ok(owned(self.0.api_keys.get(&id)))
    }

    async fn api_keys(
        &self,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<Versioned<ApiKey>>, StoreError> {
        let low = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.0.api_keys.range((low, Bound::Unbounded));
        Ok(behind.take(limit).map(|(_, found)| found.as_ref().clone()).collect())
    }

    async fn agents(&self) -> Result<Vec<Versioned<Agent>>, StoreError> {
        let there = self.0.agents.values().filter(|agent| agent.value.deleted_at.is_none());
        let mut all: Vec<_> = there.map(|agent| agent.as_ref().clone()).collect();
        all.sort_by(|left, right| left.value.name.cmp(&right.value.name));
        Ok(all)
    }
}

/// All tenants at one moment.
pub(super) struct MemoryFleet(pub(super) Arc<Data>);

#[async_trait]
impl Fleet for MemoryFleet {
    async fn tenants(&self) -> Result<Vec<Versioned<Tenant>>, StoreError> {
        Ok(self.0.tenants.values().filter_map(|data| data.tenant.clone()).collect())
    }

    async fn counter(&self, tenant: TenantId, counter: Counter) -> Result<i64, StoreError> {
        let found = self.0.tenants.get(&tenant).and_then(|data| data.counters.get(&counter));
        Ok(found.copied().unwrap_or(0))
    }

    async fn api_key(&self, hash: [u8; 32]) -> Result<Option<Versioned<ApiKey>>, StoreError> {
        Ok(self.0.api_key_by_secret(&hash).cloned())
    }

    async fn user(
        &self,
        tenant: TenantId,
        id: UserId,
    ) -> Result<Option<Versioned<User>>, StoreError> {
        let data = self.0.tenants.get(&tenant);
        Ok(owned(data.and_then(|data| data.people.users.get(&id))))
    }

    async fn has_api_keys(&self) -> Result<bool, StoreError> {
        Ok(self.0.tenants.values().any(|tenant| !tenant.api_keys.is_empty()))
    }

    async fn sessions_in(
        &self,
        statuses: &[SessionStatus],
    ) -> Result<Vec<Versioned<Session>>, StoreError> {
        let all = self.0.tenants.values().flat_map(|data| data.sessions.values());
        let wanted = all.filter(|found| {
            found.value.stamps.deleted_at.is_none() && statuses.contains(&found.value.status())
        });
        Ok(wanted.map(|found| found.as_ref().clone()).collect())
    }

    async fn due_sessions(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantId, SessionId)>, StoreError> {
        let mut due = Vec::new();
        for (tenant, data) in &self.0.tenants {
            let all = data.sessions.values().map(|found| &found.value);
            due.extend(all.filter(|session| session.stamps.deleted_at.is_none()).filter_map(
                |session| Some((*tenant, session.due_at().filter(|at| *at <= now)?, session.id)),
            ));
        }
        due.sort_unstable();
        Ok(due.into_iter().map(|(tenant, _, id)| (tenant, id)).take(limit).collect())
    }

    async fn owed_children(&self, limit: usize) -> Result<Vec<OwedChildren>, StoreError> {
        let owed = self.0.tenants.iter().flat_map(|(tenant, data)| {
            let each = |(at, parent): &(Timestamp, SessionId)| OwedChildren {
                tenant: *tenant,
                parent: *parent,
                at: *at,
            };
            data.owed_children.iter().map(each)
        });
        Ok(owed.take(limit).collect())
    }

    async fn uncounted(&self, limit: usize) -> Result<Vec<(TenantId, Ended)>, StoreError> {
        let all = self.0.tenants.iter();
        let each =
            all.flat_map(|(tenant, data)| data.vitals.uncounted().map(|ended| (*tenant, ended)));
        Ok(each.take(limit).collect())
    }

    async fn agents_deleted_by(
        &self,
        then: Timestamp,
        limit: usize,
    ) -> Result<Vec<Agent>, StoreError> {
        let all = self.0.tenants.values().flat_map(|data| data.agents.values());
        let gone = all.filter(|found| found.value.deleted_at.is_some_and(|at| at <= then));
        Ok(gone.map(|found| found.value.clone()).take(limit).collect())
    }

    async fn sessions_made_before(
        &self,
        tenant: TenantId,
        before: Timestamp,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Versioned<Session>>, StoreError> {
        let Some(data) = self.0.tenants.get(&tenant) else { return Ok(Vec::new()) };
        let all = data.sessions.range(..first_session_at(before)).map(|(_, found)| found);
        let behind = all.filter(|found| after.is_none_or(|after| found.value.id > after));
        Ok(behind.map(|found| found.as_ref().clone()).take(limit).collect())
    }

    async fn recount(
        &self,
        tenant: TenantId,
        counter: Counter,
    ) -> Result<Option<Recount>, StoreError> {
        let Some(data) = self.0.tenants.get(&tenant) else { return Ok(None) };
        let in_rows = |is_counted: fn(SessionStatus, SessionStatus) -> bool, status| {
            let all = data.sessions.values().map(|found| &found.value);
            let kept = all.filter(|session| session.stamps.deleted_at.is_none());
            kept.filter(|session| is_counted(session.status(), status)).count()
        };
        let stored = data.counters.get(&counter).copied().unwrap_or(0);
        let beside = |counted| Some(Recount { stored: Some(stored), counted });
        let rows = match counter {
            Counter::OpenSessions => in_rows(|is, _| is.is_open(), SessionStatus::Pending),
            Counter::SessionsIn(status) => in_rows(|is, wanted| is == wanted, status),
            Counter::Webhooks => data.webhooks.all.len(),
            Counter::Agents => {
                data.agents.values().filter(|agent| agent.value.deleted_at.is_none()).count()
            }
            Counter::ApiKeys => {
                let usable = |key: &&Arc<Versioned<ApiKey>>| key.value.is_counted();
                data.api_keys.values().filter(usable).count()
            }
            Counter::Users => data.people.users.len(),
            Counter::MonthTokens(month) => return Ok(beside(data.used.of_month(month).0)),
            Counter::MonthMicros(month) => return Ok(beside(data.used.of_month(month).1)),
            Counter::SessionCodes
            | Counter::FencingTokens
            | Counter::DaysWorkDone
            | Counter::ClockDoubted
            // Nothing of it lasts, or could differ.
            | Counter::StoredBytes => return Ok(None),
        };
        Ok(beside(i64::try_from(rows).unwrap_or(i64::MAX)))
    }

    async fn usage(&self) -> Result<Vec<ClassUsage>, StoreError> {
        let rows = |class: StoredClass| -> usize {
            let each = self.0.tenants.values();
            each.map(|data| match class {
                StoredClass::Sessions => data.sessions.len(),
                StoredClass::Attempts => data.attempts.len(),
                StoredClass::Checkpoints => data.checkpoints.len(),
                StoredClass::Attention => data.attention.len(),
                StoredClass::Events => data.events.len(),
                StoredClass::Audit => data.audit.len(),
                StoredClass::Usage => data.used.records(),
                StoredClass::Agents => data.agents.len(),
                StoredClass::Tenants => usize::from(data.tenant.is_some()),
                StoredClass::Webhooks => data.webhooks.all.len(),
                StoredClass::Contexts => data.contexts.all.len(),
                StoredClass::Tasks => data.tasks.all.len(),
                StoredClass::Answers => data.remembered.len(),
                StoredClass::Journals | StoredClass::Damaged | StoredClass::Other => 0,
            })
            .sum()
        };
        let used = |class: &StoredClass| ClassUsage {
            class: *class,
            rows: u64::try_from(rows(*class)).unwrap_or(u64::MAX),
            bytes: None,
        };
        Ok(StoredClass::ALL.iter().map(used).collect())
    }

    async fn due_attention(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantId, AttentionId)>, StoreError> {
        let mut due = Vec::new();
        for (tenant, data) in &self.0.tenants {
            let all = data.attention.values().map(|found| &found.value);
            let open = all.filter(|item| item.state == AttentionState::Open);
            let over = open.filter(|item| item.deadline <= now);
            due.extend(over.map(|item| (*tenant, item.deadline, item.id)));
        }
        due.sort_unstable();
        Ok(due.into_iter().map(|(tenant, _, id)| (tenant, id)).take(limit).collect())
    }

    async fn old_contexts(
        &self,
        asked: OldContexts,
    ) -> Result<Vec<(Timestamp, ContextId)>, StoreError> {
        let data = self.0.tenants.get(&asked.tenant);
        Ok(data.map(|data| data.contexts.old(asked)).unwrap_or_default())
    }

    async fn old_merges(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantId, ContextId)>, StoreError> {
        let each = self.0.tenants.values();
        let all = each.flat_map(|data| data.contexts.merges.values());
        let old = all.filter(|merge| merge.expires_at <= now);
        Ok(old.map(|merge| (merge.tenant_id, merge.id)).take(limit).collect())
    }

    async fn ended_owners(&self, limit: usize) -> Result<Vec<(TenantId, SessionId)>, StoreError> {
        let each = self.0.tenants.iter();
        let all = each.flat_map(|(tenant, data)| {
            data.contexts.ended.iter().map(|session| (*tenant, *session))
        });
        Ok(all.take(limit).collect())
    }

    async fn task_runs(&self) -> Result<Vec<(TenantId, SessionId)>, StoreError> {
        let each = self.0.tenants.iter();
        let runs = each.flat_map(|(tenant, data)| {
            let running = data.tasks.books.iter().filter(|(_, book)| book.value.is_running());
            running.map(|(session, _)| (*tenant, *session))
        });
        Ok(runs.collect())
    }

    async fn webhooks(&self) -> Result<Vec<(TenantId, WebhookId)>, StoreError> {
        let each = self.0.tenants.iter();
        let ids = each.flat_map(|(tenant, data)| data.webhooks.all.keys().map(|id| (*tenant, *id)));
        Ok(ids.collect())
    }
}
