//! The working tree as a tree object: everything that is tracked, and everything new that is not
//! ignored.
//!
//! It is taken with an index of the session's own, which is kept so that only changed files are
//! read again. What the agent's index says (assumed unchanged, half staged, in conflict) does not
//! matter. `git add` is not used: it would run `git status` inside nested repositories, store these
//! as mere links, and so lose what is in them.

use super::git::{Call, Output, failed};
use super::worktree::Worktree;
use crate::application::ports::workspaces::WorkspaceError;

/// Name that makes a nested repository look like a folder with a known file.
const SEED: &[u8] = b".orchestrator-seed";
/// Deepest nesting of repositories in repositories that is followed.
const ROUNDS: usize = 32;

/// Saves the working tree as a tree object and returns its id. `forced` are paths to save although
/// they are ignored.
pub(super) async fn snapshot(
    worktree: &Worktree,
    forced: &[Vec<u8>],
) -> Result<String, WorkspaceError> {
    if let Ok(tree) = attempt(worktree, forced).await {
        return Ok(tree);
    }
    // The private index is only a memory aid; a damaged one is made anew.
    for suffix in ["", ".lock"] {
        let path = format!("{}{suffix}", worktree.shadow.display());
        drop(tokio::fs::remove_file(path).await);
    }
    attempt(worktree, forced).await
}

async fn attempt(worktree: &Worktree, forced: &[Vec<u8>]) -> Result<String, WorkspaceError> {
    if tokio::fs::metadata(&worktree.shadow).await.is_err() {
        run(worktree, Call::new(["read-tree", "HEAD"])).await?;
    }
    let (gone, mut present) = changed(worktree).await?;
    forget(worktree, &gone).await?;
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for _ in 0..ROUNDS {
        let listed = Call::new(["ls-files", "-z", "--others", "--exclude-standard"]);
        let listed = run(worktree, listed).await?;
        let mut found: Vec<Vec<u8>> = Vec::new();
        for path in listed.parts() {
            if path.ends_with(b"/") {
                found.push([path, SEED].concat());
            } else {
                present.push(path.to_owned());
            }
        }
        found.retain(|seed| !seeds.contains(seed));
        if found.is_empty() {
            break;
        }
        plant(worktree, &found).await?;
        seeds.extend(found);
    }
    present.extend_from_slice(forced);
    present.sort_unstable();
    present.dedup();
    if !present.is_empty() {
        let list = present.join(&0).into_iter().chain([0]).collect();
        let call = Call::new(["update-index", "-z", "--add", "--remove", "--replace", "--stdin"]);
        run(worktree, call.stdin(list)).await?;
    }
    forget(worktree, &seeds).await?;
    Ok(run(worktree, Call::new(["write-tree"])).await?.line())
}

/// Files that the private index knows and that are gone, and those that differ.
async fn changed(worktree: &Worktree) -> Result<(Vec<Vec<u8>>, Vec<Vec<u8>>), WorkspaceError> {
    let call = Call::new(["diff-files", "-z", "--name-status", "--no-renames"]);
    let output = run(worktree, call.arg("--ignore-submodules=dirty")).await?;
    let (mut gone, mut present) = (Vec::new(), Vec::new());
    let mut parts = output.parts();
    while let (Some(status), Some(path)) = (parts.next(), parts.next()) {
        let list = if status == b"D" { &mut gone } else { &mut present };
        list.push(path.to_owned());
    }
    Ok((gone, present))
}

async fn forget(worktree: &Worktree, paths: &[Vec<u8>]) -> Result<(), WorkspaceError> {
    if paths.is_empty() {
        return Ok(());
    }
    let zeros = "0".repeat(worktree.head().await?.len());
    index_info(worktree, &format!("0 {zeros}\t"), paths).await
}

async fn plant(worktree: &Worktree, paths: &[Vec<u8>]) -> Result<(), WorkspaceError> {
    let empty = worktree.place.line(["hash-object", "-t", "blob", "--stdin"]).await?;
    index_info(worktree, &format!("100644 {empty}\t"), paths).await
}

async fn index_info(
    worktree: &Worktree,
    what: &str,
    paths: &[Vec<u8>],
) -> Result<(), WorkspaceError> {
    if paths.is_empty() {
        return Ok(());
    }
    let lines = paths.iter().flat_map(|path| [what.as_bytes(), path.as_slice(), b"\0"]);
    let lines = lines.flatten().copied().collect();
    run(worktree, Call::new(["update-index", "-z", "--index-info"]).stdin(lines)).await?;
    Ok(())
}

async fn run(worktree: &Worktree, call: Call) -> Result<Output, WorkspaceError> {
    let output = worktree.place.run(call.index(&worktree.shadow)).await?;
    if output.truncated {
        return Err(failed("the working tree holds too many files to list"));
    }
    Ok(output)
}
