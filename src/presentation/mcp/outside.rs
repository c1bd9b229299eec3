//! The tools of whoever shows a key: each is one request to the API, with the caller's own credential.
//!
//! Invariant: a tool can do nothing that the API does not do for the same caller, and leaves the same behind.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderValue, Method, Request, header};
use serde_json::{Map, Value, json};
use tower::ServiceExt;

use super::{Answer, Refusal};
use crate::presentation::api::caller::{Peer, Scheme};
use crate::presentation::api::codes::ErrorCode;
use crate::presentation::api::problem::Problem;

/// The largest answer of the API that is passed on.
const LARGEST: usize = 8 * 1024 * 1024;

/// Somebody with a key, and the API as they reach it.
pub(super) struct Outsider {
    api: Router,
    headers: HeaderMap,
    extensions: Extensions,
}

/// One request to the API.
struct Call {
    method: Method,
    path: String,
    body: Option<Value>,
}

impl Outsider {
    pub(super) fn new(api: Router, parts: &Parts) -> Self {
        let mut headers = parts.headers.clone();
        for name in [header::CONTENT_LENGTH, header::ACCEPT_ENCODING, header::TRANSFER_ENCODING] {
            headers.remove(name);
        }
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // What the server put on the request, and nothing of the way that this one took.
        let mut extensions = Extensions::new();
        if let Some(peer) = parts.extensions.get::<Peer>() {
            extensions.insert(*peer);
        }
        if let Some(scheme) = parts.extensions.get::<Scheme>() {
            extensions.insert(*scheme);
        }
        Self { api, headers, extensions }
    }

    async fn ask(&self, call: Call) -> Answer {
        let lost =
            || Refusal::from(Problem::new(ErrorCode::InternalError, "the API did not answer"));
        let body = call.body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let mut request =
            Request::builder().method(call.method).uri(call.path).body(body).map_err(|_| lost())?;
        *request.headers_mut() = self.headers.clone();
        *request.extensions_mut() = self.extensions.clone();
        let Ok(answer) = self.api.clone().oneshot(request).await;
        let status = answer.status();
        let bytes = to_bytes(answer.into_body(), LARGEST).await.map_err(|_| lost())?;
        let body = match serde_json::from_slice(&bytes) {
            Ok(body) => body,
            Err(_) if bytes.is_empty() => json!({ "status": status.as_u16() }),
            Err(_) => return Err(lost()),
        };
        if status.is_success() { Ok(body) } else { Err(Refusal::Told(body)) }
    }
}

/// Calls a tool; `None` when there is none of that name.
pub(super) async fn call(
    caller: &Outsider,
    name: &str,
    arguments: Map<String, Value>,
) -> Option<Answer> {
    Some(match request(name, arguments)? {
        Ok(call) => caller.ask(call).await,
        Err(problem) => Err(problem.into()),
    })
}

/// The request behind a tool.
fn request(name: &str, mut arguments: Map<String, Value>) -> Option<Result<Call, Problem>> {
    let (reads, acts) = (Method::GET, Method::POST);
    let session = Some("session");
    let (method, family, named, ending) = match name {
        "session_create" => (acts, "sessions", None, ""),
        "session_list" => (reads, "sessions", None, ""),
        "session_get" => (reads, "sessions", session, ""),
        "session_explain" => (reads, "sessions", session, "/explain"),
        "session_start" => (acts, "sessions", session, "/start"),
        "session_stop" => (acts, "sessions", session, "/stop"),
        "attention_list" => (reads, "attention", None, ""),
        "attention_resolve" => (acts, "attention", Some("id"), "/resolve"),
        _ => return None,
    };
    let mut path = format!("/api/v1/{family}");
    if let Some(named) = named {
        let id = arguments.remove(named);
        let Some(id) = id.as_ref().and_then(Value::as_str).filter(|id| is_reference(id)) else {
            let message = "names what is meant, by id or code";
            return Some(Err(Problem::field(&format!("/{named}"), "required", message)));
        };
        path = format!("{path}/{id}{ending}");
    }
    let body = if method == Method::GET {
        path.push_str(&query(&arguments));
        None
    } else {
        Some(Value::Object(arguments))
    };
    Some(Ok(Call { method, path, body }))
}

fn query(arguments: &Map<String, Value>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in arguments {
        match value.as_str() {
            Some(text) => query.append_pair(name, text),
            None => query.append_pair(name, &value.to_string()),
        };
    }
    let query = query.finish();
    if query.is_empty() { query } else { format!("?{query}") }
}

/// Reads a resource; `None` when there is none of that name.
pub(super) async fn read(caller: &Outsider, uri: &str) -> Option<Answer> {
    let parts: Vec<&str> = uri.strip_prefix("orchestrator://")?.split('/').collect();
    let path = match parts[..] {
        ["sessions", id, part @ ("transcript" | "diff")] if is_reference(id) => {
            format!("/api/v1/sessions/{id}/{part}")
        }
        ["contexts", id] if is_reference(id) => format!("/api/v1/contexts/{id}"),
        _ => return None,
    };
    Some(caller.ask(Call { method: Method::GET, path, body: None }).await)
}

/// Whether this may stand in a path as it is.
fn is_reference(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}
