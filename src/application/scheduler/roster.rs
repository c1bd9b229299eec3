//! The agents of one tenant: who is given what, by the one score of the product.
//!
//! Agents that answer every request alike form a team, in which those with room stand in the order in
//! which they would be chosen; placing a session looks at the first of each team that takes it, however
//! many agents there are.
//!
//! Invariant: an agent stands in its team exactly while it may be given something: small pieces of work
//! are never more at once than its capacity either. Whoever is placed is whom `routing::choose` chooses
//! among those.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::needs::Needs;
use crate::application::agent::cooldown::Cooldown;
use crate::domain::agent::Agent;
use crate::domain::agent::gate::{Gate, NoAgent};
use crate::domain::agent::load::{Load, Units};
use crate::domain::agent::profile::{Mastery, Profile};
use crate::domain::agent::routing::{Candidate, Ranked, Request, Score, readiness};
use crate::domain::agent::status::{AgentRules, Standing};
use crate::domain::agent::vitals::Condition;
use crate::domain::ids::AgentId;
use crate::domain::schedule::hold::Hold;
use crate::domain::time::Timestamp;

/// An agent as the scheduler sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentSlot {
    /// The agent.
    pub agent: Arc<Agent>,
    /// What its past and its own words say of it.
    pub condition: Condition,
    /// Why it cannot work at all, when it cannot.
    pub down: Option<String>,
    /// Providers that it leaves alone for a while.
    pub cooling: Vec<Cooldown>,
}

impl AgentSlot {
    /// An agent of which nothing is known but that it is there.
    #[must_use]
    pub fn new(agent: Arc<Agent>) -> Self {
        Self { agent, condition: Condition::default(), down: None, cooling: Vec::new() }
    }

    /// Why it leaves the provider of a session alone, when it does.
    fn cooling(&self, needs: &Needs) -> Option<&Cooldown> {
        self.cooling.iter().find(|cooldown| cooldown.provider == needs.provider)
    }
}

/// Why an agent cannot work before it was looked at for the first time.
pub const LOOKING: &str = "it is still being looked at";

/// Why an agent cannot work that speaks for itself.
const SILENT: &str = "it was not heard of in time, or says that it is offline";

/// What an agent works on.
#[derive(Debug, Default)]
struct Work {
    load: Load,
    /// When it was given what it works on, each moment with how much was given then.
    given: BTreeMap<Timestamp, u32>,
}

/// The place of a free agent in its team: by what changes of its score, then as equal scores are ordered.
type Place = (Reverse<u32>, u64, Option<Timestamp>, AgentId);

/// Agents of one profile.
#[derive(Debug)]
struct Team {
    /// One of them.
    of: usize,
    free: BTreeSet<Place>,
}

/// The agents of one tenant.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// By name.
    slots: Vec<AgentSlot>,
    by_id: HashMap<AgentId, usize>,
    by_name: HashMap<String, usize>,
    teams: Vec<Team>,
    /// The team of each slot.
    team_of: Vec<usize>,
    /// Where each slot stands in its team, while it does.
    placed: Vec<Option<Place>>,
    /// When agents will stand otherwise by the passing of time alone.
    turns: BTreeSet<(Timestamp, AgentId)>,
    rules: AgentRules,
    now: Timestamp,
    /// What each agent works on, known here or not.
    work: HashMap<AgentId, Work>,
    /// Agents that nothing new is given to.
    held: BTreeMap<AgentId, Hold>,
}

/// Why nobody takes a session.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Refusal<'a> {
    /// The tenant has no agent, or none of the pinned name.
    NoAgent,
    /// Nobody has all capabilities; those that come closest, and what each of them lacks.
    Incapable(Vec<(&'a Agent, Vec<&'a str>)>),
    /// Nobody is good enough, or may be given it for a reason of its own.
    Unfit(NoAgent, &'a Agent, Gate),
    /// Those who could are still being looked at.
    Looking(&'a Agent),
    /// Those who could cannot work at all, and why.
    Down(&'a Agent, &'a str),
    /// Those who could and work are held.
    Held(&'a Agent, &'a Hold),
    /// Those who could and work leave the provider alone.
    Cooling(&'a Agent, &'a Cooldown),
    /// Those who could work on as many sessions as they take.
    Busy(Vec<&'a Agent>),
}

impl Roster {
    /// Whether these are its agents, as they are.
    pub(super) fn is(&self, slots: &[AgentSlot]) -> bool {
        self.slots == slots
    }

    /// These are the agents from now on.
    pub(super) fn replace(&mut self, mut slots: Vec<AgentSlot>) {
        slots.sort_by(|left, right| left.agent.name.cmp(&right.agent.name));
        self.by_id = slots.iter().enumerate().map(|(at, slot)| (slot.agent.id, at)).collect();
        self.by_name = slots
            .iter()
            .enumerate()
            .map(|(at, slot)| (slot.agent.name.to_ascii_uppercase(), at))
            .collect();
        self.slots = slots;
        self.form_teams();
        self.turns.clear();
        for at in 0..self.slots.len() {
            self.line_up(at);
        }
    }

    /// This is how one of its agents is from now on; `false` when it takes part otherwise than before,
    /// or is new, so that all have to be told anew.
    pub(super) fn update(&mut self, slot: &AgentSlot) -> bool {
        let Some(&at) = self.by_id.get(&slot.agent.id) else { return false };
        let known = &self.slots[at].agent;
        if known.name != slot.agent.name || known.profile != slot.agent.profile {
            return false;
        }
        self.step_out(slot.agent.id);
        self.slots[at] = slot.clone();
        self.line_up(at);
        true
    }

    /// Time passes: whoever stands otherwise by that takes another place.
    pub(super) fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        while let Some(&(at, id)) = self.turns.first().filter(|(at, _)| *at <= self.now) {
            self.turns.remove(&(at, id));
            self.step_out(id);
            self.step_in(id);
        }
    }

    /// When the first of its agents will stand otherwise by the passing of time alone.
    pub(super) fn next_turn(&self) -> Option<Timestamp> {
        self.turns.first().map(|(at, _)| *at)
    }

    fn form_teams(&mut self) {
        let mut known: HashMap<&Profile, usize> = HashMap::new();
        self.teams.clear();
        self.team_of.clear();
        self.placed = vec![None; self.slots.len()];
        for (of, slot) in self.slots.iter().enumerate() {
            let team = *known.entry(&slot.agent.profile).or_insert_with(|| {
                self.teams.push(Team { of, free: BTreeSet::new() });
                self.teams.len() - 1
            });
            self.team_of.push(team);
        }
    }

    /// Nothing new is given to these agents from now on.
    pub(super) fn hold(&mut self, held: BTreeMap<AgentId, Hold>) {
        let concerned: BTreeSet<AgentId> = self.held.keys().chain(held.keys()).copied().collect();
        for id in &concerned {
            self.step_out(*id);
        }
        self.held = held;
        for id in concerned {
            self.step_in(id);
        }
    }

    /// Agents that nothing new is given to, and why.
    pub(super) const fn held(&self) -> &BTreeMap<AgentId, Hold> {
        &self.held
    }

    /// An agent began to work on one more session.
    pub(super) fn begin(&mut self, id: AgentId, units: Units, at: Timestamp) {
        self.step_out(id);
        let work = self.work.entry(id).or_default();
        work.load = work.load.with(units);
        *work.given.entry(at).or_default() += 1;
        self.step_in(id);
    }

    /// An agent ended to work on a session.
    pub(super) fn end(&mut self, id: AgentId, units: Units, at: Timestamp) {
        self.step_out(id);
        if let Some(work) = self.work.get_mut(&id) {
            work.load = work.load.without(units);
            match work.given.get_mut(&at) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) | None => drop(work.given.remove(&at)),
            }
            if work.given.is_empty() {
                self.work.remove(&id);
            }
        }
        self.step_in(id);
    }

    /// What an agent works on.
    pub(super) fn load(&self, id: AgentId) -> Load {
        self.work.get(&id).map(|work| work.load).unwrap_or_default()
    }

    /// How one of its agents stands, and why it cannot be reached when it cannot.
    pub(super) fn stands(&self, id: AgentId) -> Option<(Standing, Option<String>)> {
        let at = *self.by_id.get(&id)?;
        Some((self.candidate(at).standing, self.slots[at].down.clone()))
    }

    /// The agent that is given work with these needs; never the one that is kept free for others.
    pub(super) fn place(&self, needs: &Needs, kept: Option<AgentId>) -> Option<&Arc<Agent>> {
        let takes = |at: usize| {
            kept.is_none_or(|kept| kept != self.slots[at].agent.id) && self.takes(at, needs)
        };
        if let Some(reference) = &needs.agent {
            let at = self.find(reference)?;
            return takes(at).then_some(&self.slots[at].agent);
        }
        let is_fit = |team: &&Team| {
            let one = self.candidate(team.of);
            [Gate::Capability, Gate::Technology]
                .iter()
                .all(|gate| gate.lets_through(&needs.request, &one))
        };
        let first = |team: &Team| {
            let mut places = team.free.iter().filter_map(|place| self.by_id.get(&place.3).copied());
            places.find(|at| takes(*at))
        };
        let asked_for = &needs.request.preferred_ids;
        let wished = asked_for.iter().filter_map(|id| self.by_id.get(id).copied());
        let ranked = |at: usize| {
            let candidate = self.candidate(at);
            (Ranked { candidate, score: Score::of(&needs.request, &candidate) }, at)
        };
        let (_, at) = self
            .teams
            .iter()
            .filter(is_fit)
            .filter_map(first)
            .chain(wished.filter(|at| takes(*at)))
            .map(ranked)
            .min_by(|(one, _), (other, _)| one.order(other))?;
        Some(&self.slots[at].agent)
    }

    /// The agent that will be the first to have room for work with these needs, when nothing but room is
    /// missing.
    pub(super) fn to_be_kept(&self, needs: &Needs) -> Option<AgentId> {
        let pinned = needs.agent.as_ref().map(|reference| self.find(reference));
        let mine = match pinned {
            None => 0..self.slots.len(),
            Some(at) => at.map_or(0..0, |at| at..at + 1),
        };
        let could = |at: &usize| {
            let (slot, candidate) = (&self.slots[*at], self.candidate(*at));
            let mut gates = Gate::ALL.iter().filter(|gate| **gate != Gate::Capacity);
            !self.held.contains_key(&slot.agent.id)
                && slot.cooling(needs).is_none()
                && gates.all(|gate| gate.lets_through(&needs.request, &candidate))
        };
        let could = mine.filter(could).map(|at| self.slots[at].agent.id);
        could.min_by_key(|id| (self.load(*id).units, *id))
    }

    /// Why nobody takes work with these needs; of use when `place` finds nobody.
    pub(super) fn refusal<'a>(&'a self, needs: &'a Needs) -> Refusal<'a> {
        let pinned = needs.agent.as_ref().map(|reference| self.find(reference));
        let mine: Vec<usize> = match pinned {
            None => (0..self.slots.len()).collect(),
            Some(at) => at.into_iter().collect(),
        };
        let slots = |left: &[usize]| -> Vec<&'a AgentSlot> {
            left.iter().map(|at| &self.slots[*at]).collect()
        };
        let passing = |left: &[usize], gate: Gate| -> Vec<usize> {
            let passes = |at: &&usize| gate.lets_through(&needs.request, &self.candidate(**at));
            left.iter().filter(passes).copied().collect()
        };
        if mine.is_empty() {
            return Refusal::NoAgent;
        }
        let mut left = passing(&mine, Gate::Capability);
        if left.is_empty() {
            return Refusal::Incapable(nearest(&slots(&mine), needs));
        }
        for (gate, reason) in [
            (Gate::Tier, NoAgent::Tier),
            (Gate::Breaker, NoAgent::Degraded),
            (Gate::Active, NoAgent::Other),
            (Gate::Draining, NoAgent::Other),
            (Gate::Technology, NoAgent::Other),
        ] {
            let next = passing(&left, gate);
            if next.is_empty() {
                return Refusal::Unfit(reason, &self.slots[left[0]].agent, gate);
            }
            left = next;
        }
        let (able, up) = (slots(&left), slots(&passing(&left, Gate::Alive)));
        if up.is_empty() {
            let looking = able.iter().find(|slot| slot.down.as_deref() == Some(LOOKING));
            return match looking {
                Some(slot) => Refusal::Looking(&slot.agent),
                None => Refusal::Down(&able[0].agent, able[0].down.as_deref().unwrap_or(SILENT)),
            };
        }
        let is_open = |slot: &&&AgentSlot| !self.held.contains_key(&slot.agent.id);
        let open: Vec<&AgentSlot> = up.iter().filter(is_open).copied().collect();
        let first = &up[0].agent;
        match self.held.get(&first.id) {
            Some(hold) if open.is_empty() => Refusal::Held(first, hold),
            Some(_) | None => cooling_or_busy(&open, needs),
        }
    }

    fn find(&self, reference: &str) -> Option<usize> {
        let named = self.by_name.get(&reference.to_ascii_uppercase());
        let id = || AgentId::parse(reference).and_then(|id| self.by_id.get(&id));
        named.or_else(id).copied()
    }

    /// An agent as routing sees it.
    fn candidate(&self, at: usize) -> Candidate<'_> {
        let AgentSlot { agent, condition, down, cooling: _ } = &self.slots[at];
        let work = self.work.get(&agent.id);
        let load = work.map(|work| work.load).unwrap_or_default();
        let newest = work.and_then(|work| work.given.keys().next_back().copied());
        let Agent { id, tenant_id, name, profile, switches, .. } = agent.as_ref();
        let moment = (self.rules, self.now);
        let mut standing = condition.standing((profile, *switches), load, newest, moment);
        standing.is_alive &= down.is_none();
        Candidate { id: *id, tenant_id: *tenant_id, name, profile, standing }
    }

    fn takes(&self, at: usize, needs: &Needs) -> bool {
        let slot = &self.slots[at];
        !self.held.contains_key(&slot.agent.id)
            && self.load(slot.agent.id).tasks < slot.agent.profile.max_concurrent_capacity
            && slot.cooling(needs).is_none()
            && Gate::refusing(&needs.request, &self.candidate(at)).is_none()
    }

    fn step_out(&mut self, id: AgentId) {
        let Some(&at) = self.by_id.get(&id) else { return };
        if let Some(place) = self.placed[at].take() {
            self.teams[self.team_of[at]].free.remove(&place);
        }
        if let Some(turn) = self.turn_of(at) {
            self.turns.remove(&(turn, id));
        }
    }

    fn step_in(&mut self, id: AgentId) {
        if let Some(&at) = self.by_id.get(&id) {
            self.line_up(at);
        }
    }

    /// Gives an agent its place, when it may be given anything.
    fn line_up(&mut self, at: usize) {
        let candidate = self.candidate(at);
        let (id, standing) = (candidate.id, candidate.standing);
        let has_room =
            standing.burden.has_room() && standing.burden.accepts(Units::from_thousandths(1));
        let anything = Request::any(candidate.tenant_id);
        let mut gates = [Gate::Active, Gate::Draining, Gate::Alive, Gate::Breaker].into_iter();
        let may = gates.all(|gate| gate.lets_through(&anything, &candidate));
        let turn = self.turn_of(at);
        self.turns.extend(turn.map(|turn| (turn, id)));
        if has_room && may && !self.held.contains_key(&id) {
            let used = standing.burden.utilization().to_bits();
            let place = (Reverse(readiness(&standing)), used, standing.assigned_at, id);
            self.teams[self.team_of[at]].free.insert(place);
            self.placed[at] = Some(place);
        }
    }

    fn turn_of(&self, at: usize) -> Option<Timestamp> {
        self.slots[at].condition.next_turn(self.rules, self.now)
    }
}

/// Of those who could and may: the first whose provider answers again, or else whoever is busy.
fn cooling_or_busy<'a>(open: &[&'a AgentSlot], needs: &Needs) -> Refusal<'a> {
    let cooling = open.iter().filter_map(|slot| Some((&slot.agent, slot.cooling(needs)?)));
    let first = cooling.clone().min_by_key(|(_, cooldown)| cooldown.until);
    match first {
        Some((agent, cooldown)) if cooling.count() == open.len() => {
            Refusal::Cooling(agent, cooldown)
        }
        Some(_) | None => {
            let busy = open.iter().filter(|slot| slot.cooling(needs).is_none());
            Refusal::Busy(busy.map(|slot| slot.agent.as_ref()).collect())
        }
    }
}

/// Agents told about when none fits.
const NEAREST: usize = 3;

/// Those who lack the fewest of the capabilities, with what they lack.
fn nearest<'a>(slots: &[&'a AgentSlot], needs: &'a Needs) -> Vec<(&'a Agent, Vec<&'a str>)> {
    let lacks = |agent: &Agent| -> Vec<&'a str> {
        let is_missing = |slug: &&String| agent.profile.mastery(slug) == Mastery::Missing;
        needs.request.required.iter().filter(is_missing).map(String::as_str).collect()
    };
    let mut found: Vec<(&Agent, Vec<&str>)> =
        slots.iter().map(|slot| (slot.agent.as_ref(), lacks(&slot.agent))).collect();
    found.sort_by_key(|(_, lacking)| lacking.len());
    found.truncate(NEAREST);
    found
}

#[cfg(test)]
#[path = "placing.rs"]
mod tests;
