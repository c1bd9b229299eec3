//! Everything that is stored, as bytes that can be carried away: a backup, which is the store itself
//! at one moment, and an export, which anybody can read.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::store::StoreError;
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;

/// Bytes in the order in which they are made. An error is the last that comes: what came before it
/// is not complete.
pub type Chunks = mpsc::Receiver<Result<Vec<u8>, StoreError>>;

/// Who wants a backup, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Who.
    pub by: String,
    /// Why, when that was said.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// What an export holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// Only this tenant; all of them when `None`.
    pub tenant: Option<TenantId>,
    /// Texts that look like secrets are replaced, and what keys are recognised by is left out.
    pub redact: bool,
}

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// One at a time.
    #[error("another backup is being made")]
    Busy,
    /// The copy would not fit.
    #[error("{0}")]
    NoRoom(String),
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes copies of a store that is in use.
#[async_trait]
pub trait Archives: Send + Sync {
    /// Copies everything as it stands at one moment, then gives the archive of it. Writers go on.
    ///
    /// # Errors
    /// `ArchiveError`, before the first byte.
    async fn backup(&self, wanted: Wanted) -> Result<Chunks, ArchiveError>;

    /// Gives everything as lines of JSON, as it stands at one moment.
    ///
    /// # Errors
    /// `ArchiveError`, before the first byte.
    async fn export(&self, extent: Extent) -> Result<Chunks, ArchiveError>;

    /// When the store was put back from a backup, if it ever was: numbers that somebody read before
    /// may since stand for something else.
    fn restored_at(&self) -> Option<Timestamp>;

    /// Since when the oldest copy that is being made reads, if one is.
    fn reading_since(&self) -> Option<Timestamp>;
}
