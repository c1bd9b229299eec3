//! Attempts, and the parts of them that sessions carry too: leases, errors, usage.

use serde::{Deserialize, Serialize};

use super::{Payload, Record, Unreadable, Unstorable, json, millis, time, value, word};
use crate::domain::ids::{AgentId, SessionId};
use crate::domain::money::Usd;
use crate::domain::session::attempt::{Attempt, Lease, LeaseReason, SessionError};
use crate::domain::time::Timestamp;
use crate::domain::usage::Usage;
use crate::domain::version::{Version, Versioned};
use crate::infrastructure::storage::redb::codec;

#[derive(Serialize, Deserialize)]
struct AttemptV1 {
    version: u64,
    session_id: [u8; 16],
    number: u32,
    started_at: i64,
    ended_at: Option<i64>,
    outcome: Option<String>,
    error: Option<SessionErrorV1>,
    resumed_from_checkpoint: Option<u64>,
    usage: UsageV1,
    used_before: UsageV1,
    counted_calls: Vec<String>,
    counted_ms: u64,
    leases: Vec<LeaseV1>,
    stale_reports: u32,
}

/// A lease, within an attempt or a session.
#[derive(Serialize, Deserialize)]
pub(super) struct LeaseV1 {
    agent_id: [u8; 16],
    agent_name: String,
    fencing_token: u64,
    granted_at: i64,
    released_at: Option<i64>,
    reason: String,
    settled: Option<[u8; 32]>,
}

/// An error, within an attempt or a session.
#[derive(Serialize, Deserialize)]
pub(super) struct SessionErrorV1 {
    error_type: String,
    message: String,
    context: String,
    retryable: bool,
    occurred_at: i64,
}

/// A usage, within an attempt or a session.
#[derive(Serialize, Deserialize)]
pub(super) struct UsageV1 {
    tokens_input: u64,
    tokens_output: u64,
    tokens_cache_read: u64,
    tokens_cache_write: u64,
    tokens_reasoning: u64,
    cost_micros: Option<i64>,
    simulated: bool,
    reported: bool,
}

impl LeaseV1 {
    pub(super) fn of(lease: &Lease) -> Self {
        let lease = lease.clone();
        let Lease { agent_id, agent_name, fencing_token, granted_at, released_at, reason, settled } =
            lease;
        Self {
            agent_id: *agent_id.as_bytes(),
            agent_name,
            fencing_token,
            granted_at: granted_at.millis(),
            released_at: millis(released_at),
            reason: reason.as_str().to_owned(),
            settled,
        }
    }

    pub(super) fn domain(self) -> Result<Lease, Unreadable> {
        let Self { agent_id, agent_name, fencing_token, granted_at, released_at, reason, settled } =
            self;
        Ok(Lease {
            agent_id: AgentId::from_bytes(agent_id),
            agent_name,
            fencing_token,
            granted_at: Timestamp::from_millis(granted_at),
            released_at: time(released_at),
            reason: word(&reason, LeaseReason::parse, "lease.reason")?,
            settled,
        })
    }
}

impl SessionErrorV1 {
    pub(super) fn of(error: &SessionError) -> Result<Self, Unstorable> {
        let SessionError { error_type, message, context, retryable, occurred_at } = error;
        Ok(Self {
            error_type: error_type.clone(),
            message: message.clone(),
            context: json(context)?,
            retryable: *retryable,
            occurred_at: occurred_at.millis(),
        })
    }

    pub(super) fn domain(self) -> Result<SessionError, Unreadable> {
        let Self { error_type, message, context, retryable, occurred_at } = self;
        Ok(SessionError {
            error_type,
            message,
            context: value(&context, "error.context")?,
            retryable,
            occurred_at: Timestamp::from_millis(occurred_at),
        })
    }
}

impl UsageV1 {
    pub(super) fn of(usage: &Usage) -> Self {
        let Usage {
            tokens_input,
            tokens_output,
            tokens_cache_read,
            tokens_cache_write,
            tokens_reasoning,
            cost_usd,
            simulated,
            reported,
        } = *usage;
        Self {
            tokens_input,
            tokens_output,
            tokens_cache_read,
            tokens_cache_write,
            tokens_reasoning,
            cost_micros: cost_usd.map(Usd::micros),
            simulated,
            reported,
        }
    }

    pub(super) fn domain(self) -> Usage {
        let Self {
            tokens_input,
            tokens_output,
            tokens_cache_read,
            tokens_cache_write,
            tokens_reasoning,
            cost_micros,
            simulated,
            reported,
        } = self;
        Usage {
            tokens_input,
            tokens_output,
            tokens_cache_read,
            tokens_cache_write,
            tokens_reasoning,
            cost_usd: cost_micros.map(Usd::from_micros),
            simulated,
            reported,
        }
    }
}

impl Record for Versioned<Attempt> {
    const KIND: u8 = 2;

    fn spell(&self) -> Result<Vec<u8>, Unstorable> {
        let Attempt {
            session_id,
            number,
            started_at,
            ended_at,
            outcome,
            error,
            resumed_from_checkpoint,
            usage,
            used_before,
            counted_calls,
            counted_ms,
            leases,
            stale_reports,
        } = &self.value;
        Ok(codec::encode(&AttemptV1 {
            version: self.version.get(),
            session_id: *session_id.as_bytes(),
            number: *number,
            started_at: started_at.millis(),
            ended_at: millis(*ended_at),
            outcome: outcome.clone(),
            error: error.as_ref().map(SessionErrorV1::of).transpose()?,
            resumed_from_checkpoint: *resumed_from_checkpoint,
            usage: UsageV1::of(usage),
            used_before: UsageV1::of(used_before),
            counted_calls: counted_calls.clone(),
            counted_ms: *counted_ms,
            leases: leases.iter().map(LeaseV1::of).collect(),
            stale_reports: *stale_reports,
        })?)
    }

    fn read(payload: Payload<'_>) -> Result<Self, Unreadable> {
        let AttemptV1 {
            version,
            session_id,
            number,
            started_at,
            ended_at,
            outcome,
            error,
            resumed_from_checkpoint,
            usage,
            used_before,
            counted_calls,
            counted_ms,
            leases,
            stale_reports,
        } = payload.parse(1)?;
        let value = Attempt {
            session_id: SessionId::from_bytes(session_id),
            number,
            started_at: Timestamp::from_millis(started_at),
            ended_at: time(ended_at),
            outcome,
            error: error.map(SessionErrorV1::domain).transpose()?,
            resumed_from_checkpoint,
            usage: usage.domain(),
            used_before: used_before.domain(),
            counted_calls,
            counted_ms,
            leases: leases.into_iter().map(LeaseV1::domain).collect::<Result<_, _>>()?,
            stale_reports,
        };
        Ok(Self { version: Version::new(version), value })
    }
}
