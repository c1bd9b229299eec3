//! The store of one server, as it was opened.

use std::sync::Arc;

use super::settings::{Settings, StoreLocation};
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::journal::Journal;
use crate::application::ports::store::Store;
use crate::infrastructure::storage::memory::MemoryStore;
use crate::infrastructure::storage::redb::{OpenError, RedbOptions, RedbStore};

/// The store that was opened, with what only its adapter can do.
pub(super) enum Opened {
    /// The embedded store.
    Redb(Arc<RedbStore>),
    /// Nothing is kept.
    Memory(Arc<MemoryStore>),
}

impl Opened {
    pub(super) fn open(
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        ids: &Arc<dyn Ids>,
    ) -> Result<Self, OpenError> {
        match &settings.store.location {
            StoreLocation::Redb(file) => {
                let dir = file.parent().unwrap_or(&settings.server.data_dir);
                let mut options = RedbOptions::new(dir);
                options.cache_bytes = settings.store.cache_mb as usize * 1024 * 1024;
                options.queue_capacity = settings.store.queue_capacity as usize;
                options.space = settings.store.space();
                Ok(Self::Redb(RedbStore::open(options, Arc::clone(clock), Arc::clone(ids))?))
            }
            StoreLocation::Memory => {
                Ok(Self::Memory(MemoryStore::new(Arc::clone(clock), Arc::clone(ids))))
            }
        }
    }

    pub(super) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Redb(store) => Arc::clone(store) as Arc<dyn Store>,
            Self::Memory(store) => Arc::clone(store) as Arc<dyn Store>,
        }
    }

    pub(super) fn journal(&self) -> Arc<dyn Journal> {
        match self {
            Self::Redb(store) => Arc::clone(store) as Arc<dyn Journal>,
            Self::Memory(store) => Arc::clone(store) as Arc<dyn Journal>,
        }
    }

    /// Writes what waits and lets go of the file.
    pub(super) async fn close(&self) {
        match self {
            Self::Redb(store) => store.close().await,
            Self::Memory(_) => {}
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Redb(_) => "redb",
            Self::Memory(_) => "memory",
        }
    }
}
