//! Secrets that are planted wherever anything comes in, and looked for wherever anything is kept or goes
//! out: in the log, the whole data directory, every answer of the server, its problem documents, what it
//! tells by itself, and what is carried away from it.
//!
//! Invariant: the search is proven each time, for each place, by an ordinary word that is planted in the
//! same way and has to be found.

mod carried;
mod child;
mod directory;
mod live;
mod plant;
mod sealed;
mod search;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use self::carried::{carry_away, upgraded};
use self::live::Listeners;
use self::plant::{Canary, Nursery, plant};
use self::search::Search;
use crate::support::repo::TestRepo;
use crate::support::server::{ADMIN_KEY, Server, Site, array, text};

/// A word that nothing is to hide.
const ORDINARY: &str = "marmalade-sandwich-forenoon";

/// Rounds of planting: one as a rule, more in long runs.
fn rounds() -> usize {
    if std::env::var_os("ORCHESTRATOR_DEEP").is_some() { 27 } else { 1 }
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
    let label = nursery.words("what a socket says of itself");
    let mut listeners = Listeners::open(&server, &label).await;
    canaries.push(label);
    for _ in 0..rounds() {
        let repo = repository(&mut nursery, &mut canaries);
        plant(&server, &repo, &mut nursery, &mut canaries).await;
    }
    let id = control(&server).await;
    listeners.follow_session(&server, &id).await;
    let reason = nursery.of("why a backup was made");
    canaries.push(reason.clone());
    let wanted = if rounds() > 1 { 1000 } else { 50 };
    assert!(canaries.len() >= wanted, "{} planted", canaries.len());

    let mut search = Search::new(&canaries, ORDINARY);
    let shown = answers(&server, &mut search).await;
    assert!(shown > 40, "{shown} answers were read");
    search.look_in("the ready line", server.ready.to_string().as_bytes());
    let mut places = carry_away(&server, &reason, &mut search).await;
    listeners.search(&server, ORDINARY, &mut search).await;
    places.extend(listeners.names().map(str::to_owned));
    folder(&site.data(), &mut search);
    server.stop().await;
    let kept = upgraded(&site).await;
    search.look_in("the log", site.log().as_bytes());
    let files = folder(&site.data(), &mut search);
    assert!(files >= 2, "{files} files were searched");
    let missed = search.found();
    assert!(missed.is_empty(), "{} of {}:\n{}", missed.len(), canaries.len(), missed.join("\n"));
    let controls = search.controls();
    for file in ["store.redb", "store.redb, unpacked", kept, &format!("{kept}, unpacked")] {
        places.push(site.data().join(file).display().to_string());
    }
    let answers = ["", "/{id}", "/{id}/events", "/{id}/logs", "/{id}/transcript"];
    places.extend(answers.map(|end| format!("GET /api/v1/sessions{}", end.replace("{id}", &id))));
    places.extend(["the log", "GET /api/v1/events", "GET /api/v1/audit"].map(str::to_owned));
    for place in &places {
        assert!(controls.contains(place), "nothing is found in {place}: {controls:#?}");
    }
    let kinds: BTreeSet<&str> = canaries.iter().map(|canary| canary.place).collect();
    assert!(kinds.len() >= 30, "{kinds:?}");
}

/// A session that is as ordinary as everything about it, in whatever is kept or told of one.
async fn control(server: &Server) -> String {
    let steps = json!([{ "say": format!("{ORDINARY} {}", "word ".repeat(2000)) },
        { "fail": { "type": "provider_error", "retryable": false, "message": ORDINARY } }]);
    let body = json!({ "initial_prompt": format!("Do this.\n```simulated\n{steps}\n```"),
        "start": true, "title": ORDINARY, "metadata": { ORDINARY: ORDINARY } });
    let id = text(&server.post("sessions", body).await["id"]).to_owned();
    server.until_status(&id, "failed").await;
    let other = server.post("sessions", json!({ "initial_prompt": "x" })).await;
    let cancel = format!("sessions/{}/cancel", text(&other["id"]));
    server.post(&cancel, json!({ "reason": ORDINARY })).await;
    server.refused("sessions", json!({ "initial_prompt": "x", ORDINARY: 1 }), 422).await;
    id
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
            for kind in ["application/json", "text/csv", "application/x-ndjson"] {
                count += 1;
                read(server, &format!("{place}{}", page(&place)), kind, search).await;
            }
        }
    }
    // These are longer than a page.
    for list in ["events", "audit"] {
        for item in server.all(list).await {
            search.look_in(&format!("GET /api/v1/{list}"), item.to_string().as_bytes());
        }
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
    let place = path.split('?').next().unwrap_or(path);
    search.look_in(&format!("GET {place}"), headers.as_bytes());
    search.look_in(&format!("GET {place}"), &body);
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
            // What is gone by now was in passing, as a note that was replaced.
            let bytes = std::fs::read(&path).unwrap_or_default();
            search.look_deep(&path.display().to_string(), &bytes);
        }
    }
    count
}
