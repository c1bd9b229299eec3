//! What secrets look like: a table of shapes, each with the words without which it cannot be there.
//!
//! Invariant: a shape takes everything that belongs to its secret, so that nothing of it is left
//! behind the marker. A shape that would also meet ordinary text has a second look (`fits`).
// Source: the publicly documented prefixes of each provider's keys.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::Regex;

use super::Kind;
use super::assigned::{is_mixed, is_random};

/// One shape.
pub(super) struct Rule {
    pub(super) kind: Kind,
    pub(super) shape: Regex,
    /// The part named `v`, or all of it.
    pub(super) has_part: bool,
    /// Whether what was found is one.
    pub(super) fits: fn(&str) -> bool,
}

/// Where the further rules of `assigned` begin in the bits of a look.
pub(super) const ASSIGNED: u64 = 1 << 63;
/// The bit of addresses with a name and password in them.
pub(super) const ADDRESS: u64 = 1 << 62;
/// The bit of e-mail addresses.
pub(super) const EMAIL: u64 = 1 << 61;

type Line = (Kind, &'static [&'static str], &'static str, fn(&str) -> bool);

const ANY: fn(&str) -> bool = |_| true;

/// The line that a private key begins with.
pub(super) static KEY_BEGIN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(BEGIN_OF_KEY).expect("the shape of the first line is valid"));

/// A private key from its first line to its last.
pub(super) static KEY: LazyLock<Regex> = LazyLock::new(|| {
    let text = format!("{BEGIN_OF_KEY}(?s:.*?){END_OF_KEY}");
    Regex::new(&text).expect("the shape of keys is valid")
});

const BEGIN_OF_KEY: &str = "-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----";
const END_OF_KEY: &str = "-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----";

const TABLE: &[Line] = &[
    (
        Kind::PrivateKey,
        &["private key"],
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\z)",
        ANY,
    ),
    (Kind::PrivateKey, &["age-secret-key-"], r"(?i)AGE-SECRET-KEY-1[0-9A-Z]{20,}", ANY),
    (
        Kind::OrchestratorKey,
        &["iok_", "iol_", "iob_", "iot_"],
        r"\bio[klbt]_[A-Za-z0-9_.~-]{12,}",
        ANY,
    ),
    (Kind::WebhookSecret, &["whsec_"], r"\bwhsec_[A-Za-z0-9+/=_-]{12,}", ANY),
    (Kind::Jwt, &["eyj"], r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)*", ANY),
    (Kind::BearerToken, &["bearer"], r"(?i)\bbearer[ \t]+(?P<v>[A-Za-z0-9._~+/=-]{8,})", is_mixed),
    (
        Kind::BearerToken,
        &["authorization"],
        r#"(?i)\bauthorization\\?["']?[ \t]{0,4}[:=][ \t]{0,4}\\?["']?(?:(?:bearer|basic|token|digest|negotiate|apikey)[ \t]+)?(?P<v>[A-Za-z0-9._~+/=:-]{8,})"#,
        is_mixed,
    ),
    (
        Kind::Cookie,
        &["cookie"],
        r#"(?i)\b(?:set-)?cookie\\?["']?[ \t]{0,4}:[ \t]{0,4}\\?["']?(?P<v>[^\r\n"'\\]{4,})"#,
        |value| value.contains('=') && !value.starts_with("[REDACTED:"),
    ),
    (
        Kind::CloudKey,
        &["akia", "asia", "abia", "acca"],
        r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16,}",
        ANY,
    ),
    (Kind::CloudKey, &["aiza"], r"\bAIza[A-Za-z0-9_-]{30,}", ANY),
    (Kind::CloudKey, &["ya29."], r"\bya29\.[A-Za-z0-9_-]{16,}", ANY),
    (Kind::CloudKey, &["gocspx-"], r"\bGOCSPX-[A-Za-z0-9_-]{16,}", ANY),
    (
        Kind::CloudKey,
        &["do_v1_", "dop_v1_", "doo_v1_", "dor_v1_"],
        r"\bdo[por]_v1_[a-f0-9]{32,}",
        ANY,
    ),
    (Kind::ApiKey, &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], r"\bgh[pousr]_[A-Za-z0-9]{20,}", ANY),
    (Kind::ApiKey, &["github_pat_"], r"\bgithub_pat_[A-Za-z0-9_]{20,}", ANY),
    (
        Kind::ApiKey,
        &["glpat-", "gldt-", "glrt-", "glsoat-", "glcbt-", "glptt-"],
        r"\bgl(?:pat|dt|rt|soat|cbt|ptt)-[A-Za-z0-9_.-]{16,}",
        ANY,
    ),
    (Kind::ApiKey, &["xox", "xapp-"], r"\b(?:xox[a-z]|xapp)-[A-Za-z0-9-]{10,}", has_digit),
    (
        Kind::ApiKey,
        &["hooks.slack.com"],
        r"\bhooks\.slack\.com/(?:services|workflows|triggers)/(?P<v>[A-Za-z0-9/_+-]{16,})",
        ANY,
    ),
    (
        Kind::ApiKey,
        &["discord.com/api/webhooks", "discordapp.com/api/webhooks"],
        r"\bdiscord(?:app)?\.com/api/webhooks/(?P<v>[0-9]+/[A-Za-z0-9_-]{16,})",
        ANY,
    ),
    (Kind::ApiKey, &["k_live_", "k_test_"], r"\b[srp]k_(?:live|test)_[A-Za-z0-9]{12,}", ANY),
    (Kind::ApiKey, &["sk-"], r"\bsk-[A-Za-z0-9_-]{16,}", is_mixed),
    (Kind::ApiKey, &["npm_"], r"\bnpm_[A-Za-z0-9]{30,}", ANY),
    (Kind::ApiKey, &["pypi-"], r"\bpypi-[A-Za-z0-9_-]{32,}", has_digit),
    (Kind::ApiKey, &["cio"], r"\bcio[A-Za-z0-9]{32,}", is_mixed),
    (Kind::ApiKey, &["dckr_"], r"\bdckr_[a-z]{2,4}_[A-Za-z0-9_-]{16,}", ANY),
    (Kind::ApiKey, &["sg."], r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}", ANY),
    (Kind::ApiKey, &["hf_"], r"\bhf_[A-Za-z0-9]{24,}", ANY),
    (Kind::ApiKey, &["hvs.", "hvb.", "hvr."], r"\bhv[sbr]\.[A-Za-z0-9_-]{16,}", ANY),
    (Kind::ApiKey, &[":aa"], r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{30,}", ANY),
    (Kind::ApiKey, &["lin_api_", "lin_oauth_"], r"\blin_(?:api|oauth)_[A-Za-z0-9]{20,}", ANY),
    (
        Kind::ApiKey,
        &["shpat_", "shpss_", "shpca_", "shppa_"],
        r"\bshp(?:at|ss|ca|pa)_[A-Fa-f0-9]{24,}",
        ANY,
    ),
    (Kind::ApiKey, &["glsa_", "glc_"], r"\bgl(?:sa|c)_[A-Za-z0-9+/=_-]{24,}", ANY),
    (Kind::ApiKey, &["xai-", "gsk_", "r8_"], r"\b(?:xai-|gsk_|r8_)[A-Za-z0-9]{30,}", ANY),
    (Kind::ApiKey, &["atatt3"], r"\bATATT3[A-Za-z0-9_=.-]{30,}", ANY),
    (Kind::ApiKey, &["dapi"], r"\bdapi[a-f0-9]{32,}", ANY),
    (Kind::ApiKey, &["sntrys_", "sntryu_"], r"\bsntry[su]_[A-Za-z0-9+/=_-]{24,}", ANY),
    (Kind::ApiKey, &["pscale_"], r"\bpscale_[a-z]{2,8}_[A-Za-z0-9_.-]{24,}", ANY),
    (
        Kind::Password,
        &["--pass", "--secret", "--token", "--api-key", "--apikey", "--auth"],
        r#"(?i)(?:^|[^A-Za-z0-9_-])--(?:password|passwd|passphrase|secret|token|api-?key|auth(?:-token)?)(?:=|[ \t]+)(?P<v>[^\s"'$<{\\-][^\s"'\\]{5,})"#,
        |value| !value.starts_with('[') && !value.contains('('),
    ),
    (
        Kind::Secret,
        &["sig=", "signature=", "x-amz-", "key=", "auth=", "code="],
        r#"(?i)[?&](?:sig|signature|x-amz-[a-z-]{1,30}|[a-z_-]{0,20}key|auth|code)=(?P<v>[^&\s#"'<>\\]{16,})"#,
        |value| is_random(&value.replace("%2F", "").replace("%2B", "").replace("%3D", "")),
    ),
];

const ASSIGNED_WORDS: [&str; 9] =
    ["passw", "passphrase", "passcode", "pwd", "secret", "token", "key", "credential", "pass"];

/// The table, ready for use, and the words that any of it needs.
pub(super) struct Rules {
    pub(super) table: Vec<Rule>,
    words: AhoCorasick,
    /// For each word, the rules that it may be part of.
    bits: Vec<u64>,
}

/// Compiled once.
pub(super) static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let mut words: Vec<&str> = Vec::new();
    let mut bits: Vec<u64> = Vec::new();
    let mut rules = Vec::with_capacity(TABLE.len());
    for (index, (kind, needs, shape, fits)) in TABLE.iter().enumerate() {
        // Boundaries of ASCII words: the others would cost a slower engine.
        let shape = shape.replace(r"\b", r"(?-u:\b)");
        let shape = Regex::new(&shape).expect("every shape of the table is valid");
        words.extend(*needs);
        bits.extend(needs.iter().map(|_| 1_u64 << index));
        let has_part = shape.capture_names().flatten().any(|name| name == "v");
        rules.push(Rule { kind: *kind, shape, has_part, fits: *fits });
    }
    words.extend(ASSIGNED_WORDS);
    bits.extend(ASSIGNED_WORDS.map(|_| ASSIGNED));
    words.extend(["://", "@"]);
    bits.extend([ADDRESS, EMAIL]);
    let built = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(&words);
    Rules { table: rules, words: built.expect("a few short words"), bits }
});

impl Rules {
    /// Which rules may find something in a text: a bit for each line of the table, and the bits above.
    pub(super) fn look(&self, text: &str) -> u64 {
        let all = self.bits.iter().fold(0, |all, bit| all | bit);
        let mut seen = 0;
        for found in self.words.find_overlapping_iter(text) {
            seen |= self.bits[found.pattern().as_usize()];
            if seen == all {
                break;
            }
        }
        seen
    }
}

fn has_digit(value: &str) -> bool {
    value.bytes().any(|byte| byte.is_ascii_digit())
}
