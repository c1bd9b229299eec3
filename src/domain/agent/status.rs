//! How an agent is: alive or not, and the one word for it that people see.
//!
//! Invariant: liveness is what was stored and the time, so that it is the same after a restart and on
//! every node.

use std::time::Duration;

use super::breaker::{BreakerRules, BreakerState};
use super::load::{Burden, Units};
use super::performance::Tier;
use super::profile::Switches;
use crate::closed_enum;
use crate::domain::time::Timestamp;

closed_enum!(
    /// What an agent says of itself.
    HeartbeatStatus {
        Healthy = "healthy",
        Degraded = "degraded",
        Busy = "busy",
        Offline = "offline",
    }
);

closed_enum!(
    /// One word for how an agent is.
    AgentState {
        Inactive = "inactive",
        Maintenance = "maintenance",
        Draining = "draining",
        Offline = "offline",
        Degraded = "degraded",
        Busy = "busy",
        Active = "active",
        Idle = "idle",
    }
);

/// How long silence is borne.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LivenessRules {
    /// What agents are told to keep.
    pub interval: Duration,
    /// Then they are offline, and their leases void.
    pub expiry: Duration,
}

impl Default for LivenessRules {
    fn default() -> Self {
        Self { interval: Duration::from_secs(30), expiry: Duration::from_mins(5) }
    }
}

/// By which times agents are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentRules {
    /// How long silence is borne.
    pub liveness: LivenessRules,
    /// How long work is kept away.
    pub breaker: BreakerRules,
    /// Without work or a sign of life for longer than this, somebody should look.
    pub inactive_after: Duration,
}

impl Default for AgentRules {
    fn default() -> Self {
        Self {
            liveness: LivenessRules::default(),
            breaker: BreakerRules::default(),
            inactive_after: Duration::from_hours(24),
        }
    }
}

/// When an agent was heard last, and what it said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pulse {
    /// What it said last; nothing yet of one that never did.
    pub status: Option<HeartbeatStatus>,
    /// Silence counts from here: the last sign of life, the registration, or the start of the server.
    pub from: Timestamp,
    /// How busy it says it is, 0 to 1.
    pub load: f64,
    /// What it says it works on.
    pub tasks: u32,
}

impl Pulse {
    /// Of an agent that was not heard yet.
    #[must_use]
    pub const fn new(from: Timestamp) -> Self {
        Self { status: None, from, load: 0.0, tasks: 0 }
    }

    /// Whether it may be spoken to.
    #[must_use]
    pub fn is_alive(&self, rules: LivenessRules, now: Timestamp) -> bool {
        self.status != Some(HeartbeatStatus::Offline) && now < self.from.after(rules.expiry)
    }

    /// Whether its sessions are degraded: two intervals without a sign of life.
    #[must_use]
    pub fn is_late(&self, rules: LivenessRules, now: Timestamp) -> bool {
        now >= self.from.after(rules.interval * 2)
    }
}

/// An agent as decisions see it at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// What people decided.
    pub switches: Switches,
    /// Whether it was heard in time and is not offline.
    pub is_alive: bool,
    /// What it said last.
    pub heartbeat: Option<HeartbeatStatus>,
    /// How good it is.
    pub tier: Tier,
    /// What its breaker is.
    pub breaker: BreakerState,
    /// Whether a half-open breaker has its one assignment under way.
    pub is_probing: bool,
    /// What it works on.
    pub burden: Burden,
    /// When it was given work last.
    pub assigned_at: Option<Timestamp>,
}

impl Standing {
    /// Whether there is room for more work that it may be given.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.burden.has_room() && self.tier != Tier::Degraded
    }

    /// The one word, by the first that fits.
    #[must_use]
    pub fn state(&self) -> AgentState {
        let Switches { is_active, is_approved, in_maintenance, is_draining } = self.switches;
        let says = |status| self.heartbeat == Some(status);
        let is_weak = self.tier == Tier::Degraded || self.breaker != BreakerState::Closed;
        let is_full = !self.burden.accepts(Units::of(1.0));
        match () {
            () if !is_active || !is_approved => AgentState::Inactive,
            () if in_maintenance => AgentState::Maintenance,
            () if is_draining => AgentState::Draining,
            () if !self.is_alive || says(HeartbeatStatus::Offline) => AgentState::Offline,
            () if says(HeartbeatStatus::Degraded) || is_weak => AgentState::Degraded,
            () if says(HeartbeatStatus::Busy) || is_full => AgentState::Busy,
            () if self.burden.load.tasks > 0 => AgentState::Active,
            () => AgentState::Idle,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::agent::load::Load;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    /// An idle agent of the best tier.
    pub(in crate::domain::agent) const fn idle() -> Standing {
        let load = Load { tasks: 0, units: Units::from_thousandths(0) };
        Standing {
            switches: Switches::ON,
            is_alive: true,
            heartbeat: None,
            tier: Tier::Elite,
            breaker: BreakerState::Closed,
            is_probing: false,
            burden: Burden { load, capacity: 5, reported: 0.0 },
            assigned_at: None,
        }
    }

    #[test]
    fn the_first_state_that_fits_is_told() {
        let full = Burden { reported: 1.2, ..idle().burden };
        let mut standing = Standing { burden: full, tier: Tier::Degraded, ..idle() };
        standing.is_alive = false;
        standing.switches = Switches {
            is_active: true,
            is_approved: false,
            in_maintenance: true,
            is_draining: true,
        };
        let mut seen = vec![standing.state()];
        standing.switches.is_approved = true;
        seen.push(standing.state());
        standing.switches.in_maintenance = false;
        seen.push(standing.state());
        standing.switches.is_draining = false;
        seen.push(standing.state());
        standing.is_alive = true;
        seen.push(standing.state());
        standing.tier = Tier::Trainee;
        seen.push(standing.state());
        standing.burden.reported = 0.0;
        standing.burden.load = Load::default().with(Units::of(1.0));
        seen.push(standing.state());
        standing.burden.load = Load::default();
        seen.push(standing.state());
        assert_eq!(seen, AgentState::ALL);
        standing.breaker = BreakerState::HalfOpen;
        assert_eq!(standing.state(), AgentState::Degraded);
    }

    #[test]
    fn silence_makes_late_and_then_offline() {
        let rules = LivenessRules::default();
        let pulse = Pulse::new(NOW);
        let at = |seconds| NOW.after(Duration::from_secs(seconds));
        assert!(!pulse.is_late(rules, at(59)) && pulse.is_late(rules, at(60)));
        assert!(pulse.is_alive(rules, at(299)) && !pulse.is_alive(rules, at(300)));
        let gone = Pulse { status: Some(HeartbeatStatus::Offline), ..pulse };
        assert!(!gone.is_alive(rules, at(1)));
    }
}
