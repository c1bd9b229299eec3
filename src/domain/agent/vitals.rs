//! How an agent does: the figures of its finished work and its breaker, which change together.

use super::breaker::{Breaker, BreakerRules, BreakerState};
use super::load::{Burden, Load};
use super::performance::{Finished, Outcome, Performance, Tier};
use super::profile::{Profile, Switches};
use super::status::{AgentRules, Pulse, Standing};
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::session::Session;
use crate::domain::session::attempt::{Attempt, ErrorType};
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;

/// Errors in which the agent has no part: people let it wait, removed it, or we failed.
const INNOCENT: [ErrorType; 5] = [
    ErrorType::WorkspaceError,
    ErrorType::Internal,
    ErrorType::QueueTimeout,
    ErrorType::PauseTimeout,
    ErrorType::AgentRemoved,
];

/// An assignment that ended on an agent, until it is counted in its figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Whose figures it counts in.
    pub agent_id: AgentId,
    /// The session that it was about.
    pub session_id: SessionId,
    /// Number of the attempt.
    pub attempt: u32,
    /// What counts.
    pub finished: Finished,
}

impl Ended {
    /// What the end of an attempt says of the agent that held it last. Nothing when nobody held it, when
    /// people ended it, or when the agent had no part in its end.
    #[must_use]
    pub fn of(session: &Session, attempt: &Attempt, execution_ms: Option<u64>) -> Option<Self> {
        let (at, lease) = (attempt.ended_at?, attempt.leases.last()?);
        let is_innocent = |error: &str| INNOCENT.iter().any(|known| known.as_str() == error);
        let outcome = match SessionStatus::parse(attempt.outcome.as_deref()?)? {
            SessionStatus::Completed => Outcome::Success,
            SessionStatus::PartiallyCompleted => Outcome::Partial,
            SessionStatus::Failed | SessionStatus::Timeout => {
                let error = attempt.error.as_ref().map(|error| error.error_type.as_str());
                if error.is_some_and(is_innocent) {
                    return None;
                }
                Outcome::Failure
            }
            SessionStatus::Pending
            | SessionStatus::Queued
            | SessionStatus::Running
            | SessionStatus::Paused
            | SessionStatus::Degraded
            | SessionStatus::Stopped
            | SessionStatus::Cancelled
            | SessionStatus::Orphaned => return None,
        };
        #[expect(clippy::cast_precision_loss, reason = "no assignment takes 2^53 ms")]
        let seconds = execution_ms.map(|millis| millis as f64 / 1000.0);
        let (spec, usage) = (&session.spec, &attempt.usage);
        let finished = Finished {
            capabilities: spec.required_capabilities.clone(),
            technologies: spec.technologies.clone(),
            quality_score: session.metrics.code_quality_score,
            execution_time_seconds: seconds,
            tokens: usage.reported.then(|| usage.tokens_total()),
            cost: usage.cost_usd,
            ..Finished::plain(outcome, at)
        };
        let Attempt { session_id, number, .. } = *attempt;
        Some(Self { agent_id: lease.agent_id, session_id, attempt: number, finished })
    }
}

/// What is known of how an agent does.
#[derive(Debug, Clone, PartialEq)]
pub struct Vitals {
    /// Which agent.
    pub agent_id: AgentId,
    /// Its figures.
    pub performance: Performance,
    /// Its breaker.
    pub breaker: Breaker,
    /// When work of its ended last.
    pub last_active_at: Option<Timestamp>,
}

/// What one more outcome changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shift {
    /// The tier before and after, when they differ.
    pub tier: Option<(Tier, Tier)>,
    /// The breaker before and after, when they differ.
    pub breaker: Option<(BreakerState, BreakerState)>,
}

impl Vitals {
    /// Of an agent that did nothing yet.
    #[must_use]
    pub fn new(agent_id: AgentId, now: Timestamp) -> Self {
        let (performance, breaker) = (Performance::default(), Breaker::closed(now));
        Self { agent_id, performance, breaker, last_active_at: None }
    }

    /// How good the agent is.
    #[must_use]
    pub fn tier(&self) -> Tier {
        self.breaker.tier(&self.performance)
    }

    /// Counts one more. A result that is worse than `least_quality` is a success in part only.
    pub fn count(
        &mut self,
        finished: &Finished,
        least_quality: f64,
        rules: BreakerRules,
        now: Timestamp,
    ) -> Shift {
        let outcome = match finished.outcome {
            Outcome::Success if finished.is_poor(least_quality) => Outcome::Partial,
            same @ (Outcome::Success | Outcome::Partial | Outcome::Failure) => same,
        };
        let (tier, (breaker, _)) = (self.tier(), self.breaker.state(rules, now));
        self.performance.record(&Finished { outcome, ..finished.clone() });
        self.breaker.judge(&mut self.performance, outcome, rules, now);
        self.last_active_at = self.last_active_at.max(Some(finished.at));
        let (tier_now, (breaker_now, _)) = (self.tier(), self.breaker.state(rules, now));
        Shift {
            tier: (tier != tier_now).then_some((tier, tier_now)),
            breaker: (breaker != breaker_now).then_some((breaker, breaker_now)),
        }
    }

    /// Begins a new window and closes the breaker; the totals stay.
    pub fn reset(&mut self, now: Timestamp) {
        self.performance.begin_window(false);
        self.breaker = Breaker::closed(now);
    }
}

/// What the past of an agent and its own words say of it, as far as decisions go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    /// How good it is.
    pub tier: Tier,
    /// Whether it is to be kept from work.
    pub breaker: Breaker,
    /// When it was heard and what it said; nothing for agents that are asked instead.
    pub pulse: Option<Pulse>,
}

impl Default for Condition {
    /// Of an agent of whose work nothing is known.
    fn default() -> Self {
        Self::of(None, None)
    }
}

impl Condition {
    /// What follows from the figures of an agent, when there are any, and from its pulse.
    #[must_use]
    pub fn of(vitals: Option<&Vitals>, pulse: Option<Pulse>) -> Self {
        let breaker = vitals.map_or(Breaker::closed(Timestamp::EPOCH), |vitals| vitals.breaker);
        let tier = vitals.map_or_else(|| Performance::default().tier(), Vitals::tier);
        Self { tier, breaker, pulse }
    }

    /// The agent as it stands now, with what it works on. `newest_grant` is when it was given the newest
    /// of that.
    #[must_use]
    pub fn standing(
        &self,
        (profile, switches): (&Profile, Switches),
        load: Load,
        newest_grant: Option<Timestamp>,
        (rules, now): (AgentRules, Timestamp),
    ) -> Standing {
        let Self { tier, breaker, pulse } = *self;
        let capacity = profile.max_concurrent_capacity;
        Standing {
            switches,
            is_alive: pulse.is_none_or(|pulse| pulse.is_alive(rules.liveness, now)),
            heartbeat: pulse.and_then(|pulse| pulse.status),
            tier,
            breaker: breaker.state(rules.breaker, now).0,
            is_probing: breaker.is_probing(rules.breaker, now, newest_grant),
            burden: Burden { load, capacity, reported: pulse.map_or(0.0, |pulse| pulse.load) },
            assigned_at: newest_grant,
        }
    }

    /// When the agent will stand otherwise by the passing of time alone, if it will.
    #[must_use]
    pub fn next_turn(&self, rules: AgentRules, now: Timestamp) -> Option<Timestamp> {
        let opens = self.breaker.tried_from(rules.breaker);
        let silent = self.pulse.map(|pulse| pulse.from.after(rules.liveness.expiry));
        opens.into_iter().chain(silent).filter(|at| *at > now).min()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn count(vitals: &mut Vitals, outcome: Outcome, quality: Option<f64>) -> Shift {
        let finished = Finished { quality_score: quality, ..Finished::plain(outcome, NOW) };
        vitals.count(&finished, 0.7, BreakerRules::default(), NOW)
    }

    #[test]
    fn what_is_worse_than_wanted_counts_half() {
        let mut vitals = Vitals::new(AgentId::new(Uuid::nil()), NOW);
        count(&mut vitals, Outcome::Success, Some(0.69));
        count(&mut vitals, Outcome::Success, Some(0.7));
        count(&mut vitals, Outcome::Failure, Some(0.1));
        let Performance { successful, partial, .. } = vitals.performance;
        assert_eq!((successful, partial, vitals.performance.failed()), (1, 1, 1));
        assert_eq!(vitals.last_active_at, Some(NOW));
    }

    #[test]
    fn changes_of_tier_and_breaker_are_told_once() {
        let mut vitals = Vitals::new(AgentId::new(Uuid::nil()), NOW);
        for _ in 0..4 {
            assert_eq!(count(&mut vitals, Outcome::Failure, None), Shift::default());
        }
        let fifth = count(&mut vitals, Outcome::Failure, None);
        assert_eq!(fifth.tier, Some((Tier::Competent, Tier::Degraded)));
        assert_eq!(fifth.breaker, Some((BreakerState::Closed, BreakerState::Open)));
        assert_eq!(count(&mut vitals, Outcome::Failure, None), Shift::default());
        vitals.reset(NOW);
        assert_eq!((vitals.tier(), vitals.performance.total.count), (Tier::Competent, 6));
    }
}
