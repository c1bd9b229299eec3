//! Keeping secrets that have to be used again: sealed with a key that lies apart from the store.
//!
//! Invariant: what was sealed for one purpose opens for no other: whoever moves it from one record to
//! another, or from one tenant to another, has nothing.

/// Why something cannot be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// It was sealed with another key than this server has.
    #[error("it was sealed with another seal.key than this server has")]
    OtherKey,
    /// It is not what was sealed, or was sealed for something else.
    #[error("it is not what was sealed")]
    Damaged,
    /// The system did not do it.
    #[error("it cannot be sealed now")]
    Failed,
}

/// Seals and opens.
pub trait Sealer: Send + Sync {
    /// The bytes as they may be stored, bound to a purpose.
    ///
    /// # Errors
    /// `SealError::Failed`.
    fn seal(&self, plain: &[u8], bound_to: &[u8]) -> Result<Vec<u8>, SealError>;

    /// The text that was sealed for this purpose.
    ///
    /// # Errors
    /// `SealError`.
    fn open(&self, sealed: &[u8], bound_to: &[u8]) -> Result<String, SealError>;

    /// 32 bytes that follow from the key and a purpose, and that nobody can guess without the key
    /// (HMAC-SHA256), spelled so that they may stand in a URL: a secret that need not be stored.
    fn derive(&self, purpose: &[u8]) -> String;
}
