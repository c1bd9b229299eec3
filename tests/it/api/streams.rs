//! Server-sent events, lines and pages of numbered streams, over a real connection.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use orchestrator::application::ports::journal::{NewEntry, Stream};
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::presentation::api::state::ApiOptions;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::app::{ADMIN, TestApp};

const SOON: Duration = Duration::from_secs(20);

fn quick(_: u16) -> ApiOptions {
    ApiOptions { rate: None, sse_heartbeat: Duration::from_millis(50), ..ApiOptions::default() }
}

/// Server-sent events as they come, until `enough` says so or the stream ends.
async fn listen(url: &str, last: Option<u64>, mut enough: impl FnMut(&str) -> bool) -> Vec<String> {
    let mut request = reqwest::Client::new()
        .get(url)
        .bearer_auth(ADMIN)
        .header("x-tenant-id", "default")
        .header("accept", "text/event-stream");
    if let Some(last) = last {
        request = request.header("last-event-id", last.to_string());
    }
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert!(response.headers().get("content-encoding").is_none());
    let (mut bytes, mut text, mut events) = (response.bytes_stream(), String::new(), Vec::new());
    while let Some(chunk) = timeout(SOON, bytes.next()).await.expect("something in time") {
        text.push_str(&String::from_utf8_lossy(&chunk.expect("a chunk")));
        while let Some((event, rest)) = text.split_once("\n\n") {
            events.push(event.to_owned());
            text = rest.to_owned();
            if enough(events.last().expect("just pushed")) {
                return events;
            }
        }
    }
    events
}

fn id_of(event: &str) -> Option<u64> {
    event.lines().find_map(|line| line.strip_prefix("id: "))?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_events_resumes_without_gap_or_double_while_events_are_written() {
    let (app, address) = TestApp::listen(quick).await;
    let app = Arc::new(app);
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let app = Arc::clone(&app);
            app.tracker.clone().spawn(async move {
                for _ in 0..20 {
                    let made = app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
                    let id = made.body["id"].as_str().expect("an id").to_owned();
                    app.post(&format!("/api/v1/sessions/{id}/cancel"), json!({})).await;
                }
            })
        })
        .collect();
    // One event of the first key, then three per session.
    let (total, url) = (1 + 4 * 20 * 3, format!("http://{address}/api/v1/events?after=0"));
    let (mut seen, mut last): (Vec<u64>, Option<u64>) = (Vec::new(), None);
    while seen.len() < total {
        let mut left = 40;
        let events = listen(&url, last, |event| {
            left -= i32::from(id_of(event).is_some());
            let done = id_of(event).is_some_and(|id| id == u64::try_from(total).expect("small"));
            left == 0 || done
        });
        seen.extend(events.await.iter().filter_map(|event| id_of(event)));
        last = seen.last().copied();
    }
    for writer in writers {
        writer.await.expect("no panic");
    }
    let expected: Vec<u64> = (1..=u64::try_from(total).expect("small")).collect();
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quiet_stream_shows_signs_of_life_and_ends_with_the_server() {
    let (app, address) = TestApp::listen(quick).await;
    let url = format!("http://{address}/api/v1/events");
    let shutdown = app.shutdown.clone();
    let mut beats = 0;
    let events = listen(&url, None, |event| {
        beats += i32::from(event.contains("heartbeat"));
        if beats == 3 {
            shutdown.cancel();
        }
        false
    })
    .await;
    assert!(events.iter().filter(|event| event.starts_with(':')).count() >= 3, "{events:?}");
    app.tracker.close();
    timeout(SOON, app.tracker.wait()).await.expect("every task ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_come_as_pages_lines_and_live() {
    let (app, address) = TestApp::listen(quick).await;
    let made = app.post("/api/v1/sessions", json!({ "initial_prompt": "x" })).await;
    let id = SessionId::parse(made.body["id"].as_str().expect("an id")).expect("an id");
    let say = |number: u64| {
        let body = json!({ "message": format!("line {number}"), "n": number });
        NewEntry { at: app.clock.now(), kind: "info".to_owned(), body }
    };
    let append =
        |entries: Vec<NewEntry>| app.journal.append(TenantId::BOOTSTRAP, id, Stream::Log, entries);
    append((1..=700).map(say).collect()).await.expect("appended");
    let path = format!("/api/v1/sessions/{id}/logs");
    let page = app.get(&format!("{path}?after=698&limit=1")).await;
    assert_eq!(page.body["items"][0]["message"], "line 699");
    assert_eq!((&page.body["next_after"], &page.body["has_more"]), (&json!(699), &json!(true)));
    let mut request = app.request(axum::http::Method::GET, &path, None);
    request.headers_mut().insert("accept", "application/x-ndjson".parse().expect("valid"));
    let lines = app.send(request).await;
    assert_eq!(lines.header("content-type"), "application/x-ndjson");
    let text = lines.body.as_str().expect("lines").to_owned();
    let numbers: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["seq"].clone())
        .collect();
    assert_eq!(numbers, (1..=700).map(|number| json!(number)).collect::<Vec<_>>());
    let url = format!("http://{address}{path}?follow=true&after=690");
    let live = app
        .tracker
        .spawn(async move { listen(&url, None, |event| id_of(event) == Some(705)).await });
    for number in 701..=705 {
        append(vec![say(number)]).await.expect("appended");
    }
    let ids: Vec<u64> =
        live.await.expect("no panic").iter().filter_map(|event| id_of(event)).collect();
    assert_eq!(ids, (691..=705).collect::<Vec<_>>());
}

#[tokio::test]
async fn pages_of_events_filter_by_type_and_session() {
    let app = TestApp::new().await;
    for _ in 0..2 {
        app.post("/api/v1/sessions", json!({ "initial_prompt": "x", "start": true })).await;
    }
    let types = |answer: &crate::support::app::Answer| -> Vec<String> {
        let items = answer.body["items"].as_array().expect("items");
        items.iter().map(|item| item["type"].as_str().expect("a type").to_owned()).collect()
    };
    let created = app.get("/api/v1/events?type=session.created&limit=1").await;
    assert_eq!(types(&created), ["session.created"]);
    assert_eq!(created.body["has_more"], true);
    let next = created.body["next_after"].as_u64().expect("a number");
    let rest = app.get(&format!("/api/v1/events?type=session.created&after={next}")).await;
    assert_eq!((types(&rest).len(), &rest.body["has_more"]), (1, &json!(false)));
    let one = app.get("/api/v1/sessions/IND-000002/events").await;
    assert_eq!(types(&one), ["session.created", "session.status_changed", "session.queued"]);
    assert_eq!(app.get("/api/v1/events?type=nothing").await.status.as_u16(), 422);
}
