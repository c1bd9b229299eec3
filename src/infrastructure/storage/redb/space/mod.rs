//! Room on the disk of the store: two marks, and a ballast that is given up in need.
//!
//! Below the low mark no new sessions are made. Below the size of the ballast the ballast is given
//! back to the disk, so that what runs can still be brought to its end; should that room go too,
//! nothing but changes of state is written.
//!
//! Invariant: the ballast is made only where more than the low mark stays free beside it, and a disk
//! that cannot tell its room has neither marks nor ballast.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::medium::Medium;

/// How often the room is looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A ballast smaller than this would not do: trying the disk alone takes half of it.
const LEAST_BALLAST: u64 = 2 * MIB;
/// The low mark takes at most this part of a disk.
const LOW_PART: u64 = 16;
/// The ballast takes at most this part of a disk.
const BALLAST_PART: u64 = 128;
/// Looks that are let go by after the ballast could not be made.
const LOOKS_OFF: u32 = 60;
const MIB: u64 = 1024 * 1024;
/// Free bytes of a disk that does not tell.
const UNKNOWN: u64 = u64::MAX;

/// Room on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that this user may still write.
    pub free: u64,
    /// Bytes of the whole disk.
    pub total: u64,
}

/// What is kept free; each 0 switches its part off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceOptions {
    /// Below so many free bytes no new sessions are made.
    pub low_bytes: u64,
    /// Size of the ballast.
    pub ballast_bytes: u64,
}

impl SpaceOptions {
    /// The marks for a disk of this size: on a small one they are smaller.
    #[must_use]
    pub const fn for_disk(self, total: u64) -> Self {
        let ballast = least(self.ballast_bytes, total / BALLAST_PART);
        Self {
            low_bytes: least(self.low_bytes, total / LOW_PART),
            ballast_bytes: if ballast < LEAST_BALLAST { 0 } else { ballast },
        }
    }

    /// Why no new sessions are made with so much room; `None` when they are.
    #[must_use]
    pub fn shortage(self, room: Room) -> Option<String> {
        let low = self.for_disk(room.total).low_bytes;
        (room.free < low).then(|| {
            let (free, low) = (room.free / MIB, low.div_ceil(MIB));
            format!("{free} MiB are free on its disk, and below {low} MiB no new sessions are made")
        })
    }
}

const fn least(one: u64, other: u64) -> u64 {
    if one < other { one } else { other }
}

/// What is known of the room, and the ballast.
pub(super) struct Space {
    options: SpaceOptions,
    free: AtomicU64,
    total: AtomicU64,
    /// The ballast lies on the disk.
    is_held: AtomicBool,
    /// The room that the ballast gave is used up, too.
    is_last: AtomicBool,
    off: AtomicU32,
}

impl Space {
    /// The low mark on a disk of this size.
    pub(super) const fn low_bytes(&self, total: u64) -> u64 {
        self.options.for_disk(total).low_bytes
    }

    /// Nothing is known yet.
    pub(super) const fn new(options: SpaceOptions) -> Self {
        Self {
            options,
            free: AtomicU64::new(UNKNOWN),
            total: AtomicU64::new(UNKNOWN),
            is_held: AtomicBool::new(false),
            is_last: AtomicBool::new(false),
            off: AtomicU32::new(0),
        }
    }

    /// Free bytes, where the disk tells.
    pub(super) fn free(&self) -> Option<u64> {
        Some(self.free.load(Ordering::Relaxed)).filter(|free| *free != UNKNOWN)
    }

    /// Why no new sessions are made.
    pub(super) fn shortage(&self) -> Option<String> {
        let room = Room { free: self.free()?, total: self.total.load(Ordering::Relaxed) };
        self.options.shortage(room)
    }

    /// Whether only changes of state are written.
    pub(super) fn is_last(&self) -> bool {
        self.is_last.load(Ordering::Relaxed)
    }

    /// What an earlier process left is ours; looks without taking any room.
    pub(super) fn begin(&self, medium: &dyn Medium) {
        self.is_held.store(medium.has_ballast(), Ordering::Relaxed);
        self.measure(medium);
    }

    /// Looks, gives the ballast up when there is need, and makes it when there is ample room.
    pub(super) fn look(&self, medium: &dyn Medium) {
        let Some((room, marks)) = self.measure(medium) else { return };
        let (low, ballast) = (marks.low_bytes, marks.ballast_bytes);
        let is_held = self.is_held.load(Ordering::Relaxed);
        if ballast == 0 && is_held {
            self.give_up(medium, "it is switched off");
        }
        let ample = low.max(2 * ballast) + ballast;
        if ballast == 0 || is_held || room.free < ample {
            return;
        }
        let off = self.off.load(Ordering::Relaxed);
        if off > 0 {
            self.off.store(off - 1, Ordering::Relaxed);
            return;
        }
        match medium.take_ballast(ballast) {
            Ok(()) => {
                self.is_held.store(true, Ordering::Relaxed);
                self.measure(medium);
            }
            Err(error) => {
                self.off.store(LOOKS_OFF, Ordering::Relaxed);
                tracing::warn!(%error, "No room could be set aside beside the store");
            }
        }
    }

    /// A commit failed: whatever the reason, its room is needed more than the ballast is.
    pub(super) fn commit_failed(&self, medium: &dyn Medium) {
        if self.is_held.load(Ordering::Relaxed) {
            self.give_up(medium, "a commit failed");
        }
        self.measure(medium);
    }

    fn measure(&self, medium: &dyn Medium) -> Option<(Room, SpaceOptions)> {
        let mut room = medium.room()?;
        let marks = self.options.for_disk(room.total);
        if room.free < marks.ballast_bytes && self.is_held.load(Ordering::Relaxed) {
            self.give_up(medium, "the disk is almost full");
            room = medium.room()?;
        }
        let was_short = self.shortage();
        self.free.store(room.free, Ordering::Relaxed);
        self.total.store(room.total, Ordering::Relaxed);
        self.is_last.store(room.free < marks.ballast_bytes, Ordering::Relaxed);
        match (was_short, self.shortage()) {
            (None, Some(reason)) => tracing::warn!(reason, "The store is short of room: {reason}"),
            (Some(_), None) => tracing::info!("The store has room again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        Some((room, marks))
    }

    fn give_up(&self, medium: &dyn Medium, why: &str) {
        match medium.drop_ballast() {
            Ok(()) => {
                self.is_held.store(false, Ordering::Relaxed);
                tracing::warn!(why, "The room that was set aside is given back to the disk: {why}");
            }
            Err(error) => tracing::warn!(%error, "The room that was set aside could not be freed"),
        }
    }
}

#[cfg(test)]
mod tests;
