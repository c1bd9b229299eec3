//! What a provider signs about somebody, and everything that has to hold of it.
// Source: OpenID Connect Core 1.0 §3.1.3.7.

use std::collections::HashSet;
use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::Value;

use super::keys::fits;
use crate::domain::time::Timestamp;

/// How far two clocks may be apart.
const LEEWAY: i64 = 60;
/// Longest name that a provider has for somebody.
// Source: OpenID Connect Core 1.0 §2.
const LONGEST_SUBJECT: usize = 255;
/// How long ago a token may have been made: it was asked for a moment ago.
const OLDEST: Duration = Duration::from_hours(1);

/// What is told of somebody beside their name.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct About {
    pub(super) email: Option<String>,
    pub(super) email_verified: Option<Value>,
    pub(super) name: Option<String>,
}

/// What was signed.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Claims {
    iss: String,
    pub(super) sub: String,
    aud: OneOrMany,
    azp: Option<String>,
    exp: f64,
    nbf: Option<f64>,
    iat: f64,
    nonce: Option<String>,
    #[serde(flatten)]
    pub(super) about: About,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// What has to stand in a token.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: Timestamp,
}

/// What a token says of how it was signed.
pub(super) fn header(token: &str) -> Result<Header, String> {
    let header = decode_header(token).map_err(|error| format!("its token is none: {error}"))?;
    if header.crit.is_some() {
        return Err("its token wants something that is not known here".to_owned());
    }
    Ok(header)
}

/// What a token says, once all of it holds.
pub(super) fn claims(
    token: &str,
    header: &Header,
    key: &Jwk,
    expected: &Expected<'_>,
) -> Result<Claims, String> {
    if !fits(key, header.alg) {
        return Err("its token is signed in a way that is not taken".to_owned());
    }
    let decoding = DecodingKey::from_jwk(key).map_err(|error| format!("its key: {error}"))?;
    let mut validation = Validation::new(header.alg);
    // Everything but the signature is looked at below, against the clock of the application.
    validation.required_spec_claims = HashSet::new();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let decoded = decode::<Claims>(token, &decoding, &validation);
    let claims = decoded.map_err(|error| format!("its token does not hold: {error}"))?.claims;
    judge(&claims, expected).map_err(|why| format!("its token {why}"))?;
    Ok(claims)
}

fn judge(claims: &Claims, expected: &Expected<'_>) -> Result<(), &'static str> {
    let Claims { iss, sub, aud, azp, exp, nbf, iat, nonce, about: _ } = claims;
    let ours = |name: &String| name == expected.client_id;
    let audience = aud.as_slice();
    #[expect(clippy::cast_precision_loss, reason = "seconds of this era are exact")]
    let (now, leeway) = (expected.now.millis() as f64 / 1000.0, LEEWAY as f64);
    let oldest = now - OLDEST.as_secs_f64();
    let rules = [
        (iss == expected.issuer, "is of another issuer"),
        (audience.iter().any(ours), "is for somebody else"),
        (audience.len() <= 1 || azp.is_some(), "is for several and says not for whom first"),
        (azp.as_ref().is_none_or(ours), "was given to somebody else"),
        (*exp > now - leeway, "has expired"),
        (nbf.is_none_or(|begin| begin <= now + leeway), "is not good yet"),
        (*iat <= now + leeway, "was made in the future"),
        (*iat >= oldest, "was made long ago"),
        (nonce.as_deref() == Some(expected.nonce), "belongs to another sign-in"),
        ((1..=LONGEST_SUBJECT).contains(&sub.len()), "names nobody"),
    ];
    rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, why)| Err(*why))
}
