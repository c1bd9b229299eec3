//! Merges that meet each other, other git programs, and what those have begun.

use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::ports::workspaces::{
    MergeMode, MergeReport, WorkspaceError, Workspaces,
};
use orchestrator::domain::workspace::Workspace;
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::workspaces::{Folders, WorkspaceOptions};

use super::bench::{Bench, at, folders, session};
use crate::support::repo::{git, try_git, write};

async fn merge(
    bench: &Bench,
    number: u128,
    workspace: &Workspace,
) -> Result<MergeReport, WorkspaceError> {
    bench.folders.merge(session(number), workspace, MergeMode::Merge, "Add it").await
}

/// The text of a refusal.
fn refusal(outcome: Result<MergeReport, WorkspaceError>) -> String {
    match outcome {
        Err(WorkspaceError::Obstructed(message)) => message,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_merged_at_the_same_time_take_turns() {
    let bench = Bench::new(&[("a.txt", "one\n"), ("mine", "1\n")]);
    bench.repo.write("mine", b"edited\n");
    let mut workspaces = Vec::new();
    for number in 1..=4 {
        let workspace = bench.prepare(number).await;
        write(&at(&workspace, &format!("new{number}")), b"agent\n");
        workspaces.push(workspace);
    }
    let (one, two, three, four) = tokio::join!(
        merge(&bench, 1, &workspaces[0]),
        merge(&bench, 2, &workspaces[1]),
        merge(&bench, 3, &workspaces[2]),
        merge(&bench, 4, &workspaces[3]),
    );
    for outcome in [one, two, three, four] {
        assert_eq!(outcome.expect("merged").files, 1);
    }
    assert_eq!(bench.repo.git(&["status", "--porcelain"]), "M mine");
    for number in 1..=4 {
        assert_eq!(bench.repo.git(&["show", &format!("main:new{number}")]), "agent");
    }
}

#[tokio::test]
async fn another_git_program_is_waited_for_and_then_named() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a.txt"), b"two\n");
    for lock in [".git/index.lock", ".git/refs/heads/main.lock"] {
        bench.repo.write(lock, b"");
        let message = refusal(merge(&bench, 1, &workspace).await);
        assert!(message.contains("another git program is at work"), "{message}");
        assert!(message.contains("lock") && !message.contains("overwrite"), "{message}");
        std::fs::remove_file(bench.repo.path().join(lock)).expect("removed");
        assert_eq!(bench.repo.git(&["status", "--porcelain"]), "");
        assert_eq!(bench.repo.git(&["show", "main:a.txt"]), "one");
    }
    bench.repo.write(".git/index.lock", b"");
    let lock = bench.repo.path().join(".git/index.lock");
    let let_go = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        std::fs::remove_file(lock).expect("removed");
    };
    let (outcome, ()) = tokio::join!(merge(&bench, 1, &workspace), let_go);
    outcome.expect("merged");
    assert_eq!(bench.repo.git(&["status", "--porcelain"]), "");
}

#[tokio::test]
async fn a_base_whose_checkout_was_deleted_moves_alone() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    bench.repo.git(&["switch", "-q", "-c", "elsewhere"]);
    bench.repo.git(&["worktree", "add", "-q", "../second", "main"]);
    std::fs::remove_dir_all(bench.repo.path().with_file_name("second")).expect("removed");
    write(&at(&workspace, "a.txt"), b"two\n");
    merge(&bench, 1, &workspace).await.expect("merged");
    assert_eq!(bench.repo.git(&["show", "main:a.txt"]), "two");
}

#[tokio::test]
async fn a_base_that_is_being_rebased_or_bisected_stays() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "new.txt"), b"agent\n");
    bench.repo.git(&["switch", "-q", "-c", "side"]);
    bench.repo.commit("a.txt", "side\n");
    bench.repo.git(&["worktree", "add", "-q", "../second", "main"]);
    let second = bench.repo.path().with_file_name("second");
    write(&second.join("a.txt"), b"main\n");
    git(&second, &["commit", "-qam", "main"]);
    let before = bench.repo.git(&["rev-parse", "main"]);
    assert!(!try_git(&second, &["rebase", "side"]).status.success(), "it stops at a conflict");
    let message = refusal(merge(&bench, 1, &workspace).await);
    assert!(message.contains("`main` is being rebased in ") && message.contains("second"));
    git(&second, &["rebase", "--abort"]);
    git(&second, &["bisect", "start", "main", "main~1"]);
    let message = refusal(merge(&bench, 1, &workspace).await);
    assert!(message.contains("bisected"), "{message}");
    git(&second, &["bisect", "reset"]);
    assert_eq!(bench.repo.git(&["rev-parse", "main"]), before);
    merge(&bench, 1, &workspace).await.expect("merged");
    assert_eq!(git(&second, &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn a_file_that_a_filter_must_change_is_not_merged_without_it() {
    let bench = Bench::new(&[(".gitattributes", "*.key filter=crypt\n"), ("old.key", "x\n")]);
    bench.repo.git(&["config", "filter.crypt.clean", "tr a-z b-za"]);
    bench.repo.git(&["config", "filter.crypt.required", "true"]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a.txt"), b"free of secrets\n");
    merge(&bench, 1, &workspace).await.expect("no such file is in it");
    write(&at(&workspace, "new.key"), b"secret\n");
    let before = bench.repo.git(&["for-each-ref"]);
    let message = refusal(merge(&bench, 1, &workspace).await);
    assert!(message.contains("`new.key`") && message.contains("`crypt`"), "{message}");
    write(&at(&workspace, ".gitattributes"), b"");
    let message = refusal(merge(&bench, 1, &workspace).await);
    assert!(message.contains("`new.key`"), "{message}");
    assert_eq!(bench.repo.git(&["for-each-ref"]), before);
    let patch = bench.folders.merge(session(1), &workspace, MergeMode::Patch, "").await;
    assert!(patch.expect("exported").patch.expect("a patch").contains("secret"));
    bench.repo.git(&["config", "filter.crypt.required", "false"]);
    merge(&bench, 1, &workspace).await.expect("it may be left out");
}

#[tokio::test]
async fn a_conflict_names_only_files_that_there_are() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "thing/inside"), b"agent\n");
    bench.repo.commit("thing", "a file\n");
    match merge(&bench, 1, &workspace).await {
        Err(WorkspaceError::Conflict { files }) => assert_eq!(files, ["thing"]),
        other => panic!("expected a conflict, got {other:?}"),
    }
}

#[tokio::test]
async fn a_merge_that_the_process_did_not_live_to_end_is_undone_at_the_next_start() {
    let mut bench = Bench::new(&[("a.txt", "one\n"), ("mine", "1\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a.txt"), b"two\n");
    write(&at(&workspace, "new.txt"), b"agent\n");
    bench.repo.write("mine", b"edited\n");
    let (program, reached) = (bench.data.path().join("slow"), bench.data.path().join("reached"));
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *update-ref*': merge'*) : > {}; exec sleep 1000;; esac\n\
         exec git \"$@\"\n",
        reached.display()
    );
    write(&program, script.as_bytes());
    let runnable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, runnable).expect("set");
    let root = bench.data.path().join("workspaces");
    let options =
        WorkspaceOptions { root, closed: Vec::new(), allowed_roots: Vec::new(), git: program };
    bench.folders = Folders::new(options, Arc::new(SystemClock::new()), Arc::new(SystemIds));
    let half_done = async {
        while !reached.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        outcome = merge(&bench, 1, &workspace) => panic!("it hangs: {outcome:?}"),
        done = tokio::time::timeout(Duration::from_mins(1), half_done) => done.expect("reached"),
    }
    assert_eq!(bench.repo.git(&["status", "--porcelain"]), "M  a.txt\n M mine\nA  new.txt");
    bench.folders = folders(bench.data.path(), &[], Arc::new(SystemClock::new()));
    assert_eq!(bench.folders.list().await.expect("listed"), [session(1)]);
    assert_eq!(bench.repo.git(&["status", "--porcelain"]), "M mine");
    assert_eq!(std::fs::read(bench.repo.path().join("a.txt")).expect("there"), b"one\n");
    let notes = || std::fs::read_dir(bench.data.path().join("workspaces/.merges"));
    assert_eq!(notes().expect("a folder").count(), 0);
    merge(&bench, 1, &workspace).await.expect("merged");
    assert_eq!(bench.repo.git(&["status", "--porcelain"]), "M mine");
    assert_eq!(notes().expect("a folder").count(), 0);
}
