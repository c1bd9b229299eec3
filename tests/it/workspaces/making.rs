//! Checks, and worktrees that are made and found again.

use std::sync::Arc;

use orchestrator::application::ports::workspaces::{WorkspaceError, Workspaces};
use orchestrator::domain::session::SessionCode;
use orchestrator::domain::workspace::{Workspace, WorkspaceKind, WorkspaceSpec};
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::workspaces::{Folders, WorkspaceOptions};

use super::bench::{Bench, at, folders, session};
use crate::support::repo::{TestRepo, files, git, write};

fn message(error: WorkspaceError) -> String {
    match error {
        WorkspaceError::Invalid { message, .. }
        | WorkspaceError::NotAllowed { message, .. }
        | WorkspaceError::Obstructed(message) => message,
        other @ (WorkspaceError::Conflict { .. } | WorkspaceError::Failed(_)) => {
            panic!("expected an invalid request, got {other}")
        }
    }
}

fn git_spec(repo: &str, base: &str, branch: Option<&str>) -> WorkspaceSpec {
    let branch = branch.map(str::to_owned);
    WorkspaceSpec::Git { repo: repo.to_owned(), base_ref: base.to_owned(), branch }
}

#[tokio::test]
async fn a_worktree_is_made_on_its_own_branch_from_the_base() {
    let bench = Bench::new(&[("src/a.txt", "one\n")]);
    bench.folders.check(&bench.spec()).await.expect("fine");
    let workspace = bench.prepare(7).await;
    assert_eq!(workspace.branch.as_deref(), Some("orchestrator/IND-000007"));
    assert_eq!(workspace.base_branch.as_deref(), Some("main"));
    assert_eq!(workspace.base_commit, Some(bench.repo.git(&["rev-parse", "main"])));
    assert_eq!(std::fs::read(at(&workspace, "src/a.txt")).expect("there"), b"one\n");
    let folder = std::path::Path::new(&workspace.path);
    assert_eq!(git(folder, &["status", "--porcelain"]), "");
    assert_eq!(git(folder, &["branch", "--show-current"]), "orchestrator/IND-000007");
}

#[tokio::test]
async fn preparing_again_finds_the_same_worktree_with_its_changes() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let first = bench.prepare(1).await;
    write(&at(&first, "a.txt"), b"two\n");
    bench.repo.commit("later.txt", "the base moves on");
    assert_eq!(bench.prepare(1).await, first);
    assert_eq!(std::fs::read(at(&first, "a.txt")).expect("there"), b"two\n");
}

#[tokio::test]
async fn a_lost_folder_comes_back_from_the_newest_checkpoint() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a.txt"), b"two\n");
    write(&at(&workspace, "new file"), b"new");
    bench.checkpoint(1, &workspace).await;
    let before = files(workspace.path.as_ref());
    std::fs::remove_dir_all(&workspace.path).expect("removed");
    assert_eq!(bench.prepare(1).await, workspace);
    assert_eq!(files(workspace.path.as_ref()), before);
    // The branch is where it was: what was not committed is not committed now.
    let status = git(workspace.path.as_ref(), &["status", "--porcelain"]);
    assert_eq!(status, "M a.txt\n?? \"new file\"");
}

#[tokio::test]
async fn a_folder_lost_after_a_later_commit_comes_back_with_that_commit() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    bench.checkpoint(1, &workspace).await;
    write(&at(&workspace, "a.txt"), b"two\n");
    git(workspace.path.as_ref(), &["commit", "-qam", "by the agent"]);
    std::fs::remove_dir_all(&workspace.path).expect("removed");
    bench.prepare(1).await;
    assert_eq!(std::fs::read(at(&workspace, "a.txt")).expect("there"), b"two\n");
}

#[tokio::test]
async fn a_half_made_worktree_is_set_aside_and_made_again() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    let admin = bench.repo.path().join(".git/worktrees").join(session(1).to_string());
    // As after a crash: registered, locked, but without an index; a stray file in the folder.
    std::fs::remove_file(admin.join("index")).expect("removed");
    std::fs::write(admin.join("locked"), "initializing").expect("written");
    std::fs::remove_file(at(&workspace, "a.txt")).expect("removed");
    write(&at(&workspace, "stray"), b"precious");
    assert_eq!(bench.prepare(1).await, workspace);
    assert_eq!(std::fs::read(at(&workspace, "a.txt")).expect("there"), b"one\n");
    let trash = files(&bench.data.path().join("workspaces/.trash"));
    assert!(trash.values().any(|(_, bytes)| bytes == b"precious"), "nothing is thrown away");
    assert_eq!(git(workspace.path.as_ref(), &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn a_plain_folder_in_the_place_of_the_worktree_is_set_aside() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let place = bench.data.path().join("workspaces").join(session(1).to_string());
    write(&place.join("old"), b"old");
    let workspace = bench.prepare(1).await;
    assert!(at(&workspace, "a.txt").exists() && !at(&workspace, "old").exists());
}

#[tokio::test]
async fn a_damaged_link_to_the_repository_is_mended() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    std::fs::write(at(&workspace, ".git"), "gitdir: /nowhere\n").expect("written");
    bench.prepare(1).await;
    assert_eq!(git(workspace.path.as_ref(), &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn somebody_elses_branch_is_refused_with_a_remedy() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    bench.repo.git(&["branch", "taken"]);
    let free = git_spec(&bench.repo.text(), "main", Some("taken"));
    bench.folders.check(&free).await.expect("a branch at the base may be worked on");
    bench.repo.commit("b.txt", "moves on");
    let spec = git_spec(&bench.repo.text(), "main", Some("taken"));
    let error = message(bench.folders.check(&spec).await.expect_err("diverged"));
    assert!(error.contains("another name"), "{error}");
    message(bench.try_prepare(1, &spec).await.expect_err("diverged"));
    for name in ["-f", "a..b", "HEAD", "a b", "x.lock"] {
        let spec = git_spec(&bench.repo.text(), "main", Some(name));
        let error = message(bench.folders.check(&spec).await.expect_err(name));
        assert!(error.contains("name of a branch"), "{error}");
    }
}

#[tokio::test]
async fn a_code_used_by_another_installation_gets_the_next_name() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    bench.repo.git(&["branch", "orchestrator/IND-000001"]);
    let workspace = bench.prepare(1).await;
    assert_eq!(workspace.branch.as_deref(), Some("orchestrator/IND-000001-2"));
    assert_eq!(bench.prepare(1).await, workspace);
}

#[tokio::test]
async fn refusals_name_what_helps() {
    let bench = Bench::over(TestRepo::empty());
    let check =
        async |spec: WorkspaceSpec| message(bench.folders.check(&spec).await.expect_err("refused"));
    assert!(check(bench.spec()).await.contains("first commit"));
    bench.repo.commit("a.txt", "one");
    let text = bench.repo.text();
    assert!(check(git_spec(&text, "nope", None)).await.contains("`nope`"));
    assert!(check(git_spec(&text, "--all", None)).await.contains("`--all`"));
    assert!(check(git_spec("repo", "HEAD", None)).await.contains("absolute"));
    assert!(check(git_spec(&format!("{text}/../repo"), "HEAD", None)).await.contains(".."));
    assert!(check(git_spec("/no/such/folder", "HEAD", None)).await.contains("no folder"));
    let bare_folder = tempfile::tempdir().expect("a folder");
    let plain = bare_folder.path().to_str().expect("UTF-8");
    assert!(check(git_spec(plain, "HEAD", None)).await.contains("git init"));
}

#[tokio::test]
async fn no_place_of_the_server_or_the_kernel_is_a_workspace() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let (data, beside) = (bench.data.path(), tempfile::tempdir().expect("a folder"));
    std::fs::create_dir(data.join("hosts")).expect("a folder");
    let link = beside.path().join("link");
    std::os::unix::fs::symlink(data.join("hosts"), &link).expect("a link");
    let root = data.join("workspaces");
    let above = data.parent().expect("a folder above");
    let of_the_kernel =
        ["/proc", "/proc/self", "/sys", "/dev", "/dev/shm"].map(std::path::Path::new);
    let all = [data, &data.join("hosts"), &link, &root, above, std::path::Path::new("/")];
    for path in all.into_iter().chain(of_the_kernel).filter(|path| path.exists()) {
        let path = path.to_str().expect("UTF-8").to_owned();
        let refused = bench.folders.check(&WorkspaceSpec::Directory { path: path.clone() }).await;
        assert!(matches!(refused, Err(WorkspaceError::NotAllowed { .. })), "{path}: {refused:?}");
    }
    let path = beside.path().to_str().expect("UTF-8").to_owned();
    bench.folders.check(&WorkspaceSpec::Directory { path }).await.expect("beside is fine");
}

#[tokio::test]
async fn the_data_directory_is_protected_wherever_the_workspaces_lie() {
    let (home, clock) = (tempfile::tempdir().expect("a folder"), Arc::new(SystemClock::new()));
    let [data, root] = ["data", "elsewhere/workspaces"].map(|name| home.path().join(name));
    std::fs::create_dir_all(data.join("inner")).expect("folders");
    let options = WorkspaceOptions {
        root,
        closed: vec![data.clone()],
        allowed_roots: Vec::new(),
        git: "git".into(),
    };
    let folders = Folders::new(options, clock, Arc::new(SystemIds));
    for path in [&data, &data.join("inner"), home.path()] {
        let path = path.to_str().expect("UTF-8").to_owned();
        let refused = folders.check(&WorkspaceSpec::Directory { path: path.clone() }).await;
        assert!(matches!(refused, Err(WorkspaceError::NotAllowed { .. })), "{path}: {refused:?}");
    }
    let path = home.path().join("elsewhere").to_str().expect("UTF-8").to_owned();
    let refused = folders.check(&WorkspaceSpec::Directory { path }).await;
    assert!(matches!(refused, Err(WorkspaceError::NotAllowed { .. })), "{refused:?}");
}

#[tokio::test]
async fn paths_outside_the_allowed_roots_are_refused_after_following_links() {
    let (inside, outside) = (TestRepo::with(&[("a", "1")]), TestRepo::with(&[("a", "1")]));
    let data = tempfile::tempdir().expect("a folder");
    let clock = Arc::new(SystemClock::new());
    let folders = folders(data.path(), &[inside.path()], clock);
    folders.check(&git_spec(&inside.text(), "HEAD", None)).await.expect("allowed");
    let link = inside.path().join("link");
    std::os::unix::fs::symlink(outside.path(), &link).expect("a link");
    // A `.git` that leads out of the allowed folders.
    let fake = inside.path().join("fake");
    std::fs::create_dir(&fake).expect("a folder");
    std::os::unix::fs::symlink(outside.path().join(".git"), fake.join(".git")).expect("a link");
    for path in [outside.path(), &link, &fake] {
        let path = path.to_str().expect("UTF-8");
        let error = folders.check(&git_spec(path, "HEAD", None)).await.expect_err(path);
        assert!(message(error).contains("outside"));
    }
    let directory = WorkspaceSpec::Directory { path: link.to_str().expect("UTF-8").to_owned() };
    assert!(message(folders.check(&directory).await.expect_err("out")).contains("outside"));
}

#[tokio::test]
async fn a_bare_repository_and_a_detached_base_work() {
    let source = TestRepo::with(&[("a.txt", "one\n")]);
    let bare = source.path().with_extension("bare");
    git(source.path(), &["clone", "-q", "--bare", ".", bare.to_str().expect("UTF-8")]);
    let bench = Bench::over(source);
    let spec = git_spec(bare.to_str().expect("UTF-8"), "main", None);
    bench.folders.check(&spec).await.expect("bare is fine");
    let workspace = bench.try_prepare(3, &spec).await.expect("made");
    assert!(at(&workspace, "a.txt").exists());
    let commit = bench.repo.git(&["rev-parse", "HEAD"]);
    let spec = git_spec(&bench.repo.text(), &commit, None);
    let workspace = bench.try_prepare(4, &spec).await.expect("made");
    assert_eq!(workspace.base_branch, None);
}

#[tokio::test]
async fn a_fork_begins_at_the_commit_of_a_checkpoint() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let source = bench.prepare(1).await;
    write(&at(&source, "a.txt"), b"two\n");
    let commit = bench.checkpoint(1, &source).await;
    let code = SessionCode::new(2);
    let fork = bench.folders.prepare(session(2), code, &bench.spec(), Some(&commit)).await;
    let fork = fork.expect("a fork");
    assert_eq!(std::fs::read(at(&fork, "a.txt")).expect("there"), b"two\n");
    assert_eq!(git(fork.path.as_ref(), &["rev-parse", "HEAD"]), commit);
    let wrong = bench.folders.prepare(session(3), code, &bench.spec(), Some("HEAD")).await;
    message(wrong.expect_err("no id"));
}

#[tokio::test]
async fn the_other_kinds_are_folders() {
    let bench = Bench::new(&[]);
    let empty = bench.try_prepare(1, &WorkspaceSpec::None).await.expect("made");
    assert_eq!(empty.kind, WorkspaceKind::None);
    write(&at(&empty, "note"), b"kept");
    assert_eq!(bench.try_prepare(1, &WorkspaceSpec::None).await.expect("found"), empty);
    assert!(at(&empty, "note").exists());
    let spec = WorkspaceSpec::Directory { path: bench.repo.text() };
    let directory: Workspace = bench.try_prepare(2, &spec).await.expect("made");
    assert_eq!(directory.path, bench.repo.text());
    let saved = bench.folders.checkpoint(session(2), &directory, "none").await;
    assert_eq!(saved.expect("nothing to do"), None);
}
