//! The embedded store: one file, one writing thread, snapshots for reading.
//!
//! Invariant: a commit is acknowledged only after it is durable. A failed commit closes the handle,
//! and the store opens itself again; a damaged record is set aside, and everything else works.

pub mod archive;
mod chores;
mod codec;
mod contexts;
mod counters;
mod entries;
mod envelope;
mod family;
mod fleet;
mod group;
mod handle;
mod identity;
mod journal;
mod keys;
mod list;
mod medium;
mod migrate;
mod people;
mod plan;
mod records;
mod recount;
mod recover;
mod retention;
mod rows;
mod snapshot;
mod space;
mod tables;
mod tasks;
mod usage;
mod vitals;
mod webhooks;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{broadcast, oneshot};

use self::handle::Shared;
use self::medium::FileMedium;
pub use self::medium::{Medium, OpenError, room};
use self::recover::Recovery;
use self::rows::Rows;
pub use self::space::{Room, SpaceOptions};
use self::tables::Table;
use self::writer::{Job, Writer};
use super::shared::{counter_of, failed};
use crate::application::ports::changes::ChangeSet;
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::reads::{Fleet, Snapshot};
use crate::application::ports::store::{
    CommitError, Committed, Outdated, Sequence, Store, StoreError, StoreHealth,
};
use crate::domain::event::StoredEvent;
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;

/// How the store is opened.
#[derive(Debug, Clone)]
pub struct RedbOptions {
    /// The directory of the store; made when it is missing.
    pub dir: PathBuf,
    /// Memory for pages.
    pub cache_bytes: usize,
    /// Writes that may wait; beyond it a commit is refused as `Busy`.
    pub queue_capacity: usize,
    /// Batches that a follower of the feeds may be behind before it lags.
    pub feed_capacity: usize,
    /// How often a store that refuses writes tries again.
    pub probe_every: Duration,
    /// Room that is kept on the disk.
    pub space: SpaceOptions,
}

impl RedbOptions {
    /// The defaults for this directory.
    #[must_use]
    pub fn new(dir: impl AsRef<Path>) -> Self {
        Self {
            dir: dir.as_ref().to_owned(),
            cache_bytes: 64 * 1024 * 1024,
            queue_capacity: 4096,
            feed_capacity: 4096,
            probe_every: Duration::from_secs(5),
            space: SpaceOptions { low_bytes: 128 * 1024 * 1024, ballast_bytes: 16 * 1024 * 1024 },
        }
    }
}

/// The embedded store.
pub struct RedbStore {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl RedbStore {
    /// Opens the store of a directory, or makes it.
    ///
    /// # Errors
    /// `OpenError`; a file that cannot be opened was not changed.
    #[expect(clippy::needless_pass_by_value, reason = "options are made for one opening")]
    pub fn open(
        options: RedbOptions,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Result<Arc<Self>, OpenError> {
        let medium = FileMedium::hold(&options.dir)?;
        let named = |error: OpenError| {
            if matches!(error, OpenError::Held { .. }) { medium.held() } else { error }
        };
        if let Err(error) = medium.sign() {
            // The lock is what counts; the note only tells people who holds it.
            tracing::warn!(%error, "The number of this process could not be noted beside the store");
        }
        medium.make(|unnamed| {
            migrate::open(unnamed, options.cache_bytes, clock.as_ref()).map(drop)
        })?;
        migrate::peek(&medium).map_err(named)?;
        let database =
            migrate::open(&medium, options.cache_bytes, clock.as_ref()).map_err(named)?;
        Self::start(&options, Box::new(medium), database, clock, ids)
    }

    /// Opens a store on any medium; for tests of faults. `options.dir` is not used.
    ///
    /// # Errors
    /// `OpenError`.
    #[expect(clippy::needless_pass_by_value, reason = "options are made for one opening")]
    pub fn open_on(
        medium: Box<dyn Medium>,
        options: RedbOptions,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Result<Arc<Self>, OpenError> {
        let database = migrate::open(medium.as_ref(), options.cache_bytes, clock.as_ref())?;
        Self::start(&options, medium, database, clock, ids)
    }

    fn start(
        options: &RedbOptions,
        medium: Box<dyn Medium>,
        database: redb::Database,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Result<Arc<Self>, OpenError> {
        let RedbOptions { cache_bytes, queue_capacity, feed_capacity, probe_every, space, .. } =
            *options;
        let quarantined = migrate::count_quarantined(&database)?;
        match recount::recount(&database) {
            Ok(0) => {}
            Ok(wrong) => tracing::warn!(wrong, "{wrong} counters were wrong and are counted anew"),
            Err(error) => tracing::error!(%error, "The counters could not be checked"),
        }
        // Full: commits are refused as `Busy`, and clients come again.
        let (queue, jobs) = sync_channel(queue_capacity.max(1));
        let shared = Shared::new(medium, database, clock, queue, feed_capacity.max(1), space);
        let shared = Arc::new(shared);
        shared.quarantined.store(quarantined, Ordering::Relaxed);
        let recovery = Recovery::new(cache_bytes);
        let writer = Writer::new(Arc::clone(&shared), ids, jobs, recovery, probe_every);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(OpenError::failed)?;
        Ok(Arc::new(Self { shared, writer: Mutex::new(Some(thread)) }))
    }

    /// Takes no more writes, finishes those that wait, and closes the file. Reading ends too.
    pub async fn close(&self) {
        self.shared.close_queue();
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && let Ok(Err(_)) = tokio::task::spawn_blocking(move || thread.join()).await
        {
            tracing::error!("The writer of the store had ended before it was told to");
        }
    }

    /// Sends a job and waits for what becomes of it.
    async fn submit<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, CommitError>>) -> Job,
    ) -> Result<T, CommitError> {
        if let Some(reason) = self.shared.read_only() {
            return Err(CommitError::ReadOnly(reason));
        }
        let (reply, answer) = oneshot::channel();
        if self.shared.enqueue(job(reply)).is_err() {
            return Err(if self.shared.is_closed() {
                CommitError::Store(StoreError::Unavailable)
            } else {
                CommitError::Busy
            });
        }
        // The sender is dropped unanswered only when the writer is gone or a panic took the job.
        answer.await.unwrap_or(Err(CommitError::Store(StoreError::Unavailable)))
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        self.shared.close_queue();
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("The writer of the store had ended before it was told to");
        }
    }
}

#[async_trait]
impl Store for RedbStore {
    async fn snapshot(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, StoreError> {
        let reader = self.shared.reader()?;
        Ok(Box::new(snapshot::RedbSnapshot::new(tenant, reader)))
    }

    async fn fleet(&self) -> Result<Box<dyn Fleet>, StoreError> {
        Ok(Box::new(fleet::RedbFleet::new(self.shared.reader()?)))
    }

    async fn commit(&self, changes: ChangeSet) -> Result<Committed, CommitError> {
        self.submit(|reply| Job::Commit(Box::new(changes), reply)).await
    }

    async fn allocate(&self, tenant: TenantId, sequence: Sequence) -> Result<u64, StoreError> {
        // Held while the counter is read, so that no commit can raise it unseen in between.
        let mut floors = self.shared.floors.lock().unwrap_or_else(PoisonError::into_inner);
        let floor = match floors.get(&(tenant, sequence)) {
            Some(floor) => *floor,
            None => self.shared.reader()?.read(|view| {
                let key = keys::counter(tenant, counter_of(sequence));
                let found = view.record(Table::Counters, &key)?;
                Ok(found.map_or(0, |records::Number(value)| u64::try_from(value).unwrap_or(0)))
            })?,
        };
        floors.insert((tenant, sequence), floor + 1);
        Ok(floor + 1)
    }

    fn feed(&self) -> broadcast::Receiver<Arc<Vec<StoredEvent>>> {
        self.shared.events.subscribe()
    }

    fn health(&self) -> StoreHealth {
        StoreHealth {
            read_only: self.shared.read_only(),
            short_of_room: self.shared.space.shortage(),
            free_bytes: self.shared.space.free(),
            quarantined: self.shared.quarantined.load(Ordering::Relaxed),
            file_bytes: self.shared.medium.size_bytes(),
            queued_writes: self.shared.queued.load(Ordering::Relaxed),
            commits: self.shared.commits.load(Ordering::Relaxed),
            change_sets: self.shared.change_sets.load(Ordering::Relaxed),
        }
    }

    async fn remove_outdated(&self, what: Outdated, limit: usize) -> Result<usize, CommitError> {
        self.submit(|reply| Job::Remove(what, limit, reply)).await
    }

    async fn forget_expired(&self, now: Timestamp, limit: usize) -> Result<usize, CommitError> {
        self.submit(|reply| Job::Forget(now, limit, reply)).await
    }
}
