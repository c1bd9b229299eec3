//! Somebody's own checkout of the branch that a merge moves: its files are brought along.
//!
//! Invariant: no file that its owner changed, added or ignores is overwritten; the refusal comes
//! before the first file is touched.

use std::collections::BTreeSet;
use std::path::Path;

use super::diff::compare;
use super::git::{Call, Git, failed};
use super::place::Place;
use super::repository::{Repository, obstructed};
use super::untracked::in_the_way;
use crate::application::ports::workspaces::WorkspaceError;

/// Most names that a refusal lists.
const NAMES: usize = 20;
/// How often taking files back is tried: half a minute.
const TRIES_BACK: usize = 200;

/// A branch that goes from one commit to the next.
pub(super) struct Move<'a> {
    pub full: &'a str,
    pub old: &'a str,
    pub new: &'a str,
}

/// How a step ended that other git programs may stand in the way of.
pub(super) enum Step {
    /// Done.
    Done,
    /// Nothing was changed; what stood in the way.
    Lost(String),
}

/// Opens the worktree of somebody else, once it is certain that it is one of this repository.
pub(super) async fn open(
    git: &Git,
    repository: &Repository,
    folder: &Path,
) -> Result<Place, WorkspaceError> {
    let common = &repository.place.git_dir;
    let main = tokio::fs::canonicalize(folder.join(".git")).await.ok();
    let main = main.filter(|main| main == common);
    let Some(admin) = repository.admin_of(folder).await?.or(main) else {
        let message = format!(
            "the base branch is checked out in {}, whose files cannot be brought along safely: \
             export a patch, or switch to another branch there",
            folder.display()
        );
        return Err(obstructed(message));
    };
    Place::open(git, &admin, Some(folder)).await
}

/// Brings the files of a checkout along; refuses before it touches one.
pub(super) async fn advance(checkout: &Place, base: &Move<'_>) -> Result<Step, WorkspaceError> {
    // git itself would overwrite files that are ignored.
    let found = in_the_way(checkout, None, base.old, base.new).await?;
    if !found.is_empty() {
        let found = names(found.iter().map(Vec::as_slice));
        return Err(refusal(checkout, &found.join(", ")));
    }
    let refreshed = checkout.ask(Call::new(["update-index", "-q", "--refresh"])).await?;
    if refreshed.code() == 128 && (refreshed.lost_a_race() || refreshed.complaint().is_empty()) {
        // Asked to be quiet, it says nothing about a lock.
        return Ok(Step::Lost(lock_of(checkout)));
    }
    let output = checkout.ask(two_trees(base.old, base.new)).await?;
    if output.code() == 0 {
        return Ok(Step::Done);
    }
    if output.lost_a_race() {
        return Ok(Step::Lost(lock_of(checkout)));
    }
    if checkout.resolve(base.full).await?.as_deref() != Some(base.old) {
        return Ok(Step::Lost("the base branch keeps moving".to_owned()));
    }
    let changed = changed_in_the_way(checkout, base).await?;
    let what = if changed.is_empty() { output.complaint() } else { changed.join(", ") };
    Err(refusal(checkout, &what))
}

/// Takes the files back to where they were before `advance`, however long another git program is
/// in the way.
pub(super) async fn take_back(
    git: &Git,
    checkout: &Place,
    base: &Move<'_>,
) -> Result<(), WorkspaceError> {
    let mut complaint = String::new();
    for _ in 0..TRIES_BACK {
        let output = checkout.ask(two_trees(base.new, base.old)).await?;
        if output.code() == 0 {
            return Ok(());
        }
        complaint = output.complaint();
        if !output.lost_a_race() {
            break;
        }
        git.pause().await;
    }
    let place = checkout.work_tree.as_deref().unwrap_or(&checkout.git_dir).display();
    let message = format!(
        "work could not be merged, and its files are left in {place} ({complaint}): run `git read-tree -m -u {} {}` there",
        base.new, base.old
    );
    tracing::error!("A merge could not be undone: {message}");
    Err(failed(message))
}

fn lock_of(checkout: &Place) -> String {
    let lock = checkout.git_dir.join("index.lock");
    format!("{} exists; remove it if no git program runs", lock.display())
}

/// Takes index and files from one commit to another; changes of somebody else are carried over or
/// make it fail.
fn two_trees(old: &str, new: &str) -> Call {
    Call::new(["read-tree", "-m", "-u", old, new])
}

fn refusal(checkout: &Place, what: &str) -> WorkspaceError {
    let place = checkout.work_tree.as_deref().unwrap_or(&checkout.git_dir).display();
    let message = format!(
        "the base branch is checked out in {place} with changes that the merge would overwrite \
         ({what}): commit, stash or move them there, then merge again"
    );
    obstructed(message)
}

/// Tracked files that the merge changes and that somebody changed.
async fn changed_in_the_way(
    checkout: &Place,
    base: &Move<'_>,
) -> Result<Vec<String>, WorkspaceError> {
    let call = Call::new(["diff-index", "-z", "--name-only", "--ignore-submodules", base.old]);
    let own = checkout.run(call).await?;
    let own: BTreeSet<&[u8]> = own.parts().collect();
    let merged = checkout.run(compare(&["--name-only", "-z"], base.old, base.new)).await?;
    Ok(names(merged.parts().filter(|path| own.contains(path))))
}

fn names<'a>(paths: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    paths.take(NAMES).map(|path| String::from_utf8_lossy(path).into_owned()).collect()
}
