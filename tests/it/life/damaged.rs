//! A store whose records can be damaged, and whose disk can be short of room.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use orchestrator::application::ports::changes::{ChangeSet, Write};
use orchestrator::application::ports::reads::{Fleet, Snapshot};
use orchestrator::application::ports::store::{
    CommitError, Committed, Outdated, Sequence, Store, StoreError, StoreHealth,
};
use orchestrator::domain::event::StoredEvent;
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::time::Timestamp;
use orchestrator::infrastructure::storage::memory::MemoryStore;
use tokio::sync::{broadcast, watch};

/// A store in which nothing that belongs to some sessions can be changed any more, and whose disk
/// may be short of room.
pub(crate) struct Damaged {
    store: Arc<MemoryStore>,
    sessions: Mutex<BTreeSet<SessionId>>,
    pub(crate) short_of_room: Mutex<Option<String>>,
    /// Whoever asks for a fencing token waits while this is set.
    pub(crate) no_tokens: watch::Sender<bool>,
    /// How many have asked for one.
    pub(crate) wanted_tokens: AtomicUsize,
    /// Why it takes no writes, when it takes none.
    pub(crate) read_only: Mutex<Option<String>>,
    /// How often it was looked at.
    pub(crate) looks: AtomicUsize,
}

impl Damaged {
    /// A whole one, so far.
    pub(crate) fn new(store: Arc<MemoryStore>) -> Self {
        Self {
            store,
            sessions: Mutex::default(),
            short_of_room: Mutex::default(),
            no_tokens: watch::Sender::new(false),
            wanted_tokens: AtomicUsize::new(0),
            read_only: Mutex::default(),
            looks: AtomicUsize::new(0),
        }
    }

    pub(crate) fn damage(&self, id: SessionId) {
        self.sessions.lock().expect("whole").insert(id);
    }
}

#[async_trait]
impl Store for Damaged {
    async fn snapshot(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, StoreError> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.store.snapshot(tenant).await
    }

    async fn fleet(&self) -> Result<Box<dyn Fleet>, StoreError> {
        self.store.fleet().await
    }

    async fn commit(&self, changes: ChangeSet) -> Result<Committed, CommitError> {
        if let Some(reason) = self.read_only.lock().expect("whole").clone() {
            return Err(CommitError::ReadOnly(reason));
        }
        let damaged = |write: &Write| {
            let Write::Session(put) = write else { return false };
            self.sessions.lock().expect("whole").contains(&put.value.id)
        };
        if changes.writes.iter().any(damaged) {
            return Err(StoreError::Quarantined.into());
        }
        self.store.commit(changes).await
    }

    async fn allocate(&self, tenant: TenantId, sequence: Sequence) -> Result<u64, StoreError> {
        if sequence == Sequence::FencingTokens {
            self.wanted_tokens.fetch_add(1, Ordering::SeqCst);
            let mut held = self.no_tokens.subscribe();
            held.wait_for(|held| !held).await.expect("the sender lives as long");
        }
        self.store.allocate(tenant, sequence).await
    }

    fn feed(&self) -> broadcast::Receiver<Arc<Vec<StoredEvent>>> {
        self.store.feed()
    }

    fn health(&self) -> StoreHealth {
        let short_of_room = self.short_of_room.lock().expect("whole").clone();
        let read_only = self.read_only.lock().expect("whole").clone();
        StoreHealth { read_only, short_of_room, ..self.store.health() }
    }

    async fn remove_outdated(&self, what: Outdated, limit: usize) -> Result<usize, CommitError> {
        self.store.remove_outdated(what, limit).await
    }

    async fn forget_expired(&self, now: Timestamp, limit: usize) -> Result<usize, CommitError> {
        self.store.forget_expired(now, limit).await
    }
}
