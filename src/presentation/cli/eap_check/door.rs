//! The address that the agent calls: HTTP around `Stage`.
//!
//! No router: a call may have to end without any answer, which a router cannot say.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::caller::must_be_here;
use super::stage::{Call, Stage};
use crate::presentation::cli::exit::{CliError, code};

/// Largest body that is read.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// What every call begins with.
const BASE: &str = "/api/v1/agents/external/";

/// A call that gets no answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer")]
struct Unanswered;

/// Listens as long as it is kept.
pub(super) struct Door {
    pub(super) url: String,
    _open: DropGuard,
}

impl Door {
    /// Listens for the calls of an agent.
    pub(super) async fn open(
        stage: &Arc<Stage>,
        listen: &str,
        allow_remote: bool,
    ) -> Result<Self, CliError> {
        let addresses = tokio::net::lookup_host(listen).await.map_err(|error| {
            CliError::usage(format!("--listen {listen}: {error}"))
                .remedy("name an address and a port, as in 127.0.0.1:8001")
        })?;
        let addresses: Vec<SocketAddr> = addresses.collect();
        if !allow_remote && !addresses.iter().all(|address| address.ip().is_loopback()) {
            return Err(must_be_here(listen));
        }
        let unheard = |error: std::io::Error| {
            CliError::new(code::UNAVAILABLE, format!("--listen {listen}: {error}"))
        };
        let listener = TcpListener::bind(&addresses[..]).await.map_err(unheard)?;
        let url = format!("http://{}", listener.local_addr().map_err(unheard)?);
        let open = CancellationToken::new();
        let (stage, closed) = (Arc::clone(stage), open.clone());
        TaskTracker::new().spawn(async move {
            closed.run_until_cancelled(accept(listener, stage, closed.clone())).await;
        });
        Ok(Self { url, _open: open.drop_guard() })
    }
}

async fn accept(listener: TcpListener, stage: Arc<Stage>, closed: CancellationToken) {
    let connections = TaskTracker::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (stage, closed) = (Arc::clone(&stage), closed.clone());
        connections.spawn(async move {
            let service = service_fn(|request| {
                let stage = Arc::clone(&stage);
                async move { answer(&stage, request).await }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A connection that breaks off is the agent's business, or our own: no answer was due.
            closed.run_until_cancelled(connection).await.transpose().ok();
        });
    }
}

async fn answer(
    stage: &Stage,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Unanswered> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MOST_BYTES).collect().await.map_err(|_| Unanswered)?.to_bytes();
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let path = parts.uri.path().strip_prefix(BASE).unwrap_or_default().to_owned();
    let call = Call {
        at: stage.clock.now(),
        method: parts.method.to_string(),
        what: String::new(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        wrong_token: wrong_token(&parts.headers, stage.expected()),
        has_key: parts.headers.contains_key(AUTHORIZATION),
        body: body.and_then(|body| body.as_object().cloned()),
    };
    let (status, retry_after, body) = stage.answer(&path, call).await.ok_or(Unanswered)?;
    let mut response = Response::builder().status(status);
    if let Some(seconds) = retry_after {
        response = response.header(RETRY_AFTER, seconds);
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    if !body.is_empty() {
        response = response.header(CONTENT_TYPE, "application/json");
    }
    response.body(Full::new(Bytes::from(body))).map_err(|_| Unanswered)
}

/// Why what was shown is not the agent's own token; any is, where nobody knows it.
fn wrong_token(headers: &HeaderMap, own: Option<&str>) -> Option<&'static str> {
    let is_it = |shown: &str| own.is_none_or(|own| shown == own);
    if let Some(shown) = headers.get("x-agent-token") {
        let is_own = shown.to_str().is_ok_and(is_it);
        return (!is_own).then_some("X-Agent-Token is not `auth_token`");
    }
    let Some(shown) = headers.get(AUTHORIZATION) else {
        return Some("neither X-Agent-Token nor Authorization");
    };
    match shown.to_str().ok().and_then(|shown| shown.split_once(' ')) {
        Some((kind, token)) if kind.eq_ignore_ascii_case("bearer") => {
            (!is_it(token.trim())).then_some("Authorization is not Bearer and `auth_token`")
        }
        Some(_) | None => Some("Authorization is not of the kind Bearer"),
    }
}
