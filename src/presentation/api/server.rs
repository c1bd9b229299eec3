//! The listener: accepts connections, bounds their number, and lets them end in order.
//!
//! Invariant: a connection that is one too many is closed, and the others do not notice. Sockets leave
//! this loop at their upgrade.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{self, Shared};
use super::forwarded::Proxies;

/// Limits of connections, and what they speak.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Longest wait for a handshake, and for a complete head: the first one of a connection from its
    /// beginning on, others from their first byte on.
    pub header_timeout: Duration,
    /// Longest time between two requests.
    pub idle_timeout: Duration,
    /// Longest time in which the other side takes nothing of what is to be sent.
    pub write_timeout: Duration,
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
    /// How connections are encrypted that begin now; in the clear when `None`.
    pub tls: Option<watch::Receiver<Arc<ServerConfig>>>,
    /// Proxies that are believed, and that may have any number of connections.
    pub proxies: Arc<Proxies>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_mins(1),
            connections: 1024,
            per_peer: 64,
            headers: 100,
            head_bytes: 64 * 1024,
            drain: Duration::from_secs(10),
            tls: None,
            proxies: Arc::default(),
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
        let is_crowded = of_peer >= options.per_peer && !options.proxies.contain(peer);
        if is_crowded || total >= options.connections {
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

/// Where connections come from.
pub struct Listeners {
    /// At the address that was asked for.
    pub first: TcpListener,
    /// At the same port of the other family's loopback address, where `localhost` may lead as well.
    pub twin: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(first: TcpListener) -> Self {
        Self { first, twin: None }
    }
}

impl Listeners {
    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let Some(twin) = &self.twin else { return self.first.accept().await };
        tokio::select! {
            accepted = self.first.accept() => accepted,
            accepted = twin.accept() => accepted,
        }
    }
}

/// Accepts until cancelled, then waits for requests in flight.
///
/// # Errors
/// When the listener's address cannot be read.
pub async fn serve(
    listeners: Listeners,
    router: Router,
    options: ServerOptions,
    shutdown: CancellationToken,
    tracker: TaskTracker,
) -> io::Result<()> {
    let address = listeners.first.local_addr()?;
    tracing::debug!(%address, "Listening on {address}");
    let (open, connections) = (Open::default(), TaskTracker::new());
    let drain = options.drain;
    let shared = Arc::new(Shared { router, options, shutdown: shutdown.clone() });
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listeners.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            // A socket of both families tells addresses of the older one in the newer one's form.
            Ok((stream, peer)) => (stream, peer.ip().to_canonical()),
            Err(error) => {
                // Out of descriptors, or the peer is gone: others may still be served.
                tracing::warn!(%error, "A connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(admitted) = open.admit(peer, &shared.options) else {
            if shared.options.tls.is_none() {
                tracker.spawn(refuse(stream));
            }
            continue;
        };
        let task = connection::serve(stream, peer, Arc::clone(&shared));
        let served = connections.track_future(async move {
            task.await;
            drop(admitted);
        });
        tracker.spawn(served);
    }
    drop(listeners);
    connections.close();
    if tokio::time::timeout(drain, connections.wait()).await.is_err() {
        tracing::warn!("Some requests were not finished in time");
    }
    Ok(())
}

async fn refuse(mut stream: TcpStream) {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let told = tokio::time::timeout(Duration::from_secs(1), stream.write_all(answer)).await;
    drop(told);
}
