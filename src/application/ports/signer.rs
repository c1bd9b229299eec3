//! The server's own signature.

use crate::domain::audit::checkpoint::Verify;

/// A key that only this server has (Ed25519).
pub trait Signer: Send + Sync {
    /// The public half, by which everybody can check.
    fn key(&self) -> [u8; 32];
    /// A signature of a message.
    fn sign(&self, message: &[u8]) -> [u8; 64];
    /// What tells whether a signature is genuine.
    fn verifier(&self) -> Verify;
}
