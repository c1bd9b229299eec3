//! Work that is about to be undone or removed, kept under a ref.
//!
//! Invariant: afterwards every file, everything staged and every commit that the worktree ever
//! stood at is reachable from a ref of the repository.

use std::collections::HashSet;

use super::checkpoint::commit_tree;
use super::git::Call;
use super::place::Place;
use super::refs::{Refs, checkpoint_message};
use super::repository::Repository;
use super::snapshot::snapshot;
use super::worktree::Worktree;
use crate::application::ports::workspaces::WorkspaceError;
use crate::domain::ids::SessionId;

/// Keeps whatever of a worktree no ref keeps yet and returns the ref; `None` when all is kept
/// already. `forced` are ignored files to keep too, `undone` refs that are about to be moved away.
pub(super) async fn rescue(
    worktree: &Worktree,
    forced: &[Vec<u8>],
    undone: &[&str],
) -> Result<Option<String>, WorkspaceError> {
    let tree = snapshot(worktree, forced).await?;
    let Worktree { repository, place, session, .. } = worktree;
    keep(repository, place, *session, &Remains { tree: Some(tree), undone }).await
}

/// The same for a worktree whose folder is gone: what was staged, and commits that only its own
/// log remembers.
pub(super) async fn rescue_log(
    repository: &Repository,
    place: &Place,
    session: SessionId,
) -> Result<Option<String>, WorkspaceError> {
    keep(repository, place, session, &Remains { tree: None, undone: &[] }).await
}

struct Remains<'a> {
    /// The files, when there are any.
    tree: Option<String>,
    undone: &'a [&'a str],
}

async fn keep(
    repository: &Repository,
    place: &Place,
    session: SessionId,
    remains: &Remains<'_>,
) -> Result<Option<String>, WorkspaceError> {
    let Some(head) = place.resolve("HEAD^{commit}").await? else {
        return match remains.tree {
            Some(_) => Err(super::git::failed("the worktree stands at no commit")),
            None => Ok(None),
        };
    };
    let refs = Refs::new(&repository.place, session);
    let commits = refs.commits().await?.into_iter().map(|(_, commit)| commit);
    let known = trees(place, commits.chain([head.clone()])).await?;
    let loose = loose_commits(repository, place, &head, remains.undone).await?;
    let staged = staged_tree(place).await?;
    let staged = staged.filter(|tree| !known.contains(tree) && remains.tree.as_ref() != Some(tree));
    let tree = remains.tree.as_ref().filter(|tree| !known.contains(*tree));
    if tree.is_none() && loose.is_empty() && staged.is_none() {
        return Ok(None);
    }
    let mut parents = vec![head.clone()];
    parents.extend(loose.into_iter().filter(|commit| *commit != head));
    if let Some(staged) = staged {
        let parent = std::slice::from_ref(&head);
        parents.push(commit_tree(place, &staged, parent, "What was staged").await?);
    }
    let head_tree = format!("{head}^{{tree}}");
    let tree = remains.tree.as_ref().unwrap_or(&head_tree);
    let message = checkpoint_message("Work that was nowhere else", &head);
    let commit = commit_tree(place, tree, &parents, &message).await?;
    refs.add_rescue(&commit).await.map(Some)
}

async fn trees(
    place: &Place,
    commits: impl Iterator<Item = String>,
) -> Result<HashSet<String>, WorkspaceError> {
    let lines: String = commits.flat_map(|commit| [commit, "\n".to_owned()]).collect();
    let call = Call::new(["rev-list", "--no-walk=unsorted", "--format=%T", "--stdin"]);
    let output = place.run(call.stdin(lines.into_bytes())).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter(|line| !line.starts_with("commit ")).map(str::to_owned).collect())
}

/// The tree of the agent's index, when it can be written as one; an index in conflict holds only
/// sides that commits hold too.
async fn staged_tree(place: &Place) -> Result<Option<String>, WorkspaceError> {
    let copy = place.git_dir.join("orchestrator-index");
    if tokio::fs::copy(place.git_dir.join("index"), &copy).await.is_err() {
        return Ok(None);
    }
    let output = place.ask(Call::new(["write-tree"]).index(&copy)).await;
    drop(tokio::fs::remove_file(&copy).await);
    Ok(output.ok().filter(|output| output.code() == 0).map(|output| output.line()))
}

/// Commits of this worktree's log, and its head, that no ref will keep; without those that come
/// before another of them. `undone` are refs that are about to be moved away.
async fn loose_commits(
    repository: &Repository,
    place: &Place,
    head: &str,
    undone: &[&str],
) -> Result<Vec<String>, WorkspaceError> {
    let log = place.ask(Call::new(["rev-list", "--walk-reflogs", "HEAD"])).await?;
    let mut starts = String::from_utf8_lossy(&log.stdout).into_owned();
    starts.push_str(head);
    starts.push('\n');
    let mut call = Call::new(["rev-list", "--stdin", "--parents", "--not"]);
    for name in undone {
        call = call.arg(format!("--exclude={name}"));
    }
    // Asked of the repository and not of the worktree, whose own HEAD will be gone.
    let call = call.arg("--glob=refs/*").stdin(starts.into_bytes());
    let output = repository.place.run(call).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = || text.lines().map(|line| line.split(' '));
    let parents: HashSet<&str> = lines().flat_map(|line| line.skip(1)).collect();
    let commits = lines().filter_map(|mut line| line.next());
    Ok(commits.filter(|commit| !parents.contains(commit)).map(str::to_owned).collect())
}
