//! Calls to external agents over HTTP: signed, guarded, bounded in time and size.
//!
//! Invariant: no proxy of the environment, no redirect, no connection to an address that the guard did not
//! judge for this very call.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Map, Value};
use sha2::Sha256;

use crate::application::ports::clock::Clock;
use crate::application::ports::notifier::AddressError;
use crate::application::ports::push::{Brought, Line, Parcel, PushAgents};
use crate::domain::canonical::{depth, hex};
use crate::infrastructure::webhooks::egress::{Checked, Egress, HandedOver};

/// Who calls.
const WE: &str = "IndustrialOrchestrator/1.0";
/// Longest wait for a connection.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Longest time of a call that brings no work.
const SHORT_TIME: Duration = Duration::from_secs(10);
/// Longest time between two parts of an answer.
const IDLE_TIME: Duration = Duration::from_secs(30);
/// Largest answer.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Largest answer that tells how an agent is.
const MOST_HEALTH: usize = 64 * 1024;
/// Deepest nesting of an answer.
const MOST_DEPTH: usize = 64;
/// Characters of an answer's words that are told on.
const TOLD: usize = 300;

/// Calls over HTTP.
pub struct HttpPush {
    client: Client,
    egress: Egress,
    clock: Arc<dyn Clock>,
}

/// Why a call gave nothing.
enum Failure {
    /// No answer came, or not all of it.
    Lost(String),
    /// It may not be called there.
    Denied(String),
    /// What came is no answer.
    Unreadable(String),
}

impl HttpPush {
    /// Calls where the guard lets it.
    ///
    /// # Errors
    /// No HTTP client can be made on this machine.
    pub fn new(egress: Egress, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let builder = || {
            Client::builder()
                .no_proxy()
                .redirect(Policy::none())
                .dns_resolver(Arc::new(HandedOver))
                .connect_timeout(CONNECT_TIME)
                .read_timeout(IDLE_TIME)
                .pool_idle_timeout(Duration::from_secs(10))
                .pool_max_idle_per_host(4)
        };
        // A machine without root certificates can still call listed hosts without TLS.
        let client = builder().build().or_else(|error| {
            tracing::warn!(%error, "There are no root certificates: calls to agents with https will fail");
            builder().tls_certs_only([]).build()
        })?;
        Ok(Self { client, egress, clock })
    }

    /// The address below an agent's own, judged.
    async fn judged(&self, line: &Line, below: &[&str]) -> Result<Checked, Failure> {
        let mut url = Url::parse(&line.url).map_err(|error| Failure::Denied(error.to_string()))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(below);
        }
        self.egress.check(url.as_str()).await.map_err(|error| match error {
            AddressError::Denied(why) => Failure::Denied(why),
            AddressError::Malformed(why) | AddressError::Unknown(why) => Failure::Lost(why),
        })
    }

    async fn send(
        &self,
        line: &Line,
        checked: Checked,
        request: RequestBuilder,
        limit: Duration,
    ) -> Result<Response, Failure> {
        let request = request.header("X-Agent-Token", &line.token).header(USER_AGENT, WE);
        let sent = checked.lend(request.timeout(limit).send()).await;
        sent.map_err(|error| Failure::Lost(unanswered(&error)))
    }

    async fn post(
        &self,
        line: &Line,
        below: &[&str],
        body: &[u8],
        limit: Duration,
        more: &[(&str, &str)],
    ) -> Result<Response, Failure> {
        let checked = self.judged(line, below).await?;
        let seconds = self.clock.now().millis() / 1000;
        let signature = signature(&line.token, seconds, body);
        let request = self
            .client
            .post(checked.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header("X-Orchestrator-Signature", signature)
            .body(body.to_vec());
        let request =
            more.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(line, checked, request, limit).await
    }

    async fn brought(&self, line: &Line, parcel: &Parcel) -> Result<Brought, Failure> {
        let more =
            [("Idempotency-Key", parcel.idempotency_key.as_str()), ("Prefer", "respond-async")];
        let response = self.post(line, &["task"], &parcel.body, parcel.limit, &more).await?;
        let status = response.status();
        match status {
            StatusCode::ACCEPTED => Ok(Brought::Accepted),
            StatusCode::OK => object(response, MOST_BYTES).await.map(Brought::Result),
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Ok(Brought::Lost(format!("it answered {status}"))),
            StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => {
                Ok(Brought::Refused(format!("it answered {status}")))
            }
            _ if status.is_redirection() => {
                let why = format!("it answered {status}; redirects are not followed");
                Ok(Brought::Refused(why))
            }
            _ => {
                let words = words(response).await;
                Ok(Brought::Refused(format!("it answered {status}{words}")))
            }
        }
    }
}

/// `t=…,v1=…`, as the protocol has it.
#[must_use]
pub fn signature(token: &str, seconds: i64, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(token.as_bytes()) else {
        return String::new();
    };
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    format!("t={seconds},v1={}", hex(&mac.finalize().into_bytes()))
}

/// The object in an answer.
async fn object(response: Response, most: usize) -> Result<Map<String, Value>, Failure> {
    let bytes = body(response, most).await?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::Unreadable(format!("its answer is not JSON: {error}")))?;
    if depth(&value) > MOST_DEPTH {
        return Err(Failure::Unreadable("its answer is nested deeper than 64 levels".to_owned()));
    }
    match value {
        Value::Object(map) => Ok(map),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Failure::Unreadable("its answer is no JSON object".to_owned()))
        }
    }
}

async fn body(mut response: Response, most: usize) -> Result<Vec<u8>, Failure> {
    let too_large = || Failure::Unreadable(format!("its answer has more than {most} bytes"));
    if response
        .content_length()
        .is_some_and(|length| usize::try_from(length).is_ok_and(|n| n > most))
    {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > most => return Err(too_large()),
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes),
            Err(error) => return Err(Failure::Lost(unanswered(&error))),
        }
    }
}

/// The beginning of what an answer says.
async fn words(response: Response) -> String {
    let read = tokio::time::timeout(Duration::from_secs(1), body(response, MOST_HEALTH));
    let Ok(Ok(bytes)) = read.await else { return String::new() };
    let text = String::from_utf8_lossy(&bytes);
    let text: String = text.chars().filter(|letter| !letter.is_control()).take(TOLD).collect();
    if text.is_empty() { text } else { format!(": {text}") }
}

/// Why no answer came, in words that name no more than the address does.
fn unanswered(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let mut cause = error.source();
    let mut innermost = None;
    while let Some(inner) = cause {
        innermost = Some(inner.to_string());
        cause = inner.source();
    }
    let detail = innermost.unwrap_or_else(|| "no answer".to_owned());
    if error.is_connect() {
        format!("it cannot be reached: {detail}")
    } else {
        format!("the connection broke off: {detail}")
    }
}

#[async_trait]
impl PushAgents for HttpPush {
    async fn check(&self, url: &str) -> Result<(), AddressError> {
        self.egress.check(url).await.map(drop)
    }

    async fn bring(&self, line: &Line, parcel: &Parcel) -> Brought {
        match self.brought(line, parcel).await {
            Ok(brought) => brought,
            Err(Failure::Lost(why)) => Brought::Lost(why),
            Err(Failure::Denied(why)) => Brought::Refused(why),
            Err(Failure::Unreadable(why)) => Brought::Unreadable(why),
        }
    }

    async fn ask(&self, line: &Line) -> Result<Map<String, Value>, String> {
        let asked = async {
            let checked = self.judged(line, &["health"]).await?;
            let request = self.client.get(checked.url().clone());
            let response = self.send(line, checked, request, SHORT_TIME).await?;
            match response.status() {
                StatusCode::OK => object(response, MOST_HEALTH).await,
                status => Err(Failure::Unreadable(format!("it answered {status}"))),
            }
        };
        asked.await.map_err(|failure| match failure {
            Failure::Lost(why) | Failure::Denied(why) | Failure::Unreadable(why) => why,
        })
    }

    async fn cancel(&self, line: &Line, task: &str, body: Vec<u8>) -> Result<(), String> {
        let sent = self.post(line, &["task", task, "cancel"], &body, SHORT_TIME, &[]).await;
        match sent.map(|response| response.status()) {
            Ok(StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => Ok(()),
            Ok(status) if status.is_success() => Ok(()),
            Ok(status) => Err(format!("it answered {status}")),
            Err(Failure::Lost(why) | Failure::Denied(why) | Failure::Unreadable(why)) => Err(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_time_and_body() {
        let one = signature("token", 1_700_000_000, b"{}");
        assert!(one.starts_with("t=1700000000,v1=") && one.len() == 16 + 64, "{one}");
        assert_eq!(one, signature("token", 1_700_000_000, b"{}"));
        for other in [
            signature("other", 1_700_000_000, b"{}"),
            signature("token", 1_700_000_001, b"{}"),
            signature("token", 1_700_000_000, b"{ }"),
        ] {
            assert_ne!(one, other);
        }
    }
}
