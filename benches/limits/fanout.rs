//! The least that telling many sockets can cost: a frame is made once, and what has queued up for a
//! socket goes out in one write.
//!
//! The handshake is read by hand because a WebSocket library would put its own buffers and framing
//! in between, and these are what the product is compared with.

use axum::body::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Largest request head of a handshake.
const MAX_HEAD: usize = 8192;
/// What is collected for one write.
const BATCH_BYTES: usize = 64 * 1024;

/// Serves sockets until it is cancelled.
pub(super) async fn serve(
    listener: TcpListener,
    frames: broadcast::Sender<Bytes>,
    cancel: CancellationToken,
) {
    let sockets = TaskTracker::new();
    while let Some(Ok((stream, _))) = cancel.run_until_cancelled(listener.accept()).await {
        let (frames, cancel) = (frames.clone(), cancel.clone());
        sockets.spawn(async move {
            // A socket that closes or fails is only one listener less.
            drop(cancel.run_until_cancelled(tell(stream, frames)).await);
        });
    }
    sockets.close();
    sockets.wait().await;
}

/// Answers the handshake, then writes every frame.
async fn tell(mut stream: TcpStream, frames: broadcast::Sender<Bytes>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let key = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        .map_or("", |(_, value)| value.trim());
    let accept = derive_accept_key(key.as_bytes());
    // Subscribed before the answer: whoever has read it misses nothing.
    let mut frames = frames.subscribe();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    let mut batch = Vec::new();
    // Ends when the probe ends or the socket lags behind.
    while let Ok(frame) = frames.recv().await {
        batch.clear();
        batch.extend_from_slice(&frame);
        while batch.len() < BATCH_BYTES {
            let Ok(frame) = frames.try_recv() else { break };
            batch.extend_from_slice(&frame);
        }
        stream.write_all(&batch).await?;
    }
    Ok(())
}

/// A text frame of a server, ready to be written. Source: RFC 6455 §5.2
pub(super) fn frame(payload: &[u8]) -> Bytes {
    let mut frame = Vec::with_capacity(payload.len() + 10);
    frame.push(0x81);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length), _) if length < 126 => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    Bytes::from(frame)
}
