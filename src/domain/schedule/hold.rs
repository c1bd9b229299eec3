//! Held admissions: nothing new is given to agents until somebody releases them. What runs goes on.

use crate::closed_enum;
use crate::domain::ids::AgentId;
use crate::domain::time::Timestamp;

closed_enum!(
    /// How far a hold reaches.
    HoldScope {
        Instance = "instance",
        Tenant = "tenant",
        Agent = "agent",
    }
);

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// Everything.
    Instance,
    /// The sessions of the tenant that keeps the hold.
    Tenant,
    /// What would go to this agent of the tenant.
    Agent(AgentId),
}

impl Held {
    /// How far it reaches.
    #[must_use]
    pub const fn scope(self) -> HoldScope {
        match self {
            Self::Instance => HoldScope::Instance,
            Self::Tenant => HoldScope::Tenant,
            Self::Agent(_) => HoldScope::Agent,
        }
    }
}

/// Why admissions are held, since when and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What is held.
    pub held: Held,
    /// Why, for people.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Name of the key that did it.
    pub by: String,
}

/// Longest reason.
pub const REASON_CHARS: usize = 1000;
/// Holds that one tenant may have at once; more agents than that are held by holding the tenant.
pub const HOLDS: usize = 200;
