//! What a connection does, seen from below: when a head begins and ends, whether it states the length
//! of its body twice, and whether anybody takes what is sent.
//!
//! The HTTP library drops `Content-Length` when a request also says `Transfer-Encoding`, so that the
//! conflict can be seen only in the bytes themselves.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Sleep;

/// What a connection does at the moment.
#[derive(Clone)]
pub(super) struct Activity(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    changed: Notify,
    limit: usize,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct State {
    /// Bytes of a head that is not complete; `None` while a request is answered.
    head: Option<Vec<u8>>,
    /// The head is complete; what follows is its body.
    complete: bool,
    /// The head that was completed last states its length twice.
    ambiguous: bool,
    /// The head is longer than it may be.
    too_long: bool,
    /// Nothing has been asked yet: the time of the first head runs from the beginning.
    is_new: bool,
}

impl Activity {
    /// A connection that waits for its first request; heads up to this size are looked at.
    #[must_use]
    pub(super) fn new(limit: usize) -> Self {
        let state = State { head: Some(Vec::new()), is_new: true, ..State::default() };
        Self(Arc::new(Inner { state: Mutex::new(state), changed: Notify::new(), limit }))
    }

    fn received(&self, bytes: &[u8]) {
        let mut guard = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        let Some(head) = state.head.as_mut().filter(|_| !state.complete) else { return };
        let first = head.is_empty();
        // Empty lines before a head are passed over by the HTTP library too.
        let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let bytes = if first { &bytes[blank..] } else { bytes };
        // The end may lie across two reads: three bytes of the earlier one are looked at again.
        let scanned = head.len().saturating_sub(3);
        let room = self.0.limit.saturating_sub(head.len());
        head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if let Some(end) = end_of_head(&head[scanned..]) {
            state.complete = true;
            let ends_lone = head.get(scanned + end + 1) == Some(&b'\n');
            state.ambiguous = ends_lone || is_ambiguous(&head[..scanned + end]);
        } else if head.len() >= self.0.limit {
            state.too_long = true;
        }
        let begins = first && !head.is_empty() && !state.is_new;
        drop(guard);
        if begins {
            self.0.changed.notify_one();
        }
    }

    /// Whether the head that is being read is longer than it may be.
    #[must_use]
    pub(super) fn is_too_long(&self) -> bool {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner).too_long
    }

    /// A head is complete; tells what its bytes said.
    #[must_use]
    pub(super) fn begin_request(&self) -> HeadSeen {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.head = None;
        state.is_new = false;
        self.0.changed.notify_one();
        if std::mem::take(&mut state.ambiguous) {
            HeadSeen::Ambiguous
        } else if state.complete {
            HeadSeen::Clear
        } else {
            HeadSeen::No
        }
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

    /// Ends when a head was begun and not completed within the limit, or the first did not come.
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
        state.head.as_ref().is_some_and(|head| state.is_new || !head.is_empty())
    }
}

/// What was seen of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadSeen {
    /// It states its length once, or not at all.
    Clear,
    /// It can be read in more than one way.
    Ambiguous,
    /// It came together with an earlier request.
    No,
}

/// Where a head ends, by whichever line ends the HTTP library takes.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let lone = bytes.windows(2).position(|window| window == b"\n\n");
    let usual = bytes.windows(3).position(|window| window == b"\n\r\n");
    [lone, usual].into_iter().flatten().min()
}

/// Whether a head has two lengths, or a length and a transfer encoding, or lines that some take for
/// one and others for two.
fn is_ambiguous(head: &[u8]) -> bool {
    let (mut lengths, mut encodings, mut lone) = (0, 0, 0);
    for (index, line) in head.split(|byte| *byte == b'\n').enumerate() {
        lone += usize::from(!line.ends_with(b"\r"));
        if index == 0 {
            continue;
        }
        let name = line.split(|byte| *byte == b':').next().unwrap_or(line).trim_ascii();
        lengths += usize::from(name.eq_ignore_ascii_case(b"content-length"));
        encodings += usize::from(name.eq_ignore_ascii_case(b"transfer-encoding"));
    }
    lengths > 1 || encodings > 1 || (lengths > 0 && encodings > 0) || lone > 0
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

/// A stream whose incoming bytes are looked at on their way, and which is given up when the other side
/// takes nothing of the outgoing ones.
pub(super) struct Wire<S> {
    stream: S,
    activity: Activity,
    /// Longest time without progress in sending.
    patience: Duration,
    /// Runs while something waits to be sent.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Wire<S> {
    /// Looks at this stream.
    pub(super) const fn new(stream: S, activity: Activity, patience: Duration) -> Self {
        Self { stream, activity, patience, stalled: None }
    }

    fn bounded<T>(
        &mut self,
        context: &mut Context<'_>,
        sent: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if sent.is_ready() {
            self.stalled = None;
            return sent;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        self.stalled = None;
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
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
        let sent = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bounded(context, sent)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = Pin::new(&mut self.stream).poll_flush(context);
        self.bounded(context, sent)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = Pin::new(&mut self.stream).poll_shutdown(context);
        self.bounded(context, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.bounded(context, sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_side_that_takes_nothing_is_given_up_and_a_slow_one_is_not() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        let (near, mut far) = tokio::io::duplex(8);
        let patience = Duration::from_mins(1);
        let mut wire = Wire::new(near, Activity::new(64), patience);
        let began = tokio::time::Instant::now();
        let slow = async {
            let mut taken = [0; 8];
            for _ in 0..4 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                far.read_exact(&mut taken).await.expect("something was sent");
            }
        };
        let (sent, ()) = tokio::join!(wire.write_all(&[7; 40]), slow);
        sent.expect("progress is enough");
        assert_eq!(began.elapsed().as_secs(), 200);
        let error = wire.write_all(&[7; 40]).await.expect_err("nobody takes it");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 260));
    }

    #[test]
    fn two_statements_of_length_and_lone_line_feeds_are_seen() {
        for (head, twice) in [
            ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", true),
            ("POST / HTTP/1.1\r\ncontent-length: 3\r\nCONTENT-LENGTH: 3\r\n\r\n", true),
            ("POST /?content-length:a HTTP/1.1\r\nContent-Length: 3\r\n\r\n", false),
            ("POST / HTTP/1.1\r\nHost: x\nContent-Length: 3\r\n\r\n", true),
            ("POST / HTTP/1.1\nHost: x\n\n", true),
            ("POST / HTTP/1.1\r\nHost: x\r\n\n", true),
            ("\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", true),
        ] {
            let expected = if twice { HeadSeen::Ambiguous } else { HeadSeen::Clear };
            let whole = Activity::new(1024);
            whole.received(head.as_bytes());
            assert_eq!(whole.begin_request(), expected, "{head}");
            let dripping = Activity::new(1024);
            head.as_bytes().iter().for_each(|byte| dripping.received(&[*byte]));
            assert_eq!(dripping.begin_request(), expected, "{head}, byte by byte");
        }
        assert_eq!(Activity::new(1024).begin_request(), HeadSeen::No);
    }
}
