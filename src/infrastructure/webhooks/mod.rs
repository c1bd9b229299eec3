//! Messages to webhooks over HTTP: signed, guarded, bounded in time and size.
//!
//! Invariant: no proxy of the environment, no redirect, no connection to an address that the guard
//! did not judge for this very message or for one just before on the same connection.
//! Invariant: a message ends within its time, and its answer's body within a little more.

pub mod egress;
pub mod sign;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use rand::TryRng as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};

use self::egress::{Checked, Denied, Egress, HandedOver};
use crate::application::ports::clock::{Clock, NoSecret};
use crate::application::ports::notifier::{AddressError, Message, Notifier};
use crate::domain::time::Timestamp;
use crate::domain::webhook::Secret;
use crate::domain::webhook::delivery::{Answer, Attempt};

/// Bytes of an answer's body that are read; what comes after is not waited for.
const READ_BYTES: usize = 4096;
/// Longest wait for those bytes; a receiver that drips them has accepted the message all the same.
const READ_TIME: Duration = Duration::from_secs(1);
/// Characters of it that are kept.
const KEPT_CHARS: usize = 500;
/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Sends messages over HTTP.
pub struct HttpNotifier {
    client: Client,
    egress: Egress,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl HttpNotifier {
    /// Sends where the guard lets it, each message within this time.
    ///
    /// # Errors
    /// No HTTP client can be made on this machine.
    pub fn new(
        egress: Egress,
        timeout: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let builder = || {
            Client::builder()
                .no_proxy()
                .redirect(Policy::none())
                .dns_resolver(Arc::new(HandedOver))
                .connect_timeout(timeout.min(Duration::from_secs(5)))
                .timeout(timeout)
                // What was judged is connected to; no connection is kept for long.
                .pool_idle_timeout(Duration::from_secs(10))
                .pool_max_idle_per_host(4)
        };
        // A machine without root certificates can still send to listed hosts without TLS.
        let client = builder().build().or_else(|error| {
            tracing::warn!(%error, "There are no root certificates: webhooks with https will fail");
            builder().tls_certs_only([]).build()
        })?;
        Ok(Self { client, egress, timeout, clock })
    }

    async fn post(&self, message: &Message, at: Timestamp) -> Outcome {
        let answered = async {
            let checked = match self.egress.check(&message.url).await {
                Ok(checked) => checked,
                Err(AddressError::Denied(why)) => return Err(Outcome::denied(&why)),
                Err(error) => return Err(Outcome::failed(format!("cannot be reached: {error}"))),
            };
            self.request(checked, message, at).await
        };
        match tokio::time::timeout(self.timeout, answered).await {
            Ok(Ok(response)) => self.read(response).await,
            Ok(Err(outcome)) => outcome,
            Err(_) => Outcome::failed(self.too_late()),
        }
    }

    async fn request(
        &self,
        checked: Checked,
        message: &Message,
        at: Timestamp,
    ) -> Result<Response, Outcome> {
        let seconds = at.millis() / 1000;
        let Some(signature) = sign::signatures(message, seconds) else {
            let why = "the webhook has no valid secret; rotate it";
            return Err(Outcome::failed(why.to_owned()));
        };
        let request = self
            .client
            .post(checked.url().clone())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("industrial-orchestrator/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(message.body.clone());
        checked.lend(request.send()).await.map_err(|error| self.unanswered(&error))
    }

    fn too_late(&self) -> String {
        format!("no answer within {} ms", self.timeout.as_millis())
    }

    async fn read(&self, mut response: Response) -> Outcome {
        let status = response.status().as_u16();
        let retry_after = retry_after(response.headers(), self.clock.now());
        let error = match status {
            200..=299 => None,
            300..=399 => Some(format!("answered {status}{}", redirect(response.headers()))),
            410 => Some("answered 410 Gone".to_owned()),
            _ => Some(format!("answered {status}")),
        };
        let mut bytes = Vec::new();
        let reading = async {
            while let Ok(Some(chunk)) = response.chunk().await {
                bytes.extend_from_slice(&chunk);
                if bytes.len() >= READ_BYTES {
                    break;
                }
            }
        };
        // The status says whether the message was accepted, however the body ends.
        tokio::time::timeout(READ_TIME, reading).await.unwrap_or_default();
        let text: String = String::from_utf8_lossy(&bytes)
            .chars()
            .filter(|letter| !letter.is_control() || *letter == '\n')
            .take(KEPT_CHARS)
            .collect();
        let response = Some(text).filter(|text| !text.is_empty());
        Outcome { status: Some(status), error, response, retry_after, is_denied: false }
    }

    /// Why no answer came, in words that name no more than the address does.
    fn unanswered(&self, error: &reqwest::Error) -> Outcome {
        let mut cause = error.source();
        let mut innermost = None;
        while let Some(inner) = cause {
            if let Some(denied) = inner.downcast_ref::<Denied>() {
                return Outcome::denied(&denied.to_string());
            }
            innermost = Some(inner.to_string());
            cause = inner.source();
        }
        let detail = innermost.unwrap_or_else(|| "no answer".to_owned());
        Outcome::failed(if error.is_timeout() {
            self.too_late()
        } else if error.is_connect() {
            format!("cannot be reached: {detail}")
        } else {
            format!("the connection broke off: {detail}")
        })
    }
}

/// What a request came to.
struct Outcome {
    status: Option<u16>,
    error: Option<String>,
    response: Option<String>,
    retry_after: Option<Duration>,
    is_denied: bool,
}

impl Outcome {
    const fn failed(error: String) -> Self {
        Self {
            status: None,
            error: Some(error),
            response: None,
            retry_after: None,
            is_denied: false,
        }
    }

    /// A refusal of the guard.
    fn denied(why: &str) -> Self {
        Self { is_denied: true, ..Self::failed(format!("EGRESS_DENIED: {why}")) }
    }
}

/// Where a redirect would have led.
fn redirect(headers: &HeaderMap) -> String {
    let target = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let target: String = target.unwrap_or("elsewhere").chars().take(200).collect();
    format!(" and wants to redirect to {target}; redirects are not followed")
}

/// `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    Some(Timestamp::from_millis(at.timestamp_millis()).since(now))
}

#[async_trait]
impl Notifier for HttpNotifier {
    async fn check(&self, url: &str) -> Result<(), AddressError> {
        self.egress.check(url).await.map(drop)
    }

    async fn send(&self, message: &Message) -> Answer {
        let at = self.clock.now();
        let Outcome { status, error, response, retry_after, is_denied } =
            self.post(message, at).await;
        let took = self.clock.now().since(at).as_millis();
        let duration_ms = u64::try_from(took).unwrap_or(u64::MAX);
        let attempt = Attempt { at, duration_ms, status, error, response };
        Answer { attempt, retry_after, is_denied }
    }

    fn new_secret(&self) -> Result<Secret, NoSecret> {
        let mut bytes = [0; SECRET_BYTES];
        let filled = rand::rngs::SysRng.try_fill_bytes(&mut bytes);
        filled.map_err(|error| NoSecret(error.to_string()))?;
        Ok(Secret::new(format!("{}{}", sign::PREFIX, STANDARD.encode(bytes))))
    }
}

#[cfg(test)]
mod tests;
