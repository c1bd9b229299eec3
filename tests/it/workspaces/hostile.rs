//! A repository that wants to run programs, and a user who wants theirs left alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::ports::workspaces::{DiffEnd, MergeMode, Workspaces};

use orchestrator::domain::time::Timestamp;
use orchestrator::domain::workspace::WorkspaceSpec;
use orchestrator::infrastructure::clock::ManualClock;
use orchestrator::infrastructure::ids::SystemIds;
use orchestrator::infrastructure::workspaces::{Folders, WorkspaceOptions};

use super::bench::{Bench, at, session};
use crate::support::repo::{TestRepo, files, git, try_git, write};

/// Does everything that there is to do with a workspace.
async fn use_all(bench: &Bench) {
    bench.folders.check(&bench.spec()).await.expect("fine");
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a.txt"), b"changed\n");
    write(&at(&workspace, "new.txt"), b"new\n");
    let commit = bench.checkpoint(1, &workspace).await;
    bench.folders.diff(&workspace, DiffEnd::WorkingTree).await.expect("compared");
    write(&at(&workspace, "a.txt"), b"changed again\n");
    bench.folders.restore(session(1), &workspace, &commit).await.expect("restored");
    for mode in [MergeMode::Patch, MergeMode::Merge] {
        bench.folders.merge(session(1), &workspace, mode, "Merge").await.expect("merged");
    }
    write(&at(&workspace, "late.txt"), b"late\n");
    bench.folders.remove(session(1), &workspace).await.expect("removed");
}

#[tokio::test]
async fn no_setting_hook_or_attribute_runs_a_program() {
    let repo = TestRepo::with(&[
        ("a.txt", "one\n"),
        (".gitattributes", "* filter=evil diff=evil merge=evil\n"),
        (
            ".gitmodules",
            "[submodule \"s\"]\n\tpath = s\n\turl = ext::sh -c touch% pwned\n\tupdate = !touch pwned\n",
        ),
    ]);
    let marker = repo.path().with_file_name("pwned");
    let evil = format!("touch {}", marker.display());
    for hook in
        ["post-checkout", "pre-commit", "reference-transaction", "post-index-change", "post-merge"]
    {
        let path = repo.path().join(".git/hooks").join(hook);
        write(&path, format!("#!/bin/sh\n{evil}\n").as_bytes());
        let runnable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, runnable).expect("set");
    }
    let settings = [
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.editor",
        "core.askPass",
        "core.gitProxy",
        "core.alternateRefsCommand",
        "gpg.program",
        "diff.external",
        "diff.evil.command",
        "diff.evil.textconv",
        "merge.evil.driver",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "filter.a=b.c.clean",
        "credential.helper",
        "remote.origin.uploadpack",
        "hook.evil.command",
    ];
    // A second file of settings, which only counts inside worktrees.
    let included = repo.path().join(".git/more");
    write(&included, b"");
    repo.git(&[
        "config",
        "includeIf.gitdir:**/worktrees/**.path",
        included.to_str().expect("UTF-8"),
    ]);
    for setting in settings {
        let file = included.to_str().expect("UTF-8");
        repo.git(&["config", "--file", file, setting, &evil]);
        repo.git(&["config", setting, &evil]);
    }
    for (setting, value) in [
        ("filter.a=b.c.required", "true"),
        ("commit.gpgSign", "true"),
        ("merge.verifySignatures", "true"),
        ("submodule.recurse", "true"),
        ("protocol.ext.allow", "always"),
        ("remote.origin.url", &format!("ext::{evil}")),
        ("remote.origin.promisor", "true"),
        ("hook.evil.event", "post-checkout"),
        ("core.hooksPath", ".git/hooks"),
        ("core.attributesFile", "/dev/null"),
    ] {
        repo.git(&["config", setting, value]);
    }
    assert!(!marker.exists(), "only the orchestrator is on trial");
    let bench = Bench::over(repo);
    use_all(&bench).await;
    // A filter that must not be left out is a reason to refuse, and does not run for that.
    bench.repo.git(&["config", "filter.evil.required", "true"]);
    let workspace = bench.prepare(2).await;
    write(&at(&workspace, "new.txt"), b"newer\n");
    let refused = bench.folders.merge(session(2), &workspace, MergeMode::Merge, "Merge").await;
    assert!(refused.expect_err("a filter is left out").to_string().contains("`evil`"));
    assert!(!marker.exists(), "a program of the repository ran");
    // The trap does work: the user's own git falls into it.
    drop(try_git(bench.repo.path(), &["add", "-A"]));
    assert!(marker.exists(), "the test must be able to fail");
}

#[tokio::test]
async fn a_nested_repository_runs_nothing_either() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    let marker = bench.repo.path().with_file_name("pwned");
    let evil = format!("touch {}", marker.display());
    let nested = at(&workspace, "nested");
    write(&nested.join("f"), b"1");
    write(&nested.join(".gitattributes"), b"* filter=evil\n");
    git(&nested, &["init", "-q"]);
    git(&nested, &["add", "-A"]);
    git(&nested, &["-c", "user.name=x", "-c", "user.email=x", "commit", "-qm", "x"]);
    git(workspace.path.as_ref(), &["add", "nested"]);
    git(
        workspace.path.as_ref(),
        &["-c", "user.name=x", "-c", "user.email=x", "commit", "-qm", "link"],
    );
    git(&nested, &["config", "filter.evil.clean", &evil]);
    git(&nested, &["config", "core.fsmonitor", &evil]);
    write(&nested.join("f"), b"22");
    bench.checkpoint(1, &workspace).await;
    bench.folders.diff(&workspace, DiffEnd::WorkingTree).await.expect("compared");
    assert!(!marker.exists(), "a program of the nested repository ran");
}

#[tokio::test]
async fn a_worktree_whose_link_was_changed_leads_nowhere_else() {
    let bench = Bench::new(&[("a.txt", "one\n")]);
    let workspace = bench.prepare(1).await;
    let evil = TestRepo::with(&[("a.txt", "evil\n")]);
    let marker = evil.path().with_file_name("pwned");
    evil.git(&["config", "core.fsmonitor", &format!("touch {}", marker.display())]);
    std::fs::remove_file(at(&workspace, ".git")).expect("removed");
    std::os::unix::fs::symlink(evil.path().join(".git"), at(&workspace, ".git")).expect("a link");
    write(&at(&workspace, "a.txt"), b"two\n");
    let before = evil.git(&["for-each-ref"]);
    let commit = bench.checkpoint(1, &workspace).await;
    assert_eq!(bench.repo.git(&["show", &format!("{commit}:a.txt")]), "two");
    assert_eq!(evil.git(&["for-each-ref"]), before);
    bench.prepare(1).await;
    assert_eq!(
        git(workspace.path.as_ref(), &["rev-parse", "--abbrev-ref", "HEAD"]),
        "orchestrator/IND-000001"
    );
}

/// Bytes of everything that is the user's: settings, index, files, stash, refs that are not ours.
fn property(repo: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for name in ["config", "index", "HEAD", "info/exclude", "logs/refs/stash", "logs/HEAD"] {
        let bytes = std::fs::read(repo.join(".git").join(name)).unwrap_or_default();
        all.insert(name.to_owned(), bytes);
    }
    let refs = git(repo, &["for-each-ref", "--format=%(refname) %(objectname)"]);
    let refs: Vec<&str> = refs.lines().filter(|line| !line.contains("orchestrator/")).collect();
    all.insert("refs".to_owned(), refs.join("\n").into_bytes());
    all.insert("files".to_owned(), format!("{:?}", files(repo)).into_bytes());
    all
}

#[tokio::test]
async fn the_users_repository_is_as_it_was_but_for_our_refs() {
    let bench = Bench::new(&[("a.txt", "one\n"), ("b.txt", "one\n")]);
    bench.repo.write("a.txt", b"stashed\n");
    bench.repo.git(&["stash"]);
    bench.repo.write("a.txt", b"staged\n");
    bench.repo.git(&["add", "a.txt"]);
    bench.repo.write("b.txt", b"dirty\n");
    bench.repo.write("c.txt", b"untracked\n");
    bench.repo.git(&["config", "branch.autoSetupMerge", "always"]);
    let before = property(bench.repo.path());
    let workspace = bench.prepare(1).await;
    write(&at(&workspace, "a.txt"), b"agent\n");
    let commit = bench.checkpoint(1, &workspace).await;
    bench.folders.diff(&workspace, DiffEnd::WorkingTree).await.expect("compared");
    write(&at(&workspace, "b.txt"), b"agent\n");
    bench.folders.restore(session(1), &workspace, &commit).await.expect("restored");
    bench.folders.merge(session(1), &workspace, MergeMode::Patch, "m").await.expect("exported");
    bench.folders.merge(session(1), &workspace, MergeMode::Merge, "m").await.expect_err("dirty");
    bench.folders.remove(session(1), &workspace).await.expect("removed");
    // The index may get fresher times, as `git status` writes them too; its entries may not change.
    let after = property(bench.repo.path());
    for (name, bytes) in before.iter().filter(|(name, _)| *name != "index") {
        assert_eq!(after[name], *bytes, "{name}");
    }
    assert_eq!(bench.repo.git(&["status", "--porcelain"]), "M  a.txt\n M b.txt\n?? c.txt");
}

#[tokio::test]
async fn a_git_that_hangs_is_ended_with_its_children() {
    let data = tempfile::tempdir().expect("a folder");
    let repo = TestRepo::with(&[("a.txt", "one\n")]);
    let (program, pid_file) = (data.path().join("slow"), data.path().join("pid"));
    let script = format!("#!/bin/sh\nsleep 1000 &\necho $! > {}\nwait\n", pid_file.display());
    write(&program, script.as_bytes());
    let runnable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, runnable).expect("set");
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let shared: Arc<ManualClock> = Arc::clone(&clock);
    let options = WorkspaceOptions {
        root: data.path().join("data/workspaces"),
        closed: Vec::new(),
        allowed_roots: Vec::new(),
        git: program,
    };
    let folders = Folders::new(options, shared, Arc::new(SystemIds));
    let spec = WorkspaceSpec::Git { repo: repo.text(), base_ref: "HEAD".to_owned(), branch: None };
    let read_pid = || std::fs::read_to_string(&pid_file).ok().filter(|pid| pid.ends_with('\n'));
    let pass_time = async {
        while read_pid().is_none() || clock.next_wake().is_none() {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_hours(1));
    };
    let (checked, ()) = tokio::join!(folders.check(&spec), pass_time);
    let error = checked.expect_err("it hangs").to_string();
    assert!(error.contains("took too long"), "{error}");
    let stat = format!("/proc/{}/stat", read_pid().expect("started").trim());
    let deadline = Duration::from_secs(20);
    let gone = async {
        // A zombie has ended too.
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(deadline, gone).await.expect("the child is ended");
}
