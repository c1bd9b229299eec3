//! A proxy between the server and an agent that it calls, which does to their exchange what networks and
//! broken agents do.
//!
//! Invariant: only the bringing of work is disturbed, unless the fault is one of the whole machine: an agent
//! that says that it is well, and is not, is the harder case.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The answer comes after a while.
    Delay(Duration),
    /// The answer comes by a byte at a time.
    Drip,
    /// The answer ends in the middle.
    Cut,
    /// The connection is reset instead of an answer.
    Reset,
    /// Nobody takes the connection; not for other calls either.
    BlackHole,
    /// The connection stands, and the machine behind it is gone; for every call.
    HalfOpen,
    /// The answer stands still in the middle.
    Stall,
    /// What comes is no HTTP.
    Garbage,
    /// The answer is a gigabyte.
    Huge,
    /// The answer is nested a hundred thousand times.
    Deep,
    /// The answer is about another piece of work.
    WrongId,
    /// The call reaches the agent twice, and the answer comes twice.
    Twice,
    /// The answer comes when the test says so.
    Late,
}

/// Longest time of a fault that nobody ends.
const FOR_EVER: Duration = Duration::from_mins(10);

/// The proxy; it ends with the value.
pub(crate) struct FaultProxy {
    pub(crate) url: String,
    shared: Shared,
    address: SocketAddr,
    /// Connections that fill the queue of those that nobody takes.
    fillers: Vec<TcpStream>,
    _task: JoinSet<()>,
}

#[derive(Clone)]
struct Shared {
    fault: watch::Sender<Fault>,
    gate: watch::Sender<bool>,
    /// Calls that bring work.
    brought: Arc<AtomicUsize>,
    /// Late answers that were let go.
    let_go: Arc<AtomicUsize>,
    agent: String,
}

impl FaultProxy {
    /// Before the agent at this address (`host:port`).
    pub(crate) fn before(agent: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("bound");
        // A short queue, so that it can be filled.
        let listener = socket.listen(1).expect("it listens");
        let address = listener.local_addr().expect("an address");
        let shared = Shared {
            fault: watch::Sender::new(Fault::None),
            gate: watch::Sender::new(false),
            brought: Arc::default(),
            let_go: Arc::default(),
            agent: agent.to_owned(),
        };
        let mut task = JoinSet::new();
        task.spawn(accept(listener, shared.clone()));
        let url = format!("http://{address}");
        Self { url, shared, address, fillers: Vec::new(), _task: task }
    }

    /// From now on it does this; what another fault holds up is let go of.
    pub(crate) async fn turn(&mut self, fault: Fault) {
        self.fillers.clear();
        self.shared.gate.send_replace(false);
        self.shared.fault.send_replace(fault);
        if fault != Fault::BlackHole {
            return;
        }
        loop {
            let connecting = TcpStream::connect(self.address);
            match tokio::time::timeout(Duration::from_millis(300), connecting).await {
                Ok(taken) => self.fillers.push(taken.expect("it takes it, or does not answer")),
                Err(_) => return,
            }
        }
    }

    /// Lets late answers go.
    pub(crate) fn open(&self) {
        self.shared.gate.send_replace(true);
    }

    /// How often work was brought.
    pub(crate) fn brought(&self) -> usize {
        self.shared.brought.load(Ordering::Relaxed)
    }

    /// How many late answers were let go.
    pub(crate) fn let_go(&self) -> usize {
        self.shared.let_go.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, shared: Shared) {
    let mut fault = shared.fault.subscribe();
    let mut exchanges = JoinSet::new();
    loop {
        let now = *fault.borrow_and_update();
        if now == Fault::BlackHole {
            fault.changed().await.expect("the proxy lives");
            continue;
        }
        tokio::select! {
            biased;
            changed = fault.changed() => changed.expect("the proxy lives"),
            taken = listener.accept() => {
                let (stream, _) = taken.expect("a connection");
                let shared = shared.clone();
                exchanges.spawn(async move {
                    let mut fault = shared.fault.subscribe();
                    tokio::select! {
                        biased;
                        _ = fault.changed() => {}
                        () = exchange(stream, now, &shared) => {}
                    }
                });
            }
        }
    }
}

/// One call, and what becomes of it.
async fn exchange(mut stream: TcpStream, fault: Fault, shared: &Shared) {
    if fault == Fault::HalfOpen {
        return tokio::time::sleep(FOR_EVER).await;
    }
    let Some(request) = message(&mut stream).await else { return };
    let is_work = request.starts_with(b"POST ") && !first_line(&request).contains("/cancel");
    if is_work {
        shared.brought.fetch_add(1, Ordering::Relaxed);
    }
    let fault = if is_work { fault } else { Fault::None };
    let answer = if fault == Fault::Twice {
        relay(&shared.agent, &request).await;
        relay(&shared.agent, &request).await
    } else {
        relay(&shared.agent, &request).await
    };
    // Whoever called may be gone: nothing is to be done about it.
    answered(&mut stream, fault, &answer, shared).await.ok();
}

async fn answered(
    stream: &mut TcpStream,
    fault: Fault,
    answer: &[u8],
    shared: &Shared,
) -> std::io::Result<()> {
    let head = head_of(answer);
    match fault {
        Fault::None | Fault::BlackHole | Fault::HalfOpen => stream.write_all(answer).await?,
        Fault::Delay(time) => {
            tokio::time::sleep(time).await;
            stream.write_all(answer).await?;
        }
        Fault::Drip => {
            stream.write_all(&answer[..head]).await?;
            for byte in &answer[head..] {
                stream.write_all(std::slice::from_ref(byte)).await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Fault::Cut => stream.write_all(&answer[..usize::midpoint(head, answer.len())]).await?,
        Fault::Reset => return stream.set_zero_linger(),
        Fault::Stall => {
            stream.write_all(&answer[..usize::midpoint(head, answer.len())]).await?;
            tokio::time::sleep(FOR_EVER).await;
        }
        Fault::Garbage => {
            let noise = |place: u32| place.wrapping_mul(2_654_435_761).to_be_bytes()[0];
            let noise: Vec<u8> = (1..4096).map(noise).collect();
            stream.write_all(&noise).await?;
        }
        Fault::Huge => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"task_id\": \"";
            stream.write_all(head.as_bytes()).await?;
            let part = vec![b'x'; 1 << 16];
            for _ in 0..(1 << 14) {
                stream.write_all(&part).await?;
            }
        }
        Fault::Deep => {
            let body = format!("{{\"output_data\": {}", "[".repeat(100_000));
            stream.write_all(&with_body(body.as_bytes())).await?;
        }
        Fault::WrongId => {
            let mut body: Value = serde_json::from_slice(&answer[head..]).expect("JSON");
            body["task_id"] = "01890000-0000-7000-8000-000000000000".into();
            stream.write_all(&with_body(body.to_string().as_bytes())).await?;
        }
        Fault::Twice => {
            stream.write_all(answer).await?;
            stream.write_all(answer).await?;
        }
        Fault::Late => {
            shared.gate.subscribe().wait_for(|is_open| *is_open).await.expect("the proxy lives");
            let sent = stream.write_all(answer).await;
            shared.let_go.fetch_add(1, Ordering::Relaxed);
            sent?;
        }
    }
    stream.shutdown().await
}

fn with_body(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn first_line(message: &[u8]) -> String {
    let end = message.iter().position(|byte| *byte == b'\r').unwrap_or(message.len());
    String::from_utf8_lossy(&message[..end]).into_owned()
}

/// Bytes of a message before its body; 0 while they are not all there.
fn head_of(message: &[u8]) -> usize {
    message.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4)
}

/// A whole message, whose head tells its length; nothing when whoever sends it goes before.
async fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let head = head_of(&whole);
        if head > 0 && whole.len() >= head + length(&whole[..head]) {
            return Some(whole);
        }
        if stream.read_buf(&mut whole).await.ok()? == 0 {
            return None;
        }
    }
}

fn length(head: &[u8]) -> usize {
    let text = String::from_utf8_lossy(head).to_lowercase();
    let lines = text.lines().find_map(|line| line.strip_prefix("content-length:"));
    lines.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}

/// What the agent answers; it is told that the connection ends with it, and so is whoever called.
async fn relay(agent: &str, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(agent).await.expect("the agent is there");
    stream.write_all(request).await.expect("the agent reads");
    let answer = message(&mut stream).await.expect("the agent answers");
    let line = answer.windows(2).position(|two| two == b"\r\n").map_or(0, |at| at + 2);
    [&answer[..line], b"connection: close\r\n", &answer[line..]].concat()
}
