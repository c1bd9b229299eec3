//! The tools of the server: for an agent at work, by the token of its attempt, over HTTP and over standard
//! streams; and for whoever shows a key.

use std::process::Stdio;
use std::sync::Arc;

use orchestrator::application::inside::Door;
use orchestrator::domain::ids::{SessionId, TenantId};
use orchestrator::infrastructure::keys::file::kept_in;
use orchestrator::infrastructure::keys::seal::AesSealer;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::{array, asks, begin, begin_with, eventually, text};
use crate::support::server::{ADMIN_KEY, Server, Site};

/// The token that an attempt of a session was given.
fn token(site: &Site, session: &str, attempt: u32) -> String {
    let key = kept_in(&site.data().join("seal.key")).expect("the key");
    let sealer = Arc::new(AesSealer::new(&key).expect("a key"));
    let session = SessionId::parse(session).expect("an id");
    Door::new(sealer, "", None, Vec::new()).doorway(TenantId::BOOTSTRAP, session, attempt).token
}

fn message(id: u32, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

async fn send(server: &Server, token: &str, body: &Value) -> (u16, Value) {
    let request = server.http.post(format!("{}/mcp", server.url)).bearer_auth(token);
    let request = request
        .header("Accept", "application/json, text/event-stream")
        .header("MCP-Protocol-Version", "2025-06-18")
        .header("X-Tenant-ID", "default");
    let answer = request.json(body).send().await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// What a tool answers, which must not be a refusal.
async fn call(server: &Server, token: &str, tool: &str, arguments: Value) -> Value {
    let (status, answer) = tried(server, token, tool, arguments).await;
    assert_eq!((status, &answer["result"]["isError"]), (200, &json!(false)), "{answer:#}");
    answer["result"]["structuredContent"].clone()
}

/// The problem that a tool refuses with.
async fn refused(server: &Server, token: &str, tool: &str, arguments: Value) -> Value {
    let (status, answer) = tried(server, token, tool, arguments).await;
    assert_eq!((status, &answer["result"]["isError"]), (200, &json!(true)), "{answer:#}");
    answer["result"]["structuredContent"].clone()
}

async fn tried(server: &Server, token: &str, tool: &str, arguments: Value) -> (u16, Value) {
    let params = json!({ "name": tool, "arguments": arguments });
    send(server, token, &message(7, "tools/call", &params)).await
}

fn names(answer: &Value) -> Vec<&str> {
    array(&answer["result"]["tools"]).iter().map(|tool| text(&tool["name"])).collect()
}

fn hello() -> Value {
    let client = json!({ "name": "test", "version": "1" });
    message(
        1,
        "initialize",
        &json!({
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client,
        }),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_at_work_has_its_tools_while_its_attempt_lasts() {
    let site = Site::simulated();
    let server = site.serve().await;
    let fields = json!({ "budget_usd": 1.0 });
    let id = begin_with(&server, &json!([asks(), { "say": "Done." }]), fields).await;
    let waits = server.until_asked(&id).await;
    let token = token(&site, &id, 1);
    let (status, greeting) = send(&server, &token, &hello()).await;
    assert_eq!((status, &greeting["result"]["serverInfo"]["name"]), (200, &json!("orchestrator")));
    let (_, listed) = send(&server, &token, &message(2, "tools/list", &json!({}))).await;
    for tool in ["context_get", "lock_acquire", "session_spawn", "ask_human", "report_phase"] {
        assert!(names(&listed).contains(&tool), "{tool} in {listed:#}");
    }
    assert!(!names(&listed).contains(&"session_stop"), "{listed:#}");

    // Memory.
    let put = json!({ "updates": { "plan.step": 1 } });
    let written = call(&server, &token, "context_put", put).await;
    let read = call(&server, &token, "context_get", json!({ "path": "plan.step" })).await;
    assert_eq!((&read["value"], &read["trusted"]), (&json!(1), &json!(false)), "{read:#}");
    let stale = json!({ "updates": { "plan.step": 3 }, "expected_version": 1 });
    let newer = json!({ "updates": { "plan.step": 2 } });
    call(&server, &token, "context_put", newer).await;
    let stale = refused(&server, &token, "context_put", stale).await;
    assert_eq!(stale["code"], "CONTEXT_CONFLICT", "{stale:#}");
    let past = call(&server, &token, "context_history", json!({})).await;
    assert_eq!(past["context_id"], written["id"]);
    assert_eq!(array(&past["changes"])[0]["new_value"], 2);
    let own = server.get(&format!("contexts/session/{id}")).await;
    assert_eq!(own["items"][0]["data"]["plan"]["step"], 2, "{own:#}");

    // A lock, which is the session's.
    let lock = json!({ "names": ["file:calc.py"], "wait_seconds": 0 });
    let held = call(&server, &token, "lock_acquire", lock.clone()).await;
    let shown = server.get("locks/file%3Acalc.py").await;
    let owner = &shown["holders"][0]["owner"];
    assert_eq!((&owner["kind"], &owner["id"]), (&json!("session"), &json!(id)));
    let which = json!({ "name": "file:calc.py", "lock_id": held["grants"][0]["lock_id"] });
    call(&server, &token, "lock_renew", which.clone()).await;
    call(&server, &token, "lock_release", which).await;
    call(&server, &token, "lock_acquire", lock).await;

    // Children, within the budget, and nobody else's sessions.
    let child = json!({ "prompt": "Say hello.", "budget_usd": 0.75 });
    let child = call(&server, &token, "session_spawn", child).await;
    assert_eq!((&child["parent_id"], &child["budget_usd"]), (&json!(id), &json!(0.75)));
    let child = text(&child["id"]).to_owned();
    let more = json!({ "prompt": "Say more.", "budget_usd": 0.9 });
    let more = refused(&server, &token, "session_spawn", more).await;
    assert_eq!(more["errors"][0]["pointer"], "/budget_usd", "{more:#}");
    server.until_status(&child, "completed").await;
    let seen = call(&server, &token, "session_status", json!({ "session": child })).await;
    assert_eq!((&seen["status"], &seen["is_over"]), (&json!("completed"), &json!(true)));
    let other = begin(&server, &json!([{ "say": "Done." }])).await;
    let unseen = refused(&server, &token, "session_status", json!({ "session": other })).await;
    assert_eq!(unseen["code"], "SESSION_NOT_FOUND", "{unseen:#}");
    let own = call(&server, &token, "session_status", json!({})).await;
    assert_eq!(own["child_ids"], json!([child]));

    // Tasks of its own session.
    let task = json!({ "session_id": id, "title": "Test it" });
    let task = text(&server.post("tasks", task).await["id"]).to_owned();
    let seen = call(&server, &token, "task_list", json!({})).await;
    assert_eq!((&seen["your_task_id"], &seen["tasks"][0]["id"]), (&json!(null), &json!(task)));
    let begin = json!({ "task": task, "status": "ready" });
    call(&server, &token, "task_update", begin).await;
    call(&server, &token, "task_update", json!({ "task": task, "status": "assigned" })).await;
    let half = json!({ "task": task, "status": "in_progress", "progress_percentage": 50 });
    call(&server, &token, "task_update", half).await;
    let shown = server.get(&format!("tasks/{task}")).await;
    assert_eq!(
        (&shown["status"], &shown["progress_percentage"]),
        (&json!("in_progress"), &json!(50.0))
    );
    let fresh = server.post("sessions", json!({ "initial_prompt": "x" })).await["id"].clone();
    let foreign = json!({ "session_id": fresh, "title": "Test more" });
    let foreign = server.post("tasks", foreign).await["id"].clone();
    let unseen = json!({ "task": foreign, "progress_percentage": 1 });
    let unseen = refused(&server, &token, "task_update", unseen).await;
    assert_eq!(unseen["code"], "TASK_NOT_FOUND", "{unseen:#}");

    call(&server, &token, "report_phase", json!({ "phase": "reviewing" })).await;
    assert_eq!(server.session(&id).await["phase"], "reviewing");
    let bad =
        refused(&server, &token, "report_phase", json!({ "phase": "sleeping", "x": 1 })).await;
    assert_eq!(array(&bad["errors"]).len(), 2, "{bad:#}");

    // The attempt ends: its token is worth nothing, its locks are free.
    let path = format!("attention/{}/resolve", text(&waits["id"]));
    server.post(&path, json!({ "decision": "allow_once" })).await;
    server.until_status(&id, "completed").await;
    let (status, gone) = send(&server, &token, &hello()).await;
    assert_eq!((status, &gone["code"]), (401, &json!("UNAUTHENTICATED")), "{gone:#}");
    eventually("the lock is free", async || array(&server.get("locks").await["items"]).is_empty())
        .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_waits_for_its_answer_also_when_the_call_is_lost() {
    let site = Site::simulated();
    let server = site.serve().await;
    let id = begin(&server, &json!([asks(), { "say": "Done." }])).await;
    server.until_asked(&id).await;
    let token = token(&site, &id, 1);
    let question = |wait: u32| json!({ "question": "Ship it?", "choices": ["yes", "no"], "wait_seconds": wait });
    let open = call(&server, &token, "ask_human", question(0)).await;
    assert_eq!(open["state"], "open", "{open:#}");
    // The same question is the same item, and who waits is told.
    let again = async { call(&server, &token, "ask_human", question(60)).await };
    let answered = async {
        let path = format!("attention/{}/resolve", text(&open["attention_id"]));
        let item = server.get(&format!("attention/{}", text(&open["attention_id"]))).await;
        assert_eq!((&item["kind"], &item["title"]), (&json!("question"), &json!("Ship it?")));
        server.post(&path, json!({ "decision": "answer", "answer": "yes" })).await;
    };
    let (told, ()) = tokio::join!(again, answered);
    assert_eq!((&told["state"], &told["answer"]), (&json!("answered"), &json!("yes")), "{told:#}");
    // Answered while nobody listened.
    let other = json!({ "question": "And now?", "wait_seconds": 0 });
    let open = call(&server, &token, "ask_human", other.clone()).await;
    let path = format!("attention/{}/resolve", text(&open["attention_id"]));
    server.post(&path, json!({ "decision": "answer", "answer": "later" })).await;
    let told = call(&server, &token, "ask_human", other).await;
    assert_eq!((&told["answer"], &told["by"]), (&json!("later"), &json!("administrator")));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_are_none_are_refused_alike() {
    let site = Site::simulated();
    let server = site.serve().await;
    let id = begin(&server, &json!([asks()])).await;
    server.until_asked(&id).await;
    let good = token(&site, &id, 1);
    let mut answers = Vec::new();
    let never = SessionId::new(uuid::Uuid::from_u128(7)).to_string();
    for shown in [
        token(&site, &id, 2),
        token(&site, &never, 1),
        format!("{}x", &good[..good.len() - 1]),
        good.to_uppercase().replacen("IOS_", "ios_", 1),
        "ios_".to_owned(),
    ] {
        let (status, mut body) = send(&server, &shown, &hello()).await;
        body["request_id"] = Value::Null;
        answers.push((status, body));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert_eq!(answers[0].0, 401);
    // It is no key: nothing else of the server opens with it.
    let request = server.http.get(format!("{}/api/v1/sessions", server.url)).bearer_auth(&good);
    assert_eq!(request.send().await.expect("an answer").status(), 401);
    // Whoever guesses is slowed down, and nobody who has a good one.
    let mut last = 401;
    for _ in 0..10 {
        last = send(&server, "ios_", &hello()).await.0;
    }
    assert_eq!(last, 429);
    assert_eq!(send(&server, &good, &hello()).await.0, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_shows_a_key_runs_sessions_with_the_rights_of_the_key() {
    let site = Site::simulated();
    let server = site.serve().await;
    let (_, listed) = send(&server, ADMIN_KEY, &message(2, "tools/list", &json!({}))).await;
    assert!(names(&listed).contains(&"session_stop"), "{listed:#}");
    let prompt = super::plays(&json!([asks(), { "say": "Done." }]));
    let create = json!({ "initial_prompt": prompt, "start": true });
    let made = call(&server, ADMIN_KEY, "session_create", create.clone()).await;
    let id = text(&made["id"]).to_owned();
    let item = server.until_asked(&id).await;
    let why = call(&server, ADMIN_KEY, "session_explain", json!({ "session": id })).await;
    assert_eq!(why["state"], "running", "{why:#}");
    let waiting = call(&server, ADMIN_KEY, "attention_list", json!({ "limit": 10 })).await;
    assert_eq!(waiting["items"][0]["id"], item["id"], "{waiting:#}");
    let decide = json!({ "id": item["id"], "decision": "allow_once" });
    call(&server, ADMIN_KEY, "attention_resolve", decide).await;
    server.until_status(&id, "completed").await;
    let seen = call(&server, ADMIN_KEY, "session_list", json!({ "status": "completed" })).await;
    assert_eq!(array(&seen["items"]).len(), 1, "{seen:#}");
    let read = json!({ "uri": format!("orchestrator://sessions/{id}/transcript") });
    let (_, read) = send(&server, ADMIN_KEY, &message(3, "resources/read", &read)).await;
    assert!(text(&read["result"]["contents"][0]["text"]).contains("Done."), "{read:#}");
    // A viewer's key does no more here than elsewhere.
    let viewer = server.post("keys", json!({ "name": "eyes", "role": "viewer" })).await;
    let viewer = text(&viewer["secret"]);
    let forbidden = refused(&server, viewer, "session_create", create).await;
    assert_eq!(forbidden["code"], "FORBIDDEN", "{forbidden:#}");
    let odd = refused(&server, ADMIN_KEY, "session_get", json!({ "session": "../keys" })).await;
    assert_eq!(odd["errors"][0]["pointer"], "/session", "{odd:#}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_is_spoken_on_standard_streams() {
    let site = Site::simulated();
    let server = site.serve().await;
    let id = begin(&server, &json!([asks()])).await;
    server.until_asked(&id).await;
    let mut command = site.command(&["mcp"]);
    command.env("ORCHESTRATOR_URL", &server.url).env("ORCHESTRATOR_KEY", token(&site, &id, 1));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut input = child.stdin.take().expect("piped");
    let put = json!({ "name": "context_put", "arguments": { "updates": { "note": "by stdio" } } });
    let lines = [
        hello().to_string(),
        json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string(),
        "no json".to_owned(),
        message(4, "tools/call", &put).to_string(),
    ];
    input.write_all(format!("{}\n", lines.join("\n")).as_bytes()).await.expect("it reads");
    drop(input);
    let output = child.wait_with_output().await.expect("it ends");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut answers: Vec<Value> =
        told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!(answers.len(), 3, "{told} {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(answers[0]["error"]["code"], -32700, "{told}");
    assert_eq!(answers[1]["result"]["serverInfo"]["name"], "orchestrator", "{told}");
    assert_eq!(answers[2]["result"]["isError"], false, "{told}");
    let own = server.get(&format!("contexts/session/{id}")).await;
    assert_eq!(own["items"][0]["data"]["note"], "by stdio", "{own:#}");
    server.stop().await;
}
