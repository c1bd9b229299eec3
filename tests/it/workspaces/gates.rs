//! Clean checkouts for gates: exactly one commit, beside the work, and gone afterwards.

use std::os::unix::fs::PermissionsExt as _;

use orchestrator::application::ports::workspaces::{WorkspaceError, Workspaces as _};

use super::bench::{Bench, at, session};
use crate::support::repo::{git, write};

fn worktrees(bench: &Bench) -> usize {
    bench.repo.git(&["worktree", "list", "--porcelain"]).matches("worktree ").count()
}

#[tokio::test]
async fn a_checkout_holds_the_commit_and_nothing_else() {
    let bench = Bench::new(&[("a.txt", "one\n"), (".gitignore", "built\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a.txt"), b"two\n");
    let saved = bench.checkpoint(1, &workspace).await;
    write(&at(&workspace, "a.txt"), b"three\n");
    write(&at(&workspace, "built"), b"ignored");
    let made = bench.folders.check_out(session(1), &workspace, Some(&saved)).await.expect("made");
    assert_eq!(std::fs::read(made.folder.join("a.txt")).expect("there"), b"two\n");
    assert!(!made.folder.join("built").exists());
    assert_eq!(git(&made.folder, &["status", "--porcelain"]), "");
    assert_eq!(git(&made.folder, &["rev-parse", "HEAD"]), saved);
    let tree = bench.repo.git(&["rev-parse", &format!("{saved}^{{tree}}")]);
    assert_eq!((made.commit, made.tree_hash), (Some(saved), Some(tree)));
    bench.folders.give_back(session(1), &workspace).await.expect("gone");
    bench.folders.give_back(session(1), &workspace).await.expect("twice is fine");
    assert!(!made.folder.exists());
    assert_eq!(worktrees(&bench), 2, "the work stays");
    assert_eq!(std::fs::read(at(&workspace, "a.txt")).expect("there"), b"three\n");
}

#[tokio::test]
async fn what_an_earlier_gate_left_is_gone_before_the_next() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    let first = bench.folders.check_out(session(1), &workspace, None).await.expect("made");
    write(&first.folder.join("a.txt"), b"spoiled\n");
    write(&first.folder.join("deep/left"), b"x");
    git(&first.folder, &["commit", "--allow-empty", "-qm", "by a gate"]);
    let second = bench.folders.check_out(session(1), &workspace, None).await.expect("made");
    assert_eq!(second, first);
    assert_eq!(std::fs::read(second.folder.join("a.txt")).expect("there"), b"one\n");
    assert!(!second.folder.join("deep").exists());
    // Somebody removed the folder, or something else lies in its place.
    std::fs::remove_dir_all(&second.folder).expect("removed");
    write(&second.folder, b"no folder");
    let third = bench.folders.check_out(session(1), &workspace, None).await.expect("made");
    assert_eq!(std::fs::read(third.folder.join("a.txt")).expect("there"), b"one\n");
    assert_eq!(worktrees(&bench), 3);
}

#[tokio::test]
async fn a_checkout_that_nobody_gave_back_is_found_by_its_session_and_goes_with_it() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    bench.folders.remove(session(1), &workspace).await.expect("put away");
    let made = bench.folders.check_out(session(1), &workspace, None).await.expect("made");
    assert_eq!(bench.folders.list().await.expect("listed"), [session(1)]);
    bench.folders.remove(session(1), &workspace).await.expect("put away");
    assert!(!made.folder.exists());
    assert_eq!((worktrees(&bench), bench.folders.list().await.expect("listed").len()), (1, 0));
}

#[tokio::test]
async fn no_hook_runs_for_a_checkout_and_only_commits_are_checked_out() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    let hook = bench.repo.path().join(".git/hooks/post-checkout");
    let proof = bench.repo.path().join("ran");
    write(&hook, format!("#!/bin/sh\ntouch {}\n", proof.display()).as_bytes());
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).expect("ours");
    bench.folders.check_out(session(1), &workspace, None).await.expect("made");
    assert!(!proof.exists());
    for commit in ["main", "--help", &"0".repeat(40)] {
        let refused = bench.folders.check_out(session(1), &workspace, Some(commit)).await;
        assert!(matches!(refused, Err(WorkspaceError::Invalid { .. })), "{commit}: {refused:?}");
    }
}
