//! Lines of a stream of bytes that nobody vouches for.
//!
//! Invariant: what is held of a line is bounded, however long it is; every byte is told, in order, but for
//! those that are no text.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;

/// A line, or a piece of one that is too long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Without what ends it; what is no UTF-8 is replaced.
    pub(super) text: String,
    /// Whether the line ends here, with a line break.
    pub(super) is_whole: bool,
}

/// The lines of a stream.
pub(super) struct Lines<R> {
    stream: R,
    held: BytesMut,
    /// Bytes of what is held that have no line break in them.
    searched: usize,
    most_bytes: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most so many bytes; a longer one comes in pieces.
    pub(super) fn new(stream: R, most_bytes: usize) -> Self {
        Self { stream, held: BytesMut::new(), searched: 0, most_bytes }
    }

    /// The next line; `None` at the end. May be dropped at any time without losing anything.
    pub(super) async fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.take() {
                return Some(line);
            }
            self.held.reserve(CHUNK);
            match self.stream.read_buf(&mut self.held).await {
                Ok(count) if count > 0 => {}
                // A stream that breaks has said what it said.
                Ok(_) | Err(_) if self.held.is_empty() => return None,
                Ok(_) | Err(_) => {
                    self.searched = 0;
                    let rest = self.held.split();
                    return Some(Line { text: text(&rest), is_whole: false });
                }
            }
        }
    }

    /// A line of what is held.
    fn take(&mut self) -> Option<Line> {
        let end = self.held[self.searched..].iter().position(|byte| *byte == b'\n');
        if let Some(end) = end.map(|end| end + self.searched)
            && end <= self.most_bytes
        {
            self.searched = 0;
            let line = self.held.split_to(end + 1);
            let line = line[..end].strip_suffix(b"\r").unwrap_or(&line[..end]);
            return Some(Line { text: text(line), is_whole: true });
        }
        self.searched = self.held.len();
        if self.held.len() > self.most_bytes {
            self.searched = 0;
            let piece = self.held.split_to(boundary(&self.held, self.most_bytes));
            return Some(Line { text: text(&piece), is_whole: false });
        }
        None
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The last place up to here at which no letter is cut.
fn boundary(bytes: &[u8], most: usize) -> usize {
    let is_inside = |at: usize| bytes.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let back = (0..4).take_while(|back| most > *back && is_inside(most - back)).count();
    if back < 4 && most > back { most - back } else { most.max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(bytes: &[u8], most: usize) -> Vec<(String, bool)> {
        let mut lines = Lines::new(bytes, most);
        let mut all = Vec::new();
        while let Some(Line { text, is_whole }) = lines.next().await {
            all.push((text, is_whole));
        }
        all
    }

    fn whole(text: &str) -> (String, bool) {
        (text.to_owned(), true)
    }

    fn piece(text: &str) -> (String, bool) {
        (text.to_owned(), false)
    }

    #[tokio::test]
    async fn lines_come_as_they_are_and_the_last_one_needs_no_end() {
        let told = lines(b"one\r\n\ntw\xffo\nthree", 100).await;
        assert_eq!(told, [whole("one"), whole(""), whole("tw\u{fffd}o"), piece("three")]);
        assert_eq!(lines(b"", 100).await, []);
        assert_eq!(lines(b"one\n", 3).await, [whole("one")]);
    }

    #[tokio::test]
    async fn a_long_line_comes_in_pieces_between_letters() {
        let told = lines("aßßßb\nc\n".as_bytes(), 4).await;
        assert_eq!(told, [piece("aß"), piece("ßß"), whole("b"), whole("c")]);
        let emoji = "🙂🙂".as_bytes();
        assert_eq!(lines(emoji, 5).await, [piece("🙂"), piece("🙂")]);
        let bad = lines(&[0x80; 9], 4).await;
        assert_eq!(bad.iter().map(|(text, _)| text.chars().count()).sum::<usize>(), 9);
    }

    #[tokio::test]
    async fn what_is_held_is_bounded() {
        let endless = tokio::io::repeat(b'x');
        let mut lines = Lines::new(endless, 1000);
        for _ in 0..1000 {
            let line = lines.next().await.expect("more");
            assert!(line.text.len() <= 1000 && !line.is_whole);
            assert!(lines.held.len() <= 1000 + 2 * CHUNK, "{} bytes", lines.held.len());
        }
    }
}
