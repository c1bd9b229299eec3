//! The listener: accepts connections, bounds them, and lets them end in order.
//!
//! Invariant: a connection that sends no complete head in time, stays idle, or is one too many is
//! closed; the others do not notice. Sockets leave this loop at their upgrade.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::caller::Peer;
use super::guard::AmbiguousFraming;
use super::leftover;
use super::wire::{Activity, Wire};

/// Limits of connections.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Longest wait for a complete head once its first byte has come.
    pub header_timeout: Duration,
    /// Longest time between two requests.
    pub idle_timeout: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Connections of one address at once.
    pub per_peer: usize,
    /// Headers of one request.
    pub headers: usize,
    /// Bytes of one head.
    pub head_bytes: usize,
    /// Longest time that requests in flight are waited for when the server goes down.
    pub drain: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            connections: 1024,
            per_peer: 64,
            headers: 100,
            head_bytes: 64 * 1024,
            drain: Duration::from_secs(10),
        }
    }
}

/// Connections that are open, in all and per address.
#[derive(Clone, Default)]
struct Open(Arc<Counts>);

#[derive(Default)]
struct Counts {
    total: AtomicUsize,
    peers: Mutex<HashMap<IpAddr, usize>>,
}

struct Admitted {
    all: Open,
    peer: IpAddr,
}

impl Open {
    fn admit(&self, peer: IpAddr, options: &ServerOptions) -> Option<Admitted> {
        let mut peers = self.0.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = peers.get(&peer).copied().unwrap_or(0);
        let total = self.0.total.load(Ordering::Acquire);
        if of_peer >= options.per_peer || total >= options.connections {
            return None;
        }
        peers.insert(peer, of_peer + 1);
        self.0.total.fetch_add(1, Ordering::AcqRel);
        Some(Admitted { all: self.clone(), peer })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut peers = self.all.0.peers.lock().unwrap_or_else(PoisonError::into_inner);
        self.all.0.total.fetch_sub(1, Ordering::AcqRel);
        if let Some(count) = peers.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}

/// Accepts until cancelled, then waits for requests in flight.
///
/// # Errors
/// When the listener's address cannot be read.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServerOptions,
    shutdown: CancellationToken,
    tracker: TaskTracker,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    tracing::debug!(%address, "Listening on {address}");
    let (open, connections) = (Open::default(), TaskTracker::new());
    let options = Arc::new(options);
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or the peer is gone: others may still be served.
                tracing::warn!(%error, "A connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(admitted) = open.admit(peer.ip(), &options) else {
            tracker.spawn(refuse(stream));
            continue;
        };
        let task = connection(
            stream,
            peer,
            router.clone(),
            Arc::clone(&options),
            shutdown.clone(),
            admitted,
        );
        let served = connections.track_future(task);
        tracker.spawn(served);
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(options.drain, connections.wait()).await.is_err() {
        tracing::warn!("Some requests were not finished in time");
    }
    Ok(())
}

fn head_too_long() -> Response {
    let close = [(header::CONNECTION, "close")];
    (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, close).into_response()
}

async fn refuse(mut stream: TcpStream) {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let told = tokio::time::timeout(Duration::from_secs(1), stream.write_all(answer)).await;
    drop(told);
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    options: Arc<ServerOptions>,
    shutdown: CancellationToken,
    admitted: Admitted,
) {
    // Small answers and frames must not wait for company; a socket without it still works.
    drop(stream.set_nodelay(true));
    let activity = Activity::new(options.head_bytes);
    let seen = activity.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (router, seen) = (router.clone(), seen.clone());
        async move {
            if seen.is_too_long() {
                return Ok::<_, Infallible>(head_too_long());
            }
            let on_demand = request.headers().contains_key(header::EXPECT);
            let (head, body) = request.into_parts();
            let (body, leftover) = leftover::lend(body);
            let mut request = Request::from_parts(head, Body::new(body));
            request.extensions_mut().insert(Peer(peer.ip()));
            if seen.begin_request() {
                request.extensions_mut().insert(AmbiguousFraming);
            }
            let Ok(mut response) = router.oneshot(request).await;
            if !leftover.discard(on_demand).await {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok(response.map(|body| Body::new(seen.tracked(body))))
        }
    });
    let io = TokioIo::new(Wire::new(stream, activity.clone()));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(options.idle_timeout)
        .max_headers(options.headers)
        .max_buf_size(options.head_bytes.max(8192));
    let served = builder.serve_connection(io, service).with_upgrades();
    tokio::pin!(served);
    let overdue = activity.overdue(options.header_timeout);
    tokio::pin!(overdue);
    let mut draining = false;
    loop {
        tokio::select! {
            result = &mut served => {
                if let Err(error) = result {
                    tracing::trace!(%error, "A connection ended early");
                }
                break;
            }
            () = &mut overdue => break,
            () = shutdown.cancelled(), if !draining => {
                draining = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
    drop(admitted);
}
