//! Lines on their way to the journal: gathered for a moment, so that many become one write.

use std::sync::Arc;

use serde_json::json;

use crate::application::ports::driver::TranscriptItem;
use crate::application::ports::journal::{Journal, NewEntry, Stream};
use crate::application::session::report::Holder;
use crate::domain::time::Timestamp;

/// Entries gathered before they are written without waiting for the next moment.
const FULL: usize = 64;

/// Lines that are not written yet. They are lost with the process; what an agent said can be read
/// again from its own conversation.
pub struct Outbox {
    holder: Holder,
    journal: Arc<dyn Journal>,
    transcript: Vec<NewEntry>,
    log: Vec<NewEntry>,
}

impl Outbox {
    /// An empty outbox of one session.
    #[must_use]
    pub const fn new(holder: Holder, journal: Arc<dyn Journal>) -> Self {
        Self { holder, journal, transcript: Vec::new(), log: Vec::new() }
    }

    /// Adds a piece of the transcript.
    pub fn transcript(&mut self, item: TranscriptItem, at: Timestamp) {
        let TranscriptItem { id, kind, mut body } = item;
        if let Some(map) = body.as_object_mut() {
            map.insert("id".to_owned(), id.into());
        }
        self.transcript.push(NewEntry { at, kind: kind.to_owned(), body });
    }

    /// Adds a line of the log.
    pub fn log(&mut self, level: &str, message: &str, at: Timestamp) {
        let body = json!({ "message": message });
        self.log.push(NewEntry { at, kind: level.to_owned(), body });
    }

    /// Whether anything waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.transcript.is_empty() && self.log.is_empty()
    }

    /// Whether so much waits that it should be written at once.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.transcript.len() + self.log.len() >= FULL
    }

    /// Writes what waits. What cannot be written stays for the next try, up to a bound.
    pub async fn flush(&mut self) {
        for (stream, entries) in
            [(Stream::Transcript, &mut self.transcript), (Stream::Log, &mut self.log)]
        {
            if entries.is_empty() {
                continue;
            }
            let (tenant, session) = (self.holder.tenant, self.holder.session);
            match self.journal.append(tenant, session, stream, entries.clone()).await {
                Ok(_) => entries.clear(),
                Err(error) => {
                    tracing::warn!(session.id = %session, %error, "The journal of session {session} could not be written");
                    let extra = entries.len().saturating_sub(FULL * 64);
                    entries.drain(..extra);
                }
            }
        }
    }
}
