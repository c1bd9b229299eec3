//! Removes worktrees.
//!
//! Invariant: what cannot be fully listed is kept. What is listed and is on no ref is put on one
//! before. What no ref can hold (ignored files, the insides of nested repositories) goes to the
//! trash with its folder, from where it can be had back.

use std::path::Path;

use super::git::{Call, Git, failed};
use super::repository::os_text;
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
    if let Some(submodule) = filled_submodule(worktree, folder).await? {
        tracing::warn!(
            "No commit can hold the files in the submodule {submodule} of session {}; they are in the trash",
            worktree.session
        );
        return Ok(true);
    }
    let folder = folder.to_owned();
    tokio::task::spawn_blocking(move || holds_a_repository(&folder))
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| unreadable(&error))
}

/// A submodule in whose folder something lies: git lists nothing below it, and a tree cannot hold it.
async fn filled_submodule(
    worktree: &Worktree,
    folder: &Path,
) -> Result<Option<String>, WorkspaceError> {
    let listed =
        worktree.place.run(Call::new(["ls-files", "-z", "--stage"]).index(&worktree.shadow));
    let listed = listed.await?;
    if listed.truncated {
        return Err(failed("there are too many files to list"));
    }
    for entry in listed.parts().filter(|entry| entry.starts_with(b"160000 ")) {
        let path = entry.splitn(2, |byte| *byte == b'\t').nth(1).unwrap_or_default();
        let submodule = folder.join(os_text(path));
        let mut inside = match tokio::fs::read_dir(&submodule).await {
            Ok(inside) => inside,
            Err(error) if is_no_folder(&error) => continue,
            Err(error) => return Err(unreadable(&error)),
        };
        if inside.next_entry().await.map_err(|error| unreadable(&error))?.is_some() {
            return Ok(Some(String::from_utf8_lossy(path).into_owned()));
        }
    }
    Ok(None)
}

fn is_no_folder(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

fn unreadable(error: &std::io::Error) -> WorkspaceError {
    failed(format!("a folder cannot be read: {error}"))
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
