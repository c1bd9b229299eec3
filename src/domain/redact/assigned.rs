//! Values that are given to a name which says that they are secret: `password = …`, `"token": "…"`,
//! `API_KEY=…`, and passwords in addresses.
//!
//! Invariant: code that handles secrets is not a secret: types, calls, variables and placeholders stay.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::{Kind, MARKER};

/// A bare value of more bytes is not searched for further names.
const LONGEST_READ_AGAIN: usize = 256;

/// A name that ends in a telling word, what gives it a value, and the value: in double quotes, in
/// single ones, in quotes that are escaped, or bare.
static ASSIGNMENT: LazyLock<Regex> = LazyLock::new(|| {
    let text = concat!(
        r"(?i)(?P<n>password|passwd|passphrase|passcode|pwd|[_-]pass|secret|token|credentials?|key)",
        r#"(?P<e>(?:[_-]?v?[0-9]{1,2}|_base)?(?:\\?["']\]?)?)"#,
        r"(?P<s>[ \t]{0,4}(?::=|=>|={1,2}|:)[ \t]{0,4})",
        r#"(?:"(?P<a>(?:[^"\\\r\n]|\\.){3,})|'(?P<b>(?:[^'\\\r\n]|\\.){3,})|\\"(?P<c>[^"\\\r\n]{3,})"#,
        r#"|(?P<d>[^\s"'`,;(){}<>&|\\]{3,}))"#,
    );
    Regex::new(text).expect("the shape of assignments is valid")
});

/// Who is named before a host, up to the last `@` of the authority.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    let text = r#"(?i)[a-z][a-z0-9+.-]{0,30}://(?P<u>[^\s/?#"'<>\\]+)@"#;
    Regex::new(text).expect("the shape of addresses is valid")
});

/// Adds the values of names that say so.
pub(super) fn assigned(text: &str, found: &mut Vec<(Range<usize>, Kind)>) {
    let mut at = 0;
    while let Some(captures) = ASSIGNMENT.captures_at(text, at) {
        let Some(whole) = captures.get(0) else { break };
        let Some(value) = ["a", "b", "c", "d"].iter().find_map(|name| captures.name(name)) else {
            break;
        };
        // What looks like a value may be the next name: `token: password = …`. A long bare value
        // is passed over, so that the time stays linear.
        let is_passed = captures.name("d").is_some() && value.len() > LONGEST_READ_AGAIN;
        at = if is_passed { value.end() } else { value.start().max(whole.start() + 1) };
        if let Some(kind) = judge(text, &captures, value.range()) {
            found.push((value.range(), kind));
            at = value.end();
        }
    }
}

/// Adds passwords, and tokens that stand for a user, in addresses.
pub(super) fn in_addresses(text: &str, found: &mut Vec<(Range<usize>, Kind)>) {
    for captures in ADDRESS.captures_iter(text) {
        let Some(user) = captures.name("u") else { continue };
        let (start, end) = (user.start(), user.end());
        match user.as_str().split_once(':') {
            Some((name, password)) if !is_placeholder(password) => {
                found.push((start + name.len() + 1..end, Kind::Password));
            }
            None if user.len() >= 16 && is_random(user.as_str()) => {
                found.push((start..end, Kind::Password));
            }
            Some(_) | None => {}
        }
    }
}

fn judge(text: &str, captures: &Captures<'_>, value: Range<usize>) -> Option<Kind> {
    let name = captures.name("n")?;
    let full = full_name(text, name.range());
    let word = name.as_str().to_ascii_lowercase();
    let is_quoted = captures.name("d").is_none();
    let next = text[value.end..].bytes().next();
    let value = &text[value];
    if is_placeholder(value) || names_something_else(&full) {
        return None;
    }
    if !is_quoted && (is_code(value) || matches!(next, Some(b'(' | b'<' | b'{'))) {
        return None;
    }
    let is_tight = captures.name("s")?.as_str() == "=";
    match word.as_str() {
        "secret" | "credential" | "credentials" => {
            is_secret(value, is_quoted).then_some(Kind::Secret)
        }
        "token" => is_token(value).then_some(Kind::Secret),
        "key" if is_secret_key(&full) => is_token(value).then_some(Kind::Secret),
        "key" => is_unknown_key(value).then_some(Kind::Secret),
        _ if is_quoted => (!says_password(value)).then_some(Kind::Password),
        _ => is_bare_password(value, &full, is_tight).then_some(Kind::Password),
    }
}

/// The name with what stands before its last word, in small letters.
fn full_name(text: &str, word: Range<usize>) -> String {
    const LONGEST: usize = 64;
    let before = text.as_bytes()[..word.start].iter().rev().take(LONGEST);
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let length = before.take_while(is_part).count();
    text[word.start - length..word.end].to_owned()
}

/// Public keys, and what is derived from secrets so that it may be shown.
fn names_something_else(full: &str) -> bool {
    let full = full.to_ascii_lowercase();
    ["public", "fingerprint", "idempotency", "fencing", "cache", "primary", "foreign", "sort"]
        .iter()
        .any(|word| full.contains(word))
}

/// What stands for a value: variables, blanks, types.
fn is_placeholder(value: &str) -> bool {
    const WORDS: [&str; 26] = [
        "null",
        "none",
        "nil",
        "true",
        "false",
        "undefined",
        "string",
        "str",
        "bytes",
        "required",
        "optional",
        "option",
        "number",
        "boolean",
        "bool",
        "integer",
        "text",
        "object",
        "password",
        "secret",
        "token",
        "hidden",
        "redacted",
        "masked",
        "empty",
        "unset",
    ];
    let plain = value.trim_matches(['.', '?', '!', ':']);
    value.is_empty()
        || value.starts_with(['$', '%', '{', '<', '(', '&', '@', '#'])
        || starts_with_marker(value)
        || value.bytes().all(|byte| matches!(byte, b'*' | b'.' | b'x' | b'X' | b'-' | b'_' | b'?'))
        || WORDS.iter().any(|word| plain.eq_ignore_ascii_case(word))
}

/// Whether a value is a marker; the closing bracket may be beyond what a bare value takes.
fn starts_with_marker(value: &str) -> bool {
    let Some(rest) = value.strip_prefix(MARKER) else { return false };
    let kind = rest.split(']').next().unwrap_or_default();
    let after = rest.get(kind.len() + 1..).unwrap_or_default();
    after.is_empty() && Kind::parse(kind).is_some()
}

/// Paths of names, calls and types, as programs have them.
fn is_code(value: &str) -> bool {
    let is_name = |part: &str| {
        part.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && part.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'?'))
    };
    let has_dots = value.contains('.') && value.split('.').all(is_name);
    value.contains("::")
        || value.contains("->")
        || value.starts_with(['[', '*', '!', ':'])
        || has_dots
}

/// Words for people about passwords.
fn says_password(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    value.contains("password") || value.contains("passphrase") || value.ends_with(['.', ':', '?'])
}

fn is_bare_password(value: &str, full: &str, is_tight: bool) -> bool {
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let has_letter = value.bytes().any(|byte| byte.is_ascii_alphabetic());
    let is_name = value.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let is_variable = full.bytes().all(|byte| !byte.is_ascii_lowercase());
    if has_digit && !has_letter {
        return value.len() >= 6;
    }
    if !is_name && (has_digit || value.bytes().any(|byte| b"!@#$%^*+=~".contains(&byte))) {
        return value.len() >= 5;
    }
    let lower = value.to_ascii_lowercase();
    let is_own_name = ["pass", "pwd", "secret"].iter().any(|word| lower.contains(word));
    is_tight
        && value.len() >= 6
        && !value.contains(['/', '.'])
        && !is_own_name
        && (is_variable || !value.contains('_'))
}

/// What is given to a name that says `secret`.
fn is_secret(value: &str, is_quoted: bool) -> bool {
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let has_letter = value.bytes().any(|byte| byte.is_ascii_alphabetic());
    let is_one_word = !value.contains([' ', '/']);
    let is_long = is_quoted && value.len() >= 16 && !value.to_ascii_lowercase().contains("secret");
    is_one_word && value.len() >= 8 && (has_digit && has_letter || is_long && !value.contains('.'))
}

/// What is given to a name that says `token`, or `key` of the secret kind.
fn is_token(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let has_letter = value.bytes().any(|byte| byte.is_ascii_alphabetic());
    let is_one_word = !value.contains(' ') && !value.contains("://") && !value.starts_with('/');
    let is_long = value.len() >= 24 && is_mixed(value);
    is_one_word && (value.len() >= 10 && digits >= 2 && has_letter || is_long)
}

/// `api_key`, `AccessKey`, `x-signing-key` and their like.
fn is_secret_key(full: &str) -> bool {
    const KINDS: [&str; 20] = [
        "api",
        "access",
        "private",
        "secret",
        "encrypt",
        "encryption",
        "signing",
        "auth",
        "master",
        "account",
        "service",
        "license",
        "storage",
        "shared",
        "ssh",
        "session",
        "client",
        "admin",
        "deploy",
        "subscription",
    ];
    let stem = full.to_ascii_lowercase();
    let stem = stem.trim_end_matches("key").trim_end_matches(['_', '-']);
    KINDS.iter().any(|kind| stem.ends_with(kind))
}

/// A long random value that is given to any other `key`; hashes, names and paths are none.
fn is_unknown_key(value: &str) -> bool {
    let is_hex = value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    value.len() >= 24
        && !is_hex
        && !value.starts_with("sha")
        && !value.contains(['.', ':'])
        && is_random(value)
}

/// Letters with digits, or long with both cases: no word of a language.
pub(super) fn is_mixed(value: &str) -> bool {
    let has_digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let has_letter = value.bytes().any(|byte| byte.is_ascii_alphabetic());
    let has_lower = value.bytes().any(|byte| byte.is_ascii_lowercase());
    let inner_upper = value.bytes().skip(1).any(|byte| byte.is_ascii_uppercase());
    has_letter && has_digit || value.len() >= 20 && has_lower && inner_upper
}

/// Whether a value looks as if chance had made it: three kinds of characters, evenly used.
pub(super) fn is_random(value: &str) -> bool {
    const LEAST_BITS: f64 = 3.3;
    let kinds: [fn(&u8) -> bool; 3] =
        [u8::is_ascii_lowercase, u8::is_ascii_uppercase, u8::is_ascii_digit];
    let present = kinds.iter().filter(|kind| value.bytes().any(|byte| kind(&byte))).count();
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let is_even = entropy(value) >= LEAST_BITS;
    is_even
        && value.len() >= 16
        && !value.contains(' ')
        && (present == 3 || present == 2 && digits >= 3 && !is_worded(value))
}

/// Words and numbers with something between them, such as `my-app-2024`.
fn is_worded(value: &str) -> bool {
    let parts = value.split(|letter: char| !letter.is_ascii_alphanumeric());
    let is_plain = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_alphabetic())
            || part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    parts.clone().count() > 1 && parts.into_iter().all(is_plain)
}

/// Bits of a byte, by how often each occurs.
#[expect(clippy::cast_precision_loss, reason = "counts of bytes in one value")]
pub(super) fn entropy(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let total = value.len() as f64;
    let used = counts.iter().filter(|count| **count > 0);
    used.map(|count| f64::from(*count) / total).map(|share| -share * share.log2()).sum()
}

/// Whether the name of a JSON member says that its value is a password or the like.
pub(super) fn is_secret_name(name: &str) -> Option<Kind> {
    let lower = name.to_ascii_lowercase();
    let ends = |words: &[&str]| words.iter().any(|word| lower.ends_with(word));
    if names_something_else(&lower) {
        None
    } else if ends(&["password", "passwd", "passphrase", "passcode", "pwd", "_pass", "-pass"]) {
        Some(Kind::Password)
    } else if ends(&["secret", "token", "credential", "credentials", "authorization"])
        || lower.ends_with("key") && is_secret_key(&lower)
    {
        Some(Kind::Secret)
    } else {
        None
    }
}

/// Whether the value of such a member is one.
pub(super) fn is_secret_value(kind: Kind, value: &str) -> bool {
    if is_placeholder(value) {
        return false;
    }
    match kind {
        Kind::Password => true,
        Kind::Secret
        | Kind::PrivateKey
        | Kind::OrchestratorKey
        | Kind::WebhookSecret
        | Kind::Jwt
        | Kind::BearerToken
        | Kind::Cookie
        | Kind::CloudKey
        | Kind::ApiKey
        | Kind::Email
        | Kind::Configured
        | Kind::Known
        | Kind::Random => is_secret(value, true) || is_token(value),
    }
}
