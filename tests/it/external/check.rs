//! `eap-check`: the shipped agents pass, and what is wrong with others is named.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::response::Response;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio_util::task::TaskTracker;

use super::kit::{python_example, rust_example};
use super::{Listener, Told, answered};
use crate::support::server::{Finished, Site, array, text};

/// What an orchestrator shows to the agents of these tests.
const TOKEN: &str = "the-token-that-only-the-orchestrator-shows";

/// Names of the checks that came out so.
fn came_out(checked: &Value, outcome: &str) -> Vec<String> {
    let of_it = array(&checked["checks"]).iter().filter(|check| check["outcome"] == outcome);
    of_it.map(|check| text(&check["name"]).to_owned()).collect()
}

fn read(finished: &Finished) -> Value {
    serde_json::from_str(&finished.out).unwrap_or_else(|_| panic!("no JSON: {finished:?}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shipped_agents_pass() {
    let site = Site::bare();
    let state = site.root().join("agent.json").display().to_string();
    let (python, rust) = (python_example(), rust_example());
    let (python, rust) = (python.to_str().expect("UTF-8"), rust.to_str().expect("UTF-8"));
    for (wait, expected) in [("5", "200 with a result"), ("0.1", "202, and a result later")] {
        let agent = ["python3", python, "--listen", "127.0.0.1:0", "--state", &state];
        let words = [
            &["eap-check", "--json", "--"][..],
            &agent,
            &["--sync-seconds", wait, "--", "sh", "-c", "sleep 0.6; wc -w"],
        ];
        let finished = site.cli(&words.concat()).await;
        let checked = read(&finished);
        assert_eq!((finished.exit, &checked["ok"]), (0, &json!(true)), "{finished:?}");
        assert_eq!(came_out(&checked, "warn"), [""; 0], "{finished:?}");
        assert!(finished.out.contains(expected), "{finished:?}");
        std::fs::remove_file(&state).expect("it was there");
    }
    let command = [rust, "--state", &state, "--", "sh", "-c", "sleep 1; wc -w"];
    let finished = site.cli(&[&["eap-check", "--pull", "--"][..], &command].concat()).await;
    assert_eq!(finished.exit, 0, "{finished:?}");
    let lines: Vec<&str> = finished.out.lines().collect();
    assert!(lines.len() > 15 && lines.iter().all(|line| line.starts_with("pass  ")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("cancel") && line.ends_with("[9.5]")));
}

/// An agent that is called and keeps to the protocol, but for one fault.
fn faulty(fault: &str, told: &Told, count: &AtomicUsize) -> Response {
    if told.path.starts_with("GET") {
        let sick = fault == "health";
        return answered(200, json!({ "status": if sick { "fine" } else { "healthy" } }));
    }
    if fault != "wrong-token" && told.headers["x-agent-token"] != TOKEN {
        return answered(401, json!({}));
    }
    if told.path.ends_with("/cancel") {
        return answered(if fault == "cancel" { 500 } else { 404 }, json!({}));
    }
    if fault == "unknown-fields" && told.body.get("a_field_of_the_future").is_some() {
        return answered(422, json!({ "detail": "what is a_field_of_the_future?" }));
    }
    if fault == "task" {
        return answered(202, json!({}));
    }
    let (task, token) = (told.body["task_id"].clone(), told.body["fencing_token"].clone());
    let mut result = json!({ "task_id": task, "fencing_token": token, "status": "completed" });
    match fault {
        "result-task" => result["task_id"] = json!("another"),
        "result-token" => result["fencing_token"] = json!(1),
        "result-status" => result["status"] = json!("done"),
        "artifacts" => result["artifacts"] = json!([{ "path": "../../x", "content": "" }]),
        "result-readable" => result["tokens_used"] = json!("many"),
        "repeat" => result["tokens_used"] = json!(count.fetch_add(1, Ordering::Relaxed)),
        "answer-depth" => {
            let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
            result["surprise"] = serde_json::from_str(&deep).expect("JSON");
        }
        "answer-size" => result["output_data"] = json!({ "text": "x".repeat(9 << 20) }),
        _ => {}
    }
    answered(200, result)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_an_agent_that_is_called_is_named() {
    let site = Site::bare();
    let faults = [
        "health",
        "task",
        "unknown-fields",
        "result-task",
        "result-token",
        "result-status",
        "artifacts",
        "result-readable",
        "answer-depth",
        "repeat",
        "wrong-token",
        "cancel",
        "none",
    ];
    for fault in faults {
        let count = Arc::new(AtomicUsize::new(0));
        let listener = Listener::new(move |told, _| faulty(fault, told, &count)).await;
        let words =
            ["eap-check", &listener.url, "--dispatch-token", TOKEN, "--json", "--limit", "2"];
        let finished = site.cli(&words).await;
        let checked = read(&finished);
        let expected: &[&str] = if fault == "none" { &[] } else { &[fault] };
        assert!(came_out(&checked, "fail").iter().eq(expected), "{fault}: {finished:?}");
        assert_eq!(finished.exit, i32::from(fault != "none"), "{fault}: {finished:?}");
        if fault == "none" {
            let warned = came_out(&checked, "warn");
            assert_eq!(warned, ["wrong-signature", "old-signature"], "it checks none");
        }
    }
    let listener = Listener::new(|told, _| faulty("answer-size", told, &AtomicUsize::new(0))).await;
    let finished = site.cli(&["eap-check", &listener.url, "--dispatch-token", TOKEN]).await;
    let line = finished.out.lines().find(|line| line.contains("answer-size"));
    let line = line.unwrap_or_else(|| panic!("{finished:?}"));
    assert!(line.starts_with("FAIL") && line.contains("at most 8 MiB; came: "), "{line}");
    assert!(line.ends_with("[9.5, docs/external-agents.md#results]"), "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_elsewhere_and_agents_that_do_not_come_are_told() {
    let site = Site::bare();
    let words = ["eap-check", "http://192.0.2.1:9000", "--dispatch-token", TOKEN];
    let elsewhere = site.cli(&words).await;
    assert_eq!(elsewhere.exit, 64, "{elsewhere:?}");
    assert!(elsewhere.err.contains("--allow-remote"), "{elsewhere:?}");
    let listening = site.cli(&["eap-check", "--pull", "--listen", "0.0.0.0:0"]).await;
    assert_eq!(listening.exit, 64, "{listening:?}");
    let nobody = site.cli(&["eap-check", "--pull", "--wait", "1"]).await;
    assert_eq!(nobody.exit, 69, "{nobody:?}");
    let gone = site.cli(&["eap-check", "--pull", "--", "sh", "-c", "exit 3"]).await;
    assert!(gone.exit == 69 && gone.err.contains("ended before it registered"), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_registered_elsewhere_brings_its_result_with_what_it_has() {
    let site = Site::bare();
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address").to_string();
    drop(free);
    let base = format!("http://{address}/api/v1/agents/external/its-own-id/tasks");
    let listener = Listener::new(move |told, before| {
        if !told.path.ends_with("/task") || told.headers["x-agent-token"] != TOKEN {
            return faulty("none", told, &AtomicUsize::new(0));
        }
        let (task, token) = (told.body["task_id"].clone(), told.body["fencing_token"].clone());
        let url = format!("{base}/{}/result", text(&task));
        let body = json!({ "task_id": task, "fencing_token": token, "status": "failed" });
        if before == 0 {
            TaskTracker::new().spawn(async move {
                let http = Client::builder().no_proxy().build().expect("a client");
                http.post(url).bearer_auth("its-own-token").json(&body).send().await.ok();
            });
        }
        answered(202, json!({}))
    })
    .await;
    let words =
        ["eap-check", &listener.url, "--dispatch-token", TOKEN, "--listen", &address, "--json"];
    let finished = site.cli(&words).await;
    assert_eq!(finished.exit, 0, "{finished:?}");
    assert!(finished.out.contains("202, and no other result"), "{finished:?}");
    assert!(came_out(&read(&finished), "pass").contains(&"token-header".to_owned()));
}

/// What an agent does that fetches, and does it wrong.
async fn fetch(url: String, is_deaf: bool) {
    let http = Client::builder().no_proxy().build().expect("a client");
    let base = format!("{url}/api/v1/agents/external");
    let body = json!({ "name": "AGENT-FAULTY", "capabilities": ["testing"] });
    let said = http.post(format!("{base}/register")).json(&body).send().await.expect("an answer");
    let said: Value = said.json().await.expect("JSON");
    let (id, token) = (text(&said["agent_id"]).to_owned(), text(&said["auth_token"]).to_owned());
    let shown = |request: RequestBuilder| {
        let header = if is_deaf { "X-Agent-Token" } else { "X-Api-Key" };
        request.header(header, &token)
    };
    // One heartbeat alone, and not a good one.
    let beat = json!({ "status": "alive" });
    shown(http.post(format!("{base}/{id}/heartbeat"))).json(&beat).send().await.ok();
    loop {
        let next = format!("{base}/{id}/tasks/next?wait=1&notices=true");
        let Ok(answer) = shown(http.get(next)).send().await else { return };
        if answer.status() != 200 {
            // Whatever was said of waiting.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        }
        let work: Value = answer.json().await.expect("JSON");
        let (http, task) = (http.clone(), text(&work["task_id"]).to_owned());
        let result = shown(http.post(format!("{base}/{id}/tasks/{task}/result")));
        TaskTracker::new().spawn(async move {
            // It goes on after a cancel, shows an old right, and never tries again.
            tokio::time::sleep(Duration::from_secs(2)).await;
            let body = json!({ "task_id": task, "fencing_token": 1, "status": "completed" });
            result.json(&body).send().await.ok();
        });
    }
}

async fn checked_while_fetching(site: &Site, is_deaf: bool) -> Value {
    let mut command = site.command(&["eap-check", "--pull", "--json", "--limit", "4"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("it starts");
    let mut talk = BufReader::new(child.stderr.take().expect("piped")).lines();
    let line = talk.next_line().await.expect("UTF-8").expect("a line");
    let url = line.split_whitespace().last().expect("an address").to_owned();
    let agent = TaskTracker::new().spawn(fetch(url, is_deaf));
    let mut out = String::new();
    let mut stdout = child.stdout.take().expect("piped");
    let all = tokio::time::timeout(Duration::from_secs(100), stdout.read_to_string(&mut out));
    all.await.expect("it ends in time").expect("UTF-8");
    agent.abort();
    assert_eq!(child.wait().await.expect("it ends").code(), Some(1), "{out}");
    serde_json::from_str(&out).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_an_agent_that_fetches_is_named() {
    let site = Site::bare();
    let checked = checked_while_fetching(&site, true).await;
    let expected =
        ["backs-off", "result-token", "result-repeat", "cancel", "heartbeat", "interval"];
    assert_eq!(came_out(&checked, "fail"), expected, "{checked:#}");
    assert_eq!(came_out(&checked, "warn"), ["credential"], "{checked:#}");
    let checked = checked_while_fetching(&site, false).await;
    // The rest would be waited for in vain.
    let expected = ["backs-off", "heartbeat", "interval", "token-header"];
    assert_eq!(came_out(&checked, "fail"), expected, "{checked:#}");
}
