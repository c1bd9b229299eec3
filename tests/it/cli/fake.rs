//! A server that answers as the interface is documented, for one session with a short life.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Id of the one session.
pub(super) const ID: &str = "0190a000-0000-7000-8000-000000000001";
/// The key that the server takes.
pub(super) const KEY: &str = "iok_0123456789abcdef0123456789abcdef";

/// How the one session goes.
#[derive(Clone)]
pub(super) struct Script {
    /// The status that it ends in.
    pub(super) ends: &'static str,
    /// Whether transcript and events come as server-sent events, or as pages.
    pub(super) streams: bool,
    /// Whether the agent asks for a permission that somebody has to give.
    pub(super) asks: bool,
    /// Whether it waits in the queue at first.
    pub(super) waits: bool,
}

/// A session that ends well, told by streams.
pub(super) const SHORT: Script =
    Script { ends: "completed", streams: true, asks: false, waits: false };

struct Life {
    script: Script,
    looks: AtomicUsize,
    allowed: AtomicBool,
    stopped: AtomicBool,
}

impl Life {
    /// It ends once somebody has looked a few times and, where it asks, has been allowed to go on.
    fn status(&self) -> &'static str {
        if self.stopped.load(Ordering::SeqCst) {
            return "stopped";
        }
        if self.script.waits && self.looks.load(Ordering::SeqCst) <= 2 {
            return "queued";
        }
        let ripe = self.looks.load(Ordering::SeqCst) >= 1;
        let free = !self.script.asks || self.allowed.load(Ordering::SeqCst);
        if ripe && free { self.script.ends } else { "running" }
    }

    fn session(&self) -> Value {
        let status = self.status();
        let waits = self.script.asks && !self.allowed.load(Ordering::SeqCst);
        json!({
            "id": ID, "code": "IND-000001", "title": "fix it", "status": status,
            "attention": if waits { "permission_required" } else { "none" },
            "workspace": { "kind": "directory" }, "phase": null, "priority": 2,
            "metrics": { "execution_duration_seconds": 61.0, "total_tokens_used": 1234,
                         "estimated_cost_usd": 0.0125, "error": null },
        })
    }
}

/// The server; it ends with the value.
pub(super) struct Fake {
    pub(super) url: String,
    _runtime: Runtime,
}

impl Fake {
    pub(super) fn start(script: Script) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener =
            runtime.block_on(tokio::net::TcpListener::bind(address)).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let life = Arc::new(Life {
            script,
            looks: AtomicUsize::new(0),
            allowed: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        });
        let api = Router::new()
            .route("/sessions", post(create))
            .route("/sessions/{id}", get(session))
            .route("/sessions/{id}/explain", get(explain))
            .route("/sessions/{id}/stop", post(stop))
            .route("/sessions/{id}/pause", post(refuse))
            .route("/sessions/{id}/transcript", get(transcript))
            .route("/sessions/{id}/events", get(events))
            .route("/whoami", get(whoami))
            .route("/attention", get(attention))
            .route("/attention/{id}/resolve", post(allow));
        let router = Router::new()
            .nest("/api/v1", api)
            .route("/health/live", get(async || "ok"))
            .route("/broken/{*rest}", get(async || (StatusCode::BAD_GATEWAY, "<html>no</html>")))
            .with_state(life);
        let _task = runtime.spawn(async move { axum::serve(listener, router).await });
        Self { url, _runtime: runtime }
    }
}

fn problem(status: StatusCode, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, body.to_string()).into_response()
}

async fn create(
    State(life): State<Arc<Life>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if bearer != Some(&format!("Bearer {KEY}")) || headers["x-tenant-id"] != "default" {
        let body = json!({ "code": "UNAUTHENTICATED", "status": 401, "detail": "no valid key" });
        return problem(StatusCode::UNAUTHORIZED, &body);
    }
    if body["initial_prompt"] != "fix it" || body["start"] != true {
        let errors = json!([{ "pointer": "/initial_prompt", "message": "not that" }]);
        let body = json!({ "code": "VALIDATION_ERROR", "detail": "1 invalid", "errors": errors });
        return problem(StatusCode::UNPROCESSABLE_ENTITY, &body);
    }
    (StatusCode::CREATED, Json(life.session())).into_response()
}

async fn session(State(life): State<Arc<Life>>, Path(reference): Path<String>) -> Response {
    if reference != ID && reference != "IND-000001" {
        let body = json!({ "code": "SESSION_NOT_FOUND", "detail": "no such session" });
        return problem(StatusCode::NOT_FOUND, &body);
    }
    life.looks.fetch_add(1, Ordering::SeqCst);
    Json(life.session()).into_response()
}

async fn whoami() -> Json<Value> {
    Json(json!({ "tenant_id": "00000000-0000-0000-0000-000000000001", "is_system": true }))
}

async fn explain() -> Json<Value> {
    let blocker = json!({
        "code": "no_agent_alive", "text": "no agent answers", "object": null,
        "since": "2026-01-31T09:30:00.000Z", "remedy": "start one",
        "command": "orchestrator doctor",
    });
    Json(json!({ "state": "queued", "blockers": [blocker], "queue_position": 1, "eta": null }))
}

async fn stop(State(life): State<Arc<Life>>) -> Json<Value> {
    life.stopped.store(true, Ordering::SeqCst);
    Json(life.session())
}

async fn refuse() -> Response {
    let body = json!({
        "code": "INVALID_TRANSITION", "status": 409, "current": "completed",
        "detail": "session IND-000001 is completed; it cannot become paused",
        "remedy": "fork the session from a checkpoint to continue its work",
    });
    problem(StatusCode::CONFLICT, &body)
}

#[derive(serde::Deserialize)]
struct Cursor {
    after: Option<u64>,
}

/// Entries behind the cursor: as a stream that stays open, or as a page.
fn answer(life: &Life, entries: &[Value], cursor: &Cursor) -> Response {
    let after = cursor.after.unwrap_or(0);
    let new = entries.iter().filter(|entry| entry["seq"].as_u64() > Some(after));
    if !life.script.streams {
        let items: Vec<&Value> = new.collect();
        return Json(json!({ "items": items, "has_more": false })).into_response();
    }
    // The connection ends after what is there: a client has to come back, behind the last number.
    let lines: Vec<String> =
        new.map(|entry| format!("id: {}\ndata: {entry}\n\n", entry["seq"])).collect();
    ([(header::CONTENT_TYPE, "text/event-stream")], lines.concat()).into_response()
}

async fn transcript(State(life): State<Arc<Life>>, Query(cursor): Query<Cursor>) -> Response {
    let entry = |seq: u64, kind: &str, body: Value| json!({ "seq": seq, "at": "2026-01-31T09:30:00.000Z", "kind": kind, "body": body });
    let tool = |status: &str| json!({ "id": "t1", "tool": "bash", "status": status, "title": "make test" });
    let entries = [
        entry(1, "user", json!({ "id": "u1", "text": "fix it" })),
        entry(2, "text", json!({ "id": "a1", "text": "Looking" })),
        entry(3, "text", json!({ "id": "a1", "text": "Looking at \u{1b}[31mit.\nFound" })),
        entry(4, "tool", tool("running")),
        entry(5, "tool", tool("completed")),
        entry(6, "text", json!({ "id": "a2", "text": "All done." })),
    ];
    answer(&life, &entries, &cursor)
}

async fn events(State(life): State<Arc<Life>>, Query(cursor): Query<Cursor>) -> Response {
    let event = |seq: u64, word: &str, payload: Value| json!({ "seq": seq, "type": word, "payload": payload });
    let entries = [
        event(11, "session.started", json!({ "attempt": 1 })),
        event(12, "session.phase_changed", json!({ "new_phase": "executing" })),
    ];
    answer(&life, &entries, &cursor)
}

async fn attention(State(life): State<Arc<Life>>) -> Json<Value> {
    let open = life.script.asks && !life.allowed.load(Ordering::SeqCst);
    let item = json!({
        "id": "item-1", "session_id": ID, "kind": "permission", "risk": "high",
        "title": "run a command", "payload": { "patterns": ["make clean"] }, "state": "open",
    });
    Json(json!({ "items": if open { vec![item] } else { Vec::new() } }))
}

async fn allow(State(life): State<Arc<Life>>, Json(body): Json<Value>) -> Json<Value> {
    life.allowed.store(body["decision"] == "allow_once", Ordering::SeqCst);
    Json(json!({ "id": "item-1", "title": "run a command", "decision": body["decision"] }))
}
