//! What one receiver, one subject or one tenant may take, and what is put on record of refusals.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use orchestrator::application::ports::changes::{ChangeSet, Expect, Put, Write};
use orchestrator::application::ports::webhooks::WebhookWrite;
use orchestrator::domain::event::{DomainEvent, EventType, Subject, SubjectKind};
use orchestrator::domain::ids::{SessionId, TenantId, WebhookId};
use orchestrator::domain::tenant::Tenant;
use orchestrator::domain::tenant::key::Role;
use orchestrator::domain::webhook::Webhook;
use serde_json::{Value, json};

use super::receiver::{Receiver, Say, distinct, in_order_per_subject};
use super::{HOOKS, app, hook, path_of, session, until, until_told};
use crate::support::app::{TestApp, bearer, request};

/// Tells so many events about a session in one step.
async fn tell(app: &TestApp, tenant: TenantId, id: &str, count: usize) {
    let subject = Subject::session(SessionId::parse(id).expect("an id"));
    let event =
        || DomainEvent::new(EventType::SessionUpdated, subject, app.clock.now(), json!({ "x": 1 }));
    let events = std::iter::repeat_with(event).take(count);
    app.store.commit(ChangeSet::new(tenant).events(events)).await.expect("told");
}

fn fresh(app: &TestApp) -> String {
    app.ids.uuid().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_with_any_number_of_messages_holds_up_no_other_and_loses_none() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &["session.*"]).await;
    let (bad, good) = (fresh(&app), fresh(&app));
    receiver.refuse(&bad);
    tell(&app, TenantId::BOOTSTRAP, &bad, 1300).await;
    tell(&app, TenantId::BOOTSTRAP, &good, 1).await;
    until(&receiver, "the other one", |got| got.iter().any(|one| one.subject() == good)).await;
    let pending = format!("{}/deliveries?state=pending&limit=200", path_of(&hook));
    let pending = app.get(&pending).await.body;
    assert_eq!(pending["items"].as_array().map(Vec::len), Some(1), "one stands for all of them");
    receiver.relent();
    let got = until(&receiver, "all of it", |got| distinct(got).len() == 1301).await;
    in_order_per_subject(&got);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_receivers_of_one_tenant_do_not_hold_up_another() {
    let (app, slow, quick) = (app().await, Receiver::new().await, Receiver::new().await);
    // More messages than may be under way in all, if one tenant could take all of it.
    slow.always(Some(Say::Silence));
    for _ in 0..45 {
        hook(&app, &slow, &[]).await;
    }
    for _ in 0..2 {
        tell(&app, TenantId::BOOTSTRAP, &fresh(&app), 1).await;
    }
    let key = bearer(&app.key(app.other, Role::Admin).await);
    let body = json!({ "url": quick.url() });
    let made = request(Method::POST, HOOKS, Some(body), &[("authorization", &key)]);
    assert_eq!(app.send(made).await.status, StatusCode::CREATED);
    until(&slow, "many at once", |_| slow.open() >= 8).await;
    tell(&app, app.other, &fresh(&app), 1).await;
    until(&quick, "the other tenant's", |got| got.len() == 1).await;
    // Eight may begin at once, eight more when they are known to be slow, and 64 may step aside; the
    // receiver hears of one that was given up a little after the next one has begun.
    assert!(slow.most() <= 84, "{} were under way at once", slow.most());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_receivers_do_not_hold_up_a_quick_one_of_the_same_tenant() {
    let (app, slow, quick) = (app().await, Receiver::new().await, Receiver::new().await);
    slow.always(Some(Say::Slowly(Duration::from_millis(800))));
    // Their messages alone take a minute, eight at a time.
    for _ in 0..24 {
        hook(&app, &slow, &["session.*"]).await;
    }
    hook(&app, &quick, &["session.*"]).await;
    for _ in 0..5 {
        tell(&app, TenantId::BOOTSTRAP, &fresh(&app), 1).await;
    }
    until(&slow, "all slow ones at work", |_| slow.open() >= 8).await;
    // One after another, so that every wait counts.
    tell(&app, TenantId::BOOTSTRAP, &fresh(&app), 20).await;
    let got = until(&quick, "all of the quick one's", |got| distinct(got).len() == 25).await;
    in_order_per_subject(&got);
    let told = distinct(&slow.got()).len();
    assert!(slow.got().len() < 24 * 25 / 2, "the slow ones are not done yet");
    assert!(told > 0 && slow.open() > 0, "and are told meanwhile");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_is_found_behind_any_number_of_events_about_others() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &["agent.*"]).await;
    let agent = app.ids.uuid();
    let about_it = async |count: usize| {
        let subject = Subject { kind: SubjectKind::Agent, id: agent };
        let kind = EventType::AgentRegistered;
        let event = || DomainEvent::new(kind, subject, app.clock.now(), json!({}));
        let events = std::iter::repeat_with(event).take(count);
        let set = ChangeSet::new(TenantId::BOOTSTRAP).events(events);
        app.store.commit(set).await.expect("told")
    };
    receiver.refuse(&agent.to_string());
    about_it(2).await;
    // More than is looked through in one go, twice.
    tell(&app, TenantId::BOOTSTRAP, &fresh(&app), 1800).await;
    about_it(1).await;
    tell(&app, TenantId::BOOTSTRAP, &fresh(&app), 1800).await;
    let last = about_it(1).await.last_seq;
    until_told(&app, path_of(&hook), "the cursor", |hook| hook["cursor"] == json!(last)).await;
    receiver.relent();
    let got = until(&receiver, "all four", |got| distinct(got).len() == 4).await;
    in_order_per_subject(&got);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_does_not_answer_is_asked_with_one_message_at_a_time() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &["session.*"]).await;
    receiver.always(Some(Say::Silence));
    for _ in 0..12 {
        tell(&app, TenantId::BOOTSTRAP, &fresh(&app), 2).await;
    }
    let resting = |hook: &Value| !hook["resume_at"].is_null();
    until_told(&app, path_of(&hook), "a rest", resting).await;
    assert!(receiver.most() <= 3, "{} were under way at once", receiver.most());
    let sent = receiver.got().len();
    assert!(sent <= 6, "{sent} messages were tried with a receiver that answers none");
    receiver.always(None);
    let got = until(&receiver, "all of it", |got| distinct(got).len() == 24).await;
    in_order_per_subject(&got);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_came_to_lead_inside_is_refused_audited_and_counted() {
    let (app, receiver) = (app().await, Receiver::new().await);
    let hook = hook(&app, &receiver, &["session.*"]).await;
    let id = WebhookId::parse(hook["id"].as_str().expect("an id")).expect("an id");
    let tenant = TenantId::BOOTSTRAP;
    let snapshot = app.store.snapshot(tenant).await.expect("a snapshot");
    let found = snapshot.webhook(id).await.expect("read").expect("it is there");
    let inside = "http://169.254.169.254/latest".to_owned();
    let value = Webhook { url: inside, ..found.value };
    let put = Put { expect: Expect::At(found.version), value };
    let set = ChangeSet::new(tenant).write(Write::Webhook(WebhookWrite::Webhook(put)));
    app.store.commit(set).await.expect("changed");
    session(&app).await;
    let failing = until_told(&app, path_of(&hook), "failing", |hook| hook["state"] == "failing");
    let error = failing.await["last_error"].as_str().expect("an error").to_owned();
    assert!(error.starts_with("EGRESS_DENIED"), "{error}");
    let audit = app.store.snapshot(tenant).await.expect("a snapshot").audit(0, 100).await;
    let audit = audit.expect("the audit");
    let entry = audit.iter().find(|entry| entry.entry.action == "send").expect("an entry");
    let entry = &entry.entry;
    assert!(!entry.ok && entry.subject.id == id.uuid(), "{entry:?}");
    assert!(entry.reason.as_deref().is_some_and(|why| why.contains("metadata")), "{entry:?}");
    let told = entry.after.as_ref().expect("which")["denied_messages"].clone();
    assert_eq!(told.as_array().map(Vec::len), Some(1), "{told}");
    let figures = app.get("/metrics").await.body;
    let figures = figures.as_str().expect("text");
    let value = |name: &str| {
        let line = figures.lines().find(|line| line.starts_with(name)).expect("the figure");
        line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number")
    };
    assert!(value("orchestrator_webhook_attempts_total{outcome=\"denied\"}") >= 1.0);
    assert!(value("orchestrator_webhook_attempts_total{outcome=\"accepted\"}") < 1.0);
    assert!(value("orchestrator_webhook_messages_waiting") >= 1.0);
    assert!(value("orchestrator_webhook_oldest_waiting_seconds") > 0.0);
    assert!(value("orchestrator_webhooks_failing") >= 1.0);
    assert!(!figures.contains(hook["id"].as_str().expect("an id")), "no label names it");
}

async fn set_active(app: &TestApp, is_active: bool) {
    let snapshot = app.store.snapshot(app.other).await.expect("a snapshot");
    let found = snapshot.tenant().await.expect("read").expect("it is there");
    let value = Tenant { is_active, ..found.value };
    let put = Put { expect: Expect::At(found.version), value };
    app.store.commit(ChangeSet::new(app.other).write(Write::Tenant(put))).await.expect("changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_that_is_inactive_is_told_nothing_until_it_is_back() {
    let (app, receiver, other) = (app().await, Receiver::new().await, Receiver::new().await);
    let key = bearer(&app.key(app.other, Role::Admin).await);
    let body = json!({ "url": receiver.url() });
    let made = request(Method::POST, HOOKS, Some(body), &[("authorization", &key)]);
    assert_eq!(app.send(made).await.status, StatusCode::CREATED);
    hook(&app, &other, &[]).await;
    set_active(&app, false).await;
    tell(&app, app.other, &fresh(&app), 1).await;
    // Long enough for the bell of both to have been heard: the other tenant is told meanwhile.
    for number in 1..=3 {
        tell(&app, TenantId::BOOTSTRAP, &fresh(&app), 1).await;
        until(&other, "the active one's", |got| got.len() == number).await;
    }
    assert!(receiver.got().is_empty());
    set_active(&app, true).await;
    tell(&app, app.other, &fresh(&app), 1).await;
    until(&receiver, "both", |got| distinct(got).len() == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_is_deleted_while_it_is_tried_leaves_nothing_behind() {
    let (app, receiver) = (Arc::new(app().await), Receiver::new().await);
    for _ in 0..40 {
        let hook = hook(&app, &receiver, &["session.failed"]).await;
        let path = path_of(&hook);
        let tests = (0..3).map(|_| {
            let (app, path) = (Arc::clone(&app), format!("{path}/test"));
            app.clone().tracker.spawn(async move {
                for _ in 0..4 {
                    let tried = app.post(&path, json!({})).await;
                    let known = [StatusCode::ACCEPTED, StatusCode::NOT_FOUND, StatusCode::CONFLICT];
                    assert!(known.contains(&tried.status), "{}", tried.body);
                }
            })
        });
        let tests: Vec<_> = tests.collect();
        let gone = app.send(app.request(Method::DELETE, &path, None)).await;
        for test in tests {
            test.await.expect("it ends");
        }
        assert_eq!(gone.status, StatusCode::NO_CONTENT, "{}", gone.body);
        let id = WebhookId::parse(hook["id"].as_str().expect("an id")).expect("an id");
        let snapshot = app.store.snapshot(TenantId::BOOTSTRAP).await.expect("a snapshot");
        let left = snapshot.deliveries(id, None, None, 99).await.expect("read");
        assert!(left.is_empty(), "{left:?}");
    }
}
