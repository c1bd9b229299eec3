//! Brings the work of a session home.
//!
//! Invariant: the result is computed from objects alone; until it is known to be free of conflicts
//! no ref, no index and no file has changed.
//! Invariant: a branch moves only from the commit that the result was computed from.

use std::path::PathBuf;

use super::checkout::{self, Move, Step};
use super::checkpoint::commit_tree;
use super::diff::compare;
use super::git::{Call, Git, failed};
use super::interrupted::Note;
use super::place::Place;
use super::repository::obstructed;
use super::snapshot::snapshot;
use super::worktree::{Worktree, reset_index};
use super::{filters, underway};
use crate::application::ports::workspaces::{MergeMode, MergeReport, WorkspaceError};

/// How often a merge is begun while other git programs are in the way.
const ATTEMPTS: usize = 12;

/// What is merged where.
pub(super) struct Order<'a> {
    pub mode: MergeMode,
    pub branch: &'a str,
    pub base_branch: Option<&'a str>,
    pub message: &'a str,
    /// A file that does not exist yet, for the note that the merge is under way.
    pub note: PathBuf,
}

/// The work as a commit: the head when everything is committed, else a new one on top of it.
struct Work {
    /// Where the session's branch stands.
    branch_head: Option<String>,
    /// Where the worktree's HEAD stands, mostly the same.
    head: String,
    commit: String,
}

/// How one attempt ended.
enum Attempt {
    Merged(MergeReport),
    /// Nothing was changed; which other git program was in the way.
    Lost(String),
}

/// Merges the work into the base branch. The caller has the turn at the repository; a race that is
/// lost to another git program begins anew from where that one left the branch.
pub(super) async fn merge(
    git: &Git,
    worktree: &Worktree,
    order: &Order<'_>,
) -> Result<MergeReport, WorkspaceError> {
    let mut lost = String::new();
    for _ in 0..ATTEMPTS {
        match attempt(git, worktree, order).await? {
            Attempt::Merged(report) => return Ok(report),
            Attempt::Lost(reason) => lost = reason,
        }
        git.pause().await;
    }
    let message = format!("another git program is at work in this repository ({lost}): try again");
    Err(obstructed(message))
}

async fn attempt(
    git: &Git,
    worktree: &Worktree,
    order: &Order<'_>,
) -> Result<Attempt, WorkspaceError> {
    let place = &worktree.repository.place;
    let Some(target) = order.base_branch else {
        let message = "the session began from a commit and not from a branch, so there is none to \
                       merge into: export a patch, or merge its branch yourself";
        return Err(obstructed(message));
    };
    let full = format!("refs/heads/{target}");
    let Some(old) = place.resolve(&format!("{full}^{{commit}}")).await? else {
        let message = format!("the branch `{target}` is gone: export a patch");
        return Err(obstructed(message));
    };
    underway::check(&worktree.repository, &full).await?;
    let work = commit_work(worktree, order).await?;
    let report = |commit: String, files: usize| MergeReport {
        mode: order.mode,
        target: Some(target.to_owned()),
        commit: Some(commit),
        files,
        patch: None,
    };
    if place.is_ancestor(&work.commit, &old).await? {
        return Ok(Attempt::Merged(report(old, 0)));
    }
    let tree = combine(place, &old, &work.commit).await?;
    if worktree.tree_of(&old).await? == tree {
        return Ok(Attempt::Merged(report(old, 0)));
    }
    filters::check(git, &worktree.place, &old, &tree).await?;
    let mut parents = vec![old.clone()];
    if order.mode == MergeMode::Merge {
        parents.push(work.commit.clone());
    }
    let new = commit_tree(place, &tree, &parents, order.message).await?;
    let files = place.run(compare(&["--name-only", "-z"], &old, &new)).await?.parts().count();
    let base = Move { full: &full, old: &old, new: &new };
    Ok(match land(git, worktree, order, &work, &base).await? {
        Step::Done => Attempt::Merged(report(new, files)),
        Step::Lost(reason) => Attempt::Lost(reason),
    })
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
            let mut files: Vec<String> = parts
                .map(|path| real_name(&String::from_utf8_lossy(path), [ours, theirs]))
                .collect();
            files.sort_unstable();
            files.dedup();
            Err(WorkspaceError::Conflict { files })
        }
        _ => Err(failed(format!("the merge cannot be computed: {}", output.complaint()))),
    }
}

/// The name of a file in conflict. Where a file met a folder, or two files of one name, git invents
/// a name that ends with the commit that the file is from.
fn real_name(name: &str, commits: [&str; 2]) -> String {
    let invented = commits.iter().find_map(|commit| name.rfind(&format!("~{commit}")));
    invented.map_or(name, |end| &name[..end]).to_owned()
}

/// Moves both branches in one step, after the files of whoever has the base checked out.
async fn land(
    git: &Git,
    worktree: &Worktree,
    order: &Order<'_>,
    work: &Work,
    base: &Move<'_>,
) -> Result<Step, WorkspaceError> {
    let repository = &worktree.repository;
    let checkout = match repository.checkouts_of(base.full).await?.as_slice() {
        [] => None,
        [folder] => Some(checkout::open(git, repository, folder).await?),
        [first, second, ..] => {
            let (first, second) = (first.display(), second.display());
            let message = format!("the base branch is checked out twice, in {first} and {second}");
            return Err(obstructed(message));
        }
    };
    let mut note = None;
    if let Some(checkout) = &checkout {
        let folder = checkout.work_tree.as_deref().unwrap_or(&checkout.git_dir);
        let written = Note::write(order.note.clone(), &repository.top, folder, base).await?;
        let advanced = checkout::advance(checkout, base).await;
        if !matches!(advanced, Ok(Step::Done)) {
            written.done().await;
            return advanced;
        }
        note = Some(written);
    }
    let zeros = "0".repeat(base.old.len());
    let before = work.branch_head.as_deref().unwrap_or(&zeros);
    let script = format!(
        "start\nupdate {} {} {}\nupdate refs/heads/{} {} {before}\ncommit\n",
        base.full, base.new, base.old, order.branch, work.commit
    );
    let call = Call::new(["update-ref", "-m", "orchestrator: merge", "--create-reflog", "--stdin"]);
    let moved = repository.place.ask(call.stdin(script.into_bytes())).await;
    if !moved.as_ref().is_ok_and(|moved| moved.code() == 0)
        && let Some(checkout) = &checkout
    {
        // Somebody moved the branch meanwhile: the files go back to where they were.
        checkout::take_back(git, checkout, base).await?;
    }
    if let Some(note) = note {
        note.done().await;
    }
    let moved = moved?;
    match moved.code() {
        0 => {}
        _ if moved.lost_a_race() => return Ok(Step::Lost(moved.complaint())),
        _ => return Err(failed(format!("git update-ref failed: {}", moved.complaint()))),
    }
    if work.commit != work.head {
        show_as_committed(git, worktree).await?;
    }
    Ok(Step::Done)
}

/// Sets the agent's index to what was merged. The merge is done: a git program of the agent that
/// does not let go of its index leaves only that behind.
async fn show_as_committed(git: &Git, worktree: &Worktree) -> Result<(), WorkspaceError> {
    let head = worktree.head().await?;
    for _ in 0..ATTEMPTS {
        match reset_index(worktree, &head).await {
            Ok(()) => return Ok(()),
            Err(error) => tracing::debug!("The index of {} stays: {error}", worktree.session),
        }
        git.pause().await;
    }
    tracing::warn!(
        "The work of {} is merged; its index could not be brought along",
        worktree.session
    );
    Ok(())
}
