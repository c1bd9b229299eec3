//! Agents that fetch their work.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::{External, begin, call, site};
use crate::support::opencode::eventually;
use crate::support::server::{ADMIN_KEY, array, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_fetched_told_of_and_brought_back() {
    let site = site();
    let server = site.serve().await;
    let agent = External::register(&server, "AGENT-PULL", &["testing", "code_generation"]).await;
    let fields = json!({
        "title": "Apples", "tags": ["fruit", "testing"], "required_capabilities": ["testing"],
        "max_duration_seconds": 600,
    });
    let id = begin(&server, fields).await;
    let work = agent.take().await;
    assert_eq!((text(&work["kind"]), text(&work["task_type"])), ("task", "session_execution"));
    assert_eq!((&work["task_id"], &work["session_id"]), (&json!(id), &json!(id)));
    assert_eq!(work["input_data"], "Count the apples.");
    assert_eq!(work["requirements"], json!(["testing", "fruit"]));
    assert_eq!(work["context"]["session"]["title"], "Apples");
    let key = format!("{id}:{}", work["fencing_token"]);
    assert_eq!((&work["idempotency_key"], &work["attempt"]), (&json!(key), &json!(1)));
    let left = work["timeout_seconds"].as_u64().expect("a number");
    assert!((590..=600).contains(&left), "{left}");
    let told = agent
        .tell(&work, json!([
            { "type": "progress", "percentage": 40, "message": "counting" },
            { "type": "log", "level": "warn", "message": "one is rotten" },
            { "type": "phase", "phase": "executing" },
            { "type": "usage", "tokens_input": 100, "tokens_output": 20, "cost_usd": 0.25, "id": "u1" },
            { "type": "usage", "tokens_input": 100, "tokens_output": 20, "cost_usd": 0.25, "id": "u1" },
            { "type": "dance" },
            { "type": "turn_end", "message_ref": "m1" },
        ]))
        .await;
    assert_eq!((told.status, &told.body["cancel_requested"]), (200, &json!(false)), "{told:?}");
    assert!(told.body["lease_expires_at"].is_string());
    let result = json!({
        "output_data": { "summary": "three", "apples": 3 }, "success_rate": 0.75,
        "metrics": { "tokens_used": 500, "cost_usd": 0.5, "execution_time_ms": 12 },
        "quality_score": 0.9, "surprise": true,
    });
    let done = agent.finish(&work, result.clone()).await;
    assert_eq!(done.body, json!({ "accepted": true, "session_status": "completed" }));
    let again = agent.finish(&work, result).await;
    assert_eq!((again.status, again.body), (200, done.body), "the same again, the same answer");
    let session = server.session(&id).await;
    assert_eq!(session["status"], "completed");
    let metrics = &server.get(&format!("sessions/{id}?include=metrics")).await["metrics"];
    assert_eq!(metrics["success_rate"], 0.75, "{metrics:#}");
    assert_eq!(metrics["result"]["output"]["apples"], 3);
    assert_eq!(
        metrics["usage"]["tokens_total"], 500,
        "what was told before is part of the sum: {metrics:#}"
    );
    let logs = server.get(&format!("sessions/{id}/logs")).await.to_string();
    assert!(logs.contains("one is rotten") && logs.contains("40 %: counting"), "{logs}");
    let shown = server.get(&format!("agents/{}", agent.id)).await;
    assert_eq!(shown["load"]["current_concurrent_tasks"], 0, "{shown:#}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_by_an_old_right_change_nothing_and_are_kept() {
    let site = site();
    let server = site.serve().await;
    let agent = External::register(&server, "AGENT-PULL", &["testing"]).await;
    let id = begin(&server, json!({})).await;
    let work = agent.take().await;
    let mut older = work.clone();
    older["fencing_token"] = json!(work["fencing_token"].as_u64().expect("a number") - 1);
    for back in [
        agent.finish(&older, json!({})).await,
        agent.tell(&older, json!([{ "type": "turn_end" }])).await,
    ] {
        assert_eq!((back.status, back.code()), (409, "STALE_RESULT"), "{back:?}");
    }
    let mut other = work.clone();
    other["task_id"] = json!("01890000-0000-7000-8000-000000000000");
    assert_eq!(agent.finish(&other, json!({})).await.code(), "STALE_RESULT");
    assert_eq!(agent.finish(&work, json!({ "task_id": "something" })).await.code(), "STALE_RESULT");
    assert_eq!(server.session(&id).await["status"], "running");
    server.post(&format!("sessions/{id}/stop"), json!({ "reason": "enough" })).await;
    let late = agent.finish(&work, json!({})).await;
    assert_eq!((late.status, late.code()), (409, "STALE_RESULT"));
    assert_eq!(server.session(&id).await["status"], "stopped");
    let attempts = server.get(&format!("sessions/{id}/attempts")).await;
    assert_eq!(attempts["items"][0]["stale_reports"], 2, "what it had a right to: {attempts:#}");
    // The agent was told.
    let notice = agent.call(Method::GET, "tasks/next?wait=0&notices=true", None).await;
    assert_eq!((text(&notice.body["kind"]), &notice.body["task_id"]), ("cancel", &json!(id)));
    let after = agent.call(Method::GET, "tasks/next?wait=0&notices=true", None).await;
    assert_eq!(after.status, 204);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_is_given_back_goes_to_another_agent() {
    let site = site();
    let server = site.serve().await;
    let one = External::register(&server, "AGENT-ONE", &["testing", "analysis"]).await;
    let fields = json!({ "required_capabilities": ["testing"] });
    let id = begin(&server, fields).await;
    let work = one.take().await;
    let path = format!("tasks/{id}/nack");
    // Nobody else could do it.
    let nack = json!({ "fencing_token": work["fencing_token"], "reason": "no room" });
    let other = External::register(&server, "AGENT-OTHER", &["testing"]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let back = one.post(&path, &nack).await;
    assert_eq!(back.status, 200, "{back:?}");
    let taken = other.take().await;
    assert_eq!((&taken["task_id"], &taken["attempt"]), (&json!(id), &json!(1)));
    assert!(taken["fencing_token"].as_u64() > work["fencing_token"].as_u64());
    assert_eq!(taken["input_data"], "Count the apples.", "nothing was begun");
    assert_eq!(one.finish(&work, json!({})).await.code(), "STALE_RESULT");
    // Given back by the last one that could, it fails.
    let nack = json!({ "fencing_token": taken["fencing_token"] });
    assert_eq!(other.post(&path, &nack).await.status, 200);
    let failed = server
        .until(&id, "its failure", |session| {
            session["retry_count"] != 0 || session["status"] == "failed"
        })
        .await;
    let events = server.get(&format!("sessions/{id}/events")).await.to_string();
    assert!(events.contains("dispatch_failed"), "{failed:#}\n{events}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_partial_results_and_questions() {
    let site = site();
    let server = site.serve().await;
    let agent = External::register(&server, "AGENT-PULL", &["testing"]).await;
    let id = begin(&server, json!({})).await;
    let work = agent.take().await;
    let failed = json!({ "status": "failed", "error_message": "no apples", "retryable": false });
    let back = agent.finish(&work, failed).await;
    assert_eq!(back.body, json!({ "accepted": true, "session_status": "failed" }));
    let session = server.get(&format!("sessions/{id}?include=metrics")).await;
    assert_eq!(session["metrics"]["error"]["message"], "no apples", "{session:#}");
    let id = begin(&server, json!({})).await;
    let work = agent.take().await;
    assert_eq!(
        agent.finish(&work, json!({ "partial": true })).await.body["session_status"],
        "partially_completed"
    );
    assert_eq!(server.session(&id).await["status"], "partially_completed");
    let id = begin(&server, json!({})).await;
    let work = agent.take().await;
    agent.tell(&work, json!([{ "type": "question", "text": "Green ones, too?" }])).await;
    let item = server.until_asked(&id).await;
    assert_eq!((text(&item["kind"]), text(&item["title"])), ("question", "Green ones, too?"));
    let path = format!("attention/{}/resolve", text(&item["id"]));
    server.post(&path, json!({ "decision": "answer", "answer": "Yes, all." })).await;
    let notice = agent.call(Method::GET, "tasks/next?wait=10&notices=true", None).await;
    assert_eq!((text(&notice.body["kind"]), text(&notice.body["text"])), ("answer", "Yes, all."));
    let told = agent.tell(&work, json!([{ "type": "progress", "percentage": 90 }])).await;
    assert_eq!(told.body["notices"], json!([]), "it arrived with the answer before: {told:?}");
    assert_eq!(agent.finish(&work, json!({})).await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_goes_on_over_a_restart_of_the_server() {
    let site = site();
    let mut server = site.serve().await;
    let mut agent = External::register(&server, "AGENT-PULL", &["testing"]).await;
    let id = begin(&server, json!({})).await;
    let work = agent.take().await;
    server.kill().await;
    server = site.serve().await;
    agent.api = server.api.clone();
    assert_eq!(server.ready["recovered"]["adopted"], 1, "{}", server.ready);
    let told = agent.tell(&work, json!([{ "type": "progress", "percentage": 60 }])).await;
    assert_eq!(told.status, 200, "{told:?}");
    let load = async || {
        let shown = server.get(&format!("agents/{}", agent.id)).await;
        shown["load"]["current_concurrent_tasks"].clone()
    };
    assert_eq!(load().await, 1, "it still has it");
    let nothing = agent.call(Method::GET, "tasks/next?wait=0", None).await;
    assert_eq!(nothing.status, 204, "it has it already");
    let done = agent.finish(&work, json!({ "output_data": { "text": "three" } })).await;
    assert_eq!(done.body["session_status"], "completed", "{done:?}");
    assert_eq!(load().await, 0);
    server.kill().await;
    server = site.serve().await;
    agent.api = server.api.clone();
    let again = agent.finish(&work, json!({ "output_data": { "text": "three" } })).await;
    assert_eq!(again.body, done.body, "also after the next one");
    assert_eq!(server.session(&id).await["status"], "completed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_agents_wait_and_each_piece_of_work_goes_to_one() {
    let site = site();
    let server = site.serve().await;
    server.lift_quotas().await;
    let mut waiting = JoinSet::new();
    for number in 0..4 {
        let agent = External::register(&server, &format!("AGENT-{number}"), &["testing"]).await;
        waiting.spawn(async move {
            let mut done = Vec::new();
            loop {
                let back = agent.call(Method::GET, "tasks/next?wait=3", None).await;
                if back.status == 204 {
                    return done;
                }
                assert_eq!(back.status, 200, "{back:?}");
                assert_eq!(agent.finish(&back.body, json!({})).await.status, 200);
                done.push(text(&back.body["task_id"]).to_owned());
            }
        });
    }
    let mut all = Vec::new();
    for _ in 0..20 {
        all.push(begin(&server, json!({})).await);
    }
    let mut done: Vec<String> = waiting.join_all().await.concat();
    done.sort();
    all.sort();
    assert_eq!(done, all);
    let sessions = server.all("sessions").await;
    assert!(sessions.iter().all(|session| session["status"] == "completed"));
    assert_eq!(array(&json!(sessions)).len(), 20);
    let nobody = call(&server.api, Method::GET, "x/tasks/next", &[], None).await;
    assert_eq!(nobody.status, 404);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_come_with_a_result_are_kept_and_go_with_the_session() {
    let site = site();
    let mut server = site.serve().await;
    let mut agent = External::register(&server, "AGENT-PULL", &["testing"]).await;
    let id = begin(&server, json!({})).await;
    let work = agent.take().await;
    let wrong =
        json!({ "artifacts": [{ "path": "a.bin", "content": "no!", "encoding": "base64" }] });
    let back = agent.finish(&work, wrong).await;
    assert_eq!(
        (back.status, text(&back.body["errors"][0]["pointer"])),
        (422, "/artifacts/0/content")
    );
    let many = json!({ "output_data": { "list": vec![1; 250_000] } });
    let back = agent.finish(&work, many).await;
    assert_eq!((back.status, text(&back.body["errors"][0]["code"])), (422, "too_many"));
    let page = "<script>alert(1)</script>";
    let files = json!({ "artifacts": [
        { "path": "report/apples.html", "content": page, "mime_type": "text/html" },
        { "path": "a.bin", "content": "AAEC/w==", "encoding": "base64" },
    ] });
    assert_eq!(agent.finish(&work, files).await.status, 200);
    server.kill().await;
    server = site.serve().await;
    agent.api = server.api.clone();
    let list = server.get(&format!("sessions/{id}/artifacts")).await;
    let paths: Vec<&str> = array(&list["items"]).iter().map(|item| text(&item["path"])).collect();
    assert_eq!(paths, ["a.bin", "report/apples.html"]);
    assert_eq!(
        (&list["items"][0]["size"], &list["items"][1]["mime_type"]),
        (&json!(4), &json!("text/html"))
    );
    let fetch = async |path: &str| {
        let address = format!("{}/api/v1/sessions/{id}/artifacts/{path}", server.url);
        let request =
            server.http.get(address).bearer_auth(ADMIN_KEY).header("X-Tenant-ID", "default");
        let answer = request.send().await.expect("an answer");
        let kind = answer.headers()["content-type"].to_str().expect("ASCII").to_owned();
        (answer.status().as_u16(), kind, answer.bytes().await.expect("whole").to_vec())
    };
    let (status, kind, bytes) = fetch("report/apples.html").await;
    assert_eq!(
        (status, kind.as_str(), bytes.as_slice()),
        (200, "application/octet-stream", page.as_bytes())
    );
    assert_eq!(fetch("a.bin").await.2, [0, 1, 2, 255]);
    assert_eq!(fetch("../../x").await.0, 404);
    assert_eq!(fetch("report").await.0, 404);
    let kept = site.data().join("artifacts");
    assert_eq!(files_below(&kept), 2);
    for path in [format!("sessions/{id}"), format!("sessions/{id}?purge=true")] {
        let answer = server.send(Method::DELETE, &path, None, None).await.expect("an answer");
        assert!(answer.status.is_success(), "{answer:?}");
    }
    assert_eq!(files_below(&kept), 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poor_result_is_put_before_people_once() {
    let site = site();
    let mut server = site.serve().await;
    let mut agent = External::register(&server, "AGENT-PULL", &["testing"]).await;
    let done = async |agent: &External, score: f64| {
        let id = begin(&agent.api, json!({})).await;
        let back = agent.finish(&agent.take().await, json!({ "quality_score": score })).await;
        assert_eq!(back.body["session_status"], "completed", "{back:?}");
        id
    };
    let (good, poor) = (done(&agent, 0.7).await, done(&agent, 0.69).await);
    let shown = async |agent: &External, id: &str| {
        agent.api.get(&format!("attention?session_id={id}&state=open")).await["items"].clone()
    };
    eventually("people are told", async || shown(&agent, &poor).await[0].is_object()).await;
    // What was counted and told is not counted and told again.
    server.kill().await;
    server = site.serve().await;
    agent.api = server.api.clone();
    let another = done(&agent, 0.1).await;
    eventually("people are told", async || shown(&agent, &another).await[0].is_object()).await;
    let items = shown(&agent, &poor).await;
    assert_eq!(array(&items).len(), 1, "{items:#}");
    let item = &items[0];
    assert_eq!((text(&item["kind"]), text(&item["risk"])), ("review", "low"));
    assert_eq!(
        item["payload"],
        json!({
            "reason": "low_quality", "agent_id": agent.id, "quality_score": 0.69,
            "min_quality_threshold": 0.7,
        })
    );
    assert_eq!(shown(&agent, &good).await, json!([]));
    let figures = &server.get(&format!("agents/{}", agent.id)).await["performance"];
    let counted = |name: &str| figures[name].as_u64();
    assert_eq!(
        (counted("successful_tasks"), counted("partially_successful_tasks")),
        (Some(1), Some(2)),
        "{figures:#}"
    );
    let path = format!("attention/{}/resolve", text(&item["id"]));
    let resolved = server.post(&path, json!({ "decision": "acknowledge" })).await;
    assert_eq!(resolved["state"], "resolved", "{resolved:#}");
    assert_eq!(server.session(&poor).await["status"], "completed");
    server.stop().await;
}

fn files_below(folder: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let count = |entry: std::fs::DirEntry| {
        let path = entry.path();
        if path.is_dir() { files_below(&path) } else { 1 }
    };
    entries.map(|entry| count(entry.expect("readable"))).sum()
}
