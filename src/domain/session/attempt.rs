//! Attempts, the leases inside them, and the clock that an attempt is measured by.
//!
//! Invariant: fencing tokens rise with every grant of a tenant; only the holder of the session's
//! current token may change it.

use std::time::Duration;

use serde_json::Value;

use crate::closed_enum;
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::time::Timestamp;
use crate::domain::usage::Usage;

closed_enum!(
    /// Why a lease was granted.
    LeaseReason {
        Start = "start",
        Resume = "resume",
        Fallback = "fallback",
    }
);

closed_enum!(
    /// Error types of a session; the first eight are retryable by default.
    ErrorType {
        AgentError = "agent_error",
        AgentLost = "agent_lost",
        DispatchFailed = "dispatch_failed",
        ProviderError = "provider_error",
        Internal = "internal",
        QueueTimeout = "queue_timeout",
        ExecutionTimeout = "execution_timeout",
        PauseTimeout = "pause_timeout",
        PermissionDenied = "permission_denied",
        GatesFailed = "gates_failed",
        AllTasksFailed = "all_tasks_failed",
        WorkspaceError = "workspace_error",
        AgentRemoved = "agent_removed",
        AgentProtocolError = "agent_protocol_error",
    }
);

impl ErrorType {
    /// Whether an automatic retry is worth it when nobody said otherwise.
    #[must_use]
    pub const fn retryable(self) -> bool {
        match self {
            Self::AgentError
            | Self::AgentLost
            | Self::DispatchFailed
            | Self::ProviderError
            | Self::Internal
            | Self::QueueTimeout
            | Self::AgentProtocolError => true,
            Self::ExecutionTimeout
            | Self::PauseTimeout
            | Self::PermissionDenied
            | Self::GatesFailed
            | Self::AllTasksFailed
            | Self::WorkspaceError
            | Self::AgentRemoved => false,
        }
    }
}

/// Why a session ended badly.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionError {
    /// One of `ErrorType`, or the code that an operator gave.
    pub error_type: String,
    /// What happened, for people; at most 1000 characters.
    pub message: String,
    /// Further facts as a JSON object, or null.
    pub context: Value,
    /// Whether an automatic retry may follow.
    pub retryable: bool,
    /// When.
    pub occurred_at: Timestamp,
}

impl SessionError {
    /// An error of a known type with its default retryability.
    #[must_use]
    pub fn of(error_type: ErrorType, message: impl Into<String>, at: Timestamp) -> Self {
        Self {
            error_type: error_type.as_str().to_owned(),
            message: message.into().chars().take(1000).collect(),
            context: Value::Null,
            retryable: error_type.retryable(),
            occurred_at: at,
        }
    }
}

/// The right of one agent to work on a session, while its token is current.
#[derive(Debug, Clone, PartialEq)]
pub struct Lease {
    /// The holder.
    pub agent_id: AgentId,
    /// The holder's name.
    pub agent_name: String,
    /// Rises with every grant of the tenant.
    pub fencing_token: u64,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// When it ended; `None` while it is held.
    pub released_at: Option<Timestamp>,
    /// Why it was granted.
    pub reason: LeaseReason,
    /// SHA-256 of the result that it ended with, when the agent gave one: the same result again gets the
    /// same answer.
    pub settled: Option<[u8; 32]>,
}

/// One run of a session, from dispatch to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Whose attempt.
    pub session_id: SessionId,
    /// 1, 2, …
    pub number: u32,
    /// When it was dispatched.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The status it ended in.
    pub outcome: Option<String>,
    /// Its error, when it had one.
    pub error: Option<SessionError>,
    /// The checkpoint that it went on from.
    pub resumed_from_checkpoint: Option<u64>,
    /// What it used.
    pub usage: Usage,
    /// What of it was used before its newest lease: an agent that tells sums tells those of its own.
    pub used_before: Usage,
    /// Model calls that are in `usage` already: a call that is told twice counts once.
    pub counted_calls: Vec<String>,
    /// What the execution clock showed at the newest report of use.
    pub counted_ms: u64,
    /// Its leases in order of granting.
    pub leases: Vec<Lease>,
    /// Reports that came with an older token, newest last; kept as evidence.
    pub stale_reports: u32,
}

/// Time in running and degraded, without the time that a person is waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExecutionClock {
    /// Milliseconds of the periods that have ended.
    pub spent_ms: u64,
    /// Since when it runs; `None` while it stands still.
    pub since: Option<Timestamp>,
}

impl ExecutionClock {
    /// Lets it run from `now`; nothing happens when it runs already.
    pub fn run(&mut self, now: Timestamp) {
        self.since.get_or_insert(now);
    }

    /// Stands still from `now`.
    pub fn halt(&mut self, now: Timestamp) {
        self.spent_ms = u64::try_from(self.at(now).as_millis()).unwrap_or(u64::MAX);
        self.since = None;
    }

    /// What it shows at `now`.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> Duration {
        let current = self.since.map_or(Duration::ZERO, |since| now.since(since));
        Duration::from_millis(self.spent_ms).saturating_add(current)
    }

    /// When it will show `limit`, if it goes on running.
    #[must_use]
    pub fn reaches(&self, limit: Duration) -> Option<Timestamp> {
        let left = limit.saturating_sub(Duration::from_millis(self.spent_ms));
        self.since.map(|since| since.after(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stands_still_while_halted() {
        let at = Timestamp::from_millis;
        let mut clock = ExecutionClock::default();
        clock.run(at(1_000));
        clock.halt(at(3_000));
        assert_eq!(clock.at(at(60_000)), Duration::from_secs(2));
        clock.run(at(60_000));
        assert_eq!(clock.reaches(Duration::from_secs(5)), Some(at(63_000)));
        assert_eq!(clock.at(at(61_500)), Duration::from_millis(3_500));
    }
}
