//! Locks of the whole executable: over `kill -9`, and from the shell.

use serde_json::{Value, json};

use super::{array, text};
use crate::support::opencode::eventually;
use crate::support::server::{Server, Site};

async fn lost(server: &Server, id: &str, reason: &str) -> bool {
    let events = server.get("events?limit=200").await;
    array(&events["items"]).iter().any(|event| {
        event["type"] == "lock.lost"
            && event["payload"]["lock_id"] == id
            && event["payload"]["reason"] == reason
    })
}

async fn written(server: &Server, id: &str) -> bool {
    let events = server.get("events?limit=200").await;
    array(&events["items"])
        .iter()
        .any(|event| event["type"] == "lock.acquired" && event["subject"]["id"] == id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_ends_locks_and_their_tokens_go_on_rising() {
    let site = Site::simulated();
    let mut server = site.serve().await;
    let mut newest = 0;
    for (round, reason) in ["restart", "shutdown"].into_iter().enumerate() {
        let held = server.post("locks/a%2Fb/acquire", json!({ "ttl_seconds": 600 })).await;
        let token = held["fencing_token"].as_u64().expect("a token");
        assert!(token > newest, "{token} after {newest}");
        newest = token;
        let id = text(&held["lock_id"]).to_owned();
        eventually("the grant is written", async || written(&server, &id).await).await;
        if round == 0 {
            server.kill().await;
        } else {
            server.stop().await;
        }
        server = site.serve().await;
        let body = json!({ "lock_id": id, "fencing_token": token });
        let refused = server.refused("locks/a%2Fb/renew", body, 409).await;
        assert_eq!(refused["code"], "LOCK_LOST");
        eventually("the loss is told", async || lost(&server, &id, reason).await).await;
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_from_the_shell() {
    let site = Site::simulated();
    let server = site.serve().await;
    let taken = site.cli(&["lock", "acquire", "deploy/x", "--ttl", "60", "--json"]).await;
    assert_eq!(taken.exit, 0, "{taken:?}");
    let held: Value = serde_json::from_str(&taken.out).expect("JSON");
    let id = text(&held["lock_id"]);
    let listed = site.cli(&["lock", "list"]).await;
    assert!(listed.out.contains("deploy/x"), "{listed:?}");
    let renewed = site.cli(&["lock", "renew", "deploy/x", id, "--ttl", "90", "--json"]).await;
    assert!(renewed.out.contains("\"ttl_seconds\": 90"), "{renewed:?}");
    let shown = site.cli(&["lock", "show", "deploy/x"]).await;
    assert!(shown.out.contains(id), "{shown:?}");
    let several = site.cli(&["lock", "acquire", "m", "n", "--wait", "0"]).await;
    assert!(several.exit == 0 && several.out.contains('n'), "{several:?}");
    let freed = site.cli(&["lock", "release", "deploy/x", id]).await;
    assert_eq!(freed.exit, 0, "{freed:?}");
    let forced = site.cli(&["lock", "force-release", "m", "--reason", "tested"]).await;
    assert_eq!(forced.exit, 0, "{forced:?}");
    let none = site.cli(&["lock", "show", "m"]).await;
    assert!(none.exit == 1 && none.err.contains("lock list"), "{none:?}");
    server.stop().await;
}
