//! Work that is brought home.

use orchestrator::application::ports::workspaces::{
    MergeMode, MergeReport, WorkspaceError, Workspaces,
};
use orchestrator::domain::workspace::{Workspace, WorkspaceSpec};

use super::bench::{Bench, at, session};
use crate::support::repo::{Files, TestRepo, files, git, write};

async fn merge(
    bench: &Bench,
    workspace: &Workspace,
    mode: MergeMode,
) -> Result<MergeReport, WorkspaceError> {
    bench.folders.merge(session(1), workspace, mode, "Add the feature").await
}

/// Everything of a repository that a refused merge must not change.
fn whole(bench: &Bench) -> (String, String, String, Files) {
    let repo = &bench.repo;
    (
        repo.git(&["for-each-ref"]),
        repo.git(&["ls-files", "-s"]),
        repo.git(&["status", "--porcelain"]),
        files(repo.path()),
    )
}

#[tokio::test]
async fn a_merge_reaches_the_base_that_moved_and_its_checked_out_files() {
    let bench = Bench::new(&[("a.txt", "one\n"), ("other", "1\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a.txt"), b"two\n");
    write(&at(&workspace, "new.txt"), b"new\n");
    let moved = bench.repo.commit("other", "2\n");
    bench.repo.write("scratch.txt", b"untracked and mine");
    let report = merge(&bench, &workspace, MergeMode::Merge).await.expect("merged");
    assert_eq!((report.target.as_deref(), report.files), (Some("main"), 2));
    assert_eq!(report.commit, Some(bench.repo.git(&["rev-parse", "main"])));
    assert_eq!(bench.repo.git(&["rev-parse", "main^1"]), moved);
    assert_eq!(
        bench.repo.git(&["rev-parse", "main^2"]),
        bench.repo.git(&["rev-parse", "orchestrator/IND-000001"])
    );
    assert_eq!(bench.repo.git(&["log", "-1", "--format=%s"]), "Add the feature");
    assert_eq!(bench.repo.git(&["status", "--porcelain"]), "?? scratch.txt");
    assert_eq!(std::fs::read(bench.repo.path().join("new.txt")).expect("there"), b"new\n");
    assert_eq!(git(workspace.path.as_ref(), &["status", "--porcelain"]), "");
    let again = merge(&bench, &workspace, MergeMode::Merge).await.expect("nothing to do");
    assert_eq!((again.files, again.commit), (0, report.commit));
}

#[tokio::test]
async fn a_squash_is_one_commit_and_a_second_one_none() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a.txt"), b"two\n");
    git(workspace.path.as_ref(), &["commit", "-qam", "step"]);
    write(&at(&workspace, "b.txt"), b"b\n");
    let report = merge(&bench, &workspace, MergeMode::Squash).await.expect("merged");
    assert_eq!(bench.repo.git(&["rev-list", "--count", "main"]), "2");
    assert_eq!(report.files, 2);
    let again = merge(&bench, &workspace, MergeMode::Squash).await.expect("nothing to do");
    assert_eq!((again.files, again.commit), (0, report.commit));
    assert_eq!(bench.repo.git(&["rev-list", "--count", "main"]), "2");
}

#[tokio::test]
async fn nothing_to_merge_is_an_answer() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    let before = whole(&bench);
    let report = merge(&bench, &workspace, MergeMode::Merge).await.expect("nothing to do");
    assert_eq!(report.files, 0);
    assert_eq!(whole(&bench), before);
}

#[tokio::test]
async fn a_conflict_changes_nothing_and_names_the_files() {
    let bench = Bench::new(&[("a.txt", "one\n"), ("sub dir/b", "one\n"), ("c", "1\n")]);
    let workspace = bench.prepare(1).await;
    for path in ["a.txt", "sub dir/b", "c"] {
        write(&at(&workspace, path), b"theirs\n");
    }
    bench.repo.commit("a.txt", "ours\n");
    bench.repo.commit("sub dir/b", "ours\n");
    let before = (whole(&bench), files(workspace.path.as_ref()));
    for mode in [MergeMode::Merge, MergeMode::Squash] {
        match merge(&bench, &workspace, mode).await {
            Err(WorkspaceError::Conflict { files }) => assert_eq!(files, ["a.txt", "sub dir/b"]),
            other => panic!("expected a conflict, got {other:?}"),
        }
    }
    assert_eq!((whole(&bench), files(workspace.path.as_ref())), before);
}

#[tokio::test]
async fn local_changes_of_the_user_are_never_overwritten() {
    let bench = Bench::new(&[("a.txt", "one\n"), ("mine", "1\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a.txt"), b"two\n");
    write(&at(&workspace, "new.txt"), b"agent\n");
    let refused = async |name: &str| {
        let before = whole(&bench);
        match merge(&bench, &workspace, MergeMode::Merge).await {
            Err(WorkspaceError::Obstructed(message)) => {
                assert!(message.contains(name) && message.contains("stash"), "{message}");
            }
            other => panic!("expected a refusal, got {other:?}"),
        }
        assert_eq!(whole(&bench), before);
    };
    bench.repo.write("new.txt", b"user");
    refused("new.txt").await;
    std::fs::remove_file(bench.repo.path().join("new.txt")).expect("removed");
    bench.repo.write("a.txt", b"edited\n");
    refused("a.txt").await;
    bench.repo.git(&["add", "a.txt"]);
    refused("a.txt").await;
    bench.repo.git(&["reset", "-q", "--hard"]);
    // An ignored file is somebody's file as well.
    bench.repo.write(".git/info/exclude", b"new.txt\n");
    bench.repo.write("new.txt", b"ignored");
    refused("new.txt").await;
    std::fs::remove_file(bench.repo.path().join("new.txt")).expect("removed");
    bench.repo.write("mine", b"2\n");
    merge(&bench, &workspace, MergeMode::Merge).await.expect("other files do not matter");
    assert_eq!(bench.repo.git(&["status", "--porcelain"]), "M mine");
}

#[tokio::test]
async fn a_base_that_is_not_checked_out_moves_alone() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    bench.repo.git(&["switch", "-q", "-c", "elsewhere"]);
    write(&at(&workspace, "a.txt"), b"two\n");
    merge(&bench, &workspace, MergeMode::Merge).await.expect("merged");
    assert_eq!(bench.repo.git(&["show", "main:a.txt"]), "two");
    assert_eq!(bench.repo.git(&["status", "--porcelain"]), "");
    assert_eq!(std::fs::read(bench.repo.path().join("a.txt")).expect("there"), b"one\n");
}

#[tokio::test]
async fn a_base_in_another_worktree_of_the_user_is_brought_along() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    bench.repo.git(&["switch", "-q", "-c", "elsewhere"]);
    bench.repo.git(&["worktree", "add", "-q", "../second", "main"]);
    write(&at(&workspace, "a.txt"), b"two\n");
    merge(&bench, &workspace, MergeMode::Squash).await.expect("merged");
    let second = bench.repo.path().with_file_name("second");
    assert_eq!(std::fs::read(second.join("a.txt")).expect("there"), b"two\n");
    assert_eq!(git(&second, &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn work_on_another_branch_of_the_worktree_is_merged_too() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    let folder: &std::path::Path = workspace.path.as_ref();
    write(&at(&workspace, "first"), b"1\n");
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-qm", "on the session's branch"]);
    git(folder, &["switch", "-q", "-c", "aside", "main"]);
    write(&at(&workspace, "second"), b"2\n");
    merge(&bench, &workspace, MergeMode::Merge).await.expect("merged");
    assert_eq!(bench.repo.git(&["show", "main:second"]), "2");
    bench.repo.git(&["merge-base", "--is-ancestor", "orchestrator/IND-000001", "main"]);
}

#[tokio::test]
async fn a_patch_applies_whatever_is_in_it() {
    let bench = Bench::new(&[("a.txt", "one\n"), ("gone", "1\n"), ("old", "1\n2\n3\n")]);
    let target = TestRepo::with(&[("a.txt", "one\n"), ("gone", "1\n"), ("old", "1\n2\n3\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a.txt"), "äöü\n".as_bytes());
    write(&at(&workspace, "bin"), b"\0\xff\x01");
    std::fs::remove_file(at(&workspace, "gone")).expect("removed");
    std::fs::rename(at(&workspace, "old"), at(&workspace, "with space")).expect("renamed");
    for latin in [None, Some(&b"caf\xe9\n"[..])] {
        if let Some(bytes) = latin {
            write(&at(&workspace, "latin.txt"), bytes);
        }
        let before = whole(&bench);
        let report = merge(&bench, &workspace, MergeMode::Patch).await.expect("exported");
        assert_eq!((whole(&bench), report.target), (before, None));
        target.write("../work.patch", report.patch.expect("a patch").as_bytes());
        target.git(&["reset", "-q", "--hard"]);
        target.git(&["clean", "-qfd"]);
        target.git(&["apply", "../work.patch"]);
        assert_eq!(files(target.path()), files(workspace.path.as_ref()));
    }
}

#[tokio::test]
async fn without_a_branch_to_merge_into_the_remedy_is_named() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let base_ref = bench.repo.git(&["rev-parse", "HEAD"]);
    let spec = WorkspaceSpec::Git { repo: bench.repo.text(), base_ref, branch: None };
    let workspace = bench.try_prepare(1, &spec).await.expect("made");
    write(&at(&workspace, "a.txt"), b"two\n");
    match merge(&bench, &workspace, MergeMode::Merge).await {
        Err(WorkspaceError::Obstructed(message)) => assert!(message.contains("patch")),
        other => panic!("expected a refusal, got {other:?}"),
    }
}
