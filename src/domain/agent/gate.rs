//! Who may be given a piece of work at all.
//!
//! Invariant: gates stand in one order, and the first that refuses is the one that is told.

use super::breaker::BreakerState;
use super::profile::{Mastery, Profile};
use super::routing::{Candidate, Match, Request};
use super::status::HeartbeatStatus;
use crate::closed_enum;

closed_enum!(
    /// What refuses an agent, in order.
    Gate {
        Tenant = "tenant",
        Active = "active",
        Draining = "draining",
        Alive = "alive",
        Capability = "capability",
        Capacity = "capacity",
        Technology = "technology",
        Tier = "tier",
        Breaker = "breaker",
    }
);

closed_enum!(
    /// Why nobody was found.
    NoAgent {
        Capability = "no_agent_capability",
        Tier = "no_agent_tier",
        Degraded = "all_agents_degraded",
        Alive = "no_agent_alive",
        Capacity = "no_agent_capacity",
        Other = "agent_unavailable",
    }
);

impl Gate {
    /// The first gate that refuses an agent; nothing when it may be given the work.
    #[must_use]
    pub fn refusing(request: &Request, candidate: &Candidate<'_>) -> Option<Self> {
        Self::ALL.iter().copied().find(|gate| !gate.lets_through(request, candidate))
    }

    /// Whether what an agent is good for is no reason to refuse it.
    #[must_use]
    pub fn suits(self, request: &Request, profile: &Profile) -> bool {
        match self {
            Self::Capability => {
                let mut required = request.required.iter();
                let has = |slug: &String| profile.mastery(slug) > Mastery::Missing;
                match request.matching {
                    _ if request.required.is_empty() => true,
                    Match::All => required.all(has),
                    Match::Any => required.any(has),
                }
            }
            Self::Technology => {
                let avoided = &profile.avoided_technologies;
                !request.technologies.iter().any(|technology| avoided.contains(technology))
            }
            Self::Tenant
            | Self::Active
            | Self::Draining
            | Self::Alive
            | Self::Capacity
            | Self::Tier
            | Self::Breaker => true,
        }
    }

    /// Whether this one gate lets an agent through.
    #[must_use]
    pub fn lets_through(self, request: &Request, candidate: &Candidate<'_>) -> bool {
        let Candidate { id, tenant_id, name: _, profile, standing } = *candidate;
        let switches = standing.switches;
        let says = |status| standing.heartbeat == Some(status);
        match self {
            Self::Tenant => tenant_id == request.tenant_id,
            Self::Active => {
                switches.is_active && switches.is_approved && !request.excluded.contains(&id)
            }
            Self::Draining => !switches.is_draining && !switches.in_maintenance,
            Self::Alive => standing.is_alive && !says(HeartbeatStatus::Offline),
            Self::Capability | Self::Technology => self.suits(request, profile),
            Self::Capacity => {
                standing.burden.accepts(request.complexity) && !says(HeartbeatStatus::Busy)
            }
            Self::Tier => request.min_tier.is_none_or(|least| standing.tier <= least),
            Self::Breaker => match standing.breaker {
                BreakerState::Closed => true,
                BreakerState::HalfOpen => !standing.is_probing,
                BreakerState::Open => false,
            },
        }
    }
}

impl NoAgent {
    /// The same in words for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Capability => "none has the capabilities that are asked for",
            Self::Tier => "none that could do it is of the tier that is asked for",
            Self::Degraded => {
                "those who could do it have failed too often, and are behind a breaker"
            }
            Self::Alive => "those who could do it cannot be reached",
            Self::Capacity => "those who could do it take no more for now",
            Self::Other => {
                "those who could do it are switched off, draining, or avoid its technologies"
            }
        }
    }

    /// Why none of a tenant's agents may be given the work: the first reason that holds for all who are
    /// left by those before it.
    #[must_use]
    pub fn of<'a>(request: &Request, all: impl IntoIterator<Item = &'a Candidate<'a>>) -> Self {
        let is_asked = |candidate: &&Candidate<'_>| {
            Gate::Tenant.lets_through(request, candidate)
                && !request.excluded.contains(&candidate.id)
        };
        let mut left: Vec<&Candidate<'_>> = all.into_iter().filter(is_asked).collect();
        for (gate, reason) in [
            (Gate::Capability, Self::Capability),
            (Gate::Tier, Self::Tier),
            (Gate::Breaker, Self::Degraded),
            (Gate::Alive, Self::Alive),
            (Gate::Capacity, Self::Capacity),
        ] {
            left.retain(|candidate| gate.lets_through(request, candidate));
            if left.is_empty() {
                return reason;
            }
        }
        Self::Other
    }
}
