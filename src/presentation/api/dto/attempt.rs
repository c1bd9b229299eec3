//! Attempts on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use super::metrics::{SessionErrorDto, UsageDto};
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::session::attempt::{Attempt, Lease, LeaseReason};
use crate::domain::time::Timestamp;

/// One run of a session, from dispatch to its end.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptDto {
    /// Whose attempt.
    pub session_id: SessionId,
    /// 1, 2, …
    #[schema(minimum = 1)]
    pub number: u32,
    /// When it was dispatched.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The status it ended in.
    pub outcome: Option<String>,
    /// Its error, when it had one.
    pub error: Option<SessionErrorDto>,
    /// The checkpoint that it went on from.
    pub resumed_from_checkpoint: Option<u64>,
    /// What it used; null while nothing was reported.
    pub usage: Option<UsageDto>,
    /// Its leases in order of granting.
    pub leases: Vec<LeaseDto>,
    /// Reports that came with an older token.
    pub stale_reports: u32,
}

/// The right of one agent to work on a session.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Lease)]
pub struct LeaseDto {
    /// The holder.
    pub agent_id: AgentId,
    /// The holder's name.
    pub agent_name: String,
    /// Rises with every grant of the tenant.
    pub fencing_token: u64,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// When it ended.
    pub released_at: Option<Timestamp>,
    /// Why it was granted.
    pub reason: LeaseReason,
}

impl From<Attempt> for AttemptDto {
    fn from(attempt: Attempt) -> Self {
        let Attempt {
            session_id,
            number,
            started_at,
            ended_at,
            outcome,
            error,
            resumed_from_checkpoint,
            usage,
            used_before: _,
            counted_calls: _,
            counted_ms: _,
            leases,
            stale_reports,
        } = attempt;
        Self {
            session_id,
            number,
            started_at,
            ended_at,
            outcome,
            error: error.map(SessionErrorDto::from),
            resumed_from_checkpoint,
            usage: UsageDto::reported(usage),
            leases: leases.into_iter().map(LeaseDto::from).collect(),
            stale_reports,
        }
    }
}

impl From<Lease> for LeaseDto {
    fn from(lease: Lease) -> Self {
        let Lease {
            agent_id,
            agent_name,
            fencing_token,
            granted_at,
            released_at,
            reason,
            settled: _,
        } = lease;
        Self { agent_id, agent_name, fencing_token, granted_at, released_at, reason }
    }
}
