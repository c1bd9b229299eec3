//! One connection: its handshake, its requests, and the times within which each has to happen.
//!
//! Invariant: whatever the other side leaves undone (a handshake, a head, a body, taking the answer,
//! asking again), the connection ends within a bound, and its place is free again.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::caller::{Peer, Scheme};
use super::forwarded::PassedOn;
use super::guard::{self, AmbiguousFraming};
use super::leftover;
use super::server::ServerOptions;
use super::wire::{Activity, HeadSeen, Wire};

/// The first byte of every TLS connection: a record that is part of a handshake.
const HANDSHAKE: u8 = 0x16;
/// For those who speak HTTP to a port that speaks TLS.
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\
    Content-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\n\
    Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n\r\nthis port is encrypted: begin the address with https://\n";

/// What every connection of a listener works with.
pub(super) struct Shared {
    pub router: Router,
    pub options: ServerOptions,
    pub shutdown: CancellationToken,
}

/// Serves a connection to its end.
pub(super) async fn serve(stream: TcpStream, peer: IpAddr, shared: Arc<Shared>) {
    // Small answers and frames must not wait for company; a socket without it still works.
    drop(stream.set_nodelay(true));
    let shown = shared.options.tls.as_ref().map(|shown| Arc::clone(&shown.borrow()));
    let Some(acceptor) = shown.map(TlsAcceptor::from) else {
        return Box::pin(converse(stream, (peer, Scheme::Http), &shared)).await;
    };
    let limit = shared.options.header_timeout;
    let shaken = tokio::select! {
        shaken = timeout(limit, Box::pin(shake_hands(acceptor, stream))) => shaken,
        () = shared.shutdown.cancelled() => return,
    };
    if let Ok(Some(stream)) = shaken {
        Box::pin(converse(stream, (peer, Scheme::Https), &shared)).await;
    }
}

/// `None` when the other side wants something else.
async fn shake_hands(acceptor: TlsAcceptor, mut stream: TcpStream) -> Option<TlsStream<TcpStream>> {
    let mut first = [0];
    let count = stream.peek(&mut first).await.ok()?;
    if count == 1 && first[0] != HANDSHAKE {
        // What is left unread would take the answer along.
        drop(stream.read(&mut [0; 4096]).await);
        drop(stream.write_all(SPEAK_TLS).await);
        drop(stream.shutdown().await);
        return None;
    }
    match acceptor.accept(stream).await {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::trace!(%error, "A handshake failed");
            None
        }
    }
}

async fn converse<S>(stream: S, (peer, scheme): (IpAddr, Scheme), shared: &Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Shared { router, options, shutdown } = shared;
    let activity = Activity::new(options.head_bytes);
    let seen = activity.clone();
    let proxies = Arc::clone(&options.proxies);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (router, seen, proxies) = (router.clone(), seen.clone(), Arc::clone(&proxies));
        async move {
            if seen.is_too_long() {
                return Ok::<_, Infallible>(head_too_long());
            }
            let on_demand = request.headers().contains_key(header::EXPECT);
            let is_encoded = request.headers().contains_key(header::TRANSFER_ENCODING);
            let (head, body) = request.into_parts();
            let (client, scheme) = proxies.seen(peer, scheme, &head.headers);
            let (body, leftover) = leftover::lend(body);
            let mut request = Request::from_parts(head, Body::new(body));
            let extensions = request.extensions_mut();
            extensions.insert(Peer(client));
            if proxies.contain(peer) {
                extensions.insert(PassedOn);
            }
            extensions.insert(scheme);
            extensions.insert(leftover.clone());
            let is_unclear = match seen.begin_request() {
                HeadSeen::Clear => false,
                HeadSeen::Ambiguous => true,
                // The HTTP library hides a length beside an encoding, and nobody else has looked.
                HeadSeen::No => is_encoded,
            };
            if is_unclear {
                extensions.insert(AmbiguousFraming);
            }
            let Ok(mut response) = router.oneshot(request).await;
            // Who was too slow is not waited for once more.
            let is_late = response.status() == StatusCode::REQUEST_TIMEOUT;
            if is_late || !leftover.discard(on_demand).await {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok(response.map(|body| Body::new(seen.tracked(body))))
        }
    });
    let io = TokioIo::new(Wire::new(stream, activity.clone(), options.write_timeout));
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
}

fn head_too_long() -> Response {
    let close = [(header::CONNECTION, "close")];
    let mut answer = (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, close).into_response();
    guard::secure(&mut answer, false);
    answer
}
