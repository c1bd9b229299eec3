//! Routing on trial: who would be given a piece of work now, and what of every agent follows from that.
//!
//! Invariant: a trial chooses whom the scheduler would choose: it asks the same roster. What is to be
//! told of every agent is copied out, so that spelling it keeps nobody waiting.

use std::sync::Arc;

use super::Queue;
use super::reserve::{MOST, Reserved};
use super::roster::{AgentSlot, Roster};
use super::tick::State;
use crate::domain::agent::Agent;
use crate::domain::agent::gate::{Gate, NoAgent};
use crate::domain::agent::routing::{Candidate, Choice, Ranked, Request, Score};
use crate::domain::agent::status::{HeartbeatStatus, Standing};
use crate::domain::agent::vitals::{Condition, Vitals};
use crate::domain::ids::{AgentId, ReservationId, TenantId};
use crate::domain::time::Timestamp;

/// What is asked of a trial beside the request.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// How many of the best are told.
    pub best: usize,
    /// Whether all agents are looked at, also those who are refused.
    pub all: bool,
    /// Room is held at whom is chosen.
    pub reserve: Option<Reserve>,
}

/// Room that somebody wants.
#[derive(Debug, Clone)]
pub struct Reserve {
    /// What it is called.
    pub id: ReservationId,
    /// Who holds it.
    pub holder: String,
    /// Until when.
    pub until: Timestamp,
}

/// An agent as it was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The agent.
    pub agent: Arc<Agent>,
    /// How it stood.
    pub standing: Standing,
}

impl Seen {
    /// As routing sees it.
    #[must_use]
    pub fn candidate(&self) -> Candidate<'_> {
        let Self { agent, standing } = self;
        let Agent { id, tenant_id, name, profile, .. } = agent.as_ref();
        Candidate { id: *id, tenant_id: *tenant_id, name, profile, standing: *standing }
    }
}

/// One of the best.
#[derive(Debug, Clone)]
pub struct Scored {
    /// Who.
    pub seen: Seen,
    /// What it scored.
    pub score: Score,
}

/// What came of a trial.
#[derive(Debug, Clone, Default)]
pub struct Trial {
    /// Who could be given the work, the better ones first.
    pub best: Vec<Scored>,
    /// Everybody, by name, when that was asked for.
    pub all: Vec<Seen>,
    /// Why nobody was found, when nobody was.
    pub nobody: Option<NoAgent>,
    /// Agents of the tenant.
    pub count: usize,
    /// Why whoever is first was chosen, in a sentence.
    pub reason: String,
    /// The room that is held.
    pub reserved: Option<Reserved>,
}

/// A tenant holds as much room as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyReserved {
    /// As many rooms as that.
    pub limit: usize,
}

impl Roster {
    /// An agent as a trial tells of it. What people hold back is as good as draining; who leaves their
    /// provider alone for a while is busy.
    pub(super) fn tried(&self, at: usize) -> Candidate<'_> {
        let (slot, mut candidate) = (&self.slots()[at], self.candidate(at));
        candidate.standing.switches.is_draining |= self.held().contains_key(&slot.agent.id);
        if slot.cooling(None).is_some() {
            candidate.standing.heartbeat = Some(HeartbeatStatus::Busy);
        }
        candidate
    }

    /// Those who would be chosen first, the better ones first, at most so many.
    pub(super) fn best(&self, request: &Request, count: usize) -> Vec<Ranked<'_>> {
        let mut best: Vec<Ranked<'_>> = Vec::with_capacity(count + 1);
        let mut promises = self.promises(request);
        while let Some(team) = promises.next(best.last().filter(|_| best.len() == count)) {
            for place in &self.teams[team].free {
                let Some(at) = self.place_of(place.3) else { continue };
                // Who is wished for may be better than its place says.
                let is_wished = request.preferred_ids.contains(&place.3);
                if !is_wished && self.consider(request, at, (&mut best, count)) == Some(false) {
                    break;
                }
            }
        }
        for at in request.preferred_ids.iter().filter_map(|id| self.place_of(*id)) {
            self.consider(request, at, (&mut best, count));
        }
        best
    }

    /// Ranks one among the best so far; whether it is one of them. Nothing when it is refused.
    fn consider<'a>(
        &'a self,
        request: &Request,
        at: usize,
        (best, count): (&mut Vec<Ranked<'a>>, usize),
    ) -> Option<bool> {
        let candidate = self.tried(at);
        if Gate::refusing(request, &candidate).is_some() {
            return None;
        }
        let ranked = Ranked { candidate, score: Score::of(request, &candidate) };
        let place = best.partition_point(|known| known.order(&ranked).is_lt());
        if place < count {
            best.insert(place, ranked);
            best.truncate(count);
        }
        Some(place < count)
    }

    fn everybody(&self) -> Vec<Seen> {
        let each = self.slots().iter().enumerate();
        each.map(|(at, slot)| Seen {
            agent: Arc::clone(&slot.agent),
            standing: self.tried(at).standing,
        })
        .collect()
    }

    fn seen(&self, candidate: &Candidate<'_>) -> Option<Seen> {
        let slot = self.slots().get(self.place_of(candidate.id)?)?;
        Some(Seen { agent: Arc::clone(&slot.agent), standing: candidate.standing })
    }
}

impl State {
    /// Who would be given a piece of work now; with room held at them when that is asked for.
    ///
    /// # Errors
    /// When the tenant holds as much room as it may.
    pub fn route(
        &mut self,
        request: &Request,
        ask: &Ask,
        now: Timestamp,
    ) -> Result<Trial, TooManyReserved> {
        self.advance(now);
        let (tenant, now) = (request.tenant_id, self.now());
        let Some(lines) = self.tenants.get(&tenant) else {
            return Ok(Trial { nobody: Some(NoAgent::Capability), ..Trial::default() });
        };
        let roster = &lines.roster;
        if ask.reserve.is_some() && roster.reserves().len() >= MOST {
            return Err(TooManyReserved { limit: MOST });
        }
        let ranked = roster.best(request, ask.best.max(1));
        let scored = |ranked: &Ranked<'_>| {
            Some(Scored { seen: roster.seen(&ranked.candidate)?, score: ranked.score })
        };
        let mut trial = Trial {
            best: ranked.iter().filter_map(scored).collect(),
            all: if ask.all { roster.everybody() } else { Vec::new() },
            nobody: ranked.is_empty().then(|| roster.why_nobody(request)),
            count: roster.slots().len(),
            reason: ranked.first().map(Choice::reason_for).unwrap_or_default(),
            reserved: None,
        };
        let Some(first) = trial.best.first().map(|scored| scored.seen.agent.id) else {
            return Ok(trial);
        };
        if let Some(Reserve { id, holder, until }) = ask.reserve.clone() {
            let units = request.complexity;
            let reserved = Reserved { id, agent: first, holder, units, since: now, until };
            trial.reserved = Some(reserved.clone());
            if let Some(lines) = self.tenants.get_mut(&tenant) {
                lines.roster.reserve(reserved);
            }
            self.reserves_end.insert((until, tenant));
            self.settle(tenant);
        }
        Ok(trial)
    }

    /// Room that was held for long enough is free again.
    pub(super) fn end_reserves(&mut self) {
        let now = self.now();
        while let Some(&(until, tenant)) =
            self.reserves_end.first().filter(|(until, _)| *until <= now)
        {
            self.reserves_end.remove(&(until, tenant));
            if let Some(lines) = self.tenants.get_mut(&tenant) {
                lines.roster.give_back(|reserved| reserved.until <= now, usize::MAX);
            }
            self.settle(tenant);
        }
    }

    /// An agent as it was just changed or removed, of which the scheduler will hear in a moment. A
    /// tenant of which nothing is known is left to whoever reads all of it.
    pub(super) fn tell(&mut self, agent: &Agent, down: Option<String>, vitals: Option<&Vitals>) {
        let Some(lines) = self.tenants.get(&agent.tenant_id) else { return };
        let slots = lines.roster.slots();
        if slots.is_empty() {
            return;
        }
        let known = lines.roster.place_of(agent.id).map(|at| &slots[at]);
        let condition = known.map_or_else(Condition::default, |known| known.condition);
        let condition =
            vitals.map_or(condition, |vitals| Condition::of(Some(vitals), condition.pulse));
        let cooling = known.map(|known| known.cooling.clone()).unwrap_or_default();
        let slot = AgentSlot { agent: Arc::new(agent.clone()), condition, down, cooling };
        let (id, tenant) = (agent.id, agent.tenant_id);
        let is_gone = agent.deleted_at.is_some();
        if !is_gone && self.set_agent(tenant, &slot) {
            return;
        }
        let known = self.tenants.get(&tenant).map_or(&[][..], |lines| lines.roster.slots());
        let mut all: Vec<AgentSlot> =
            known.iter().filter(|known| known.agent.id != id).cloned().collect();
        all.extend((!is_gone).then_some(slot));
        self.set_agents(tenant, all);
    }
}

impl Queue {
    /// Who would be given a piece of work now.
    ///
    /// # Errors
    /// When the tenant holds as much room as it may.
    pub fn route(
        &self,
        request: &Request,
        ask: &Ask,
        now: Timestamp,
    ) -> Result<Trial, TooManyReserved> {
        self.state().route(request, ask, now)
    }

    /// The agent of a tenant that is called so, by id or name.
    #[must_use]
    pub fn agent_called(&self, tenant: TenantId, reference: &str) -> Option<AgentId> {
        let state = self.state();
        let roster = &state.tenants.get(&tenant)?.roster;
        roster.find(reference).map(|at| roster.slots()[at].agent.id)
    }

    /// Whether any agent of a tenant is known here.
    #[must_use]
    pub fn knows_agents_of(&self, tenant: TenantId) -> bool {
        let state = self.state();
        state.tenants.get(&tenant).is_some_and(|lines| !lines.roster.slots().is_empty())
    }

    /// These are the agents of a tenant of which nothing was known.
    pub fn learn(&self, tenant: TenantId, slots: Vec<AgentSlot>) {
        self.state().set_agents(tenant, slots);
    }

    /// An agent as it was just changed or removed, and why it cannot be reached, when it cannot.
    pub fn tell(&self, agent: &Agent, down: Option<String>, vitals: Option<&Vitals>) {
        self.state().tell(agent, down, vitals);
    }
}

#[cfg(test)]
#[path = "trials.rs"]
mod tests;
