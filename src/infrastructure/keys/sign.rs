//! Ed25519 signatures.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::file::KeyError;
use crate::application::ports::signer::Signer;
use crate::domain::audit::checkpoint::Verify;

/// Signs with one key.
pub struct KeySigner(Ed25519KeyPair);

impl KeySigner {
    /// With this key.
    ///
    /// # Errors
    /// `KeyError::Failed`.
    pub fn new(seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed);
        let taken = pair.map_err(|_| std::io::Error::other("Ed25519 takes no such key"))?;
        Ok(Self(taken))
    }
}

/// Whether a signature was made with the key that belongs to this public key.
#[must_use]
pub fn verify(message: &[u8], signature: &[u8; 64], key: &[u8; 32]) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(message, signature).is_ok()
}

impl Signer for KeySigner {
    fn key(&self) -> [u8; 32] {
        let mut key = [0; 32];
        key.copy_from_slice(self.0.public_key().as_ref());
        key
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.0.sign(message).as_ref());
        signature
    }

    fn verifier(&self) -> Verify {
        verify
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_its_message_and_key_alone() {
        let signer = KeySigner::new(&[7; 32]).expect("a key");
        let again = KeySigner::new(&[7; 32]).expect("the same key");
        let other = KeySigner::new(&[8; 32]).expect("another key");
        assert_eq!(signer.key(), again.key());
        let signature = signer.sign(b"seven");
        assert!(verify(b"seven", &signature, &signer.key()));
        assert!(!verify(b"eight", &signature, &signer.key()));
        assert!(!verify(b"seven", &signature, &other.key()));
        for at in 0..64 {
            let mut bent = signature;
            bent[at] ^= 1;
            assert!(!verify(b"seven", &bent, &signer.key()), "byte {at}");
        }
    }
}
