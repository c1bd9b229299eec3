//! One name: who holds it, and who waits for it in which order.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Ask, Grant, LockMode, LockName, Owner, Ticket, Waiter};
use crate::domain::ids::LockId;
use crate::domain::time::Timestamp;

/// Where a request stands: by effective priority, within it those first who hold the name already and
/// want more of it, then by arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) class: Reverse<u8>,
    pub(super) is_new: bool,
    pub(super) ticket: Ticket,
}

/// A request that waits, in every queue that it stands in.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) ask: Ask,
    /// Whether its owner held nothing of the name when it came, one for each name.
    pub(super) is_new: Vec<bool>,
    /// Effective priority.
    pub(super) class: u8,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    pub(super) ages_at: Option<Timestamp>,
}

impl Waiting {
    /// Its queues with its place in each.
    pub(super) fn places(&self, ticket: Ticket) -> impl Iterator<Item = (&LockName, Place)> {
        let class = Reverse(self.class);
        let names = self.ask.names.iter().map(|(name, _)| name);
        names
            .zip(&self.is_new)
            .map(move |(name, is_new)| (name, Place { class, is_new: *is_new, ticket }))
    }

    /// As people see it in the queue of one name.
    pub(super) fn waiter(&self, name: &LockName, position: usize) -> Waiter {
        let ask = &self.ask;
        Waiter {
            request_id: ask.id().unwrap_or_else(|| LockId::new(uuid::Uuid::nil())),
            name: name.clone(),
            mode: ask.mode,
            owner: ask.owner,
            label: Arc::clone(&ask.label),
            priority: ask.priority,
            effective_priority: self.class,
            requested_at: self.since,
            expires_at: self.until,
            position,
        }
    }
}

/// A name that is held or waited for.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) holds: Vec<Grant>,
    pub(super) queue: BTreeSet<Place>,
    /// The newest token that was given for it.
    pub(super) newest: u64,
}

impl Lane {
    /// What this owner holds of it.
    pub(super) fn own(&self, owner: Owner) -> Option<&Grant> {
        self.holds.iter().find(|hold| hold.owner == owner)
    }

    /// The same, to be changed.
    pub(super) fn own_mut(&mut self, owner: Owner) -> Option<&mut Grant> {
        self.holds.iter_mut().find(|hold| hold.owner == owner)
    }

    /// Whether what the owner holds is enough already.
    pub(super) fn suffices(&self, owner: Owner, mode: LockMode) -> bool {
        self.own(owner)
            .is_some_and(|own| own.mode == LockMode::Exclusive || mode == LockMode::Shared)
    }

    /// Those who hold it and stand in the way of this.
    pub(super) fn against(&self, owner: Owner, mode: LockMode) -> impl Iterator<Item = &Grant> {
        self.holds.iter().filter(move |hold| {
            hold.owner != owner && (mode == LockMode::Exclusive || hold.mode == LockMode::Exclusive)
        })
    }

    /// Whether nobody who holds it is in the way of this.
    pub(super) fn is_free_for(&self, owner: Owner, mode: LockMode) -> bool {
        self.against(owner, mode).next().is_none()
    }

    /// How many stand before a place, and itself.
    pub(super) fn position(&self, place: Place) -> usize {
        if self.queue.last() == Some(&place) {
            return self.queue.len();
        }
        self.queue.range(..place).count() + 1
    }

    /// Whether nobody holds it or waits for it.
    pub(super) fn is_empty(&self) -> bool {
        self.holds.is_empty() && self.queue.is_empty()
    }
}
