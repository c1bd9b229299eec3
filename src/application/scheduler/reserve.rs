//! Room at agents that somebody holds for work to come.
//!
//! It is kept in memory and lasts a minute: a restart forgets it, and nobody is owed anything by it.
//!
//! Invariant: what is held counts as work of its agent until it is used or its time is over, so that
//! nobody else is given it.

use std::collections::VecDeque;

use super::needs::Needs;
use crate::domain::agent::load::Units;
use crate::domain::ids::{AgentId, ReservationId};
use crate::domain::time::Timestamp;

/// Rooms that a tenant may hold at once.
pub const MOST: usize = 100;

/// Room at an agent that is held.
#[derive(Debug, Clone, PartialEq)]
pub struct Reserved {
    /// Its identity.
    pub id: ReservationId,
    /// At whom.
    pub agent: AgentId,
    /// By whom.
    pub holder: String,
    /// How much.
    pub units: Units,
    /// Since when.
    pub since: Timestamp,
    /// Until when, unless it is used before.
    pub until: Timestamp,
}

impl Reserved {
    /// Whether a session with these needs, given to that agent, is what the room was held for: whoever
    /// holds it made the session for this agent, and it is not larger.
    pub(super) fn is_for(&self, agent: AgentId, needs: &Needs) -> bool {
        self.agent == agent
            && needs.holder.as_ref() == Some(&self.holder)
            && needs.request.complexity <= self.units
    }
}

/// All that is held at the agents of one tenant, in order of time.
#[derive(Debug, Default)]
pub(super) struct Reserves(VecDeque<Reserved>);

impl Reserves {
    pub(super) fn add(&mut self, reserved: Reserved) {
        self.0.push_back(reserved);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The room that a session with these needs may use at an agent, the oldest.
    pub(super) fn for_use(&self, agent: AgentId, needs: &Needs) -> Option<&Reserved> {
        self.0.iter().find(|reserved| reserved.is_for(agent, needs))
    }

    /// Takes out so many of those for which this holds.
    pub(super) fn take(&mut self, which: impl Fn(&Reserved) -> bool, most: usize) -> Vec<Reserved> {
        let mut taken = Vec::new();
        self.0.retain(|reserved| {
            let goes = taken.len() < most && which(reserved);
            if goes {
                taken.push(reserved.clone());
            }
            !goes
        });
        taken
    }
}
