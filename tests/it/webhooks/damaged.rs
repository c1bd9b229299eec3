//! The real executable on a store with damaged records: what cannot be told is told as a gap, in its
//! place, and nobody else waits for it.

use std::ops::Range;
use std::time::Duration;

use redb::{Database, ReadableTable, TableDefinition};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::receiver::{Got, Receiver, distinct, in_order_per_subject};
use super::until;
use crate::support::server::{Server, Site, array, text};

fn site(retry_after: &str) -> Site {
    let patient = format!("[{}]", vec![retry_after; 20].join(","));
    Site::simulated().with("WEBHOOKS__RETRY_AFTER", &patient)
}

/// Turns one bit of every row of a table whose key ends like this.
fn damage(site: &Site, table: &str, ends: &[Vec<u8>]) {
    let database = Database::open(site.data().join("store.redb")).expect("a store");
    let transaction = database.begin_write().expect("begun");
    {
        let table: TableDefinition<&[u8], &[u8]> = TableDefinition::new(table);
        let mut table = transaction.open_table(table).expect("the table");
        let mut damaged = Vec::new();
        for row in table.iter().expect("rows") {
            let (key, value) = row.expect("a row");
            if ends.iter().any(|end| key.value().ends_with(end)) {
                let mut value = value.value().to_vec();
                let middle = value.len() / 2;
                value[middle] ^= 1;
                damaged.push((key.value().to_vec(), value));
            }
        }
        assert_eq!(damaged.len(), ends.len(), "each is there once");
        for (key, value) in damaged {
            table.insert(key.as_slice(), value.as_slice()).expect("inserted");
        }
    }
    transaction.commit().expect("committed");
}

/// A session; its id.
async fn session(server: &Server) -> String {
    let made = server.api.post("sessions", json!({ "initial_prompt": "x" })).await;
    text(&made["id"]).to_owned()
}

/// Changes a session; the numbers of all its events so far.
async fn change(server: &Server, id: &str, titles: Range<usize>) -> Vec<u64> {
    for number in titles {
        let body = json!({ "title": format!("t{number}") });
        let path = format!("sessions/{id}");
        let answer = server.api.send(Method::PATCH, &path, Some(&body), None).await;
        assert!(answer.expect("an answer").status.is_success());
    }
    let events = server.api.all(&format!("events?subject={id}")).await;
    events.iter().filter_map(|event| event["seq"].as_u64()).collect()
}

/// Waits until the cursor of a webhook stands at the newest event.
async fn until_taken_up(server: &Server, hook: &Value) {
    let newest = server.api.all("events").await.len() as u64;
    let deadline = tokio::time::Instant::now() + super::PATIENCE;
    loop {
        let stands = server.api.get(&format!("webhooks/{}", text(&hook["id"]))).await;
        if stands["cursor"].as_u64() >= Some(newest) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "the cursor stands still: {stands:#}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The one delivery that waits.
async fn waiting(server: &Server, hook: &Value) -> Uuid {
    let path = format!("webhooks/{}/deliveries?state=pending", text(&hook["id"]));
    let deadline = tokio::time::Instant::now() + super::PATIENCE;
    loop {
        let waits = server.api.get(&path).await;
        if let [one] = array(&waits["items"]) {
            return Uuid::parse_str(text(&one["id"])).expect("an id");
        }
        assert!(tokio::time::Instant::now() < deadline, "{waits:#}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What was told of a subject, gaps with the numbers that they stand for.
fn told(got: &[Got], id: &str) -> Vec<(u64, u64)> {
    let about = distinct(got).into_iter().filter(|one| one.subject() == id);
    let range = |one: Got| {
        let number = |name: &str| one.body["data"][name].as_u64().expect("a number");
        if one.body["type"] == "gap" {
            (number("requested") + 1, number("oldest"))
        } else {
            (one.seq(), one.seq())
        }
    };
    about.map(range).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_events_behind_a_message_that_waits_are_told_as_gaps_in_their_place() {
    let (site, receiver) = (site("\"100ms\""), Receiver::new().await);
    let server = site.serve().await;
    let hook = json!({ "url": receiver.url(), "event_types": ["session.*"] });
    let hook = server.api.post("webhooks", hook).await;
    let id = session(&server).await;
    until(&receiver, "the first", |got| got.len() == 1).await;
    receiver.refuse(&id);
    let seqs = change(&server, &id, 0..9).await;
    until_taken_up(&server, &hook).await;
    server.kill().await;
    // The one that waits is the second. Of those behind it the third, fifth, sixth and last are hit.
    let ends: Vec<Vec<u8>> =
        [2, 4, 5, 9].iter().map(|place: &usize| seqs[*place].to_be_bytes().to_vec()).collect();
    damage(&site, "events.k1", &ends);
    let server = site.serve().await;
    receiver.relent();
    let last = seqs[9];
    let got = until(&receiver, "the rest", |got| {
        told(got, &id).last().is_some_and(|(_, to)| *to == last)
    });
    let got = got.await;
    in_order_per_subject(&got);
    let one = |place: usize| (seqs[place], seqs[place]);
    let wanted =
        [one(0), one(1), one(2), one(3), (seqs[4], seqs[5]), one(6), one(7), one(8), one(9)];
    assert_eq!(told(&got, &id), wanted, "{got:#?}");
    let gaps = distinct(&got).iter().filter(|one| one.body["type"] == "gap").count();
    assert_eq!(gaps, 3);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_message_that_waits_does_not_stall_its_webhook() {
    let (site, receiver) = (site("\"1h\""), Receiver::new().await);
    let server = site.serve().await;
    let hook = json!({ "url": receiver.url(), "event_types": ["session.*"] });
    let hook = server.api.post("webhooks", hook).await;
    let (id, other) = (session(&server).await, session(&server).await);
    until(&receiver, "both", |got| got.len() == 2).await;
    receiver.refuse(&id);
    change(&server, &id, 0..1).await;
    let delivery = waiting(&server, &hook).await;
    server.stop().await;
    damage(&site, "deliveries.k1", &[delivery.as_bytes().to_vec()]);
    let server = site.serve().await;
    receiver.relent();
    // Its turn comes in an hour; the next about the same subject is to be noted with it now.
    let seqs = change(&server, &id, 1..2).await;
    assert_eq!(seqs.len(), 3);
    change(&server, &other, 0..1).await;
    let wanted: Vec<(u64, u64)> = seqs.iter().map(|seq| (*seq, *seq)).collect();
    let got = until(&receiver, "what was damaged, as a gap, and what came behind it", |got| {
        told(got, &id).last() == wanted.last() && told(got, &other).len() == 2
    });
    let got = got.await;
    in_order_per_subject(&got);
    let gap = got.iter().find(|one| one.body["type"] == "gap").expect("a gap");
    assert_eq!(gap.body["data"]["oldest"], json!(seqs[1]), "{:#}", gap.body);
    until_taken_up(&server, &hook).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_which_nothing_is_left_is_told_as_a_gap_up_to_the_cursor() {
    let (site, receiver) = (site("\"1h\""), Receiver::new().await);
    let server = site.serve().await;
    let hook = json!({ "url": receiver.url(), "event_types": ["session.*"] });
    let hook = server.api.post("webhooks", hook).await;
    let id = session(&server).await;
    until(&receiver, "the first", |got| got.len() == 1).await;
    receiver.refuse(&id);
    let seqs = change(&server, &id, 0..3).await;
    until_taken_up(&server, &hook).await;
    let delivery = waiting(&server, &hook).await.as_bytes().to_vec();
    server.stop().await;
    damage(&site, "deliveries.k1", std::slice::from_ref(&delivery));
    damage(&site, "pending_deliveries.k1", &[delivery]);
    let server = site.serve().await;
    receiver.relent();
    let is_gap = |one: &Got| one.body["type"] == "gap";
    let got = until(&receiver, "the gap", |got| got.iter().any(is_gap)).await;
    let gap = got.into_iter().find(is_gap).expect("a gap");
    assert_eq!(
        (&gap.body["data"]["requested"], &gap.body["data"]["subject"]),
        (&json!(0), &Value::Null)
    );
    assert!(gap.body["data"]["oldest"].as_u64() >= seqs.last().copied(), "{:#}", gap.body);
    // The subject is told of again.
    let seqs = change(&server, &id, 3..4).await;
    until(&receiver, "the next", |got| told(got, &id).last() == Some(&(seqs[4], seqs[4]))).await;
    until_taken_up(&server, &hook).await;
    let path = format!("webhooks/{}/deliveries?state=pending", text(&hook["id"]));
    let waits = server.api.get(&path).await;
    assert!(array(&waits["items"]).is_empty(), "{waits:#}");
    server.stop().await;
}
