//! A real store without a disk: for tests, and the model in property tests.
//!
//! Invariant: it passes the same contract suite as the embedded store, and shares with it only the
//! pure decisions in `shared`.

mod contexts;
mod data;
mod people;
mod snapshot;
mod tasks;
mod usage;
mod vitals;
mod webhooks;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::broadcast;

use self::data::Data;
use self::snapshot::{MemoryFleet, MemorySnapshot};
use super::shared::counter_of;
use crate::application::ports::changes::ChangeSet;
use crate::application::ports::changes::Write;
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::journal::{Appended, Entry, Journal, NewEntry, Stream};
use crate::application::ports::reads::{Fleet, Snapshot};
use crate::application::ports::store::{
    CommitError, Committed, Outdated, Sequence, Store, StoreError, StoreHealth,
};
use crate::domain::event::StoredEvent;
use crate::domain::ids::{AgentId, KeyId, SessionId, TenantId};
use crate::domain::tenant::key::{ApiKey, KeyKind};
use crate::domain::time::Timestamp;

/// Batches that a follower may be behind before it lags and reads the gap.
const FEED_CAPACITY: usize = 4096;

type StreamKey = (TenantId, SessionId, Stream);

#[derive(Default)]
struct State {
    data: Arc<Data>,
    journal: BTreeMap<StreamKey, Vec<Entry>>,
    weights: BTreeMap<(TenantId, SessionId), u64>,
    floors: HashMap<(TenantId, Sequence), u64>,
    change_sets: u64,
}

impl State {
    /// Counts bytes of a tenant that are stored more, or less.
    fn store_more(&mut self, tenant: TenantId, bytes: i64) {
        let data = Arc::make_mut(&mut self.data).tenants.entry(tenant).or_default();
        Arc::make_mut(data).store_more(bytes);
    }
}

/// The store in memory.
pub struct MemoryStore {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    events: broadcast::Sender<Arc<Vec<StoredEvent>>>,
    appended: broadcast::Sender<Arc<Appended>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            clock,
            ids,
            events: broadcast::Sender::new(FEED_CAPACITY),
            appended: broadcast::Sender::new(FEED_CAPACITY),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn snapshot(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(MemorySnapshot(self.state().data.tenant(tenant))))
    }

    async fn fleet(&self) -> Result<Box<dyn Fleet>, StoreError> {
        Ok(Box::new(MemoryFleet(Arc::clone(&self.state().data))))
    }

    async fn commit(&self, changes: ChangeSet) -> Result<Committed, CommitError> {
        let tenant = changes.tenant;
        let purged: Vec<SessionId> = changes
            .writes
            .iter()
            .filter_map(|write| match write {
                Write::PurgeSession(_, session) => Some(*session),
                Write::Session(_)
                | Write::Attempt(_)
                | Write::Checkpoint(_)
                | Write::DropCheckpoint { .. }
                | Write::Attention(_)
                | Write::Agent(_)
                | Write::Tenant(_)
                | Write::ApiKey(_)
                | Write::Webhook(_)
                | Write::Usage(_)
                | Write::People(_)
                | Write::Vitals(_)
                | Write::Context(_)
                | Write::Task(_)
                | Write::ChildrenOwed { .. }
                | Write::ChildrenDone { .. } => None,
            })
            .collect();
        let mut state = self.state();
        let now = self.clock.now();
        let (events, last_seq) =
            Arc::make_mut(&mut state.data).commit(self.ids.as_ref(), now, changes)?;
        state.change_sets += 1;
        for session in purged {
            for stream in Stream::ALL {
                state.journal.remove(&(tenant, session, *stream));
            }
            let weight = state.weights.remove(&(tenant, session)).unwrap_or(0);
            state.store_more(tenant, -i64::try_from(weight).unwrap_or(0));
        }
        let data = state.data.tenant(tenant);
        for sequence in [Sequence::SessionCodes, Sequence::FencingTokens] {
            let counter = data.counters.get(&counter_of(sequence)).copied().unwrap_or(0);
            if let Some(floor) = state.floors.get_mut(&(tenant, sequence)) {
                *floor = (*floor).max(u64::try_from(counter).unwrap_or(0));
            }
        }
        // Sent under the lock, so that the feed is in the order of the log; fails when nobody
        // listens.
        if !events.is_empty() {
            drop(self.events.send(Arc::new(events)));
        }
        Ok(Committed { last_seq })
    }

    async fn allocate(&self, tenant: TenantId, sequence: Sequence) -> Result<u64, StoreError> {
        let mut state = self.state();
        let counters = &state.data.tenant(tenant).counters;
        let committed = counters.get(&counter_of(sequence)).copied().unwrap_or(0);
        let committed = u64::try_from(committed).unwrap_or(0);
        let floor = state.floors.entry((tenant, sequence)).or_insert(committed);
        *floor += 1;
        Ok(*floor)
    }

    fn feed(&self) -> broadcast::Receiver<Arc<Vec<StoredEvent>>> {
        self.events.subscribe()
    }

    fn health(&self) -> StoreHealth {
        let change_sets = self.state().change_sets;
        StoreHealth {
            read_only: None,
            short_of_room: None,
            free_bytes: None,
            quarantined: 0,
            file_bytes: None,
            queued_writes: 0,
            commits: change_sets,
            change_sets,
        }
    }

    async fn remove_outdated(&self, what: Outdated, limit: usize) -> Result<usize, CommitError> {
        let mut state = self.state();
        let mut removed = 0;
        let (only, before) = match what {
            Outdated::Events(before) => (None, before),
            Outdated::EventsOf(tenant, before) => (Some(tenant), before),
            Outdated::SetAside(_) => return Ok(0),
            Outdated::Browsers(before) => {
                return Ok(remove_browsers(Arc::make_mut(&mut state.data), before, limit));
            }
            Outdated::Agent(tenant, id) => {
                return Ok(remove_agent(Arc::make_mut(&mut state.data), tenant, id));
            }
            Outdated::Audit(tenant, up_to) => {
                return Ok(remove_audit(Arc::make_mut(&mut state.data), tenant, up_to));
            }
        };
        for (id, data) in &mut Arc::make_mut(&mut state.data).tenants {
            if only.is_some_and(|only| only != *id) {
                continue;
            }
            let old = data.events.iter().take_while(|event| event.event.occurred_at < before);
            let count = old.count().min(limit - removed);
            if count > 0 {
                Arc::make_mut(data).events.drain(..count);
                removed += count;
            }
        }
        Ok(removed)
    }

    async fn forget_expired(&self, now: Timestamp, limit: usize) -> Result<usize, CommitError> {
        let mut state = self.state();
        let mut forgotten = 0;
        for data in Arc::make_mut(&mut state.data).tenants.values_mut() {
            let expired = data.remembered.values().filter(|answer| answer.expires_at <= now);
            let mut keys: Vec<(Timestamp, [u8; 32])> =
                expired.map(|answer| (answer.expires_at, answer.key)).collect();
            keys.sort_unstable();
            keys.truncate(limit - forgotten);
            forgotten += keys.len();
            if !keys.is_empty() {
                let data = Arc::make_mut(data);
                data.remembered.retain(|key, _| !keys.iter().any(|(_, gone)| gone == key));
            }
        }
        Ok(forgotten)
    }
}

fn remove_audit(data: &mut Data, tenant: TenantId, up_to: u64) -> usize {
    let Some(data) = data.tenants.get_mut(&tenant) else { return 0 };
    let count = data.audit.partition_point(|entry| entry.place.seq <= up_to);
    if count == 0 || count == data.audit.len() {
        return 0;
    }
    Arc::make_mut(data).audit.drain(..count);
    count
}

fn remove_browsers(data: &mut Data, before: Timestamp, limit: usize) -> usize {
    let mut removed = 0;
    for tenant in data.tenants.values_mut() {
        let is_old = |key: &ApiKey| {
            key.kind == KeyKind::Browser && key.ended_at(before).is_some_and(|end| end < before)
        };
        let all = tenant.api_keys.values().map(|found| &found.value);
        let old: Vec<KeyId> =
            all.filter(|key| is_old(key)).map(|key| key.id).take(limit - removed).collect();
        removed += old.len();
        if !old.is_empty() {
            Arc::make_mut(tenant).api_keys.retain(|id, _| !old.contains(id));
        }
    }
    removed
}

fn remove_agent(data: &mut Data, tenant: TenantId, id: AgentId) -> usize {
    let Some(tenant) = data.tenants.get_mut(&tenant) else { return 0 };
    let is_deleted = tenant.agents.get(&id).is_some_and(|found| found.value.deleted_at.is_some());
    if is_deleted {
        let tenant = Arc::make_mut(tenant);
        tenant.agents.remove(&id);
        tenant.vitals.forget(id);
        tenant.api_keys.remove(&KeyId::new(id.uuid()));
    }
    usize::from(is_deleted)
}

#[async_trait]
impl Journal for MemoryStore {
    async fn append(
        &self,
        tenant: TenantId,
        session: SessionId,
        stream: Stream,
        entries: Vec<NewEntry>,
    ) -> Result<u64, CommitError> {
        let mut state = self.state();
        let weight: usize = entries.iter().map(NewEntry::weight).sum();
        *state.weights.entry((tenant, session)).or_default() +=
            u64::try_from(weight).unwrap_or(u64::MAX);
        state.store_more(tenant, i64::try_from(weight).unwrap_or(0));
        let log = state.journal.entry((tenant, session, stream)).or_default();
        let first = log.last().map_or(0, |entry| entry.seq) + 1;
        let numbered: Vec<Entry> = (first..)
            .zip(entries)
            .map(|(seq, NewEntry { at, kind, body })| Entry { seq, at, kind, body })
            .collect();
        log.extend(numbered.iter().cloned());
        let last = log.last().map_or(0, |entry| entry.seq);
        if !numbered.is_empty() {
            let batch = Appended { tenant, session, stream, entries: numbered };
            drop(self.appended.send(Arc::new(batch)));
        }
        Ok(last)
    }

    async fn read(
        &self,
        tenant: TenantId,
        session: SessionId,
        stream: Stream,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let state = self.state();
        let log = state.journal.get(&(tenant, session, stream));
        let later = log.into_iter().flatten().filter(|entry| entry.seq > after);
        Ok(later.take(limit).cloned().collect())
    }

    async fn weight(&self, tenant: TenantId, session: SessionId) -> Result<u64, StoreError> {
        Ok(self.state().weights.get(&(tenant, session)).copied().unwrap_or(0))
    }

    fn appended(&self) -> broadcast::Receiver<Arc<Appended>> {
        self.appended.subscribe()
    }
}
