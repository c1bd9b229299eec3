//! What a handler left unread of a body.
//!
//! A connection that is closed while the body still comes takes the answer along, and one that is
//! kept would read the rest as the next head: so the rest is read and forgotten as far as that is
//! worth it, and beyond that the client is told that the connection ends.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// Most that is read of it.
const DISCARDED_BYTES: usize = 16 * 1024 * 1024;
/// Longest that this may take.
const DISCARDED_WITHIN: Duration = Duration::from_secs(5);

/// The body as the handler gets it, and what will be left of it once the handler is done.
pub(super) fn lend(body: Incoming) -> (Lent, Leftover) {
    let leftover = Leftover::default();
    (Lent { body: Some(body), leftover: leftover.clone() }, leftover)
}

/// What is left of a body, when its end was not reached.
#[derive(Clone, Default)]
pub(super) struct Leftover(Arc<Mutex<Option<Incoming>>>);

impl Leftover {
    /// Whether the body was given back before its end had come.
    pub(super) fn is_some(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Reads and forgets the rest; false when it did not end within the bounds, or would be sent
    /// only once it is asked for.
    pub(super) async fn discard(self, on_demand: bool) -> bool {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut body) = rest else { return true };
        if on_demand {
            return false;
        }
        let mut left = DISCARDED_BYTES;
        let end = async {
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return false };
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if left == 0 {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(DISCARDED_WITHIN, end).await.unwrap_or(false)
    }
}

/// A body that gives back what was not read of it.
pub(super) struct Lent {
    /// `None` once its end was reached.
    body: Option<Incoming>,
    leftover: Leftover,
}

impl Body for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let rest = self.body.take().filter(|body| !body.is_end_stream());
        *self.leftover.0.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }
}
