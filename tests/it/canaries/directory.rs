//! The data directory is private: what is made in it is for its owner alone, and one that others could
//! have changed is refused.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::json;

use crate::support::repo::TestRepo;
use crate::support::server::{Site, text};

fn change(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("changed");
}

/// Everything below a folder that others could read or write, but for what git keeps of the user's.
fn open_to_others(root: &Path) -> Vec<String> {
    let mut open = Vec::new();
    let facts = std::fs::symlink_metadata(root).expect("there");
    if facts.mode() & 0o077 != 0 && !facts.is_symlink() {
        open.push(format!("{} {:o}", root.display(), facts.mode() & 0o777));
    }
    if facts.is_dir() && !root.ends_with("workspaces") {
        for entry in std::fs::read_dir(root).expect("a folder").flatten() {
            open.extend(open_to_others(&entry.path()));
        }
    }
    open
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_makes_is_for_its_owner_alone() {
    let (site, repo) = (Site::simulated(), TestRepo::with(&[("a", "b")]));
    let server = site.serve().await;
    let body = json!({ "initial_prompt": "x", "start": true,
        "workspace": { "kind": "git", "repo": repo.text() } });
    let made = server.post("sessions", body).await;
    server.until_status(text(&made["id"]), "completed").await;
    server.post("webhooks", json!({ "url": "http://127.0.0.1:9/" })).await;
    let open = open_to_others(&site.data());
    assert!(open.is_empty(), "{open:#?}");
    let names = std::fs::read_dir(site.data()).expect("a folder").count();
    assert!(names >= 3, "it was looked at");
    server.stop().await;
}

async fn refused(site: &Site, what: &str) {
    for arguments in [vec!["serve"], vec!["serve", "--store", "memory:"]] {
        if arguments.len() > 1 && what != "data" {
            continue;
        }
        let ended = site.cli(&arguments).await;
        assert_eq!(ended.exit, 77, "{what} {arguments:?}: {ended:?}");
        assert!(ended.err.contains(what), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_or_key_that_others_could_change_is_refused() {
    let site = Site::simulated();
    site.serve().await.stop().await;
    for mode in [0o770, 0o720, 0o702, 0o777] {
        change(&site.data(), mode);
        refused(&site, "data").await;
    }
    change(&site.data(), 0o700);
    let key = site.data().join("seal.key");
    for mode in [0o640, 0o604, 0o660] {
        change(&key, mode);
        refused(&site, "seal.key").await;
    }
    change(&key, 0o600);
    let key = site.data().join("admin.key");
    std::fs::write(&key, "iok_left").expect("written");
    for mode in [0o640, 0o604, 0o666] {
        change(&key, mode);
        refused(&site, "admin.key").await;
    }
    std::fs::remove_file(&key).expect("removed");
    // Nobody could have changed this one; from now on nobody looks into it either.
    change(&site.data(), 0o755);
    site.serve().await.stop().await;
    let mode = std::fs::metadata(site.data()).expect("there").mode() & 0o777;
    assert_eq!(mode, 0o700, "{mode:03o}");
}
