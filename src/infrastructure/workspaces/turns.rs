//! Turns at a repository: what moves branches and files of its owner is done one after another.
//!
//! Invariant: a turn is asked for by the repository's one common git directory, whatever worktree
//! or path led to it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// Who is at work in which repository.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for the turn at a repository; it ends when the answer is dropped.
    pub(super) async fn take(&self, common: &Path) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody holds or waits for these any more.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry(common.to_owned()).or_default())
        };
        lock.lock_owned().await
    }
}
