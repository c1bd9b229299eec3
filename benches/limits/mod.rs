//! The limit probe: the HTTP stack and the store of the product with nothing of ours in between.
//!
//! What it reaches on a machine is what the product could reach there at best; `orchestrator bench`
//! runs both side by side and reports the ratio. It has no authentication, no events, no audit, no
//! idempotency and no recovery on purpose, and is never part of serving.
//! Invariant: an answer to a create is sent after its transaction is synced, as in the product.

mod fanout;
pub(crate) mod locks;
mod record;
mod store;

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as PathOf, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use record::{Draft, Page};
use store::Store;

/// Frames that wait for a socket; one that falls further behind is dropped.
const FRAMES: usize = 8192;

/// The probe's parts, shared by its handlers.
struct Probe {
    store: Store,
    frames: broadcast::Sender<Bytes>,
}

/// The page of a list.
#[derive(serde::Deserialize)]
struct PageQuery {
    limit: usize,
}

/// Serves the probe on two listeners until it is cancelled: HTTP, and sockets that get a frame for
/// each create.
pub(crate) async fn serve(
    folder: &Path,
    http: TcpListener,
    sockets: TcpListener,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let (frames, _) = broadcast::channel(FRAMES);
    let probe = Arc::new(Probe { store: Store::open(folder)?, frames: frames.clone() });
    let router = Router::new()
        .route("/create", post(create))
        .route("/records/{id}", get(read))
        .route("/records", get(page))
        .route("/echo", post(echo))
        .with_state(probe);
    // An answer is one small write: waiting to fill a packet would only cost time.
    let http = http.tap_io(|stream| drop(stream.set_nodelay(true)));
    let fanout = fanout::serve(sockets, frames, cancel.clone());
    let serving = axum::serve(http, router).with_graceful_shutdown(cancel.cancelled_owned());
    let (served, ()) = tokio::join!(async { serving.await }, fanout);
    Ok(served?)
}

/// A new record, durable, with a frame for every socket.
async fn create(State(probe): State<Arc<Probe>>, body: Bytes) -> Response {
    let Ok(draft) = serde_json::from_slice::<Draft>(&body) else {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    };
    let record = draft.into_record();
    match probe.store.insert(&record).await {
        Ok(()) => {
            if probe.frames.receiver_count() > 0 {
                // No receiver is left when the last socket closed in between: nothing to tell.
                drop(probe.frames.send(fanout::frame(&record.event())));
            }
            (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], record.json())
                .into_response()
        }
        Err(error) => failed(&error),
    }
}

/// One record by its id.
async fn read(State(probe): State<Arc<Probe>>, PathOf(id): PathOf<Uuid>) -> Response {
    match probe.store.read(id) {
        Ok(Some(record)) => {
            ([(header::CONTENT_TYPE, "application/json")], record.json()).into_response()
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => failed(&error),
    }
}

/// The newest records, found through the index.
async fn page(State(probe): State<Arc<Probe>>, Query(query): Query<PageQuery>) -> Response {
    match probe.store.newest(query.limit.min(200)) {
        Ok(items) => {
            let page = Page { items };
            ([(header::CONTENT_TYPE, "application/json")], page.json()).into_response()
        }
        Err(error) => failed(&error),
    }
}

/// Parses JSON and sends it back.
async fn echo(body: Bytes) -> Response {
    match serde_json::from_slice::<serde_json::Value>(&body) {
        Ok(value) => axum::Json(value).into_response(),
        Err(_) => StatusCode::UNPROCESSABLE_ENTITY.into_response(),
    }
}

fn failed(error: &anyhow::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response()
}
