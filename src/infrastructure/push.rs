//! Calls to external agents over HTTP: signed, guarded, bounded in time and size.
//!
//! Invariant: no proxy of the environment, no redirect, no connection to an address that the guard did not
//! judge for this very call.

use std::error::Error as _;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::header::{CONTENT_TYPE, USER_AGENT};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Map, Value};
use sha2::Sha256;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::application::ports::clock::Clock;
use crate::application::ports::notifier::AddressError;
use crate::application::ports::push::{Brought, Line, Parcel, PushAgents};
use crate::domain::canonical::{MOST_VALUES, depth, hex, values_in};
use crate::infrastructure::webhooks::egress::{Checked, Egress, HandedOver};

/// Who calls.
const WE: &str = "IndustrialOrchestrator/1.0";
/// Longest time of a call that brings no work.
const SHORT_TIME: Duration = Duration::from_secs(10);
/// Largest answer.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// What of an answer is kept in memory before it is one of the large ones.
const SMALL: usize = 256 * 1024;
/// Large answers that are in memory at once; others wait, and their senders with them.
const LARGE_AT_ONCE: usize = 3;
/// What one read may bring beyond a bound.
const CHUNK: usize = 512 * 1024;
/// Largest answer that tells how an agent is.
const MOST_HEALTH: usize = 64 * 1024;
/// Deepest nesting of an answer.
const MOST_DEPTH: usize = 64;
/// Characters of an answer's words that are told on.
const TOLD: usize = 300;

/// Longest times of calls that bring work. How long an agent may work on it before it begins to answer
/// is up to each piece of work.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until there is a connection.
    pub connect: Duration,
    /// Between two parts of an answer.
    pub pause: Duration,
    /// From the beginning of an answer to its end.
    pub answer: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            pause: Duration::from_secs(30),
            answer: Duration::from_mins(2),
        }
    }
}

/// Calls over HTTP.
pub struct HttpPush {
    client: Client,
    egress: Egress,
    clock: Arc<dyn Clock>,
    limits: Limits,
    /// A permit for each large answer in memory.
    large: Semaphore,
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
    pub fn new(
        egress: Egress,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Result<Self, reqwest::Error> {
        let builder = || {
            Client::builder()
                .no_proxy()
                .redirect(Policy::none())
                .dns_resolver(Arc::new(HandedOver))
                .connect_timeout(limits.connect)
                .pool_idle_timeout(Duration::from_secs(10))
                .pool_max_idle_per_host(4)
        };
        // A machine without root certificates can still call listed hosts without TLS.
        let client = builder().build().or_else(|error| {
            tracing::warn!(%error, "There are no root certificates: calls to agents with https will fail");
            builder().tls_certs_only([]).build()
        })?;
        Ok(Self { client, egress, clock, limits, large: Semaphore::new(LARGE_AT_ONCE) })
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
        token: &str,
        checked: Checked,
        request: RequestBuilder,
        limit: Duration,
    ) -> Result<Response, Failure> {
        let request = request.header("X-Agent-Token", token).header(USER_AGENT, WE);
        let sent = checked.lend(request.timeout(limit).send()).await;
        sent.map_err(|error| broken_off(&error))
    }

    /// Calls with what the agent knows us by. One that does not know it yet is shown what it knew us by
    /// before, while that is good.
    async fn shown<F>(&self, line: &Line, call: impl Fn(String) -> F) -> Result<Response, Failure>
    where
        F: Future<Output = Result<Response, Failure>>,
    {
        let response = call(line.token.clone()).await?;
        match &line.before {
            Some(before) if response.status() == StatusCode::UNAUTHORIZED => {
                call(before.clone()).await
            }
            Some(_) | None => Ok(response),
        }
    }

    async fn post(
        &self,
        line: &Line,
        below: &[&str],
        body: &[u8],
        limit: Duration,
        more: &[(&str, &str)],
    ) -> Result<Response, Failure> {
        let post = |token: String| async move {
            let checked = self.judged(line, below).await?;
            let seconds = self.clock.now().millis() / 1000;
            let request = self
                .client
                .post(checked.url().clone())
                .header(CONTENT_TYPE, "application/json")
                .header("X-Orchestrator-Signature", signature(&token, seconds, body))
                .body(body.to_vec());
            let request =
                more.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            self.send(&token, checked, request, limit).await
        };
        self.shown(line, post).await
    }

    /// The object in an answer.
    async fn object(&self, response: Response, most: usize) -> Result<Map<String, Value>, Failure> {
        let (bytes, _permit) = self.body(response, most).await?;
        read(&bytes)
    }

    /// What an answer holds; of the large ones a few at once.
    async fn body(
        &self,
        mut response: Response,
        most: usize,
    ) -> Result<(Vec<u8>, Option<SemaphorePermit<'_>>), Failure> {
        let too_large = || Failure::Unreadable(format!("its answer has more than {most} bytes"));
        let length = response.content_length().unwrap_or(0);
        if usize::try_from(length).map_or(true, |length| length > most) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        if self.fill(&mut bytes, &mut response, most.min(SMALL)).await? {
            return Ok((bytes, None));
        }
        if bytes.len() > most {
            return Err(too_large());
        }
        // Nobody closes it.
        let permit = self.large.acquire().await.ok();
        // Once, as growing by doubling would take three times the memory; it is used as it fills.
        bytes.reserve_exact(most + CHUNK - bytes.len());
        if self.fill(&mut bytes, &mut response, most).await? {
            return Ok((bytes, permit));
        }
        Err(too_large())
    }

    /// Reads until an answer ends or has more than so many bytes; whether it has ended.
    async fn fill(
        &self,
        bytes: &mut Vec<u8>,
        response: &mut Response,
        most: usize,
    ) -> Result<bool, Failure> {
        let Limits { connect: _, pause, answer } = self.limits;
        let seconds = |what: &str, limit: Duration| {
            Failure::Unreadable(format!("its answer {what} {} s", limit.as_secs()))
        };
        let reading = async {
            while bytes.len() <= most {
                match timeout(pause, response.chunk()).await {
                    Ok(Ok(Some(chunk))) => bytes.extend_from_slice(&chunk),
                    Ok(Ok(None)) => return Ok(true),
                    Ok(Err(error)) => return Err(broken_off(&error)),
                    Err(_) => return Err(seconds("stood still for", pause)),
                }
            }
            Ok(false)
        };
        timeout(answer, reading).await.unwrap_or_else(|_| Err(seconds("took more than", answer)))
    }

    /// The beginning of what an answer says.
    async fn words(&self, response: Response) -> String {
        let read = timeout(Duration::from_secs(1), self.body(response, MOST_HEALTH));
        let Ok(Ok((bytes, _))) = read.await else { return String::new() };
        let text = String::from_utf8_lossy(&bytes);
        let text: String = text.chars().filter(|letter| !letter.is_control()).take(TOLD).collect();
        if text.is_empty() { text } else { format!(": {text}") }
    }

    async fn brought(&self, line: &Line, parcel: &Parcel) -> Result<Brought, Failure> {
        let more =
            [("Idempotency-Key", parcel.idempotency_key.as_str()), ("Prefer", "respond-async")];
        let response = self.post(line, &["task"], &parcel.body, parcel.limit, &more).await?;
        let status = response.status();
        match status {
            StatusCode::ACCEPTED => Ok(Brought::Accepted),
            StatusCode::OK => self.object(response, MOST_BYTES).await.map(Brought::Result),
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
                let words = self.words(response).await;
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

/// The object that an answer is.
fn read(bytes: &[u8]) -> Result<Map<String, Value>, Failure> {
    if values_in(bytes) > MOST_VALUES {
        let why = format!("its answer has more than {MOST_VALUES} values");
        return Err(Failure::Unreadable(why));
    }
    let value: Value = serde_json::from_slice(bytes)
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

/// What it means that an exchange broke off: nobody knows what became of it, unless what came is not the
/// protocol.
fn broken_off(error: &reqwest::Error) -> Failure {
    let mut cause = error.source();
    while let Some(inner) = cause {
        let is_http = inner.downcast_ref::<hyper::Error>().is_none_or(|error| !error.is_parse());
        let is_framed = inner.downcast_ref::<std::io::Error>().is_none_or(|error| {
            !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData)
        });
        if !(is_http && is_framed) {
            return Failure::Unreadable(format!("its answer is not HTTP: {inner}"));
        }
        cause = inner.source();
    }
    Failure::Lost(unanswered(error))
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
            let get = |token: String| async move {
                let checked = self.judged(line, &["health"]).await?;
                let request = self.client.get(checked.url().clone());
                self.send(&token, checked, request, SHORT_TIME).await
            };
            let response = self.shown(line, get).await?;
            match response.status() {
                StatusCode::OK => self.object(response, MOST_HEALTH).await,
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
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::BoxFuture;
    use tokio::net::TcpListener;

    use super::*;
    use crate::infrastructure::clock::SystemClock;
    use crate::infrastructure::webhooks::egress::{Allowed, Lookup};

    /// Leads to a permitted address the first time, and to others afterwards.
    struct Flips(AtomicUsize, [&'static str; 2]);

    impl Lookup for Flips {
        fn lookup(&self, _: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
            let turn = self.0.fetch_add(1, Ordering::Relaxed).min(1);
            let address = self.1[turn].parse().expect("an address");
            Box::pin(async move { Ok(vec![address]) })
        }
    }

    fn calling(then: &'static str) -> HttpPush {
        let networks = vec!["127.0.0.1/32".parse().expect("a network")];
        let allowed = Allowed { networks, ..Allowed::default() };
        let lookup = Arc::new(Flips(AtomicUsize::new(0), ["127.0.0.1", then]));
        let second = Duration::from_secs(1);
        let limits = Limits { connect: second, pause: second, answer: second };
        let egress = Egress::new(allowed, lookup);
        HttpPush::new(egress, Arc::new(SystemClock::new()), limits).expect("a client")
    }

    fn parcel() -> Parcel {
        let (idempotency_key, body) = ("task:1".to_owned(), b"{}".to_vec());
        Parcel { idempotency_key, body, limit: Duration::from_secs(1) }
    }

    fn line(url: String) -> Line {
        Line { url, token: "token".to_owned(), before: None }
    }

    #[tokio::test]
    async fn what_is_not_listed_is_never_connected_to_whatever_its_name_led_to_before() {
        // Both listen on the same port: only the address tells them apart.
        let permitted = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = permitted.local_addr().expect("an address").port();
        let unlisted = TcpListener::bind(("127.0.0.2", port)).await.expect("the same port");
        for then in ["127.0.0.2", "169.254.169.254", "10.1.2.3"] {
            let push = calling(then);
            let url = format!("http://agent.test:{port}");
            assert!(push.check(&url).await.is_ok(), "as when it registered");
            let told = push.bring(&line(url), &parcel()).await;
            assert!(matches!(told, Brought::Refused(_)), "{then}: {told:?}");
        }
        for host in ["127.0.0.2", "169.254.169.254", "[fe80::1]", "192.168.1.1"] {
            let told = calling("127.0.0.1").ask(&line(format!("http://{host}:{port}"))).await;
            assert!(told.is_err(), "{host}");
        }
        for listener in [permitted, unlisted] {
            let nobody = timeout(Duration::from_millis(50), listener.accept()).await;
            assert!(nobody.is_err(), "{nobody:?}");
        }
    }

    #[test]
    fn values_are_counted_before_they_take_memory() {
        let many = format!(r#"{{"output_data": {{"x": [{}0]}}}}"#, "0,".repeat(300_000));
        let Err(Failure::Unreadable(why)) = read(many.as_bytes()) else { panic!("it is read") };
        assert!(why.contains("250000 values"), "{why}");
        let long = format!(r#"{{"output_data": {{"x": "{}"}}}}"#, "0,".repeat(300_000));
        assert!(read(long.as_bytes()).is_ok());
    }

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
