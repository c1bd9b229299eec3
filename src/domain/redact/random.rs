//! Bare tokens: long words that look as if chance had made them, with nothing beside them that says what
//! they are.
//!
//! Invariant: what people and programs name things with is none: paths, UUIDs, hashes, identifiers, words
//! in base64.

use std::ops::Range;

use super::assigned::entropy;
use super::spellings::from_base64;

/// Shorter words are too often something else.
const LEAST: usize = 32;
/// Longer ones are files, not credentials; they would be read for nothing.
const MOST: usize = 512;
/// Bits of each character, by how often it occurs in the word.
const LEAST_BITS: f64 = 4.2;
/// Of a hundred letters so many at most stand in runs that look like parts of words.
const MOST_WORDED: usize = 40;

/// Adds the bare tokens of a text.
pub(super) fn bare_tokens(text: &str, mut add: impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| is_part(**byte)).count();
        if length >= LEAST && is_token(text, at..at + length) {
            add(at..at + length);
        }
        at += length.max(1);
    }
}

const fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-' | b'~')
}

fn is_token(text: &str, range: Range<usize>) -> bool {
    let (before, word) = (&text[..range.start], &text[range]);
    word.len() <= MOST
        && !is_named(before, word)
        && has_three_kinds(word)
        && entropy(word) >= LEAST_BITS
        && !is_worded(word)
        && !is_words(word)
}

/// Paths, addresses, and hashes with the name of their function before them.
fn is_named(before: &str, word: &str) -> bool {
    const HASHES: [&str; 5] = ["sha1-", "sha224-", "sha256-", "sha384-", "sha512-"];
    word.starts_with(['/', '~'])
        || word.contains("//")
        || before.ends_with("SHA256:")
        || HASHES.iter().any(|hash| word.starts_with(hash))
        || word.contains('/') && word.split('/').any(is_plain)
}

/// A part of a path that somebody named.
fn is_plain(part: &str) -> bool {
    part.len() >= 3 && part.bytes().all(|byte| byte.is_ascii_lowercase() || b"-_".contains(&byte))
}

fn has_three_kinds(word: &str) -> bool {
    let kinds: [fn(&u8) -> bool; 3] =
        [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit];
    kinds.iter().all(|kind| word.bytes().any(|byte| kind(&byte)))
}

/// Words put together: many letters stand in runs of three small ones, or four capital ones. In a random
/// word few do.
fn is_worded(word: &str) -> bool {
    let in_runs = |kind: fn(&u8) -> bool, least: usize| {
        let runs = word.as_bytes().split(|byte| !kind(byte)).map(<[u8]>::len);
        runs.filter(|length| *length >= least).sum::<usize>() * 100 / word.len()
    };
    in_runs(u8::is_ascii_lowercase, 3) > MOST_WORDED
        || in_runs(u8::is_ascii_uppercase, 4) > MOST_WORDED
}

/// Whether it is base64 of a text that people can read.
fn is_words(word: &str) -> bool {
    let is_readable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    from_base64(word).is_some_and(|bytes| {
        let readable = bytes.iter().filter(|byte| is_readable(byte)).count();
        readable * 20 >= bytes.len() * 19
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        bare_tokens(text, |range| found.push(&text[range]));
        found
    }

    #[test]
    fn long_random_words_are_tokens_wherever_they_stand() {
        for token in [
            "Zq7Xw3Lr9Tn5Kb1Vd8Hs4Pm6Yc2Jf0Ga",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzR3q9Lk2Vt8",
            "T3BlbkFJx9Qw2LmVb7Zr4Yk8Hd1Nc6Ps0Ut5Ea_Gf-Ji",
        ] {
            assert_eq!(found(&format!("use {token}, please")), [token]);
            assert_eq!(found(&format!("{{\"x\":\"a\\t{token}==\"}} y={token}"))[1..], [token]);
        }
    }

    #[test]
    fn names_of_things_are_none() {
        for name in [
            "0198c5d2-90aa-7c55-8c1d-6d2a54c6e9b3",
            "9f2c1a53b1d7f0a9d3b8b4a0f6b1c7d2e5a4938271605f4e3d2c1b0a99887766",
            "9F2C1A53B1D7F0A9D3B8B4A0F6B1C7D2E5A4938271605F4E3D2C1B0A99887766",
            "/home/somebody/.cache/Zq7Xw3Lr9Tn5Kb1Vd8Hs4Pm6Yc2Jf0Ga",
            "src/domain/session/aVeryLongModuleName2/withAnotherOne3/mod",
            "https://example.com/Zq7Xw3Lr9Tn5Kb1Vd8Hs4Pm6Yc2Jf0Ga",
            "sha512-Zq7Xw3Lr9Tn5Kb1Vd8Hs4Pm6Yc2Jf0GaZq7Xw3Lr9Tn5Kb1Vd8==",
            "SHA256:Zq7Xw3Lr9Tn5Kb1Vd8Hs4Pm6Yc2Jf0GaXw3Lr9Tn5Kb",
            "SessionIsRestoredFromTheNewestCheckpoint2AndGoesOn",
            "a_session_that_is_stopped_while_its_agent_starts_2",
            "orchestrator/IND-000042-mend-the-Calculator-of-2026",
            // "the quick brown fox jumps over the lazy dog"
            "dGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZw==",
            "ORCHESTRATOR__SERVER__REQUESTS_PER_SECOND_2x",
            "01JCQZ8K3V5T7X9B2D4F6H8J0M01JCQZ8K3V5T7X9B",
        ] {
            assert_eq!(found(&format!("see {name} there")), [""; 0], "{name}");
        }
    }
}
