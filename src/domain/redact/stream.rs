//! Text that comes in pieces: a secret that is cut between two of them is found all the same.
//!
//! Invariant: nothing is told before the word that it belongs to is complete, and nothing of a
//! private key before its end. What is held back is bounded.

use super::Redactor;

/// Bytes of a line that are held at most; a longer line is told in parts.
const MOST_BYTES: usize = 16 * 1024;
/// How a private key begins, and ends, for as long as it is under way.
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
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
        let cut = self.held.rfind([' ', '\t', '\n', '\r']).map_or(0, |at| at + 1);
        let mut out = String::new();
        self.tell(cut, &mut out);
        if is_key_open(&self.held) {
            if self.held.len() > MOST_BYTES {
                let last = floor(&self.held, self.held.len() - LONG_KEY.len());
                self.held = format!("{LONG_KEY}{}", &self.held[last..]);
                self.told = self.redactor.redact(&self.held).len();
            }
            return out;
        }
        let whole = self.held[..cut].rfind('\n').map_or(0, |at| at + 1);
        let done = if self.held.len() - whole > MOST_BYTES { cut } else { whole };
        if done > 0 {
            self.held.drain(..done);
            self.told = self.redactor.redact(&self.held[..cut - done]).len();
        }
        if self.held.len() > MOST_BYTES {
            // One word without an end: it is told as it is known by now.
            self.tell(self.held.len(), &mut out);
            self.held.clear();
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

/// Whether a block has begun that has not ended.
fn is_key_open(text: &str) -> bool {
    let begun = text.rfind(BEGIN);
    begun.is_some_and(|begun| {
        text[begun..].find(END).is_none_or(|end| !text[begun + end..].contains('\n'))
            && text[begun..].len() > BEGIN.len()
            && text[begun..].lines().next().is_some_and(|line| line.contains("PRIVATE KEY"))
    })
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
