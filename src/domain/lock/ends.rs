//! How holds and waits end: given back, renewed instead, by the clock, by force, or with their owner.

use super::lane::Lane;
use super::table::{Due, Look, Renewal};
use super::{Grant, Happening, LockName, LockTable, LossReason, Owner, Refusal, Ticket, Tokens};
use crate::domain::ids::{LockId, SessionId};
use crate::domain::time::Timestamp;

/// Who is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departed {
    /// This owner.
    Owner(Owner),
    /// This session: what it holds itself, and what others hold for it.
    Session(SessionId),
}

impl Departed {
    fn takes(self, owner: Owner, session: Option<SessionId>) -> bool {
        match self {
            Self::Owner(gone) => owner == gone,
            Self::Session(gone) => session == Some(gone) || owner == Owner::Session(gone),
        }
    }
}

impl LockTable {
    /// Does what is due by the clock, in its order.
    pub fn advance(&mut self, now: Timestamp, tokens: &mut Tokens) {
        if !self.starved.is_empty() && tokens.left() > 0 {
            self.settle(Vec::new(), now, tokens);
        }
        while self.next_due().is_some_and(|at| at <= now) {
            let Some((at, due)) = self.agenda.pop_first() else { return };
            match due {
                Due::Expire(id, name) => {
                    self.end_hold(&name, id, LossReason::Expired);
                    self.settle(vec![name], now, tokens);
                }
                Due::GiveUp(ticket) => {
                    let (refusal, waiter) = (self.locked(ticket), self.as_waiter(ticket));
                    if let Some(waiter) = waiter {
                        self.said.push(Happening::TimedOut { ticket, waiter, refusal });
                    }
                    self.forget(ticket, now, tokens);
                }
                Due::Age(ticket) => {
                    if let Some((owner, names)) = self.age(ticket, at) {
                        self.settle(names, now, tokens);
                        self.look_for_circles(owner, Some(ticket), now, tokens);
                    }
                }
            }
        }
    }

    /// Looks at everybody who waits: whatever moved in the queues, no circle lasts longer than the time
    /// between two looks.
    pub fn find_circles(&mut self, now: Timestamp, tokens: &mut Tokens) {
        let asks = self.waiting.values().map(|waiting| waiting.ask.owner);
        let owners: std::collections::BTreeSet<Owner> = asks.collect();
        for owner in owners {
            self.look_for_circles(owner, None, now, tokens);
        }
    }

    /// Lets a hold last from now on.
    ///
    /// # Errors
    /// `NotOwned`, `Lost`, `Stale`.
    pub fn renew(
        &mut self,
        renewal: &Renewal,
        now: Timestamp,
        tokens: &mut Tokens,
    ) -> Result<Grant, Refusal> {
        self.advance(now, tokens);
        let Renewal { name, lock_id, owner, ttl, fencing_token } = renewal;
        let lane = self.lanes.get_mut(name).ok_or(Refusal::Lost)?;
        let newest = lane.newest;
        let hold = lane.holds.iter_mut().find(|hold| hold.lock_id == *lock_id);
        let Some(hold) = hold else {
            let is_old = fencing_token.is_some_and(|token| token < newest);
            return Err(if is_old { Refusal::Stale } else { Refusal::Lost });
        };
        if hold.owner != *owner {
            return Err(Refusal::NotOwned);
        }
        if fencing_token.is_some_and(|token| token != hold.fencing_token) {
            return Err(Refusal::Stale);
        }
        self.agenda.remove(&(hold.expires_at, Due::Expire(*lock_id, name.clone())));
        hold.ttl = ttl.unwrap_or(hold.ttl);
        hold.expires_at = now.after(hold.ttl);
        hold.renewal_count += 1;
        self.agenda.insert((hold.expires_at, Due::Expire(*lock_id, name.clone())));
        let renewed = hold.clone();
        self.said.push(Happening::Renewed(renewed.clone()));
        Ok(renewed)
    }

    /// Gives one hold back; `Some` with what is left of it, `None` when it is free, or was before.
    ///
    /// # Errors
    /// `NotOwned`.
    pub fn release(
        &mut self,
        name: &LockName,
        lock_id: LockId,
        owner: Owner,
        now: Timestamp,
        tokens: &mut Tokens,
    ) -> Result<Option<Grant>, Refusal> {
        self.advance(now, tokens);
        let lane = self.lanes.get_mut(name);
        let hold = lane.and_then(|lane| lane.holds.iter_mut().find(|one| one.lock_id == lock_id));
        let Some(hold) = hold else { return Ok(None) };
        if hold.owner != owner {
            return Err(Refusal::NotOwned);
        }
        if hold.hold_count > 1 {
            hold.hold_count -= 1;
            return Ok(Some(hold.clone()));
        }
        if let Some(hold) = self.take_hold(name, lock_id) {
            self.said.push(Happening::Released(hold));
        }
        self.settle(vec![name.clone()], now, tokens);
        Ok(None)
    }

    /// Takes a name from whoever holds it; those who lost it.
    pub fn force(&mut self, name: &LockName, now: Timestamp, tokens: &mut Tokens) -> Vec<Grant> {
        self.advance(now, tokens);
        let holds = self.lanes.get(name).map(|lane| lane.holds.clone()).unwrap_or_default();
        for hold in &holds {
            self.end_hold(name, hold.lock_id, LossReason::ForceReleased);
        }
        self.settle(vec![name.clone()], now, tokens);
        holds
    }

    /// Ends everything of somebody who is not there any more; how many holds that were.
    pub fn end(
        &mut self,
        gone: Departed,
        reason: LossReason,
        now: Timestamp,
        tokens: &mut Tokens,
    ) -> usize {
        self.advance(now, tokens);
        let waiting = self.waiting.iter();
        let waits: Vec<Ticket> = waiting
            .filter(|(_, one)| gone.takes(one.ask.owner, one.ask.session))
            .map(|(ticket, _)| *ticket)
            .collect();
        let mut names: Vec<LockName> = Vec::new();
        for ticket in waits {
            let left = self.leave(ticket).map(|waiting| waiting.ask.names);
            names.extend(left.into_iter().flatten().map(|(name, _)| name));
            self.said.push(Happening::Ended(ticket));
        }
        let holds = self.holds_where(|hold| gone.takes(hold.owner, hold.session));
        for (name, id) in &holds {
            self.end_hold(name, *id, reason);
            names.push(name.clone());
        }
        self.settle(names, now, tokens);
        holds.len()
    }

    /// Ends everything, in the order of the names: the table is of no use any more.
    pub fn end_all(&mut self, reason: LossReason) {
        let waits: Vec<Ticket> = self.waiting.keys().copied().collect();
        for ticket in waits {
            self.leave(ticket);
            self.said.push(Happening::Ended(ticket));
        }
        for (name, id) in self.holds_where(|_| true) {
            self.end_hold(&name, id, reason);
        }
        self.lanes.clear();
    }

    /// Whoever waited does not any more. A grant that came meanwhile is given back.
    pub fn give_up(&mut self, ticket: Ticket, now: Timestamp, tokens: &mut Tokens) {
        self.forget(ticket, now, tokens);
        self.advance(now, tokens);
    }

    /// Whether a hold with this token lasts.
    pub fn is_current(&mut self, token: u64, now: Timestamp, tokens: &mut Tokens) -> bool {
        self.advance(now, tokens);
        self.lanes.values().flat_map(|lane| &lane.holds).any(|hold| hold.fencing_token == token)
    }

    fn holds_where(&self, wanted: impl Fn(&Grant) -> bool) -> Vec<(LockName, LockId)> {
        let holds = self.lanes.values().flat_map(|lane: &Lane| &lane.holds);
        let mut found: Vec<(LockName, LockId)> = holds
            .filter(|hold| wanted(hold))
            .map(|hold| (hold.name.clone(), hold.lock_id))
            .collect();
        found.sort_unstable();
        found
    }

    fn end_hold(&mut self, name: &LockName, id: LockId, reason: LossReason) {
        if let Some(hold) = self.take_hold(name, id) {
            self.said.push(Happening::Lost(hold, reason));
        }
    }

    fn take_hold(&mut self, name: &LockName, id: LockId) -> Option<Grant> {
        let lane = self.lanes.get_mut(name)?;
        let place = lane.holds.iter().position(|hold| hold.lock_id == id)?;
        let hold = lane.holds.remove(place);
        self.agenda.remove(&(hold.expires_at, Due::Expire(id, name.clone())));
        self.held -= 1;
        if let Some(standing) = self.owners.get_mut(&hold.owner) {
            standing.held -= 1;
        }
        self.tidy_owner(hold.owner);
        Some(hold)
    }

    /// A name as it stands; `None` when nobody holds it or waits for it.
    #[must_use]
    pub fn look(&self, name: &LockName) -> Option<Look> {
        let lane = self.lanes.get(name)?;
        let of_place = |place: &super::lane::Place| self.waiting.get(&place.ticket);
        let queue = lane.queue.iter().filter_map(of_place).zip(1..);
        let edges = self.edges_of(lane.queue.iter().map(|place| place.ticket));
        Some(Look {
            name: name.clone(),
            holds: lane.holds.clone(),
            queue: queue.map(|(waiting, position)| waiting.waiter(name, position)).collect(),
            edges: edges.into_iter().filter(|edge| edge.name == *name).collect(),
        })
    }

    /// All names in byte order, held or only waited for.
    #[must_use]
    pub fn names(&self) -> Vec<LockName> {
        let mut names: Vec<LockName> = self.lanes.keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// Names that somebody holds.
    #[must_use]
    pub fn active(&self) -> usize {
        self.lanes.values().filter(|lane| !lane.holds.is_empty()).count()
    }

    pub(super) fn tidy(&mut self, name: &LockName) {
        if self.lanes.get(name).is_some_and(Lane::is_empty) {
            self.lanes.remove(name);
        }
    }

    pub(super) fn tidy_owner(&mut self, owner: Owner) {
        let standing = self.owners.get(&owner);
        if standing.is_some_and(|standing| standing.held == 0 && standing.waiting.is_empty()) {
            self.owners.remove(&owner);
        }
    }
}
