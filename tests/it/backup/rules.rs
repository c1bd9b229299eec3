//! What the API refuses is not imported either, nor put back: each refusal names line, kind and rule.

use std::path::Path;

use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::store::Store as _;
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::Tenant;
use orchestrator::domain::time::Timestamp;
use serde_json::{Value, json};

use super::{path, used_site};
use crate::support::server::{Finished, Site, text};

/// A site with two tenants, each with somebody, a key and a session; its export.
async fn exported() -> (Site, Vec<Value>) {
    let site = used_site().await;
    let server = site.serve().await;
    for slug in ["acme", "beta"] {
        server.post("tenants", json!({ "slug": slug, "name": slug })).await;
        let of = server.of(slug);
        let email = format!("ann@{slug}.example");
        let person = json!({ "email": email, "full_name": "Ann", "role": "admin" });
        let id = of.post("users", person).await["id"].clone();
        of.post("keys", json!({ "name": "laptop", "role": "admin", "user_id": id })).await;
        of.post("sessions", json!({ "title": slug, "initial_prompt": slug })).await;
        let hook = json!({ "url": "http://127.0.0.1:9/in", "event_types": ["session.failed"] });
        of.post("webhooks", hook).await;
    }
    server.stop().await;
    let file = site.root().join("whole.jsonl");
    let done = site.cli(&["export", path(&file)]).await;
    assert_eq!(done.exit, 0, "{done:?}");
    let lines = std::fs::read_to_string(&file).expect("text");
    let lines = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (site, lines)
}

/// Imports these lines; nothing is left of it when it is refused.
async fn imported(file: &Path, lines: &[Value]) -> Finished {
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(file, lines.join("\n") + "\n").expect("written");
    let other = Site::simulated();
    let done = other.cli(&["import", path(file)]).await;
    let left = std::fs::read_dir(other.data()).map_or(0, Iterator::count);
    assert!(done.exit == 0 || left == 0, "{done:?} left {left} files");
    done
}

/// The line of the tenant's first record of a kind.
fn line_of(lines: &[Value], table: &str, tenant: &str) -> usize {
    let of = tenant.replace('-', "");
    let is_it = |line: &Value| line["table"] == table && text(&line["key"]).starts_with(&of);
    lines.iter().position(is_it).expect("a line")
}

fn tenant(lines: &[Value], slug: &str) -> String {
    let found = lines.iter().find(|line| line["record"]["slug"] == slug).expect("a tenant");
    text(&found["record"]["id"]["$id"]).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_takes_nothing_that_the_api_refuses() {
    let (site, lines) = exported().await;
    let file = site.root().join("changed.jsonl");
    let done = imported(&file, &lines).await;
    assert_eq!(done.exit, 0, "as it was written: {done:?}");
    let (acme, beta) = (tenant(&lines, "acme"), tenant(&lines, "beta"));
    let id_of =
        |table: &str, tenant: &str| lines[line_of(&lines, table, tenant)]["record"]["id"].clone();
    let (alien, person, hers) =
        (id_of("sessions", &beta), id_of("users", &beta), id_of("api_keys", &beta));
    let cases: [(&str, &str, Value, &str); 21] = [
        ("tenants", "/slug", json!(beta), "must not look like the id"),
        ("tenants", "/slug", json!("beta"), "has this already"),
        ("tenants", "/slug", json!("Ac me"), "lower-case letters"),
        ("tenants", "/name", json!("x"), "at least 2"),
        ("users", "/is_system_admin", json!(true), "the tenant default alone"),
        ("users", "/email", json!("a\u{1b}[2J@x"), "must be an e-mail address"),
        ("users", "/full_name", json!("a\u{202e}b"), "control characters"),
        ("users", "/role", json!("root"), "role"),
        ("users", "/zzz", json!(1), "\"/zzz\" is unknown"),
        ("api_keys", "/is_system", json!(true), "the tenant default alone"),
        ("api_keys", "/name", json!("scheduler"), "part of the server"),
        ("api_keys", "/user_id", person, "nobody of its tenant"),
        (
            "api_keys",
            "/opened_by",
            json!({ "key": hers, "secret": vec![0; 32] }),
            "is for browsers",
        ),
        ("sessions", "/lineage/parent_id", alien.clone(), "another tenant"),
        ("sessions", "/lineage/after", json!([alien.clone()]), "another tenant"),
        ("sessions", "/lineage/forked_from", json!([alien, null]), "another tenant"),
        ("sessions", "/spec/title", json!("x".repeat(201)), "at most 200"),
        ("sessions", "/spec/more", json!(1), "\"/spec/more\" is unknown"),
        ("webhooks", "/url", json!(""), "is required"),
        ("webhooks", "/tenant_id", json!({ "$id": beta }), "another key"),
        ("agents", "/name", json!("nobody"), "must be AGENT-"),
    ];
    for (table, field, value, rule) in cases {
        let mut changed = lines.clone();
        let owner = if table == "agents" { TenantId::BOOTSTRAP.to_string() } else { acme.clone() };
        let at = line_of(&lines, table, &owner);
        let (parent, name) = field.rsplit_once('/').expect("a pointer");
        let record = changed[at]["record"].pointer_mut(parent).expect("a place");
        let is_known = record.get(name).is_some() || rule.contains("unknown");
        assert!(is_known, "{table} {field}: {record}");
        record[name] = value;
        let done = imported(&file, &changed).await;
        // Of two that are the same it is the second.
        let is_second = rule.contains("already");
        let place = format!("line {}: {table}", at + 1 + usize::from(is_second));
        let is_told = done.err.contains(&place) && done.err.contains(rule);
        assert!(done.exit == 65 && is_told, "{table} {field}: {done:?}");
    }
    let mut more = lines.clone();
    more[3]["colour"] = json!("red");
    let done = imported(&file, &more).await;
    assert!(done.exit == 65 && done.err.contains("line 4: \"colour\""), "{done:?}");
    let mut described = lines.clone();
    described[0]["layout"] = json!(99);
    assert_eq!(imported(&file, &described).await.exit, 65);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_in_which_one_tenant_opens_another_is_not_taken() {
    let site = used_site().await;
    let store = site.store();
    let slug = TenantId::BOOTSTRAP.to_string();
    let id = TenantId::new(uuid::Uuid::from_u128(77));
    let now = Timestamp::from_millis(1_800_000_000_000);
    let value = Tenant { id, slug, ..Tenant::bootstrap(now) };
    let write = Write::Tenant(Put { expect: Expect::Absent, value });
    store.commit(ChangeSet::new(id).write(write)).await.expect("the store asks no such thing");
    store.close().await;
    drop(store);
    let file = site.root().join("a.tar.zst");
    let done = site.cli(&["backup", path(&file)]).await;
    assert_eq!(done.exit, 65, "{done:?}");
    let is_told = done.err.contains("tenants ") && done.err.contains("like the id of a tenant");
    assert!(is_told && !file.exists(), "{done:?}");
}
