//! What happened and what is being said, for those who follow: stored events and journal lines with
//! a number each, and words as they come without.

pub mod follow;

use std::sync::Arc;

use tokio::sync::broadcast;

use self::follow::{EventFollower, JournalFollower};
use super::error::AppError;
use super::ports::journal::{Entry, Journal, Stream};
use super::ports::reads::Snapshot;
use super::ports::store::Store;
use crate::domain::event::StoredEvent;
use crate::domain::ids::{SessionId, TenantId};
use crate::domain::time::Timestamp;

/// Words of an agent as they come. Never stored; a listener that lags misses some.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    /// Whose session.
    pub tenant: TenantId,
    /// Which session.
    pub session: SessionId,
    /// Id of the transcript item that grows.
    pub part: String,
    /// What was added.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// Deltas held for a listener that is busy; older ones are dropped for it.
const DELTAS: usize = 1024;

/// Where deltas are told and heard.
#[derive(Clone)]
pub struct Deltas(broadcast::Sender<Arc<Delta>>);

impl Default for Deltas {
    fn default() -> Self {
        Self(broadcast::channel(DELTAS).0)
    }
}

impl Deltas {
    /// Tells whoever listens.
    pub fn tell(
        &self,
        tenant: TenantId,
        session: SessionId,
        part: String,
        text: String,
        at: Timestamp,
    ) {
        if self.0.receiver_count() > 0 {
            // Without a listener there is nobody to tell, which is no failure.
            drop(self.0.send(Arc::new(Delta { tenant, session, part, text, at })));
        }
    }

    /// Hears what is told from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Arc<Delta>> {
        self.0.subscribe()
    }
}

/// Reading and following events and journals.
#[derive(Clone)]
pub struct EventService {
    store: Arc<dyn Store>,
    journal: Arc<dyn Journal>,
    deltas: Deltas,
}

impl EventService {
    /// Over this store and journal.
    #[must_use]
    pub const fn new(store: Arc<dyn Store>, journal: Arc<dyn Journal>, deltas: Deltas) -> Self {
        Self { store, journal, deltas }
    }

    /// Stored events with a larger number, in order, of one session or all.
    ///
    /// # Errors
    /// `CursorExpired` when events behind `after` are no longer kept.
    pub async fn page(
        &self,
        tenant: TenantId,
        after: u64,
        session: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, AppError> {
        let snapshot = self.store.snapshot(tenant).await?;
        let oldest = oldest(&*snapshot).await?;
        if after.saturating_add(1) < oldest {
            return Err(AppError::CursorExpired { oldest: oldest - 1 });
        }
        Ok(snapshot.events(after, session, limit).await?)
    }

    /// The number before the oldest event that is kept: where a reader begins who names none.
    ///
    /// # Errors
    /// The store's.
    pub async fn start(&self, tenant: TenantId) -> Result<u64, AppError> {
        Ok(oldest(&*self.store.snapshot(tenant).await?).await? - 1)
    }

    /// Number of the newest event.
    ///
    /// # Errors
    /// The store's.
    pub async fn head(&self, tenant: TenantId) -> Result<u64, AppError> {
        Ok(self.store.snapshot(tenant).await?.last_seq().await?)
    }

    /// Every event behind `after` (the newest when omitted), and then every one as it happens.
    ///
    /// # Errors
    /// `CursorExpired`, or the store's.
    pub async fn follow(
        &self,
        tenant: TenantId,
        after: Option<u64>,
        session: Option<SessionId>,
    ) -> Result<EventFollower, AppError> {
        EventFollower::begin(self.clone(), tenant, after, session).await
    }

    /// Journal entries with a larger number, in order.
    ///
    /// # Errors
    /// `SessionNotFound`, or the store's.
    pub async fn entries(
        &self,
        tenant: TenantId,
        session: SessionId,
        stream: Stream,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, AppError> {
        let found = self.store.snapshot(tenant).await?.session(session).await?;
        found.ok_or(AppError::SessionNotFound)?;
        Ok(self.journal.read(tenant, session, stream, after, limit).await?)
    }

    /// Every entry behind `after`, and then every one as it is appended.
    ///
    /// # Errors
    /// `SessionNotFound`, or the store's.
    pub async fn follow_entries(
        &self,
        tenant: TenantId,
        session: SessionId,
        stream: Stream,
        after: u64,
    ) -> Result<JournalFollower, AppError> {
        JournalFollower::begin(self.clone(), tenant, session, stream, after).await
    }

    /// Words as they come, of all sessions of all tenants: whoever listens must filter.
    #[must_use]
    pub const fn deltas(&self) -> &Deltas {
        &self.deltas
    }

    /// The feed of committed events of all tenants: whoever listens must filter.
    #[must_use]
    pub fn feed(&self) -> broadcast::Receiver<Arc<Vec<StoredEvent>>> {
        self.store.feed()
    }

    /// What is appended to journals of all tenants: whoever listens must filter.
    #[must_use]
    pub fn appended(&self) -> broadcast::Receiver<Arc<super::ports::journal::Appended>> {
        self.journal.appended()
    }
}

/// Number of the oldest event that is kept, or of the next one when none is.
async fn oldest(snapshot: &dyn Snapshot) -> Result<u64, AppError> {
    Ok(match snapshot.first_seq().await? {
        0 => snapshot.last_seq().await? + 1,
        oldest => oldest,
    })
}
