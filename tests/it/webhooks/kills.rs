//! The real executable, killed while it sends: nothing is lost, and order is kept; and events that
//! are no longer kept are told as a gap.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::receiver::{Receiver, Say, distinct, in_order_per_subject};
use super::until;
use crate::support::server::{ADMIN_KEY, Server, Site, array, text};

fn site() -> Site {
    let patient = format!("[{}]", vec!["\"100ms\""; 20].join(","));
    Site::simulated().with("WEBHOOKS__RETRY_AFTER", &patient)
}

async fn patch(server: &Server, path: &str, body: Value) {
    let answer = server.api.send(Method::PATCH, path, Some(&body), None).await.expect("an answer");
    assert!(answer.status.is_success(), "{answer:?}");
}

/// One session, and a number of changes of it.
async fn write(server: &Server, changes: u32) {
    let made = server.api.post("sessions", json!({ "initial_prompt": "x" })).await;
    let path = format!("sessions/{}", text(&made["id"]));
    for number in 0..changes {
        patch(server, &path, json!({ "title": format!("t{number}") })).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_while_it_sends_loses_no_event() {
    let (site, receiver) = (site(), Receiver::new().await);
    let server = site.serve().await;
    let hook = json!({ "url": receiver.url(), "event_types": ["session.*"] });
    let hook = server.api.post("webhooks", hook).await;
    server.kill().await;
    for round in 0..4 {
        let server = site.serve().await;
        if round == 1 {
            // Some messages wait for their next attempt while the server dies.
            receiver.say([Say::Status(500), Say::Status(503), Say::Status(500)]);
        }
        let before = receiver.got().len();
        tokio::join!(write(&server, 12), write(&server, 12));
        until(&receiver, "some of it", |got| got.len() > before + 3).await;
        server.kill().await;
    }
    let server = site.serve().await;
    let events = server.api.all("events").await;
    let wanted: Vec<String> = events
        .iter()
        .filter(|event| text(&event["type"]).starts_with("session."))
        .map(|event| format!("msg_{}", text(&event["id"])))
        .collect();
    assert!(wanted.len() >= 4 * 26, "{}", wanted.len());
    let got = until(&receiver, "every event", |got| distinct(got).len() == wanted.len()).await;
    let mut names: Vec<String> = distinct(&got).into_iter().map(|one| one.id).collect();
    let mut sorted = wanted.clone();
    names.sort_unstable();
    sorted.sort_unstable();
    assert_eq!(names, sorted);
    in_order_per_subject(&got);
    let secret = text(&hook["secret"]).to_owned();
    assert!(got.iter().all(|one| one.is_signed_with(&secret)), "the secret survives");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_ends_in_time_while_a_receiver_takes_its_own() {
    let (site, receiver) = (site(), Receiver::new().await);
    let server = site.serve().await;
    server.api.post("webhooks", json!({ "url": receiver.url() })).await;
    receiver.always(Some(Say::Silence));
    write(&server, 1).await;
    until(&receiver, "a message", |got| !got.is_empty()).await;
    let began = tokio::time::Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    receiver.always(None);
    let server = site.serve().await;
    until(&receiver, "it again", |got| got.iter().filter(|one| one.id == got[0].id).count() >= 2)
        .await;
    server.stop().await;
}

/// Forgets the oldest events behind the store's back, as retention does.
fn forget(site: &Site, up_to: u64) {
    use redb::{Database, TableDefinition};
    let database = Database::open(site.data().join("store.redb")).expect("a store");
    let transaction = database.begin_write().expect("begun");
    {
        let events: TableDefinition<&[u8], &[u8]> = TableDefinition::new("events.k1");
        let mut table = transaction.open_table(events).expect("the table");
        let old = |key: &[u8], _: &[u8]| {
            let seq = key.last_chunk::<8>().copied().map(u64::from_be_bytes);
            seq.is_some_and(|seq| seq > up_to)
        };
        table.retain(old).expect("forgotten");
    }
    transaction.commit().expect("committed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_are_no_longer_kept_are_told_as_a_gap() {
    let (site, receiver) = (site(), Receiver::new().await);
    let server = site.serve().await;
    let hook = json!({ "url": receiver.url(), "is_active": false, "after": 0 });
    let hook = server.api.post("webhooks", hook).await;
    write(&server, 8).await;
    let newest = server.api.all("events").await.len() as u64;
    server.stop().await;
    forget(&site, 5);
    let server = site.serve().await;
    let refused = server.api.send(Method::GET, "events?after=2", None, None).await.expect("told");
    assert_eq!(refused.status.as_u16(), 410, "{refused:?}");
    let waited = server.api.send(Method::GET, "events?after=2&wait=9", None, None).await;
    assert_eq!(waited.expect("told").body["oldest"], refused.body["oldest"], "at once");
    let streamed = reqwest::Client::builder().no_proxy().build().expect("a client");
    let streamed = streamed
        .get(format!("{}/api/v1/events?after=2", text(&server.ready["url"])))
        .bearer_auth(ADMIN_KEY)
        .header("x-tenant-id", "default")
        .header("accept", "text/event-stream");
    let streamed = streamed.send().await.expect("an answer");
    assert_eq!(streamed.status().as_u16(), 410, "a stream does not begin with a hole");
    let path = format!("webhooks/{}", text(&hook["id"]));
    patch(&server, &path, json!({ "is_active": true })).await;
    let count = usize::try_from(newest - 5).expect("few") + 1;
    let got = until(&receiver, "the rest", |got| distinct(got).len() >= count).await;
    let gap = got.iter().find(|one| one.body["type"] == "gap").expect("a gap");
    assert_eq!(gap.body["data"]["requested"], 0, "{:#}", gap.body);
    assert_eq!(gap.body["data"]["oldest"], refused.body["oldest"], "as every other reader says");
    assert_eq!(got[0].id, gap.id, "it comes first");
    let mut seen: Vec<u64> = got.iter().map(super::Got::seq).filter(|seq| *seq > 0).collect();
    seen.sort_unstable();
    assert_eq!(seen[0], 6);
    let log = server.api.get(&format!("{path}/deliveries?limit=200")).await;
    assert!(array(&log["items"]).iter().any(|one| one["type"] == "gap"), "{log:#}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_behind_a_message_outlives_a_kill_and_what_is_gone_meanwhile_is_told() {
    let (site, receiver) = (site(), Receiver::new().await);
    let server = site.serve().await;
    let hook = json!({ "url": receiver.url(), "event_types": ["session.*"] });
    let hook = server.api.post("webhooks", hook).await;
    let made = server.api.post("sessions", json!({ "initial_prompt": "x" })).await;
    let id = text(&made["id"]).to_owned();
    until(&receiver, "the first", |got| got.len() == 1).await;
    receiver.refuse(&id);
    for number in 0..9 {
        let title = json!({ "title": format!("t{number}") });
        patch(&server, &format!("sessions/{id}"), title).await;
    }
    let got = until(&receiver, "the second", |got| distinct(got).len() == 2).await;
    let first = distinct(&got)[1].seq();
    let cursor = async || server.api.get(&format!("webhooks/{}", text(&hook["id"]))).await;
    let newest = server.api.all("events").await.len() as u64;
    let deadline = tokio::time::Instant::now() + super::PATIENCE;
    while cursor().await["cursor"].as_u64() < Some(newest) {
        assert!(tokio::time::Instant::now() < deadline, "{:#}", cursor().await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.kill().await;
    forget(&site, first + 3);
    let server = site.serve().await;
    receiver.relent();
    let rest: Vec<u64> = (first + 4..=newest).collect();
    let wanted = |got: &[super::Got]| {
        let seen: Vec<u64> = distinct(got).iter().map(super::Got::seq).collect();
        rest.iter().all(|seq| seen.contains(seq))
    };
    let got = until(&receiver, "what is left", wanted).await;
    in_order_per_subject(&got);
    let got = distinct(&got);
    let gaps: Vec<(u64, u64)> = got
        .iter()
        .filter(|one| one.body["type"] == "gap")
        .map(|one| {
            let data = &one.body["data"];
            assert_eq!(data["subject"]["id"], json!(id), "{data:#}");
            let number = |name: &str| data[name].as_u64().expect("a number");
            (number("requested"), number("oldest"))
        })
        .collect();
    assert_eq!(gaps, [(first - 1, first), (first, first + 3)], "{got:#?}");
    let place = |wanted: &dyn Fn(&super::Got) -> bool| got.iter().position(wanted);
    assert!(
        place(&|one| one.body["type"] == "gap") < place(&|one| one.seq() == first + 4),
        "the gap comes before what comes behind it"
    );
    server.stop().await;
}
