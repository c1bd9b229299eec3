//! Files that agents bring back, kept outside the store.

use async_trait::async_trait;

use crate::domain::eap::result::Encoding;
use crate::domain::ids::{SessionId, TenantId};

/// A file that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Bytes.
    pub size: u64,
}

/// Why a file is not kept, or not there.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// It is not spelled as it says.
    #[error("its content is not spelled in base64")]
    Misspelled,
    /// It is not there any more.
    #[error("the file is gone")]
    Gone,
    /// The disk.
    #[error("the file cannot be kept or read: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Keeps files, each session's for itself.
#[async_trait]
pub trait ArtifactFiles: Send + Sync {
    /// Keeps a file under its hash; durable when this returns.
    ///
    /// # Errors
    /// `Misspelled`, `Failed`.
    async fn keep(
        &self,
        of: (TenantId, SessionId),
        content: &str,
        encoding: Encoding,
    ) -> Result<Kept, ArtifactError>;
    /// The bytes behind a hash, which are checked against it.
    ///
    /// # Errors
    /// `Gone`, `Failed`.
    async fn read(
        &self,
        of: (TenantId, SessionId),
        sha256: [u8; 32],
    ) -> Result<Vec<u8>, ArtifactError>;
    /// All files of a session go.
    ///
    /// # Errors
    /// `Failed`.
    async fn remove(&self, of: (TenantId, SessionId)) -> Result<(), ArtifactError>;
}
