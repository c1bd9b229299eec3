//! Gates that scripts wait at until a test, or whoever directs a simulation, opens them.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::watch;

/// The gates of one driver. A gate that was opened stays open.
#[derive(Debug, Clone)]
pub(super) struct Gates(Arc<watch::Sender<HashSet<String>>>);

impl Gates {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(HashSet::new())))
    }

    pub(super) fn open(&self, name: &str) {
        self.0.send_modify(|open| {
            open.insert(name.to_owned());
        });
    }

    /// Waits until the gate is open.
    pub(super) async fn opened(&self, name: &str) {
        let mut open = self.0.subscribe();
        // The sender lives in `self`, so that the wait cannot fail.
        open.wait_for(|open| open.contains(name)).await.ok();
    }
}
