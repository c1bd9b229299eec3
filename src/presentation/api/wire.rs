//! What a connection does, seen from below: when a head begins and ends, and whether it states the
//! length of its body twice.
//!
//! The HTTP library drops `Content-Length` when a request also says `Transfer-Encoding`, so that the
//! conflict can be seen only in the bytes themselves.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// What a connection does at the moment.
#[derive(Clone)]
pub(super) struct Activity(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    changed: Notify,
    limit: usize,
}

#[derive(Default)]
struct State {
    /// Bytes of a head that is not complete; `None` while a request is answered.
    head: Option<Vec<u8>>,
    /// The head is complete; what follows is its body.
    complete: bool,
    /// The head that was completed last states its length twice.
    ambiguous: bool,
    /// The head is longer than it may be.
    too_long: bool,
}

impl Activity {
    /// A connection that waits for its first request; heads up to this size are looked at.
    #[must_use]
    pub(super) fn new(limit: usize) -> Self {
        let state = State { head: Some(Vec::new()), ..State::default() };
        Self(Arc::new(Inner { state: Mutex::new(state), changed: Notify::new(), limit }))
    }

    fn received(&self, bytes: &[u8]) {
        let mut guard = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        let Some(head) = state.head.as_mut().filter(|_| !state.complete) else { return };
        let first = head.is_empty();
        // The end may lie across two reads: three bytes of the earlier one are looked at again.
        let scanned = head.len().saturating_sub(3);
        let room = self.0.limit.saturating_sub(head.len());
        head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let end = head[scanned..].windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            state.complete = true;
            state.ambiguous = states_length_twice(&head[..scanned + end]);
        } else if head.len() >= self.0.limit {
            state.too_long = true;
        }
        drop(guard);
        if first {
            self.0.changed.notify_one();
        }
    }

    /// Whether the head that is being read is longer than it may be.
    #[must_use]
    pub(super) fn is_too_long(&self) -> bool {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).too_long
    }

    /// A head is complete; tells whether it states its length twice.
    #[must_use]
    pub(super) fn begin_request(&self) -> bool {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.head = None;
        self.0.changed.notify_one();
        std::mem::take(&mut state.ambiguous)
    }

    fn end_request(&self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = State { head: Some(Vec::new()), ..State::default() };
    }

    /// A body whose end lets the connection wait for the next head.
    #[must_use]
    pub(super) fn tracked<B>(&self, body: B) -> Tracked<B> {
        Tracked { body, _end: EndOfRequest(self.clone()) }
    }

    /// Ends when a head was begun and not completed within the limit.
    pub(super) async fn overdue(&self, limit: Duration) {
        loop {
            if !self.is_reading_head() {
                self.0.changed.notified().await;
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(limit) => {
                    if self.is_reading_head() {
                        return;
                    }
                }
                () = self.0.changed.notified() => {}
            }
        }
    }

    fn is_reading_head(&self) -> bool {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.head.as_ref().is_some_and(|head| !head.is_empty())
    }
}

/// Whether a head has two lengths, or a length and a transfer encoding.
fn states_length_twice(head: &[u8]) -> bool {
    let (mut lengths, mut encodings) = (0, 0);
    for line in head.split(|byte| *byte == b'\n').skip(1) {
        let name = line.split(|byte| *byte == b':').next().unwrap_or(line).trim_ascii();
        lengths += usize::from(name.eq_ignore_ascii_case(b"content-length"));
        encodings += usize::from(name.eq_ignore_ascii_case(b"transfer-encoding"));
    }
    lengths > 1 || encodings > 1 || (lengths > 0 && encodings > 0)
}

struct EndOfRequest(Activity);

impl Drop for EndOfRequest {
    fn drop(&mut self) {
        self.0.end_request();
    }
}

/// A body that tells when it is over.
pub(super) struct Tracked<B> {
    body: B,
    _end: EndOfRequest,
}

impl<B: Body + Unpin> Body for Tracked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose incoming bytes are looked at on their way.
pub(super) struct Wire<S> {
    stream: S,
    activity: Activity,
}

impl<S> Wire<S> {
    /// Looks at this stream.
    pub(super) const fn new(stream: S, activity: Activity) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(bytes) = buffer.filled().get(before..)
            && !bytes.is_empty()
        {
            self.activity.received(bytes);
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_statements_of_length_are_seen() {
        for (head, twice) in [
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3", false),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked", true),
            ("POST / HTTP/1.1\r\ncontent-length: 3\r\nCONTENT-LENGTH: 3", true),
            ("POST /?content-length:a HTTP/1.1\r\nContent-Length: 3", false),
        ] {
            assert_eq!(states_length_twice(head.as_bytes()), twice, "{head}");
        }
    }
}
