//! What agents tell is durable when it is acknowledged, and counts as it was told.

use reqwest::Method;
use serde_json::json;

use super::{External, begin, site};
use crate::support::opencode::eventually;
use crate::support::server::{array, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_a_kill() {
    let site = site();
    let mut server = site.serve().await;
    let mut agent = External::register(&server, "AGENT-PULL", &["testing"]).await;
    let id = begin(&server, json!({ "budget_usd": 0.5 })).await;
    let work = agent.take().await;
    let usage = json!({ "type": "usage", "tokens_input": 1000, "tokens_output": 500, "cost_usd": 0.25, "id": "u1" });
    let told = agent
        .tell(
            &work,
            json!([
                { "type": "phase", "phase": "executing" },
                { "type": "log", "level": "info", "message": "half of them" },
                usage,
                { "type": "question", "text": "Which apples?" },
            ]),
        )
        .await;
    assert_eq!((told.status, &told.body["cancel_requested"]), (200, &json!(false)), "{told:?}");
    server.kill().await;
    server = site.serve().await;
    agent.api = server.api.clone();
    let used = async || {
        let session = agent.api.get(&format!("sessions/{id}?include=metrics")).await;
        session["metrics"]["usage"].clone()
    };
    assert_eq!(used().await["tokens_total"], 1500);
    assert_eq!(server.session(&id).await["phase"], "executing");
    let logs = server.get(&format!("sessions/{id}/logs")).await.to_string();
    assert!(logs.contains("half of them"), "{logs}");
    let asked = server.get(&format!("attention?session_id={id}")).await;
    assert_eq!(array(&asked["items"])[0]["payload"]["request"]["question"], "Which apples?");
    // Told again it counts once; a bound that is reached is told of with the same answer.
    let more = json!({ "type": "usage", "tokens_input": 10, "cost_usd": 0.3, "id": "u2" });
    let told = agent.tell(&work, json!([usage, more])).await;
    assert_eq!(told.status, 200, "{told:?}");
    assert_eq!(used().await["tokens_total"], 1510);
    let events = server.get(&format!("sessions/{id}/events?limit=200")).await.to_string();
    assert!(events.contains("usage.hard_limit_reached"), "{events}");
    // A result tells the sum of all that.
    let back = agent.finish(&work, json!({ "tokens_used": 1600, "cost_usd": 0.6 })).await;
    assert_eq!(back.status, 200, "{back:?}");
    let used = used().await;
    assert_eq!((&used["tokens_total"], &used["cost_usd"]), (&json!(1600), &json!(0.6)));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_brought_while_a_session_pauses_counts_when_it_goes_on() {
    let site = site();
    let server = site.serve().await;
    let agent = External::register(&server, "AGENT-PULL", &["testing"]).await;
    let id = begin(&server, json!({})).await;
    let work = agent.take().await;
    server.post(&format!("sessions/{id}/pause"), json!({})).await;
    let told = agent.tell(&work, json!([{ "type": "phase", "phase": "executing" }])).await;
    assert_eq!(told.body["cancel_requested"], json!(true), "{told:?}");
    let result = json!({
        "output_data": { "text": "half" }, "partial": true, "success_rate": 0.25,
    });
    let back = agent.finish(&work, result).await;
    assert_eq!(back.body["session_status"], "paused", "{back:?}");
    server.post(&format!("sessions/{id}/resume"), json!({})).await;
    let ended = server.until_status(&id, "partially_completed").await;
    let metrics = &server.get(&format!("sessions/{id}?include=metrics")).await["metrics"];
    assert_eq!(
        (&metrics["success_rate"], &metrics["success_rate_source"], &metrics["result"]["text"]),
        (&json!(0.25), &json!("reported"), &json!("half")),
        "{ended:#}"
    );
    let figures = async || server.get(&format!("agents/{}", agent.id)).await["performance"].clone();
    eventually("it is counted", async || figures().await["total_tasks"] == 1).await;
    assert_eq!(figures().await["partially_successful_tasks"], 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_work_can_bring_is_refused_with_its_place_and_costs_nothing() {
    let site = site();
    let server = site.serve().await;
    let agent = External::register(&server, "AGENT-PULL", &["testing"]).await;
    let id = begin(&server, json!({})).await;
    let work = agent.take().await;
    let mut deep = json!(1);
    for _ in 0..40 {
        deep = json!([deep]);
    }
    for (wrong, pointer, code) in [
        (json!({ "output_data": { "text": "x".repeat(70_000) } }), "/output_data", "too_large"),
        (json!({ "output_data": { "deep": deep } }), "/output_data", "too_deep"),
        (json!({ "tokens_used": u64::MAX }), "/tokens_used", "out_of_range"),
        (json!({ "metrics": { "cost_usd": 200_000 } }), "/metrics/cost_usd", "out_of_range"),
        (json!({ "execution_time_ms": u64::MAX }), "/execution_time_ms", "out_of_range"),
    ] {
        let back = agent.finish(&work, wrong).await;
        let error = &back.body["errors"][0];
        assert_eq!(
            (back.status, text(&error["pointer"]), text(&error["code"])),
            (422, pointer, code),
            "{back:?}"
        );
    }
    let told = agent.tell(&work, json!([{ "type": "usage", "tokens_input": u64::MAX }])).await;
    assert_eq!(told.status, 422, "{told:?}");
    let back = agent.finish(&work, json!({})).await;
    assert_eq!(back.body["session_status"], "completed", "{back:?}");
    assert_eq!(server.session(&id).await["status"], "completed");
    let figures = &server.get(&format!("agents/{}", agent.id)).await["performance"];
    assert!(figures["tokens_per_task"].is_null(), "nobody told any: {figures:#}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_was_promised_outlives_answers_that_were_lost() {
    let site = site();
    let server = site.serve().await;
    let agent = External::register(&server, "AGENT-PULL", &["testing"]).await;
    let rotate = async || agent.call(Method::POST, "rotate-token", None).await;
    let first = rotate().await;
    let (lost, newest) = (rotate().await, rotate().await);
    let until = |back: &super::Back| text(&back.body["previous_valid_until"]).to_owned();
    assert_eq!((until(&lost), until(&newest)), (until(&first), until(&first)), "as was promised");
    assert_eq!(agent.heartbeat("healthy").await.status, 204);
    let shows = async |back: &super::Back| {
        let token = text(&back.body["auth_token"]).to_owned();
        External { api: agent.api.clone(), id: agent.id.clone(), token, answer: json!(null) }
            .heartbeat("healthy")
            .await
            .status
    };
    assert_eq!((shows(&first).await, shows(&lost).await, shows(&newest).await), (401, 401, 204));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_not_pointed_where_it_may_not_be_called() {
    let site = site();
    let server = site.serve().await;
    let agent = External::register(&server, "AGENT-PULL", &["testing"]).await;
    for url in ["http://169.254.169.254/", "http://10.0.0.1/", server.url.as_str()] {
        let config = json!({ "config": { "endpoint_url": url } });
        let path = format!("agents/{}", agent.id);
        let answer = server.send(Method::PATCH, &path, Some(&config), None).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status.as_u16(), 422, "{url}: {answer:?}");
        assert_eq!(answer.body["code"], "ENDPOINT_NOT_ALLOWED", "{url}");
        assert_eq!(answer.body["errors"][0]["pointer"], "/config/endpoint_url");
    }
    server.stop().await;
}
