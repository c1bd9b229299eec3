//! The External Agent Protocol from outside: the real executable, and agents that speak HTTP with it.

mod bad;
mod check;
mod fleet;
mod kit;
mod moved;
mod pulled;
mod pushed;
mod registration;
mod socket;
mod told;

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::server::{Api, Server, Site, text};

/// A site where nobody works but those who register themselves.
pub(crate) fn site() -> Site {
    Site::bare().with("AGENTS__OPENCODE__ENABLED", "false")
}

/// An agent that registered itself.
pub(crate) struct External {
    pub(crate) api: Api,
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) answer: Value,
}

/// What came back, and how.
#[derive(Debug)]
pub(crate) struct Back {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Back {
    pub(crate) fn code(&self) -> &str {
        text(&self.body["code"])
    }
}

/// One call below `/api/v1/agents/external`, with these headers.
pub(crate) async fn call(
    api: &Api,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Back {
    let address = format!("{}/api/v1/agents/external/{path}", api.url);
    let mut request = api.http.request(method, address);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let words = answer.text().await.expect("UTF-8");
    let body =
        if words.is_empty() { Value::Null } else { serde_json::from_str(&words).expect("JSON") };
    Back { status, body }
}

/// Introduces an agent with the key of the administrator.
pub(crate) async fn introduce(api: &Api, body: &Value) -> Back {
    let answer = api.send(Method::POST, "agents/external/register", Some(body), None).await;
    let answer = answer.expect("an answer");
    Back { status: answer.status.as_u16(), body: answer.body }
}

impl External {
    /// Registers an agent that fetches its work.
    pub(crate) async fn register(server: &Server, name: &str, capabilities: &[&str]) -> Self {
        Self::with(server, json!({ "name": name, "capabilities": capabilities })).await
    }

    pub(crate) async fn with(server: &Server, body: Value) -> Self {
        let back = introduce(&server.api, &body).await;
        assert_eq!(back.status, 201, "{back:?}");
        let (id, token) = (text(&back.body["agent_id"]), text(&back.body["auth_token"]));
        let (id, token) = (id.to_owned(), token.to_owned());
        Self { api: server.api.clone(), id, token, answer: back.body }
    }

    /// A call of this agent.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Back {
        let path = format!("{}/{path}", self.id);
        call(&self.api, method, &path, &[("X-Agent-Token", &self.token)], body).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Back {
        self.call(Method::POST, path, Some(body)).await
    }

    /// The next piece of work, which must come within the wait.
    pub(crate) async fn take(&self) -> Value {
        let back = self.call(Method::GET, "tasks/next?wait=20", None).await;
        assert_eq!(back.status, 200, "{back:?}");
        back.body
    }

    /// Tells of a piece of work.
    pub(crate) async fn tell(&self, work: &Value, events: Value) -> Back {
        let path = format!("tasks/{}/events", text(&work["task_id"]));
        self.post(&path, &json!({ "fencing_token": work["fencing_token"], "events": events })).await
    }

    /// Brings a result, with whatever else it says.
    pub(crate) async fn finish(&self, work: &Value, more: Value) -> Back {
        let path = format!("tasks/{}/result", text(&work["task_id"]));
        let mut body = json!({
            "task_id": work["task_id"], "fencing_token": work["fencing_token"],
            "status": "completed",
        });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        self.post(&path, &body).await
    }

    /// The agent goes.
    pub(crate) async fn remove(&self, graceful: bool) -> Back {
        let path = format!("{}?graceful={graceful}", self.id);
        let headers = [("X-Agent-Token", self.token.as_str())];
        call(&self.api, Method::DELETE, &path, &headers, None).await
    }

    pub(crate) async fn heartbeat(&self, status: &str) -> Back {
        self.post("heartbeat", &json!({ "status": status })).await
    }
}

/// Creates and starts a session.
pub(crate) async fn begin(api: &Api, more: Value) -> String {
    let mut body = json!({ "initial_prompt": "Count the apples.", "start": true });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    text(&api.post("sessions", body).await["id"]).to_owned()
}

/// What a listener was told.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) raw: Vec<u8>,
    pub(crate) body: Value,
}

type Answers = Arc<dyn Fn(&Told, usize) -> Response + Send + Sync>;

#[derive(Clone)]
struct Heard {
    told: Arc<Mutex<Vec<Told>>>,
    answers: Answers,
}

/// An agent that is called: it notes what it is told, and answers as the test says.
pub(crate) struct Listener {
    pub(crate) url: String,
    told: Arc<Mutex<Vec<Told>>>,
    _task: JoinSet<()>,
}

impl Listener {
    /// Listens; `answers` is given what was told, and how often something was told before.
    pub(crate) async fn new(
        answers: impl Fn(&Told, usize) -> Response + Send + Sync + 'static,
    ) -> Self {
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let heard = Heard { told: Arc::clone(&told), answers: Arc::new(answers) };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().fallback(hear).with_state(heard);
        let mut task = JoinSet::new();
        task.spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self { url, told, _task: task }
    }

    /// What it was told by this method and path.
    pub(crate) fn told(&self, path: &str) -> Vec<Told> {
        let told = self.told.lock().expect("whole");
        told.iter().filter(|told| told.path == path).cloned().collect()
    }
}

async fn hear(
    State(heard): State<Heard>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    raw: Bytes,
) -> Response {
    let body = serde_json::from_slice(&raw).unwrap_or_default();
    let path = format!("{method} {}", uri.path());
    let told = Told { path, headers, raw: raw.to_vec(), body };
    let before = {
        let mut all = heard.told.lock().expect("whole");
        let same = |known: &&Told| known.path == told.path;
        let before = all.iter().filter(same).count();
        all.push(told.clone());
        before
    };
    (heard.answers)(&told, before)
}

/// An answer in JSON.
pub(crate) fn answered(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).expect("a status"), Json(body)).into_response()
}
