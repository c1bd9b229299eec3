//! How agents come, are known, say how they are, and go.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{External, begin, call, introduce, site};
use crate::support::opencode::eventually;
use crate::support::server::{Api, array, text};

async fn state(api: &Api, id: &str) -> String {
    text(&api.get(&format!("agents/{id}")).await["state"]).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_told_once_and_opens_its_own_agent_alone() {
    let site = site();
    let server = site.serve().await;
    let one = External::register(&server, "AGENT-ONE", &["testing"]).await;
    let other = External::register(&server, "AGENT-OTHER", &["testing"]).await;
    assert_eq!((one.token.len(), text(&one.answer["status"])), (43, "registered"));
    assert_eq!(one.answer["heartbeat_interval_seconds"], 30);
    assert_eq!(
        (&one.answer["approved"], &one.answer["heartbeat_expiry_seconds"]),
        (&json!(true), &json!(300))
    );
    assert_eq!(text(&one.answer["dispatch_token"]).len(), 43);
    // Neither header is better than the other.
    let healthy = json!({ "status": "healthy" });
    let path = format!("{}/heartbeat", one.id);
    let bearer = format!("Bearer {}", one.token);
    for (name, value) in [("X-Agent-Token", one.token.as_str()), ("Authorization", &bearer)] {
        let back = call(&server.api, Method::POST, &path, &[(name, value)], Some(&healthy)).await;
        assert_eq!((back.status, back.body), (204, Value::Null), "{name}");
    }
    for token in [other.token.as_str(), "no-token-at-all", ""] {
        let headers = [("X-Agent-Token", token)];
        let back = call(&server.api, Method::POST, &path, &headers, Some(&healthy)).await;
        assert_eq!(
            (back.status, text(&back.body["detail"])),
            (401, "Invalid agent token"),
            "{token}"
        );
    }
    let back = call(&server.api, Method::POST, &path, &[], Some(&healthy)).await;
    assert_eq!(back.status, 401);
    let nobody = "01890000-0000-7000-8000-000000000000/heartbeat";
    let headers = [("X-Agent-Token", one.token.as_str())];
    let back = call(&server.api, Method::POST, nobody, &headers, Some(&healthy)).await;
    assert_eq!((back.status, text(&back.body["detail"])), (404, "Agent not found"));
    // A key of people is no token, and a token is no key.
    let of_people = format!("agents/external/{path}");
    let answer = server.api.send(Method::POST, &of_people, Some(&healthy), None).await;
    assert_eq!(answer.expect("an answer").status.as_u16(), 401);
    let sessions = server.api.http.get(format!("{}/api/v1/sessions", server.api.url));
    let sessions = sessions.bearer_auth(&one.token).send().await.expect("an answer");
    assert_eq!(sessions.status().as_u16(), 401);
    // Nothing that is told afterwards holds the token.
    let shown = server.get(&format!("agents/{}", one.id)).await;
    let events = server.all("events").await;
    let audit = server.get("audit").await;
    for told in [shown, json!(events), audit, server.get("keys").await] {
        assert!(!told.to_string().contains(&one.token), "{told:#}");
    }
    server.stop().await;
    assert!(!site.log().contains(&one.token));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_of_the_protocol_are_told_apart_from_its_shape() {
    let site = site();
    let server = site.serve().await;
    let cases = [
        (json!({ "name": "AGENT-A", "capabilities": [] }), 400, "PROTOCOL_ERROR"),
        (json!({ "name": "agent-x", "capabilities": ["testing"] }), 400, "PROTOCOL_ERROR"),
        (
            json!({ "name": "AGENT-A", "capabilities": ["testing"], "protocol_version": "2.0" }),
            400,
            "PROTOCOL_ERROR",
        ),
        (json!({ "name": "AGENT-A", "capabilities": ["Rust Expert"] }), 400, "PROTOCOL_ERROR"),
        (json!({ "name": 7, "capabilities": ["testing"] }), 422, "VALIDATION_ERROR"),
        (json!({ "name": "AGENT-A", "capabilities": "testing" }), 422, "VALIDATION_ERROR"),
        (
            json!({ "name": "AGENT-A", "capabilities": ["testing"], "endpoint_url": "http://169.254.169.254/" }),
            422,
            "ENDPOINT_NOT_ALLOWED",
        ),
        (
            json!({ "name": "AGENT-A", "capabilities": ["testing"], "endpoint_url": "http://10.1.2.3:80/" }),
            422,
            "ENDPOINT_NOT_ALLOWED",
        ),
    ];
    for (body, status, code) in cases {
        let back = introduce(&server.api, &body).await;
        assert_eq!((back.status, back.code()), (status, code), "{body}: {back:?}");
        assert!(back.body["detail"].is_string());
    }
    let fine = json!({
        "name": "AGENT-A", "capabilities": ["rust_expert"], "protocol_version": "1.7",
        "surprise": { "a": 1 }, "metadata": { "max_concurrent_capacity": 9 },
    });
    let back = introduce(&server.api, &fine).await;
    assert_eq!(back.status, 201, "{back:?}");
    let again = introduce(&server.api, &fine).await;
    assert_eq!((again.status, again.code()), (409, "ALREADY_EXISTS"));
    let id = text(&back.body["agent_id"]);
    let shown = server.get(&format!("agents/{id}")).await;
    assert_eq!((&shown["kind"], &shown["max_concurrent_capacity"]), (&json!("eap"), &json!(9)));
    // With its own token it says anew what it is.
    let token = text(&back.body["auth_token"]);
    let mut anew = fine.clone();
    anew["version"] = json!("2.0.0");
    let headers = [("X-Agent-Token", token)];
    let told = call(&server.api, Method::POST, "register", &headers, Some(&anew)).await;
    assert_eq!((told.status, &told.body["agent_id"]), (200, &json!(id)), "{told:?}");
    assert!(told.body["auth_token"].is_null());
    assert_eq!(server.get(&format!("agents/{id}")).await["version"], "2.0.0");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_has_as_many_agents_as_its_quota_lets_it() {
    let site = site();
    let server = site.serve().await;
    let quotas = json!({ "max_agents": 1 });
    let put = server.send(Method::PUT, "tenants/default/quotas", Some(&quotas), None).await;
    assert_eq!(put.expect("an answer").status.as_u16(), 200);
    let body = |name: &str| json!({ "name": name, "capabilities": ["testing"] });
    let first = External::register(&server, "AGENT-A", &["testing"]).await;
    let refused = introduce(&server, &body("AGENT-B")).await;
    assert_eq!((refused.status, refused.code()), (429, "QUOTA_EXCEEDED"), "{refused:?}");
    assert_eq!(introduce(&server, &body("AGENT-A")).await.code(), "ALREADY_EXISTS");
    assert_eq!(first.remove(false).await.status, 204);
    assert_eq!(introduce(&server, &body("AGENT-B")).await.status, 201);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enrolment_is_good_for_one_agent() {
    let site = site();
    let server = site.serve().await;
    let made = server.post("keys", json!({ "name": "enrol", "kind": "enrolment" })).await;
    let secret = text(&made["secret"]).to_owned();
    assert!(secret.starts_with("ioe_"), "{made}");
    let bearer = format!("Bearer {secret}");
    let headers = [("Authorization", bearer.as_str())];
    let body = |name: &str| json!({ "name": name, "capabilities": ["testing"] });
    let first = call(&server.api, Method::POST, "register", &headers, Some(&body("AGENT-A"))).await;
    assert_eq!(first.status, 201, "{first:?}");
    let second =
        call(&server.api, Method::POST, "register", &headers, Some(&body("AGENT-B"))).await;
    assert_eq!(second.status, 401, "{second:?}");
    let sessions = server.api.http.get(format!("{}/api/v1/sessions", server.api.url));
    let sessions = sessions.bearer_auth(&secret).send().await.expect("an answer");
    assert_eq!(sessions.status().as_u16(), 401, "it opens nothing else");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_decides_how_agents_come() {
    let site = site();
    let server = site.serve().await;
    let set = async |mode: &str| {
        let body = json!({ "settings": { "registration_mode": mode } });
        let back = server.send(Method::PATCH, "tenants/default", Some(&body), None).await;
        assert_eq!(back.expect("an answer").status.as_u16(), 200);
    };
    let body = |name: &str| json!({ "name": name, "capabilities": ["testing"] });
    let back = call(&server.api, Method::POST, "register", &[], Some(&body("AGENT-A"))).await;
    assert_eq!(back.status, 401, "nobody knows who that is");
    set("open").await;
    let back = call(&server.api, Method::POST, "register", &[], Some(&body("AGENT-A"))).await;
    assert_eq!(back.status, 201, "{back:?}");
    set("approval").await;
    let waiting = External::register(&server, "AGENT-B", &["analysis"]).await;
    assert_eq!(waiting.answer["approved"], false);
    assert_eq!(state(&server, &waiting.id).await, "inactive");
    let id = begin(&server, json!({ "required_capabilities": ["analysis"] })).await;
    let nothing = waiting.call(Method::GET, "tasks/next?wait=0", None).await;
    assert_eq!(nothing.status, 204);
    server.post(&format!("agents/{}/approve", waiting.id), json!({})).await;
    assert_eq!(waiting.take().await["session_id"], json!(id));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_agents_say_of_themselves_steers_who_gets_work() {
    let site = site();
    let mut server = site.serve().await;
    let one = External::register(&server, "AGENT-ONE", &["testing"]).await;
    let other = External::register(&server, "AGENT-OTHER", &["testing"]).await;
    for status in ["busy", "offline"] {
        assert_eq!(one.heartbeat(status).await.status, 204);
        eventually("it is seen", async || state(&server, &one.id).await == status).await;
        let id = begin(&server, json!({})).await;
        let work = other.take().await;
        assert_eq!(work["session_id"], json!(id), "the other one gets it");
        assert_eq!(other.finish(&work, json!({})).await.status, 200);
    }
    let loaded = json!({ "status": "healthy", "current_load": 0.95, "metrics": { "rss_mb": 12 } });
    assert_eq!(other.post("heartbeat", &loaded).await.status, 204);
    assert_eq!(one.heartbeat("healthy").await.status, 204);
    eventually("the load is seen", async || {
        let shown = server.get(&format!("agents/{}", other.id)).await;
        shown["load"]["load_level"] == "critical" && state(&server, &one.id).await == "idle"
    })
    .await;
    let id = begin(&server, json!({})).await;
    assert_eq!(one.take().await["session_id"], json!(id));
    let wrong = one.post("heartbeat", &json!({ "status": "fine", "current_load": 2 })).await;
    assert_eq!((wrong.status, array(&wrong.body["errors"]).len()), (422, 2));
    // What they said is still known after a restart.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    server.kill().await;
    server = site.serve().await;
    let shown = server.get(&format!("agents/{}", other.id)).await;
    assert_eq!(shown["heartbeat_status"], "healthy", "{shown:#}");
    assert!(shown["last_heartbeat_at"].is_string());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_there_stays_there_whatever_people_do_with_it() {
    let site = site();
    let server = site.serve().await;
    let agent = External::register(&server, "AGENT-ONE", &["testing"]).await;
    assert_eq!(agent.heartbeat("healthy").await.status, 204);
    for turn in 0..10 {
        for command in ["probe", "reset-metrics", "drain", "undrain"] {
            let path = format!("agents/{}/{command}", agent.id);
            server.post(&path, json!({})).await;
            let expected = if command == "drain" { "draining" } else { "idle" };
            assert_eq!(state(&server, &agent.id).await, expected, "{turn}, after {command}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_token_is_good_for_a_while_and_a_removed_agent_for_nothing() {
    let site = site().with("AGENTS__EXTERNAL__TOKEN_GRACE_SECONDS", "2");
    let server = site.serve().await;
    let mut agent = External::register(&server, "AGENT-ONE", &["testing"]).await;
    let before = agent.token.clone();
    let rotated = agent.post("rotate-token", &json!({})).await;
    assert_eq!(rotated.status, 200, "{rotated:?}");
    assert_ne!(rotated.body["dispatch_token"], agent.answer["dispatch_token"]);
    assert!(rotated.body["previous_valid_until"].is_string());
    agent.token = text(&rotated.body["auth_token"]).to_owned();
    let old = [("X-Agent-Token", before.as_str())];
    let (path, healthy) = (format!("{}/heartbeat", agent.id), json!({ "status": "healthy" }));
    let both = call(&server.api, Method::POST, &path, &old, Some(&healthy)).await;
    assert_eq!((both.status, agent.heartbeat("healthy").await.status), (204, 204));
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let over = call(&server.api, Method::POST, &path, &old, Some(&healthy)).await;
    assert_eq!((over.status, agent.heartbeat("healthy").await.status), (401, 204));
    // A lead replaces it: the agent is told.
    server.post(&format!("agents/{}/rotate-token", agent.id), json!({})).await;
    let notice = agent.call(Method::GET, "tasks/next?wait=5&notices=true", None).await;
    assert_eq!((notice.status, text(&notice.body["kind"])), (200, "rotate_token"));
    let gone = agent.remove(true).await;
    assert_eq!(gone.status, 204, "{gone:?}");
    assert_eq!(agent.heartbeat("healthy").await.status, 404);
    server.stop().await;
}
