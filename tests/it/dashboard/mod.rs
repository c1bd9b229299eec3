//! The control room, walked through by a real Chromium against the real executable.
//!
//! Each journey is a file of its own in `web/e2e/journeys`, which says what somebody does and what they
//! must see; whatever the journey is, no page may fail, break its policy, or ask anybody but its server.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Longest time of one journey.
const PATIENCE: Duration = Duration::from_secs(170);

/// What a journey came to.
#[derive(Deserialize)]
struct Told {
    /// Why it did not come to its end.
    failed: Option<String>,
    /// What went wrong on a page besides.
    wrong: Vec<String>,
}

/// Where pictures are left for people to look at.
fn screenshots() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_orchestrator"));
    let folder = binary.ancestors().nth(2).expect("a folder").join("screenshots");
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join("chromium"));
    places.find(|place| place.exists()).expect("run tests/tools/prepare.sh first: no chromium")
}

async fn walk(journey: &str, more: Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    let driver = folder.join("node_modules/playwright-core");
    assert!(driver.exists(), "run tests/tools/install-web.sh first");
    let mut given = json!({
        "journey": journey, "binary": env!("CARGO_BIN_EXE_orchestrator"),
        "chromium": chromium(), "screenshots": screenshots(),
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        given[name] = value.clone();
    }
    let home = tempfile::tempdir().expect("a folder");
    let mut child = Command::new("node")
        .arg(folder.join("e2e/run.mjs"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .env("TMPDIR", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(given.to_string().as_bytes()).await.expect("written");
    drop(stdin);
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let ended = ended.expect("the journey ends in time").expect("it ran");
    let said = String::from_utf8_lossy(&ended.stderr);
    let told: Told = serde_json::from_slice(&ended.stdout)
        .unwrap_or_else(|error| panic!("the journey told nothing ({error}): {said}"));
    if let Some(failed) = told.failed {
        panic!("{failed}\n{:#?}", told.wrong);
    }
    assert_eq!(told.wrong, Vec::<String>::new());
}

#[tokio::test]
async fn the_first_minute_shows_everything_alive_and_labelled() {
    walk("first-minute", json!({})).await;
}

#[tokio::test]
async fn a_piece_of_work_is_made_watched_allowed_compared_and_merged() {
    walk("piece-of-work", json!({})).await;
}

#[tokio::test]
async fn a_server_that_was_killed_comes_back_with_each_event_once() {
    walk("reconnect", json!({})).await;
}

#[tokio::test]
async fn a_tenant_sees_nothing_of_another_one() {
    walk("tenants", json!({})).await;
}

#[tokio::test]
async fn a_viewer_sees_no_command() {
    walk("viewer", json!({})).await;
}

#[tokio::test]
async fn all_of_it_goes_without_a_mouse() {
    walk("keyboard", json!({})).await;
}

#[tokio::test]
async fn what_is_shared_is_compared_decided_and_taken_away() {
    walk("shared", json!({})).await;
}

#[tokio::test]
async fn what_is_kept_up_is_set_logged_and_carried_away() {
    walk("upkeep", json!({})).await;
}

#[tokio::test]
async fn no_dark_page_keeps_anybody_out() {
    walk("every-page", json!({ "theme": "dark" })).await;
}

#[tokio::test]
async fn no_light_page_keeps_anybody_out() {
    walk("every-page", json!({ "theme": "light" })).await;
}

#[tokio::test]
async fn no_page_is_cut_off_on_a_small_screen() {
    walk("every-page", json!({ "theme": "narrow" })).await;
}
