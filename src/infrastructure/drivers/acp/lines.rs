//! The lines of an agent, each of a bounded length.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest line; the output of a tool comes as one.
pub(super) const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;
/// What is read at once.
const CHUNK_BYTES: u32 = 64 * 1024;

/// Why there is no further line.
#[derive(Debug)]
pub(super) enum Broken {
    /// A line is longer than a line may be.
    TooLong,
    Unreadable(io::Error),
}

/// Reads lines.
pub(super) struct Lines<R> {
    reader: R,
    buffer: BytesMut,
    /// Bytes of the buffer in which there is no end of a line.
    scanned: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, buffer: BytesMut::new(), scanned: 0 }
    }

    /// The next line that is not empty; `None` at the end. May be dropped at any time without losing
    /// anything.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        loop {
            if let Some(line) = self.take() {
                return Ok(Some(line));
            }
            if self.buffer.len() > MAX_LINE_BYTES {
                return Err(Broken::TooLong);
            }
            self.buffer.reserve(CHUNK_BYTES as usize);
            let mut chunk = (&mut self.reader).take(u64::from(CHUNK_BYTES));
            let read = chunk.read_buf(&mut self.buffer).await;
            if read.map_err(Broken::Unreadable)? == 0 {
                self.scanned = 0;
                let rest = self.buffer.split().freeze();
                return Ok((!rest.trim_ascii().is_empty()).then_some(rest));
            }
        }
    }

    fn take(&mut self) -> Option<Bytes> {
        while let Some(found) = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n') {
            let line = self.buffer.split_to(self.scanned + found + 1).freeze();
            self.scanned = 0;
            if !line.trim_ascii().is_empty() {
                return Some(line);
            }
        }
        self.scanned = self.buffer.len();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_one_by_one_and_the_last_needs_no_end() {
        let mut lines = Lines::new(&b"one\n\n  \r\ntwo\nthree"[..]);
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.expect("readable") {
            found.push(String::from_utf8_lossy(&line).trim().to_owned());
        }
        assert_eq!(found, ["one", "two", "three"]);
    }

    #[tokio::test]
    async fn an_endless_line_is_not_waited_for() {
        let mut lines = Lines::new(tokio::io::repeat(b'x'));
        assert!(matches!(lines.next().await, Err(Broken::TooLong)));
        assert!(lines.buffer.len() <= MAX_LINE_BYTES + CHUNK_BYTES as usize);
    }
}
