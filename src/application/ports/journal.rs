//! The journal: logs and transcripts, in volume, beside the store's records.
//!
//! Invariant: entries of one stream are numbered 1, 2, 3 … in the order of appending; an append is
//! durable once it returns.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::broadcast;

use super::store::{CommitError, StoreError};
use crate::closed_enum;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::time::Timestamp;

closed_enum!(
    /// The streams of a session.
    Stream {
        Log = "log",
        Transcript = "transcript",
    }
);

/// An entry before it has a number.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntry {
    /// When.
    pub at: Timestamp,
    /// For a log its level; for a transcript `user`, `text`, `reasoning`, `tool`, `todo`, `notice`.
    pub kind: String,
    /// The content; a log line has `message`.
    pub body: Value,
}

impl NewEntry {
    /// What it counts for: its bytes as JSON and a little for the rest.
    #[must_use]
    pub fn weight(&self) -> usize {
        /// What an entry takes beside its body.
        const REST: usize = 16;
        let mut counted = Counted(0);
        // Counting never fails.
        write!(counted, "{}", self.body).ok();
        counted.0 + self.kind.len() + REST
    }
}

/// Counts what is written to it.
struct Counted(usize);

impl fmt::Write for Counted {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

/// An entry as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its number in the stream.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// As in `NewEntry`.
    pub kind: String,
    /// As in `NewEntry`.
    pub body: Value,
}

/// What was just appended.
#[derive(Debug, Clone, PartialEq)]
pub struct Appended {
    /// Whose session.
    pub tenant: TenantId,
    /// Which session.
    pub session: SessionId,
    /// Which stream.
    pub stream: Stream,
    /// The entries, in order.
    pub entries: Vec<Entry>,
}

/// Logs and transcripts of sessions.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Appends entries and returns the number of the last one. Durable once it returns.
    ///
    /// # Errors
    /// `CommitError::ReadOnly`, `Busy` or a store failure.
    async fn append(
        &self,
        tenant: TenantId,
        session: SessionId,
        stream: Stream,
        entries: Vec<NewEntry>,
    ) -> Result<u64, CommitError>;

    /// Entries with a larger number, in order, at most `limit`.
    ///
    /// # Errors
    /// `StoreError`.
    async fn read(
        &self,
        tenant: TenantId,
        session: SessionId,
        stream: Stream,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError>;

    /// The weight of all entries of a session, of both streams.
    ///
    /// # Errors
    /// `StoreError`.
    async fn weight(&self, tenant: TenantId, session: SessionId) -> Result<u64, StoreError>;

    /// What is appended from now on; a reader that lags reads the gap.
    fn appended(&self) -> broadcast::Receiver<Arc<Appended>>;
}
