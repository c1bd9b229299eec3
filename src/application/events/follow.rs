//! Stored and live as one stream: subscribe first, then replay, then drop what is known already.
//!
//! Invariant: numbers rise by one (of one session: they only rise); nothing is left out and nothing
//! comes twice, whatever the live feed does.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::EventService;
use crate::application::error::AppError;
use crate::application::ports::journal::{Appended, Entry, Stream};
use crate::domain::event::StoredEvent;
use crate::domain::ids::{SessionId, TenantId};

/// Entries read from the store at once.
const PAGE: usize = 500;

/// Follows the events of a tenant, or of one of its sessions.
pub struct EventFollower {
    events: EventService,
    tenant: TenantId,
    session: Option<SessionId>,
    feed: Receiver<Arc<Vec<StoredEvent>>>,
    last: u64,
    ready: VecDeque<StoredEvent>,
    replaying: bool,
}

impl EventFollower {
    pub(super) async fn begin(
        events: EventService,
        tenant: TenantId,
        after: Option<u64>,
        session: Option<SessionId>,
    ) -> Result<Self, AppError> {
        let feed = events.feed();
        let last = match after {
            Some(after) => after,
            None => events.head(tenant).await?,
        };
        let ready = events.page(tenant, last, session, PAGE).await?.into();
        Ok(Self { events, tenant, session, feed, last, ready, replaying: true })
    }

    /// The number of the newest event that was given out or skipped over.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.last
    }

    /// The next event; waits for it. `None` when the store is closed.
    ///
    /// # Errors
    /// `CursorExpired` when the follower was so slow that what it needs is no longer kept.
    pub async fn next(&mut self) -> Result<Option<StoredEvent>, AppError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.last = event.seq;
                return Ok(Some(event));
            }
            if self.replaying {
                let page = self.events.page(self.tenant, self.last, self.session, PAGE).await?;
                self.replaying = page.len() == PAGE;
                self.ready = page.into();
                continue;
            }
            match self.feed.recv().await {
                Ok(batch) => self.take(&batch),
                Err(RecvError::Lagged(_)) => self.replaying = true,
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    fn take(&mut self, batch: &[StoredEvent]) {
        let (last, tenant, session) = (self.last, self.tenant, self.session);
        let wanted = batch.iter().filter(|event| {
            event.tenant_id == tenant
                && event.seq > last
                && session.is_none_or(|session| concerns(event, session))
        });
        self.ready.extend(wanted.cloned());
    }
}

/// Whether an event is about a session, or names it.
#[must_use]
pub fn concerns(event: &StoredEvent, session: SessionId) -> bool {
    let event = &event.event;
    let named = event.payload.get("session_id").and_then(serde_json::Value::as_str);
    event.subject.id == session.uuid() || named.is_some_and(|id| id == session.to_string())
}

/// Follows one stream of a session's journal.
pub struct JournalFollower {
    events: EventService,
    tenant: TenantId,
    session: SessionId,
    stream: Stream,
    feed: Receiver<Arc<Appended>>,
    last: u64,
    ready: VecDeque<Entry>,
    replaying: bool,
}

impl JournalFollower {
    pub(super) async fn begin(
        events: EventService,
        tenant: TenantId,
        session: SessionId,
        stream: Stream,
        after: u64,
    ) -> Result<Self, AppError> {
        let feed = events.appended();
        let ready = events.entries(tenant, session, stream, after, PAGE).await?.into();
        Ok(Self { events, tenant, session, stream, feed, last: after, ready, replaying: true })
    }

    /// The next entry; waits for it. `None` when the store is closed.
    ///
    /// # Errors
    /// The store's.
    pub async fn next(&mut self) -> Result<Option<Entry>, AppError> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                self.last = entry.seq;
                return Ok(Some(entry));
            }
            if self.replaying {
                let (tenant, session, stream) = (self.tenant, self.session, self.stream);
                let page = self.events.entries(tenant, session, stream, self.last, PAGE).await?;
                self.replaying = page.len() == PAGE;
                self.ready = page.into();
                continue;
            }
            match self.feed.recv().await {
                Ok(appended) => self.take(&appended),
                Err(RecvError::Lagged(_)) => self.replaying = true,
                Err(RecvError::Closed) => return Ok(None),
            }
        }
    }

    fn take(&mut self, appended: &Appended) {
        let mine = appended.tenant == self.tenant
            && appended.session == self.session
            && appended.stream == self.stream;
        if mine {
            let last = self.last;
            self.ready.extend(appended.entries.iter().filter(|entry| entry.seq > last).cloned());
        }
    }
}
