//! The order among waiting sessions: effective priority, then age, then id.

use std::time::Duration;

use crate::domain::ids::{SessionId, TenantId};
use crate::domain::session::spec::Priority;
use crate::domain::time::Timestamp;

/// A wait this long lifts a session by one class, so that nothing starves.
pub const AGEING: Duration = Duration::from_mins(10);

/// What the order looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Whose session.
    pub tenant: TenantId,
    /// Which session.
    pub session: SessionId,
    /// As asked for.
    pub priority: Priority,
    /// Since when it waits.
    pub queued_at: Timestamp,
}

impl Waiting {
    /// Smaller comes first: effective priority, then `queued_at`, then id.
    #[must_use]
    pub fn rank(&self, now: Timestamp) -> (u8, Timestamp, SessionId) {
        let lifted = now.since(self.queued_at).as_secs() / AGEING.as_secs();
        let lifted = u8::try_from(lifted).unwrap_or(u8::MAX);
        (self.priority.level().saturating_sub(lifted), self.queued_at, self.session)
    }
}
