//! From merged layers to typed options, collecting every problem on the way.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use secrecy::SecretString;

use super::layers::{Given, Layers, Problem};

/// Reads typed values and remembers what was wrong.
pub(super) struct Reader<'a> {
    layers: &'a Layers,
    problems: Vec<Problem>,
    read: BTreeSet<&'static str>,
}

impl<'a> Reader<'a> {
    /// A reader of these layers; their problems come first.
    pub(super) fn new(layers: &'a Layers) -> Self {
        Self { layers, problems: layers.problems.clone(), read: BTreeSet::new() }
    }

    fn given(&mut self, key: &'static str) -> Option<&'a Given> {
        self.read.insert(key);
        self.layers.values.get(key).map(|sourced| &sourced.value)
    }

    /// Says that a value will not do, with its origin.
    pub(super) fn refuse(&mut self, key: &str, message: impl Into<String>) {
        if let Some(sourced) = self.layers.values.get(key) {
            let origin = sourced.origin.clone();
            self.problems.push(Problem { origin, message: message.into() });
        }
    }

    /// A text; empty when it is not set.
    pub(super) fn text(&mut self, key: &'static str) -> String {
        match self.given(key) {
            Some(Given::Text(text)) => text.clone(),
            _ => String::new(),
        }
    }

    /// A text that may be left out.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<String> {
        Some(self.text(key)).filter(|text| !text.is_empty())
    }

    /// A path that may be left out; `~/` is the home directory.
    pub(super) fn path(
        &mut self,
        key: &'static str,
        home: Option<&std::path::Path>,
    ) -> Option<PathBuf> {
        self.optional(key).map(|text| expand(&text, home))
    }

    /// A secret that may be left out.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<SecretString> {
        self.optional(key).map(SecretString::from)
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        matches!(self.given(key), Some(Given::Flag(true)))
    }

    /// Texts.
    pub(super) fn list(&mut self, key: &'static str) -> Vec<String> {
        match self.given(key) {
            Some(Given::List(items)) => items.clone(),
            _ => Vec::new(),
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<u32>) -> u32 {
        let given = match self.given(key) {
            Some(Given::Number(number)) => *number,
            _ => 0,
        };
        if let Some(number) = u32::try_from(given).ok().filter(|number| range.contains(number)) {
            return number;
        }
        let (least, most) = (range.start(), range.end());
        self.refuse(key, format!("`{key}` must be between {least} and {most}, not {given}"));
        *least
    }

    /// Seconds within bounds.
    pub(super) fn seconds(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
    ) -> std::time::Duration {
        std::time::Duration::from_secs(u64::from(self.number(key, range)))
    }

    /// One of several words.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        otherwise: T,
    ) -> T {
        let text = self.text(key);
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return *value;
        }
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.refuse(key, format!("`{key}` must be one of {}, not `{text}`", known.join(", ")));
        otherwise
    }

    /// Everything that was wrong, and the keys that were read.
    pub(super) fn finish(self) -> (Vec<Problem>, BTreeSet<&'static str>) {
        (self.problems, self.read)
    }
}

/// `~/x` in the home directory; everything else as it is.
pub(super) fn expand(text: &str, home: Option<&std::path::Path>) -> PathBuf {
    match (text.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}
