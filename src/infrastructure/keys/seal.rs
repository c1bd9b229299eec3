//! Sealing with AES-256-GCM.
//!
//! What is sealed is `1 ‖ name of the key (4) ‖ nonce (12) ‖ ciphertext ‖ tag (16)`. The name tells a key
//! that was lost or replaced from a record that was damaged.
// Source: NIST SP 800-38D; random nonces, which allow for 2^32 messages with one key.

use std::io;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::file::KeyError;
use crate::application::ports::sealer::{SealError, Sealer};

/// The layout of what is sealed.
const LAYOUT: u8 = 1;
const NAME_BYTES: usize = 4;
/// Layout, name and nonce.
const HEAD_BYTES: usize = 1 + NAME_BYTES + NONCE_LEN;

/// Seals with one key.
pub struct AesSealer {
    key: RandomizedNonceKey,
    derived: hmac::Key,
    name: [u8; NAME_BYTES],
}

impl AesSealer {
    /// With this key.
    ///
    /// # Errors
    /// `KeyError::Failed`.
    pub fn new(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes);
        let key = key.map_err(|_| io::Error::other("AES-256-GCM takes no such key"))?;
        let digest = Sha256::digest([b"name of a seal key".as_slice(), bytes].concat());
        let mut name = [0; NAME_BYTES];
        name.copy_from_slice(&digest[..NAME_BYTES]);
        // The key of one purpose is not that of another.
        let own = Sha256::digest([b"derived secrets".as_slice(), bytes].concat());
        Ok(Self { key, derived: hmac::Key::new(hmac::HMAC_SHA256, &own), name })
    }
}

impl Sealer for AesSealer {
    fn seal(&self, plain: &[u8], bound_to: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut body = plain.to_vec();
        let nonce = self.key.seal_in_place_append_tag(Aad::from(bound_to), &mut body);
        let nonce = nonce.map_err(|_| SealError::Failed)?;
        Ok([&[LAYOUT], self.name.as_slice(), nonce.as_ref(), &body].concat())
    }

    fn open(&self, sealed: &[u8], bound_to: &[u8]) -> Result<String, SealError> {
        let (head, body) = sealed.split_at_checked(HEAD_BYTES).ok_or(SealError::Damaged)?;
        if head[0] != LAYOUT {
            return Err(SealError::Damaged);
        }
        let (name, nonce) = head[1..].split_at(NAME_BYTES);
        if name != self.name {
            return Err(SealError::OtherKey);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Damaged)?;
        let mut body = body.to_vec();
        let plain = self.key.open_in_place(nonce, Aad::from(bound_to), &mut body);
        let plain = plain.map_err(|_| SealError::Damaged)?;
        String::from_utf8(plain.to_vec()).map_err(|_| SealError::Damaged)
    }

    fn derive(&self, purpose: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.derived, purpose))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_derived_follows_from_key_and_purpose() {
        let ours = AesSealer::new(&[7; 32]).expect("a key");
        let again = AesSealer::new(&[7; 32]).expect("the same key");
        let other = AesSealer::new(&[8; 32]).expect("another key");
        assert_eq!(ours.derive(b"a").len(), 43);
        assert_eq!(ours.derive(b"a"), again.derive(b"a"));
        assert_ne!(ours.derive(b"a"), ours.derive(b"b"));
        assert_ne!(ours.derive(b"a"), other.derive(b"a"));
    }

    #[test]
    fn what_is_sealed_opens_for_its_purpose_and_key_alone() {
        let ours = AesSealer::new(&[7; 32]).expect("a key");
        let sealed = ours.seal(b"whsec_secret", b"one").expect("sealed");
        assert!(!sealed.windows(6).any(|part| part == b"secret"), "not in the clear");
        assert_ne!(ours.seal(b"whsec_secret", b"one").expect("sealed"), sealed);
        let again = AesSealer::new(&[7; 32]).expect("the same key");
        assert_eq!(again.open(&sealed, b"one"), Ok("whsec_secret".to_owned()));
        assert_eq!(again.open(&sealed, b"two"), Err(SealError::Damaged));
        let other = AesSealer::new(&[8; 32]).expect("another key");
        assert_eq!(other.open(&sealed, b"one"), Err(SealError::OtherKey));
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(again.open(&bent, b"one").is_err(), "byte {at}");
            assert!(again.open(&sealed[..at], b"one").is_err(), "cut at {at}");
        }
    }
}
