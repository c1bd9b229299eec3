//! From a change set to inserts and removes: every check, every version, every index entry.
//!
//! Invariant: a plan only reads and may refuse; secondary indexes are computed here and nowhere
//! else.

use super::codec::CodecError;
use super::counters::{self, Standing};
use super::keys::{self, Key, Span};
use super::records::{self, Head, Number, Record, Reference, Unstorable};
use super::rows::Rows;
use super::tables::Table;
use crate::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Remembered, Write,
};
use crate::application::ports::clock::Ids;
use crate::application::ports::journal::Stream;
use crate::application::ports::store::{CommitError, Committed, Sequence, StoreError};
use crate::domain::attention::{AttentionItem, AttentionState};
use crate::domain::audit::AuditEntry;
use crate::domain::event::{DomainEvent, StoredEvent};
use crate::domain::ids::{AttentionId, EventId, SessionId, TenantId};
use crate::domain::session::Session;
use crate::domain::session::attempt::Attempt;
use crate::domain::session::checkpoint::Checkpoint;
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};
use crate::infrastructure::storage::shared::{self, failed};

/// One insert, or one remove when there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) table: Table,
    pub(super) key: Key,
    pub(super) value: Option<Vec<u8>>,
}

/// What is to be done, and what is to be told once it is durable.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) operations: Vec<Operation>,
    pub(super) events: Vec<StoredEvent>,
    pub(super) last_seq: u64,
    /// Sequences whose counter this raises.
    pub(super) raised: Vec<(TenantId, Sequence, u64)>,
}

impl Plan {
    /// What the commit gave.
    pub(super) const fn committed(&self) -> Committed {
        Committed { last_seq: self.last_seq }
    }

    pub(super) fn insert<T: Record>(
        &mut self,
        table: Table,
        key: Key,
        record: &T,
    ) -> Result<(), CommitError> {
        let value = Some(records::seal(&key, record).map_err(unstorable)?);
        self.operations.push(Operation { table, key, value });
        Ok(())
    }

    pub(super) fn mark(&mut self, table: Table, key: Key) {
        self.operations.push(Operation { table, key, value: Some(Vec::new()) });
    }

    pub(super) fn remove(&mut self, table: Table, key: Key) {
        self.operations.push(Operation { table, key, value: None });
    }
}

/// What could not be read back is not written, and whoever sent it is told so.
fn unstorable(error: Unstorable) -> CommitError {
    match error {
        Unstorable::TooDeep | Unstorable::Codec(CodecError::TooLarge) => CommitError::TooLarge,
        Unstorable::Codec(_) | Unstorable::Compression(_) => CommitError::Store(failed(error)),
    }
}

/// The index entries of a session, except its code.
pub(super) fn indexes(session: &Session) -> Vec<(Table, Key)> {
    let (tenant, id) = (session.tenant_id, session.id);
    if session.stamps.deleted_at.is_some() {
        return Vec::new();
    }
    let mut entries =
        vec![(Table::SessionsByStatus, keys::by_status(tenant, session.status(), id))];
    if let Some(parent) = session.lineage.parent_id {
        entries.push((Table::SessionsByParent, keys::by_parent(tenant, parent, id)));
    }
    for awaited in session.waits_for() {
        entries.push((Table::SessionsByAwaited, keys::by_parent(tenant, awaited, id)));
    }
    if let Some(at) = session.due_at() {
        entries.push((Table::DueSessions, keys::due(tenant, at, *id.as_bytes())));
    }
    for tag in &session.spec.tags {
        let entry = (Table::SessionsByTag, keys::by_tag(tenant, tag, id));
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    entries
}

/// The index entries of an attention item.
pub(super) fn attention_entries(tenant: TenantId, item: &AttentionItem) -> Vec<(Table, Key)> {
    let by_session = keys::attention_by_session(tenant, item.session_id, item.id);
    let due = keys::due(tenant, item.deadline, *item.id.as_bytes());
    let open = (item.state == AttentionState::Open).then_some((Table::AttentionDue, due));
    let mut entries = vec![(Table::AttentionBySession, by_session)];
    entries.extend(open);
    entries
}

/// The plan of a change set.
pub(super) fn plan<R: Rows>(
    rows: &R,
    ids: &dyn Ids,
    now: Timestamp,
    changes: ChangeSet,
) -> Result<Plan, CommitError> {
    shared::check_shape(&changes)?;
    let mut planner = Planner { rows, tenant: changes.tenant, plan: Plan::default(), stored: 0 };
    for guard in &changes.guards {
        planner.guard(guard, &changes.counters)?;
    }
    for write in changes.writes {
        planner.write(write)?;
    }
    let mut counters = changes.counters;
    if planner.stored != 0 {
        counters.push((Counter::StoredBytes, CounterChange::Add(planner.stored)));
    }
    planner.count(&counters)?;
    planner.tell(ids, changes.events, changes.audit)?;
    if let Some(answer) = &changes.remembered {
        planner.remember(answer, now)?;
    }
    Ok(planner.plan)
}

/// The plan that adds one entry to the audit of a tenant.
pub(super) fn audit<R: Rows>(
    rows: &R,
    ids: &dyn Ids,
    tenant: TenantId,
    entry: AuditEntry,
) -> Result<Plan, CommitError> {
    let mut planner = Planner { rows, tenant, plan: Plan::default(), stored: 0 };
    planner.tell(ids, Vec::new(), Some(entry))?;
    Ok(planner.plan)
}

/// A change set on its way to operations.
pub(super) struct Planner<'a, R> {
    pub(super) rows: &'a R,
    pub(super) tenant: TenantId,
    pub(super) plan: Plan,
    /// Bytes that are stored more, or less, afterwards.
    pub(super) stored: i64,
}

impl<R: Rows> Planner<'_, R> {
    fn guard(
        &self,
        guard: &Guard,
        counters: &[(Counter, CounterChange)],
    ) -> Result<(), CommitError> {
        let holds = match guard {
            Guard::CounterAtMost { counter, limit } => {
                let before = self.standing(*counter)?.value;
                let after = shared::counted(before, *counter, counters);
                return shared::check_bound(*counter, before, after, *limit);
            }
            Guard::AgentNameFree(name) => {
                let key = keys::agent_name(self.tenant, name);
                self.rows.bytes(Table::AgentsByName, &key)?.is_none()
            }
            Guard::AgentOpen(id) => self.agent_is_open(*id)?,
            Guard::UserAt(id, version) => self.user_is_at(*id, *version)?,
            Guard::NoOtherKeys { user, known } => self.has_no_other_keys(*user, known)?,
            Guard::NoOtherInvites { email, known } => self.has_no_other_invites(email, known)?,
            Guard::LeaseCurrent { session, .. } | Guard::SessionIn { session, .. } => {
                let found = self.session(*session)?;
                let found = found.as_ref().map(|found| &found.value);
                shared::session_guard(guard, found).unwrap_or(false)
            }
        };
        if holds { Ok(()) } else { Err(CommitError::Refused) }
    }

    fn session(&self, id: SessionId) -> Result<Option<Versioned<Session>>, StoreError> {
        self.rows.record(Table::Sessions, &keys::session(self.tenant, id))
    }

    fn standing(&self, counter: Counter) -> Result<Standing, StoreError> {
        counters::standing(self.rows, self.tenant, counter)
    }

    fn write(&mut self, write: Write) -> Result<(), CommitError> {
        match write {
            Write::Session(put) => self.put_session(put),
            Write::Attempt(put) => self.put_attempt(put),
            Write::Checkpoint(checkpoint) => self.put_checkpoint(&checkpoint),
            Write::DropCheckpoint { session, sequence } => {
                let key = keys::checkpoint(self.tenant, session, sequence);
                let held = self.rows.bytes(Table::Checkpoints, &key)?;
                self.store_less(held.map_or(0, |bytes| bytes.len()));
                self.plan.remove(Table::Checkpoints, key);
                Ok(())
            }
            Write::Attention(put) => self.put_attention(put),
            Write::Agent(put) => self.put_agent(put),
            Write::Tenant(put) => self.put_tenant(put),
            Write::ApiKey(put) => self.put_api_key(put),
            Write::ChildrenOwed { parent, at } => self.owe_children(parent, at),
            Write::ChildrenDone { parent, at } => {
                self.settle_children(parent, at);
                Ok(())
            }
            Write::PurgeSession(version, session) => self.purge(version, session),
            Write::Webhook(write) => self.put_webhook(write),
            Write::Usage(write) => self.put_usage(write),
            Write::People(write) => self.put_people(write),
            Write::Vitals(write) => self.put_vitals(write),
            Write::Context(write) => self.put_context(write),
            Write::Task(write) => self.put_task(write),
        }
    }

    /// Checks the version, plans the row, and returns what stood there before and what does now.
    pub(super) fn put<T>(
        &mut self,
        table: Table,
        key: Key,
        put: Put<T>,
    ) -> Result<(Option<T>, T), CommitError>
    where
        Versioned<T>: Record,
    {
        let old: Option<Versioned<T>> = self.rows.record(table, &key)?;
        let version = shared::next_version(old.as_ref().map(|old| old.version), put.expect)?;
        let now = Versioned { version, value: put.value };
        self.plan.insert(table, key, &now)?;
        Ok((old.map(|old| old.value), now.value))
    }

    /// Like `put`, and replaces what is damaged where that is expected.
    pub(super) fn put_over<T>(
        &mut self,
        table: Table,
        key: Key,
        put: Put<T>,
    ) -> Result<(), CommitError>
    where
        Versioned<T>: Record,
    {
        if put.expect != Expect::Damaged {
            return self.put(table, key, put).map(|_| ());
        }
        match self.rows.record::<Versioned<T>>(table, &key) {
            Err(StoreError::Quarantined) => {
                let now = Versioned { version: Version::FIRST, value: put.value };
                self.plan.insert(table, key, &now)
            }
            Err(other) => Err(other.into()),
            Ok(_) => Err(CommitError::Stale),
        }
    }

    fn put_session(&mut self, put: Put<Session>) -> Result<(), CommitError> {
        let Session { id, code, .. } = put.value;
        let (old, now) = self.put(Table::Sessions, keys::session(self.tenant, id), put)?;
        let before = old.as_ref().map(indexes).unwrap_or_default();
        let after = indexes(&now);
        for (table, key) in before.iter().filter(|entry| !after.contains(entry)) {
            self.plan.remove(*table, key.clone());
        }
        for (table, key) in after.iter().filter(|entry| !before.contains(entry)) {
            self.plan.mark(*table, key.clone());
        }
        if let Some(old) = old
            && old.code != code
        {
            self.plan.remove(Table::SessionCodes, keys::code(self.tenant, old.code));
        }
        let key = keys::code(self.tenant, code);
        let own = Reference(*id.as_bytes());
        match self.rows.record::<Reference>(Table::SessionCodes, &key)? {
            None => self.plan.insert(Table::SessionCodes, key, &own)?,
            Some(holder) if holder == own => {}
            Some(_) => return Err(CommitError::Stale), // somebody has the code: take another
        }
        Ok(())
    }

    fn put_attempt(&mut self, put: Put<Attempt>) -> Result<(), CommitError> {
        let key = keys::attempt(self.tenant, put.value.session_id, put.value.number);
        self.put(Table::Attempts, key, put).map(|_| ())
    }

    fn put_checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), CommitError> {
        let key = keys::checkpoint(self.tenant, checkpoint.session_id, checkpoint.sequence);
        if self.rows.bytes(Table::Checkpoints, &key)?.is_some() {
            return Err(CommitError::Stale);
        }
        self.plan.insert(Table::Checkpoints, key, checkpoint)?;
        let written = self.plan.operations.last().and_then(|last| last.value.as_ref());
        self.stored += i64::try_from(written.map_or(0, Vec::len)).unwrap_or(0);
        Ok(())
    }

    fn store_less(&mut self, bytes: usize) {
        self.stored -= i64::try_from(bytes).unwrap_or(0);
    }

    fn put_attention(&mut self, put: Put<AttentionItem>) -> Result<(), CommitError> {
        let key = keys::attention(self.tenant, put.value.id);
        let (old, item) = self.put(Table::Attention, key, put)?;
        let entries = |item: &AttentionItem| attention_entries(self.tenant, item);
        let before = old.as_ref().map(entries).unwrap_or_default();
        let after = entries(&item);
        for (table, key) in before.iter().filter(|entry| !after.contains(entry)) {
            self.plan.remove(*table, key.clone());
        }
        for (table, key) in after.into_iter().filter(|entry| !before.contains(entry)) {
            self.plan.mark(table, key);
        }
        Ok(())
    }

    fn purge(&mut self, version: Version, id: SessionId) -> Result<(), CommitError> {
        let found = self.session(id)?.filter(|found| found.version == version);
        let session = found.ok_or(CommitError::Stale)?.value;
        let tenant = self.tenant;
        self.plan.remove(Table::Sessions, keys::session(tenant, id));
        self.plan.remove(Table::SessionCodes, keys::code(tenant, session.code));
        for (table, key) in indexes(&session) {
            self.plan.remove(table, key);
        }
        self.remove_all(Table::Attempts, &keys::attempts(tenant, id))?;
        let span = keys::checkpoints(tenant, id);
        self.stored -= counters::checkpoint_bytes(self.rows, &span)?;
        self.remove_all(Table::Checkpoints, &span)?;
        for stream in Stream::ALL {
            self.remove_all(Table::Journal, &keys::chunks(tenant, id, *stream))?;
            self.plan.remove(Table::JournalHeads, keys::stream(tenant, id, *stream));
        }
        let heavy = keys::journal_weight(tenant, id);
        match self.rows.record(Table::JournalHeads, &heavy) {
            Ok(found) => self.stored -= found.map_or(0, |Number(weight)| weight),
            // It was counted as nothing.
            Err(StoreError::Quarantined) => {}
            Err(other) => return Err(other.into()),
        }
        self.plan.remove(Table::JournalHeads, heavy);
        self.purge_tasks(id)?;
        self.purge_attention(id)
    }

    fn purge_attention(&mut self, session: SessionId) -> Result<(), CommitError> {
        let span = keys::attention_of(self.tenant, session);
        for key in self.rows.keys(Table::AttentionBySession, &span, usize::MAX)? {
            let id = keys::tail_id(&key).map(AttentionId::from_bytes);
            self.plan.remove(Table::AttentionBySession, key);
            let Some(id) = id else { continue };
            let key = keys::attention(self.tenant, id);
            // A damaged item goes too; what is left of it is an entry that leads nowhere.
            let item: Result<Option<Versioned<AttentionItem>>, _> =
                self.rows.record(Table::Attention, &key);
            if let Ok(Some(Versioned { value, .. })) = item {
                let due = keys::due(self.tenant, value.deadline, *id.as_bytes());
                self.plan.remove(Table::AttentionDue, due);
            }
            self.plan.remove(Table::Attention, key);
        }
        Ok(())
    }

    pub(super) fn remove_all(&mut self, table: Table, span: &Span) -> Result<(), StoreError> {
        for key in self.rows.keys(table, span, usize::MAX)? {
            self.plan.remove(table, key);
        }
        Ok(())
    }

    fn count(&mut self, changes: &[(Counter, CounterChange)]) -> Result<(), CommitError> {
        let mut done = Vec::with_capacity(changes.len());
        for (counter, _) in changes {
            if done.contains(counter) {
                continue;
            }
            done.push(*counter);
            let Standing { value: before, is_stored } = self.standing(*counter)?;
            let after = shared::counted(before, *counter, changes);
            if after != before || !is_stored {
                let key = keys::counter(self.tenant, *counter);
                self.plan.insert(Table::Counters, key, &Number(after))?;
            }
            for sequence in [Sequence::SessionCodes, Sequence::FencingTokens] {
                if shared::counter_of(sequence) == *counter {
                    let floor = u64::try_from(after).unwrap_or(0);
                    self.plan.raised.push((self.tenant, sequence, floor));
                }
            }
        }
        Ok(())
    }

    /// Numbers the events and links the audit entry.
    fn tell(
        &mut self,
        ids: &dyn Ids,
        events: Vec<DomainEvent>,
        audit: Option<AuditEntry>,
    ) -> Result<(), CommitError> {
        let (tenant, key) = (self.tenant, keys::tenant(self.tenant));
        let mut head: Head = self.rows.record(Table::Heads, &key)?.unwrap_or_default();
        let is_changed = !events.is_empty() || audit.is_some();
        for event in events {
            head.last_event += 1;
            let seq = head.last_event;
            let stored =
                StoredEvent { id: EventId::new(ids.uuid()), seq, tenant_id: tenant, event };
            self.plan.insert(Table::Events, keys::numbered(tenant, seq), &stored)?;
            for session in shared::sessions_of(&stored.event) {
                let key = keys::event_by_session(tenant, session, seq);
                self.plan.mark(Table::EventsBySession, key);
            }
            self.plan.events.push(stored);
        }
        if let Some(entry) = audit {
            let linked = shared::link(head.last_audit.take(), entry, tenant, ids);
            let seq = linked.place.seq;
            self.plan.insert(Table::Audit, keys::numbered(tenant, seq), &linked)?;
            head.last_audit = Some((seq, linked.hash));
        }
        if is_changed {
            self.plan.insert(Table::Heads, key, &head)?;
        }
        self.plan.last_seq = head.last_event;
        Ok(())
    }

    /// An answer that is remembered already makes the set stale: read again and find it. The answer
    /// itself lies in the order of its expiry; only when that is lies under the key, which is random.
    fn remember(&mut self, answer: &Remembered, now: Timestamp) -> Result<(), CommitError> {
        let key = keys::remembered(self.tenant, &answer.key);
        if let Some(Number(until)) = self.rows.record(Table::Idempotency, &key)? {
            let until = Timestamp::from_millis(until);
            if until > now {
                return Err(CommitError::Stale);
            }
            let expiry = keys::expiry(self.tenant, until, &answer.key);
            self.plan.remove(Table::IdempotencyByExpiry, expiry);
        }
        let expiry = keys::expiry(self.tenant, answer.expires_at, &answer.key);
        self.plan.insert(Table::IdempotencyByExpiry, expiry, answer)?;
        self.plan.insert(Table::Idempotency, key, &Number(answer.expires_at.millis()))
    }
}
