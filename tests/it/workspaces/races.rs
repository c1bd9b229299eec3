//! Merges that meet each other, other git programs, and what those have begun.

use std::time::Duration;

use orchestrator::application::ports::workspaces::{
    MergeMode, MergeReport, WorkspaceError, Workspaces,
};
use orchestrator::domain::workspace::Workspace;

use super::bench::{Bench, at, session};
use crate::support::repo::write;

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
        Err(WorkspaceError::Invalid { message, .. }) => message,
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
