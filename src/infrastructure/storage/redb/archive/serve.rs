//! Archives of a store that is in use.
//!
//! Invariant: one copy is made at a time, off the threads that serve, and the transaction that it
//! reads through ends before the archive leaves: a slow receiver pins nothing.

use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use redb::ReadableDatabase;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::super::RedbStore;
use super::super::handle::Shared;
use super::super::migrate;
use super::copy::copy;
use super::export::export;
use super::pack::{measure, pack};
use super::redact::secrets;
use super::{FORMAT, Manifest, nameless};
use crate::application::ports::archives::{ArchiveError, Archives, Chunks, Extent, Wanted};
use crate::application::ports::store::StoreError;
use crate::domain::time::Timestamp;
use crate::infrastructure::storage::shared::failed;

/// Bytes that are handed over at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks that wait for the receiver. Full: packing waits.
const CHUNKS: usize = 4;
/// How long the place at the desk is waited for: less than a request may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Nobody reads.
const IDLE: i64 = i64::MIN;

/// What is being made of the store now.
pub(in super::super) struct Desk {
    /// One place; whoever comes while it is taken waits for it.
    places: Arc<Semaphore>,
    reading_since_ms: AtomicI64,
    restored_at: OnceLock<Option<Timestamp>>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(1)),
            reading_since_ms: AtomicI64::new(IDLE),
            restored_at: OnceLock::new(),
        }
    }
}

/// The one place at the desk, given back when it is dropped.
struct Place {
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    async fn take(shared: &Arc<Shared>) -> Option<Self> {
        let waiting = Arc::clone(&shared.desk.places).acquire_owned();
        tokio::select! {
            biased;
            permit = waiting => Some(Self { shared: Arc::clone(shared), _permit: permit.ok()? }),
            () = shared.clock.sleep(PATIENCE) => None,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.desk.reading_since_ms.store(IDLE, Ordering::Release);
    }
}

#[async_trait]
impl Archives for RedbStore {
    async fn backup(&self, wanted: Wanted) -> Result<Chunks, ArchiveError> {
        hand_out(&self.shared, move |shared, out| archive(shared, wanted, out)).await
    }

    async fn export(&self, extent: Extent) -> Result<Chunks, ArchiveError> {
        hand_out(&self.shared, move |shared, out| lines(shared, &extent, out)).await
    }

    fn restored_at(&self) -> Option<Timestamp> {
        if let Some(known) = self.shared.desk.restored_at.get() {
            return *known;
        }
        let found = self.shared.with_database(|database| {
            migrate::restored(&database.begin_read().map_err(failed)?).map_err(failed)
        });
        // While the store is being reopened it is not known; it is asked again.
        let found = found.ok()?.map(Timestamp::from_millis);
        *self.shared.desk.restored_at.get_or_init(|| found)
    }

    fn reading_since(&self) -> Option<Timestamp> {
        let since = self.shared.desk.reading_since_ms.load(Ordering::Acquire);
        (since != IDLE).then(|| Timestamp::from_millis(since))
    }
}

/// Makes something off the threads that serve, and gives it as it comes.
async fn hand_out(
    shared: &Arc<Shared>,
    make: impl FnOnce(&Arc<Shared>, &mut Sink) -> Result<(), StoreError> + Send + 'static,
) -> Result<Chunks, ArchiveError> {
    let place = Place::take(shared).await.ok_or(ArchiveError::Busy)?;
    has_room(shared)?;
    let (to, chunks) = mpsc::channel(CHUNKS);
    // It ends with the receiver, whose going away the next chunk finds.
    tokio::task::spawn_blocking(move || {
        let mut out = Sink { to, pending: Vec::with_capacity(CHUNK_BYTES) };
        if let Err(error) = make(&place.shared, &mut out) {
            tracing::error!(%error, "A copy of the store was not made");
            // Nobody is told when nobody listens any more.
            drop(out.to.blocking_send(Err(error)));
        }
    });
    Ok(chunks)
}

/// The lines of an export, by way of a file, so that a slow receiver pins nothing.
fn lines(shared: &Arc<Shared>, extent: &Extent, out: &mut Sink) -> Result<(), StoreError> {
    let mut file = nameless(&shared.medium.folder()).map_err(failed)?;
    let began = shared.clock.now();
    shared.desk.reading_since_ms.store(began.millis(), Ordering::Release);
    let reader = shared.reader()?;
    let mut lines = BufWriter::new(&mut file);
    export(&reader, extent, (began, secrets), &mut lines)?;
    drop((reader, lines));
    shared.desk.reading_since_ms.store(IDLE, Ordering::Release);
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    io::copy(&mut file, out).and_then(|_| out.hand_over()).map_err(failed)
}

/// Refuses where the copy would take the room that the store itself needs.
fn has_room(shared: &Shared) -> Result<(), ArchiveError> {
    let (Some(room), Some(size)) = (shared.medium.room(), shared.medium.size_bytes()) else {
        return Ok(());
    };
    let needed = size.saturating_add(shared.space.low_bytes(room.total));
    if room.free >= needed {
        return Ok(());
    }
    let mib = |bytes: u64| bytes.div_ceil(1024 * 1024);
    let (free, needed) = (mib(room.free), mib(needed));
    Err(ArchiveError::NoRoom(format!(
        "a copy needs {needed} MiB beside the store, {free} are free"
    )))
}

fn archive(shared: &Arc<Shared>, wanted: Wanted, out: &mut Sink) -> Result<(), StoreError> {
    let mut file = nameless(&shared.medium.folder()).map_err(failed)?;
    let layout = migrate::LAYOUT;
    let began = shared.clock.now();
    shared.desk.reading_since_ms.store(began.millis(), Ordering::Release);
    let reader = shared.reader()?;
    let copied = copy(&reader, file.try_clone().map_err(failed)?)?;
    drop(reader);
    shared.desk.reading_since_ms.store(IDLE, Ordering::Release);
    let store = measure(&mut file).map_err(failed)?;
    let rows: u64 = copied.tables.values().sum();
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        layout,
        made_at: wanted.at,
        made_by: wanted.by,
        reason: wanted.reason,
        tables: copied.tables,
        damaged: copied.damaged,
        store,
    };
    pack(&manifest, &mut file, &mut *out).and_then(|()| out.hand_over()).map_err(failed)?;
    let duration_ms =
        u64::try_from(shared.clock.now().since(began).as_millis()).unwrap_or(u64::MAX);
    tracing::info!(rows, bytes = manifest.store.bytes, duration_ms, "A backup was made");
    Ok(())
}

/// Where the bytes of an archive go.
struct Sink {
    to: mpsc::Sender<Result<Vec<u8>, StoreError>>,
    pending: Vec<u8>,
}

impl Sink {
    fn hand_over(&mut self) -> io::Result<()> {
        let full = std::mem::replace(&mut self.pending, Vec::with_capacity(CHUNK_BYTES));
        if full.is_empty() {
            return Ok(());
        }
        self.to.blocking_send(Ok(full)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= CHUNK_BYTES {
            self.hand_over()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
