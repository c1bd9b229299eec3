//! Folders that were removed and can still be had back for a week.
//!
//! Layout: `<root>/.trash/<name>-<milliseconds since epoch>`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::git::failed;
use crate::application::ports::clock::Clock;
use crate::application::ports::workspaces::WorkspaceError;
use crate::domain::time::Timestamp;

/// How long removed folders are kept.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// The trash of one installation.
pub(super) struct Trash {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
}

impl Trash {
    pub(super) fn new(folder: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { folder, clock }
    }

    /// Moves something here; one rename, so that it is in one place or the other.
    pub(super) async fn take(&self, path: &Path, name: &str) -> Result<(), WorkspaceError> {
        let mut millis = self.clock.now().millis();
        loop {
            let place = self.folder.join(format!("{name}-{millis}"));
            if tokio::fs::symlink_metadata(&place).await.is_ok() {
                millis += 1;
                continue;
            }
            return tokio::fs::rename(path, &place).await.map_err(|error| {
                failed(format!("{} cannot be moved to the trash: {error}", path.display()))
            });
        }
    }

    /// Forgets what has been here for longer than a week and says how much that was. What cannot
    /// be removed keeps nothing else here.
    pub(super) async fn purge(&self) -> Result<usize, WorkspaceError> {
        let Ok(mut entries) = tokio::fs::read_dir(&self.folder).await else { return Ok(0) };
        let (mut purged, mut stays) = (0, None);
        while let Ok(Some(entry)) = entries.next_entry().await {
            let name = entry.file_name().to_string_lossy().into_owned();
            let millis = name.rsplit_once('-').and_then(|(_, millis)| millis.parse().ok());
            let Some(since) = millis.map(Timestamp::from_millis) else { continue };
            if self.clock.now().since(since) <= KEPT {
                continue;
            }
            let path = entry.path();
            let is_folder = entry.file_type().await.is_ok_and(|kind| kind.is_dir());
            let done = if is_folder {
                tokio::fs::remove_dir_all(&path).await
            } else {
                tokio::fs::remove_file(&path).await
            };
            match done {
                Ok(()) => purged += 1,
                Err(error) => {
                    stays = Some(format!("{} cannot be removed: {error}", path.display()));
                }
            }
        }
        stays.map_or(Ok(purged), |message| Err(failed(message)))
    }
}
