//! What a simulated server keeps across its lives: in memory, or in the embedded store on a disk that
//! loses what was not synced when the power goes.

use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::ports::clock::{Clock, Ids};
use orchestrator::application::ports::journal::Journal;
use orchestrator::application::ports::store::Store;
use orchestrator::infrastructure::storage::memory::MemoryStore;
use orchestrator::infrastructure::storage::redb::{RedbOptions, RedbStore};

use super::waited::{Waited, wait};
use crate::recovery::disk::{Disk, Loss};

/// An opened store.
#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) journal: Arc<dyn Journal>,
    /// The disk below, when there is one.
    pub(crate) disk: Option<Disk>,
}

/// Where it is kept.
pub(crate) enum Kept {
    Memory(Arc<MemoryStore>),
    Disk { disk: Disk, opened: Option<Arc<RedbStore>>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids> },
}

impl Kept {
    pub(crate) fn new(on_disk: bool, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        if on_disk {
            Self::Disk { disk: Disk::default(), opened: None, clock, ids }
        } else {
            Self::Memory(MemoryStore::new(clock, ids))
        }
    }

    /// Opens it for a new life; called inside a runtime.
    pub(crate) fn open(&mut self) -> Result<Opened, String> {
        match self {
            Self::Memory(store) => Ok(Opened {
                store: Arc::clone(store) as _,
                journal: Arc::clone(store) as _,
                disk: None,
            }),
            Self::Disk { disk, opened, clock, ids } => {
                let options = RedbOptions {
                    cache_bytes: 1024 * 1024,
                    queue_capacity: 256,
                    probe_every: Duration::from_millis(20),
                    ..RedbOptions::new("/nowhere")
                };
                let medium = Box::new(disk.clone());
                let store = RedbStore::open_on(medium, options, Arc::clone(clock), Arc::clone(ids))
                    .map_err(|error| format!("the store does not open: {error}"))?;
                *opened = Some(Arc::clone(&store));
                let waited = Arc::new(Waited::new(store));
                let disk = Some(disk.clone());
                Ok(Opened { store: Arc::clone(&waited) as _, journal: waited, disk })
            }
        }
    }

    /// The process ended; with the power, when it did not end in order. Called inside a runtime.
    pub(crate) fn close(&mut self, loss: Option<(Loss, u64)>) {
        match self {
            Self::Memory(_) => {}
            Self::Disk { disk, opened, .. } => {
                if loss.is_some() {
                    disk.cut();
                }
                if let Some(store) = opened.take() {
                    wait(store.close());
                }
                if let Some((loss, seed)) = loss {
                    *disk = disk.after_power_loss(loss, seed);
                }
            }
        }
    }
}
