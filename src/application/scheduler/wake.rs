//! Wake-ups: they say only "look again", never what to find.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::domain::ids::SessionId;

/// The bells of the scheduler, of whoever looks after children, and of the supervisors. A lost or doubled ring does no harm: work is
/// derived from stored state.
#[derive(Clone, Default)]
pub struct Wake {
    scheduler: Arc<Notify>,
    families: Arc<Notify>,
    graphs: Arc<Notify>,
    supervisors: Arc<Mutex<BTreeMap<SessionId, Arc<Notify>>>>,
}

impl Wake {
    /// Rings for the scheduler.
    pub fn scheduler(&self) {
        self.scheduler.notify_one();
    }

    /// Waits for the scheduler's bell.
    pub async fn scheduler_rang(&self) {
        self.scheduler.notified().await;
    }

    /// Rings for whoever looks after the children of sessions that ended abnormally.
    pub fn family(&self) {
        self.families.notify_one();
    }

    /// Waits for that bell.
    pub async fn family_rang(&self) {
        self.families.notified().await;
    }

    /// Rings for whoever executes the tasks of sessions.
    pub fn graphs(&self) {
        self.graphs.notify_one();
    }

    /// Waits for that bell.
    pub async fn graphs_rang(&self) {
        self.graphs.notified().await;
    }

    /// Rings for the supervisor of a session, if it has one here.
    pub fn session(&self, id: SessionId) {
        let bells = self.supervisors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bell) = bells.get(&id) {
            bell.notify_one();
        }
    }

    /// Rings for every supervisor.
    pub fn all_sessions(&self) {
        let bells = self.supervisors.lock().unwrap_or_else(PoisonError::into_inner);
        bells.values().for_each(|bell| bell.notify_one());
    }

    /// Hangs up the bell of a session's supervisor; `None` when one hangs there already.
    #[must_use]
    pub fn supervise(&self, id: SessionId) -> Option<Bell> {
        let mut bells = self.supervisors.lock().unwrap_or_else(PoisonError::into_inner);
        if bells.contains_key(&id) {
            return None;
        }
        let bell = Arc::new(Notify::new());
        bells.insert(id, Arc::clone(&bell));
        Some(Bell { id, rope: bell, all: Arc::clone(&self.supervisors) })
    }

    /// Whether the session is supervised in this process.
    #[must_use]
    pub fn is_supervised(&self, id: SessionId) -> bool {
        self.supervisors.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }
}

/// The bell of one supervisor; taken down when it is dropped.
pub struct Bell {
    id: SessionId,
    rope: Arc<Notify>,
    all: Arc<Mutex<BTreeMap<SessionId, Arc<Notify>>>>,
}

impl Bell {
    /// Waits for the bell.
    pub async fn rang(&self) {
        self.rope.notified().await;
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
