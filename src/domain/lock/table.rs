//! The locks of one tenant: requests are granted, wait in order, and end.
//!
//! Invariant: only the head of a queue is granted, or a request that the holds of its owner suffice;
//! one for several names holds nothing before it has them all. What is due by the clock is done before anything else that is asked for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::lane::{Lane, Place, Waiting};
use super::wait_for::Node;
use super::{
    AGES_EVERY, Ask, Edge, Grant, HIGHEST_PRIORITY, Happening, LockMode, LockName, MOST_HELD,
    MOST_WAITING, Owner, Refusal, Ticket, Tokens, Waiter,
};
use crate::domain::ids::LockId;
use crate::domain::time::Timestamp;

/// Something that the clock brings about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A hold ends.
    Expire(LockId, LockName),
    /// A wait is over.
    GiveUp(Ticket),
    /// A waiter rises.
    Age(Ticket),
}

/// What an owner has to do with locks.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub(super) held: usize,
    pub(super) waiting: Vec<Ticket>,
}

/// What became of a request at once.
#[derive(Debug, Clone, PartialEq)]
pub enum Placed {
    /// It has what it asked for.
    Granted(Vec<Grant>),
    /// It waits; what becomes of it is told under this number.
    Waits(Ticket),
}

/// How a hold is to be renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// Of which name.
    pub name: LockName,
    /// Which hold.
    pub lock_id: LockId,
    /// Who asks.
    pub owner: Owner,
    /// How long from now; as it was granted when nothing is said.
    pub ttl: Option<Duration>,
    /// The token that the caller believes in.
    pub fencing_token: Option<u64>,
}

/// A name as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// Which.
    pub name: LockName,
    /// Who holds it, in order of their grants.
    pub holds: Vec<Grant>,
    /// Who waits, in order.
    pub queue: Vec<Waiter>,
    /// Who waits for whom over it.
    pub edges: Vec<Edge>,
}

/// Everybody who holds or waits for a lock of one tenant.
#[derive(Debug, Default)]
pub struct LockTable {
    pub(super) lanes: HashMap<LockName, Lane>,
    pub(super) waiting: BTreeMap<Ticket, Waiting>,
    pub(super) owners: HashMap<Owner, Standing>,
    pub(super) agenda: BTreeSet<(Timestamp, Due)>,
    pub(super) held: usize,
    /// Who could be served but for a token.
    pub(super) starved: BTreeSet<Ticket>,
    pub(super) said: Vec<Happening>,
    arrivals: Ticket,
}

impl LockTable {
    /// What happened since this was last asked, in order.
    pub fn take_said(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.said)
    }

    /// When the clock next brings something about.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// Whether nothing is held or waited for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Holds of all names.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Requests that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Grants a request at once, or lets it wait.
    ///
    /// # Errors
    /// `Locked` when it is not to wait, `Deadlock`, `Full`, `NoToken`.
    pub fn request(
        &mut self,
        ask: Ask,
        now: Timestamp,
        tokens: &mut Tokens,
    ) -> Result<Placed, Refusal> {
        self.advance(now, tokens);
        if self.held + ask.names.len() > MOST_HELD {
            return Err(Refusal::Full { limit: MOST_HELD });
        }
        if ask.names.iter().all(|(name, _)| self.is_open(name, &ask)) {
            let grants = self.give(&ask, now, tokens).ok_or(Refusal::NoToken)?;
            let happening =
                Happening::Granted { ticket: None, grants: grants.clone(), waited: Duration::ZERO };
            self.said.push(happening);
            self.look_for_circles(ask.owner, None, now, tokens);
            return Ok(Placed::Granted(grants));
        }
        if self.waiting.len() >= MOST_WAITING {
            return Err(Refusal::Full { limit: MOST_WAITING });
        }
        self.enqueue(ask, now, tokens)
    }

    /// Whether a request may have a name without a place in its queue.
    fn is_open(&self, name: &LockName, ask: &Ask) -> bool {
        let Some(lane) = self.lanes.get(name) else { return true };
        let is_first = lane.queue.is_empty() || lane.own(ask.owner).is_some();
        lane.suffices(ask.owner, ask.mode) || (is_first && lane.is_free_for(ask.owner, ask.mode))
    }

    fn enqueue(
        &mut self,
        ask: Ask,
        now: Timestamp,
        tokens: &mut Tokens,
    ) -> Result<Placed, Refusal> {
        self.arrivals += 1;
        let (ticket, tries_once, owner) = (self.arrivals, ask.wait.is_zero(), ask.owner);
        let owns =
            |name: &LockName| self.lanes.get(name).is_some_and(|lane| lane.own(owner).is_some());
        let is_new = ask.names.iter().map(|(name, _)| !owns(name)).collect();
        let class = ask.priority.min(HIGHEST_PRIORITY);
        let until = now.after(ask.wait);
        let ages_at = (class < HIGHEST_PRIORITY).then(|| now.after(AGES_EVERY));
        let waiting = Waiting { ask, is_new, class, since: now, until, ages_at };
        let mut is_last = true;
        for (name, place) in waiting.places(ticket) {
            let queue = &mut self.lanes.entry(name.clone()).or_default().queue;
            queue.insert(place);
            is_last &= queue.last() == Some(&place);
        }
        self.agenda.insert((until, Due::GiveUp(ticket)));
        self.agenda.extend(waiting.ages_at.map(|at| (at, Due::Age(ticket))));
        let names: Vec<LockName> = waiting.ask.names.iter().map(|(name, _)| name.clone()).collect();
        self.waiting.insert(ticket, waiting);
        let standing = self.owners.entry(owner).or_default();
        standing.waiting.push(ticket);
        // Nobody waits for an owner that holds nothing and stands behind everybody else.
        let may_close_a_circle = standing.held > 0 || standing.waiting.len() > 1 || !is_last;
        if !is_last {
            // It came before others: it may be the first that fits.
            self.settle(names, now, tokens);
            if !self.waiting.contains_key(&ticket) {
                return self.became_of(ticket);
            }
        }
        if tries_once {
            let refusal = self.locked(ticket);
            self.forget(ticket, now, tokens);
            return Err(refusal);
        }
        if let Some(waiter) = self.as_waiter(ticket) {
            self.said.push(Happening::Queued(waiter));
        }
        if may_close_a_circle {
            self.look_for_circles(owner, Some(ticket), now, tokens);
            if !self.waiting.contains_key(&ticket) {
                return self.became_of(ticket);
            }
        }
        Ok(Placed::Waits(ticket))
    }

    /// What became of a request just now that is not waiting any more.
    fn became_of(&self, ticket: Ticket) -> Result<Placed, Refusal> {
        let grants = self.given_to(ticket);
        if grants.is_empty() { Err(self.refusal_of(ticket)) } else { Ok(Placed::Granted(grants)) }
    }

    /// What a request was given that is not waiting any more, just now.
    fn given_to(&self, wanted: Ticket) -> Vec<Grant> {
        let found = self.said.iter().rev().find_map(|happening| match happening {
            Happening::Granted { ticket: Some(ticket), grants, .. } if *ticket == wanted => {
                Some(grants.clone())
            }
            Happening::Granted { .. }
            | Happening::Queued(_)
            | Happening::Released(_)
            | Happening::Renewed(_)
            | Happening::Lost(..)
            | Happening::TimedOut { .. }
            | Happening::Deadlocked { .. }
            | Happening::Ended(_) => None,
        });
        found.unwrap_or_default()
    }

    /// Why a request is not waiting any more that was let go just now.
    fn refusal_of(&self, wanted: Ticket) -> Refusal {
        let found = self.said.iter().rev().find_map(|happening| match happening {
            Happening::Deadlocked { ticket, cycle, .. } if *ticket == wanted => {
                Some(Refusal::Deadlock { cycle: cycle.clone() })
            }
            Happening::Deadlocked { .. }
            | Happening::Granted { .. }
            | Happening::Queued(_)
            | Happening::Released(_)
            | Happening::Renewed(_)
            | Happening::Lost(..)
            | Happening::TimedOut { .. }
            | Happening::Ended(_) => None,
        });
        found.unwrap_or(Refusal::Ended)
    }

    /// Serves the heads of these queues, and of those that this moves on.
    pub(super) fn settle(&mut self, mut names: Vec<LockName>, now: Timestamp, tokens: &mut Tokens) {
        let mut served: Vec<Owner> = Vec::new();
        // Requests that need not be first in a line: what their owner holds by now may suffice them.
        let mut also: Vec<Ticket> = std::mem::take(&mut self.starved).into_iter().rev().collect();
        loop {
            let (ticket, name) = match (also.pop(), names.last().cloned()) {
                (Some(ticket), _) => (Some(ticket), None),
                (None, Some(name)) => (self.head(&name), Some(name)),
                (None, None) => break,
            };
            if let Some(ticket) = ticket
                && self.is_grantable(ticket)
                && let Some(owner) = self.grant(ticket, now, tokens, &mut names)
            {
                also.extend(self.owners.get(&owner).iter().flat_map(|standing| &standing.waiting));
                served.push(owner);
                continue;
            }
            if let Some(name) = name {
                names.retain(|other| *other != name);
                self.tidy(&name);
            }
        }
        // Who still waits for something else now holds what others may wait for.
        for owner in served {
            self.look_for_circles(owner, None, now, tokens);
        }
    }

    /// Serves a request that waits; `None` when there are too few tokens, and it waits on.
    fn grant(
        &mut self,
        ticket: Ticket,
        now: Timestamp,
        tokens: &mut Tokens,
        names: &mut Vec<LockName>,
    ) -> Option<Owner> {
        let waiting = self.waiting.get(&ticket)?;
        let (ask, waited) = (waiting.ask.clone(), now.since(waiting.since));
        let Some(grants) = self.give(&ask, now, tokens) else {
            self.starved.insert(ticket);
            return None;
        };
        self.leave(ticket);
        self.said.push(Happening::Granted { ticket: Some(ticket), grants, waited });
        names.extend(ask.names.into_iter().map(|(name, _)| name));
        Some(ask.owner)
    }

    fn head(&self, name: &LockName) -> Option<Ticket> {
        self.lanes.get(name)?.queue.first().map(|place| place.ticket)
    }

    fn is_grantable(&self, ticket: Ticket) -> bool {
        let Some(waiting) = self.waiting.get(&ticket) else { return false };
        let (owner, mode) = (waiting.ask.owner, waiting.ask.mode);
        waiting.places(ticket).all(|(name, place)| {
            self.lanes.get(name).is_some_and(|lane| {
                lane.suffices(owner, mode)
                    || (lane.queue.first() == Some(&place) && lane.is_free_for(owner, mode))
            })
        })
    }

    /// Gives all names of a request to its owner; `None` when there are too few tokens.
    fn give(&mut self, ask: &Ask, now: Timestamp, tokens: &mut Tokens) -> Option<Vec<Grant>> {
        if tokens.left() < ask.names.len() as u64 {
            return None;
        }
        let mut grants = Vec::with_capacity(ask.names.len());
        for (name, id) in &ask.names {
            grants.push(self.give_one(ask, name, *id, now, tokens)?);
        }
        Some(grants)
    }

    fn give_one(
        &mut self,
        ask: &Ask,
        name: &LockName,
        lock_id: LockId,
        now: Timestamp,
        tokens: &mut Tokens,
    ) -> Option<Grant> {
        let lane = self.lanes.entry(name.clone()).or_default();
        let expires_at = now.after(ask.ttl);
        let is_enough = lane.suffices(ask.owner, ask.mode);
        if let Some(own) = lane.own_mut(ask.owner) {
            if !is_enough {
                // Others shared it meanwhile, with larger tokens: what it may do now needs a new one.
                own.fencing_token = tokens.take()?;
                own.mode = LockMode::Exclusive;
            }
            own.hold_count += 1;
            own.ttl = ask.ttl;
            if expires_at > own.expires_at {
                self.agenda.remove(&(own.expires_at, Due::Expire(own.lock_id, name.clone())));
                self.agenda.insert((expires_at, Due::Expire(own.lock_id, name.clone())));
                own.expires_at = expires_at;
            }
            let own = own.clone();
            lane.newest = lane.newest.max(own.fencing_token);
            return Some(own);
        }
        let grant = Grant {
            lock_id,
            name: name.clone(),
            mode: ask.mode,
            owner: ask.owner,
            label: Arc::clone(&ask.label),
            session: ask.session,
            fencing_token: tokens.take()?,
            acquired_at: now,
            expires_at,
            ttl: ask.ttl,
            renewal_count: 0,
            hold_count: 1,
            priority: ask.priority,
            metadata: Arc::clone(&ask.metadata),
        };
        lane.newest = grant.fencing_token;
        lane.holds.push(grant.clone());
        self.agenda.insert((expires_at, Due::Expire(lock_id, name.clone())));
        self.owners.entry(ask.owner).or_default().held += 1;
        self.held += 1;
        Some(grant)
    }

    /// Takes a request out of all its queues; its owner asks for it no longer.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Waiting> {
        let waiting = self.waiting.remove(&ticket)?;
        for (name, place) in waiting.places(ticket) {
            if let Some(lane) = self.lanes.get_mut(name) {
                lane.queue.remove(&place);
            }
        }
        self.agenda.remove(&(waiting.until, Due::GiveUp(ticket)));
        if let Some(at) = waiting.ages_at {
            self.agenda.remove(&(at, Due::Age(ticket)));
        }
        if let Some(standing) = self.owners.get_mut(&waiting.ask.owner) {
            standing.waiting.retain(|other| *other != ticket);
        }
        self.tidy_owner(waiting.ask.owner);
        Some(waiting)
    }

    /// The same, and those behind it move on.
    pub(super) fn forget(&mut self, ticket: Ticket, now: Timestamp, tokens: &mut Tokens) {
        let Some(waiting) = self.leave(ticket) else { return };
        let names = waiting.ask.names.into_iter().map(|(name, _)| name).collect();
        self.settle(names, now, tokens);
    }

    /// A waiter rises by one class, and may be the first of a queue now.
    pub(super) fn age(&mut self, ticket: Ticket, at: Timestamp) -> Option<(Owner, Vec<LockName>)> {
        let waiting = self.waiting.get_mut(&ticket)?;
        let old: Vec<(LockName, Place)> =
            waiting.places(ticket).map(|(name, place)| (name.clone(), place)).collect();
        waiting.class += 1;
        waiting.ages_at = (waiting.class < HIGHEST_PRIORITY).then(|| at.after(AGES_EVERY));
        self.agenda.extend(waiting.ages_at.map(|at| (at, Due::Age(ticket))));
        let (class, owner) = (Reverse(waiting.class), waiting.ask.owner);
        let mut names = Vec::with_capacity(old.len());
        for (name, place) in old {
            if let Some(lane) = self.lanes.get_mut(&name) {
                lane.queue.remove(&place);
                lane.queue.insert(Place { class, ..place });
            }
            names.push(name);
        }
        Some((owner, names))
    }

    /// Lets the youngest waiter of each circle through this owner go.
    ///
    /// Others who share may wait with a request that moved without waiting for its owner: it is looked
    /// for a circle through that request, too.
    pub(super) fn look_for_circles(
        &mut self,
        owner: Owner,
        moved: Option<Ticket>,
        now: Timestamp,
        tokens: &mut Tokens,
    ) {
        while self.owners.get(&owner).is_some_and(|standing| !standing.waiting.is_empty()) {
            let by_request = || moved.and_then(|ticket| self.cycle(Node::Ticket(ticket)));
            let Some(cycle) = self.cycle(Node::Owner(owner)).or_else(by_request) else { return };
            let youngest = cycle.iter().map(|(ticket, _)| *ticket).max();
            let Some((ticket, waiter)) =
                youngest.and_then(|ticket| Some((ticket, self.as_waiter(ticket)?)))
            else {
                return;
            };
            let edges = cycle.into_iter().map(|(_, edge)| edge);
            let cycle = edges.filter(|edge| edge.owner != edge.waits_for).collect();
            let names = self.leave(ticket).map(|waiting| waiting.ask.names);
            self.said.push(Happening::Deadlocked { ticket, waiter, cycle });
            let names = names.into_iter().flatten().map(|(name, _)| name).collect();
            self.settle(names, now, tokens);
        }
    }

    /// What a request is told whose wait is over.
    pub(super) fn locked(&self, ticket: Ticket) -> Refusal {
        let Some(waiting) = self.waiting.get(&ticket) else { return Refusal::Ended };
        let (owner, mode) = (waiting.ask.owner, waiting.ask.mode);
        let mut refusal = Refusal::Ended;
        for (name, place) in waiting.places(ticket) {
            let Some(lane) = self.lanes.get(name) else { continue };
            if lane.suffices(owner, mode) {
                continue;
            }
            let holder = lane.against(owner, mode).next();
            let is_held = holder.is_some();
            let holder = holder.cloned().map(Box::new);
            refusal =
                Refusal::Locked { name: name.clone(), holder, position: lane.position(place) };
            if is_held {
                break;
            }
        }
        refusal
    }

    /// A request as it stands in the queue that it is stuck in.
    pub(super) fn as_waiter(&self, ticket: Ticket) -> Option<Waiter> {
        let waiting = self.waiting.get(&ticket)?;
        let stuck = waiting.places(ticket).find(|(name, place)| {
            self.lanes.get(name).is_some_and(|lane| {
                lane.queue.first() != Some(place)
                    || !lane.is_free_for(waiting.ask.owner, waiting.ask.mode)
            })
        });
        let (name, place) = stuck.or_else(|| waiting.places(ticket).next())?;
        let position = self.lanes.get(name).map_or(0, |lane| lane.position(place));
        Some(waiting.waiter(name, position))
    }
}
