//! After a failed commit: close the handle, open it again, prove by a commit that writing works.
//!
//! Invariant: while the disk refuses writes the old handle stays for reading; it is closed only
//! when a write beside it succeeded. Nothing is retried on a handle that failed.

use std::sync::Arc;

use redb::ReadableDatabase;

use super::handle::Shared;
use super::keys;
use super::migrate;
use super::rows::{Opened, Rows, View};
use super::tables::Table;
use crate::domain::event::StoredEvent;

/// What the writer remembers of a failure.
pub(super) struct Recovery {
    cache_bytes: usize,
    /// Events of groups whose commit failed: some of them may have reached the disk all the same.
    doubtful: Vec<StoredEvent>,
    /// Whether the handle in place has failed.
    is_failed: bool,
}

impl Recovery {
    pub(super) const fn new(cache_bytes: usize) -> Self {
        Self { cache_bytes, doubtful: Vec::new(), is_failed: false }
    }

    /// A commit failed.
    pub(super) fn begin(&mut self, doubtful: Vec<StoredEvent>) {
        self.doubtful.extend(doubtful);
        self.is_failed = true;
    }

    /// Tries to write again; stays read-only when that fails.
    pub(super) fn resume(&mut self, shared: &Arc<Shared>) {
        match self.try_resume(shared) {
            Ok(()) => {
                shared.set_read_only(None);
                tracing::info!("The store accepts writes again");
            }
            Err(reason) => {
                tracing::warn!(reason, "The store still accepts no writes");
                shared.set_read_only(Some(reason));
            }
        }
    }

    fn try_resume(&mut self, shared: &Arc<Shared>) -> Result<(), String> {
        shared.medium.probe().map_err(|error| error.to_string())?;
        if self.is_failed || !shared.has_database() {
            shared.close_database();
            let opened =
                migrate::open(shared.medium.as_ref(), self.cache_bytes, shared.clock.as_ref());
            let database = opened.map_err(|error| error.to_string())?;
            shared.put_database(database);
            self.is_failed = false;
        }
        let probed = shared.with_database(|database| {
            Ok(migrate::probe(database, shared.clock.as_ref()).map_err(|error| error.to_string()))
        });
        let probed = probed.map_err(|error| error.to_string()).and_then(|probed| probed);
        if let Err(reason) = probed {
            self.is_failed = true;
            return Err(reason);
        }
        self.publish_survivors(shared);
        Ok(())
    }

    /// A commit whose last sync failed may be on the disk; then its events are in the log, and the
    /// feed must tell them too.
    fn publish_survivors(&mut self, shared: &Arc<Shared>) {
        let doubtful = std::mem::take(&mut self.doubtful);
        let survivors = shared.with_database(|database| {
            let transaction = database.begin_read().map_err(super::failed)?;
            let opened = Opened::new(transaction);
            let view = View::new(&opened, shared);
            let stored = doubtful.into_iter().filter(|event| {
                let key = keys::numbered(event.tenant_id, event.seq);
                let found = view.record::<StoredEvent>(Table::Events, &key);
                found.is_ok_and(|found| found.is_some_and(|found| found.id == event.id))
            });
            Ok(stored.collect::<Vec<_>>())
        });
        if let Ok(survivors) = survivors
            && !survivors.is_empty()
        {
            drop(shared.events.send(Arc::new(survivors)));
        }
    }
}
