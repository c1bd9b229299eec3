//! Fair shares with the real binary: tenants that wait hold the same number of slots, and work of the
//! lowest priority is done while more urgent work never ends.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::store::Store;
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::domain::tenant::Tenant;
use orchestrator::domain::tenant::quotas::Quotas;
use orchestrator::domain::time::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{array, begin_with, text};
use crate::support::opencode::eventually;
use crate::support::server::{Api, Site};

fn site(slots: &str) -> Site {
    Site::simulated().with("SCHEDULER__MAX_RUNNING_SESSIONS", slots)
}

/// Creates and starts so many sessions, many at a time.
async fn begin_many(api: &Api, count: usize, steps: &Value, fields: &Value) {
    let begun = (0..count).map(|_| begin_with(api, steps, fields.clone()));
    futures_util::stream::iter(begun).buffer_unordered(32).collect::<Vec<_>>().await;
}

fn instant(value: &Value) -> Option<DateTime<Utc>> {
    value.as_str().map(|text| text.parse().expect("a time"))
}

async fn queued(api: &Api) -> u64 {
    let page = api.get("sessions?status=queued&limit=1&count=true").await;
    page["total"].as_u64().expect("counted")
}

/// Seconds of slots that the sessions of a tenant held until then.
async fn held(api: &Api, until: DateTime<Utc>) -> f64 {
    let mut held = 0.0;
    for session in api.all("sessions").await {
        if let Some(from) = instant(&session["started_at"]).filter(|from| *from < until) {
            let to = instant(&session["ended_at"]).unwrap_or(until).min(until);
            held += (to - from).as_seconds_f64();
        }
    }
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_with_1000_and_one_with_10_share_the_slots_evenly_while_both_wait() {
    let site = site("4");
    // What no route makes yet.
    let server = site.serve().await;
    server.lift_quotas().await;
    server.post("admissions/hold", json!({ "scope": "instance" })).await;
    server.stop().await;
    let (store, id) = (site.store(), TenantId::new(Uuid::from_u128(77)));
    let small = Tenant {
        id,
        slug: "small".to_owned(),
        quotas: Quotas::UNLIMITED,
        ..Tenant::bootstrap(Timestamp::EPOCH)
    };
    let put = Put { expect: Expect::Absent, value: small };
    store.commit(ChangeSet::new(id).write(Write::Tenant(put))).await.expect("made");
    store.close().await;
    let server = site.serve().await;
    let (large, small) = (server.of("default"), server.of("small"));
    let steps = json!([{ "wait_ms": 1000 }, { "say": "Done." }]);
    begin_many(&large, 1000, &steps, &json!({})).await;
    begin_many(&small, 10, &steps, &json!({})).await;
    assert_eq!((queued(&large).await, queued(&small).await), (1000, 10));
    server.post("admissions/release", json!({ "scope": "instance" })).await;
    eventually("the small tenant waits no more", async || queued(&small).await == 0).await;
    let last = small.all("sessions").await;
    let last = last.iter().filter_map(|session| instant(&session["started_at"])).max();
    let until = last.expect("all have begun");
    let (large, small) = (held(&large, until).await, held(&small, until).await);
    server.kill().await;
    assert!(small > 5.0, "{small} slot-seconds are too few to tell");
    assert!((large - small).abs() <= 0.1 * large.min(small), "{large} and {small} slot-seconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_of_the_lowest_priority_is_done_under_a_steady_stream_of_urgent_work() {
    let site = site("2");
    let server = site.serve().await;
    server.lift_quotas().await;
    server.post("admissions/hold", json!({ "scope": "instance" })).await;
    let steps = json!([{ "wait_ms": 200 }, { "say": "Done." }]);
    let deferred = json!({ "priority": "deferred" });
    let old = begin_with(&server, &steps, deferred.clone()).await;
    let young = begin_with(&server, &steps, deferred).await;
    server.stop().await;
    // It has waited for 31 minutes: three classes up, and older than everything there.
    let (store, id) = (site.store(), SessionId::parse(&old).expect("an id"));
    let snapshot = store.snapshot(TenantId::BOOTSTRAP).await.expect("readable");
    let found = snapshot.session(id).await.expect("readable").expect("there");
    drop(snapshot);
    let mut session = found.value;
    let long_ago = session.stamps.created_at.millis() - 31 * 60_000;
    session.stamps.queued_at = Some(Timestamp::from_millis(long_ago));
    let put = Put { expect: Expect::At(found.version), value: session };
    let set = ChangeSet::new(TenantId::BOOTSTRAP).write(Write::Session(put));
    store.commit(set).await.expect("stored");
    store.close().await;
    let server = site.serve().await;
    let urgent = json!({ "priority": "high" });
    begin_many(&server, 8, &steps, &urgent).await;
    server.post("admissions/release", json!({ "scope": "instance" })).await;
    let mut done = false;
    for _ in 0..200 {
        if queued(&server).await < 6 {
            begin_many(&server, 4, &steps, &urgent).await;
        }
        done = text(&server.session(&old).await["status"]) == "completed";
        if done {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let page = server.get("sessions?status=queued&priority=high&limit=5").await;
    assert!(done, "urgent work had every slot");
    assert!(!array(&page["items"]).is_empty(), "urgent work waits all the time");
    assert_eq!(text(&server.session(&young).await["status"]), "queued", "it has not waited long");
    server.kill().await;
}
