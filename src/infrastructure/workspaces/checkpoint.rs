//! Checkpoints: the working tree as a commit that no branch shows.
//!
//! Invariant: taking one changes no branch, no index that somebody uses and no file.
//! Invariant: a commit that was the head of the worktree once stays reachable: it is a parent.

use super::git::Call;
use super::place::Place;
use super::refs::{checkpoint_message, head_of};
use super::snapshot::snapshot;
use super::worktree::Worktree;
use crate::application::ports::workspaces::WorkspaceError;

/// Saves the working tree and returns the commit; the newest one when nothing changed since.
pub(super) async fn checkpoint(
    worktree: &Worktree,
    message: &str,
) -> Result<String, WorkspaceError> {
    let head = worktree.head().await?;
    let tree = snapshot(worktree, &[]).await?;
    let refs = worktree.refs();
    let latest = refs.latest().await?;
    let mut parents = Vec::new();
    if let Some(latest) = latest {
        let same_head = head_of(&worktree.place, &latest).await?.as_ref() == Some(&head);
        if same_head && worktree.tree_of(&latest).await? == tree {
            return Ok(latest);
        }
        if !worktree.place.is_ancestor(&head, &latest).await? {
            parents.push(head.clone());
        }
        parents.insert(0, latest);
    } else {
        parents.push(head.clone());
    }
    let message = checkpoint_message(message, &head);
    let commit = commit_tree(&worktree.place, &tree, &parents, &message).await?;
    refs.add_checkpoint(&commit).await?;
    Ok(commit)
}

/// Writes a commit object; no ref points to it yet.
pub(super) async fn commit_tree(
    place: &Place,
    tree: &str,
    parents: &[String],
    message: &str,
) -> Result<String, WorkspaceError> {
    let mut call = Call::new(["commit-tree", tree]);
    for parent in parents {
        call = call.arg("-p").arg(parent);
    }
    let message = if message.trim().is_empty() { "Save the work" } else { message };
    Ok(place.run(call.stdin(message.replace('\0', "").into_bytes())).await?.line())
}
