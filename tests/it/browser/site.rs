//! Sites of others on this machine, and a log of what the server under attack was asked.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// One request to the server under attack, and its answer.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) step: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) site: String,
    pub(super) has_cookie: bool,
    pub(super) status: u16,
}

#[derive(Default)]
struct Kept {
    step: String,
    seen: Vec<Seen>,
    /// What others' sites were asked: path, query and headers.
    told: Vec<String>,
}

/// What was asked, in order.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Kept>>);

impl Log {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.kept().seen.clone()
    }

    /// Everything that others' sites were told.
    pub(super) fn told(&self) -> String {
        self.kept().told.join("\n")
    }

    /// The router, with everything that it is asked on record.
    pub(super) fn watching(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), watch))
    }
}

/// What a request shows, before it is answered.
fn noted(request: &Request, step: String) -> Seen {
    let text = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or("").to_owned()
    };
    // Browsers say of a socket only where the page that opens it comes from.
    let own = text("origin") == format!("http://{}", text("host"));
    let site = match text("sec-fetch-site") {
        told if told.is_empty() && own => "same-origin".to_owned(),
        told => told,
    };
    Seen {
        step,
        method: request.method().to_string(),
        path: request.uri().to_string(),
        site,
        has_cookie: text("cookie").contains("orchestrator_session"),
        status: 0,
    }
}

async fn watch(State(log): State<Log>, request: Request, next: Next) -> Response {
    let step = log.kept().step.clone();
    let mut seen = noted(&request, step);
    let response = next.run(request).await;
    seen.status = response.status().as_u16();
    log.kept().seen.push(seen);
    response
}

#[derive(Deserialize)]
struct Served {
    #[serde(rename = "type")]
    media_type: String,
    body: String,
}

#[derive(Deserialize)]
struct To {
    u: String,
}

async fn mark(State(log): State<Log>, Path(name): Path<String>) -> &'static str {
    log.kept().step = name;
    "marked"
}

/// How many requests of this step have arrived at the server.
async fn arrived(State(log): State<Log>) -> String {
    let kept = log.kept();
    kept.seen.iter().filter(|seen| seen.step == kept.step).count().to_string()
}

async fn serve(Query(Served { media_type, body }): Query<Served>) -> Response {
    ([(header::CONTENT_TYPE, media_type)], body).into_response()
}

async fn forward(Query(To { u }): Query<To>) -> Redirect {
    Redirect::temporary(&u)
}

async fn anything(State(log): State<Log>, headers: HeaderMap, request: Request) -> Html<String> {
    let path = request.uri().to_string();
    log.kept().told.push(format!("{path} {headers:?}"));
    Html(format!("<!doctype html><title>somebody else</title><body>site of others: {path}"))
}

/// A site of somebody else on a port of its own; its address.
pub(super) async fn site(log: &Log, tracker: &TaskTracker, stop: &CancellationToken) -> String {
    let router = Router::new()
        .route("/mark/{name}", get(mark))
        .route("/arrived", get(arrived))
        .route("/serve", get(serve))
        .route("/to", get(forward).post(forward))
        .fallback(anything)
        .with_state(log.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let ended = stop.clone().cancelled_owned();
    let served = axum::serve(listener, router).with_graceful_shutdown(ended);
    tracker.spawn(async move { served.await.expect("served") });
    format!("http://{address}")
}
