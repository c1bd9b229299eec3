//! What is measured about one session.
//!
//! Invariant: a figure that nobody measured is `None`, never 0.

use serde_json::Value;

use super::attempt::SessionError;
use super::status::SessionStatus;
use crate::closed_enum;
use crate::domain::time::Timestamp;
use crate::domain::usage::Usage;

closed_enum!(
    /// Who measured the success rate; a later member overrides an earlier one.
    RateSource {
        Reported = "reported",
        Tasks = "tasks",
        Gates = "gates",
        Operator = "operator",
    }
);

/// Something worth telling that did not end the session.
#[derive(Debug, Clone, PartialEq)]
pub struct Warning {
    /// Stable word.
    pub warning_type: String,
    /// For people.
    pub message: String,
    /// When.
    pub timestamp: Timestamp,
    /// Further facts.
    pub context: Value,
}

/// Figures of one session over all its attempts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metrics {
    /// Milliseconds spent queued.
    pub queue_ms: Option<u64>,
    /// Milliseconds on the execution clock, over all attempts that ended.
    pub execution_ms: Option<u64>,
    /// What was used, over all attempts.
    pub usage: Usage,
    /// Calls to the model.
    pub api_calls_count: u64,
    /// Failed calls to the model.
    pub api_errors_count: u64,
    /// Retries so far.
    pub retry_count: u32,
    /// 0–1; unknown until somebody measured it.
    pub success_rate: Option<f64>,
    /// Who did.
    pub success_rate_source: Option<RateSource>,
    /// 0–1, as reported by the agent.
    pub confidence_score: Option<f64>,
    /// 0–1.
    pub code_quality_score: Option<f64>,
    /// What the work gave, a JSON object.
    pub result: Option<Value>,
    /// The error that it stands ended with.
    pub error: Option<SessionError>,
    /// Errors of earlier attempts, newest last, at most ten.
    pub previous_errors: Vec<SessionError>,
    /// Newest last, at most 100.
    pub warnings: Vec<Warning>,
    /// When the newest checkpoint was taken.
    pub last_checkpoint_at: Option<Timestamp>,
}

impl Metrics {
    /// Adds a warning and drops the oldest beyond 100.
    pub fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
        let extra = self.warnings.len().saturating_sub(100);
        self.warnings.drain(..extra);
    }

    /// Moves the error of the attempt that ended to the history.
    pub fn shelve_error(&mut self) {
        if let Some(error) = self.error.take() {
            self.previous_errors.push(error);
            let extra = self.previous_errors.len().saturating_sub(10);
            self.previous_errors.drain(..extra);
        }
    }
}

/// Health of a session, first match of domain 1.11; `clock` is the share of its time that is used.
#[must_use]
pub fn health_score(status: SessionStatus, clock: f64) -> f64 {
    match status {
        SessionStatus::Completed => 1.0,
        SessionStatus::Failed => 0.0,
        SessionStatus::Running if clock > 0.9 => 0.3,
        SessionStatus::Running if clock > 0.7 => 0.7,
        SessionStatus::Running => 0.9,
        SessionStatus::Pending
        | SessionStatus::Queued
        | SessionStatus::Paused
        | SessionStatus::PartiallyCompleted
        | SessionStatus::Timeout
        | SessionStatus::Stopped
        | SessionStatus::Cancelled
        | SessionStatus::Orphaned
        | SessionStatus::Degraded => 0.8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_as_pinned() {
        use SessionStatus as S;
        let cases = [
            (S::Completed, 0.0, 1.0),
            (S::Failed, 0.0, 0.0),
            (S::Running, 0.1, 0.9),
            (S::Running, 0.701, 0.7),
            (S::Running, 0.901, 0.3),
            (S::Pending, 0.0, 0.8),
        ];
        for (status, clock, expected) in cases {
            assert!((health_score(status, clock) - expected).abs() < 1e-9, "{status} at {clock}");
        }
    }
}
