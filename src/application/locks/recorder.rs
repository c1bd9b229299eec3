//! Writes down what happened to locks, behind the grants and in their order.
//!
//! Locks live in memory: what is not written when the process dies was void with it. So no grant waits
//! for the disk, and whatever came while one commit ran is in the next.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::application::error::AppError;
use crate::application::ports::changes::ChangeSet;
use crate::application::ports::clock::Clock;
use crate::application::ports::store::{CommitError, Store};
use crate::domain::event::DomainEvent;
use crate::domain::ids::TenantId;

/// Events that wait to be written; with more, whoever asks for a lock waits for the disk. What ends a hold
/// is written however many wait: there is never more of it than there are holds.
const MOST: usize = 8192;
/// Events of one commit.
const BATCH: usize = 1024;
/// Time after which a store that failed is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Events on their way to the store.
pub(super) struct Recorder {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    waiting: Mutex<VecDeque<(TenantId, DomainEvent)>>,
    more: Notify,
    less: Notify,
    is_stuck: AtomicBool,
}

impl Recorder {
    pub(super) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            waiting: Mutex::default(),
            more: Notify::new(),
            less: Notify::new(),
            is_stuck: AtomicBool::new(false),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(TenantId, DomainEvent)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something more may happen.
    ///
    /// # Errors
    /// `StoreReadOnly` while nothing can be written.
    pub(super) async fn room(&self) -> Result<(), AppError> {
        loop {
            if self.is_stuck.load(Ordering::Relaxed) {
                let reason = "what happens to locks cannot be written".to_owned();
                return Err(AppError::StoreReadOnly(reason));
            }
            let freed = self.less.notified();
            if self.waiting().len() < MOST {
                return Ok(());
            }
            freed.await;
        }
    }

    pub(super) fn push(&self, tenant: TenantId, events: Vec<DomainEvent>) {
        if events.is_empty() {
            return;
        }
        let mut waiting = self.waiting();
        let was_empty = waiting.is_empty();
        waiting.extend(events.into_iter().map(|event| (tenant, event)));
        drop(waiting);
        if was_empty {
            self.more.notify_one();
        }
    }

    /// Writes until cancelled; `flush` writes what comes after that.
    pub(super) async fn run(&self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.more.notified() => {}
            }
            while !self.waiting().is_empty() {
                if self.write().await.is_ok() {
                    continue;
                }
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = self.clock.sleep(AGAIN) => {}
                }
            }
        }
    }

    /// Writes what waits, as far as the store takes it.
    pub(super) async fn flush(&self) {
        while !self.waiting().is_empty() && self.write().await.is_ok() {}
    }

    /// The oldest events, those of one tenant in one commit.
    async fn write(&self) -> Result<(), CommitError> {
        let batch: Vec<(TenantId, DomainEvent)> = {
            let waiting = self.waiting();
            let Some(tenant) = waiting.front().map(|(tenant, _)| *tenant) else { return Ok(()) };
            let same = waiting.iter().take(BATCH).take_while(|(other, _)| *other == tenant);
            same.cloned().collect()
        };
        let Some(tenant) = batch.first().map(|(tenant, _)| *tenant) else { return Ok(()) };
        let count = batch.len();
        let set = ChangeSet::new(tenant).events(batch.into_iter().map(|(_, event)| event));
        let written = self.store.commit(set).await;
        if let Err(error) = &written {
            let was_stuck = self.is_stuck.swap(true, Ordering::Relaxed);
            if !was_stuck {
                tracing::warn!(%error, "What happens to locks cannot be written; none are granted");
            }
        } else {
            self.is_stuck.store(false, Ordering::Relaxed);
            self.waiting().drain(..count);
        }
        self.less.notify_waiters();
        written.map(|_| ())
    }
}
