//! Locks over HTTP: who holds, who waits, who is refused; L1 to L6 as a client sees them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use orchestrator::domain::ids::TenantId;
use orchestrator::domain::tenant::key::Role;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

use super::{as_who, text};
use crate::support::app::{Answer, TestApp, bearer, request};

const LOCKS: &str = "/api/v1/locks";

async fn holder(app: &TestApp) -> String {
    app.key(TenantId::BOOTSTRAP, Role::Member).await
}

async fn acquire(app: &TestApp, who: &str, name: &str, body: Value) -> Answer {
    as_who(app, who, Method::POST, &format!("{LOCKS}/{name}/acquire"), Some(body)).await
}

async fn release(app: &TestApp, who: &str, name: &str, id: &str) -> Answer {
    let body = Some(json!({ "lock_id": id }));
    as_who(app, who, Method::POST, &format!("{LOCKS}/{name}/release"), body).await
}

async fn renew(app: &TestApp, who: &str, name: &str, body: Value) -> Answer {
    as_who(app, who, Method::POST, &format!("{LOCKS}/{name}/renew"), Some(body)).await
}

/// Waits until so many wait for a lock.
async fn queued(app: &TestApp, name: &str, count: usize) {
    loop {
        let found = app.get(&format!("{LOCKS}/{name}")).await;
        if found.body["queue"].as_array().is_some_and(|queue| queue.len() == count) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn l1_a_lock_is_of_one_owner_until_it_is_given_back() {
    let app = TestApp::new().await;
    let (ann, bob) = (holder(&app).await, holder(&app).await);
    let name = "deploy%2Fstaging%3Aeu";
    let granted = acquire(&app, &ann, name, json!({ "owner": "Ann" })).await;
    assert_eq!(granted.status, StatusCode::OK, "{granted:?}");
    assert_eq!(granted.body["name"], "deploy/staging:eu");
    assert_eq!(granted.body["owner"]["name"], "Ann");
    let id = text(&granted, "lock_id");
    let refused = acquire(&app, &bob, name, json!({ "wait_seconds": 0 })).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::LOCKED, "LOCKED"));
    assert_eq!(refused.body["holder"]["owner"]["name"], "Ann");
    assert_eq!(refused.body["position"], 1);
    let theirs = release(&app, &bob, name, &id).await;
    assert_eq!((theirs.status, theirs.code()), (StatusCode::FORBIDDEN, "LOCK_NOT_OWNED"));
    let theirs = renew(&app, &bob, name, json!({ "lock_id": id })).await;
    assert_eq!((theirs.status, theirs.code()), (StatusCode::FORBIDDEN, "LOCK_NOT_OWNED"));
    let longer = renew(&app, &ann, name, json!({ "lock_id": id, "ttl_seconds": 60 })).await;
    assert_eq!(
        (&longer.body["renewal_count"], &longer.body["ttl_seconds"]),
        (&json!(1), &json!(60))
    );
    let done = release(&app, &ann, name, &id).await;
    assert_eq!((done.status, &done.body["released"]), (StatusCode::OK, &json!(true)));
    assert_eq!(release(&app, &ann, name, &id).await.status, StatusCode::OK, "again is no fault");
    let lost = renew(&app, &ann, name, json!({ "lock_id": id })).await;
    assert_eq!((lost.status, lost.code()), (StatusCode::CONFLICT, "LOCK_LOST"));
    let none = app.get(&format!("{LOCKS}/{name}")).await;
    assert_eq!((none.status, none.code()), (StatusCode::NOT_FOUND, "LOCK_NOT_FOUND"));
}

#[tokio::test]
async fn l1_a_lock_falls_free_after_its_time() {
    let app = TestApp::new().await;
    let (ann, bob) = (holder(&app).await, holder(&app).await);
    let first = acquire(&app, &ann, "a", json!({ "ttl_seconds": 1 })).await;
    let second = acquire(&app, &bob, "a", json!({ "wait_seconds": 10 })).await;
    assert_eq!(second.status, StatusCode::OK, "{second:?}");
    // L4: the old token is refused, and the new one is larger.
    let old =
        json!({ "lock_id": text(&first, "lock_id"), "fencing_token": first.body["fencing_token"] });
    let stale = renew(&app, &ann, "a", old).await;
    assert_eq!((stale.status, stale.code()), (StatusCode::CONFLICT, "STALE_RESULT"));
    assert!(second.body["fencing_token"].as_u64() > first.body["fencing_token"].as_u64());
}

#[tokio::test]
async fn l2_seven_who_wait_are_served_in_their_order() {
    let app = Arc::new(TestApp::new().await);
    let first = holder(&app).await;
    let held = acquire(&app, &first, "a", json!({})).await;
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    let mut waiting = Vec::new();
    for number in 0..8_usize {
        let (app, who, order) = (Arc::clone(&app), holder(&app).await, Arc::clone(&order));
        let priority = if number == 7 { 9 } else { 0 };
        let of_task = Arc::clone(&app);
        waiting.push(TaskTracker::new().spawn(async move {
            let body = json!({ "wait_seconds": 60, "priority": priority });
            let granted = acquire(&of_task, &who, "a", body).await;
            assert_eq!(granted.status, StatusCode::OK, "{granted:?}");
            order.lock().expect("no panic").push(number);
            release(&of_task, &who, "a", &text(&granted, "lock_id")).await;
        }));
        queued(&app, "a", number + 1).await;
    }
    release(&app, &first, "a", &text(&held, "lock_id")).await;
    for task in waiting {
        task.await.expect("no panic");
    }
    assert_eq!(*order.lock().expect("no panic"), [7, 0, 1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn l3_sharers_go_together_and_what_is_taken_twice_is_given_back_twice() {
    let app = TestApp::new().await;
    let (ann, bob) = (holder(&app).await, holder(&app).await);
    let shared = json!({ "mode": "shared", "wait_seconds": 0 });
    let first = acquire(&app, &ann, "a", shared.clone()).await;
    assert_eq!(acquire(&app, &bob, "a", shared.clone()).await.status, StatusCode::OK);
    let again = acquire(&app, &ann, "a", shared).await;
    assert_eq!(again.body["hold_count"], 2);
    assert_eq!(again.body["lock_id"], first.body["lock_id"]);
    let id = text(&first, "lock_id");
    assert_eq!(release(&app, &ann, "a", &id).await.body["hold_count"], 1);
    assert_eq!(release(&app, &ann, "a", &id).await.body["released"], true);
}

#[tokio::test]
async fn l5_of_two_who_cross_the_younger_goes_and_several_come_together() {
    let app = Arc::new(TestApp::new().await);
    let (ann, bob) = (holder(&app).await, holder(&app).await);
    acquire(&app, &ann, "a", json!({})).await;
    let held = acquire(&app, &bob, "b", json!({})).await;
    let of_task = (Arc::clone(&app), ann.clone());
    let waiting = TaskTracker::new().spawn(async move {
        acquire(&of_task.0, &of_task.1, "b", json!({ "wait_seconds": 60 })).await
    });
    queued(&app, "b", 1).await;
    let refused = acquire(&app, &bob, "a", json!({ "wait_seconds": 60 })).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::CONFLICT, "DEADLOCK_DETECTED"));
    assert_eq!(refused.body["cycle"].as_array().map(Vec::len), Some(2), "{refused:?}");
    let none = json!({ "names": ["c", "b"], "wait_seconds": 0 });
    let path = format!("{LOCKS}/acquire");
    let none = as_who(&app, &holder(&app).await, Method::POST, &path, Some(none)).await;
    assert_eq!((none.status, &none.body["name"]), (StatusCode::LOCKED, &json!("b")));
    assert_eq!(app.get(&format!("{LOCKS}/c")).await.status, StatusCode::NOT_FOUND);
    release(&app, &bob, "b", &text(&held, "lock_id")).await;
    assert_eq!(waiting.await.expect("no panic").status, StatusCode::OK);
    let both = json!({ "names": ["z", "y"] });
    let both = as_who(&app, &bob, Method::POST, &path, Some(both)).await;
    assert_eq!((both.status, &both.body["grants"][0]["name"]), (StatusCode::OK, &json!("y")));
    let metrics = app.get("/metrics").await;
    assert_eq!(metrics.status, StatusCode::OK);
}

#[tokio::test]
async fn l6_a_hundred_contenders_never_hold_one_name_at_once() {
    let app = Arc::new(TestApp::new().await);
    let (is_held, turns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    for _ in 0..100 {
        let (app, who) = (Arc::clone(&app), holder(&app).await);
        let (is_held, turns) = (Arc::clone(&is_held), Arc::clone(&turns));
        tasks.push(TaskTracker::new().spawn(async move {
            let granted = acquire(&app, &who, "one", json!({ "wait_seconds": 300 })).await;
            assert_eq!(granted.status, StatusCode::OK, "{granted:?}");
            assert!(!is_held.swap(true, Ordering::SeqCst), "two hold it");
            tokio::task::yield_now().await;
            turns.fetch_add(1, Ordering::SeqCst);
            is_held.store(false, Ordering::SeqCst);
            let done = release(&app, &who, "one", &text(&granted, "lock_id")).await;
            assert_eq!(done.status, StatusCode::OK, "{done:?}");
            granted.body["fencing_token"].as_u64().expect("a token")
        }));
    }
    let mut tokens = Vec::new();
    for task in tasks {
        tokens.push(task.await.expect("no panic"));
    }
    assert_eq!(turns.load(Ordering::SeqCst), 100);
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 100);
    let left = app.get(LOCKS).await;
    assert_eq!(left.body["statistics"]["total_locks"], 0, "nothing stays locked");
}

#[tokio::test]
async fn tenants_do_not_see_each_others_locks() {
    let app = TestApp::new().await;
    let (ann, eve) = (holder(&app).await, app.key(app.other, Role::Admin).await);
    let held = acquire(&app, &ann, "a", json!({})).await;
    let theirs = as_who(&app, &eve, Method::GET, &format!("{LOCKS}/a"), None).await;
    assert_eq!(theirs.code(), "LOCK_NOT_FOUND");
    let force = format!("{LOCKS}/a?reason=x");
    let force = as_who(&app, &eve, Method::DELETE, &force, None).await;
    assert_eq!(force.code(), "LOCK_NOT_FOUND");
    let own = acquire(&app, &eve, "a", json!({ "wait_seconds": 0 })).await;
    assert_eq!(own.status, StatusCode::OK);
    let id = text(&held, "lock_id");
    assert_eq!(renew(&app, &eve, "a", json!({ "lock_id": id })).await.code(), "LOCK_LOST");
    release(&app, &eve, "a", &id).await;
    assert_eq!(app.get(&format!("{LOCKS}/a")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_administrator_takes_a_lock_away_which_is_put_on_record() {
    let app = TestApp::new().await;
    let ann = holder(&app).await;
    let viewer = app.key(TenantId::BOOTSTRAP, Role::Viewer).await;
    let held = acquire(&app, &ann, "a", json!({})).await;
    let path = format!("{LOCKS}/a?reason=its%20holder%20is%20gone");
    for who in [&ann, &viewer] {
        let refused = as_who(&app, who, Method::DELETE, &path, None).await;
        assert_eq!(refused.code(), "FORBIDDEN");
    }
    assert_eq!(acquire(&app, &viewer, "b", json!({})).await.code(), "FORBIDDEN");
    let unsaid = app.send(app.request(Method::DELETE, &format!("{LOCKS}/a"), None)).await;
    assert_eq!(unsaid.code(), "VALIDATION_ERROR");
    let taken = app.send(app.request(Method::DELETE, &path, None)).await;
    assert_eq!(taken.status, StatusCode::NO_CONTENT, "{taken:?}");
    let id = text(&held, "lock_id");
    assert_eq!(renew(&app, &ann, "a", json!({ "lock_id": id })).await.code(), "LOCK_LOST");
    let audit = app.get("/api/v1/audit?action=force_release").await;
    assert_eq!(audit.body["items"][0]["reason"], "its holder is gone", "{audit:?}");
    told(&app, &["lock.acquired", "lock.force_released", "lock.lost"]).await;
}

/// Waits until these events are written, whatever else is.
async fn told(app: &TestApp, wanted: &[&str]) {
    loop {
        let events = app.get("/api/v1/events?limit=200").await.body.to_string();
        if wanted.iter().all(|one| events.contains(&format!("\"{one}\""))) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_end_of_a_session_ends_its_locks() {
    let app = TestApp::new().await;
    let ann = holder(&app).await;
    let made = app.post("/api/v1/sessions", json!({ "initial_prompt": "x", "title": "x" })).await;
    let session = text(&made, "id");
    let code = text(&made, "code");
    let held = acquire(&app, &ann, "a", json!({ "session_id": code })).await;
    assert_eq!((held.status, &held.body["session_id"]), (StatusCode::OK, &json!(session)));
    let never = json!({ "session_id": app.ids.uuid().to_string() });
    assert_eq!(acquire(&app, &ann, "b", never).await.code(), "SESSION_NOT_FOUND");
    let cancel = format!("/api/v1/sessions/{session}/cancel");
    assert_eq!(app.post(&cancel, json!({})).await.status, StatusCode::OK);
    loop {
        if app.get(&format!("{LOCKS}/a")).await.status == StatusCode::NOT_FOUND {
            break;
        }
        tokio::task::yield_now().await;
    }
    told(&app, &["lock.lost"]).await;
    let events = app.get(&format!("/api/v1/sessions/{session}/events?limit=200")).await;
    assert!(events.body.to_string().contains("session_ended"), "{events:?}");
    let late = acquire(&app, &ann, "a", json!({ "session_id": session })).await;
    assert_eq!(late.code(), "INVALID_TRANSITION");
}

#[tokio::test]
async fn a_repeated_request_is_granted_once_and_a_revoked_key_loses_all() {
    let app = TestApp::new().await;
    let made = app.post("/api/v1/keys", json!({ "name": "k", "role": "member" })).await;
    let (id, secret) = (text(&made, "id"), text(&made, "secret"));
    let host = format!("localhost:{}", app.state.options.port);
    let ask = || {
        let headers =
            [("host", &*host), ("authorization", &*bearer(&secret)), ("idempotency-key", "k")]
                .map(|(name, value)| (name, value.to_owned()));
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        request(Method::POST, &format!("{LOCKS}/a/acquire"), Some(json!({})), &headers)
    };
    let first = app.send(ask()).await;
    let again = app.send(ask()).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.body, first.body);
    assert_eq!(app.get(&format!("{LOCKS}/a")).await.body["holders"][0]["hold_count"], 1);
    let revoked = app.send(app.request(Method::DELETE, &format!("/api/v1/keys/{id}"), None)).await;
    assert!(revoked.status.is_success(), "{revoked:?}");
    while app.get(&format!("{LOCKS}/a")).await.status != StatusCode::NOT_FOUND {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_goes_away_or_is_sent_away_leaves_the_queue() {
    let app = Arc::new(TestApp::new().await);
    let (ann, bob) = (holder(&app).await, holder(&app).await);
    acquire(&app, &ann, "a", json!({})).await;
    let of_task = (Arc::clone(&app), bob.clone());
    let gone = TaskTracker::new().spawn(async move {
        acquire(&of_task.0, &of_task.1, "a", json!({ "wait_seconds": 300 })).await
    });
    queued(&app, "a", 1).await;
    gone.abort();
    queued(&app, "a", 0).await;
    let of_task = (Arc::clone(&app), bob);
    let waiting = TaskTracker::new().spawn(async move {
        acquire(&of_task.0, &of_task.1, "a", json!({ "wait_seconds": 300 })).await
    });
    queued(&app, "a", 1).await;
    app.shutdown.cancel();
    let answer = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    let answer = answer.expect("in time").expect("no panic");
    assert_eq!((answer.status, answer.code()), (StatusCode::SERVICE_UNAVAILABLE, "SHUTTING_DOWN"));
}

#[tokio::test]
async fn lists_are_paged_and_what_is_malformed_is_refused_at_once() {
    let app = TestApp::new().await;
    let ann = holder(&app).await;
    let names: Vec<String> = (0..5).map(|number| format!("n{number}")).collect();
    let body = Some(json!({ "names": names }));
    let all = as_who(&app, &ann, Method::POST, &format!("{LOCKS}/acquire"), body).await;
    assert_eq!(all.status, StatusCode::OK, "{all:?}");
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("{LOCKS}?limit=2{cursor}")).await;
        assert_eq!(page.body["statistics"]["active_locks"], 5);
        let items = page.body["items"].as_array().expect("items").clone();
        seen.extend(items.iter().map(|item| item["name"].as_str().expect("a name").to_owned()));
        let Some(next) = page.body["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, names);
    let foreign = app.get(&format!("{LOCKS}?cursor=AAAA")).await;
    assert_eq!(foreign.code(), "VALIDATION_ERROR");
    let wrong =
        json!({ "ttl_seconds": 0, "wait_seconds": 301, "priority": 101, "mode": "x", "y": 1 });
    let wrong = acquire(&app, &ann, "a", wrong).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(wrong.body["errors"].as_array().map(Vec::len), Some(5), "{wrong:?}");
    let bad = acquire(&app, &ann, "%20a", json!({})).await;
    assert_eq!(bad.code(), "VALIDATION_ERROR");
    let body = Some(json!({ "names": ["a", "a", "!"] }));
    let twice = as_who(&app, &ann, Method::POST, &format!("{LOCKS}/acquire"), body).await;
    assert_eq!(twice.body["errors"].as_array().map(Vec::len), Some(2), "{twice:?}");
}
