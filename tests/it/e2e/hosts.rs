//! The servers of the real agent: how they are, and one that is replaced under two sessions.

use orchestrator::application::ports::store::Store as _;
use orchestrator::domain::event::EventType;
use orchestrator::domain::ids::TenantId;
use serde_json::{Value, json};

use super::{array, calculator, events_without_gap, eventually, saved, settled, text};
use crate::support::repo::TestRepo;
use crate::support::scripted_llm::{ScriptedLlm, scripted};
use crate::support::server::{Server, Site};

/// Does something that can be counted, and waits at a gate.
fn counts() -> Value {
    json!([
        { "say": "Working.", "call": { "tool": "bash", "args": { "command": "echo once >> count.txt", "description": "count" } } },
        { "say": "Counted.", "gate": "go" },
    ])
}

async fn in_the_middle(
    server: &Server,
    llm: &ScriptedLlm,
    repo: &TestRepo,
    words: &str,
) -> (String, String) {
    let body = json!({
        "initial_prompt": scripted(words, &counts()), "start": true,
        "workspace": { "kind": "git", "repo": repo.text() },
        "permission_policy": { "default": "allow" },
    });
    let id = text(&server.post("sessions", body).await["id"]).to_owned();
    (id, llm.conversation(words, 2).await)
}

async fn only_host(server: &Server) -> Value {
    let page = server.get("hosts").await;
    let hosts = array(&page["items"]);
    assert_eq!(hosts.len(), 1, "{page:#}");
    hosts[0].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sessions_go_on_when_their_server_is_replaced() {
    let (llm, repo) = (ScriptedLlm::start(), calculator());
    let site = Site::opencode(&llm);
    let server = site.serve().await;
    let one = in_the_middle(&server, &llm, &repo, "Count one.").await;
    let two = in_the_middle(&server, &llm, &repo, "Count two.").await;
    let host = only_host(&server).await;
    let name = text(&host["id"]).to_owned();
    let known = ("ready", json!(2), json!(TenantId::BOOTSTRAP));
    let shown = &host["server"];
    assert_eq!(
        (text(&host["state"]), shown["running_sessions"].clone(), host["tenant_id"].clone()),
        known
    );
    assert!(shown["rss_bytes"].as_u64() > Some(100 << 20), "{host:#}");
    assert!(host["last_probe"]["error"].is_null(), "{host:#}");

    let nobody = server.refused("hosts/nobody/recycle", json!({}), 404).await;
    assert_eq!(nobody["code"], "HOST_NOT_FOUND");
    let begun = site.cli(&["host", "recycle", &name, "--reason", "for a test", "--json"]).await;
    assert_eq!(begun.exit, 0, "{begun:?}");
    let begun: Value = serde_json::from_str(&begun.out).expect("JSON");
    assert_eq!(array(&begun["steps"]).len(), 3, "{begun:#}");
    assert_eq!(begun["host"]["server"]["pid"], shown["pid"]);

    // The interrupted answer of the model is asked for again, in the same conversation.
    assert_eq!(llm.conversation("Count one.", 3).await, one.1);
    assert_eq!(llm.conversation("Count two.", 3).await, two.1);
    eventually("the old one is gone", async || {
        let host = only_host(&server).await;
        host["state"] == "ready" && host["starts"] == json!(2)
    })
    .await;
    let listed = site.cli(&["host", "list"]).await;
    assert!(listed.exit == 0 && listed.out.contains(&name), "{listed:?}");
    llm.open("go").await;
    for (id, conversation) in [&one, &two] {
        let session = server.until_status(id, "completed").await;
        assert_eq!(session["metrics"]["error"], Value::Null, "{session:#}");
        assert_eq!(session["attempt"], json!(1), "{session:#}");
        assert_eq!(saved(&repo, id, "count.txt"), "once");
        let checkpoints = server.get(&format!("sessions/{id}/checkpoints")).await;
        let taken = array(&checkpoints["items"]);
        assert!(taken.iter().any(|taken| taken["trigger"] == "periodic"), "{checkpoints:#}");
        let last = taken.last().expect("a checkpoint");
        assert_eq!(last["agent_session_ref"], json!(conversation), "{checkpoints:#}");
        // What was told before the move is not told again.
        let transcript = server.all(&format!("sessions/{id}/transcript")).await;
        let told = |kind: &str, field: &str, word: &str| {
            let is_meant = |entry: &&Value| entry["kind"] == kind && entry["body"][field] == word;
            transcript.iter().filter(is_meant).count()
        };
        assert_eq!(told("tool", "status", "completed"), 1, "{transcript:#?}");
        assert_eq!(told("text", "text", "Working."), 1, "{transcript:#?}");
        assert_eq!(told("text", "text", "Counted."), 1, "{transcript:#?}");
    }
    let events = events_without_gap(&server.api).await;
    let ended = events.iter().filter(|event| event["type"] == "session.completed");
    assert_eq!(ended.count(), 2);
    let audit = server.get("audit").await;
    let entry = array(&audit["items"]).iter().find(|entry| entry["action"] == "host.recycle");
    assert_eq!(entry.expect("on record")["reason"], "for a test", "{audit:#}");
    settled(&site, &server, Some(&repo)).await;
    server.stop().await;
    let store = site.store();
    let snapshot = store.snapshot(TenantId::SYSTEM).await.expect("a snapshot");
    let told = snapshot.events(0, None, 100).await.expect("readable");
    let changes: Vec<_> = told
        .iter()
        .filter(|told| told.event.event_type == EventType::SystemHealthChanged)
        .map(|told| (told.event.payload["old"].clone(), told.event.payload["new"].clone()))
        .collect();
    assert!(changes.contains(&(json!("ready"), json!("draining"))), "{changes:?}");
    assert!(changes.contains(&(json!("draining"), json!("ready"))), "{changes:?}");
}
