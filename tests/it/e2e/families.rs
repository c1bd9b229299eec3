//! Parents and children of the real executable, also when it is killed between their ends.

use serde_json::{Value, json};

use super::{asks, begin, begin_with, calculator, events_without_gap, plays, saved, settled, text};
use crate::support::server::{Server, Site};

async fn child(server: &Server, parent: &str, wish: &str, start: bool) -> String {
    let body = json!({
        "initial_prompt": plays(&json!([{ "hang": true }])), "start": start,
        "parent_id": parent, "on_parent_end": wish,
    });
    let child = server.post("sessions", body).await;
    assert_eq!(child["on_parent_end"], json!(wish));
    text(&child["id"]).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_follow_a_stopped_session_and_not_a_completed_one() {
    let (site, repo) = (Site::simulated(), calculator());
    let server = site.serve().await;
    let parent = begin(&server, &json!([{ "hang": true }])).await;
    server.until_status(&parent, "running").await;
    let parent_code = text(&server.session(&parent).await["code"]).to_owned();
    let write = json!({ "tool": { "tool": "write", "title": "n.txt",
        "write": { "path": "n.txt", "content": "new\n" } } });
    let fields = json!({
        "workspace": { "kind": "git", "repo": repo.text() }, "parent_id": parent_code,
    });
    let works = begin_with(&server, &json!([write, asks()]), fields).await;
    server.until_asked(&works).await;
    let lost = child(&server, &parent, "orphan", true).await;
    let free = child(&server, &parent, "continue", true).await;
    let waits = child(&server, &parent, "cascade", false).await;
    let below = child(&server, &waits, "orphan", false).await;
    for id in [&lost, &free] {
        server.until_status(id, "running").await;
    }
    server.post(&format!("sessions/{parent}/stop"), json!({})).await;
    let ends =
        [(&works, "stopped"), (&lost, "orphaned"), (&waits, "cancelled"), (&below, "orphaned")];
    for (id, status) in ends {
        let ended = server.until_status(id, status).await;
        assert!(ended["current_agent_id"].is_null() && !ended["ended_at"].is_null(), "{ended:#}");
        assert_eq!(ended["attention"], "none");
        let events = server.all(&format!("sessions/{id}/events")).await;
        let told = events.iter().find(|event| event["type"] == json!(format!("session.{status}")));
        let payload = &told.expect("told")["payload"];
        assert_eq!(payload["actor"], "supervisor", "{payload:#}");
        assert!(text(&payload["reason"]).starts_with("its parent IND-"), "{payload:#}");
    }
    assert_eq!(
        server.session(&works).await["status_reason"],
        json!(format!("its parent {parent_code} was stopped"))
    );
    assert_eq!(saved(&repo, &works, "n.txt"), "new");
    assert_eq!(server.session(&free).await["status"], "running");
    server.post(&format!("sessions/{free}/stop"), json!({})).await;

    let good = begin(&server, &json!([asks()])).await;
    let item = server.until_asked(&good).await;
    let kept = child(&server, &good, "cascade", false).await;
    let path = format!("attention/{}/resolve", text(&item["id"]));
    server.post(&path, json!({ "decision": "allow_once" })).await;
    server.until_status(&good, "completed").await;
    // Whatever the scan had to do for another family is done after that end.
    let marker = server.post("sessions", json!({ "initial_prompt": "m" })).await;
    let below_it = child(&server, text(&marker["id"]), "cascade", false).await;
    server.post(&format!("sessions/{}/cancel", text(&marker["id"])), json!({})).await;
    server.until_status(&below_it, "cancelled").await;
    assert_eq!(server.session(&kept).await["status"], "pending");
    settled(&site, &server, Some(&repo)).await;
    events_without_gap(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_follow_although_the_server_was_killed_in_between() {
    let site = Site::simulated();
    let mut server = site.serve().await;
    for _ in 0..4 {
        let parent = begin(&server, &json!([{ "hang": true }])).await;
        server.until_status(&parent, "running").await;
        let mut children = Vec::new();
        for start in [true, false, true, false] {
            children.push((child(&server, &parent, "cascade", start).await, start));
        }
        for (id, _) in children.iter().filter(|(_, start)| *start) {
            server.until_status(id, "running").await;
        }
        server.post(&format!("sessions/{parent}/stop"), json!({})).await;
        server.kill().await;
        server = site.serve().await;
        assert_eq!(server.session(&parent).await["status"], "stopped");
        for (id, start) in &children {
            let status = if *start { "stopped" } else { "cancelled" };
            server.until_status(id, status).await;
        }
    }
    settled(&site, &server, None).await;
    events_without_gap(&server).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_says_what_a_child_wants() {
    let site = Site::simulated();
    let server = site.serve().await;
    let parent = server.post("sessions", json!({ "initial_prompt": "p" })).await;
    let code = text(&parent["code"]);
    let words = ["session", "create", "c", "--parent", code, "--on-parent-end", "orphan", "--json"];
    let made = site.cli(&words).await;
    assert_eq!(made.exit, 0, "{}", made.err);
    let made: Value = serde_json::from_str(&made.out).expect("JSON");
    assert_eq!((&made["on_parent_end"], &made["parent_id"]), (&json!("orphan"), &parent["id"]));
    let plain = site.cli(&["session", "create", "c", "--parent", code, "--json"]).await;
    let plain: Value = serde_json::from_str(&plain.out).expect("JSON");
    assert_eq!(plain["on_parent_end"], "cascade");
    let alone = site.cli(&["session", "create", "c", "--on-parent-end", "orphan"]).await;
    assert_eq!(alone.exit, 64, "{}", alone.err);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_reaches_every_descendant_within_five_seconds() {
    let site = Site::simulated();
    let server = site.serve().await;
    let parent = begin(&server, &json!([{ "hang": true }])).await;
    let mut descendants = Vec::new();
    let mut above = parent.clone();
    // As many as a tenant may have open as shipped: some below, some beside each other.
    for _ in 0..6 {
        above = child(&server, &above, "cascade", true).await;
        descendants.push(above.clone());
    }
    for _ in 0..3 {
        descendants.push(child(&server, &parent, "cascade", true).await);
    }
    for id in &descendants {
        server.until_status(id, "running").await;
    }
    let all_ended = async {
        server.post(&format!("sessions/{parent}/stop"), json!({})).await;
        for id in &descendants {
            server.until_status(id, "stopped").await;
        }
    };
    let in_time = tokio::time::timeout(std::time::Duration::from_secs(5), all_ended).await;
    assert!(in_time.is_ok(), "descendants go on after five seconds");
    settled(&site, &server, None).await;
    server.stop().await;
}
