//! Removes worktrees.
//!
//! Invariant: what cannot be fully listed is kept. What is listed and is on no ref is put on one
//! before. What no ref can hold (ignored files, the insides of nested repositories) goes to the
//! trash with its folder, from where it can be had back.

use std::path::Path;

use super::git::{Call, Git};
use super::rescue::rescue;
use super::trash::Trash;
use super::worktree::{Worktree, forget};
use crate::application::ports::workspaces::{Removal, WorkspaceError};

/// Removes a worktree that is there.
pub(super) async fn remove(
    git: &Git,
    worktree: &Worktree,
    trash: &Trash,
) -> Result<Removal, WorkspaceError> {
    let folder = worktree.folder()?;
    if tokio::fs::metadata(worktree.place.git_dir.join("modules")).await.is_ok() {
        let reason = "it holds repositories of submodules; save their work and run \
                      `git submodule deinit --all` there";
        return Ok(Removal::Kept { reason: reason.to_owned() });
    }
    let listed = async {
        let rescued = rescue(worktree, &[], &[]).await?;
        Ok::<_, WorkspaceError>((rescued, holds_more(worktree, folder).await?))
    };
    let (rescued, holds_more) = match listed.await {
        Ok(found) => found,
        Err(error) => {
            return Ok(Removal::Kept { reason: format!("its work cannot be listed: {error}") });
        }
    };
    if holds_more {
        trash.take(folder, &worktree.session.to_string()).await?;
    }
    forget(git, &worktree.repository, worktree.session, folder).await?;
    drop(tokio::fs::remove_file(&worktree.shadow).await);
    Ok(rescued.map_or(Removal::Removed, |reference| Removal::Rescued { reference }))
}

/// Whether there is anything that a snapshot does not hold.
async fn holds_more(worktree: &Worktree, folder: &Path) -> Result<bool, WorkspaceError> {
    let call = Call::new(["ls-files", "-z", "--others", "--ignored", "--exclude-standard"]);
    // The answer may be long; the first file decides.
    let ignored = worktree.place.run(call.index(&worktree.shadow).limit(1)).await?;
    if !ignored.stdout.is_empty() {
        return Ok(true);
    }
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || holds_a_repository(&folder))
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| WorkspaceError::Failed(format!("a folder cannot be read: {error}")))
}

/// Whether a `.git` lies anywhere below the folder's own.
fn holds_a_repository(top: &Path) -> std::io::Result<bool> {
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_name() == ".git" {
                let is_own = folder == top && entry.file_type()?.is_file();
                if !is_own {
                    return Ok(true);
                }
            } else if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(false)
}
