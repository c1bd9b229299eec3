//! What is sent, how it is signed, and in which order.

use axum::http::{Method, StatusCode};
use orchestrator::application::webhooks::message::envelope;
use orchestrator::domain::ids::TenantId;
use orchestrator::presentation::api::dto::event::EventDto;
use serde_json::json;

use super::receiver::{Receiver, in_order_per_subject};
use super::{HOOKS, app, hook, log, path_of, session, touch, until, until_told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_signed_under_stable_names_and_in_order() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &["session.*"]).await;
    let secret = hook["secret"].as_str().expect("shown once").to_owned();
    let (one, other) = (session(&app).await, session(&app).await);
    for number in 0..10 {
        touch(&app, &one, &format!("a{number}")).await;
        touch(&app, &other, &format!("b{number}")).await;
    }
    let got = until(&receiver, "all events", |got| got.len() >= 22).await;
    assert_eq!(got.len(), 22, "each once while all is well");
    in_order_per_subject(&got);
    let events = app.get("/api/v1/events?limit=200").await.body;
    for message in &got {
        assert!(message.is_signed_with(&secret), "{message:?}");
        assert!(!message.is_signed_with("whsec_AAAA"));
        let items = events["items"].as_array().expect("a page");
        let event = items.iter().find(|event| event["seq"] == message.seq()).expect("it is one");
        assert_eq!(&message.body["data"], event, "the event as everybody sees it");
        assert_eq!(message.body["type"], event["type"]);
        assert_eq!(message.body["timestamp"], event["occurred_at"]);
        assert_eq!(message.id, format!("msg_{}", event["id"].as_str().expect("an id")));
    }
    let told = until_told(&app, path_of(&hook), "the cursor", |hook| {
        hook["cursor"] == events["next_after"]
    });
    let told = told.await;
    assert_eq!((told["state"].as_str(), &told["secret"]), (Some("ok"), &json!(null)));
    let deliveries = format!("{}/deliveries?limit=200", path_of(&hook));
    until_told(&app, &deliveries, "the log keeps the newest, as set", |page| {
        page["items"].as_array().is_some_and(|items| items.len() == 20)
    })
    .await;
    let log = log(&app, &hook).await;
    assert!(log.iter().all(|one| one["state"] == "delivered"), "{log:#?}");
    assert_eq!(log[0]["attempts"][0]["status_code"], 204);
}

#[tokio::test]
async fn an_event_looks_the_same_as_on_a_page() {
    let app = app().await;
    session(&app).await;
    let snapshot = app.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
    for stored in snapshot.events(0, None, 10).await.expect("events") {
        let page = serde_json::to_value(EventDto::from(&stored)).expect("JSON");
        assert_eq!(envelope(&stored), page);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_wanted_types_are_sent_and_a_webhook_may_begin_in_the_past() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let id = session(&app).await;
    touch(&app, &id, "before").await;
    let body = json!({ "url": receiver.url(), "event_types": ["session.updated"], "after": 0 });
    let made = app.post(HOOKS, body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
    touch(&app, &id, "after").await;
    let got = until(&receiver, "both changes", |got| got.len() == 2).await;
    assert!(got.iter().all(|one| one.body["type"] == "session.updated"), "{got:?}");
    let body = json!({ "url": receiver.url(), "after": 9999 });
    let refused = app.post(HOOKS, body).await;
    assert_eq!(refused.body["errors"][0]["pointer"], "/after", "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_rotation_messages_are_signed_with_both_secrets() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &["session.created"]).await;
    let rotated = app.post(&format!("{}/rotate", path_of(&hook)), json!({})).await;
    assert_eq!(rotated.status, StatusCode::OK, "{}", rotated.body);
    let (old, new) = (hook["secret"].as_str(), rotated.body["secret"].as_str());
    let (old, new) = (old.expect("shown"), new.expect("shown"));
    assert_ne!(old, new);
    assert!(!rotated.body["previous_secret_until"].is_null());
    session(&app).await;
    let got = until(&receiver, "a message", |got| !got.is_empty()).await;
    assert!(got[0].is_signed_with(old) && got[0].is_signed_with(new), "{:?}", got[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_and_a_redelivery_are_sent_by_hand() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &["session.created"]).await;
    let path = path_of(&hook);
    let test = app.post(&format!("{path}/test"), json!({})).await;
    assert_eq!(test.status, StatusCode::ACCEPTED, "{}", test.body);
    let got = until(&receiver, "the test", |got| got.len() == 1).await;
    assert_eq!(got[0].body["type"], "test");
    session(&app).await;
    let got = until(&receiver, "the event", |got| got.len() == 2).await;
    let done = until_told(&app, format!("{path}/deliveries"), "both in the log", |page| {
        let items = page["items"].as_array().expect("a page");
        items.len() == 2 && items.iter().all(|one| one["state"] == "delivered")
    });
    let first = done.await["items"][0]["id"].as_str().expect("an id").to_owned();
    // Also while nothing else is sent.
    let off = app.request(Method::PATCH, &path, Some(json!({ "is_active": false })));
    assert_eq!(app.send(off).await.body["state"], "off");
    let again = app.post(&format!("{path}/deliveries/{first}/redeliver"), json!({})).await;
    assert_eq!(again.status, StatusCode::ACCEPTED, "{}", again.body);
    assert_eq!(again.body["redelivery_of"], json!(first));
    let twice = until(&receiver, "it again", |got| got.len() == 3).await;
    assert_eq!((&twice[2].id, &twice[2].bytes), (&got[1].id, &got[1].bytes));
    session(&app).await;
    let location = again.header("location").to_owned();
    until_told(&app, &location, "its end", |one| one["state"] == "delivered").await;
    assert_eq!(receiver.got().len(), 3, "nothing else is sent while it is off");
    let on = app.request(Method::PATCH, &path, Some(json!({ "is_active": true })));
    assert_eq!(app.send(on).await.status, StatusCode::OK);
    until(&receiver, "what was missed", |got| got.len() == 4).await;
    let gone = app.send(app.request(Method::DELETE, &path, None)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(app.get(&path).await.code(), "WEBHOOK_NOT_FOUND");
}
