//! What readers and the writer share: the database handle that can be closed and opened again
//! inside the running process, the read transactions that keep it open, and what is counted.
//!
//! Invariant: only the writer puts a handle in or takes it out. A read transaction keeps the file
//! locked, so each one is registered and can be ended from here.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use redb::{Database, ReadableDatabase};
use tokio::sync::broadcast;

use super::archive::Desk;
use super::medium::Medium;
use super::records::Quarantined;
use super::rows::{Opened, View};
use super::space::{Space, SpaceOptions};
use super::tables::Table;
use super::writer::Job;
use crate::application::ports::clock::Clock;
use crate::application::ports::journal::Appended;
use crate::application::ports::store::{Sequence, StoreError};
use crate::domain::event::StoredEvent;
use crate::domain::ids::TenantId;
use crate::infrastructure::storage::shared::failed;

/// How long open snapshots are waited for before they are ended.
const DRAIN: Duration = Duration::from_secs(1);
/// How often it is looked whether they are gone.
const DRAIN_STEP: Duration = Duration::from_millis(5);

/// redb panicked; the message is for the log.
#[derive(Debug, thiserror::Error)]
#[error("the storage engine panicked: {0}")]
pub(super) struct Panicked(pub(super) String);

impl Panicked {
    /// What a panic said.
    pub(super) fn of(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        Self(text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default())
    }
}

/// The view that all reads share until the next commit: to begin one, and to open its tables,
/// costs several times what reading a record does.
///
/// Invariant: `moment` rises after every commit and before that commit is acknowledged, and a view
/// is kept only when no moment has passed since before it was begun. Whoever was told of a commit
/// therefore reads it.
#[derive(Default)]
struct Current {
    moment: u64,
    reader: Option<Arc<Reader>>,
}

/// Shared by the store, its snapshots and its writer.
pub(super) struct Shared {
    database: RwLock<Option<Database>>,
    current: RwLock<Current>,
    readers: Mutex<HashMap<u64, Weak<Reader>>>,
    next_reader: AtomicU64,
    queue: RwLock<Option<SyncSender<Job>>>,
    read_only: RwLock<Option<String>>,
    pub(super) medium: Box<dyn Medium>,
    pub(super) space: Space,
    pub(super) desk: Desk,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) queued: AtomicUsize,
    pub(super) quarantined: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) change_sets: AtomicU64,
    /// Full: a follower that is this many batches behind lags and reads the gap.
    pub(super) events: broadcast::Sender<Arc<Vec<StoredEvent>>>,
    /// Full: a reader that is this many appends behind lags and reads the gap.
    pub(super) appended: broadcast::Sender<Arc<Appended>>,
    pub(super) floors: Mutex<HashMap<(TenantId, Sequence), u64>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(
        medium: Box<dyn Medium>,
        database: Database,
        clock: Arc<dyn Clock>,
        queue: SyncSender<Job>,
        feed_capacity: usize,
        space: SpaceOptions,
    ) -> Self {
        let space = Space::new(space);
        space.begin(medium.as_ref());
        Self {
            database: RwLock::new(Some(database)),
            current: RwLock::default(),
            readers: Mutex::default(),
            next_reader: AtomicU64::new(0),
            queue: RwLock::new(Some(queue)),
            read_only: RwLock::new(None),
            medium,
            space,
            desk: Desk::default(),
            clock,
            queued: AtomicUsize::new(0),
            quarantined: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            change_sets: AtomicU64::new(0),
            events: broadcast::Sender::new(feed_capacity),
            appended: broadcast::Sender::new(feed_capacity),
            floors: Mutex::default(),
        }
    }

    /// Lends the handle, when there is one.
    pub(super) fn with_database<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        work(database.as_ref().ok_or(StoreError::Unavailable)?)
    }

    /// A consistent view of what is committed.
    pub(super) fn reader(self: &Arc<Self>) -> Result<Arc<Reader>, StoreError> {
        let before = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(reader) = &current.reader {
                return Ok(Arc::clone(reader));
            }
            current.moment
        };
        let reader = self.begin()?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.moment == before {
            return Ok(Arc::clone(current.reader.get_or_insert(reader)));
        }
        Ok(reader)
    }

    /// Whoever asks from now on reads what is committed now.
    pub(super) fn pass(&self) {
        let old = {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            current.moment += 1;
            current.reader.take()
        };
        // The last holder ends the transaction, which must not happen under the lock.
        drop(old);
    }

    fn begin(self: &Arc<Self>) -> Result<Arc<Reader>, StoreError> {
        self.with_database(|database| {
            let begun = catch_unwind(AssertUnwindSafe(|| database.begin_read()));
            let transaction =
                begun.map_err(|panic| failed(Panicked::of(&*panic)))?.map_err(failed)?;
            let number = self.next_reader.fetch_add(1, Ordering::Relaxed);
            let shared = Arc::clone(self);
            let reader = Arc::new(Reader {
                number,
                shared,
                opened: RwLock::new(Some(Opened::new(transaction))),
            });
            // Registered while the handle is still lent: closing it finds every reader.
            lock(&self.readers).insert(number, Arc::downgrade(&reader));
            Ok(reader)
        })
    }

    /// Takes the handle out and closes it; snapshots are waited for, then ended.
    pub(super) fn close_database(&self) {
        let taken = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        self.pass();
        let mut waited = Duration::ZERO;
        while waited < DRAIN && !lock(&self.readers).is_empty() {
            std::thread::sleep(DRAIN_STEP);
            waited += DRAIN_STEP;
        }
        let left: Vec<Weak<Reader>> = lock(&self.readers).values().cloned().collect();
        for reader in left.iter().filter_map(Weak::upgrade) {
            reader.end();
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(taken))) {
            let error = Panicked::of(&*panic);
            tracing::error!(%error, "The store could not be closed cleanly");
        }
    }

    /// Puts a new handle in.
    pub(super) fn put_database(&self, database: Database) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
    }

    /// Whether there is a handle.
    pub(super) fn has_database(&self) -> bool {
        self.database.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Why nothing is written; `None` while all is well.
    pub(super) fn read_only(&self) -> Option<String> {
        self.read_only.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_read_only(&self, reason: Option<String>) {
        *self.read_only.write().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Puts a job into the queue; gives it back when the queue is full or closed.
    pub(super) fn enqueue(&self, job: Job) -> Result<(), Job> {
        let queue = self.queue.read().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queue.as_ref() else { return Err(job) };
        self.queued.fetch_add(1, Ordering::AcqRel);
        queue.try_send(job).map_err(|refused| {
            self.queued.fetch_sub(1, Ordering::AcqRel);
            match refused {
                std::sync::mpsc::TrySendError::Full(job)
                | std::sync::mpsc::TrySendError::Disconnected(job) => job,
            }
        })
    }

    /// No job is taken any more; the writer finishes those that wait and ends.
    pub(super) fn close_queue(&self) {
        self.queue.write().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Whether jobs are taken.
    pub(super) fn is_closed(&self) -> bool {
        self.queue.read().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Has a damaged record set aside. When the queue is full, the next reader reports it again.
    pub(super) fn report_damage(&self, table: Table, key: &[u8], bytes: &[u8], reason: String) {
        tracing::error!(table = table.name(), reason, "A stored record is damaged");
        let damage = Quarantined {
            table: table.name().to_owned(),
            key: key.to_vec(),
            bytes: bytes.to_vec(),
            reason,
            found_at_ms: self.clock.now().millis(),
        };
        drop(self.enqueue(Job::SetAside(table, Box::new(damage))));
    }

    /// Raises what `allocate` gives next.
    pub(super) fn raise_floor(&self, tenant: TenantId, sequence: Sequence, at_least: u64) {
        if let Some(floor) = lock(&self.floors).get_mut(&(tenant, sequence)) {
            *floor = (*floor).max(at_least);
        }
    }
}

/// One consistent view, which can be ended from outside.
pub(super) struct Reader {
    number: u64,
    shared: Arc<Shared>,
    opened: RwLock<Option<Opened>>,
}

impl Reader {
    /// Reads; a panic of the engine becomes an error.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&View<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let opened = self.opened.read().unwrap_or_else(PoisonError::into_inner);
        let opened = opened.as_ref().ok_or(StoreError::Unavailable)?;
        let done = catch_unwind(AssertUnwindSafe(|| work(&View::new(opened, &self.shared))));
        done.unwrap_or_else(|panic| Err(failed(Panicked::of(&*panic))))
    }

    fn end(&self) {
        self.opened.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // The transaction must be gone before the registration is: `close_database` relies on it.
        self.end();
        lock(&self.shared.readers).remove(&self.number);
    }
}

/// Reads on the blocking pool.
pub(super) async fn blocking<T: Send + 'static>(
    reader: Arc<Reader>,
    work: impl FnOnce(&View<'_>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(move || reader.read(work))
        .await
        .unwrap_or_else(|error| Err(failed(error)))
}
