//! Finds secrets in text and puts a visible marker in their place.
//!
//! Three ways of knowing them: their shape (`rules`), the name that a value is given to (`assigned`),
//! and the very values that the server knows, in whatever spelling (`Redactor::learn`). A strict one
//! also takes long words that look random (`random`): for what the server says, not for what people
//! write, since such a word may be what the work is about.
//!
//! Invariant: the time is linear in the text, whatever the text is; nothing is allocated when nothing is
//! found. Redacting twice is redacting once.

mod assigned;
mod random;
mod rules;
mod spellings;
mod stream;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use aho_corasick::{AhoCorasick, MatchKind};
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use self::rules::{ADDRESS, ASSIGNED, EMAIL, RULES};
pub use self::stream::StreamRedactor;
use crate::closed_enum;

closed_enum!(
    /// What kind of secret stood somewhere.
    Kind {
        PrivateKey = "private_key",
        OrchestratorKey = "orchestrator_key",
        WebhookSecret = "webhook_secret",
        Jwt = "jwt",
        BearerToken = "bearer_token",
        Cookie = "cookie",
        CloudKey = "cloud_key",
        ApiKey = "api_key",
        /// The value of something that is called a password, or a password in an address.
        Password = "password",
        /// The value of something that is called a secret, a token or a key.
        Secret = "secret",
        Email = "email",
        /// A pattern of the settings.
        Configured = "configured",
        /// A value that the server knows to be secret.
        Known = "known",
        /// A long random word that nothing says what it is for.
        Random = "random",
    }
);

/// How every marker begins.
const MARKER: &str = "[REDACTED:";

/// Whether a secret stood in a text that was redacted.
#[must_use]
pub fn is_marked(text: &str) -> bool {
    text.contains(MARKER)
}

/// Shorter values are not learned: they would be found in ordinary words.
const LEAST_KNOWN: usize = 8;
/// Values that are learned at most; a server knows a few dozen.
const MOST_KNOWN: usize = 4096;
/// Of so many of them the other spellings are learned, too: what finds them grows by eight for each.
const MOST_SPELLED: usize = 512;
/// Memory for one pattern of the settings.
const PATTERN_BYTES: usize = 1024 * 1024;
/// Rounds in which what a marker made visible is looked for.
const ROUNDS: usize = 4;

/// How many of each kind were found.
pub type Counts = BTreeMap<Kind, u64>;

/// Finds secrets and replaces them; cheap to clone, and what one clone learns all know.
#[derive(Clone)]
pub struct Redactor {
    inner: Arc<Inner>,
    is_strict: bool,
}

struct Inner {
    emails: Option<Regex>,
    configured: Vec<Regex>,
    known: RwLock<Known>,
}

/// Values that are secret whatever they look like.
#[derive(Default)]
struct Known {
    values: BTreeSet<String>,
    /// In hexadecimal digits and base64.
    spelled: BTreeSet<String>,
    finder: Option<AhoCorasick>,
}

impl Default for Redactor {
    fn default() -> Self {
        Self::over(Inner { emails: None, configured: Vec::new(), known: RwLock::default() })
    }
}

/// Neither patterns nor values are shown.
impl fmt::Debug for Redactor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Redactor")
    }
}

impl Redactor {
    fn over(inner: Inner) -> Self {
        Self { inner: Arc::new(inner), is_strict: false }
    }

    /// The same, which also takes long words that look random.
    #[must_use]
    pub fn strict(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), is_strict: true }
    }

    /// A redactor that also finds e-mail addresses, if wanted, and these patterns.
    ///
    /// # Errors
    /// The first pattern that cannot be used, and why.
    pub fn new(emails: bool, patterns: &[String]) -> Result<Self, (String, String)> {
        let address = r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}";
        let compile = |pattern: &String| {
            let built = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build();
            built.map_err(|error| (pattern.clone(), error.to_string()))
        };
        let configured: Result<Vec<Regex>, _> = patterns.iter().map(compile).collect();
        let emails = if emails { Some(compile(&address.to_owned())?) } else { None };
        Ok(Self::over(Inner { emails, configured: configured?, known: RwLock::default() }))
    }

    /// From now on these values are secret, also in hexadecimal digits and inside base64. Short ones,
    /// which ordinary words may contain, are left out.
    pub fn learn<S: AsRef<str>>(&self, values: impl IntoIterator<Item = S>) {
        let mut known = self.inner.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.values.len();
        for value in values {
            let value = value.as_ref().trim();
            if value.len() >= LEAST_KNOWN
                && known.values.len() < MOST_KNOWN
                && known.values.insert(value.to_owned())
                && known.values.len() <= MOST_SPELLED
            {
                known.spelled.extend(spellings::of(value));
            }
        }
        if known.values.len() > before {
            let mut builder = AhoCorasick::builder();
            builder.match_kind(MatchKind::LeftmostLongest);
            known.finder = builder.build(known.values.iter().chain(&known.spelled)).ok();
        }
    }

    /// The text with a marker in the place of each secret.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redact_counted(text, &mut Counts::new())
    }

    /// The same, adding what was found to the counts.
    #[must_use]
    pub fn redact_counted<'a>(&self, text: &'a str, counts: &mut Counts) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(text);
        for _ in 0..ROUNDS {
            let found = self.find(&clean);
            if found.is_empty() {
                break;
            }
            for (_, kind) in &found {
                *counts.entry(*kind).or_default() += 1;
            }
            clean = Cow::Owned(replaced(&clean, &found));
        }
        clean
    }

    /// Redacts a text where it stands.
    pub fn clean(&self, text: &mut String) {
        if let Cow::Owned(clean) = self.redact(text) {
            *text = clean;
        }
    }

    /// Redacts every text of a value: names of members, texts, and what a member called `password` or
    /// the like holds.
    pub fn clean_json(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.clean(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.clean_json(item)),
            Value::Object(map) => self.clean_map(map),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The same for an object.
    pub fn clean_map(&self, map: &mut Map<String, Value>) {
        for (name, value) in map.iter_mut() {
            let kind = assigned::is_secret_name(name);
            match (kind, &mut *value) {
                (Some(kind), Value::String(text)) if assigned::is_secret_value(kind, text) => {
                    *text = format!("{MARKER}{kind}]");
                }
                _ => self.clean_json(value),
            }
        }
        if map.keys().any(|name| matches!(self.redact(name), Cow::Owned(_))) {
            let entries = std::mem::take(map).into_iter();
            *map = entries.map(|(name, value)| (self.redact(&name).into_owned(), value)).collect();
        }
    }

    /// Where secrets stand: in order, apart from each other.
    fn find(&self, text: &str) -> Vec<(Range<usize>, Kind)> {
        let mut found = Vec::new();
        let rules = &*RULES;
        let seen = rules.look(text);
        for (index, rule) in rules.table.iter().enumerate() {
            if seen & (1 << index) == 0 {
                continue;
            }
            if rule.has_part {
                let parts = rule.shape.captures_iter(text).filter_map(|found| found.name("v"));
                found.extend(fitting(rule.kind, rule.fits, parts));
            } else {
                found.extend(fitting(rule.kind, rule.fits, rule.shape.find_iter(text)));
            }
        }
        if seen & ADDRESS != 0 && seen & EMAIL != 0 {
            assigned::in_addresses(text, &mut found);
        }
        if seen & ASSIGNED != 0 {
            assigned::assigned(text, &mut found);
        }
        if seen & EMAIL != 0
            && let Some(emails) = &self.inner.emails
        {
            found.extend(emails.find_iter(text).map(|one| (one.range(), Kind::Email)));
        }
        for pattern in &self.inner.configured {
            let matches = pattern.find_iter(text).filter(|one| !one.is_empty());
            let matches = matches.filter(|one| !one.as_str().starts_with(MARKER));
            found.extend(matches.map(|one| (one.range(), Kind::Configured)));
        }
        if self.is_strict {
            random::bare_tokens(text, |range| found.push((range, Kind::Random)));
        }
        let known = self.inner.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(finder) = &known.finder {
            found.extend(finder.find_iter(text).map(|one| (one.range(), Kind::Known)));
        }
        drop(known);
        if found.is_empty() { found } else { apart(text, found) }
    }
}

/// What looks like a secret and is one.
fn fitting<'t>(
    kind: Kind,
    fits: fn(&str) -> bool,
    matches: impl Iterator<Item = regex::Match<'t>>,
) -> impl Iterator<Item = (Range<usize>, Kind)> {
    let fitting = matches.filter(move |one| fits(one.as_str()));
    fitting.map(move |one| (one.range(), kind))
}

/// In order, what overlaps or touches as one; each to the end of its last word, so that nothing of a
/// secret is left behind its marker and no marker begins a word.
fn apart(text: &str, mut found: Vec<(Range<usize>, Kind)>) -> Vec<(Range<usize>, Kind)> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    for (range, _) in &mut found {
        let rest = text.as_bytes()[range.end..].iter();
        range.end += rest.take_while(|byte| is_word(byte)).count();
    }
    found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut whole: Vec<(Range<usize>, Kind)> = Vec::with_capacity(found.len());
    for (range, kind) in found {
        match whole.last_mut() {
            Some((last, _)) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => whole.push((range, kind)),
        }
    }
    whole
}

fn replaced(text: &str, found: &[(Range<usize>, Kind)]) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut at = 0;
    for (range, kind) in found {
        clean.push_str(&text[at..range.start]);
        clean.push_str(MARKER);
        clean.push_str(kind.as_str());
        clean.push(']');
        at = range.end;
    }
    clean.push_str(&text[at..]);
    clean
}

#[cfg(test)]
mod tests;
