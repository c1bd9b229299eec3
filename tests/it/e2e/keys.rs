//! Tenants and keys from the shell, with the real binary.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::{array, text};
use crate::support::server::{Finished, Server, Site};

/// Runs a command that must succeed; its JSON.
async fn told(site: &Site, words: &[&str]) -> Value {
    let done = site.cli(&[&["--json"], words].concat()).await;
    assert_eq!(done.exit, 0, "{words:?}: {done:?}");
    serde_json::from_str(&done.out).unwrap_or_default()
}

/// As whoever holds this key, who names no tenant.
async fn by(site: &Site, server: &Server, key: &str, words: &[&str]) -> Finished {
    site.cli(&[&["--url", &server.api.url, "--key", key], words].concat()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_team_gets_a_tenant_and_a_key_and_loses_them_again() {
    let site = Site::simulated();
    let mut server = site.serve().await;
    let made = told(
        &site,
        &["tenant", "create", "acme", "--name", "Acme", "--quota", "max_queue_depth=5"],
    )
    .await;
    assert_eq!((text(&made["slug"]), text(&made["name"])), ("acme", "Acme"));
    let key = told(&site, &["--tenant", "acme", "key", "create", "lead", "--role", "lead"]).await;
    let (id, secret) = (text(&key["id"]), text(&key["secret"]));
    // The key says which tenant.
    let who = by(&site, &server, secret, &["whoami"]).await;
    assert!(who.exit == 0 && who.out.contains("lead"), "{who:?}");
    let begun =
        by(&site, &server, secret, &["--json", "session", "create", "hello", "--start"]).await;
    assert_eq!(begun.exit, 0, "{begun:?}");
    let begun: Value = serde_json::from_str(&begun.out).expect("JSON");
    assert_eq!(begun["tenant_id"], made["id"]);
    server.api.of("acme").until_status(text(&begun["id"]), "completed").await;
    let own = told(&site, &["session", "list"]).await;
    assert!(array(&own["items"]).is_empty(), "the first tenant has none: {own:#}");
    let refused = by(&site, &server, secret, &["key", "list"]).await;
    assert!(refused.exit == 77 && refused.err.contains("admin"), "{refused:?}");
    // All of it is there after a kill, the secret nowhere.
    server.kill().await;
    server = site.serve().await;
    assert_eq!(by(&site, &server, secret, &["whoami"]).await.exit, 0);
    let held = held_by(&site, secret);
    assert_eq!(held, [""; 0], "the secret in clear");
    let off = site.cli(&["tenant", "deactivate", "acme"]).await;
    assert_eq!(off.exit, 0, "{off:?}");
    let gone = by(&site, &server, secret, &["session", "list"]).await;
    assert!(gone.exit == 1 && gone.err.contains("no such tenant"), "{gone:?}");
    let listed = site.cli(&["tenant", "list"]).await;
    assert!(listed.out.contains("inactive"), "{listed:?}");
    assert_eq!(site.cli(&["tenant", "activate", "acme"]).await.exit, 0);
    assert_eq!(by(&site, &server, secret, &["session", "list"]).await.exit, 0);
    let revoked = site.cli(&["--tenant", "acme", "key", "revoke", id]).await;
    assert_eq!(revoked.exit, 0, "{revoked:?}");
    let out = by(&site, &server, secret, &["session", "list"]).await;
    assert!(out.exit != 0 && out.err.contains("valid API key"), "{out:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_in_a_tenant_that_is_switched_off_is_paused_and_goes_on_later() {
    let site = Site::simulated();
    let server = site.serve().await;
    told(&site, &["tenant", "create", "acme"]).await;
    let acme = server.api.of("acme");
    let work = json!([{ "hang": true }]);
    let body = json!({ "initial_prompt": super::plays(&work), "start": true });
    let id = text(&acme.post("sessions", body).await["id"]).to_owned();
    acme.until_status(&id, "running").await;
    assert_eq!(site.cli(&["tenant", "deactivate", "acme"]).await.exit, 0);
    let is_idle = async || server.get("system/info").await["executing_sessions"] == 0;
    super::eventually("nothing executes", is_idle).await;
    assert_eq!(site.cli(&["tenant", "activate", "acme"]).await.exit, 0);
    assert_eq!(acme.session(&id).await["status"], "paused");
    acme.post(&format!("sessions/{id}/stop"), json!({})).await;
    acme.until_status(&id, "stopped").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_is_exported_and_every_change_of_the_file_is_found() {
    let site = Site::simulated();
    let server = site.serve().await;
    for number in 0..30 {
        let body = json!({ "initial_prompt": format!("{number}"), "title": format!("t{number}") });
        let id = text(&server.post("sessions", body).await["id"]).to_owned();
        server.post(&format!("sessions/{id}/cancel"), json!({ "reason": "changed my mind" })).await;
    }
    let file = site.root().join("audit.jsonl");
    let path = file.to_str().expect("UTF-8");
    let done = site.cli(&["audit", "export", path]).await;
    assert_eq!(done.exit, 0, "{done:?}");
    let verdict = told(&site, &["audit", "verify"]).await;
    let head = text(&verdict["head"]).to_owned();
    server.stop().await;
    // Without a server, from the file alone.
    let whole = told(&site, &["audit", "verify", "--file", path, "--head", &head]).await;
    assert_eq!(whole, verdict);
    let bytes = std::fs::read(&file).expect("readable");
    let mut chance = StdRng::seed_from_u64(7);
    let changed = site.root().join("changed.jsonl");
    let path = changed.to_str().expect("UTF-8");
    for _ in 0..25 {
        let mut bytes = bytes.clone();
        let place = chance.random_range(0..bytes.len() - 1);
        let number = bytes[..place].split(|byte| *byte == b'\n').count();
        bytes[place] ^= 1 << chance.random_range(0..7);
        std::fs::write(&changed, &bytes).expect("written");
        let found = site.cli(&["audit", "verify", "--file", path]).await;
        assert_eq!(found.exit, 65, "byte {place}: {found:?}");
        assert!(found.err.contains(&format!("at entry {number}:")), "byte {place}: {found:?}");
    }
    let text = String::from_utf8(bytes.clone()).expect("UTF-8");
    let doubled = text.replacen("{\"", "{\"action\":\"forged\",\"", 1);
    std::fs::write(&changed, doubled).expect("written");
    let forged = site.cli(&["audit", "verify", "--file", path]).await;
    assert!(forged.exit == 65 && forged.err.contains("at entry 1:"), "{forged:?}");
    let end = bytes.len() * 2 / 3;
    let end = end + bytes[end..].iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    std::fs::write(&changed, &bytes[..end]).expect("written");
    let cut = site.cli(&["audit", "verify", "--file", path, "--head", &head]).await;
    assert_eq!(cut.exit, 65, "{cut:?}");
}

/// Files of a data directory that hold a text.
fn held_by(site: &Site, wanted: &str) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![site.data()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable").flatten() {
            let (path, kind) = (entry.path(), entry.file_type().expect("a type"));
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() {
                let bytes = std::fs::read(&path).expect("readable");
                let has = bytes.windows(wanted.len()).any(|part| part == wanted.as_bytes());
                found.extend(has.then(|| path.display().to_string()));
            }
        }
    }
    found
}
