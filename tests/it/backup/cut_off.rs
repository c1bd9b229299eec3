//! Commands that are ended at any moment, and disks that are full.

use std::process::Stdio;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{back_up, files, is_deep, path, restored, used_site};
use crate::support::server::{Site, finish};

const SEED: u64 = 20_261_121;

/// Runs a command and kills it at this moment.
async fn killed(site: &Site, arguments: &[&str], after: Duration) {
    let mut command = site.command(arguments);
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the executable starts");
    // The moment is what is tested: nothing is waited for.
    tokio::time::sleep(after).await;
    child.kill().await.expect("it is ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_killed_leaves_nothing_with_its_name() {
    let site = used_site().await;
    let server = site.serve().await;
    let mut chance = StdRng::seed_from_u64(SEED);
    let file = site.root().join("killed.tar.zst");
    for _ in 0..if is_deep() { 200 } else { 15 } {
        let moment = Duration::from_millis(chance.random_range(1..250));
        killed(&site, &["backup", path(&file)], moment).await;
        if file.exists() {
            let done = site.cli(&["backup", "--verify", path(&file)]).await;
            assert_eq!(done.exit, 0, "it has its name and is not whole: {done:?}");
            std::fs::remove_file(&file).expect("removed");
        }
    }
    back_up(&site, "killed.tar.zst").await;
    assert_eq!(files(site.root()), [""; 0], "the next one takes over what was left");
    server.kill().await;
    assert_eq!(files(&site.data()), ["store.redb"], "nothing of a copy is left");
    site.keeps_invariants().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_while_it_copies_leaves_nothing() {
    let site = used_site().await;
    let mut chance = StdRng::seed_from_u64(SEED);
    let file = site.root().join("a.tar.zst");
    for _ in 0..if is_deep() { 50 } else { 5 } {
        let server = site.serve().await;
        let moment = Duration::from_millis(chance.random_range(20..250));
        let words = ["backup", path(&file), "--force"];
        let asked = site.cli(&words);
        let cut = async {
            tokio::time::sleep(moment).await;
            server.kill().await;
        };
        let (done, ()) = tokio::join!(asked, cut);
        assert_eq!(done.exit == 0, file.exists(), "{done:?}");
        assert_eq!(files(&site.data()), ["store.redb"]);
        assert_eq!(files(site.root()), [""; 0], "{done:?}");
        site.keeps_invariants().await;
        drop(std::fs::remove_file(&file));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_killed_leaves_a_whole_store_or_none() {
    let site = used_site().await;
    let file = back_up(&site, "a.tar.zst").await;
    let mut chance = StdRng::seed_from_u64(SEED);
    let (mut none, mut whole) = (0, 0);
    // What is late for a fast machine is early for a slow one: the moments go where both happen.
    let mut longest = 250;
    for _ in 0..if is_deep() { 200 } else { 15 } {
        let other = Site::simulated();
        let moment = Duration::from_millis(chance.random_range(1..longest));
        killed(&other, &["restore", path(&file)], moment).await;
        let is_whole = other.data().join("store.redb").exists();
        longest = if is_whole { (longest * 2 / 3).max(4) } else { longest * 3 / 2 };
        if other.data().join("store.redb").exists() {
            whole += 1;
            let refused = restored(&other, &file).await;
            assert_eq!(refused.exit, 1, "{refused:?}");
        } else {
            none += 1;
            let done = restored(&other, &file).await;
            assert_eq!(done.exit, 0, "{done:?}");
        }
        other.keeps_invariants().await;
        assert_eq!(files(&other.data()), ["store.redb"]);
    }
    assert!(none > 0, "the moments are too late: {whole} were whole");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_is_told_and_nothing_is_left() {
    let site = used_site().await;
    let server = site.serve().await;
    let file = site.root().join("full.tar.zst");
    // Files of this process may have 4 KiB; a write beyond it fails as on a full disk.
    let script = format!(
        "trap '' XFSZ; ulimit -f 4; exec {} backup {}",
        env!("CARGO_BIN_EXE_orchestrator"),
        path(&file)
    );
    let own = site.command(&[]);
    let mut command = tokio::process::Command::new("bash");
    command.args(["-c", &script]).env_clear();
    for (name, value) in own.as_std().get_envs() {
        command.env(name, value.expect("a value"));
    }
    let done = finish(command).await;
    assert_eq!(done.exit, 1, "{done:?}");
    assert!(done.err.contains("could not be written"), "{done:?}");
    assert!(!file.exists());
    assert_eq!(files(site.root()), [""; 0]);
    back_up(&site, "full.tar.zst").await;
    server.stop().await;
}
