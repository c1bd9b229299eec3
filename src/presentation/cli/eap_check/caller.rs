//! Calls an agent as the orchestrator does, and tells what came.
//!
//! Invariant: nothing beyond this machine is called, unless whoever checks wants it; no proxy, no redirect.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use serde_json::{Map, Value};
use tokio::net::UdpSocket;
use url::Url;

use crate::application::ports::clock::Clock;
use crate::presentation::cli::Sign;
use crate::presentation::cli::exit::{CliError, code};

/// Largest answer that the protocol allows.
pub(super) const MOST_BYTES: usize = 8 * 1024 * 1024;

/// How a call is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signed {
    /// As the protocol has it.
    Right,
    /// With another token.
    Wrong,
    /// An hour ago.
    LongAgo,
}

/// What came back.
pub(super) struct Came {
    pub(super) status: u16,
    pub(super) took: Duration,
    pub(super) bytes: Vec<u8>,
    /// It has more bytes than the protocol allows; the rest was not read.
    pub(super) is_too_large: bool,
}

impl Came {
    pub(super) fn object(&self) -> Result<Map<String, Value>, String> {
        match serde_json::from_slice(&self.bytes) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_),
            ) => Err("JSON that is no object".to_owned()),
            Err(error) => Err(format!("no JSON: {error}")),
        }
    }

    /// In a few words.
    pub(super) fn told(&self) -> String {
        let text: String = String::from_utf8_lossy(&self.bytes).chars().take(120).collect();
        format!("{} {}", self.status, text.trim()).trim_end().to_owned()
    }
}

/// Calls one agent.
pub(super) struct Caller {
    http: Client,
    base: Url,
    token: String,
    sign: Sign,
    clock: Arc<dyn Clock>,
    limit: Duration,
}

/// The refusal of an address that is not of this machine.
pub(super) fn must_be_here(address: &str) -> CliError {
    CliError::usage(format!("{address} is not an address of this machine"))
        .remedy("--allow-remote checks agents elsewhere, too")
}

/// Whether packets to this address stay on this machine: only its own addresses can be listened on.
async fn is_here(address: IpAddr) -> bool {
    let is_own = async || UdpSocket::bind((address, 0)).await.is_ok();
    address.is_loopback() || (!address.is_unspecified() && is_own().await)
}

/// An agent's address, and where that is; nobody calls one that is not of this machine unasked.
///
/// # Errors
/// It is no such address, is not known, or is not of this machine.
pub(super) async fn may_be_called(
    endpoint: &str,
    allow_remote: bool,
) -> Result<(Url, Vec<SocketAddr>), CliError> {
    let not_one =
        || CliError::usage(format!("`{endpoint}` is not an address such as http://127.0.0.1:9000"));
    let is_one = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
    };
    let base = Url::parse(endpoint).ok().filter(is_one).ok_or_else(not_one)?;
    let (host, port) = base.host_str().zip(base.port_or_known_default()).ok_or_else(not_one)?;
    let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let found = tokio::net::lookup_host((name.as_str(), port)).await.map_err(|error| {
        CliError::new(code::UNAVAILABLE, format!("{host} is not known: {error}"))
    })?;
    let addresses: Vec<SocketAddr> = found.collect();
    for address in &addresses {
        if !allow_remote && !is_here(address.ip()).await {
            return Err(must_be_here(host));
        }
    }
    Ok((base, addresses))
}

impl Caller {
    /// Calls the agent at this address.
    pub(super) async fn new(
        endpoint: &str,
        allow_remote: bool,
        (token, sign): (String, Sign),
        clock: Arc<dyn Clock>,
        limit: Duration,
    ) -> Result<Self, CliError> {
        let (base, addresses) = may_be_called(endpoint, allow_remote).await?;
        let host = base.host_str().unwrap_or_default();
        let http = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .resolve_to_addrs(host, &addresses)
            .connect_timeout(Duration::from_secs(10))
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| CliError::new(code::FAILED, error.to_string()))?;
        Ok(Self { http, base, token, sign, clock, limit })
    }

    fn address(&self, below: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(below);
        }
        url
    }

    async fn send(&self, request: RequestBuilder, limit: Duration) -> Result<Came, String> {
        let began = self.clock.now();
        let request = request.header("User-Agent", "IndustrialOrchestrator/1.0").timeout(limit);
        let mut answer = request.send().await.map_err(|error| told(&error))?;
        let took = self.clock.now().since(began);
        let (status, mut bytes) = (answer.status().as_u16(), Vec::new());
        let mut is_too_large = false;
        while let Some(chunk) = answer.chunk().await.map_err(|error| told(&error))? {
            if bytes.len() + chunk.len() > MOST_BYTES {
                is_too_large = true;
                break;
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Came { status, took, bytes, is_too_large })
    }

    /// Asks how it is.
    pub(super) async fn health(&self) -> Result<Came, String> {
        let request = self.http.get(self.address(&["health"])).header("X-Agent-Token", &self.token);
        self.send(request, Duration::from_secs(10)).await
    }

    async fn post(
        &self,
        below: &[&str],
        body: String,
        token: &str,
        signed: Signed,
        key: Option<&str>,
    ) -> Result<Came, String> {
        let now = self.clock.now().millis() / 1000;
        let signature = match signed {
            Signed::Right => (self.sign)(&self.token, now, body.as_bytes()),
            Signed::Wrong => (self.sign)("another token", now, body.as_bytes()),
            Signed::LongAgo => (self.sign)(&self.token, now - 3600, body.as_bytes()),
        };
        let mut request = self
            .http
            .post(self.address(below))
            .header("Content-Type", "application/json")
            .header("X-Agent-Token", token)
            .header("X-Orchestrator-Signature", signature)
            .body(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key).header("Prefer", "respond-async");
        }
        self.send(request, self.limit).await
    }

    /// Brings an assignment.
    pub(super) async fn bring(&self, work: &Map<String, Value>) -> Result<Came, String> {
        self.bring_as(work, None, Signed::Right).await
    }

    /// Brings an assignment as somebody who may not.
    pub(super) async fn bring_as(
        &self,
        work: &Map<String, Value>,
        token: Option<&str>,
        signed: Signed,
    ) -> Result<Came, String> {
        let body = Value::Object(work.clone()).to_string();
        let key = work.get("idempotency_key").and_then(Value::as_str);
        self.post(&["task"], body, token.unwrap_or(&self.token), signed, key).await
    }

    /// Cancels an assignment.
    pub(super) async fn cancel(&self, work: &Map<String, Value>) -> Result<Came, String> {
        let task = work.get("task_id").and_then(Value::as_str).unwrap_or_default();
        let body = serde_json::json!({
            "fencing_token": work.get("fencing_token"), "reason": "a check of the protocol",
        });
        let body = body.to_string();
        self.post(&["task", task, "cancel"], body, &self.token, Signed::Right, None).await
    }
}

/// Why no answer came.
fn told(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_connect() {
        "nobody listens there".to_owned()
    } else {
        "the connection broke off before the answer was whole".to_owned()
    }
}
