//! Receivers that are away, slow, wrong or tired: nothing is lost, and the log says what happened.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::receiver::{Receiver, Say, distinct, in_order_per_subject};
use super::{HOOKS, app, hook, log, path_of, session, touch, until, until_told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_a_receiver_is_down() {
    let app = app().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let body = json!({ "url": format!("http://{address}/hook"), "event_types": ["session.*"] });
    let made = app.post(HOOKS, body).await.body;
    let ids = [session(&app).await, session(&app).await, session(&app).await];
    for number in 0..5 {
        for id in &ids {
            touch(&app, id, &format!("t{number}")).await;
        }
    }
    let failing = until_told(&app, path_of(&made), "failing", |hook| hook["state"] == "failing");
    let failing = failing.await;
    assert!(!failing["failing_since"].is_null() && !failing["last_error"].is_null(), "{failing}");
    let receiver = Receiver::at(address).await;
    let got = until(&receiver, "everything", |got| distinct(got).len() == 18).await;
    in_order_per_subject(&got);
    let ok = until_told(&app, path_of(&made), "well again", |hook| hook["state"] == "ok").await;
    assert!(ok["failing_since"].is_null() && !ok["last_success_at"].is_null(), "{ok}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_that_fails_holds_up_no_other() {
    let (app, receiver) = (app().await, Receiver::new().await);
    hook(&app, &receiver, &["session.*"]).await;
    let (bad, good) = (session(&app).await, session(&app).await);
    until(&receiver, "both", |got| got.len() == 2).await;
    receiver.refuse(&bad);
    for number in 0..5 {
        touch(&app, &bad, &format!("b{number}")).await;
        touch(&app, &good, &format!("g{number}")).await;
    }
    let about = |id: &str, got: &[super::Got]| {
        distinct(got).iter().filter(|one| one.subject() == id).count()
    };
    let got = until(&receiver, "the other subject", |got| about(&good, got) == 6).await;
    assert!(about(&bad, &got) <= 2, "later messages wait for the one that fails: {got:#?}");
    receiver.relent();
    let got = until(&receiver, "what was held", |got| about(&bad, got) == 6).await;
    in_order_per_subject(&got);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_repeated_as_it_was_until_it_is_accepted() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &["session.created"]).await;
    receiver.say([Say::With(500, "x-why", "because".to_owned()), Say::Status(404), Say::Silence]);
    session(&app).await;
    let got = until(&receiver, "four attempts", |got| got.len() == 4).await;
    let secret = hook["secret"].as_str().expect("shown");
    for one in &got {
        assert_eq!((&one.id, &one.bytes), (&got[0].id, &got[0].bytes));
        assert!(one.is_signed_with(secret), "each attempt has its own time and signature");
    }
    let page = until_told(&app, format!("{}/deliveries", path_of(&hook)), "its end", |page| {
        page["items"][0]["state"] == "delivered"
    });
    let attempts = page.await["items"][0]["attempts"].clone();
    let told: Vec<(Option<u64>, Option<&str>)> = attempts
        .as_array()
        .expect("attempts")
        .iter()
        .map(|one| (one["status_code"].as_u64(), one["error"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Some(500), Some("answered 500")),
            (Some(404), Some("answered 404")),
            (None, Some("no answer within 1000 ms")),
            (Some(204), None),
        ]
    );
    assert_eq!(attempts[0]["response"], "why", "how the answer began");
    assert!(attempts[2]["duration_ms"].as_u64().is_some_and(|took| took >= 1000), "{attempts}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_overloaded_is_left_alone_as_long_as_it_asks() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &["session.created"]).await;
    receiver.say([Say::With(503, "retry-after", "2".to_owned())]);
    let began = tokio::time::Instant::now();
    session(&app).await;
    let paused = until_told(&app, path_of(&hook), "the pause", |hook| !hook["resume_at"].is_null());
    paused.await;
    session(&app).await;
    // The first one twice, the second one once, in whatever order.
    until(&receiver, "both", |got| got.len() >= 3 && distinct(got).len() == 2).await;
    assert!(began.elapsed() >= std::time::Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(receiver.got().len(), 3, "nothing was sent meanwhile");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_gone_is_told_no_more_until_somebody_says_so() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &["session.created"]).await;
    receiver.say([Say::Status(410)]);
    session(&app).await;
    let off = until_told(&app, path_of(&hook), "disabled", |hook| hook["state"] == "disabled");
    let off = off.await;
    assert!(off["disabled_reason"].as_str().is_some_and(|why| why.contains("410")), "{off}");
    session(&app).await;
    let audit = app.store.snapshot(orchestrator::domain::ids::TenantId::BOOTSTRAP).await;
    let audit = audit.expect("a snapshot").audit(0, 100).await.expect("the audit");
    let said: Vec<&str> = audit.iter().map(|entry| &*entry.entry.action).collect();
    assert!(said.contains(&"disable"), "{said:?}");
    assert_eq!(receiver.got().len(), 1);
    let on = app.request(Method::PATCH, &path_of(&hook), Some(json!({ "is_active": true })));
    let on = app.send(on).await;
    assert_eq!((on.status, on.body["state"].as_str()), (StatusCode::OK, Some("failing")));
    let got = until(&receiver, "what was missed", |got| distinct(got).len() == 2).await;
    in_order_per_subject(&got);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_never_accepts_is_given_up_with_the_reason() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &["session.created"]).await;
    receiver.always(Some(Say::Status(500)));
    session(&app).await;
    let off = until_told(&app, path_of(&hook), "disabled", |hook| hook["state"] == "disabled");
    let off = off.await;
    assert!(off["disabled_reason"].as_str().is_some_and(|why| why.contains("500")), "{off}");
    let given_up = &log(&app, &hook).await[0];
    assert_eq!(given_up["state"], "failed", "{given_up:#}");
    assert_eq!(given_up["attempts"].as_array().map(Vec::len), Some(12), "the newest are kept");
    assert_eq!(receiver.got().len(), 31, "once, and once for each entry of the schedule");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_not_followed_and_the_log_says_why() {
    let (app, receiver, inner) = (app().await, Receiver::new().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &["session.created"]).await;
    receiver
        .say([301, 302, 303, 307, 308].map(|status| Say::With(status, "location", inner.url())));
    session(&app).await;
    until(&receiver, "the end of redirects", |got| got.len() == 6).await;
    assert!(inner.got().is_empty(), "nothing arrives where a redirect leads");
    let log = log(&app, &hook).await;
    let why = log[0]["attempts"][0]["error"].as_str().expect("a reason");
    assert!(
        why.contains("301") && why.contains(&inner.url()) && why.contains("not followed"),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_into_the_house_leads_nowhere_and_the_message_is_tried_again() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &["session.created"]).await;
    let inside = "http://169.254.169.254/latest/meta-data";
    receiver.say([Say::With(302, "location", inside.to_owned())]);
    session(&app).await;
    let got = until(&receiver, "it again", |got| got.len() == 2).await;
    assert_eq!(got[0].id, got[1].id);
    let page = until_told(&app, format!("{}/deliveries", path_of(&hook)), "its end", |page| {
        page["items"][0]["state"] == "delivered"
    });
    let attempts = page.await["items"][0]["attempts"].clone();
    assert_eq!(attempts[0]["status_code"], 302, "{attempts:#}");
    let why = attempts[0]["error"].as_str().expect("a reason");
    assert!(why.contains(inside) && why.contains("not followed"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_answers_slowly_gets_everything_once_and_in_order() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &["session.*"]).await;
    receiver.always(Some(Say::Slowly(Duration::from_millis(150))));
    let (one, other) = (session(&app).await, session(&app).await);
    for number in 0..4 {
        touch(&app, &one, &format!("a{number}")).await;
        touch(&app, &other, &format!("b{number}")).await;
    }
    let got = until(&receiver, "everything", |got| distinct(got).len() == 10).await;
    in_order_per_subject(&got);
    assert_eq!(got.len(), 10, "slow is not wrong");
    until_told(&app, format!("{}/deliveries", path_of(&hook)), "its end", |page| {
        let items = page["items"].as_array().expect("a page");
        items.len() == 10
            && items.iter().all(|one| {
                let took = one["attempts"][0]["duration_ms"].as_u64();
                one["state"] == "delivered" && took.is_some_and(|took| took >= 150)
            })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_is_switched_off_or_deleted_is_sent_nothing_new() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let id = session(&app).await;
    for number in 0..60 {
        touch(&app, &id, &format!("t{number}")).await;
    }
    for end in [Method::PATCH, Method::DELETE] {
        receiver.always(Some(Say::Slowly(Duration::from_millis(50))));
        let body = json!({ "url": receiver.url(), "event_types": ["session.*"], "after": 0 });
        let hook = app.post("/api/v1/webhooks", body).await.body;
        let before = receiver.got().len();
        until(&receiver, "the first messages", |got| got.len() > before + 2).await;
        let off = (end == Method::PATCH).then(|| json!({ "is_active": false }));
        let done = app.send(app.request(end.clone(), &path_of(&hook), off)).await;
        assert!(done.status.is_success(), "{done:?}");
        // Those that were under way then: one for each subject.
        let (known, open) = (receiver.got().len(), receiver.open());
        tokio::time::sleep(Duration::from_millis(500)).await;
        let after = receiver.got().len();
        assert!(after <= known + open + 1, "{end}: {known} with {open} under way became {after}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_has_a_bounded_number_of_webhooks() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let mut made = Vec::new();
    for _ in 0..50 {
        made.push(hook(&app, &receiver, &["agent.registered"]).await);
    }
    let body = json!({ "url": receiver.url() });
    let refused = app.post(HOOKS, body.clone()).await;
    assert_eq!(
        (refused.code(), refused.body["quota"].as_str()),
        ("QUOTA_EXCEEDED", Some("webhooks"))
    );
    let gone = app.send(app.request(Method::DELETE, &path_of(&made[0]), None)).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(app.post(HOOKS, body).await.status, StatusCode::CREATED);
}
