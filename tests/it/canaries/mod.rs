//! Secrets that are planted wherever anything comes in, and looked for wherever anything is kept or goes
//! out: in the log, the whole data directory, every answer of the server, and its problem documents.
//!
//! Invariant: the search is proven each time by ordinary words that are planted in the same way and have
//! to be found.

mod child;
mod directory;
mod plant;
mod sealed;
mod search;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use self::plant::{Canary, Nursery, plant};
use self::search::Search;
use crate::support::repo::TestRepo;
use crate::support::server::{ADMIN_KEY, Server, Site, array, text};

/// A word that nothing is to hide.
const ORDINARY: &str = "marmalade-sandwich-forenoon";

/// Rounds of planting: one as a rule, more in long runs.
fn rounds() -> usize {
    if std::env::var_os("ORCHESTRATOR_DEEP").is_some() { 13 } else { 1 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_secrets_are_found_nowhere_in_the_clear() {
    let mut nursery = Nursery::default();
    let of_environment = nursery.words("the environment of the server");
    let site = Site::simulated()
        .with("LOG__FILTER", "debug")
        .with("SERVER__REQUESTS_PER_SECOND", "0")
        .with("SERVER__REQUEST_BURST", "100000")
        .with_variable("LAB_API_TOKEN", &of_environment.value);
    let mut canaries = vec![of_environment];
    canaries.push(Canary::known("the administrator's key", ADMIN_KEY));
    let server = site.serve().await;
    server.lift_quotas().await;
    for _ in 0..rounds() {
        let repo = repository(&mut nursery, &mut canaries);
        plant(&server, &repo, &mut nursery, &mut canaries).await;
    }
    let control =
        json!({ "initial_prompt": "x", "title": ORDINARY, "metadata": { ORDINARY: ORDINARY } });
    server.post("sessions", control).await;
    let wanted = if rounds() > 1 { 500 } else { 50 };
    assert!(canaries.len() >= wanted, "{} planted", canaries.len());

    let mut search = Search::new(&canaries, ORDINARY);
    let shown = answers(&server, &mut search).await;
    assert!(shown > 40, "{shown} answers were read");
    server.stop().await;
    search.look_in("the log", site.log().as_bytes());
    let log = search.controls();
    let files = folder(&site.data(), &mut search);
    assert!(files >= 2, "{files} files were searched");
    let missed = search.found();
    assert!(missed.is_empty(), "{} of {}:\n{}", missed.len(), canaries.len(), missed.join("\n"));
    let controls = search.controls();
    assert!(controls.iter().any(|place| place.ends_with("store.redb")), "{controls:?}");
    assert!(controls.iter().any(|place| place.contains("/sessions")), "{controls:?}");
    assert!(log.len() <= controls.len() && site.log().contains("answered"), "the log was written");
    let kinds: BTreeSet<&str> = canaries.iter().map(|canary| canary.place).collect();
    assert!(kinds.len() >= 30, "{kinds:?}");
}

/// A repository with secrets of its own, in a file and in the address of its remote.
fn repository(nursery: &mut Nursery, canaries: &mut Vec<Canary>) -> TestRepo {
    let printed = nursery.of("what a gate prints");
    let repo = TestRepo::with(&[("secrets.env", &format!("{}\n", printed.text))]);
    let remote = nursery.words("the address of a remote");
    let address = format!("https://me:{}@127.0.0.1:1/x.git", remote.value);
    repo.git(&["remote", "add", "origin", &address]);
    canaries.extend([printed, remote]);
    repo
}

/// Reads everything that can be read; how many answers there were.
async fn answers(server: &Server, search: &mut Search) -> usize {
    let document = server.http.get(format!("{}/openapi.json", server.url)).send().await;
    let document: Value = document.expect("an answer").json().await.expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let known = |list: &str, name: &str| {
        let (list, name) = (list.to_owned(), name.to_owned());
        async move {
            let items = server.all(&list).await;
            items.iter().map(|item| text(&item[&name]).to_owned()).collect::<Vec<_>>()
        }
    };
    let sessions = known("sessions", "id").await;
    let keys = known("keys", "id").await;
    let webhooks = server.get("webhooks").await;
    let webhooks: Vec<String> =
        array(&webhooks["items"]).iter().map(|item| text(&item["id"]).to_owned()).collect();
    let items = known("attention", "id").await;
    let mut count = 0;
    for (path, item) in paths {
        let is_read = item.get("get").is_some() && !path.starts_with("/ws");
        if !is_read || path.contains("/diff") || path.starts_with("/docs") {
            continue;
        }
        let ids: &[String] = match path.split('/').nth(3) {
            Some("sessions") => &sessions,
            Some("webhooks") => &webhooks,
            Some("keys") => &keys,
            Some("attention") => &items,
            _ => &[],
        };
        let default = ["default".to_owned()];
        let ids = if path.contains("{id}") && !ids.is_empty() { ids } else { default.as_slice() };
        for id in ids {
            let place = path.replace("{id}", id).replace("{seq}", "1");
            for kind in ["application/json", "text/csv"] {
                count += 1;
                read(server, &format!("{place}{}", page(&place)), kind, search).await;
            }
        }
    }
    for page in array(&server.get("events?limit=200").await["items"]) {
        search.look_in("events", page.to_string().as_bytes());
    }
    count
}

fn page(path: &str) -> &'static str {
    let lists = ["/logs", "/transcript", "/events", "/audit", "/sessions"];
    if lists.iter().any(|end| path.ends_with(end)) { "?limit=200" } else { "" }
}

async fn read(server: &Server, path: &str, kind: &str, search: &mut Search) {
    let request = server.http.get(format!("{}{path}", server.url)).bearer_auth(ADMIN_KEY);
    let answer = request.header("X-Tenant-ID", "default").header("Accept", kind).send().await;
    let answer = answer.expect("an answer");
    let headers = format!("{:?}", answer.headers());
    let body = answer.bytes().await.expect("a body");
    search.look_in(&format!("GET {path}"), headers.as_bytes());
    search.look_in(&format!("GET {path}"), &body);
}

/// Searches every file of the data directory but the user's own, which lie in worktrees.
fn folder(root: &Path, search: &mut Search) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(root).expect("a folder").flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("a kind");
        search.look_in("names of files", path.as_os_str().as_encoded_bytes());
        if kind.is_dir() && !path.ends_with("workspaces") {
            count += folder(&path, search);
        } else if kind.is_file() {
            count += 1;
            let bytes = std::fs::read(&path).expect("readable");
            search.look_in(&path.display().to_string(), &bytes);
        }
    }
    count
}
