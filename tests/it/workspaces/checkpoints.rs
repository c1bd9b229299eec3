//! Checkpoints and the way back to them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use orchestrator::application::ports::workspaces::Workspaces;
use orchestrator::domain::workspace::Workspace;

use super::bench::{Bench, at, session};
use crate::support::repo::{files, git, write};

fn state(workspace: &Workspace) -> (String, String, String) {
    let folder = Path::new(&workspace.path);
    let index = git(folder, &["ls-files", "-s"]);
    (git(folder, &["rev-parse", "HEAD"]), git(folder, &["status", "--porcelain"]), index)
}

#[tokio::test]
async fn a_checkpoint_holds_everything_and_changes_nothing() {
    let bench = Bench::new(&[("a.txt", "one\n"), (".gitignore", "ignored\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a.txt"), b"staged\n");
    git(workspace.path.as_ref(), &["add", "a.txt"]);
    write(&at(&workspace, "a.txt"), b"and changed again\n");
    write(&at(&workspace, "untracked"), b"new");
    write(&at(&workspace, "ignored"), b"not saved");
    let before = (state(&workspace), files(workspace.path.as_ref()));
    let commit = bench.checkpoint(1, &workspace).await;
    assert_eq!((state(&workspace), files(workspace.path.as_ref())), before);
    let listed = bench.repo.git(&["ls-tree", "-r", "--name-only", &commit]);
    assert_eq!(listed, ".gitignore\na.txt\nuntracked");
    assert_eq!(bench.repo.git(&["show", &format!("{commit}:a.txt")]), "and changed again");
    let author = bench.repo.git(&["log", "-1", "--format=%an <%ae>", &commit]);
    assert_eq!(author, "Industrial Orchestrator <orchestrator@localhost>");
    let refs = bench.repo.git(&["for-each-ref", "--format=%(refname)", "refs/orchestrator"]);
    let prefix = format!("refs/orchestrator/{}", session(1));
    assert_eq!(refs, format!("{prefix}/1\n{prefix}/about\n{prefix}/latest"));
}

#[tokio::test]
async fn nothing_new_gives_the_same_commit_and_new_work_a_child() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    let first = bench.checkpoint(1, &workspace).await;
    assert_eq!(bench.checkpoint(1, &workspace).await, first);
    write(&at(&workspace, "a.txt"), b"two\n");
    let second = bench.checkpoint(1, &workspace).await;
    assert_eq!(bench.repo.git(&["rev-parse", &format!("{second}^")]), first);
    let head = workspace.base_commit.expect("git");
    assert_eq!(bench.repo.git(&["rev-parse", &format!("{first}^")]), head);
}

#[tokio::test]
async fn odd_names_links_modes_and_big_files_survive() {
    let bench = Bench::new(&[("dir/file", "becomes a link\n"), ("plain", "becomes a folder\n")]);
    let workspace = bench.prepare(1).await;
    let folder = Path::new(&workspace.path);
    for name in
        [&b"with space"[..], b"new\nline", b"\xff\xfe raw", b"-dash", b"\"quoted\"", b":(top)x"]
    {
        write(&folder.join(OsStr::from_bytes(name)), name);
    }
    write(&folder.join("run.sh"), b"#!/bin/sh\n");
    let runnable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.join("run.sh"), runnable).expect("set");
    symlink("/does/not/exist", folder.join("dangling")).expect("a link");
    std::fs::remove_dir_all(folder.join("dir")).expect("removed");
    symlink("elsewhere", folder.join("dir")).expect("a link");
    write(&folder.join("elsewhere/file"), b"behind the link");
    std::fs::remove_file(folder.join("plain")).expect("removed");
    write(&folder.join("plain/inner"), b"a folder now");
    write(&folder.join("big"), &vec![b'\x07'; 20 << 20]);
    write(&folder.join("crlf.txt"), b"one\r\ntwo\n");
    let before = files(folder);
    let commit = bench.checkpoint(1, &workspace).await;
    for path in ["big", "run.sh", "crlf.txt", "dangling", "dir"] {
        std::fs::remove_file(folder.join(path)).expect("removed");
    }
    std::fs::remove_dir_all(folder.join("plain")).expect("removed");
    write(&folder.join("later"), b"goes away");
    bench.folders.restore(session(1), &workspace, &commit).await.expect("restored");
    assert!(files(folder) == before, "every byte is back");
}

#[tokio::test]
async fn what_is_in_nested_repositories_is_saved() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    let nested = at(&workspace, "vendor/lib");
    write(&nested.join("code.rs"), b"fn main() {}");
    git(&nested, &["init", "-q"]);
    write(&nested.join("deeper/x"), b"x");
    git(&nested.join("deeper"), &["init", "-q"]);
    git(&nested.join("deeper"), &["add", "-A"]);
    let commit = bench.checkpoint(1, &workspace).await;
    let listed = bench.repo.git(&["ls-tree", "-r", "--name-only", &commit]);
    assert_eq!(listed, "a.txt\nvendor/lib/code.rs\nvendor/lib/deeper/x");
    write(&nested.join("code.rs"), b"broken");
    assert_ne!(bench.checkpoint(1, &workspace).await, commit);
    bench.folders.restore(session(1), &workspace, &commit).await.expect("restored");
    assert_eq!(std::fs::read(nested.join("code.rs")).expect("there"), b"fn main() {}");
    assert!(nested.join(".git").is_dir(), "nobody touches the repository itself");
}

#[tokio::test]
async fn flags_in_the_agents_index_hide_nothing() {
    let bench = Bench::new(&[("a.txt", "one\n"), ("b.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    let folder = Path::new(&workspace.path);
    git(folder, &["update-index", "--assume-unchanged", "a.txt"]);
    git(folder, &["update-index", "--skip-worktree", "b.txt"]);
    write(&at(&workspace, "a.txt"), b"two\n");
    write(&at(&workspace, "b.txt"), b"two\n");
    let commit = bench.checkpoint(1, &workspace).await;
    for path in ["a.txt", "b.txt"] {
        assert_eq!(bench.repo.git(&["show", &format!("{commit}:{path}")]), "two");
    }
}

#[tokio::test]
async fn a_damaged_private_index_is_made_again() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    let index = bench.data.path().join("workspaces/.index").join(session(1).to_string());
    std::fs::write(&index, "garbage").expect("written");
    std::fs::write(index.with_extension("lock"), "").expect("written");
    write(&at(&workspace, "a.txt"), b"two\n");
    let commit = bench.checkpoint(1, &workspace).await;
    assert_eq!(bench.repo.git(&["show", &format!("{commit}:a.txt")]), "two");
}

#[tokio::test]
async fn restore_undoes_commits_and_keeps_them_under_a_rescue_ref() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    let folder = Path::new(&workspace.path);
    write(&at(&workspace, "a.txt"), b"half done\n");
    let commit = bench.checkpoint(1, &workspace).await;
    let before = (state(&workspace), files(folder));
    git(folder, &["commit", "-qam", "by the agent"]);
    let lost = git(folder, &["rev-parse", "HEAD"]);
    write(&at(&workspace, "unsaved"), b"precious");
    let rescue = bench.folders.restore(session(1), &workspace, &commit).await.expect("restored");
    let rescue = rescue.expect("there was unsaved work");
    assert!(rescue.ends_with("/rescue-1"), "{rescue}");
    assert_eq!((state(&workspace), files(folder)), before);
    assert_eq!(bench.repo.git(&["show", &format!("{rescue}:unsaved")]), "precious");
    bench.repo.git(&["merge-base", "--is-ancestor", &lost, &rescue]);
    let again = bench.folders.restore(session(1), &workspace, &commit).await.expect("restored");
    assert_eq!(again, None, "nothing is unsaved now");
}

#[tokio::test]
async fn what_was_only_staged_is_rescued_too() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    let commit = bench.checkpoint(1, &workspace).await;
    write(&at(&workspace, "a.txt"), b"only in the index\n");
    git(workspace.path.as_ref(), &["add", "a.txt"]);
    write(&at(&workspace, "a.txt"), b"one\n");
    let rescue = bench.folders.restore(session(1), &workspace, &commit).await.expect("restored");
    let rescue = rescue.expect("there was staged work");
    let staged = bench.repo.git(&["show", &format!("{rescue}^2:a.txt")]);
    assert_eq!(staged, "only in the index");
}

#[tokio::test]
async fn an_ignored_file_in_the_way_is_rescued() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "notes"), b"saved");
    let commit = bench.checkpoint(1, &workspace).await;
    std::fs::remove_file(at(&workspace, "notes")).expect("removed");
    write(&at(&workspace, ".gitignore"), b"notes\n");
    bench.checkpoint(1, &workspace).await;
    write(&at(&workspace, "notes"), b"ignored but mine");
    let rescue = bench.folders.restore(session(1), &workspace, &commit).await.expect("restored");
    let rescue = rescue.expect("the ignored file would be overwritten");
    assert_eq!(bench.repo.git(&["show", &format!("{rescue}:notes")]), "ignored but mine");
    assert_eq!(std::fs::read(at(&workspace, "notes")).expect("there"), b"saved");
}

#[tokio::test]
async fn an_ignored_folder_in_the_way_is_rescued() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "notes"), b"saved");
    let commit = bench.checkpoint(1, &workspace).await;
    std::fs::remove_file(at(&workspace, "notes")).expect("removed");
    write(&at(&workspace, ".gitignore"), b"notes\n");
    write(&at(&workspace, "notes/deep/file"), b"ignored but mine");
    let rescue = bench.folders.restore(session(1), &workspace, &commit).await.expect("restored");
    let rescue = rescue.expect("the ignored folder would be removed");
    let kept = bench.repo.git(&["show", &format!("{rescue}:notes/deep/file")]);
    assert_eq!(kept, "ignored but mine");
    assert_eq!(std::fs::read(at(&workspace, "notes")).expect("there"), b"saved");
}

#[tokio::test]
async fn only_commits_can_be_restored() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    for wrong in ["HEAD", "--all", "0000000000000000000000000000000000000000"] {
        bench.folders.restore(session(1), &workspace, wrong).await.expect_err(wrong);
    }
}
