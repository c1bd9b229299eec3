//! A closed loop of HTTP clients: each sends its next request when it has the answer to the last.
//!
//! Written by hand on purpose: on a small machine a full HTTP client would use more CPU than the
//! server that it measures. It understands exactly what the measured sides send: HTTP/1.1 answers
//! with a content length over a kept connection.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::process::Process;

/// An answer may not be larger.
const MAX_ANSWER: usize = 32 * 1024 * 1024;
/// How long one answer may take before it counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);
/// A client that fails so often in a row gives up.
const FAILURES_IN_A_ROW: u32 = 5;

/// Stands in a request where every sending puts a number that was never sent before.
pub(super) const UNIQUE: &str = "################";

/// Now, for measuring.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// One kept connection.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer; the body lives in the connection until the next call.
pub(super) struct Answer<'a> {
    /// HTTP status.
    pub(super) status: u16,
    /// Its body.
    pub(super) body: &'a [u8],
}

impl Connection {
    /// Connects.
    pub(super) async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its answer.
    pub(super) async fn call(&mut self, request: &[u8]) -> std::io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (status, start, end) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            if let Some(head) = parse_head(&self.buffer)? {
                break head;
            }
        };
        while self.buffer.len() < end {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Answer { status, body: &self.buffer[start..end] })
    }
}

/// Status, start and end of the body; `None` while the head is incomplete.
fn parse_head(buffer: &[u8]) -> std::io::Result<Option<(u16, usize, usize)>> {
    let Some(start) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
        if buffer.len() > 64 * 1024 {
            return Err(Error::new(ErrorKind::InvalidData, "the answer has no end of its head"));
        }
        return Ok(None);
    };
    let invalid = |what: &str| Error::new(ErrorKind::InvalidData, what.to_owned());
    let head =
        std::str::from_utf8(&buffer[..start]).map_err(|_| invalid("a head that is no text"))?;
    let mut lines = head.split("\r\n");
    let status =
        lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let status = status.ok_or_else(|| invalid("no HTTP/1.1 answer"))?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok());
    let length = match length {
        Some(length) if length <= MAX_ANSWER => length,
        None if status == 204 || status == 304 => 0,
        _ => return Err(invalid("no usable content length")),
    };
    Ok(Some((status, start + 4, start + 4 + length)))
}

/// What the clients have in common.
struct Shared {
    address: SocketAddr,
    /// Rendered requests, and where `UNIQUE` stands in each; clients walk through them at
    /// different places.
    requests: Vec<(Vec<u8>, Option<usize>)>,
    /// Requests that may still be sent.
    budget: AtomicU64,
    done: AtomicU64,
    failed: AtomicU64,
    stop: AtomicBool,
    recording: AtomicBool,
}

/// How much load, for how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// Clients at once.
    pub(super) clients: usize,
    /// Not measured.
    pub(super) warm_up: Duration,
    /// Measured.
    pub(super) length: Duration,
}

/// What one window gave.
#[derive(Debug, Clone, Default)]
pub(super) struct Measured {
    /// Answers with a status of success, per second.
    pub(super) per_second: f64,
    /// 99 % of the answers came within this many microseconds.
    pub(super) p99_us: Option<f64>,
    /// CPU of the server per answer.
    pub(super) cpu_us: Option<f64>,
    /// Requests that failed.
    pub(super) failed: u64,
    /// What the first of them got.
    pub(super) first_failure: Option<String>,
}

/// Puts load on a process for a window of time.
pub(super) async fn drive(process: &Process, requests: Vec<Vec<u8>>, window: Window) -> Measured {
    let shared = Shared::new(process.address, requests, u64::MAX);
    let mut clients = start(&shared, window.clients).await;
    tokio::time::sleep(window.warm_up).await;
    let (cpu, done, began) = (process.cpu_us(), shared.done.load(Ordering::Relaxed), now());
    shared.recording.store(true, Ordering::Relaxed);
    tokio::time::sleep(window.length).await;
    let done = shared.done.load(Ordering::Relaxed).saturating_sub(done);
    let (cpu_after, seconds) = (process.cpu_us(), began.elapsed().as_secs_f64());
    shared.stop.store(true, Ordering::Relaxed);
    let (latencies, first_failure) = collect(&mut clients).await;
    let cpu_used = cpu_after.zip(cpu).map(|(after, before)| after - before);
    #[expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]
    Measured {
        per_second: done as f64 / seconds,
        p99_us: quantile(latencies, 0.99),
        cpu_us: cpu_used.filter(|_| done > 0).map(|used| used / done as f64),
        failed: shared.failed.load(Ordering::Relaxed),
        first_failure,
    }
}

/// Sends requests until `count` were answered well; an error tells why that cannot be.
pub(super) async fn send(
    process: &Process,
    requests: Vec<Vec<u8>>,
    clients: usize,
    count: u64,
) -> anyhow::Result<()> {
    let shared = Shared::new(process.address, requests, count);
    let (_, first_failure) = collect(&mut start(&shared, clients).await).await;
    let done = shared.done.load(Ordering::Relaxed);
    anyhow::ensure!(
        done == count,
        "only {done} of {count} requests succeeded: {}",
        first_failure.unwrap_or_default()
    );
    Ok(())
}

impl Shared {
    fn new(address: SocketAddr, requests: Vec<Vec<u8>>, budget: u64) -> Arc<Self> {
        let place = |request: &Vec<u8>| {
            request.windows(UNIQUE.len()).position(|part| part == UNIQUE.as_bytes())
        };
        Arc::new(Self {
            address,
            requests: requests
                .into_iter()
                .map(|one| (place(&one), one))
                .map(|(at, one)| (one, at))
                .collect(),
            budget: AtomicU64::new(budget),
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            recording: AtomicBool::new(false),
        })
    }

    fn may_send(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
            && self
                .budget
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
    }
}

type Clients = JoinSet<(Vec<u32>, Option<String>)>;

/// Connects all clients before the first of them asks: a handshake that is lost in the rush is
/// sent again after a second, which would be measured as an answer of a second.
async fn start(shared: &Arc<Shared>, clients: usize) -> Clients {
    let mut connections = Vec::with_capacity(clients);
    for _ in 0..clients {
        // One that fails here is tried again by its client, which tells of the failure.
        connections.push(Connection::open(shared.address).await.ok());
    }
    let mut set = JoinSet::new();
    for (number, connection) in connections.into_iter().enumerate() {
        set.spawn(client(shared.clone(), number, connection));
    }
    set
}

async fn collect(clients: &mut Clients) -> (Vec<u32>, Option<String>) {
    let (mut latencies, mut first_failure) = (Vec::new(), None);
    while let Some(result) = clients.join_next().await {
        let (more, failure) = result.unwrap_or_else(|error| (Vec::new(), Some(error.to_string())));
        latencies.extend(more);
        first_failure = first_failure.or(failure);
    }
    (latencies, first_failure)
}

/// Numbers that stand for `UNIQUE`, over all windows of this process.
static SENT: AtomicU64 = AtomicU64::new(1);

/// One client: latencies in microseconds, and what went wrong first.
async fn client(
    shared: Arc<Shared>,
    number: usize,
    mut connection: Option<Connection>,
) -> (Vec<u32>, Option<String>) {
    let (mut latencies, mut first_failure) = (Vec::new(), None);
    let (mut in_a_row, mut next) = (0, number * 37);
    let mut sent = Vec::new();
    while in_a_row < FAILURES_IN_A_ROW && shared.may_send() {
        let (request, unique) = &shared.requests[next % shared.requests.len()];
        next += 1;
        sent.clone_from(request);
        if let Some(at) = *unique {
            let number = format!("{:016x}", SENT.fetch_add(1, Ordering::Relaxed));
            sent[at..at + UNIQUE.len()].copy_from_slice(number.as_bytes());
        }
        let began = now();
        let asking = tokio::time::timeout(PATIENCE, ask(&mut connection, &shared, &sent));
        match asking.await.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok(()) => {
                in_a_row = 0;
                shared.done.fetch_add(1, Ordering::Relaxed);
                if shared.recording.load(Ordering::Relaxed) {
                    latencies.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
                }
            }
            Err(failure) => {
                in_a_row += 1;
                connection = None;
                shared.failed.fetch_add(1, Ordering::Relaxed);
                first_failure.get_or_insert(failure);
            }
        }
    }
    (latencies, first_failure)
}

async fn ask(
    connection: &mut Option<Connection>,
    shared: &Shared,
    request: &[u8],
) -> Result<(), String> {
    let open = if let Some(open) = connection {
        open
    } else {
        let fresh = Connection::open(shared.address).await.map_err(|error| error.to_string())?;
        connection.insert(fresh)
    };
    let answer = open.call(request).await.map_err(|error| error.to_string())?;
    if (200..300).contains(&answer.status) {
        return Ok(());
    }
    let body: String = String::from_utf8_lossy(answer.body).chars().take(300).collect();
    Err(format!("status {}: {body}", answer.status))
}

/// The value that this share of all values does not exceed.
pub(super) fn quantile(mut values: Vec<u32>, share: f64) -> Option<f64> {
    values.sort_unstable();
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the share is between 0 and 1"
    )]
    let index = (values.len() as f64 * share) as usize;
    values.get(index.min(values.len().saturating_sub(1))).map(|value| f64::from(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_when_complete() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(parse_head(answer).expect("as the test says"), Some((201, 43, 48)));
        assert_eq!(parse_head(&answer[..20]).expect("as the test says"), None);
        assert!(parse_head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(parse_head(b"SSH-2.0-x\r\n\r\n").is_err());
        assert_eq!(
            parse_head(b"HTTP/1.1 204 No Content\r\n\r\n").expect("as the test says"),
            Some((204, 27, 27))
        );
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        assert_eq!(quantile((1..=100).collect(), 0.99), Some(100.0));
        assert_eq!(quantile((1..=1000).rev().collect(), 0.5), Some(501.0));
        assert_eq!(quantile(Vec::new(), 0.5), None);
    }
}
