//! What the store in memory keeps, and how a change set changes it.
//!
//! Invariant: everything is checked before anything is changed. A tenant's data is shared with the
//! snapshots that show it and copied by the first change after one was taken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::contexts::Contexts;
use super::people::People;
use super::tasks::Tasks;
use super::usage::Used;
use super::vitals::AllVitals;
use super::webhooks::Webhooks;
use crate::application::ports::changes::{
    ChangeSet, Counter, CounterChange, Expect, Guard, Put, Remembered, Write,
};
use crate::application::ports::clock::Ids;
use crate::application::ports::store::CommitError;
use crate::domain::agent::Agent;
use crate::domain::attention::AttentionItem;
use crate::domain::audit::StoredAudit;
use crate::domain::event::StoredEvent;
use crate::domain::ids::{AgentId, AttentionId, EventId, KeyId, SessionId, TenantId};
use crate::domain::session::Session;
use crate::domain::session::attempt::Attempt;
use crate::domain::session::checkpoint::Checkpoint;
use crate::domain::tenant::Tenant;
use crate::domain::tenant::key::{ApiKey, KeySecret};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, Versioned};
use crate::infrastructure::storage::shared;

/// Everything of one tenant.
#[derive(Clone, Default)]
pub(super) struct TenantData {
    pub(super) tenant: Option<Versioned<Tenant>>,
    pub(super) sessions: BTreeMap<SessionId, Arc<Versioned<Session>>>,
    pub(super) codes: BTreeMap<u64, SessionId>,
    pub(super) attempts: BTreeMap<(SessionId, u32), Arc<Versioned<Attempt>>>,
    pub(super) checkpoints: BTreeMap<(SessionId, u64), Arc<Checkpoint>>,
    pub(super) attention: BTreeMap<AttentionId, Arc<Versioned<AttentionItem>>>,
    pub(super) agents: BTreeMap<AgentId, Arc<Versioned<Agent>>>,
    pub(super) counters: BTreeMap<Counter, i64>,
    pub(super) events: Vec<Arc<StoredEvent>>,
    /// Number of the newest event, kept or not.
    pub(super) last_event: u64,
    pub(super) audit: Vec<Arc<StoredAudit>>,
    pub(super) remembered: BTreeMap<[u8; 32], Arc<Remembered>>,
    pub(super) owed_children: BTreeSet<(Timestamp, SessionId)>,
    pub(super) webhooks: Webhooks,
    pub(super) used: Used,
    pub(super) api_keys: BTreeMap<KeyId, Arc<Versioned<ApiKey>>>,
    pub(super) people: People,
    pub(super) vitals: AllVitals,
    pub(super) contexts: Contexts,
    pub(super) tasks: Tasks,
}

/// Everything.
#[derive(Clone, Default)]
pub(super) struct Data {
    pub(super) tenants: BTreeMap<TenantId, Arc<TenantData>>,
}

impl Data {
    /// The tenant's data, empty when nothing was ever written.
    pub(super) fn tenant(&self, tenant: TenantId) -> Arc<TenantData> {
        self.tenants.get(&tenant).cloned().unwrap_or_default()
    }

    /// The key that one of whose secrets has this hash.
    pub(super) fn api_key_by_secret(&self, hash: &[u8; 32]) -> Option<&Versioned<ApiKey>> {
        let mut keys = self.tenants.values().flat_map(|tenant| tenant.api_keys.values());
        let found = keys.find(|key| key.value.secrets.iter().any(|secret| secret.hash == *hash));
        found.map(Arc::as_ref)
    }

    /// Whether a tenant that is written has the slug of another one.
    fn takes_a_slug(&self, changes: &ChangeSet) -> bool {
        let all = || self.tenants.values().filter_map(|data| data.tenant.as_ref());
        changes.writes.iter().any(|write| {
            let Write::Tenant(Put { value, .. }) = write else { return false };
            all().any(|other| other.value.slug == value.slug && other.value.id != value.id)
        })
    }

    /// Checks and applies a change set; returns the events as they were numbered, and the newest
    /// number.
    pub(super) fn commit(
        &mut self,
        ids: &dyn Ids,
        now: Timestamp,
        changes: ChangeSet,
    ) -> Result<(Vec<StoredEvent>, u64), CommitError> {
        shared::check_shape(&changes)?;
        if self.takes_a_slug(&changes) {
            return Err(CommitError::Refused);
        }
        let current = self.tenant(changes.tenant);
        current.check(&changes, now)?;
        for write in &changes.writes {
            if let Write::ApiKey(put) = write {
                // A secret opens one door.
                let holds = |secret: &KeySecret| {
                    let other = self.api_key_by_secret(&secret.hash);
                    other.is_some_and(|other| other.value.id != put.value.id)
                };
                if put.value.secrets.iter().any(holds) {
                    return Err(CommitError::Refused);
                }
            }
        }
        drop(current);
        let ChangeSet { tenant, writes, guards: _, counters, events, audit, remembered } = changes;
        let data = Arc::make_mut(self.tenants.entry(tenant).or_default());
        for write in writes {
            data.apply(write);
        }
        data.count(&counters);
        let first = data.events.len();
        for event in events {
            data.last_event += 1;
            let seq = data.last_event;
            let id = EventId::new(ids.uuid());
            data.events.push(Arc::new(StoredEvent { id, seq, tenant_id: tenant, event }));
        }
        if let Some(entry) = audit {
            let last = data.audit.last().map(|last| (last.place.seq, last.hash.clone()));
            data.audit.push(Arc::new(shared::link(last, entry, tenant, ids)));
        }
        if let Some(answer) = remembered {
            data.remembered.insert(answer.key, Arc::new(answer));
        }
        let numbered: Vec<StoredEvent> =
            data.events[first..].iter().map(|event| event.as_ref().clone()).collect();
        Ok((numbered, data.last_event))
    }
}

pub(super) fn versioned<T>(put: Put<T>) -> Versioned<T> {
    let version = match put.expect {
        Expect::Absent | Expect::Damaged => Version::FIRST,
        Expect::At(version) => version.next(),
    };
    Versioned { version, value: put.value }
}

impl TenantData {
    fn number(&self, counter: Counter) -> i64 {
        self.counters.get(&counter).copied().unwrap_or(0)
    }

    fn check(&self, changes: &ChangeSet, now: Timestamp) -> Result<(), CommitError> {
        for guard in &changes.guards {
            self.guard(guard, &changes.counters)?;
        }
        for write in &changes.writes {
            self.expect(write)?;
        }
        let repeated = changes.remembered.as_ref();
        let known = repeated.and_then(|answer| self.remembered.get(&answer.key));
        if known.is_some_and(|known| known.expires_at > now) {
            return Err(CommitError::Stale);
        }
        Ok(())
    }

    fn guard(
        &self,
        guard: &Guard,
        counters: &[(Counter, CounterChange)],
    ) -> Result<(), CommitError> {
        let holds = match guard {
            Guard::CounterAtMost { counter, limit } => {
                let before = self.number(*counter);
                let after = shared::counted(before, *counter, counters);
                return shared::check_bound(*counter, before, after, *limit);
            }
            Guard::AgentNameFree(name) => self.holder(name).is_none(),
            Guard::AgentOpen(id) => self.agents.get(id).is_some_and(|agent| agent.value.is_open()),
            Guard::UserAt(id, version) => self.people.is_at(*id, *version),
            Guard::NoOtherKeys { user, known } => self.has_no_other_keys(*user, known),
            Guard::NoOtherInvites { email, known } => self.has_no_other_invites(email, known),
            Guard::LeaseCurrent { session, .. } | Guard::SessionIn { session, .. } => {
                let found = self.sessions.get(session).map(|found| &found.value);
                shared::session_guard(guard, found).unwrap_or(false)
            }
        };
        if holds { Ok(()) } else { Err(CommitError::Refused) }
    }

    /// The agent that has this name.
    fn holder(&self, name: &str) -> Option<AgentId> {
        let mut all = self.agents.values().filter(|agent| agent.value.deleted_at.is_none());
        all.find(|agent| agent.value.name == name).map(|agent| agent.value.id)
    }

    fn expect(&self, write: &Write) -> Result<(), CommitError> {
        let (found, expect) = match write {
            Write::Session(put) => {
                let Session { id, code, .. } = put.value;
                if self.codes.get(&code.number()).is_some_and(|holder| *holder != id) {
                    return Err(CommitError::Stale);
                }
                (self.sessions.get(&id).map(|found| found.version), put.expect)
            }
            Write::Attempt(put) => {
                let key = (put.value.session_id, put.value.number);
                (self.attempts.get(&key).map(|found| found.version), put.expect)
            }
            Write::Checkpoint(checkpoint) => {
                let key = (checkpoint.session_id, checkpoint.sequence);
                (self.checkpoints.get(&key).map(|_| Version::FIRST), Expect::Absent)
            }
            Write::DropCheckpoint { .. }
            | Write::ChildrenOwed { .. }
            | Write::ChildrenDone { .. } => return Ok(()),
            Write::ApiKey(put) => {
                (self.api_keys.get(&put.value.id).map(|found| found.version), put.expect)
            }
            Write::Attention(put) => {
                (self.attention.get(&put.value.id).map(|found| found.version), put.expect)
            }
            Write::Agent(put) => {
                let other = |holder| holder != put.value.id;
                let has_name = put.value.deleted_at.is_none();
                if has_name && self.holder(&put.value.name).is_some_and(other) {
                    return Err(CommitError::Refused);
                }
                (self.agents.get(&put.value.id).map(|found| found.version), put.expect)
            }
            Write::Tenant(put) => (self.tenant.as_ref().map(|found| found.version), put.expect),
            Write::PurgeSession(version, id) => {
                (self.sessions.get(id).map(|found| found.version), Expect::At(*version))
            }
            Write::Webhook(write) => return self.webhooks.expect(write),
            Write::Usage(write) => return self.used.expect(write),
            Write::People(write) => return self.people.expect(write),
            Write::Vitals(write) => return self.vitals.expect(write),
            Write::Context(write) => return self.contexts.expect(write),
            Write::Task(write) => return self.tasks.expect(write),
        };
        shared::next_version(found, expect).map(|_| ())
    }

    fn apply(&mut self, write: Write) {
        match write {
            Write::Session(put) => {
                let (id, code) = (put.value.id, put.value.code);
                self.codes.retain(|number, holder| *holder != id || *number == code.number());
                self.codes.insert(code.number(), id);
                self.sessions.insert(id, Arc::new(versioned(put)));
            }
            Write::Attempt(put) => {
                let key = (put.value.session_id, put.value.number);
                self.attempts.insert(key, Arc::new(versioned(put)));
            }
            Write::Checkpoint(checkpoint) => {
                let key = (checkpoint.session_id, checkpoint.sequence);
                self.store_more(weight(&checkpoint));
                self.checkpoints.insert(key, Arc::new(checkpoint));
            }
            Write::DropCheckpoint { session, sequence } => {
                if let Some(gone) = self.checkpoints.remove(&(session, sequence)) {
                    self.store_more(-weight(&gone));
                }
            }
            Write::Attention(put) => {
                self.attention.insert(put.value.id, Arc::new(versioned(put)));
            }
            Write::Agent(put) => {
                self.agents.insert(put.value.id, Arc::new(versioned(put)));
            }
            Write::Tenant(put) => self.tenant = Some(versioned(put)),
            Write::Webhook(write) => self.webhooks.apply(write),
            Write::Usage(write) => self.used.apply(write),
            Write::People(write) => self.people.apply(write),
            Write::Vitals(write) => self.vitals.apply(write),
            Write::Context(write) => {
                let more = self.contexts.apply(write);
                self.store_more(more);
            }
            Write::Task(write) => self.tasks.apply(write),
            Write::ApiKey(put) => {
                self.api_keys.insert(put.value.id, Arc::new(versioned(put)));
            }
            Write::ChildrenOwed { parent, at } => {
                let mut all = self.sessions.values().map(|found| &found.value);
                if all.any(|session| session.is_child_of(parent)) {
                    self.owed_children.insert((at, parent));
                }
            }
            Write::ChildrenDone { parent, at } => {
                self.owed_children.remove(&(at, parent));
            }
            Write::PurgeSession(_, id) => {
                self.sessions.remove(&id);
                self.codes.retain(|_, holder| *holder != id);
                self.attempts.retain(|(session, _), _| *session != id);
                let held = self.checkpoints.range((id, 0)..=(id, u64::MAX));
                let bytes: i64 = held.map(|(_, one)| weight(one)).sum();
                self.store_more(-bytes);
                self.checkpoints.retain(|(session, _), _| *session != id);
                self.attention.retain(|_, item| item.value.session_id != id);
                self.tasks.purge(id);
            }
        }
    }

    /// Counts bytes that are stored more, or less.
    pub(super) fn store_more(&mut self, bytes: i64) {
        *self.counters.entry(Counter::StoredBytes).or_default() += bytes;
    }

    fn count(&mut self, changes: &[(Counter, CounterChange)]) {
        let counters: BTreeSet<Counter> = changes.iter().map(|(counter, _)| *counter).collect();
        for counter in counters {
            let after = shared::counted(self.number(counter), counter, changes);
            self.counters.insert(counter, after);
        }
    }
}

/// What a checkpoint takes.
fn weight(checkpoint: &Checkpoint) -> i64 {
    i64::try_from(checkpoint.data.to_string().len()).unwrap_or(i64::MAX)
}
