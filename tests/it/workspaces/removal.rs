//! Removal: only with positive knowledge, and nothing is lost.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::ports::workspaces::{Removal, Workspaces};
use orchestrator::domain::time::Timestamp;
use orchestrator::domain::workspace::{Workspace, WorkspaceSpec};
use orchestrator::infrastructure::clock::ManualClock;

use super::bench::{Bench, at, folders, session};
use crate::support::repo::{Files, files, git, write};

async fn remove(bench: &Bench, workspace: &Workspace) -> Removal {
    bench.folders.remove(session(1), workspace).await.expect("an answer")
}

fn trash(bench: &Bench) -> Files {
    files(&bench.data.path().join("workspaces/.trash"))
}

#[tokio::test]
async fn a_clean_worktree_goes_and_its_branch_stays() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    assert_eq!(remove(&bench, &workspace).await, Removal::Removed);
    assert!(!Path::new(&workspace.path).exists() && trash(&bench).is_empty());
    assert_eq!(
        bench.repo.git(&["worktree", "list", "--porcelain"]).matches("worktree ").count(),
        1
    );
    bench.repo.git(&["rev-parse", "--verify", "orchestrator/IND-000001"]);
    assert_eq!(remove(&bench, &workspace).await, Removal::Nothing);
    assert_eq!(bench.prepare(1).await, workspace);
}

#[tokio::test]
async fn checkpointed_work_needs_no_rescue_and_comes_back() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a.txt"), b"two\n");
    bench.checkpoint(1, &workspace).await;
    assert_eq!(remove(&bench, &workspace).await, Removal::Removed);
    bench.prepare(1).await;
    assert_eq!(std::fs::read(at(&workspace, "a.txt")).expect("there"), b"two\n");
}

#[tokio::test]
async fn every_blob_of_unsaved_work_is_reachable_afterwards() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    let folder: &Path = workspace.path.as_ref();
    write(&at(&workspace, "a.txt"), b"staged only");
    git(folder, &["add", "a.txt"]);
    write(&at(&workspace, "a.txt"), b"in the file");
    write(&at(&workspace, "untracked"), b"untracked");
    git(folder, &["stash", "list"]);
    git(folder, &["-c", "user.name=x", "-c", "user.email=x", "commit", "-qm", "will be reset"]);
    let undone = git(folder, &["rev-parse", "HEAD"]);
    git(folder, &["reset", "-q", "--soft", "HEAD^"]);
    git(folder, &["checkout", "-q", "--detach"]);
    git(folder, &["-c", "user.name=x", "-c", "user.email=x", "commit", "-qm", "detached"]);
    let detached = git(folder, &["rev-parse", "HEAD"]);
    let Removal::Rescued { reference } = remove(&bench, &workspace).await else {
        panic!("unsaved work needs a rescue");
    };
    assert!(!folder.exists());
    let objects = bench.repo.git(&["rev-list", "--objects", &reference]);
    for text in ["staged only", "in the file", "untracked"] {
        bench.repo.write("../probe", text.as_bytes());
        let blob = bench.repo.git(&["hash-object", "../probe"]);
        assert!(objects.contains(&blob), "{text} is kept");
    }
    assert!(objects.contains(&undone) && objects.contains(&detached));
    // git itself agrees: what its own cleaning leaves over holds all of it.
    bench.repo.git(&["reflog", "expire", "--expire=now", "--all"]);
    bench.repo.git(&["gc", "-q", "--prune=now"]);
    assert_eq!(bench.repo.git(&["show", &format!("{reference}:untracked")]), "untracked");
    bench.repo.git(&["cat-file", "-e", &undone]);
}

#[tokio::test]
async fn ignored_files_and_nested_repositories_go_to_the_trash() {
    let bench = Bench::new(&[(".gitignore", ".env\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, ".env"), b"secret of mine");
    let nested = at(&workspace, "nested");
    write(&nested.join("file"), b"in nested");
    git(&nested, &["init", "-q"]);
    let Removal::Rescued { .. } = remove(&bench, &workspace).await else {
        panic!("the nested file is nowhere else");
    };
    assert!(trash(&bench).values().any(|(_, bytes)| bytes == b"secret of mine"));
    assert!(!Path::new(&workspace.path).exists());
    assert_eq!(
        bench.repo.git(&["worktree", "list", "--porcelain"]).matches("worktree ").count(),
        1
    );
}

#[tokio::test]
async fn files_in_the_folder_of_a_submodule_go_to_the_trash() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let head = bench.repo.git(&["rev-parse", "HEAD"]);
    bench.repo.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},lib")]);
    bench.repo.git(&["commit", "-qm", "A submodule"]);
    let workspace = bench.prepare(1).await;
    assert_eq!(remove(&bench, &workspace).await, Removal::Removed);
    assert!(trash(&bench).is_empty(), "an empty submodule holds no work");
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "lib/deep/work.txt"), b"precious");
    assert_eq!(remove(&bench, &workspace).await, Removal::Removed);
    assert!(trash(&bench).values().any(|(_, bytes)| bytes == b"precious"));
    assert!(!Path::new(&workspace.path).exists());
}

#[tokio::test]
async fn a_worktree_whose_work_cannot_be_listed_is_kept() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a.txt"), b"two\n");
    // Without its objects the repository cannot take the work.
    let head = bench.repo.path().join(".git/worktrees").join(session(1).to_string()).join("HEAD");
    std::fs::write(head, "ref: refs/heads/nothing\n").expect("written");
    let Removal::Kept { reason } = remove(&bench, &workspace).await else {
        panic!("nobody knows what would be lost");
    };
    assert!(reason.contains("cannot be listed"), "{reason}");
    std::fs::rename(bench.repo.path(), bench.repo.path().with_extension("moved")).expect("moved");
    let Removal::Kept { reason } = remove(&bench, &workspace).await else {
        panic!("nobody knows what would be lost");
    };
    assert!(reason.contains("repository is gone"), "{reason}");
    assert_eq!(std::fs::read(at(&workspace, "a.txt")).expect("there"), b"two\n");
}

#[tokio::test]
async fn commits_of_a_worktree_whose_folder_is_gone_are_rescued() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    let folder: &Path = workspace.path.as_ref();
    git(folder, &["checkout", "-q", "--detach"]);
    git(folder, &["commit", "-q", "--allow-empty", "-m", "detached"]);
    let detached = git(folder, &["rev-parse", "HEAD"]);
    std::fs::remove_dir_all(folder).expect("removed");
    let Removal::Rescued { reference } = remove(&bench, &workspace).await else {
        panic!("the commit is nowhere else");
    };
    bench.repo.git(&["merge-base", "--is-ancestor", &detached, &reference]);
}

#[tokio::test]
async fn a_users_directory_is_never_touched() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let spec = WorkspaceSpec::Directory { path: bench.repo.text() };
    let workspace = bench.try_prepare(1, &spec).await.expect("made");
    assert_eq!(remove(&bench, &workspace).await, Removal::Nothing);
    assert!(bench.repo.path().join("a.txt").exists());
}

#[tokio::test]
async fn an_empty_workspace_can_be_had_back_for_a_week() {
    let data = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_800_000_000_000)));
    let shared: Arc<ManualClock> = Arc::clone(&clock);
    let folders = folders(data.path(), &[], shared);
    let code = orchestrator::domain::session::SessionCode::new(1);
    let made = folders.prepare(session(1), code, &WorkspaceSpec::None, None).await.expect("made");
    write(&at(&made, "note"), b"kept");
    assert_eq!(folders.remove(session(1), &made).await.expect("done"), Removal::Removed);
    assert_eq!(folders.remove(session(1), &made).await.expect("done"), Removal::Nothing);
    let kept = data.path().join(format!("workspaces/.trash/{}-1800000000000/note", session(1)));
    clock.advance(Duration::from_hours(7 * 24));
    assert_eq!(folders.purge_trash().await.expect("purged"), 0);
    assert!(kept.exists());
    clock.advance(Duration::from_millis(1));
    assert_eq!(folders.purge_trash().await.expect("purged"), 1);
    assert!(!kept.exists());
}
