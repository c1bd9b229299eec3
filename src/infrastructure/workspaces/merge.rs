//! Brings the work of a session home.
//!
//! Invariant: the result is computed from objects alone; until it is known to be free of conflicts
//! no ref, no index and no file has changed.
//! Invariant: a branch moves only from the commit that the result was computed from.

use super::checkout::{self, Move};
use super::checkpoint::commit_tree;
use super::diff::compare;
use super::git::{Call, Git, failed};
use super::place::Place;
use super::repository::invalid;
use super::snapshot::snapshot;
use super::worktree::{Worktree, reset_index};
use crate::application::ports::workspaces::{MergeMode, MergeReport, WorkspaceError};

/// Field that names where a merge goes.
pub(super) const TARGET: &str = "/workspace/base_ref";

/// What is merged where.
pub(super) struct Order<'a> {
    pub mode: MergeMode,
    pub branch: &'a str,
    pub base_branch: Option<&'a str>,
    pub message: &'a str,
}

/// The work as a commit: the head when everything is committed, else a new one on top of it.
struct Work {
    /// Where the session's branch stands.
    branch_head: Option<String>,
    /// Where the worktree's HEAD stands, mostly the same.
    head: String,
    commit: String,
}

/// Merges the work into the base branch.
pub(super) async fn merge(
    git: &Git,
    worktree: &Worktree,
    order: &Order<'_>,
) -> Result<MergeReport, WorkspaceError> {
    let place = &worktree.repository.place;
    let Some(target) = order.base_branch else {
        let message = "the session began from a commit and not from a branch, so there is none to \
                       merge into: export a patch, or merge its branch yourself";
        return Err(invalid(TARGET, message));
    };
    let full = format!("refs/heads/{target}");
    let Some(old) = place.resolve(&format!("{full}^{{commit}}")).await? else {
        let message = format!("the branch `{target}` is gone: export a patch");
        return Err(invalid(TARGET, message));
    };
    let work = commit_work(worktree, order).await?;
    let report = |commit: String, files: usize| MergeReport {
        mode: order.mode,
        target: Some(target.to_owned()),
        commit: Some(commit),
        files,
        patch: None,
    };
    if place.is_ancestor(&work.commit, &old).await? {
        return Ok(report(old, 0));
    }
    let tree = combine(place, &old, &work.commit).await?;
    if worktree.tree_of(&old).await? == tree {
        return Ok(report(old, 0));
    }
    let mut parents = vec![old.clone()];
    if order.mode == MergeMode::Merge {
        parents.push(work.commit.clone());
    }
    let new = commit_tree(place, &tree, &parents, order.message).await?;
    let files = place.run(compare(&["--name-only", "-z"], &old, &new)).await?.parts().count();
    land(git, worktree, order.branch, &work, &Move { full: &full, old: &old, new: &new }).await?;
    Ok(report(new, files))
}

async fn commit_work(worktree: &Worktree, order: &Order<'_>) -> Result<Work, WorkspaceError> {
    let head = worktree.head().await?;
    let tree = snapshot(worktree, &[]).await?;
    let branch = format!("refs/heads/{}", order.branch);
    let branch_head = worktree.place.resolve(&format!("{branch}^{{commit}}")).await?;
    let mut parents = vec![head.clone()];
    if let Some(other) = &branch_head
        && !worktree.place.is_ancestor(other, &head).await?
    {
        parents.push(other.clone());
    }
    if parents.len() == 1 && worktree.tree_of(&head).await? == tree {
        return Ok(Work { branch_head, commit: head.clone(), head });
    }
    let commit = commit_tree(&worktree.place, &tree, &parents, order.message).await?;
    Ok(Work { branch_head, head, commit })
}

/// The tree of a merge of two commits.
async fn combine(place: &Place, ours: &str, theirs: &str) -> Result<String, WorkspaceError> {
    let call = Call::new(["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages"]);
    let output = place.ask(call.arg(ours).arg(theirs)).await?;
    let mut parts = output.parts();
    let tree = parts.next().map(|tree| String::from_utf8_lossy(tree).into_owned());
    match (output.code(), tree) {
        (0, Some(tree)) => Ok(tree),
        (1, Some(_)) => {
            let mut files: Vec<String> =
                parts.map(|path| String::from_utf8_lossy(path).into_owned()).collect();
            files.dedup();
            Err(WorkspaceError::Conflict { files })
        }
        _ => Err(failed(format!("the merge cannot be computed: {}", output.complaint()))),
    }
}

/// Moves both branches in one step, after the files of whoever has the base checked out.
async fn land(
    git: &Git,
    worktree: &Worktree,
    branch: &str,
    work: &Work,
    base: &Move<'_>,
) -> Result<(), WorkspaceError> {
    let checkout = match worktree.repository.worktree_of(base.full).await? {
        Some(folder) => Some(checkout::open(git, worktree, &folder).await?),
        None => None,
    };
    if let Some(checkout) = &checkout {
        checkout::advance(checkout, base).await?;
    }
    let zeros = "0".repeat(base.old.len());
    let before = work.branch_head.as_deref().unwrap_or(&zeros);
    let script = format!(
        "start\nupdate {} {} {}\nupdate refs/heads/{branch} {} {before}\ncommit\n",
        base.full, base.new, base.old, work.commit
    );
    let call = Call::new(["update-ref", "-m", "orchestrator: merge", "--create-reflog", "--stdin"]);
    let moved = worktree.repository.place.run(call.stdin(script.into_bytes())).await;
    if let (Err(_), Some(checkout)) = (&moved, &checkout) {
        // Somebody moved the branch meanwhile: the files go back to where they were.
        checkout.run(checkout::two_trees(base.new, base.old)).await?;
    }
    moved?;
    if work.commit != work.head {
        let head = worktree.head().await?;
        reset_index(worktree, &head).await?;
    }
    Ok(())
}
