//! Fair locks with a name: who holds which, who waits, and in which order they are served.
//!
//! Invariant: pure. The table is told the time and is handed its fencing tokens; it says what follows.

mod ends;
mod lane;
mod table;
mod wait_for;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::ids::{AgentId, KeyId, LockId, SessionId};
use super::time::Timestamp;
use crate::closed_enum;

pub use self::ends::Departed;
pub use self::table::{LockTable, Look, Placed, Renewal};
pub use self::wait_for::Edge;

/// Most characters of a name.
pub const LONGEST_NAME: usize = 200;
/// Most names of one request.
pub const MOST_NAMES: usize = 32;
/// Bounds of the time that a grant lasts, in seconds.
pub const TTL_SECONDS: (u64, u64) = (1, 3600);
/// How long a grant lasts that names no time.
pub const DEFAULT_TTL: Duration = Duration::from_secs(30);
/// Longest wait, in seconds.
pub const LONGEST_WAIT_SECONDS: u64 = 300;
/// How long a request waits that names no time.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(10);
/// Highest priority, and the highest that ageing leads to.
pub const HIGHEST_PRIORITY: u8 = 100;
/// A waiter rises by one priority each time that it has waited this long.
pub const AGES_EVERY: Duration = Duration::from_secs(30);
/// Holds of one tenant at once: they lie in memory.
pub const MOST_HELD: usize = 100_000;
/// Waiting requests of one tenant at once.
pub const MOST_WAITING: usize = 10_000;

closed_enum!(
    /// Who else may hold the same name.
    LockMode {
        Exclusive = "exclusive",
        Shared = "shared",
    }
);

closed_enum!(
    /// Why a holder has lost its lock.
    LossReason {
        Expired = "expired",
        ForceReleased = "force_released",
        SessionEnded = "session_ended",
        AgentGone = "agent_gone",
        KeyRevoked = "key_revoked",
        Shutdown = "shutdown",
        Restart = "restart",
    }
);

/// What a lock is called within its tenant. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LockName(Arc<str>);

impl LockName {
    /// Reads `^[A-Za-z0-9][A-Za-z0-9:_./-]{0,199}$`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=LONGEST_NAME).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.chars().all(|one| one.is_ascii_alphanumeric() || ":_./-".contains(one));
        fits.then(|| Self(text.into()))
    }

    /// As it is spelled.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for LockName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Whose a lock is: the principal that asked. All its requests are of the same owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// Whoever shows this key.
    Key(KeyId),
    /// An external agent, by its token.
    Agent(AgentId),
    /// The run of a session, by its token.
    Session(SessionId),
}

impl Owner {
    /// `key`, `agent` or `session`.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::Agent(_) => "agent",
            Self::Session(_) => "session",
        }
    }

    /// The id of the principal.
    #[must_use]
    pub const fn id(self) -> uuid::Uuid {
        match self {
            Self::Key(id) => id.uuid(),
            Self::Agent(id) => id.uuid(),
            Self::Session(id) => id.uuid(),
        }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.kind(), self.id())
    }
}

/// A request for one name or for several at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// What is to be held, in byte order, each once, with the id that its hold will have. The first
    /// id is that of the request.
    pub names: Vec<(LockName, LockId)>,
    /// Who else may hold them.
    pub mode: LockMode,
    /// Whose they will be.
    pub owner: Owner,
    /// What people call the owner.
    pub label: Arc<str>,
    /// They end with this session.
    pub session: Option<SessionId>,
    /// How long the grant lasts.
    pub ttl: Duration,
    /// How long to wait; zero tries once.
    pub wait: Duration,
    /// Higher ones come first.
    pub priority: u8,
    /// For people and programs; the product does not look at it.
    pub metadata: Arc<Map<String, Value>>,
}

impl Ask {
    /// The id of the request.
    #[must_use]
    pub fn id(&self) -> Option<LockId> {
        self.names.first().map(|(_, id)| *id)
    }
}

/// A hold of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Which hold.
    pub lock_id: LockId,
    /// Of which name.
    pub name: LockName,
    /// Who else may hold it.
    pub mode: LockMode,
    /// Whose it is.
    pub owner: Owner,
    /// What people call the owner.
    pub label: Arc<str>,
    /// It ends with this session.
    pub session: Option<SessionId>,
    /// Larger than that of every earlier grant or lease of the tenant.
    pub fencing_token: u64,
    /// When it was given.
    pub acquired_at: Timestamp,
    /// When it ends unless it is renewed.
    pub expires_at: Timestamp,
    /// What a renewal adds.
    pub ttl: Duration,
    /// How often it was renewed.
    pub renewal_count: u64,
    /// How many releases it takes.
    pub hold_count: u64,
    /// Of the request.
    pub priority: u8,
    /// Of the request.
    pub metadata: Arc<Map<String, Value>>,
}

/// A request that waits, as it stands in the queue of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiter {
    /// The request.
    pub request_id: LockId,
    /// In whose queue.
    pub name: LockName,
    /// What it wants.
    pub mode: LockMode,
    /// Who waits.
    pub owner: Owner,
    /// What people call the owner.
    pub label: Arc<str>,
    /// As it was asked for.
    pub priority: u8,
    /// With what waiting has added.
    pub effective_priority: u8,
    /// Since when.
    pub requested_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// From 1.
    pub position: usize,
}

/// Why a request, a renewal or a release was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It is held, and the wait is over.
    #[error("lock {name} is held or waited for by others, and the wait is over")]
    Locked {
        /// The name that it failed at.
        name: LockName,
        /// Somebody who holds it; nobody when only others wait for it.
        holder: Option<Box<Grant>>,
        /// Where the request stood in the queue.
        position: usize,
    },
    /// It would wait for ever.
    #[error("these owners would wait for each other for ever; the youngest request is refused")]
    Deadlock {
        /// Who waits for whom, all the way round.
        cycle: Vec<Edge>,
    },
    /// Somebody else holds it.
    #[error("this lock is held by another owner")]
    NotOwned,
    /// It was held and is not any more.
    #[error("this lock is not held any more")]
    Lost,
    /// A newer grant has been given.
    #[error("this fencing token is older than the newest grant")]
    Stale,
    /// Whoever asked is not there any more.
    #[error("the session or credential that the lock was for has ended")]
    Ended,
    /// As many are held, or wait, as the tenant may have.
    #[error("as many locks are held or waited for as a tenant may have")]
    Full {
        /// The bound.
        limit: usize,
    },
    /// The block of fencing tokens is used up: another one first.
    #[error("no fencing token is reserved")]
    NoToken,
}

/// A waiting request: larger ones came later.
pub type Ticket = u64;

/// What came of something, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Happening {
    /// A request waits.
    Queued(Waiter),
    /// Names were given.
    Granted {
        /// Who had waited for them.
        ticket: Option<Ticket>,
        /// All of the request.
        grants: Vec<Grant>,
        /// How long it had waited.
        waited: Duration,
    },
    /// The last hold of a name was given back.
    Released(Grant),
    /// It lasts longer.
    Renewed(Grant),
    /// Somebody holds it no longer who did not give it back.
    Lost(Grant, LossReason),
    /// The wait of a request is over.
    TimedOut {
        /// Whose.
        ticket: Ticket,
        /// As it stood.
        waiter: Waiter,
        /// What it is told.
        refusal: Refusal,
    },
    /// A request would have waited for ever.
    Deadlocked {
        /// The youngest of the circle.
        ticket: Ticket,
        /// As it stood.
        waiter: Waiter,
        /// Who waits for whom.
        cycle: Vec<Edge>,
    },
    /// Whoever waited is not there any more.
    Ended(Ticket),
}

/// Fencing tokens that may be given without asking the store: those up to `end` are durably reserved.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    next: u64,
    end: u64,
}

impl Tokens {
    /// The numbers from `next` up to and with `end`.
    #[must_use]
    pub const fn new(next: u64, end: u64) -> Self {
        Self { next, end }
    }

    /// The next one.
    pub const fn take(&mut self) -> Option<u64> {
        if self.next == 0 || self.next > self.end {
            return None;
        }
        self.next += 1;
        Some(self.next - 1)
    }

    /// How many are left.
    #[must_use]
    pub const fn left(&self) -> u64 {
        if self.next == 0 { 0 } else { (self.end + 1).saturating_sub(self.next) }
    }

    /// The last one that is reserved.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// More were reserved, up to and with this one.
    pub const fn extend(&mut self, end: u64) {
        if end > self.end {
            self.end = end;
        }
    }
}
