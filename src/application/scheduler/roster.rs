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
use super::promise::bit;
use super::reserve::{Reserved, Reserves};
use crate::application::agent::cooldown::Cooldown;
use crate::domain::agent::Agent;
use crate::domain::agent::gate::{Gate, NoAgent};
use crate::domain::agent::kind::{AgentType, ComplexityPreference};
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

    /// Why it leaves a provider alone, when it does; that of its own choice when there is none.
    pub(super) fn cooling(&self, provider: Option<&String>) -> Option<&Cooldown> {
        self.cooling.iter().find(|cooldown| cooldown.provider.as_ref() == provider)
    }
}

/// Why an agent cannot work before it was looked at for the first time.
pub const LOOKING: &str = "it is still being looked at";

/// What an agent works on, and what is reserved for.
#[derive(Debug, Default, Clone)]
struct Work {
    load: Load,
    /// When it was given what it works on, each moment with how much was given then.
    given: BTreeMap<Timestamp, u32>,
}

impl Work {
    fn add(&mut self, units: Units, at: Timestamp) {
        self.load = self.load.with(units);
        *self.given.entry(at).or_default() += 1;
    }

    fn remove(&mut self, units: Units, at: Timestamp) {
        self.load = self.load.without(units);
        match self.given.get_mut(&at) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(self.given.remove(&at)),
        }
    }
}

/// The place of a free agent in its team: by what changes of its score, then as equal scores are ordered.
pub(super) type Place = (Reverse<u32>, u64, Option<Timestamp>, AgentId);

/// How an agent stands that may stand otherwise than before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stirred {
    /// How it stood when it was first touched since this was asked last, after that; nothing of one that
    /// only went.
    pub first: Option<Standing>,
    /// How it stands; nothing of one that is gone.
    pub now: Option<Standing>,
}

/// Agents of one profile.
#[derive(Debug)]
pub(super) struct Team {
    /// One of them.
    of: usize,
    pub(super) free: BTreeSet<Place>,
    /// The first of those.
    pub(super) first: Option<Place>,
    /// The types of sessions that they prefer, as bits; none is any.
    pub(super) sessions: u32,
    pub(super) preference: ComplexityPreference,
    pub(super) agent_type: AgentType,
}

impl Team {
    fn of(of: usize, profile: &Profile) -> Self {
        let bits = profile.preferred_session_types.iter().map(|one| bit(*one));
        Self {
            of,
            free: BTreeSet::new(),
            first: None,
            sessions: bits.fold(0, |sum, one| sum | one),
            preference: profile.complexity_preference,
            agent_type: profile.agent_type,
        }
    }

    fn add(&mut self, place: Place) {
        self.free.insert(place);
        self.first = Some(self.first.map_or(place, |first| first.min(place)));
    }

    fn remove(&mut self, place: &Place) {
        self.free.remove(place);
        if self.first == Some(*place) {
            self.first = self.free.first().copied();
        }
    }
}

/// The agents of one tenant.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// By name.
    slots: Vec<AgentSlot>,
    by_id: HashMap<AgentId, usize>,
    by_name: HashMap<String, usize>,
    pub(super) teams: Vec<Team>,
    /// The team of each slot.
    team_of: Vec<usize>,
    /// The teams that have each capability, and whether it is what they are for.
    pub(super) able: HashMap<String, Vec<(usize, bool)>>,
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
    /// Room that is held for work to come; it counts as work.
    reserves: Reserves,
    /// Agents that may stand otherwise than when that was asked last, and how each stood at first.
    stirred: BTreeMap<AgentId, Option<Standing>>,
}

impl Roster {
    /// Nobody yet, judged by these times.
    pub(super) fn judged_by(rules: AgentRules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// The agents, by name.
    pub(super) fn slots(&self) -> &[AgentSlot] {
        &self.slots
    }

    /// Whether these are its agents, as they are.
    pub(super) fn is(&self, slots: &[AgentSlot]) -> bool {
        self.slots == slots
    }

    /// These are the agents from now on.
    pub(super) fn replace(&mut self, mut slots: Vec<AgentSlot>) {
        for id in self.by_id.keys() {
            self.stirred.entry(*id).or_insert(None);
        }
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
                self.teams.push(Team::of(of, &slot.agent.profile));
                self.teams.len() - 1
            });
            self.team_of.push(team);
        }
        self.able.clear();
        for (at, team) in self.teams.iter().enumerate() {
            let profile = &self.slots[team.of].agent.profile;
            for slug in profile.capabilities() {
                let one = (at, profile.mastery(slug) == Mastery::Primary);
                match self.able.get_mut(slug) {
                    Some(teams) => teams.push(one),
                    None => drop(self.able.insert(slug.to_owned(), vec![one])),
                }
            }
        }
    }

    /// Why none of them takes it, when none does; only those who are able are looked at.
    pub(super) fn why_nobody(&self, request: &Request) -> NoAgent {
        let mut is_able = vec![false; self.teams.len()];
        self.able(request).into_iter().for_each(|(at, _)| is_able[at] = true);
        let able = (0..self.slots.len()).filter(|at| is_able[self.team_of[*at]]);
        let able: Vec<Candidate<'_>> = able.map(|at| self.tried(at)).collect();
        NoAgent::of(request, &able)
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

    /// An agent began to work on one more session.
    pub(super) fn begin(&mut self, id: AgentId, units: Units, at: Timestamp) {
        self.step_out(id);
        self.work.entry(id).or_default().add(units, at);
        self.step_in(id);
    }

    /// An agent ended to work on a session.
    pub(super) fn end(&mut self, id: AgentId, units: Units, at: Timestamp) {
        self.step_out(id);
        if let Some(work) = self.work.get_mut(&id) {
            work.remove(units, at);
            if work.given.is_empty() {
                self.work.remove(&id);
            }
        }
        self.step_in(id);
    }

    /// Room is held at an agent.
    pub(super) fn reserve(&mut self, reserved: Reserved) {
        let Reserved { agent, units, since, .. } = reserved;
        self.reserves.add(reserved);
        self.begin(agent, units, since);
    }

    /// Room that was held until then, or is used by a session with these needs, is free again.
    pub(super) fn give_back(&mut self, which: impl Fn(&Reserved) -> bool, most: usize) {
        for Reserved { agent, units, since, .. } in self.reserves.take(which, most) {
            self.end(agent, units, since);
        }
    }

    /// What is held.
    pub(super) const fn reserves(&self) -> &Reserves {
        &self.reserves
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
        if let Some(reference) = &needs.agent {
            let at = self.find(reference)?;
            let is_kept = kept == Some(self.slots[at].agent.id);
            let takes = (!is_kept && self.takes(at, needs)) || self.takes_reserved(at, needs);
            return takes.then_some(&self.slots[at].agent);
        }
        let takes = |at: usize| {
            kept.is_none_or(|kept| kept != self.slots[at].agent.id) && self.takes(at, needs)
        };
        let first = |team: &Team| {
            let mut places = team.free.iter().filter_map(|place| self.by_id.get(&place.3).copied());
            places.find(|at| takes(*at))
        };
        let asked_for = &needs.request.preferred_ids;
        let wished = asked_for.iter().filter_map(|id| self.by_id.get(id).copied());
        let (request, mut best) = (&needs.request, None);
        let mut promises = self.promises(request);
        while let Some(team) = promises.next(best.as_ref().map(|(known, _)| known)) {
            if let Some(at) = first(&self.teams[team]) {
                self.prefer(request, at, &mut best);
            }
        }
        wished.filter(|at| takes(*at)).for_each(|at| self.prefer(request, at, &mut best));
        let (_, at) = best?;
        Some(&self.slots[at].agent)
    }

    /// Keeps the better one of the best so far and another.
    fn prefer<'a>(&'a self, request: &Request, at: usize, best: &mut Option<(Ranked<'a>, usize)>) {
        let candidate = self.candidate(at);
        let ranked = Ranked { candidate, score: Score::of(request, &candidate) };
        if best.as_ref().is_none_or(|(known, _)| ranked.order(known).is_lt()) {
            *best = Some((ranked, at));
        }
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
                && slot.cooling(needs.provider.as_ref()).is_none()
                && gates.all(|gate| gate.lets_through(&needs.request, &candidate))
        };
        let could = mine.filter(could).map(|at| self.slots[at].agent.id);
        could.min_by_key(|id| (self.load(*id).units, *id))
    }

    /// Agents that may stand otherwise than when this was asked last.
    pub(super) fn take_stirred(&mut self) -> Vec<(AgentId, Stirred)> {
        let stirred = std::mem::take(&mut self.stirred);
        let stands = |id| Some(self.candidate(*self.by_id.get(&id)?).standing);
        let each = stirred.into_iter();
        each.map(|(id, first)| (id, Stirred { first, now: stands(id) })).collect()
    }

    /// Where an agent stands that is called so.
    pub(super) fn find(&self, reference: &str) -> Option<usize> {
        let named = self.by_name.get(&reference.to_ascii_uppercase());
        let id = || AgentId::parse(reference).and_then(|id| self.by_id.get(&id));
        named.or_else(id).copied()
    }

    /// Where the agent with this id stands.
    pub(super) fn place_of(&self, id: AgentId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// Agents that nothing new is given to, and why.
    pub(super) const fn held(&self) -> &BTreeMap<AgentId, Hold> {
        &self.held
    }

    /// An agent as routing sees it.
    pub(super) fn candidate(&self, at: usize) -> Candidate<'_> {
        self.with_work(at, self.work.get(&self.slots[at].agent.id))
    }

    /// The same, as if it worked on this.
    fn with_work(&self, at: usize, work: Option<&Work>) -> Candidate<'_> {
        let AgentSlot { agent, condition, down, cooling: _ } = &self.slots[at];
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
            && slot.cooling(needs.provider.as_ref()).is_none()
            && Gate::refusing(&needs.request, &self.candidate(at)).is_none()
    }

    /// Whether room was reserved at an agent that a session with these needs may use.
    fn takes_reserved(&self, at: usize, needs: &Needs) -> bool {
        let slot = &self.slots[at];
        let id = slot.agent.id;
        let (Some(reserved), Some(work)) = (self.reserves.for_use(id, needs), self.work.get(&id))
        else {
            return false;
        };
        let mut beside = work.clone();
        beside.remove(reserved.units, reserved.since);
        let candidate = self.with_work(at, Some(&beside));
        !self.held.contains_key(&id)
            && slot.cooling(needs.provider.as_ref()).is_none()
            && Gate::refusing(&needs.request, &candidate).is_none()
    }

    fn step_out(&mut self, id: AgentId) {
        let Some(&at) = self.by_id.get(&id) else { return };
        if let Some(place) = self.placed[at].take() {
            self.teams[self.team_of[at]].remove(&place);
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
        self.stirred.entry(id).or_insert(None).get_or_insert(standing);
        let candidate = self.candidate(at);
        let has_room = standing.burden.accepts(Units::from_thousandths(1));
        let anything = Request::any(candidate.tenant_id);
        let mut gates = [Gate::Active, Gate::Draining, Gate::Alive, Gate::Breaker].into_iter();
        let may = gates.all(|gate| gate.lets_through(&anything, &candidate));
        let turn = self.turn_of(at);
        self.turns.extend(turn.map(|turn| (turn, id)));
        if has_room && may && !self.held.contains_key(&id) {
            let used = standing.burden.utilization().to_bits();
            let place = (Reverse(readiness(&standing)), used, standing.assigned_at, id);
            self.teams[self.team_of[at]].add(place);
            self.placed[at] = Some(place);
        }
    }

    fn turn_of(&self, at: usize) -> Option<Timestamp> {
        self.slots[at].condition.next_turn(self.rules, self.now)
    }
}

#[cfg(test)]
#[path = "placing.rs"]
mod tests;
