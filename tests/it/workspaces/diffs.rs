//! Comparisons.

use orchestrator::application::ports::workspaces::{
    Diff, DiffEnd, FileChange, WorkspaceError, Workspaces,
};

use super::bench::{Bench, at};
use crate::support::repo::write;

fn of<'a>(
    diff: &'a Diff,
    path: &str,
) -> &'a orchestrator::application::ports::workspaces::FileDiff {
    diff.files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("{path} differs"))
}

#[tokio::test]
async fn every_kind_of_change_is_told_with_its_patch() {
    let long = "one line of many\n".repeat(40);
    let bench =
        Bench::new(&[("keep", "1\n"), ("gone", "1\n2\n"), ("old name", &long), ("t", "x\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "keep"), b"1\ndiff --git a/x b/x\n");
    std::fs::remove_file(at(&workspace, "gone")).expect("removed");
    std::fs::rename(at(&workspace, "old name"), at(&workspace, "new name")).expect("renamed");
    write(&at(&workspace, "bin"), b"\0\x01\x02");
    std::fs::remove_file(at(&workspace, "t")).expect("removed");
    std::os::unix::fs::symlink("keep", at(&workspace, "t")).expect("a link");
    write(&at(&workspace, "z last"), b"added\n");
    let diff = bench.folders.diff(&workspace, DiffEnd::WorkingTree).await.expect("compared");
    assert_eq!(Some(&diff.base), workspace.base_commit.as_ref());
    assert_eq!((diff.head.as_str(), diff.truncated, diff.files.len()), ("working_tree", false, 6));
    let keep = of(&diff, "keep");
    assert_eq!(
        (keep.change, keep.additions, keep.deletions),
        (FileChange::Modified, Some(1), Some(0))
    );
    assert!(keep.patch.ends_with("+diff --git a/x b/x\n"), "{}", keep.patch);
    assert_eq!(
        (of(&diff, "gone").change, of(&diff, "gone").deletions),
        (FileChange::Deleted, Some(2))
    );
    let renamed = of(&diff, "new name");
    assert_eq!(renamed.change, FileChange::Renamed);
    assert_eq!((renamed.old_path.as_deref(), renamed.additions), (Some("old name"), Some(0)));
    let binary = of(&diff, "bin");
    assert_eq!((binary.change, binary.additions), (FileChange::Added, None));
    assert!(binary.patch.contains("Binary files"));
    assert_eq!(of(&diff, "t").patch.matches("diff --git").count(), 2);
    assert!(of(&diff, "z last").patch.ends_with("+added\n"));
}

#[tokio::test]
async fn a_checkpoint_can_be_compared_and_a_removed_worktree_too() {
    let bench = Bench::new(&[("a", "1\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a"), b"2\n");
    let commit = bench.checkpoint(1, &workspace).await;
    write(&at(&workspace, "a"), b"3\n");
    let end = DiffEnd::Commit(commit.clone());
    let diff = bench.folders.diff(&workspace, end).await.expect("compared");
    assert!(of(&diff, "a").patch.ends_with("-1\n+2\n"));
    std::fs::remove_dir_all(&workspace.path).expect("removed");
    let diff = bench.folders.diff(&workspace, DiffEnd::WorkingTree).await.expect("compared");
    assert_eq!(diff.head, commit);
    let end = DiffEnd::Commit("--output=/tmp/x".to_owned());
    bench.folders.diff(&workspace, end).await.expect_err("no commit");
}

#[tokio::test]
async fn a_repository_that_was_moved_away_is_named() {
    let bench = Bench::new(&[("a", "1\n")]);
    let workspace = bench.prepare(1).await;
    std::fs::rename(bench.repo.path(), bench.repo.path().with_extension("moved")).expect("moved");
    match bench.folders.diff(&workspace, DiffEnd::WorkingTree).await {
        Err(WorkspaceError::Invalid { pointer: "/workspace/repo", message }) => {
            assert!(message.contains("repository is gone"), "{message}");
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test]
async fn more_than_four_mebibytes_of_patches_are_left_out_and_said_so() {
    let bench = Bench::new(&[("a", "1\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a"), b"2\n");
    write(&at(&workspace, "b"), "0123456789\n".repeat(500_000).as_bytes());
    let diff = bench.folders.diff(&workspace, DiffEnd::WorkingTree).await.expect("compared");
    assert!(diff.truncated);
    assert!(!of(&diff, "a").patch.is_empty() && of(&diff, "b").patch.is_empty());
    assert_eq!(of(&diff, "b").additions, Some(500_000));
}
