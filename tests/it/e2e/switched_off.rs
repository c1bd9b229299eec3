//! A tenant that is switched off: its sessions pause at once and say why, nothing of it begins, and what
//! was paused can be resumed when it is back.

use chrono::DateTime;
use serde_json::{Value, json};

use super::{array, begin, begin_with, calculator, text};
use crate::support::opencode::eventually;
use crate::support::server::{Api, Server, Site};

/// Milliseconds of an instant on the wire.
fn millis(value: &Value) -> i64 {
    DateTime::parse_from_rfc3339(text(value)).expect("an instant").timestamp_millis()
}

async fn switch(server: &Server, on: bool) {
    let body = json!({ "is_active": on });
    let path = "tenants/acme";
    let sent = server.send(reqwest::Method::PATCH, path, Some(&body), None).await;
    assert!(sent.as_ref().is_ok_and(|sent| sent.status.is_success()), "{sent:?}");
}

/// The only event of this type.
async fn told(acme: &Api, path: &str, name: &str) -> Value {
    let events = acme.all(path).await;
    let found = events.iter().find(|event| event["type"] == name);
    found.unwrap_or_else(|| panic!("{name} in {events:#?}")).clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_pauses_at_once_and_goes_on_when_somebody_wants_it() {
    let site = Site::simulated().with("SCHEDULER__MAX_RUNNING_SESSIONS", "1");
    let server = site.serve().await;
    server.post("tenants", json!({ "slug": "acme" })).await;
    let acme = server.of("acme");
    let id = begin(&acme, &json!([{ "say": "One." }, { "wait_ms": 600_000 }])).await;
    acme.until_status(&id, "running").await;
    let waiting = begin(&acme, &json!([{ "say": "Two." }])).await;
    acme.until_status(&waiting, "queued").await;
    switch(&server, false).await;
    // There is room for one, which it leaves to others; what waits is not begun.
    let own = begin(&server.api, &json!([{ "say": "Three." }])).await;
    server.until_status(&own, "completed").await;
    switch(&server, true).await;

    let paused = acme.session(&id).await;
    assert_eq!(paused["status"], "paused", "{paused:#}");
    let event = told(&acme, &format!("sessions/{id}/events"), "session.paused").await;
    assert_eq!(event["payload"]["reason"], "tenant_inactive", "{event:#}");
    let off = told(&acme, "events?type=tenant.deactivated", "tenant.deactivated").await;
    let took = millis(&event["timestamp"]) - millis(&off["timestamp"]);
    assert!((0..3000).contains(&took), "{took} ms");
    let on = told(&acme, "events?type=tenant.activated", "tenant.activated").await;
    let begun = acme.until_status(&waiting, "completed").await;
    assert!(millis(&begun["started_at"]) >= millis(&on["timestamp"]), "{begun:#}");
    // It is nobody's business but that of who wants it.
    assert_eq!(acme.session(&id).await["status"], "paused");
    acme.post(&format!("sessions/{id}/resume"), json!({})).await;
    acme.until_status(&id, "running").await;
    acme.post(&format!("sessions/{id}/stop"), json!({})).await;
    let stops = acme.all(&format!("sessions/{id}/events?type=session.paused")).await;
    assert_eq!(array(&json!(stops)).len(), 1, "paused once: {stops:#?}");
    server.stop().await;
    site.keeps_invariants().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gates_that_run_are_left_where_they_are() {
    let site = Site::simulated().with("SCHEDULER__MAX_RUNNING_SESSIONS", "1");
    let (server, repo) = (site.serve().await, calculator());
    server.post("tenants", json!({ "slug": "acme" })).await;
    let acme = server.of("acme");
    let gate = json!({ "name": "long", "command": ["sleep", "600"], "timeout_seconds": 900 });
    let fields = json!({ "gates": [gate],
        "workspace": { "kind": "git", "repo": repo.text() } });
    let id = begin_with(&acme, &json!([{ "say": "Done." }]), fields).await;
    let log = format!("sessions/{id}/logs");
    let judges = async || json!(acme.all(&log).await).to_string().contains("the gates run");
    eventually("the gates run", judges).await;
    switch(&server, false).await;
    let own = begin(&server.api, &json!([{ "say": "Mine." }])).await;
    server.until_status(&own, "completed").await;
    switch(&server, true).await;
    let paused = acme.session(&id).await;
    assert_eq!(paused["status"], "paused", "{paused:#}");
    let event = told(&acme, &format!("sessions/{id}/events"), "session.paused").await;
    assert_eq!(event["payload"]["reason"], "tenant_inactive", "{event:#}");
    acme.post(&format!("sessions/{id}/cancel"), json!({})).await;
    server.stop().await;
    site.keeps_invariants().await;
}
