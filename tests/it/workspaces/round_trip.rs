//! Random edits: a checkpoint gives back every byte, and a removal loses none.

use std::path::Path;

use orchestrator::application::ports::workspaces::{Removal, Workspaces};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::bench::{Bench, session};
use crate::support::repo::{files, git, write};

/// Something that an agent may do to its files.
#[derive(Debug, Clone)]
enum Edit {
    Write(String, Vec<u8>),
    Link(String, String),
    Runnable(String),
    Remove(String),
    Stage,
    Commit,
}

const NAMES: [&str; 8] = ["a", "b c", "dir", "dir/x", "dir/y\nz", "deep/er/f", "deep", "ü"];

fn edit() -> impl Strategy<Value = Edit> {
    let name = || prop::sample::select(&NAMES[..]).prop_map(str::to_owned);
    let bytes = prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        5 => (name(), bytes).prop_map(|(name, bytes)| Edit::Write(name, bytes)),
        1 => (name(), name()).prop_map(|(name, to)| Edit::Link(name, to)),
        1 => name().prop_map(Edit::Runnable),
        2 => name().prop_map(Edit::Remove),
        1 => Just(Edit::Stage),
        1 => Just(Edit::Commit),
    ]
}

fn clear(path: &Path) {
    match std::fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => std::fs::remove_dir_all(path).expect("removed"),
        Ok(_) => std::fs::remove_file(path).expect("removed"),
        Err(_) => {}
    }
}

/// Makes room: parents become folders, whatever they were.
fn make_room(folder: &Path, path: &Path) {
    for parent in path.ancestors().skip(1).take_while(|parent| *parent != folder) {
        if std::fs::symlink_metadata(parent).is_ok_and(|about| !about.is_dir()) {
            clear(parent);
        }
    }
    clear(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
}

fn apply(folder: &Path, edit: &Edit) {
    match edit {
        Edit::Write(name, bytes) => {
            make_room(folder, &folder.join(name));
            write(&folder.join(name), bytes);
        }
        Edit::Link(name, to) => {
            make_room(folder, &folder.join(name));
            std::os::unix::fs::symlink(to, folder.join(name)).expect("a link");
        }
        Edit::Runnable(name) => {
            let path = folder.join(name);
            if std::fs::symlink_metadata(&path).is_ok_and(|about| about.is_file()) {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                std::fs::set_permissions(&path, mode).expect("set");
            }
        }
        Edit::Remove(name) => clear(&folder.join(name)),
        Edit::Stage => drop(git(folder, &["add", "-A"])),
        Edit::Commit => {
            let who = ["-c", "user.name=x", "-c", "user.email=x"];
            let what = ["commit", "-q", "--allow-empty", "-am", "by the agent"];
            git(folder, &[&who[..], &what[..]].concat());
        }
    }
}

fn apply_all(folder: &Path, edits: &[Edit]) {
    for edit in edits {
        apply(folder, edit);
    }
}

async fn round_trip(first: &[Edit], second: &[Edit]) {
    let bench = Bench::new(&[("a", "1"), ("dir/x", "2"), ("deep/er/f", "3")]);
    let workspace = bench.prepare(1).await;
    let folder = Path::new(&workspace.path);
    apply_all(folder, first);
    let commit = bench.checkpoint(1, &workspace).await;
    let saved = files(folder);
    apply_all(folder, second);
    let unsaved = files(folder);
    let rescue = bench.folders.restore(session(1), &workspace, &commit).await.expect("restored");
    assert_eq!(files(folder), saved, "every byte is back");
    if let Some(rescue) = rescue {
        let kept = bench.repo.git(&["rev-parse", &rescue]);
        bench.folders.restore(session(1), &workspace, &kept).await.expect("restored");
        assert_eq!(files(folder), unsaved, "the rescue holds what was undone");
    } else {
        apply_all(folder, second);
    }
    let last = files(folder);
    let removal = bench.folders.remove(session(1), &workspace).await.expect("an answer");
    assert!(matches!(removal, Removal::Removed | Removal::Rescued { .. }), "{removal:?}");
    // git's own cleaning takes what no ref holds.
    bench.repo.git(&["reflog", "expire", "--expire=now", "--all"]);
    bench.repo.git(&["gc", "-q", "--prune=now"]);
    let kept = bench.repo.git(&["rev-list", "--objects", "--all"]);
    for (name, (kind, bytes)) in last {
        bench.repo.write("../probe", &bytes);
        let blob = bench.repo.git(&["hash-object", "--no-filters", "../probe"]);
        assert!(kept.contains(&blob), "{kind} {} is lost", String::from_utf8_lossy(&name));
    }
}

#[test]
fn random_work_survives_restore_and_removal() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = Config { cases: 12, failure_persistence: None, ..Config::default() };
    let edits = || prop::collection::vec(edit(), 0..12);
    TestRunner::new(config)
        .run(&(edits(), edits()), |(first, second)| {
            runtime.block_on(round_trip(&first, &second));
            Ok(())
        })
        .expect("nothing is lost");
}
