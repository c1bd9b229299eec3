//! The store: one door for writing, snapshots for reading.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::changes::{ChangeSet, Counter};
use super::reads::{Fleet, Snapshot};
use crate::domain::event::StoredEvent;
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::time::Timestamp;

/// Why reading failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The handle is being reopened; try again in a moment.
    #[error("the store is being reopened")]
    Unavailable,
    /// One record is damaged; it was set aside and everything else works.
    #[error("a stored record is damaged and was set aside")]
    Quarantined,
    /// A record was written by a newer version of the product.
    #[error("a stored record has schema {schema} of kind {kind}, which this version cannot read")]
    UnknownSchema {
        /// Kind byte of the envelope.
        kind: u8,
        /// Its schema number.
        schema: u16,
    },
    /// Anything else.
    #[error("the store failed")]
    Failed(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

/// Why a change set was not applied; none of it was.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Something was not as expected any more: read again, decide again.
    #[error("the decision was based on an older version")]
    Stale,
    /// A counter would have passed its bound.
    #[error("a limit of {limit} is reached")]
    Exceeded {
        /// Which counter.
        counter: Counter,
        /// The bound.
        limit: u64,
        /// The counter without this change set.
        used: u64,
    },
    /// A record of the change is larger, or nested deeper, than could be read back.
    #[error("the change holds a record that is too large to be stored")]
    TooLarge,
    /// A guarded condition does not hold.
    #[error("a condition of the change does not hold any more")]
    Refused,
    /// The disk is full or fails; reads go on, writing resumes by itself.
    #[error("the store is read-only: {0}")]
    ReadOnly(String),
    /// Too many writes are waiting.
    #[error("too many writes are waiting")]
    Busy,
    /// A record that the decision needs cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a commit gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The tenant's newest event number after it; 0 before the first event.
    pub last_seq: u64,
}

/// The sequences that numbers are taken from before a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sequence {
    /// Session codes.
    SessionCodes,
    /// Fencing tokens.
    FencingTokens,
}

/// Old rows that nobody asks for any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outdated {
    /// Events that happened before; their numbers are not given out again.
    Events(Timestamp),
    /// The same of one tenant.
    EventsOf(TenantId, Timestamp),
    /// Copies of damaged records that were set aside before.
    SetAside(Timestamp),
    /// Browsers that were signed in and whose time ended before.
    Browsers(Timestamp),
    /// An agent that is deleted, with its figures, its newest heartbeat, and what opens for it; nothing of
    /// one that is not.
    Agent(TenantId, AgentId),
    /// The audit of a tenant up to and with the entry of this number, all in one step: a chain may
    /// only begin where the caller knows that a signature vouches. The newest entry always stays.
    Audit(TenantId, u64),
}

/// What the store says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreHealth {
    /// `Some(reason)` while it refuses writes.
    pub read_only: Option<String>,
    /// `Some(reason)` while the disk has too little room for new sessions.
    pub short_of_room: Option<String>,
    /// Room on the disk; `None` where it is not known.
    pub free_bytes: Option<u64>,
    /// Records set aside since the store was made.
    pub quarantined: u64,
    /// Bytes on disk; `None` for a store without a file.
    pub file_bytes: Option<u64>,
    /// Change sets and journal chunks waiting for the writer.
    pub queued_writes: usize,
    /// Commits since start.
    pub commits: u64,
    /// Change sets applied since start; divided by commits, the size of a group.
    pub change_sets: u64,
}

/// Durable state of all tenants.
#[async_trait]
pub trait Store: Send + Sync {
    /// A consistent view of one tenant. Nothing outside that tenant can be reached through it.
    ///
    /// # Errors
    /// `StoreError`.
    async fn snapshot(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, StoreError>;

    /// A consistent view over all tenants, for scheduler, reconcilers and authentication only.
    ///
    /// # Errors
    /// `StoreError`.
    async fn fleet(&self) -> Result<Box<dyn Fleet>, StoreError>;

    /// Applies the whole set or none of it. Durable once this returns `Ok`.
    ///
    /// # Errors
    /// `CommitError`.
    async fn commit(&self, changes: ChangeSet) -> Result<Committed, CommitError>;

    /// The next number of a sequence: larger than every number given out by this process and than
    /// every committed one. A number that no commit raises the counter to may come again after a
    /// restart.
    ///
    /// # Errors
    /// `StoreError`.
    async fn allocate(&self, tenant: TenantId, sequence: Sequence) -> Result<u64, StoreError>;

    /// Committed events as they become durable, in `seq` order per tenant, one batch per commit.
    /// A follower that lags gets `Lagged` and reads the gap from a snapshot.
    fn feed(&self) -> broadcast::Receiver<Arc<Vec<StoredEvent>>>;

    /// What the store says of itself.
    fn health(&self) -> StoreHealth;

    /// Removes old rows, oldest first and, but for the audit, at most `limit` in one durable step;
    /// returns how many.
    ///
    /// # Errors
    /// `CommitError`.
    async fn remove_outdated(&self, what: Outdated, limit: usize) -> Result<usize, CommitError>;

    /// Forgets remembered answers whose time is over, at most `limit`; returns how many.
    ///
    /// # Errors
    /// `CommitError`.
    async fn forget_expired(
        &self,
        now: crate::domain::time::Timestamp,
        limit: usize,
    ) -> Result<usize, CommitError>;
}
