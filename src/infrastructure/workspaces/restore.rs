//! Takes a worktree back to a checkpoint.
//!
//! Invariant: nothing is overwritten that is not kept under a ref before.

use super::git::{Call, failed};
use super::refs::head_of;
use super::repository::invalid;
use super::rescue::rescue;
use super::snapshot::snapshot;
use super::untracked::in_the_way;
use super::worktree::{Worktree, reset_index};
use crate::application::ports::workspaces::WorkspaceError;

/// Sets files, index and branch to a checkpoint; returns the rescue ref when one was needed.
pub(super) async fn restore(
    worktree: &Worktree,
    branch: &str,
    commit: &str,
) -> Result<Option<String>, WorkspaceError> {
    let Some(target) = worktree.place.commit(commit).await? else {
        return Err(invalid("/commit", "the repository has no such checkpoint"));
    };
    let full = format!("refs/heads/{branch}");
    let forced = ignored_in_the_way(worktree, &target).await?;
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
async fn ignored_in_the_way(
    worktree: &Worktree,
    target: &str,
) -> Result<Vec<Vec<u8>>, WorkspaceError> {
    let tree = snapshot(worktree, &[]).await?;
    let found = in_the_way(&worktree.place, Some(&worktree.shadow), &tree, target).await?;
    if let Some(repository) = found.iter().find(|path| path.ends_with(b"/")) {
        let name = String::from_utf8_lossy(repository);
        return Err(failed(format!("the repository in {name} is in the way: move it away")));
    }
    Ok(found)
}
