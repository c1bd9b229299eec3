//! The agents of one tenant: who can take what, and who is least busy.
//!
//! Agents with the same capabilities form a team, in which the free ones stand in order; placing a
//! session looks at the heads of the teams that fit, however many agents there are.
//!
//! Invariant: an agent stands in its team exactly while it can take one more session.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::needs::Needs;
use crate::application::agent::cooldown::Cooldown;
use crate::domain::agent::Agent;
use crate::domain::ids::AgentId;
use crate::domain::schedule::hold::Hold;

/// An agent as the scheduler sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentSlot {
    /// The agent.
    pub agent: Arc<Agent>,
    /// Why it cannot work at all, when it cannot.
    pub down: Option<String>,
    /// Providers that it leaves alone for a while.
    pub cooling: Vec<Cooldown>,
}

impl AgentSlot {
    /// Why it leaves the provider of a session alone, when it does.
    fn cooling(&self, needs: &Needs) -> Option<&Cooldown> {
        self.cooling.iter().find(|cooldown| cooldown.provider == needs.provider)
    }
}

/// Why an agent cannot work before it was looked at for the first time.
pub const LOOKING: &str = "it is still being looked at";

/// A free agent in its team: the least busy one comes first, then by name.
type Free = (u32, usize);

/// The agents of one tenant.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// By name.
    slots: Vec<AgentSlot>,
    by_id: HashMap<AgentId, usize>,
    by_name: HashMap<String, usize>,
    teams: BTreeMap<Vec<String>, BTreeSet<Free>>,
    /// Sessions that each agent works on, known here or not; never 0.
    busy: HashMap<AgentId, u32>,
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
        self.teams.clear();
        self.slots = slots;
        for at in 0..self.slots.len() {
            self.line_up(at);
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
    pub(super) fn begin(&mut self, id: AgentId) {
        self.step_out(id);
        *self.busy.entry(id).or_default() += 1;
        self.step_in(id);
    }

    /// An agent ended to work on a session.
    pub(super) fn end(&mut self, id: AgentId) {
        self.step_out(id);
        if let Some(busy) = self.busy.get_mut(&id) {
            *busy -= 1;
            if *busy == 0 {
                self.busy.remove(&id);
            }
        }
        self.step_in(id);
    }

    /// Sessions that an agent works on.
    pub(super) fn busy(&self, id: AgentId) -> u32 {
        self.busy.get(&id).copied().unwrap_or(0)
    }

    /// The agent that takes work with these needs: the least busy one, then by name.
    pub(super) fn place(&self, needs: &Needs) -> Option<&Arc<Agent>> {
        if let Some(reference) = &needs.agent {
            let at = self.find(reference)?;
            let slot = &self.slots[at];
            let able = self.is_free(at) && slot.agent.has_all(&needs.capabilities);
            return (able && slot.cooling(needs).is_none()).then_some(&slot.agent);
        }
        let fits = |team: &[String]| {
            needs.capabilities.iter().all(|slug| team.binary_search(slug).is_ok())
        };
        let teams = self.teams.iter().filter(|(team, _)| fits(team));
        let may = |free: &&Free| self.slots[free.1].cooling(needs).is_none();
        let (_, at) = teams.filter_map(|(_, free)| free.iter().find(may)).min()?;
        Some(&self.slots[*at].agent)
    }

    /// Why nobody takes work with these needs; of use when `place` finds nobody.
    pub(super) fn refusal<'a>(&'a self, needs: &'a Needs) -> Refusal<'a> {
        let pinned = needs.agent.as_ref().map(|reference| self.find(reference));
        let mine: Vec<&AgentSlot> = match pinned {
            None => self.slots.iter().collect(),
            Some(at) => at.map(|at| &self.slots[at]).into_iter().collect(),
        };
        if mine.is_empty() {
            return Refusal::NoAgent;
        }
        let able: Vec<&AgentSlot> =
            mine.iter().copied().filter(|slot| slot.agent.has_all(&needs.capabilities)).collect();
        let Some(first) = able.first() else { return Refusal::Incapable(nearest(&mine, needs)) };
        let up: Vec<&AgentSlot> = able.iter().copied().filter(|slot| slot.down.is_none()).collect();
        if up.is_empty() {
            let looking = able.iter().find(|slot| slot.down.as_deref() == Some(LOOKING));
            return match looking {
                Some(slot) => Refusal::Looking(&slot.agent),
                None => Refusal::Down(&first.agent, first.down.as_deref().unwrap_or("")),
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

    fn is_free(&self, at: usize) -> bool {
        let AgentSlot { agent, down, cooling: _ } = &self.slots[at];
        down.is_none()
            && !self.held.contains_key(&agent.id)
            && self.busy(agent.id) < agent.max_concurrent_capacity
    }

    fn step_out(&mut self, id: AgentId) {
        let Some(&at) = self.by_id.get(&id) else { return };
        let team = team_of(&self.slots[at].agent);
        let place = (self.busy(id), at);
        if let Some(free) = self.teams.get_mut(&team) {
            free.remove(&place);
            if free.is_empty() {
                self.teams.remove(&team);
            }
        }
    }

    fn step_in(&mut self, id: AgentId) {
        if let Some(&at) = self.by_id.get(&id) {
            self.line_up(at);
        }
    }

    fn line_up(&mut self, at: usize) {
        if self.is_free(at) {
            let agent = &self.slots[at].agent;
            let place = (self.busy(agent.id), at);
            self.teams.entry(team_of(agent)).or_default().insert(place);
        }
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
        let missing = needs.capabilities.iter().filter(|slug| !agent.capabilities.contains(slug));
        missing.map(String::as_str).collect()
    };
    let mut found: Vec<(&Agent, Vec<&str>)> =
        slots.iter().map(|slot| (slot.agent.as_ref(), lacks(&slot.agent))).collect();
    found.sort_by_key(|(_, lacking)| lacking.len());
    found.truncate(NEAREST);
    found
}

fn team_of(agent: &Agent) -> Vec<String> {
    let mut team = agent.capabilities.clone();
    team.sort_unstable();
    team
}
