//! Many sockets that only count: each reads frame heads and skips what is in them.
//!
//! Written by hand for the same reason as the HTTP clients: a full WebSocket client copies every
//! payload, and a thousand of them would take the processor from the server that they measure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use super::process::{KEY, Process, Side};

/// Stands near the beginning of the frames that count.
const COUNTED: &[u8] = b"\"type\":\"session.created\"";
/// How near.
const BEGINNING: usize = 128;
/// Stands in the frame that tells that a socket is in its room.
const CONFIRMED: &[u8] = b"subscription.confirmed";
/// How long all frames may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// What one read takes at most; small, because there are many sockets.
const READ_BYTES: usize = 8 * 1024;

/// Open sockets that count together.
pub(super) struct Sockets {
    counted: Arc<Counted>,
    _readers: JoinSet<()>,
}

#[derive(Default)]
struct Counted {
    frames: AtomicU64,
    ended: AtomicU64,
    /// Frames that somebody waits for.
    target: AtomicU64,
    reached: Notify,
}

impl Counted {
    fn add(&self, frames: u64) {
        let before = self.frames.fetch_add(frames, Ordering::AcqRel);
        let target = self.target.load(Ordering::Acquire);
        if before < target && before + frames >= target {
            self.reached.notify_one();
        }
    }
}

impl Sockets {
    /// Opens this many sockets for the events of sessions.
    pub(super) async fn open(process: &Process, count: usize) -> anyhow::Result<Self> {
        let counted = Arc::new(Counted::default());
        let mut readers = JoinSet::new();
        for _ in 0..count {
            let opening = tokio::time::timeout(PATIENCE, shake_hands(process));
            let (stream, rest) = opening.await.context("a socket was not opened in time")??;
            let counted = counted.clone();
            readers.spawn(async move {
                // However it ends: a socket that is closed early is missed by whoever waits.
                drop(read(stream, rest, &counted).await);
                counted.ended.fetch_add(1, Ordering::AcqRel);
                counted.reached.notify_one();
            });
        }
        Ok(Self { counted, _readers: readers })
    }

    /// From now on this many frames are waited for.
    pub(super) fn expect(&self, frames: u64) {
        self.counted.frames.store(0, Ordering::Release);
        self.counted.target.store(frames, Ordering::Release);
    }

    /// Waits until they have come.
    pub(super) async fn arrived(&self) -> anyhow::Result<()> {
        let counted = &self.counted;
        let waiting = async {
            loop {
                let got = counted.frames.load(Ordering::Acquire);
                let target = counted.target.load(Ordering::Acquire);
                let ended = counted.ended.load(Ordering::Acquire);
                if got >= target {
                    return Ok(());
                }
                anyhow::ensure!(
                    ended == 0,
                    "{ended} sockets were closed; {got} of {target} frames came"
                );
                counted.reached.notified().await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, waiting).await;
        waited.context("the frames did not come in time")?
    }
}

/// A socket that misses nothing from now on, with what was read after its handshake. The server
/// says when that is so; the probe listens before it answers the handshake.
async fn shake_hands(process: &Process) -> anyhow::Result<(TcpStream, Vec<u8>)> {
    let path = match process.side {
        Side::Server => "/ws/sessions",
        Side::Probe => "/",
    };
    let mut stream = TcpStream::connect(process.sockets).await?;
    stream.set_nodelay(true)?;
    let (address, nonce) = (process.sockets, generate_key());
    let asked = format!(
        "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {nonce}\r\n\
         authorization: Bearer {KEY}\r\nx-tenant-id: default\r\n\r\n"
    );
    stream.write_all(asked.as_bytes()).await?;
    let mut head = Vec::with_capacity(1024);
    let end = read_until(&mut stream, &mut head, b"\r\n\r\n").await?;
    let status = head.get(9..12).unwrap_or_default();
    anyhow::ensure!(status == b"101", "{}", String::from_utf8_lossy(&head));
    let mut rest = head.split_off(end);
    if process.side == Side::Server {
        read_until(&mut stream, &mut rest, CONFIRMED).await?;
    }
    Ok((stream, rest))
}

/// Reads until these bytes have come, and tells where they end.
async fn read_until(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    wanted: &[u8],
) -> anyhow::Result<usize> {
    loop {
        if let Some(start) = buffer.windows(wanted.len()).position(|window| window == wanted) {
            return Ok(start + wanted.len());
        }
        anyhow::ensure!(buffer.len() < 64 * 1024, "a handshake without end");
        anyhow::ensure!(stream.read_buf(buffer).await? > 0, "a socket was closed at once");
    }
}

async fn read(mut stream: TcpStream, rest: Vec<u8>, counted: &Counted) -> std::io::Result<()> {
    let mut walker = Walker { buffer: rest };
    loop {
        let found = walker.walk();
        if found > 0 {
            counted.add(found);
        }
        walker.buffer.reserve(READ_BYTES);
        if stream.read_buf(&mut walker.buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Walks over frames of a server, which are never masked. Source: RFC 6455 §5.2
struct Walker {
    buffer: Vec<u8>,
}

impl Walker {
    /// Counts the complete frames that matter and forgets all complete ones.
    fn walk(&mut self) -> u64 {
        let (mut at, mut found) = (0, 0);
        while let Some((start, end)) = frame(&self.buffer[at..]) {
            let beginning = &self.buffer[at + start..at + end.min(start + BEGINNING)];
            found += u64::from(beginning.windows(COUNTED.len()).any(|part| part == COUNTED));
            at += end;
        }
        self.buffer.drain(..at);
        found
    }
}

/// Where the payload of the first frame starts and ends, when all of it is there.
fn frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let (start, length): (usize, usize) = match *bytes.get(1)? & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => {
            let length = u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?);
            (10, usize::try_from(length).ok()?)
        }
        short => (2, usize::from(short)),
    };
    let end = start.checked_add(length)?;
    (bytes.len() >= end).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(payload: &str) -> Vec<u8> {
        let mut bytes = vec![0x81];
        match u8::try_from(payload.len()) {
            Ok(length) if length < 126 => bytes.push(length),
            _ => {
                bytes.push(126);
                bytes.extend(u16::try_from(payload.len()).expect("as the test says").to_be_bytes());
            }
        }
        bytes.extend(payload.as_bytes());
        bytes
    }

    #[test]
    fn frames_count_once_however_they_are_cut() {
        let long =
            format!("{{\"seq\":1,\"type\":\"session.created\",\"x\":\"{}\"}}", "y".repeat(300));
        let mut all = framed("{\"type\":\"heartbeat\"}");
        all.extend(framed("{\"type\":\"session.created\"}"));
        all.extend(framed(&long));
        let mut walker = Walker { buffer: Vec::new() };
        let mut found = 0;
        for byte in all {
            walker.buffer.push(byte);
            found += walker.walk();
        }
        assert_eq!(found, 2);
        assert!(walker.buffer.is_empty());
    }
}
