//! Looks for values in bytes, in the clear and in every spelling that is as good as that.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Read as _;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::plant::Canary;

/// How a compressed frame begins.
// Source: RFC 8878, section 3.1.1.
const ZSTD: [u8; 4] = 0xFD2F_B528_u32.to_le_bytes();
/// Most bytes that one is unpacked to.
const MOST_UNPACKED: u64 = 64 * 1024 * 1024;

/// Where values were found.
pub(super) struct Search {
    finder: AhoCorasick,
    /// For each pattern, what it is a spelling of.
    names: Vec<String>,
    /// How many of them belong to the word that has to be found.
    controls: usize,
    found: BTreeSet<String>,
    seen: BTreeSet<String>,
}

impl Search {
    pub(super) fn new(canaries: &[Canary], ordinary: &str) -> Self {
        let (mut patterns, mut names) = (Vec::new(), Vec::new());
        for spelling in spellings(ordinary) {
            patterns.push(spelling);
            names.push("ordinary".to_owned());
        }
        let controls = patterns.len();
        for canary in canaries {
            for spelling in spellings(&canary.value) {
                names.push(format!("{} ({})", canary.place, canary.value));
                patterns.push(spelling);
            }
        }
        let finder = AhoCorasick::new(&patterns).expect("a few thousand words");
        Self { finder, names, controls, found: BTreeSet::new(), seen: BTreeSet::new() }
    }

    pub(super) fn look_in(&mut self, place: &str, bytes: &[u8]) {
        for hit in self.finder.find_overlapping_iter(bytes) {
            let index = hit.pattern().as_usize();
            if index < self.controls {
                self.seen.insert(place.to_owned());
            } else {
                let start = hit.start().saturating_sub(60);
                let end = (hit.end() + 20).min(bytes.len());
                let around = String::from_utf8_lossy(&bytes[start..end]);
                self.found.insert(format!("{} stands in {place}: {around:?}", self.names[index]));
            }
        }
    }

    /// Looks in a file, and in everything that lies compressed in it; the places with something in them.
    pub(super) fn look_deep(&mut self, place: &str, bytes: &[u8]) -> Vec<String> {
        self.look_in(place, bytes);
        let inside = format!("{place}, unpacked");
        let mut places = vec![place.to_owned()];
        let begins = |at: &usize| bytes[*at..].starts_with(&ZSTD);
        for at in (0..bytes.len()).filter(begins) {
            // What only looks like the beginning of a frame is not one.
            let Ok(decoder) = zstd::Decoder::new(&bytes[at..]) else { continue };
            let mut unpacked = Vec::new();
            if decoder.single_frame().take(MOST_UNPACKED).read_to_end(&mut unpacked).is_ok() {
                self.look_in(&inside, &unpacked);
                places.push(inside.clone());
            }
        }
        places.dedup();
        places
    }

    /// Every secret that was found, with its place.
    pub(super) fn found(&self) -> Vec<&str> {
        self.found.iter().map(String::as_str).collect()
    }

    /// Where the ordinary word was found.
    pub(super) fn controls(&self) -> BTreeSet<String> {
        self.seen.clone()
    }
}

/// A value in the clear, in JSON, in hexadecimal digits, in a URL, and in base64 wherever it begins.
fn spellings(value: &str) -> BTreeSet<Vec<u8>> {
    let json = serde_json::to_string(value).expect("JSON");
    let mut all = BTreeSet::from([value.to_owned(), json.trim_matches('"').to_owned()]);
    let digits = hex(value);
    all.insert(digits.to_ascii_uppercase());
    all.insert(digits);
    all.insert(url::form_urlencoded::byte_serialize(value.as_bytes()).collect());
    for before in 0..3 {
        let text = format!("{}{value}", "\0".repeat(before));
        let whole = STANDARD_NO_PAD.encode(&text);
        // What depends on the neighbours is left out at both ends.
        let (start, end) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
        all.insert(whole[start..end].to_owned());
    }
    all.into_iter().map(String::into_bytes).collect()
}

fn hex(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("written");
        text
    })
}

#[test]
fn a_value_is_found_in_every_spelling() {
    let canary = Canary::known("here", "s3cr3t/\"value\"+0123456789");
    let hidden = [
        format!("x{}y", canary.value),
        serde_json::to_string(&format!("a {} b", canary.value)).expect("JSON"),
        STANDARD_NO_PAD.encode(format!("Basic {}!", canary.value)),
        STANDARD_NO_PAD.encode(format!("Basics {}", canary.value)),
        STANDARD_NO_PAD.encode(format!("Basically {}", canary.value)),
        hex(&canary.value),
        url::form_urlencoded::byte_serialize(canary.value.as_bytes()).collect(),
    ];
    for text in hidden {
        let mut search = Search::new(std::slice::from_ref(&canary), "ordinary");
        search.look_in("there", text.as_bytes());
        assert!(!search.found().is_empty(), "{text}");
    }
    let mut search = Search::new(std::slice::from_ref(&canary), "ordinary");
    search.look_in("there", b"quite ordinary");
    assert!(search.found().is_empty() && search.controls().contains("there"));
}

#[test]
fn a_value_is_found_in_what_lies_compressed_in_a_file() {
    let canary = Canary::known("here", "s3cr3t-value-0123456789");
    let words = "ordinary words, ".repeat(50);
    let packed = zstd::bulk::compress(format!("{words}{}", canary.value).as_bytes(), 3);
    let file = [&[0, 1, 2][..], &ZSTD, &[9; 20], &packed.expect("packed"), &[7; 9]].concat();
    let mut search = Search::new(std::slice::from_ref(&canary), "ordinary");
    let places = search.look_deep("there", &file);
    assert_eq!(places, ["there", "there, unpacked"]);
    let found = search.found();
    assert!(found.iter().any(|hit| hit.contains("unpacked")), "{found:?}");
    assert!(search.controls().contains("there, unpacked"));
}
