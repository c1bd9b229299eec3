//! The socket of an agent: it hears at once of its work, of what it is to know, and of itself alone.

use reqwest::Method;
use serde_json::{Value, json};

use super::{External, begin, site};
use crate::support::app::bearer;
use crate::support::server::{ADMIN_KEY, Server, array, text};
use crate::ws::client::{SOON, Socket};

/// Where the server takes connections.
fn address(server: &Server) -> &str {
    server.url.strip_prefix("http://").expect("an address")
}

fn path(agent: &External) -> String {
    format!("/ws/agents/{}", agent.id)
}

/// The socket of an agent by its own token.
async fn open(server: &Server, agent: &External) -> Socket {
    let headers = [("x-agent-token", agent.token.clone())];
    Socket::with(address(server), &path(agent), &headers).await.expect("an upgrade")
}

/// A socket of the administrator.
async fn people(server: &Server, path: &str) -> Socket {
    let headers = [("authorization", bearer(ADMIN_KEY)), ("x-tenant-id", "default".to_owned())];
    Socket::with(address(server), path, &headers).await.expect("an upgrade")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_hears_of_its_work_and_of_notices_at_once() {
    let site = site();
    let server = site.serve().await;
    let agent = External::register(&server, "AGENT-EAR", &["testing"]).await;
    let other = External::register(&server, "AGENT-OTHER", &["refactoring"]).await;
    let (mut socket, mut second) = (open(&server, &agent).await, open(&server, &agent).await);
    let established = socket.frame().await;
    assert_eq!(established["type"], "connection.established");
    assert_eq!(established["payload"]["head_seq"], Value::Null, "it is the tenant's");
    let joined = socket.frame().await;
    let room = format!("agent:{}", agent.id);
    assert_eq!(joined["payload"]["room"], json!(room));
    assert_eq!(joined["payload"]["agent_id"], json!(agent.id));
    let mut others = open(&server, &other).await;
    others.frame_of("subscription.confirmed").await;

    let id = begin(&server, json!({ "required_capabilities": ["testing"] })).await;
    for socket in [&mut socket, &mut second] {
        let told = socket.frame_of("agent.task_available").await;
        assert_eq!(told["payload"]["task_id"], json!(id));
        assert_eq!(told["subject"], json!({ "kind": "agent", "id": agent.id }));
        assert_eq!(told["seq"], Value::Null);
    }
    // It was told, and not handed over: whoever comes later is told, too.
    let mut late = open(&server, &agent).await;
    assert_eq!(late.frame_of("agent.task_available").await["payload"]["task_id"], json!(id));
    let fetched = agent.call(Method::GET, "tasks/next?wait=0", None).await;
    assert_eq!((fetched.status, &fetched.body["task_id"]), (200, &json!(id)));
    let done = agent.finish(&fetched.body, json!({})).await;
    assert_eq!(done.status, 200, "{done:?}");
    let counted = late.frame_of("agent.task_completed").await;
    assert_eq!(counted["payload"]["outcome"], "success");

    let drain = format!("agents/{}/drain", agent.id);
    server.post(&drain, json!({})).await;
    let notice = second.frame_of("agent.notice").await;
    assert_eq!(notice["payload"], json!({ "agent_id": agent.id, "kind": "drain" }));
    // Told by the socket, it still is told by the routes, which confirm it.
    let told = agent.call(Method::GET, "tasks/next?wait=0&notices=true", None).await;
    assert_eq!(told.body, json!({ "kind": "drain" }));
    let beat = agent.heartbeat("healthy").await;
    assert_eq!(beat.status, 204);
    let mut after = open(&server, &agent).await;
    after.say(r#"{"type":"ping"}"#).await;
    for _ in 0..2 {
        after.frame().await;
    }
    assert_eq!(after.frame().await["type"], "pong", "nothing is told any more");

    // Nothing of this was for another agent.
    others.say(r#"{"type":"ping"}"#).await;
    assert_eq!(others.frame().await["type"], "pong");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_token_opens_its_own_room_alone() {
    let site = site();
    let server = site.serve().await;
    let agent = External::register(&server, "AGENT-OWN", &["testing"]).await;
    let other = External::register(&server, "AGENT-OTHER", &["testing"]).await;
    let never = "01890000-0000-7000-8000-000000000000";
    for (path, token, expected) in [
        (path(&other), Some(&agent.token), 401),
        (path(&agent), None, 401),
        (path(&agent), Some(&"x".repeat(43)), 401),
        (format!("/ws/agents/{never}"), Some(&agent.token), 404),
        ("/ws/agents".to_owned(), Some(&agent.token), 401),
        ("/ws/events".to_owned(), Some(&agent.token), 401),
    ] {
        for header in ["x-agent-token", "authorization"] {
            let value = token.map(|token| match header {
                "authorization" => (header, bearer(token)),
                _ => (header, token.clone()),
            });
            let headers: Vec<_> = value.into_iter().collect();
            let refused = Socket::with(address(&server), &path, &headers).await.err();
            assert_eq!(refused, Some(expected), "{path} with {header}");
        }
    }
    // The other ways to show it.
    for header in [
        ("authorization", bearer(&agent.token)),
        ("sec-websocket-protocol", format!("bearer.{}", agent.token)),
    ] {
        let mut socket =
            Socket::with(address(&server), &path(&agent), &[header]).await.expect("an upgrade");
        socket.frame_of("subscription.confirmed").await;
    }
    let mut socket = open(&server, &agent).await;
    socket.frame_of("subscription.confirmed").await;
    let session = begin(&server, json!({ "agent": "AGENT-OTHER" })).await;
    let rooms = [
        "agents".to_owned(),
        "events".to_owned(),
        "sessions".to_owned(),
        format!("session:{session}"),
        format!("session:{never}"),
        "session:IND-000001".to_owned(),
        format!("agent:{}", other.id),
        "agent:AGENT-NEVER".to_owned(),
    ];
    for room in rooms {
        socket.say(&json!({ "type": "subscribe", "rooms": [room], "after": 0 }).to_string()).await;
        let refused = socket.frame_of("error").await;
        assert_eq!(refused["payload"]["code"], "FORBIDDEN", "{room}: {refused}");
        assert!(!refused.to_string().contains(&session), "{refused}");
    }
    socket.say(r#"{"type":"get_stats"}"#).await;
    assert_eq!(socket.frame_of("error").await["payload"]["code"], "FORBIDDEN");
    let own = format!("agent:{}", agent.id);
    socket.say(&json!({ "type": "subscribe", "rooms": [own], "after": 0 }).to_string()).await;
    socket.frame_of("subscription.confirmed").await;
    let replayed = socket.event().await;
    assert_eq!(
        (text(&replayed["type"]), text(&replayed["payload"]["agent_id"])),
        ("agent.registered", agent.id.as_str())
    );
    // What people did to it is told without who they are.
    let rotated = server.post(&format!("agents/{}/rotate-token", agent.id), json!({})).await;
    assert!(rotated["auth_token"].is_string());
    let notice = socket.frame_of("agent.notice").await;
    assert_eq!(notice["payload"]["kind"], "rotate_token");
    let gone = agent.remove(false).await;
    assert_eq!(gone.status, 204, "{gone:?}");
    assert_eq!(socket.event().await["type"], "agent.deregistered");
    assert_eq!(socket.closed().await, (4401, "the agent was removed".to_owned()));
}

/// Waits until the scheduler knows both agents, so that what changes from now on is a change.
async fn until_both_are_known(server: &Server) {
    let work = json!({
        "task_description": "a piece of work for anybody", "required_capabilities": ["testing"],
    });
    let asked = async {
        while array(&server.post("agents/route", work.clone()).await["candidates"]).len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, asked).await.expect("both are known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_hear_how_agents_say_that_they_are_and_what_follows() {
    let site = site();
    let server = site.serve().await;
    let agent = External::register(&server, "AGENT-BEAT", &["testing"]).await;
    let other = External::register(&server, "AGENT-QUIET", &["testing"]).await;
    let mut all = people(&server, "/ws/agents").await;
    let mut one = people(&server, "/ws/agents/agent-beat").await;
    let mut own = open(&server, &agent).await;
    for socket in [&mut all, &mut one, &mut own] {
        socket.frame_of("subscription.confirmed").await;
    }
    until_both_are_known(&server).await;
    other.heartbeat("healthy").await;
    let beat = json!({ "status": "busy", "current_load": 0.8, "tasks_in_progress": 3 });
    assert_eq!(agent.post("heartbeat", &beat).await.status, 204);
    let mut expected = beat;
    expected["agent_id"] = json!(agent.id);
    let first = all.frame_of("agent.heartbeat").await;
    assert_eq!(first["payload"]["agent_id"], json!(other.id));
    assert_eq!(all.frame_of("agent.heartbeat").await["payload"], expected);
    let heard = one.frame_of("agent.heartbeat").await;
    assert_eq!((&heard["payload"], &heard["seq"]), (&expected, &Value::Null));
    for socket in [&mut all, &mut one, &mut own] {
        let state = socket.frame_of("agent.state_changed").await;
        let payload = json!({
            "agent_id": agent.id, "old_state": "idle", "new_state": "busy",
        });
        assert_eq!(state["payload"], payload);
        assert!(state["seq"].is_u64());
        let load = socket.frame_of("agent.load_changed").await;
        assert_eq!(load["payload"]["load_level"], "high");
        assert_eq!(load["payload"]["utilization_percentage"], 80.0);
    }
    assert_eq!(server.get(&format!("agents/{}", agent.id)).await["state"], "busy");
    let stored = server.all("events?type=agent.state_changed").await;
    assert_eq!(stored.len(), 1, "{stored:?}");
    let all = server.all("events").await;
    assert!(all.iter().all(|event| event["type"] != "agent.heartbeat"), "they are not stored");
}
