//! A receiver on a port of its own that answers as it is told and remembers what it got.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A message as it came.
#[derive(Debug, Clone)]
pub(super) struct Got {
    pub(super) id: String,
    pub(super) timestamp: String,
    pub(super) signature: String,
    pub(super) bytes: Vec<u8>,
    pub(super) body: Value,
}

/// How the next message is answered.
#[derive(Debug, Clone)]
pub(super) enum Say {
    Status(u16),
    /// A status with one header.
    With(u16, &'static str, String),
    /// Accepted, after this time.
    Slowly(Duration),
    /// Nothing for a long time.
    Silence,
}

#[derive(Default)]
struct Inner {
    got: Vec<Got>,
    next: VecDeque<Say>,
    /// Subjects whose messages are never accepted.
    refused: Vec<String>,
    always: Option<Say>,
    /// Requests that are under way, and the most that ever were.
    open: usize,
    most: usize,
}

/// One request under way; it ends with the value, also when the sender goes.
struct Open(Shared);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().open -= 1;
    }
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Inner>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The receiver; it ends with the value.
pub(super) struct Receiver {
    shared: Shared,
    pub(super) address: SocketAddr,
    stop: CancellationToken,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Receiver {
    /// On any free port.
    pub(super) async fn new() -> Self {
        Self::at("127.0.0.1:0".parse().expect("an address")).await
    }

    /// On this port; waits until it is free.
    pub(super) async fn at(address: SocketAddr) -> Self {
        let mut bound = TcpListener::bind(address).await;
        for _ in 0..500 {
            if bound.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            bound = TcpListener::bind(address).await;
        }
        let listener = bound.expect("the port");
        let address = listener.local_addr().expect("an address");
        let (shared, stop) = (Shared::default(), CancellationToken::new());
        let router = axum::Router::new().fallback(take).with_state(shared.clone());
        let ended = stop.clone().cancelled_owned();
        let served = async move {
            tokio::select! {
                () = ended => {}
                served = std::future::IntoFuture::into_future(axum::serve(listener, router)) => {
                    served.expect("it serves");
                }
            }
        };
        tokio_util::task::TaskTracker::new().spawn(served);
        Self { shared, address, stop }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers the next messages so, one after another.
    pub(super) fn say(&self, next: impl IntoIterator<Item = Say>) {
        self.shared.lock().next.extend(next);
    }

    /// Answers every further message so.
    pub(super) fn always(&self, say: Option<Say>) {
        self.shared.lock().always = say;
    }

    /// Refuses every message about a subject.
    pub(super) fn refuse(&self, subject: &str) {
        self.shared.lock().refused.push(subject.to_owned());
    }

    /// Accepts everything again.
    pub(super) fn relent(&self) {
        self.shared.lock().refused.clear();
    }

    /// The most messages that were ever under way at once.
    pub(super) fn most(&self) -> usize {
        self.shared.lock().most
    }

    /// Messages that are under way.
    pub(super) fn open(&self) -> usize {
        self.shared.lock().open
    }

    /// Every message so far, accepted or not.
    pub(super) fn got(&self) -> Vec<Got> {
        self.shared.lock().got.clone()
    }
}

async fn take(State(shared): State<Shared>, headers: HeaderMap, bytes: Bytes) -> Response {
    let text = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let _open = Open(shared.clone());
    let say = {
        let mut inner = shared.lock();
        inner.open += 1;
        inner.most = inner.most.max(inner.open);
        let subject = body["data"]["subject"]["id"].as_str().unwrap_or_default().to_owned();
        inner.got.push(Got {
            id: text("webhook-id"),
            timestamp: text("webhook-timestamp"),
            signature: text("webhook-signature"),
            bytes: bytes.to_vec(),
            body,
        });
        if inner.refused.contains(&subject) {
            Say::Status(500)
        } else {
            let next = inner.next.pop_front();
            next.or_else(|| inner.always.clone()).unwrap_or(Say::Status(204))
        }
    };
    match say {
        Say::Status(status) => answer(status).into_response(),
        Say::With(status, name, value) => (answer(status), [(name, value)], "why").into_response(),
        Say::Slowly(time) => {
            tokio::time::sleep(time).await;
            answer(204).into_response()
        }
        Say::Silence => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            answer(204).into_response()
        }
    }
}

fn answer(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a status")
}

/// HMAC-SHA256 by the book (RFC 2104), so that the product's own is not its own judge.
pub(super) fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5C)).chain_update(inner).finalize().to_vec()
}

impl Got {
    /// Whether one of the signatures was made with this secret.
    pub(super) fn is_signed_with(&self, secret: &str) -> bool {
        let key =
            STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret")).expect("base64");
        let signed = [format!("{}.{}.", self.id, self.timestamp).as_bytes(), &self.bytes].concat();
        let expected = format!("v1,{}", STANDARD.encode(hmac(&key, &signed)));
        self.signature.split(' ').any(|one| one == expected)
    }

    /// Number of the event that it tells of.
    pub(super) fn seq(&self) -> u64 {
        self.body["data"]["seq"].as_u64().unwrap_or_default()
    }

    /// Id of what it is about.
    pub(super) fn subject(&self) -> String {
        self.body["data"]["subject"]["id"].as_str().unwrap_or_default().to_owned()
    }
}

/// Messages as a receiver sees them that drops what it knows already.
pub(super) fn distinct(got: &[Got]) -> Vec<Got> {
    let mut seen = std::collections::BTreeSet::new();
    got.iter().filter(|one| seen.insert(one.id.clone())).cloned().collect()
}

/// Each subject's messages come in order, once repetitions are dropped.
pub(super) fn in_order_per_subject(got: &[Got]) {
    let mut last: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
    for one in distinct(got) {
        let seen = last.entry(one.subject()).or_default();
        if one.body["type"] == "gap" {
            // It stands for numbers up to this one, of which some may have come before.
            let oldest = one.body["data"]["oldest"].as_u64().expect("a number");
            assert!(oldest >= *seen, "a gap up to {oldest} after {seen}");
            *seen = oldest;
            continue;
        }
        assert!(one.seq() > *seen, "{} after {seen} of {}", one.seq(), one.subject());
        *seen = one.seq();
    }
}
