//! Lines on their way to the journal: gathered for a moment, so that many become one write.
//!
//! Invariant: the journal of one session stays within its bound; what goes beyond is dropped and
//! counted, and the session goes on. What waits is bounded too, however long nothing can be written.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::application::ports::driver::TranscriptItem;
use crate::application::ports::journal::{Journal, NewEntry, Stream};
use crate::application::session::report::Holder;
use crate::domain::time::Timestamp;

/// Entries gathered before they are written without waiting for the next moment.
const FULL: usize = 64;
/// Entries that wait while nothing can be written; the oldest give way.
const MOST: usize = FULL * 64;
/// A heavier line is cut.
const HEAVIEST_LINE: usize = 4 * 1024 * 1024;
/// What is left of it, in characters.
const CUT_TO: usize = 64 * 1024;

/// Lines that are not written yet. They are lost with the process; what an agent said can be read
/// again from its own conversation.
pub struct Outbox {
    holder: Holder,
    journal: Arc<dyn Journal>,
    transcript: VecDeque<NewEntry>,
    log: VecDeque<NewEntry>,
    /// What the journal may hold; 0 sets no bound.
    bound: u64,
    /// What it holds with what waits.
    weight: u64,
    /// It is full, and its last line says so.
    is_full: bool,
    /// The last try to write failed.
    is_stuck: bool,
    /// Lines that came since the last try to write.
    fresh: usize,
    dropped: u64,
}

impl Outbox {
    /// An empty outbox of one session, whose journal may hold `bound` bytes; 0 sets no bound.
    #[must_use]
    pub const fn new(holder: Holder, journal: Arc<dyn Journal>, bound: u64) -> Self {
        Self {
            holder,
            journal,
            transcript: VecDeque::new(),
            log: VecDeque::new(),
            bound,
            weight: 0,
            is_full: false,
            is_stuck: false,
            fresh: 0,
            dropped: 0,
        }
    }

    /// Learns what earlier attempts have written.
    pub async fn begin(&mut self) {
        let (tenant, session) = (self.holder.tenant, self.holder.session);
        match self.journal.weight(tenant, session).await {
            Ok(weight) => self.weight = self.weight.saturating_add(weight),
            Err(error) => {
                tracing::warn!(session.id = %session, %error, "The journal of session {session} could not be weighed");
            }
        }
    }

    /// Adds a piece of the transcript.
    pub fn transcript(&mut self, item: TranscriptItem, at: Timestamp) {
        let TranscriptItem { id, kind, mut body } = item;
        if let Some(map) = body.as_object_mut() {
            map.insert("id".to_owned(), id.into());
        }
        self.add(Stream::Transcript, NewEntry { at, kind: kind.to_owned(), body });
    }

    /// Adds a line of the log.
    pub fn log(&mut self, level: &str, message: &str, at: Timestamp) {
        let body = json!({ "message": message });
        self.add(Stream::Log, NewEntry { at, kind: level.to_owned(), body });
    }

    fn add(&mut self, stream: Stream, entry: NewEntry) {
        if self.is_full {
            self.dropped += 1;
            return;
        }
        let (entry, weight) = cut(entry);
        let with = self.weight.saturating_add(weight);
        if self.bound > 0 && with > self.bound {
            self.is_full = true;
            self.dropped += 1;
            let last = last_line(self.bound, entry.at);
            self.wait(Stream::Log, last);
            return;
        }
        self.weight = with;
        self.wait(stream, entry);
    }

    fn wait(&mut self, stream: Stream, entry: NewEntry) {
        let waiting = match stream {
            Stream::Transcript => &mut self.transcript,
            Stream::Log => &mut self.log,
        };
        if waiting.len() >= MOST {
            waiting.pop_front();
            self.dropped += 1;
        }
        waiting.push_back(entry);
        self.fresh += 1;
    }

    /// Whether anything waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.transcript.is_empty() && self.log.is_empty()
    }

    /// Whether so much came that it should be written at once.
    #[must_use]
    pub const fn is_due(&self) -> bool {
        self.fresh >= FULL
    }

    /// Whether the last try to write failed.
    #[must_use]
    pub const fn is_stuck(&self) -> bool {
        self.is_stuck
    }

    /// Writes what waits. What cannot be written stays for the next try, up to a bound.
    pub async fn flush(&mut self) {
        self.fresh = 0;
        let (tenant, session) = (self.holder.tenant, self.holder.session);
        for (stream, waiting) in
            [(Stream::Transcript, &mut self.transcript), (Stream::Log, &mut self.log)]
        {
            if waiting.is_empty() {
                continue;
            }
            let entries = waiting.iter().cloned().collect();
            match self.journal.append(tenant, session, stream, entries).await {
                Ok(_) => {
                    waiting.clear();
                    self.is_stuck = false;
                }
                Err(error) => {
                    // Once for each time of trouble, which may be long.
                    if !self.is_stuck {
                        tracing::warn!(session.id = %session, %error, "The journal of session {session} could not be written");
                    }
                    self.is_stuck = true;
                }
            }
        }
    }
}

/// Tells how much was lost.
impl Drop for Outbox {
    fn drop(&mut self) {
        let (session, lines) = (self.holder.session, self.dropped);
        if lines > 0 {
            tracing::warn!(session.id = %session, lines, "{lines} lines of session {session} were dropped: its journal was full or could not be written");
        }
    }
}

/// The entry, cut when it is too heavy, and its weight.
fn cut(entry: NewEntry) -> (NewEntry, u64) {
    let mut entry = entry;
    let mut weight = entry.weight();
    if weight > HEAVIEST_LINE {
        let start: String = entry.body.to_string().chars().take(CUT_TO).collect();
        let id = entry.body.get("id").and_then(Value::as_str).filter(|id| id.len() < 256);
        let message = format!("a line of {weight} bytes was cut: {start}");
        entry.body = match id {
            Some(id) => json!({ "id": id, "message": message }),
            None => json!({ "message": message }),
        };
        weight = entry.weight();
    }
    (entry, u64::try_from(weight).unwrap_or(u64::MAX))
}

fn last_line(bound: u64, at: Timestamp) -> NewEntry {
    let message = format!(
        "the journal of this session is full ({} MiB): its further lines are dropped, and it goes on",
        bound.div_ceil(1024 * 1024)
    );
    NewEntry { at, kind: "warn".to_owned(), body: json!({ "message": message }) }
}

#[cfg(test)]
mod tests;
