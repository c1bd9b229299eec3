//! Agents whose work is brought to them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use orchestrator::domain::canonical::hex;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{External, Listener, Told, answered, begin, site};
use crate::support::opencode::eventually;
use crate::support::server::{Server, text};

async fn called(server: &Server, name: &str, listener: &Listener) -> External {
    let body = json!({
        "name": name, "capabilities": ["testing"], "endpoint_url": format!("{}/base", listener.url),
    });
    External::with(server, body).await
}

fn healthy() -> Value {
    json!({ "status": "healthy", "current_load": 0.1 })
}

/// The answer of an agent that does everything at once.
fn at_once(told: &Told) -> axum::response::Response {
    if told.path.starts_with("GET") {
        return answered(200, healthy());
    }
    let task = &told.body["task_id"];
    answered(
        200,
        json!({ "task_id": task, "status": "completed", "output_data": { "text": "done" } }),
    )
}

fn is_signed(told: &Told, token: &str) -> bool {
    let header = told.headers["x-orchestrator-signature"].to_str().expect("ASCII");
    let (time, signature) = header.split_once(",v1=").expect("both parts");
    let time = time.strip_prefix("t=").expect("a time");
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).expect("any key");
    mac.update(format!("{time}.").as_bytes());
    mac.update(&told.raw);
    hex(&mac.finalize().into_bytes()) == signature
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_brought_signed_and_answered_at_once() {
    let site = site();
    let server = site.serve().await;
    let listener = Listener::new(|told, _| at_once(told)).await;
    let agent = called(&server, "AGENT-PUSH", &listener).await;
    let id = begin(&server, json!({})).await;
    server.until_status(&id, "completed").await;
    let [task] = &listener.told("POST /base/task")[..] else { panic!("one call") };
    let dispatch = text(&agent.answer["dispatch_token"]);
    assert_eq!(task.headers["x-agent-token"], dispatch);
    assert_eq!(task.headers["user-agent"], "IndustrialOrchestrator/1.0");
    assert_eq!(task.headers["prefer"], "respond-async");
    let key = format!("{id}:{}", task.body["fencing_token"]);
    assert_eq!(task.headers["idempotency-key"], key.as_str());
    assert!(is_signed(task, dispatch) && !is_signed(task, "another"));
    assert!(
        task.body["lease_expires_at"].is_string() && task.body["input_data"] == "Count the apples."
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_accepted_and_its_result_brought_later() {
    let site = site();
    let server = site.serve().await;
    let listener = Listener::new(|told, _| match told.path.as_str() {
        "POST /base/task" => answered(202, json!({})),
        path if path.starts_with("GET") => answered(200, healthy()),
        _ => answered(404, json!({})),
    })
    .await;
    let agent = called(&server, "AGENT-PUSH", &listener).await;
    let id = begin(&server, json!({})).await;
    eventually("it is brought", async || !listener.told("POST /base/task").is_empty()).await;
    let work = listener.told("POST /base/task").remove(0).body;
    assert_eq!(
        agent.tell(&work, json!([{ "type": "progress", "percentage": 5 }])).await.status,
        200
    );
    let done = agent.finish(&work, json!({})).await;
    assert_eq!(done.body["session_status"], "completed", "{done:?}");
    // One that is stopped is cancelled at the agent, which need not know the call.
    let id_of_other = begin(&server, json!({})).await;
    eventually("it is brought", async || listener.told("POST /base/task").len() == 2).await;
    server.post(&format!("sessions/{id_of_other}/stop"), json!({})).await;
    let cancel = format!("POST /base/task/{id_of_other}/cancel");
    eventually("it is cancelled", async || listener.told(&cancel).len() == 1).await;
    assert!(is_signed(&listener.told(&cancel)[0], text(&agent.answer["dispatch_token"])));
    assert_eq!(server.session(&id).await["status"], "completed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_is_tried_again_with_the_same_key() {
    let site = site();
    let server = site.serve().await;
    let listener = Listener::new(|told, before| match told.path.as_str() {
        "POST /base/task" if before < 2 => answered(503, json!({})),
        _ => at_once(told),
    })
    .await;
    called(&server, "AGENT-PUSH", &listener).await;
    let id = begin(&server, json!({})).await;
    server.until_status(&id, "completed").await;
    let tries = listener.told("POST /base/task");
    assert_eq!(tries.len(), 3);
    let key = |told: &Told| told.headers["idempotency-key"].clone();
    assert!(tries.iter().all(|told| key(told) == key(&tries[0])));
    server.stop().await;
}

/// An agent that lets in whoever shows this, once there is one.
fn asks_for(token: &Mutex<String>, told: &Told) -> axum::response::Response {
    let token = token.lock().expect("whole");
    let is_known = told.headers["x-agent-token"] == token.as_str()
        && (told.path.starts_with("GET") || is_signed(told, &token));
    if token.is_empty() || is_known { at_once(told) } else { answered(401, json!({})) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_token_before_is_shown_to_an_agent_that_does_not_know_the_new_one_while_it_is_good() {
    let site = site().with("AGENTS__EXTERNAL__TOKEN_GRACE_SECONDS", "4");
    let server = site.serve().await;
    let token = Arc::new(Mutex::new(String::new()));
    let known = Arc::clone(&token);
    let listener = Listener::new(move |told, _| asks_for(&known, told)).await;
    let agent = called(&server, "AGENT-PUSH", &listener).await;
    let old = text(&agent.answer["dispatch_token"]).to_owned();
    token.lock().expect("whole").clone_from(&old);
    let rotated = server.post(&format!("agents/{}/rotate-token", agent.id), json!({})).await;
    let since = tokio::time::Instant::now();
    let new = text(&rotated["dispatch_token"]);
    let id = begin(&server, json!({})).await;
    server.until_status(&id, "completed").await;
    let calls = listener.told("POST /base/task");
    let shown: Vec<_> = calls.iter().map(|told| told.headers["x-agent-token"].clone()).collect();
    assert_eq!(shown, [new, old.as_str()]);
    assert_eq!(calls[0].headers["idempotency-key"], calls[1].headers["idempotency-key"]);
    tokio::time::sleep_until(since + Duration::from_millis(4100)).await;
    let id = begin(&server, json!({ "max_retries": 0 })).await;
    server.until_status(&id, "failed").await;
    assert_eq!(listener.told("POST /base/task").len(), 3, "the old one is shown no more");
    // By now it knows.
    new.clone_into(&mut token.lock().expect("whole"));
    server.post(&format!("agents/{}/probe", agent.id), json!({})).await;
    let id = begin(&server, json!({})).await;
    server.until_status(&id, "completed").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_is_refused_or_lost_goes_to_another_agent() {
    let site = site();
    let server = site.serve().await;
    for (status, tries) in [(429, 1), (409, 1), (502, 3)] {
        let refusing = Listener::new(move |told, _| match told.path.as_str() {
            "POST /base/task" => answered(status, json!({})),
            _ => answered(200, healthy()),
        })
        .await;
        let willing = Listener::new(|told, _| at_once(told)).await;
        let name = format!("AGENT-REFUSES-{status}");
        let refused = called(&server, &name, &refusing).await;
        let body = json!({ "preferred_agent_ids": [refused.id] });
        let other = called(&server, &format!("AGENT-WILLING-{status}"), &willing).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let id = begin(&server, body).await;
        server.until_status(&id, "completed").await;
        assert_eq!(refusing.told("POST /base/task").len(), tries, "{status}");
        assert_eq!(willing.told("POST /base/task").len(), 1, "{status}");
        for agent in [refused, other] {
            agent.remove(false).await;
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_none_fail_the_attempt_with_a_stable_code() {
    let site = site();
    let server = site.serve().await;
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let deep: Value = serde_json::from_str(&deep).expect("JSON");
    let oddities = [
        json!({ "status": "completed" }),
        json!({ "task_id": "another", "status": "completed" }),
        json!({ "task_id": "SELF", "status": "done" }),
        json!({ "task_id": "SELF", "status": "completed", "cost_usd": -1 }),
        json!({ "task_id": "SELF", "status": "completed", "artifacts": [{ "path": "../x", "content": "" }] }),
        json!({ "task_id": "SELF", "status": "completed", "output_data": { "deep": deep } }),
        json!({ "task_id": "SELF", "status": "completed", "tokens_used": 1e300 }),
    ];
    for (number, oddity) in oddities.into_iter().enumerate() {
        let said = oddity.clone();
        let listener = Listener::new(move |told, _| {
            if told.path.starts_with("GET") {
                return answered(200, healthy());
            }
            let mut said = said.clone();
            if said["task_id"] == "SELF" {
                said["task_id"] = told.body["task_id"].clone();
            }
            answered(200, said)
        })
        .await;
        let agent = called(&server, &format!("AGENT-ODD-{number}"), &listener).await;
        let id = begin(&server, json!({ "max_retries": 0 })).await;
        server.until_status(&id, "failed").await;
        let session = server.get(&format!("sessions/{id}?include=metrics")).await;
        assert_eq!(
            session["metrics"]["error"]["type"], "agent_protocol_error",
            "{oddity}: {session:#}"
        );
        agent.remove(false).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_does_not_answer_is_offline() {
    let site = site();
    let server = site.serve().await;
    let listener = Listener::new(|told, _| at_once(told)).await;
    let agent = called(&server, "AGENT-PUSH", &listener).await;
    let state =
        async || text(&server.get(&format!("agents/{}", agent.id)).await["state"]).to_owned();
    server.post(&format!("agents/{}/probe", agent.id), json!({})).await;
    eventually("it is idle", async || state().await == "idle").await;
    assert!(!listener.told("GET /base/health").is_empty());
    drop(listener);
    server.post(&format!("agents/{}/probe", agent.id), json!({})).await;
    eventually("it is offline", async || state().await == "offline").await;
    server.stop().await;
}
