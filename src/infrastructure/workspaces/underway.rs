//! What the owner of a repository has begun and not ended, and that a branch belongs to.
//!
//! Why: while a branch is being rebased, git shows its worktree as one without a branch.

use std::path::{Path, PathBuf};

use super::repository::{Repository, obstructed, os_text};
use crate::application::ports::workspaces::WorkspaceError;

/// Files of a worktree's git directory that name the branch, and what is done to it.
const MARKS: [(&str, &str); 3] = [
    ("rebase-merge/head-name", "rebased"),
    ("rebase-apply/head-name", "rebased"),
    ("BISECT_START", "bisected"),
];

/// Refuses to move a branch that somebody is in the middle of working on in another way.
pub(super) async fn check(repository: &Repository, full: &str) -> Result<(), WorkspaceError> {
    let common = &repository.place.git_dir;
    let mut worktrees: Vec<(PathBuf, PathBuf)> = vec![(common.clone(), repository.top.clone())];
    if let Ok(mut entries) = tokio::fs::read_dir(common.join("worktrees")).await {
        while let Ok(Some(entry)) = entries.next_entry().await {
            let admin = entry.path();
            let link = tokio::fs::read(admin.join("gitdir")).await.unwrap_or_default();
            let link = Path::new(os_text(link.trim_ascii_end()));
            let folder = link.parent().unwrap_or(&admin).to_owned();
            // What was begun in a folder that is gone cannot be ended any more.
            if folder.is_dir() {
                worktrees.push((admin, folder));
            }
        }
    }
    let short = full.strip_prefix("refs/heads/").unwrap_or(full);
    for (admin, folder) in worktrees {
        for (mark, what) in MARKS {
            let Ok(name) = tokio::fs::read(admin.join(mark)).await else { continue };
            let name = name.trim_ascii_end();
            if name == full.as_bytes() || name == short.as_bytes() {
                let message = format!(
                    "`{short}` is being {what} in {}: finish or abort that first",
                    folder.display()
                );
                return Err(obstructed(message));
            }
        }
    }
    Ok(())
}
