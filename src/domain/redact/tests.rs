//! What is found, what stays, and that it always ends the same.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Text, the part that must not be left, and the marker in its place. `~` in text and part stands for
/// nothing: it keeps this table from looking like a leak to those who search source code for keys.
const SECRETS: &[(&str, &str, &str)] = &[
    ("key AKIA~IOSFODNN7EXAMPLE in use", "AKIA~IOSFODNN7EXAMPLE", "cloud_key"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI", "secret"),
    ("AIza~SyA1234567890abcdefghijklmnopqrstuv", "SyA1234567890", "cloud_key"),
    ("Authorization: Bearer ya29.~a0AfH6SMBx1234567890abcdef", "a0AfH6SMBx", "bearer_token"),
    ("secret GOCSPX-~1234567890abcdefGHIJKLMN", "1234567890abcdef", "cloud_key"),
    (
        "dop_v1_~0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "0123456789abcdef",
        "cloud_key",
    ),
    ("remote: ghp_~1234567890abcdefghijklmnopqrstuvwxyz", "1234567890abcdef", "api_key"),
    ("gho_~16C7e42F292c6912E7710c838347Ae178B4a", "16C7e42F292c", "api_key"),
    ("github_pat_~11ABCDEFG0123456789_abcdefghijklmnop", "11ABCDEFG0123456789", "api_key"),
    ("glpat-~ABCdef123456789_xyzw", "ABCdef123456789", "api_key"),
    ("xoxb-~123456789012-1234567890123-abcdefABCDEF", "123456789012-1234567890123", "api_key"),
    (
        "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
        "T00000000/B00",
        "api_key",
    ),
    (
        "https://discord.com/api/webhooks/123456789012345678/abcdefghijklmnopqrstuv",
        "abcdefghijklmnop",
        "api_key",
    ),
    ("sk_live_~51H8abcdefGHIJKLmnop", "51H8abcdefGHIJKL", "api_key"),
    ("rk_test_~51H8abcdefGHIJKLmnop", "51H8abcdefGHIJKL", "api_key"),
    ("OPENAI said sk-proj-~abc123DEF456ghi789JKL012", "abc123DEF456", "api_key"),
    ("sk-ant-api03-~AbCdEf123456-GhIjKl789012", "AbCdEf123456", "api_key"),
    (
        "//registry.example/:_authToken=npm_~abcdefghijklmnopqrstuvwxyz0123456789",
        "abcdefghijklmn",
        "api_key",
    ),
    ("npm_~abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghijklmn", "api_key"),
    ("pypi-~AgEIcHlwaS5vcmcCJDAwMDAwMDAwLTAwMDAtMDAwMC0w", "AgEIcHlwaS5vcmcC", "api_key"),
    ("dckr_pat_~abcDEF123456ghiJKL789mno", "abcDEF123456", "api_key"),
    ("SG.~abcdefghijklmnop1234.ABCDEFGHIJKLMNOP567890abcdef", "ABCDEFGHIJKLMNOP", "api_key"),
    ("hf_~abcdefghijklmnopqrstuvwxyzABCDEFGH", "abcdefghijklmnop", "api_key"),
    ("vault hvs.~CAESIJ1234567890abcdefABCDEF", "CAESIJ1234567890", "api_key"),
    ("bot 123456789:AA~Fabcdefghijklmnopqrstuvwxyz0123456", "Fabcdefghijkl", "api_key"),
    ("lin_api_~abcdefghijklmnopqrstuvwxyz012345", "abcdefghijklmn", "api_key"),
    ("shpat_~0123456789abcdef0123456789abcdef", "0123456789abcdef", "api_key"),
    ("glsa_~abcdefghijklmnopqrstuvwx_12345678", "abcdefghijkl", "api_key"),
    ("gsk_~abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH", "abcdefghijkl", "api_key"),
    ("ATATT3~xFfGF0abcdefghijklmnopqrstuvwxyz=12AB34CD", "xFfGF0abcdefghij", "api_key"),
    ("dapi~0123456789abcdef0123456789abcdef", "0123456789abcdef", "api_key"),
    (
        "AGE-SECRET-KEY-1~QQPQZQFYF2K8HQ3C8E7X5Z2X0Y9V8U7T6S5R4Q3P2N1M0L9K8J7",
        "QQPQZQFYF2K8",
        "private_key",
    ),
    ("iok_~Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MGFiY2RlZmdoaWo", "Zm9vYmFyYmF6cXV4", "orchestrator_key"),
    ("whsec_~MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "MDEyMzQ1Njc4OWFi", "webhook_secret"),
    (
        "eyJhbGciOiJIUzI1NiJ9.~eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "dozjgNryP4J3jVmN",
        "jwt",
    ),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
        "MIIEpAIBAAKCAQEA",
        "private_key",
    ),
    (
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA",
        "b3BlbnNzaC1rZXkt",
        "private_key",
    ),
    (
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBF\n-----END PGP PRIVATE KEY BLOCK-----",
        "lQOYBF",
        "private_key",
    ),
    ("Authorization: Basic dXNlcjpwYXNzd29yZDEyMw==", "dXNlcjpwYXNz", "bearer_token"),
    ("curl -H 'authorization: token 0a1b2c3d4e5f6a7b8c9d'", "0a1b2c3d4e5f", "bearer_token"),
    ("Bearer abcdefgh12345678", "abcdefgh12345678", "bearer_token"),
    ("Cookie: session=abcdef; theme=dark", "session=abcdef", "cookie"),
    ("Set-Cookie: id=a3fWa; Path=/", "a3fWa", "cookie"),
    ("postgres://app:hunter2@db.internal:5432/main", "hunter2", "password"),
    ("https://x-access-token:abc@def@git.example.com/repo.git", "abc@def", "password"),
    ("https://Zx9Kq2LmP4vR8tYw1NcB@git.example.com/repo.git", "Zx9Kq2LmP4vR8tYw1NcB", "password"),
    ("password = hunter2", "hunter2", "password"),
    ("DB_PASSWORD=correct-horse-battery", "correct-horse", "password"),
    ("POSTGRES_PASSWORD=letmein", "letmein", "password"),
    ("user=me&password=swordfish&x=1", "swordfish", "password"),
    (r#"{"password":"Tr0ub4dor&3"}"#, "Tr0ub4dor", "password"),
    (r#"{\"password\":\"s3cr3t-value\"}"#, "s3cr3t-value", "password"),
    ("password: 'two words'", "two words", "password"),
    ("passphrase=\"correct horse battery staple\"", "horse battery", "password"),
    ("config[\"password\"] = \"open-sesame\"", "open-sesame", "password"),
    ("mysql --password=hunter22 -u root", "hunter22", "password"),
    ("deploy --token abc123def456", "abc123def456", "password"),
    ("client_secret: 8f7e6d5c4b3a29181716", "8f7e6d5c4b3a", "secret"),
    ("API_KEY=0123abcd4567efgh8901", "0123abcd4567", "secret"),
    ("x-api-key: 3f9a8b7c6d5e4f3a2b1c", "3f9a8b7c6d5e", "secret"),
    ("SECRET_KEY_BASE=", "~", ""),
    ("ENCRYPTION_KEY=kJ8s7Df6gH5jK4lZ3xC2vB1n", "kJ8s7Df6gH5j", "secret"),
    (
        "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq",
        "Eby8vdM02xNO",
        "secret",
    ),
    ("unlock_key: Qm9iU2F5c0hlbGxvMTIzNDU2Nzg5Ug", "Qm9iU2F5c0hl", "secret"),
    (
        "https://bucket.example/x?X-Amz-Signature=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        "9f86d081884c",
        "secret",
    ),
    ("access_token=2YotnFZFEjr1zCsicMWpAA", "2YotnFZFEjr1", "secret"),
];

/// What has to stay as it is.
const HARMLESS: &[&str] = &[
    "",
    "Fix the parser for empty input",
    "commit 4f2a9c1e8b7d6a5f4e3d2c1b0a9f8e7d6c5b4a39",
    "index 83db48f..bf269f4 100644",
    "550e8400-e29b-41d4-a716-446655440000",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "d41d8cd98f00b204e9800998ecf8427e  empty.txt",
    "integrity: sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "/home/user/projects/token-service/src/password.rs",
    "src/auth/secret_store.rs:42: error",
    "https://example.com/docs/passwords?page=2",
    "https://github.com/owner/repo.git",
    "git@github.com:owner/repo.git",
    "ssh://git@github.com/owner/repo.git",
    "let password = read_password()?;",
    "pub password: String,",
    "pub fn check(password: &str, token: &Token) -> bool {",
    "const token = parser.next_token();",
    "password: Option<SecretString>,",
    "self.password = password;",
    "user.password = user_password",
    "password = os.environ['DB_PASSWORD']",
    "password=$DB_PASSWORD",
    "password: ${{ secrets.DB_PASSWORD }}",
    "token = <your token>",
    "password: ********",
    "\"password\": null",
    "\"token\": true",
    "the password is required",
    "password: must have at least twelve characters",
    "\"password\": \"Enter your password\"",
    "max_tokens: 4096",
    "tokens: 5200 in, 640 out",
    "total_tokens=12345",
    "fencing_token: 17",
    "key: value",
    "for key in map.keys() {",
    "primary_key=true",
    "cache-key: node-modules-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "public_key = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGl1bmtub3duMTIzNDU2Nzg5MGFi\"",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7 user@host",
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n-----END PUBLIC KEY-----",
    "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIE\n-----END CERTIFICATE-----",
    "Authorization: required",
    "the bearer of this letter",
    "Bearer authentication",
    "basic internationalization",
    "a cookie recipe: flour and sugar",
    "sk-loading-container-wrapper",
    "task-master and risk-assessment-of-everything",
    "test result: ok. 42 passed; 0 failed",
    "pass: 42",
    "2026-11-21T23:20:00.123Z",
    "IND-000042",
    "session_01HF8Z7Q0X3W2V1T0S9R8P7N6M",
    "idempotency-key: 3f9a8b7c6d5e4f3a2b1c",
    "secretName: my-tls-certificate",
    "secret: my-secret-name",
    "tokenize(\"hello world 123\")",
    "keyboard: qwerty1234567",
    "monkey = banana12345",
    "token: u32",
    "secret: [u8; 32]",
    "use crate::domain::redact::token::Token;",
    "password::Argon2Hasher::new(&key)",
    "me@example.com wrote: see the ticket",
    "Grüße, 世界! Пароль не нужен.",
    "a=b&page_size=50&cursor=MDE5YjA",
];

fn plain(text: &str) -> String {
    text.replace('~', "")
}

#[test]
fn secrets_of_every_shape_are_found() {
    let redactor = Redactor::default();
    assert!(SECRETS.len() >= 60);
    for (text, part, kind) in SECRETS.iter().filter(|(_, part, _)| *part != "~") {
        let (text, part) = (plain(text), plain(part));
        let part = if text.contains(&part) { part } else { panic!("{part} stands in {text}") };
        let clean = redactor.redact(&text);
        assert!(!clean.contains(&part), "{text} became {clean}");
        assert!(clean.contains(&format!("[REDACTED:{kind}]")), "{text} became {clean}");
    }
}

#[test]
fn ordinary_text_stays_and_costs_nothing() {
    let redactor = Redactor::default();
    assert!(HARMLESS.len() >= 60);
    for text in HARMLESS {
        let clean = redactor.redact(text);
        assert!(matches!(clean, Cow::Borrowed(_)), "{text} became {clean}");
    }
}

#[test]
fn what_stands_beside_a_secret_stays() {
    let redactor = Redactor::default();
    for (text, clean) in [
        (
            "git clone https://me:hunter2@host/x.git now",
            "git clone https://me:[REDACTED:password]@host/x.git now",
        ),
        (
            "export DB_PASSWORD='a b c' # of the lab",
            "export DB_PASSWORD='[REDACTED:password]' # of the lab",
        ),
        (
            r#"{"user":"me","password":"hunter2","n":1}"#,
            r#"{"user":"me","password":"[REDACTED:password]","n":1}"#,
        ),
        ("a Bearer abcdefgh12345678, b", "a Bearer [REDACTED:bearer_token], b"),
        ("ü password=hunter2ü ü", "ü password=[REDACTED:password] ü"),
    ] {
        assert_eq!(redactor.redact(text), clean);
    }
}

#[test]
fn values_that_the_server_knows_are_found_anywhere() {
    let redactor = Redactor::default();
    let other = redactor.clone();
    redactor.learn(["plain ordinary words", "tiny", "plain ordinary"]);
    assert_eq!(other.redact("so plain ordinary words it is"), "so [REDACTED:known] it is");
    assert_eq!(other.redact("a tiny thing"), "a tiny thing");
    assert!(!format!("{redactor:?}").contains("plain"));
}

#[test]
fn a_known_value_is_found_in_digits_and_base64() {
    let redactor = Redactor::default();
    redactor.learn(["open sesame, please"]);
    for spelled in [
        "6f70656e20736573616d652c20706c65617365",
        "6F70656E20736573616D652C20706C65617365",
        "b3BlbiBzZXNhbWUsIHBsZWFzZQ==",
        // "xopen sesame, please." and "xyopen sesame, please!!"
        "eG9wZW4gc2VzYW1lLCBwbGVhc2Uu",
        "eHlvcGVuIHNlc2FtZSwgcGxlYXNlISE=",
    ] {
        let clean = redactor.redact(spelled).into_owned();
        assert!(clean.contains("[REDACTED:known]"), "{spelled} became {clean}");
        assert!(clean.len() < 28, "nearly all of it is gone: {clean}");
    }
    assert_eq!(redactor.redact("open the door, please"), "open the door, please");
}

#[test]
fn only_a_strict_one_takes_bare_random_words_and_both_know_the_same_values() {
    let redactor = Redactor::default();
    let strict = redactor.strict();
    let text = "use Zq7Xw3Lr9Tn5Kb1Vd8Hs4Pm6Yc2Jf0Ga there";
    assert_eq!(redactor.redact(text), text);
    assert_eq!(strict.redact(text), "use [REDACTED:random] there");
    redactor.learn(["ordinary words"]);
    assert_eq!(strict.redact("such ordinary words"), "such [REDACTED:known]");
}

#[test]
fn addresses_and_patterns_are_found_when_they_are_wanted() {
    let wanted = Redactor::new(true, &["EMP-[0-9]{4}".to_owned()]).expect("patterns");
    let text = "ask jane.doe@example.com about EMP-1234";
    assert_eq!(wanted.redact(text), "ask [REDACTED:email] about [REDACTED:configured]");
    assert_eq!(Redactor::default().redact(text), text);
    assert!(Redactor::new(false, &["(".to_owned()]).is_err());
}

#[test]
fn json_is_cleaned_in_names_and_values_at_any_depth() {
    let mut value = json!({
        "note": ["see ghp_1234567890abcdefghijklmnopqrstuvwxyz", 7],
        "db": { "password": "swordfish", "api_key": "abc123def456ghi", "port": 5432, "token": "next" },
        "ghp_1234567890abcdefghijklmnopqrstuvwxyz": true,
    });
    Redactor::default().clean_json(&mut value);
    let clean = json!({
        "note": ["see [REDACTED:api_key]", 7],
        "db": { "password": "[REDACTED:password]", "api_key": "[REDACTED:secret]", "port": 5432, "token": "next" },
        "[REDACTED:api_key]": true,
    });
    assert_eq!(value, clean);
}

#[test]
fn what_was_found_is_counted_by_kind() {
    let mut counts = Counts::new();
    let text = "password=hunter22 and password=hunter33 and Bearer abcdefgh12345678";
    assert!(matches!(Redactor::default().redact_counted(text, &mut counts), Cow::Owned(_)));
    assert_eq!(counts, Counts::from([(Kind::Password, 2), (Kind::BearerToken, 1)]));
}

/// Text that is hard on matchers takes time in proportion: eight times the text, not sixty-four.
#[test]
fn hostile_text_takes_linear_time() {
    let redactor = Redactor::default();
    for piece in
        ["token:", "key=", "password=\"", "://", "eyJ-", "a@", "-----BEGIN PRIVATE KEY", "--token "]
    {
        let text = piece.repeat(200_000 / piece.len());
        assert!(redactor.redact(&text).len() <= text.len() * 4, "{piece}");
    }
}

fn pieces(text: &str, cuts: &[usize]) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let mut pieces = Vec::new();
    let mut at = 0;
    for cut in cuts {
        let end = (at + cut).min(letters.len());
        pieces.push(letters[at..end].iter().collect());
        at = end;
    }
    pieces.push(letters[at..].iter().collect());
    pieces
}

fn told(pieces: &[String]) -> String {
    let mut stream = StreamRedactor::new(Redactor::default());
    let mut told: String = pieces.iter().map(|piece| stream.push(piece)).collect();
    told.push_str(&stream.finish());
    told
}

#[test]
fn a_secret_that_comes_in_pieces_is_found_wherever_it_is_cut() {
    for (text, part, _) in SECRETS.iter().filter(|(_, part, _)| *part != "~") {
        let text = format!("before\n{} after\nthe end", plain(text));
        let part = plain(part);
        for cut in 0..text.chars().count() {
            let whole = told(&pieces(&text, &[cut]));
            assert!(!whole.contains(&part), "{text} cut at {cut} became {whole}");
        }
        let letters = vec![1; text.chars().count()];
        assert!(!told(&pieces(&text, &letters)).contains(&part), "{text} letter by letter");
    }
}

#[test]
fn ordinary_words_come_as_they_were_said() {
    // Of a quoted text that has not ended, nobody knows yet that it is for people.
    for text in HARMLESS.iter().filter(|text| !text.contains("Enter your")) {
        let letters = vec![1; text.chars().count()];
        assert_eq!(told(&pieces(text, &letters)), *text);
    }
    let mut stream = StreamRedactor::new(Redactor::default());
    assert_eq!(stream.push("Looking ro"), "Looking ");
    assert_eq!(stream.push("und first"), "round ");
    assert_eq!(stream.finish(), "first");
}

#[test]
fn what_is_held_back_is_bounded() {
    let mut stream = StreamRedactor::new(Redactor::default());
    for _ in 0..2000 {
        assert!(stream.push("0123456789abcdef0123456789abcdef0123456789").len() <= 17 * 1024);
    }
    let mut stream = StreamRedactor::new(Redactor::default());
    let mut told = stream.push("-----BEGIN PRIVATE KEY-----\n");
    for _ in 0..2000 {
        told.push_str(&stream.push("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n"));
    }
    told.push_str(&stream.push("-----END PRIVATE KEY-----\nfree again\n"));
    told.push_str(&stream.finish());
    assert!(!told.contains("MIIE") && told.contains("free again"), "{told}");
}

#[test]
fn a_key_that_another_block_interrupts_is_not_told() {
    let text = "a-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n\
                -----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n\
                -----END PUBLIC KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC";
    for first in 0..text.len() {
        for second in [1, 2, 9, 10, 20, 40] {
            let whole = told(&pieces(text, &[first, second]));
            assert_eq!(whole, "a[REDACTED:private_key]", "cut at {first} and {second} later");
        }
    }
}

#[test]
fn a_key_that_begins_in_a_very_long_word_is_not_told() {
    let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIECANARY\n-----END RSA PRIVATE KEY-----\nfree";
    let long = "A".repeat(17_000);
    for (first, second) in (1..=31).map(|cut| key.split_at(cut)) {
        let whole = told(&[format!("{{\"d\":\"{long}\",\"key\":\"{first}"), second.to_owned()]);
        assert!(!whole.contains("CANARY") && whole.ends_with("free"), "{first}: {}", whole.len());
    }
}

#[test]
fn a_key_of_any_length_ends_where_it_ends() {
    for length in 16_240..16_420 {
        let body = "B".repeat(length);
        let pieces = [
            format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRI"),
            "VATE KEY-----\nfree".to_owned(),
        ];
        let whole = told(&pieces);
        assert!(!whole.contains("BB") && whole.ends_with("free"), "{length}: {whole}");
    }
}

#[test]
fn a_line_that_begins_like_a_key_and_is_none_is_told_in_the_end() {
    for text in [
        "-----BEGIN ",
        "-----BEGIN PUBLIC KEY-----\nabc",
        "-----BEGIN A PRIVATE K",
        "x -----BEGIN a",
    ] {
        for cut in 0..text.len() {
            assert_eq!(told(&pieces(text, &[cut])), text, "cut at {cut}");
        }
    }
}

/// Pieces of secrets, names, markers and ordinary text, in any order.
fn any_text() -> impl Strategy<Value = String> {
    let known: Vec<String> = SECRETS
        .iter()
        .map(|(text, _, _)| plain(text))
        .chain(HARMLESS.iter().map(|text| (*text).to_owned()))
        .chain(
            [
                "password=",
                "token: \"",
                "://",
                "@",
                "[REDACTED:password]",
                "[REDACTED:",
                "]",
                "'",
                "\\\"",
                "=",
                " ",
                "\n",
                "key",
                "AKIA",
                "cio",
            ]
            .map(str::to_owned),
        )
        .collect();
    let piece = prop_oneof![
        4 => proptest::sample::select(known),
        1 => ".{0,12}",
        1 => "[a-zA-Z0-9_=:@/\\[\\]\"' -]{0,40}",
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn redacting_twice_is_redacting_once(text in any_text()) {
        let redactor = Redactor::default();
        let once = redactor.redact(&text).into_owned();
        let twice = redactor.redact(&once);
        prop_assert_eq!(&once, &twice);
    }

    #[test]
    fn no_piecewise_telling_says_more_than_the_whole(
        text in any_text(), cuts in proptest::collection::vec(0_usize..30, 0..20),
    ) {
        let whole = told(&pieces(&text, &cuts));
        let clean = Redactor::default().redact(&whole).into_owned();
        prop_assert_eq!(clean, whole, "what was told still holds a secret");
    }
}
