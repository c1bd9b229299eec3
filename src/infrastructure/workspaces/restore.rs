//! Takes a worktree back to a checkpoint.
//!
//! Invariant: nothing is overwritten that is not kept under a ref before.

use super::checkpoint::rescue;
use super::git::{Call, is_object_id};
use super::refs::head_of;
use super::repository::invalid;
use super::snapshot::snapshot;
use super::worktree::{Worktree, reset_index};
use crate::application::ports::workspaces::WorkspaceError;

/// Sets files, index and branch to a checkpoint; returns the rescue ref when one was needed.
pub(super) async fn restore(
    worktree: &Worktree,
    branch: &str,
    commit: &str,
) -> Result<Option<String>, WorkspaceError> {
    let found = match is_object_id(commit) {
        true => worktree.place.resolve(&format!("{commit}^{{commit}}")).await?,
        false => None,
    };
    let Some(target) = found else {
        return Err(invalid("/commit", "the repository has no such checkpoint"));
    };
    let full = format!("refs/heads/{branch}");
    let forced = in_the_way(worktree, &target).await?;
    let rescued = rescue(worktree, &forced, &[&full]).await?;
    // The private index holds the very files that lie there: those that the target lacks go too.
    let call = Call::new(["read-tree", "--reset", "-u", &target]).index(&worktree.shadow);
    worktree.place.run(call).await?;
    let head = head_of(&worktree.place, &target).await?.unwrap_or(target);
    let script = format!("start\nupdate {full} {head}\ncommit\n").into_bytes();
    let call = Call::new(["update-ref", "-m", "restore a checkpoint", "--stdin"]).stdin(script);
    worktree.place.run(call).await?;
    worktree.place.run(Call::new(["symbolic-ref", "HEAD", &full])).await?;
    reset_index(worktree, &head).await?;
    Ok(rescued)
}

/// Ignored files that lie where the target has files of its own.
async fn in_the_way(worktree: &Worktree, target: &str) -> Result<Vec<Vec<u8>>, WorkspaceError> {
    let tree = snapshot(worktree, &[]).await?;
    let call = Call::new(["diff-tree", "-r", "-z", "--name-only", "--no-renames"])
        .arg("--diff-filter=A")
        .arg(tree)
        .arg(target);
    let added = worktree.place.run(call).await?;
    let folder = worktree.folder()?;
    let mut found = Vec::new();
    for path in added.parts() {
        let place = folder.join(super::repository::os_text(path));
        let is_file = tokio::fs::symlink_metadata(&place).await.is_ok_and(|about| !about.is_dir());
        if is_file && !crosses_a_link(folder, &place).await {
            found.push(path.to_owned());
        }
    }
    Ok(found)
}

async fn crosses_a_link(top: &std::path::Path, place: &std::path::Path) -> bool {
    for parent in place.ancestors().skip(1).take_while(|parent| *parent != top) {
        if tokio::fs::symlink_metadata(parent).await.is_ok_and(|about| about.is_symlink()) {
            return true;
        }
    }
    false
}
