//! The event stream of one directory.
//!
//! Invariant: between two events at most `MAX_EVENT_BYTES` are taken in, and a stream that is
//! silent for longer than heartbeats allow is over.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use sse_stream::{Sse, SseByteStream};

use super::client::{CallError, Client};
use super::wire::Event;
use crate::domain::time::Timestamp;

/// Largest event: a whole text part or the input of a write comes as one line.
const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;
/// Heartbeats come every 10 s.
const SILENCE: Duration = Duration::from_secs(35);

#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("{0}")]
    Broken(reqwest::Error),
    #[error("an event is larger than 8 MiB")]
    TooLarge,
}

type Body = Pin<Box<dyn Stream<Item = Result<Sse, sse_stream::Error>> + Send>>;

/// A stream that is live.
pub(super) struct Events {
    client: Client,
    body: Body,
    since_last: Arc<AtomicUsize>,
    heard_at: Timestamp,
}

impl Events {
    /// Subscribes; live once this returns.
    pub(super) async fn open(client: &Client, place: &str) -> Result<Self, CallError> {
        let response = client.events(place).await?;
        let since_last = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&since_last);
        let bytes = response.bytes_stream().map(move |chunk| {
            let chunk: Bytes = chunk.map_err(BodyError::Broken)?;
            let total = count.fetch_add(chunk.len(), Ordering::Relaxed) + chunk.len();
            if total > MAX_EVENT_BYTES { Err(BodyError::TooLarge) } else { Ok(chunk) }
        });
        let body = Box::pin(SseByteStream::new(bytes));
        let heard_at = client.clock().now();
        let mut events = Self { client: client.clone(), body, since_last, heard_at };
        match events.next().await {
            Some(event) if event.kind == "server.connected" => Ok(events),
            Some(_) => Err(CallError::Foreign("its event stream begins unlike OpenCode's".into())),
            None if events.since_last.load(Ordering::Relaxed) > MAX_EVENT_BYTES => {
                Err(CallError::Foreign("an event of its stream is larger than 8 MiB".into()))
            }
            None => Err(CallError::Unreachable("the event stream ended at once".to_owned())),
        }
    }

    /// The next event that can be read; `None` when the stream is over or silent for too long.
    /// May be dropped at any time.
    pub(super) async fn next(&mut self) -> Option<Event> {
        loop {
            let clock = self.client.clock();
            let left = SILENCE.saturating_sub(clock.now().since(self.heard_at));
            let item = tokio::select! {
                item = self.body.next() => item?,
                () = clock.sleep(left) => return None,
            };
            let data = item.ok()?.data.unwrap_or_default();
            self.heard_at = clock.now();
            self.since_last.store(0, Ordering::Relaxed);
            if let Ok(event) = serde_json::from_str(&data) {
                return Some(event);
            }
        }
    }
}
