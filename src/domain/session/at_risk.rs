//! What is due for a session beside its deadline: that it runs out of time, told once per attempt
//! while something can still be done, and what its gates say, when that was promised.
//!
//! Invariant: that it was told is stored with the event, so that nobody tells it twice.

use std::time::Duration;

use serde_json::json;

use super::Session;
use super::life::{Due, seconds};
use super::metrics::health_score;
use super::status::SessionStatus;
use crate::domain::event::{DomainEvent, EventType};
use crate::domain::time::Timestamp;

/// A running session with less time left than this is at risk.
pub const AT_RISK: Duration = Duration::from_mins(5);

impl Session {
    /// Share of its time that is used, 0–1.
    #[must_use]
    pub fn share_of_time(&self, now: Timestamp) -> f64 {
        (seconds(self.run.clock.at(now)) / self.time_limit().as_secs_f64()).min(1.0)
    }

    /// When it will be at risk, if it goes on running; `None` once that was told of this attempt.
    #[must_use]
    pub fn at_risk_at(&self) -> Option<Timestamp> {
        if self.run.at_risk_told {
            return None;
        }
        let last_safe = self.time_limit().saturating_sub(AT_RISK);
        self.run.clock.reaches(last_safe.saturating_add(Duration::from_millis(1)))
    }

    /// When something is due for this session by itself; `None` when nothing ever is.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        let running = self.status() == SessionStatus::Running;
        let at_risk = if running { self.at_risk_at() } else { None };
        [self.deadline(), at_risk, self.run.verify_wanted].into_iter().flatten().min()
    }

    /// What is due beside its deadline.
    pub(super) fn due_besides(&self, now: Timestamp) -> Option<Due> {
        let is_over = |at: Option<Timestamp>| at.is_some_and(|at| at <= now);
        if self.status() == SessionStatus::Running && is_over(self.at_risk_at()) {
            return Some(Due::AtRisk);
        }
        is_over(self.run.verify_wanted).then_some(Due::Verify)
    }

    /// Tells that it is at risk, which is not told again in this attempt.
    pub fn tell_at_risk(&mut self, now: Timestamp) -> DomainEvent {
        self.run.at_risk_told = true;
        let left = self.time_limit().saturating_sub(self.run.clock.at(now));
        let payload = json!({
            "time_remaining_seconds": seconds(left),
            "health_score": health_score(self.status(), self.share_of_time(now)),
        });
        self.event(EventType::SessionAtRisk, now, payload)
    }
}
