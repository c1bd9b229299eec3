//! One task turns the live feed into frames: each event once per tenant, shared by all its sockets.
//!
//! Invariant: a ring per tenant holds what the slowest socket has not taken yet, up to a bound; a
//! socket that falls behind it is cut off with its number, and nobody else notices.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::frame::Frame;
use super::rooms::Room;
use crate::application::events::Delta;
use crate::application::external::Beat;
use crate::application::ports::journal::{Appended, Stream};
use crate::domain::event::StoredEvent;
use crate::domain::ids::{SessionId, TenantId};
use crate::presentation::api::state::AppState;

/// Frames that became ready together.
#[derive(Debug)]
pub struct Batch {
    /// Number before the first event in it; `None` when it has no events.
    pub before: Option<u64>,
    /// The frames, in order.
    pub frames: Vec<Frame>,
    /// Frames of the tenant up to and with this batch.
    pub frames_so_far: u64,
    /// Bytes of the tenant up to and with this batch.
    pub bytes_so_far: u64,
}

/// The live frames of one tenant.
pub struct Channel {
    ring: broadcast::Sender<Arc<Batch>>,
    frames: AtomicU64,
    bytes: AtomicU64,
    rooms: Mutex<HashMap<Room, usize>>,
}

impl Channel {
    /// Everything from now on.
    #[must_use]
    pub fn listen(&self) -> broadcast::Receiver<Arc<Batch>> {
        self.ring.subscribe()
    }

    /// Frames and bytes that were ever sent here.
    #[must_use]
    pub fn sent(&self) -> (u64, u64) {
        (self.frames.load(Ordering::Acquire), self.bytes.load(Ordering::Acquire))
    }

    /// Counts a socket into a room.
    pub fn enter(&self, room: Room) {
        *self.rooms.lock().unwrap_or_else(PoisonError::into_inner).entry(room).or_default() += 1;
    }

    /// Counts a socket out of a room.
    pub fn leave(&self, room: Room) {
        let mut rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = rooms.get_mut(&room) {
            *count -= 1;
            if *count == 0 {
                rooms.remove(&room);
            }
        }
    }

    /// Rooms with their sockets.
    #[must_use]
    pub fn rooms(&self) -> Vec<(String, usize)> {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: Vec<_> = rooms.iter().map(|(room, n)| (room.to_string(), *n)).collect();
        counts.sort();
        counts
    }

    fn is_watched(&self, session: SessionId) -> bool {
        self.is_entered(&[Room::Session(session)])
    }

    fn is_entered(&self, any: &[Room]) -> bool {
        let rooms = self.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        any.iter().any(|room| rooms.contains_key(room))
    }

    fn send(&self, before: Option<u64>, frames: Vec<Frame>) {
        let (count, size) = (frames.len() as u64, frames.iter().map(|f| f.text.len() as u64).sum());
        let frames_so_far = self.frames.fetch_add(count, Ordering::AcqRel) + count;
        let bytes_so_far = self.bytes.fetch_add(size, Ordering::AcqRel) + size;
        // Without a socket there is nobody to tell, which is no failure.
        drop(self.ring.send(Arc::new(Batch { before, frames, frames_so_far, bytes_so_far })));
    }
}

/// The channels of all tenants that have sockets.
pub struct Hub {
    channels: Mutex<HashMap<TenantId, Arc<Channel>>>,
    /// Batches that a ring holds; older ones make a slow socket lag.
    capacity: usize,
}

impl Hub {
    /// No channels yet; each holds this many batches.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { channels: Mutex::default(), capacity: capacity.max(1) }
    }

    /// The channel of a tenant; made when it has none.
    #[must_use]
    pub fn join(&self, tenant: TenantId) -> Arc<Channel> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channels.entry(tenant).or_insert_with(|| {
            Arc::new(Channel {
                ring: broadcast::channel(self.capacity).0,
                frames: AtomicU64::new(0),
                bytes: AtomicU64::new(0),
                rooms: Mutex::default(),
            })
        });
        Arc::clone(channel)
    }

    /// The channel of a tenant that somebody listens to.
    fn heard(&self, tenant: TenantId) -> Option<Arc<Channel>> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = channels.get(&tenant)?;
        if Arc::strong_count(channel) == 1 && channel.ring.receiver_count() == 0 {
            channels.remove(&tenant);
            return None;
        }
        Some(Arc::clone(channel))
    }

    fn all(&self) -> Vec<Arc<Channel>> {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.values().cloned().collect()
    }

    fn events(&self, batch: &[StoredEvent]) {
        for events in batch.chunk_by(|one, next| one.tenant_id == next.tenant_id) {
            let Some(first) = events.first() else { continue };
            if first.tenant_id == TenantId::SYSTEM {
                // They are no part of a tenant's sequence: administrators of the server are told
                // who listen now.
                if let Some(channel) = self.heard(TenantId::BOOTSTRAP) {
                    channel.send(None, events.iter().map(Frame::of_system).collect());
                }
                continue;
            }
            if let Some(channel) = self.heard(first.tenant_id) {
                let frames = events.iter().map(Frame::event).collect();
                channel.send(Some(first.seq.saturating_sub(1)), frames);
            }
        }
    }

    fn lines(&self, appended: &Appended) {
        let Appended { tenant, session, stream, entries } = appended;
        if *stream != Stream::Log {
            return;
        }
        if let Some(channel) = self.heard(*tenant).filter(|channel| channel.is_watched(*session)) {
            let frame = |entry| Frame::log(*tenant, *session, entry);
            channel.send(None, entries.iter().map(frame).collect());
        }
    }

    fn words(&self, delta: &Delta) {
        let channel = self.heard(delta.tenant);
        if let Some(channel) = channel.filter(|channel| channel.is_watched(delta.session)) {
            channel.send(None, vec![Frame::delta(delta)]);
        }
    }

    fn beat(&self, beat: &Beat) {
        let rooms = [Room::Agents, Room::Agent(beat.agent)];
        if let Some(channel) = self.heard(beat.tenant).filter(|channel| channel.is_entered(&rooms))
        {
            channel.send(None, vec![Frame::beat(beat)]);
        }
    }

    /// Something was missed: every socket looks into the store for itself.
    fn missed(&self) {
        for channel in self.all() {
            channel.send(Some(u64::MAX), Vec::new());
        }
    }
}

/// Turns feeds into frames until the server goes down or the store is closed.
pub async fn run(app: AppState) {
    let mut feed = app.events.feed();
    let mut appended = app.events.appended();
    let mut deltas = app.events.deltas().listen();
    let mut beats = app.external.beats();
    loop {
        tokio::select! {
            () = app.shutdown.cancelled() => return,
            news = feed.recv() => match news {
                Ok(batch) => {
                    for event in batch.iter() {
                        app.metrics.observe(event);
                    }
                    app.hub.events(&batch);
                }
                Err(RecvError::Lagged(_)) => app.hub.missed(),
                Err(RecvError::Closed) => return,
            },
            news = appended.recv() => match news {
                Ok(news) => app.hub.lines(&news),
                Err(RecvError::Lagged(missed)) => {
                    tracing::debug!(missed, "Log lines were not sent live; they can be read");
                }
                Err(RecvError::Closed) => return,
            },
            news = deltas.recv() => match news {
                Ok(delta) => app.hub.words(&delta),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            news = beats.recv() => match news {
                Ok(beat) => app.hub.beat(&beat),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}
