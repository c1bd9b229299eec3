//! Why nobody is given a session, as far as the agents are the reason.

use super::needs::Needs;
use super::roster::{AgentSlot, LOOKING, Roster};
use crate::application::agent::cooldown::Cooldown;
use crate::domain::agent::Agent;
use crate::domain::agent::gate::{Gate, NoAgent};
use crate::domain::agent::profile::Mastery;
use crate::domain::schedule::hold::Hold;

/// Why an agent cannot work that speaks for itself.
const SILENT: &str = "it was not heard of in time, or says that it is offline";

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
    /// Why nobody takes work with these needs; of use when `place` finds nobody.
    pub(super) fn refusal<'a>(&'a self, needs: &'a Needs) -> Refusal<'a> {
        let pinned = needs.agent.as_ref().map(|reference| self.find(reference));
        let mine: Vec<usize> = match pinned {
            None => (0..self.slots().len()).collect(),
            Some(at) => at.into_iter().collect(),
        };
        let slots = |left: &[usize]| -> Vec<&'a AgentSlot> {
            left.iter().map(|at| &self.slots()[*at]).collect()
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
                return Refusal::Unfit(reason, &self.slots()[left[0]].agent, gate);
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
        let is_open = |slot: &&&AgentSlot| !self.held().contains_key(&slot.agent.id);
        let open: Vec<&AgentSlot> = up.iter().filter(is_open).copied().collect();
        let first = &up[0].agent;
        match self.held().get(&first.id) {
            Some(hold) if open.is_empty() => Refusal::Held(first, hold),
            Some(_) | None => cooling_or_busy(&open, needs),
        }
    }
}

/// Of those who could and may: the first whose provider answers again, or else whoever is busy.
fn cooling_or_busy<'a>(open: &[&'a AgentSlot], needs: &Needs) -> Refusal<'a> {
    let cooling =
        open.iter().filter_map(|slot| Some((&slot.agent, slot.cooling(needs.provider.as_ref())?)));
    let first = cooling.clone().min_by_key(|(_, cooldown)| cooldown.until);
    match first {
        Some((agent, cooldown)) if cooling.count() == open.len() => {
            Refusal::Cooling(agent, cooldown)
        }
        Some(_) | None => {
            let busy = open.iter().filter(|slot| slot.cooling(needs.provider.as_ref()).is_none());
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
