//! Decisions that every store takes in the same way: versions, guards, counters, the audit chain,
//! what an event is about, and where a page ends.
//!
//! Invariant: pure. An adapter only fetches what these functions ask for and keeps what they give.

use std::collections::HashSet;
use std::ops::ControlFlow;

use crate::application::ports::changes::{ChangeSet, Counter, CounterChange, Expect, Guard, Write};
use crate::application::ports::clock::Ids;
use crate::application::ports::reads::{SessionPage, SessionQuery};
use crate::application::ports::store::{CommitError, Sequence, StoreError};
use crate::application::ports::tasks::TaskRecord;
use crate::domain::audit::{AuditEntry, NO_HASH, Place, StoredAudit};
use crate::domain::event::{DomainEvent, SubjectKind};
use crate::domain::ids::{
    AgentId, AttentionId, AuditId, DeliveryId, KeyId, SessionId, TenantId, UsageId, WebhookId,
};
use crate::domain::session::Session;
use crate::domain::time::Timestamp;
use crate::domain::usage::period::Day;
use crate::domain::version::{Version, Versioned};

/// Rows looked at for one page; beyond it the page is short and says where to go on.
pub(crate) const EXAMINED_PER_PAGE: u64 = 5_000;
/// Rows looked at to count what matches; beyond it the total stays unknown.
pub(crate) const EXAMINED_PER_COUNT: u64 = 100_000;
/// A change set that no adapter can store: it contradicts itself.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub &'static str);

/// The version that a write gives, or the refusal.
pub(crate) fn next_version(found: Option<Version>, expect: Expect) -> Result<Version, CommitError> {
    match (found, expect) {
        (None, Expect::Absent) => Ok(Version::FIRST),
        (Some(found), Expect::At(expected)) if found == expected => Ok(found.next()),
        (None, Expect::At(_) | Expect::Damaged)
        | (Some(_), Expect::Absent | Expect::At(_) | Expect::Damaged) => Err(CommitError::Stale),
    }
}

/// What a write names, so that one change set cannot name the same thing twice.
#[derive(PartialEq, Eq, Hash)]
enum Named<'a> {
    Session(SessionId),
    Attempt(SessionId, u32),
    Checkpoint(SessionId, u64),
    Attention(AttentionId),
    Agent(AgentId),
    AgentName(&'a str),
    OwedChildren(SessionId),
    Tenant,
    ApiKey(KeyId),
    Webhook((u8, WebhookId, Option<DeliveryId>)),
    Usage((u8, Option<UsageId>, Option<Day>)),
    People((u8, uuid::Uuid)),
    Vitals((u8, AgentId, Option<(SessionId, u32)>)),
    Context((u8, uuid::Uuid, u64)),
    Task(TaskRecord<'a>),
}

/// Refuses a set that writes one record twice or reaches into another tenant.
pub(crate) fn check_shape(changes: &ChangeSet) -> Result<(), CommitError> {
    let mut named = HashSet::with_capacity(changes.writes.len());
    let mut purged = Vec::new();
    for write in &changes.writes {
        let (name, tenant) = match write {
            Write::Session(put) => (Named::Session(put.value.id), put.value.tenant_id),
            Write::Attempt(put) => {
                (Named::Attempt(put.value.session_id, put.value.number), changes.tenant)
            }
            Write::Checkpoint(checkpoint) => {
                (Named::Checkpoint(checkpoint.session_id, checkpoint.sequence), changes.tenant)
            }
            Write::DropCheckpoint { session, sequence } => {
                (Named::Checkpoint(*session, *sequence), changes.tenant)
            }
            Write::Attention(put) => (Named::Attention(put.value.id), put.value.tenant_id),
            Write::Agent(put) => {
                let has_name = put.value.deleted_at.is_none();
                if has_name && !named.insert(Named::AgentName(&put.value.name)) {
                    return Err(malformed("two agents of one change have the same name"));
                }
                (Named::Agent(put.value.id), put.value.tenant_id)
            }
            Write::Tenant(put) => (Named::Tenant, put.value.id),
            Write::ApiKey(put) => (Named::ApiKey(put.value.id), put.value.tenant_id),
            Write::ChildrenOwed { parent, .. } | Write::ChildrenDone { parent, .. } => {
                (Named::OwedChildren(*parent), changes.tenant)
            }
            Write::PurgeSession(_, session) => {
                purged.push(*session);
                (Named::Session(*session), changes.tenant)
            }
            Write::Webhook(write) => {
                (Named::Webhook(write.record()), write.tenant().unwrap_or(changes.tenant))
            }
            Write::Usage(write) => {
                (Named::Usage(write.record()), write.tenant().unwrap_or(changes.tenant))
            }
            Write::People(write) => {
                (Named::People(write.record()), write.tenant().unwrap_or(changes.tenant))
            }
            Write::Vitals(write) => (Named::Vitals(write.record()), changes.tenant),
            Write::Context(write) => {
                (Named::Context(write.record()), write.tenant().unwrap_or(changes.tenant))
            }
            Write::Task(write) => {
                (Named::Task(write.record()), write.tenant().unwrap_or(changes.tenant))
            }
        };
        if tenant != changes.tenant {
            return Err(malformed("a change set may only write within its own tenant"));
        }
        if !named.insert(name) {
            return Err(malformed("a change set may write each record once"));
        }
    }
    let touches_purged = |write: &Write| match write {
        Write::Attempt(put) => purged.contains(&put.value.session_id),
        Write::Checkpoint(checkpoint) => purged.contains(&checkpoint.session_id),
        Write::DropCheckpoint { session, .. } => purged.contains(session),
        Write::Attention(put) => purged.contains(&put.value.session_id),
        Write::Task(write) => write.session().is_some_and(|session| purged.contains(&session)),
        Write::Session(_)
        | Write::Agent(_)
        | Write::Tenant(_)
        | Write::ApiKey(_)
        | Write::ChildrenOwed { .. }
        | Write::ChildrenDone { .. }
        | Write::Webhook(_)
        | Write::Usage(_)
        | Write::People(_)
        | Write::Vitals(_)
        | Write::Context(_)
        | Write::PurgeSession(..) => false,
    };
    if changes.writes.iter().any(touches_purged) {
        return Err(malformed("a change set cannot purge a session and write what belongs to it"));
    }
    Ok(())
}

/// A refusal that says what is wrong with the set.
pub(crate) fn malformed(what: &'static str) -> CommitError {
    CommitError::Store(failed(Malformed(what)))
}

/// Any error as a store failure.
pub(crate) fn failed(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Failed(std::sync::Arc::new(error))
}

/// A counter after the changes of a set.
pub(crate) fn counted(before: i64, counter: Counter, changes: &[(Counter, CounterChange)]) -> i64 {
    let own = changes.iter().filter(|(changed, _)| *changed == counter);
    own.fold(before, |value, (_, change)| match change {
        CounterChange::Add(by) => value.saturating_add(*by),
        CounterChange::AtLeast(floor) => value.max(i64::try_from(*floor).unwrap_or(i64::MAX)),
    })
}

/// Whether a counter may pass from `before` to `after`.
pub(crate) fn check_bound(
    counter: Counter,
    before: i64,
    after: i64,
    limit: u64,
) -> Result<(), CommitError> {
    if u64::try_from(after).is_ok_and(|after| after > limit) {
        let used = u64::try_from(before).unwrap_or(0);
        return Err(CommitError::Exceeded { counter, limit, used });
    }
    Ok(())
}

/// Whether a guard about one session holds; `None` when the guard is about something else.
pub(crate) fn session_guard(guard: &Guard, session: Option<&Session>) -> Option<bool> {
    match guard {
        Guard::LeaseCurrent { fencing_token, .. } => {
            Some(session.is_some_and(|session| session.is_held_by(*fencing_token)))
        }
        Guard::SessionIn { statuses, .. } => Some(session.is_some_and(|session| {
            session.stamps.deleted_at.is_none() && statuses.contains(&session.status())
        })),
        Guard::CounterAtMost { .. }
        | Guard::AgentNameFree(_)
        | Guard::AgentOpen(_)
        | Guard::UserAt(..)
        | Guard::NoOtherKeys { .. }
        | Guard::NoOtherInvites { .. } => None,
    }
}

/// The durable counter behind a sequence.
pub(crate) const fn counter_of(sequence: Sequence) -> Counter {
    match sequence {
        Sequence::SessionCodes => Counter::SessionCodes,
        Sequence::FencingTokens => Counter::FencingTokens,
    }
}

/// The smallest id of a session that was made at this instant: ids begin with their time.
pub(crate) fn first_session_at(at: Timestamp) -> SessionId {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&at.key_millis().to_be_bytes()[2..]);
    SessionId::from_bytes(bytes)
}

/// The entry as the next link of its tenant's chain.
pub(crate) fn link(
    last: Option<(u64, String)>,
    entry: AuditEntry,
    tenant_id: TenantId,
    ids: &dyn Ids,
) -> StoredAudit {
    let (seq, prev_hash) = last.map_or((1, NO_HASH.to_owned()), |(seq, hash)| (seq + 1, hash));
    let place = Place { tenant_id, seq, id: AuditId::new(ids.uuid()) };
    StoredAudit::link(entry, place, prev_hash)
}

/// The sessions that an event belongs to: its subject, and the one that its payload names.
pub(crate) fn sessions_of(event: &DomainEvent) -> Vec<SessionId> {
    let mut found = Vec::with_capacity(1);
    if event.subject.kind == SubjectKind::Session {
        found.push(SessionId::new(event.subject.id));
    }
    let named = event.payload.get("session_id").and_then(|value| value.as_str());
    if let Some(id) = named.and_then(SessionId::parse)
        && !found.contains(&id)
    {
        found.push(id);
    }
    found
}

/// Fills one page from candidates that come in the order of the list.
pub(crate) struct Pager<'a> {
    query: &'a SessionQuery,
    page: SessionPage,
    examined: u64,
    last: Option<SessionId>,
}

impl<'a> Pager<'a> {
    /// An empty page.
    pub(crate) fn new(query: &'a SessionQuery) -> Self {
        // Sessions are large: to move those of a page to a larger place costs more than the place.
        let items = Vec::with_capacity(query.limit.clamp(1, 100));
        let page = SessionPage { items, ..SessionPage::default() };
        Self { query, page, examined: 0, last: None }
    }

    /// Looks at the next candidate; `Break` when the page is done.
    pub(crate) fn offer(
        &mut self,
        id: SessionId,
        candidate: Result<Option<Versioned<Session>>, StoreError>,
    ) -> Result<ControlFlow<()>, StoreError> {
        if self.examined >= EXAMINED_PER_PAGE {
            self.page.next = self.last;
            return Ok(ControlFlow::Break(()));
        }
        self.examined += 1;
        match candidate {
            Ok(Some(found)) if self.query.filter.matches(&found.value) => {
                if self.page.items.len() >= self.query.limit.max(1) {
                    self.page.next = self.page.items.last().map(|item| item.value.id);
                    return Ok(ControlFlow::Break(()));
                }
                self.page.items.push(found);
            }
            Ok(_) => {}
            Err(StoreError::Quarantined) => self.page.skipped += 1,
            Err(other) => return Err(other),
        }
        self.last = Some(id);
        Ok(ControlFlow::Continue(()))
    }

    /// The page as far as it was filled.
    pub(crate) fn finish(self, total: Option<u64>) -> SessionPage {
        SessionPage { total, ..self.page }
    }
}
