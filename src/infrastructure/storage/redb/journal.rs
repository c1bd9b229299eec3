//! The journal in the embedded store.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::chores::Append;
use super::handle::blocking;
use super::keys;
use super::records::Chunk;
use super::rows::{Direction, Rows, View, decode, flow};
use super::tables::Table;
use super::writer::Job;
use super::{CommitError, RedbStore, StoreError};
use crate::application::ports::journal::{Appended, Entry, Journal, NewEntry, Stream};
use crate::domain::ids::{SessionId, TenantId};

#[async_trait]
impl Journal for RedbStore {
    async fn append(
        &self,
        tenant: TenantId,
        session: SessionId,
        stream: Stream,
        entries: Vec<NewEntry>,
    ) -> Result<u64, CommitError> {
        if entries.is_empty() {
            let reader = self.shared.reader()?;
            return Ok(reader.read(|view| last(view, &keys::stream(tenant, session, stream)))?);
        }
        if self.shared.space.is_last() {
            let reason = "the last room on its disk is kept for changes of state";
            return Err(CommitError::ReadOnly(reason.to_owned()));
        }
        self.submit(|reply| Job::Append(Append { tenant, session, stream, entries }, reply)).await
    }

    async fn read(
        &self,
        tenant: TenantId,
        session: SessionId,
        stream: Stream,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let reader = self.shared.reader()?;
        blocking(reader, move |view| page(view, (tenant, session, stream), after, limit)).await
    }

    async fn weight(&self, tenant: TenantId, session: SessionId) -> Result<u64, StoreError> {
        let key = keys::journal_weight(tenant, session);
        self.shared.reader()?.read(|view| last(view, &key))
    }

    fn appended(&self) -> broadcast::Receiver<Arc<Appended>> {
        self.shared.appended.subscribe()
    }
}

/// The newest number of a stream, or the weight of both.
fn last(view: &View<'_>, head: &[u8]) -> Result<u64, StoreError> {
    let found = view.record(Table::JournalHeads, head)?;
    Ok(found.map_or(0, |super::records::Number(value)| u64::try_from(value).unwrap_or(0)))
}

fn page(
    view: &View<'_>,
    (tenant, session, stream): (TenantId, SessionId, Stream),
    after: u64,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let span = keys::chunks(tenant, session, stream);
    let wanted = keys::chunk(tenant, session, stream, after.saturating_add(1));
    // The chunk that holds the first wanted entry is the last one that begins at or before it.
    let mut from = None;
    let before = keys::Span { high: std::ops::Bound::Included(wanted.clone()), ..span.clone() };
    view.scan(Table::Journal, &before, Direction::Down, &mut |key, _| {
        from = Some(key.to_vec());
        Ok(flow(false))
    })?;
    let low = std::ops::Bound::Included(from.unwrap_or(wanted));
    let mut found: Vec<Entry> = Vec::new();
    if limit == 0 {
        return Ok(found);
    }
    view.scan(Table::Journal, &keys::Span { low, ..span }, Direction::Up, &mut |key, bytes| {
        match decode::<Chunk>(view.shared(), Table::Journal, key, bytes) {
            Ok(chunk) => {
                let room = limit - found.len();
                found
                    .extend(chunk.entries.into_iter().filter(|entry| entry.seq > after).take(room));
            }
            Err(StoreError::Quarantined) => {}
            Err(other) => return Err(other),
        }
        Ok(flow(found.len() < limit))
    })?;
    Ok(found)
}
