//! Text that comes in pieces: a secret that is cut between two of them is found all the same.
//!
//! Invariant: nothing is told before the word that it belongs to is complete, and nothing of a
//! private key before its end. What is held back is bounded.

use super::Redactor;
use super::rules::{KEY, KEY_BEGIN};

/// Bytes of a line that are held at most; a longer line is told in parts.
const MOST_BYTES: usize = 16 * 1024;
/// How the line begins that announces a private key, and many a harmless block as well.
const BEGIN: &str = "-----BEGIN ";
/// No line that a private key begins or ends with is longer.
const MOST_OF_HEADER: usize = 80;
/// Stands for the beginning of a key that is longer than what is held.
const LONG_KEY: &str = "-----BEGIN PRIVATE KEY-----";

/// Redacts one text piece by piece.
#[derive(Debug)]
pub struct StreamRedactor {
    redactor: Redactor,
    /// The line, or key, that is under way.
    held: String,
    /// Bytes of its redacted form that were told.
    told: usize,
}

impl StreamRedactor {
    /// At the beginning of a text.
    #[must_use]
    pub const fn new(redactor: Redactor) -> Self {
        Self { redactor, held: String::new(), told: 0 }
    }

    /// Takes a piece and gives what may be told by now.
    pub fn push(&mut self, piece: &str) -> String {
        self.held.push_str(piece);
        let cut = told_up_to(&self.held);
        let mut out = String::new();
        self.tell(cut, &mut out);
        if open_key(&self.held).is_some() {
            if self.held.len() > MOST_BYTES {
                self.tell(self.held.len(), &mut out);
                let last = floor(&self.held, self.held.len() - MOST_OF_HEADER);
                self.held = format!("{LONG_KEY}{}", &self.held[last..]);
                self.told = self.redactor.redact(&self.held).len();
            }
            return out;
        }
        let line = self.held[..cut].rfind('\n').map_or(0, |at| at + 1);
        let whole = key_around(&self.held, line)
            .map_or(line, |key| self.held[..key].rfind('\n').map_or(0, |at| at + 1));
        let done = if self.held.len() - whole > MOST_BYTES { cut } else { whole };
        if done > 0 {
            self.held.drain(..done);
            self.told = self.redactor.redact(&self.held[..cut - done]).len();
        }
        if self.held.len() > MOST_BYTES {
            // One word without an end: it is told as it is known by now, but for what may become a key.
            let known = header_under_way(&self.held).unwrap_or_else(|| before_begin(&self.held));
            self.tell(known, &mut out);
            self.held.drain(..known);
            self.told = 0;
        }
        out
    }

    /// What was held back, at the end of the text.
    #[must_use]
    pub fn finish(mut self) -> String {
        let mut out = String::new();
        self.tell(self.held.len(), &mut out);
        out
    }

    /// Tells the redacted form of what is held up to there, without what was told before.
    fn tell(&mut self, until: usize, out: &mut String) {
        let clean = self.redactor.redact(&self.held[..until]);
        // A later word may have made a shorter text of an earlier one.
        out.push_str(clean.get(self.told..).unwrap_or_default());
        self.told = self.told.max(clean.len());
    }
}

/// How much of a text is whole words; a private key is one, with what joins it.
fn told_up_to(text: &str) -> usize {
    let words = |text: &str| text.rfind([' ', '\t', '\n', '\r']).map_or(0, |at| at + 1);
    let cut = words(text);
    let key = open_key(text).or_else(|| header_under_way(text)).or_else(|| key_around(text, cut));
    key.map_or(cut, |key| cut.min(words(&text[..key])))
}

/// Where a private key begins that has not ended.
fn open_key(text: &str) -> Option<usize> {
    if !text.contains(BEGIN) {
        return None;
    }
    let ended = KEY.find_iter(text).last().map_or(0, |key| key.end());
    KEY_BEGIN.find(&text[ended..]).map(|line| ended + line.start())
}

/// Where a whole private key begins that a place lies in.
fn key_around(text: &str, place: usize) -> Option<usize> {
    if !text.contains(BEGIN) {
        return None;
    }
    let key = KEY.find_iter(text).find(|key| key.start() < place && place < key.end());
    key.map(|key| key.start())
}

/// Where a line begins, at the end of a text, that may come to announce a private key.
fn header_under_way(text: &str) -> Option<usize> {
    let begun = text.rfind(BEGIN)?;
    let ended = KEY.find_iter(text).last().map_or(0, |key| key.end());
    let rest = text[begun.max(ended)..].strip_prefix(BEGIN)?;
    let may_be =
        |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b" -".contains(&byte);
    (rest.len() <= MOST_OF_HEADER && rest.bytes().all(may_be)).then_some(begun)
}

/// Where the last bytes of a text begin, when they may become a `BEGIN`; its end otherwise.
fn before_begin(text: &str) -> usize {
    let begun = (1..BEGIN.len()).rev().find(|bytes| text.ends_with(&BEGIN[..*bytes]));
    text.len() - begun.unwrap_or(0)
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
