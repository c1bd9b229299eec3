//! Locks: who tells whom.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::application::external::Exchange;
use crate::application::locks::local::LocalLocks;
use crate::application::locks::restart::tell_of_void;
use crate::application::locks::watch::watch;
use crate::application::locks::{LockDesk, local::TellLost};
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::locks::LockService;
use crate::application::ports::store::Store;
use crate::application::session::SessionService;
use crate::domain::time::Timestamp;

/// The locks of this process, and their use cases.
#[derive(Clone)]
pub(super) struct Locks {
    held: Arc<LocalLocks>,
    store: Arc<dyn Store>,
    /// What was granted before was granted by another process.
    began: Timestamp,
    /// Their use cases.
    pub(super) desk: LockDesk,
}

impl Locks {
    /// Locks that take their tokens from where leases do; external agents are told what they lost.
    pub(super) fn new(
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        ids: &Arc<dyn Ids>,
        sessions: &SessionService,
        exchange: &Exchange,
    ) -> Self {
        let exchange = exchange.clone();
        let tell: TellLost = Arc::new(move |grant| exchange.tell_lock_lost(grant));
        let (store, clock) = (Arc::clone(store), Arc::clone(clock));
        let (tokens, began) = (sessions.tokens().clone(), clock.now());
        let held = LocalLocks::new(Arc::clone(&store), Arc::clone(&clock), tokens, tell);
        let held = Arc::new(held);
        let port: Arc<dyn LockService> = Arc::clone(&held) as _;
        let desk = LockDesk::new(port, sessions.clone(), clock, Arc::clone(ids));
        Self { held, store, began, desk }
    }

    /// Ends what is due, and what belongs to somebody who is gone, until cancelled.
    pub(super) fn work(&self, tracker: &TaskTracker, stop: &CancellationToken) {
        let (held, of_run) = (Arc::clone(&self.held), stop.clone());
        tracker.spawn(async move { held.run(&of_run).await });
        let (store, began, until) = (Arc::clone(&self.store), self.began, stop.clone());
        tracker.spawn(async move {
            let told = tokio::select! {
                () = until.cancelled() => return,
                told = tell_of_void(store.as_ref(), began) => told,
            };
            match told {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "{count} locks ended with the server before"),
                Err(error) => tracing::warn!(%error, "Locks of before could not be told of"),
            }
        });
        let port: Arc<dyn LockService> = Arc::clone(&self.held) as _;
        tracker.spawn(watch(Arc::clone(&self.store), port, stop.clone()));
    }

    /// Ends every hold and writes down what is not yet.
    pub(super) async fn close(&self) {
        self.held.close().await;
    }
}
