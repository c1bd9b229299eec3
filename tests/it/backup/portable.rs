//! Exports: what stands in them, what does not, and the store that is made from one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use orchestrator::application::ports::store::{Outdated, Store as _};
use orchestrator::domain::ids::TenantId;
use serde_json::{Value, json};

use super::{files, path, used_site};
use crate::support::server::{ADMIN_KEY, Finished, Site, text};

/// An export of a site, as lines.
async fn exported(site: &Site, name: &str, more: &[&str]) -> (PathBuf, Vec<String>) {
    let file = site.root().join(name);
    let words = [&["export", path(&file), "--json"], more].concat();
    let done = site.cli(&words).await;
    assert_eq!(done.exit, 0, "{done:?}");
    let lines = std::fs::read_to_string(&file).expect("text").lines().map(str::to_owned).collect();
    (file, lines)
}

async fn imported(site: &Site, file: &Path) -> Finished {
    site.cli(&["import", path(file), "--json"]).await
}

/// The lines of a table.
fn of_table<'a>(lines: &'a [String], table: &str) -> Vec<&'a String> {
    let start = format!("\"table\":\"{table}\"");
    lines.iter().filter(|line| line.contains(&start)).collect()
}

/// A site with sessions, a webhook, a key and questions.
async fn rich_site() -> (Site, String, String) {
    let site = used_site().await;
    let server = site.serve().await;
    let key = server.post("keys", json!({ "name": "ci", "role": "member" })).await;
    let hook = json!({ "url": "http://127.0.0.1:9/in", "event_types": ["session.failed"] });
    let hook = server.post("webhooks", hook).await;
    let leak = "use sk-Abc0123456789defghijklmn and iok_0123456789abcdefghijklmn";
    let told = json!({ "title": "a leak", "initial_prompt": leak, "tags": ["one", "two"] });
    server.post("sessions", told).await;
    server.stop().await;
    (site, text(&key["secret"]).to_owned(), text(&hook["secret"]).to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_exported_and_imported_is_exported_again() {
    let (site, _, _) = rich_site().await;
    let (file, first) = exported(&site, "first.jsonl", &[]).await;
    let other = Site::simulated();
    let done = imported(&other, &file).await;
    assert_eq!(done.exit, 0, "{done:?}");
    assert_eq!(files(&other.data()), ["store.redb"]);
    other.keeps_invariants().await;
    let (_, second) = exported(&other, "second.jsonl", &[]).await;
    // What the import itself and the second export put on record, and the numbers that jump ahead.
    let apart = ["audit", "heads", "counters"];
    let kept = |lines: &[String]| -> Vec<String> {
        let moved: BTreeSet<&String> =
            apart.iter().flat_map(|table| of_table(lines, table)).collect();
        let rest = lines[1..lines.len() - 1].iter().filter(|line| !moved.contains(line));
        rest.cloned().collect()
    };
    assert_eq!(kept(&first), kept(&second));
    assert!(kept(&first).len() > 40, "{} lines", kept(&first).len());
    let (before, after) = (of_table(&first, "audit"), of_table(&second, "audit"));
    assert_eq!(after[..before.len()], before, "the audit goes on where it ended");
    assert!(after[before.len()].contains("\"import\""), "{}", after[before.len()]);
    let server = other.serve().await;
    let found = server.all("sessions").await;
    assert_eq!(found.len(), 4);
    let tagged = server.all("sessions?tag=two").await;
    assert_eq!(tagged.len(), 1, "indexes were made anew");
    assert_eq!(server.session("IND-000002").await["title"], json!("number 1"));
    assert_eq!(server.get("audit/verify").await["intact"], json!(true));
    let words = server.get("sessions/IND-000001/transcript").await;
    assert_eq!(words["items"].as_array().map(Vec::is_empty), Some(false), "{words:#}");
    super::worked_on(&server.api, "it goes on").await;
    server.stop().await;
    other.keeps_invariants().await;
}

/// What retention leaves of the audit of a site at rest; the number that it begins with.
async fn without_its_oldest_part(site: &Site) -> u64 {
    let server = site.serve().await;
    let verdict = server.get("audit/verify").await;
    server.stop().await;
    let signed = verdict["signed_up_to"].as_u64().expect("signed");
    let store = site.store();
    let old = Outdated::Audit(TenantId::BOOTSTRAP, signed);
    let removed = store.remove_outdated(old, 500).await.expect("removed");
    assert!(removed > 2, "{removed} entries");
    store.close().await;
    signed + 1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_without_its_oldest_part_moves_and_verifies_everywhere() {
    let site = used_site().await;
    let first = without_its_oldest_part(&site).await;
    site.keeps_invariants().await;
    let (file, _) = exported(&site, "a.jsonl", &[]).await;
    let server = site.serve().await;
    let here = server.get("audit/verify").await;
    assert_eq!((&here["intact"], &here["first"]), (&json!(true), &json!(first)));
    assert_eq!(here["begins_signed_by"], here["signed_by"]);
    let entries = site.root().join("audit.jsonl");
    assert_eq!(site.cli(&["audit", "export", path(&entries)]).await.exit, 0);
    let signer = text(&here["signed_by"]);
    let words = ["audit", "verify", "--file", path(&entries), "--signer", signer];
    let done = site.cli(&words).await;
    assert_eq!(done.exit, 0, "{done:?}");
    assert!(done.out.contains(&format!("held from entry {first} on")), "{done:?}");
    // Without its beginning, nobody vouches for what is gone.
    let rest = std::fs::read_to_string(&entries).expect("text");
    let rest = rest.lines().skip(1).collect::<Vec<_>>().join("\n") + "\n";
    std::fs::write(&entries, rest).expect("written");
    let done = site.cli(&words).await;
    assert_eq!(done.exit, 65, "{done:?}");
    server.stop().await;
    // Another server takes it over as soon as it has signed it with its own key.
    let other = Site::simulated();
    let done = imported(&other, &file).await;
    assert_eq!(done.exit, 0, "{done:?}");
    other.serve().await.stop().await;
    let server = other.serve().await;
    let there = server.get("audit/verify").await;
    assert_eq!((&there["intact"], &there["first"]), (&json!(true), &json!(first)), "{there}");
    assert_eq!(there["begins_signed_by"], here["signed_by"]);
    assert_ne!(there["signed_by"], here["signed_by"]);
    server.stop().await;
    other.keeps_invariants().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_holds_no_secret_and_a_redacted_one_not_even_traces() {
    let (site, key, hook) = rich_site().await;
    let (_, lines) = exported(&site, "whole.jsonl", &[]).await;
    let whole = lines.join("\n");
    for canary in [ADMIN_KEY, &key, &hook] {
        assert!(canary.len() > 20 && !whole.contains(canary), "a secret lies in it");
    }
    let (file, lines) = exported(&site, "redacted.jsonl", &["--redact"]).await;
    let redacted = lines.join("\n");
    assert!(!redacted.contains("sk-Abc0123456789") && !redacted.contains("iok_01234567"));
    assert!(redacted.contains("[REDACTED:"));
    let keys = of_table(&lines, "api_keys");
    assert!(!keys.is_empty() && keys.iter().all(|line| line.contains("\"secrets\":[]")));
    let refused = imported(&Site::simulated(), &file).await;
    assert_eq!(refused.exit, 65, "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tenant_is_exported_without_the_others() {
    let site = used_site().await;
    let server = site.serve().await;
    server.post("tenants", json!({ "slug": "acme", "name": "Acme" })).await;
    let acme = server.of("acme");
    let words = json!({ "title": "of acme", "initial_prompt": "of acme" });
    acme.post("sessions", words).await;
    server.stop().await;
    let (file, lines) = exported(&site, "acme.jsonl", &["--tenant", "acme"]).await;
    assert_eq!(of_table(&lines, "tenants").len(), 1);
    assert_eq!(of_table(&lines, "sessions").len(), 1);
    assert!(!lines.join("\n").contains("number 1"), "it holds what is not acme's");
    let other = Site::simulated();
    let done = imported(&other, &file).await;
    assert_eq!(done.exit, 0, "{done:?}");
    let server = other.serve().await;
    assert_eq!(server.of("acme").all("sessions").await.len(), 1);
    server.stop().await;
    other.keeps_invariants().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_is_not_whole_or_was_changed_makes_no_store() {
    let site = used_site().await;
    let (file, lines) = exported(&site, "a.jsonl", &[]).await;
    let at = |table: &str| lines.iter().position(|line| line.contains(table)).expect("a line");
    let (session, attempt) = (at("\"table\":\"sessions\""), at("\"table\":\"attempts\""));
    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        lines.join("\n") + "\n"
    };
    let cases: [(&str, String); 10] = [
        ("cut off", lines[..lines.len() - 1].join("\n") + "\n"),
        ("cut in a line", changed(&|_| {}).trim_end().to_owned()),
        ("a line is missing", changed(&|lines| drop(lines.remove(attempt)))),
        (
            "an attempt without its session",
            changed(&|lines| {
                lines.remove(session);
                let last = lines.len() - 1;
                lines[last] = format!("{{\"rows\":{}}}", last - 1);
            }),
        ),
        ("a line twice", changed(&|lines| lines.insert(session, lines[session].clone()))),
        ("something behind it", changed(&|lines| lines.push("{}".to_owned()))),
        (
            "another key",
            changed(&|lines| {
                let key =
                    serde_json::from_str::<Value>(&lines[session]).expect("JSON")["key"].clone();
                let key = text(&key).to_owned();
                lines[session] = lines[session].replace(&key, &"0".repeat(key.len()));
            }),
        ),
        (
            "another shape",
            changed(&|lines| {
                lines[session] = lines[session].replace("\"status\":", "\"state\":");
            }),
        ),
        (
            "an unknown table",
            changed(&|lines| {
                lines[session] = lines[session].replace("\"sessions\"", "\"sessions_by_tag\"");
            }),
        ),
        (
            "a changed audit",
            changed(&|lines| {
                let at = lines.iter().position(|line| line.contains("\"table\":\"audit\""));
                let line = &mut lines[at.expect("an entry")];
                *line = line.replace("\"action\":\"", "\"action\":\"not_");
            }),
        ),
    ];
    for (what, lines) in cases {
        std::fs::write(&file, lines).expect("written");
        let other = Site::simulated();
        let refused = imported(&other, &file).await;
        assert_eq!(refused.exit, 65, "{what}: {refused:?}");
        assert_eq!(files(&other.data()), [""; 0], "{what}");
    }
    let newer = changed(&|lines| {
        lines[0] = lines[0].replace("\"orchestrator_export\":1", "\"orchestrator_export\":2");
    });
    std::fs::write(&file, newer).expect("written");
    assert_eq!(imported(&Site::simulated(), &file).await.exit, 78);
    assert_eq!(imported(&site, &file).await.exit, 1, "a store is there");
}
