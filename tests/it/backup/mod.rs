//! Backups of real servers, and what becomes of them: put back, cut off, flipped, forged.

mod cut_off;
mod hostile;
mod online;
mod portable;
mod rules;
pub(crate) mod upgrade;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::server::{Api, Finished, Site, text};

/// Whether the long version was asked for.
#[expect(clippy::disallowed_methods, reason = "tests have no settings")]
fn is_deep() -> bool {
    std::env::var("ORCHESTRATOR_DEEP").is_ok()
}

/// A site that lets many write, with the simulated agent.
fn busy_site() -> Site {
    Site::simulated()
        .with("AGENTS__SIMULATED__LATENCY_MS", "2")
        .with("SERVER__REQUESTS_PER_SECOND", "0")
        .with("SERVER__REQUEST_BURST", "100000")
}

/// A backup of a site; its file is in the site's folder.
async fn back_up(site: &Site, name: &str) -> PathBuf {
    let file = site.root().join(name);
    let done = site.cli(&["backup", path(&file), "--json"]).await;
    assert_eq!(done.exit, 0, "{done:?}");
    let told: Value = serde_json::from_str(&done.out).expect("JSON");
    assert_eq!(told["manifest"]["format"], json!(1), "{told:#}");
    file
}

/// Puts a backup into the data directory of a site.
async fn restored(site: &Site, file: &Path) -> Finished {
    site.cli(&["restore", path(file), "--json"]).await
}

fn path(file: &Path) -> &str {
    file.to_str().expect("UTF-8")
}

/// A site on which a few sessions were worked on, and that is at rest.
async fn used_site() -> Site {
    let site = Site::simulated();
    let server = site.serve().await;
    for number in 0..3 {
        worked_on(&server.api, &format!("number {number}")).await;
    }
    server.stop().await;
    site
}

/// A session of these words, done.
async fn worked_on(api: &Api, words: &str) -> String {
    let body = json!({ "title": words, "initial_prompt": words, "start": true });
    let id = text(&api.post("sessions", body).await["id"]).to_owned();
    api.until_status(&id, "completed").await;
    id
}

/// Names of the files in a folder, but for those that any server leaves.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("store.redb") || name.starts_with('.'))
        .collect();
    names.sort();
    names
}
