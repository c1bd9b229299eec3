//! Checkpoints: the working tree as a commit that no branch shows; and rescue, the same for work
//! that is about to be undone.
//!
//! Invariant: taking one changes no branch, no index that somebody uses and no file.
//! Invariant: a commit that was the head of the worktree once stays reachable: it is a parent.

use super::git::{Call, Place};
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

/// Keeps under a rescue ref whatever of this worktree no ref keeps yet: its files, what was staged,
/// and commits that only its own log remembers. `None` when all is kept already. `forced` are
/// ignored files to keep too, `undone` refs that are about to be moved away.
pub(super) async fn rescue(
    worktree: &Worktree,
    forced: &[Vec<u8>],
    undone: &[&str],
) -> Result<Option<String>, WorkspaceError> {
    let head = worktree.head().await?;
    let tree = snapshot(worktree, forced).await?;
    let refs = worktree.refs();
    let mut known = vec![worktree.tree_of(&head).await?];
    for (_, commit) in refs.commits().await? {
        known.push(worktree.tree_of(&commit).await?);
    }
    let loose = loose_commits(worktree, &head, undone).await?;
    let staged = staged_tree(worktree).await?.filter(|staged| *staged != tree);
    let staged = staged.filter(|staged| !known.contains(staged));
    if known.contains(&tree) && loose.is_empty() && staged.is_none() {
        return Ok(None);
    }
    let mut parents = vec![head.clone()];
    parents.extend(loose.into_iter().filter(|commit| *commit != head));
    if let Some(staged) = staged {
        let parent = std::slice::from_ref(&head);
        parents.push(commit_tree(&worktree.place, &staged, parent, "What was staged").await?);
    }
    let message = checkpoint_message("Work that was nowhere else", &head);
    let commit = commit_tree(&worktree.place, &tree, &parents, &message).await?;
    refs.add_rescue(&commit).await.map(Some)
}

/// The tree of the agent's index, when it can be written as one; an index in conflict holds only
/// sides that commits hold too.
async fn staged_tree(worktree: &Worktree) -> Result<Option<String>, WorkspaceError> {
    let index = worktree.place.git_dir.join("index");
    let copy = worktree.shadow.with_extension("staged");
    if tokio::fs::copy(&index, &copy).await.is_err() {
        return Ok(None);
    }
    let output = worktree.place.ask(Call::new(["write-tree"]).index(&copy)).await;
    drop(tokio::fs::remove_file(&copy).await);
    Ok(output.ok().filter(|output| output.code() == 0).map(|output| output.line()))
}

/// Commits of this worktree's log, and its head, that no ref will keep; without those that come
/// before another of them. `undone` are refs that are about to be moved away.
async fn loose_commits(
    worktree: &Worktree,
    head: &str,
    undone: &[&str],
) -> Result<Vec<String>, WorkspaceError> {
    let log = worktree.place.ask(Call::new(["rev-list", "--walk-reflogs", "HEAD"])).await?;
    let mut starts = String::from_utf8_lossy(&log.stdout).into_owned();
    starts.push_str(head);
    starts.push('\n');
    let mut call = Call::new(["rev-list", "--stdin", "--parents", "--not"]);
    for name in undone {
        call = call.arg(format!("--exclude={name}"));
    }
    // Asked of the repository and not of the worktree, whose own HEAD will be gone.
    let call = call.arg("--glob=refs/*").stdin(starts.into_bytes());
    let output = worktree.repository.place.run(call).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = || text.lines().map(|line| line.split(' '));
    let parents: std::collections::HashSet<&str> = lines().flat_map(|line| line.skip(1)).collect();
    let commits = lines().filter_map(|mut line| line.next());
    Ok(commits.filter(|commit| !parents.contains(commit)).map(str::to_owned).collect())
}
