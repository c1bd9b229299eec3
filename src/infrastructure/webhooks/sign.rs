//! Signatures of messages.
//!
//! Source: the Standard Webhooks specification 1.0, section on signatures: HMAC-SHA256 over
//! `id.timestamp.body`, keyed by the bytes behind `whsec_`, written as `v1,` and base64; several
//! signatures are separated by spaces.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::application::ports::notifier::Message;
use crate::domain::webhook::Secret;

/// How a secret begins.
pub const PREFIX: &str = "whsec_";

/// The value of `webhook-signature`; `None` when no secret can be used.
#[must_use]
pub fn signatures(message: &Message, seconds: i64) -> Option<String> {
    let signed = message.secrets.iter().filter_map(|secret| {
        let digest = digest(secret, &message.id, seconds, &message.body)?;
        Some(format!("v1,{}", STANDARD.encode(digest)))
    });
    let all: Vec<String> = signed.collect();
    (!all.is_empty()).then(|| all.join(" "))
}

fn digest(secret: &Secret, id: &str, seconds: i64, body: &[u8]) -> Option<Vec<u8>> {
    let key = STANDARD.decode(secret.expose().strip_prefix(PREFIX)?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    Some(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `openssl dgst -sha256 -mac HMAC` over the same bytes.
    #[test]
    fn the_signature_is_the_one_that_another_program_makes() {
        let secret = Secret::new("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned());
        let message = Message {
            url: String::new(),
            id: "msg_1".to_owned(),
            body: br#"{"type":"test"}"#.to_vec(),
            secrets: vec![secret.clone(), Secret::new("no secret".to_owned()), secret],
        };
        let one = "v1,XJw7Oe5x8Nm7vGTJ/N3jl8TdBrBTNbq8/se1u4CF2zs=";
        let expected = format!("{one} {one}");
        assert_eq!(signatures(&message, 1_700_000_000), Some(expected));
        assert_eq!(signatures(&Message { secrets: Vec::new(), ..message }, 1), None);
    }
}
