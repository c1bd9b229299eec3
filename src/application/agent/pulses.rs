//! When external agents were heard and what they said: decided on at once, written a little later.
//!
//! Invariant: what is lost with the process is a few seconds of liveness, which every agent gets again
//! after a restart: silence counts from the start of the server at the earliest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::agent::heartbeat::Heartbeat;
use crate::domain::agent::load::{Burden, Load, LoadLevel};
use crate::domain::agent::status::{HeartbeatStatus, Pulse};
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::time::Timestamp;

/// Signs of life that come closer than this are one to decisions.
const GRAIN: Duration = Duration::from_secs(1);

/// Which agent, and whose.
pub type Who = (TenantId, AgentId);

/// What is known of one agent.
#[derive(Debug, Clone, Default)]
struct Known {
    /// The newest sign of life of any kind.
    heard_at: Option<Timestamp>,
    /// What it said of itself last.
    beat: Option<Heartbeat>,
    /// When decisions were last told.
    told_at: Option<Timestamp>,
    /// Heartbeats in a row that named less work than there is.
    missing: u32,
}

#[derive(Debug, Default)]
struct Heard {
    agents: BTreeMap<Who, Known>,
    changed: BTreeSet<Who>,
    unwritten: BTreeSet<Who>,
}

/// The pulses of all external agents.
#[derive(Debug, Clone)]
pub struct Pulses {
    heard: Arc<Mutex<Heard>>,
    started_at: Timestamp,
}

/// What a heartbeat changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beaten {
    /// Decisions may be others because of it.
    pub matters: bool,
    /// It is the second in a row that names less work than the agent has.
    pub misses_work: bool,
}

impl Pulses {
    /// Nobody was heard yet by a server that starts now.
    #[must_use]
    pub fn new(started_at: Timestamp) -> Self {
        Self { heard: Arc::default(), started_at }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was stored of a tenant's agents; whoever was heard since is known better.
    pub fn learn(&self, tenant: TenantId, beats: Vec<Heartbeat>) {
        let mut heard = self.heard();
        for beat in beats {
            let known = heard.agents.entry((tenant, beat.agent_id)).or_default();
            if known.beat.is_none() {
                known.heard_at = known.heard_at.max(Some(beat.heard_at));
                known.beat = Some(beat);
            }
        }
    }

    /// An agent gave a sign of life.
    pub fn hear(&self, who: Who, now: Timestamp) {
        let mut heard = self.heard();
        let known = heard.agents.entry(who).or_default();
        known.heard_at = known.heard_at.max(Some(now));
        if let Some(beat) = &mut known.beat {
            beat.heard_at = now;
        }
        let is_due = known.told_at.is_none_or(|told| now.since(told) >= GRAIN);
        if is_due {
            known.told_at = Some(now);
            heard.changed.insert(who);
            heard.unwritten.insert(who);
        }
    }

    /// An agent said how it is, while it was given so much to do.
    #[must_use]
    pub fn beat(&self, tenant: TenantId, beat: Heartbeat, given: u32) -> Beaten {
        let who = (tenant, beat.agent_id);
        let mut heard = self.heard();
        let known = heard.agents.entry(who).or_default();
        // How busy it is within a level is seen with the next look, which comes within a second.
        let level = |beat: &Heartbeat| {
            let (load, reported) = (Load::default(), beat.current_load);
            Burden { load, capacity: 1, reported }.level()
        };
        // Of one that said nothing yet nothing worse is known than that it is well and idle.
        let was =
            known.beat.as_ref().map_or((HeartbeatStatus::Healthy, LoadLevel::Idle), |before| {
                (before.status, level(before))
            });
        let differs = was != (beat.status, level(&beat));
        known.missing = if beat.tasks_in_progress < given { known.missing + 1 } else { 0 };
        let misses_work = known.missing == 2;
        known.heard_at = known.heard_at.max(Some(beat.heard_at));
        known.told_at = Some(beat.heard_at);
        known.beat = Some(beat);
        heard.changed.insert(who);
        heard.unwritten.insert(who);
        Beaten { matters: differs, misses_work }
    }

    /// How decisions see an agent that was registered then.
    #[must_use]
    pub fn pulse(&self, who: Who, registered_at: Timestamp) -> Pulse {
        let earliest = registered_at.max(self.started_at);
        let heard = self.heard();
        let Some(known) = heard.agents.get(&who) else { return Pulse::new(earliest) };
        let from = known.heard_at.map_or(earliest, |at| at.max(earliest));
        match &known.beat {
            Some(beat) => Pulse { from, ..beat.pulse(self.started_at) },
            None => Pulse::new(from),
        }
    }

    /// What an agent said of itself last.
    #[must_use]
    pub fn newest(&self, who: Who) -> Option<Heartbeat> {
        self.heard().agents.get(&who).and_then(|known| known.beat.clone())
    }

    /// Agents that decisions may be others for since this was asked last.
    #[must_use]
    pub fn take_changed(&self) -> BTreeSet<Who> {
        std::mem::take(&mut self.heard().changed)
    }

    /// What is to be written, per tenant; an agent that said nothing of itself has nothing to be written.
    #[must_use]
    pub fn take_unwritten(&self) -> BTreeMap<TenantId, Vec<Heartbeat>> {
        let mut heard = self.heard();
        let mut found: BTreeMap<TenantId, Vec<Heartbeat>> = BTreeMap::new();
        for who in std::mem::take(&mut heard.unwritten) {
            let beat = heard.agents.get(&who).and_then(|known| known.beat.clone());
            if let Some(beat) = beat {
                found.entry(who.0).or_default().push(beat);
            }
        }
        found
    }

    /// Something could not be written: it is written later.
    pub fn put_back(&self, tenant: TenantId, beats: &[Heartbeat]) {
        let mut heard = self.heard();
        heard.unwritten.extend(beats.iter().map(|beat| (tenant, beat.agent_id)));
    }

    /// Only these agents of a tenant are there: what is known of others from before then is forgotten.
    pub fn forget_others(
        &self,
        tenant: TenantId,
        then: Timestamp,
        is_there: impl Fn(AgentId) -> bool,
    ) {
        let mut heard = self.heard();
        let first = (tenant, AgentId::new(uuid::Uuid::nil()));
        let own = heard.agents.range(first..).take_while(|((of, _), _)| *of == tenant);
        let is_gone = |who: &Who, known: &Known| {
            !is_there(who.1) && known.heard_at.is_none_or(|at| at < then)
        };
        let gone = own.filter(|(who, known)| is_gone(who, known)).map(|(who, _)| *who);
        let gone: Vec<Who> = gone.collect();
        for who in gone {
            heard.forget(who);
        }
    }

    /// An agent is gone.
    pub fn forget(&self, who: Who) {
        self.heard().forget(who);
    }
}

impl Heard {
    fn forget(&mut self, who: Who) {
        self.agents.remove(&who);
        self.changed.remove(&who);
        self.unwritten.remove(&who);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;
    use uuid::Uuid;

    use super::*;
    use crate::domain::agent::status::LivenessRules;

    fn drop_beat(_: Beaten) {}

    fn at(seconds: u64) -> Timestamp {
        Timestamp::EPOCH.after(Duration::from_secs(seconds))
    }

    fn beat(seconds: u64, status: HeartbeatStatus, tasks: u32) -> Heartbeat {
        Heartbeat {
            agent_id: AgentId::new(Uuid::nil()),
            heard_at: at(seconds),
            said_at: None,
            status,
            current_load: 0.0,
            tasks_in_progress: tasks,
            metrics: Map::new(),
        }
    }

    const WHO: Who = (TenantId::BOOTSTRAP, AgentId::new(Uuid::nil()));

    #[test]
    fn silence_counts_from_the_newest_of_registration_start_and_sign_of_life() {
        let pulses = Pulses::new(at(100));
        pulses.learn(WHO.0, vec![beat(50, HeartbeatStatus::Busy, 0)]);
        let pulse = pulses.pulse(WHO, at(10));
        assert_eq!((pulse.from, pulse.status), (at(100), Some(HeartbeatStatus::Busy)));
        pulses.hear(WHO, at(130));
        assert_eq!(pulses.pulse(WHO, at(10)).from, at(130));
        assert!(pulses.pulse(WHO, at(10)).is_alive(LivenessRules::default(), at(429)));
        let other = (TenantId::BOOTSTRAP, AgentId::new(Uuid::from_u128(9)));
        assert_eq!(pulses.pulse(other, at(200)), Pulse::new(at(200)));
    }

    #[test]
    fn what_was_learned_never_overrides_what_was_heard() {
        let pulses = Pulses::new(at(0));
        drop_beat(pulses.beat(WHO.0, beat(20, HeartbeatStatus::Healthy, 0), 0));
        pulses.learn(WHO.0, vec![beat(5, HeartbeatStatus::Offline, 0)]);
        assert_eq!(pulses.newest(WHO).map(|beat| beat.status), Some(HeartbeatStatus::Healthy));
    }

    #[test]
    fn decisions_are_told_of_what_differs_and_of_time_now_and_then() {
        let pulses = Pulses::new(at(0));
        let first = pulses.beat(WHO.0, beat(1, HeartbeatStatus::Healthy, 0), 0);
        assert!(!first.matters && pulses.take_changed().contains(&WHO));
        assert!(!pulses.beat(WHO.0, beat(31, HeartbeatStatus::Healthy, 0), 0).matters);
        assert!(pulses.beat(WHO.0, beat(61, HeartbeatStatus::Busy, 0), 0).matters);
        drop(pulses.take_changed());
        pulses.hear(WHO, at(61));
        assert!(pulses.take_changed().is_empty(), "too close");
        pulses.hear(WHO, at(63));
        assert!(pulses.take_changed().contains(&WHO));
    }

    #[test]
    fn the_second_heartbeat_that_misses_work_is_told_once() {
        let pulses = Pulses::new(at(0));
        let told: Vec<bool> = (0..4)
            .map(|n| pulses.beat(WHO.0, beat(n, HeartbeatStatus::Healthy, 1), 2).misses_work)
            .collect();
        assert_eq!(told, [false, true, false, false]);
        drop_beat(pulses.beat(WHO.0, beat(5, HeartbeatStatus::Healthy, 2), 2));
        drop_beat(pulses.beat(WHO.0, beat(6, HeartbeatStatus::Healthy, 0), 2));
        assert!(pulses.beat(WHO.0, beat(7, HeartbeatStatus::Healthy, 0), 2).misses_work);
    }

    #[test]
    fn what_is_to_be_written_is_taken_once_and_put_back_when_it_failed() {
        let pulses = Pulses::new(at(0));
        pulses.hear(WHO, at(1));
        assert!(pulses.take_unwritten().is_empty(), "it said nothing of itself");
        drop_beat(pulses.beat(WHO.0, beat(2, HeartbeatStatus::Healthy, 0), 0));
        let taken = pulses.take_unwritten();
        assert_eq!(taken[&WHO.0].len(), 1);
        assert!(pulses.take_unwritten().is_empty());
        pulses.put_back(WHO.0, &taken[&WHO.0]);
        assert_eq!(pulses.take_unwritten(), taken);
        pulses.forget(WHO);
        assert!(pulses.newest(WHO).is_none());
        assert!(pulses.take_unwritten().is_empty());
    }

    #[test]
    fn of_agents_that_are_gone_nothing_is_kept() {
        let pulses = Pulses::new(at(0));
        let known = |number: u128| AgentId::new(Uuid::from_u128(number));
        for (number, seconds) in [(1, 5), (2, 5), (3, 10)] {
            let beat =
                Heartbeat { agent_id: known(number), ..beat(seconds, HeartbeatStatus::Healthy, 0) };
            drop_beat(pulses.beat(WHO.0, beat, 0));
        }
        let elsewhere = TenantId::new(Uuid::from_u128(77));
        drop_beat(pulses.beat(elsewhere, beat(5, HeartbeatStatus::Healthy, 0), 0));
        pulses.forget_others(WHO.0, at(10), |agent| agent == known(1));
        let is_known = |who| pulses.newest(who).is_some();
        assert!(is_known((WHO.0, known(1))) && is_known((elsewhere, WHO.1)));
        assert!(!is_known((WHO.0, known(2))), "it is gone");
        assert!(is_known((WHO.0, known(3))), "it may have come since");
    }
}
