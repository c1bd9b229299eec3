//! What is said in the External Agent Protocol, for the API document and for answers.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::application::external::work::Heeded;
use crate::application::external::{ExternalRules, Registered, Rotated};
use crate::domain::ids::AgentId;
use crate::domain::session::status::SessionStatus;
use crate::domain::time::Timestamp;

/// What an agent says of itself.
#[derive(Debug, ToSchema)]
#[schema(as = Registration, example = json!({
    "protocol_version": "1.0", "name": "AGENT-BUILD-01", "version": "2.1.0",
    "agent_type": "implementer", "capabilities": ["code_generation"],
}))]
pub struct RegistrationBody {
    /// `1.0`; any other 1.x is taken for it.
    #[schema(max_length = 20)]
    pub protocol_version: Option<String>,
    /// `AGENT-` and 1 to 64 upper-case letters, digits, `_` and `-`.
    #[schema(min_length = 7, max_length = 70)]
    pub name: String,
    /// Version of its software; `1.0.0` when omitted.
    #[schema(min_length = 1, max_length = 50)]
    pub version: Option<String>,
    /// `implementer` when omitted.
    #[schema(max_length = 20)]
    pub agent_type: Option<String>,
    /// At least one slug, known or its own.
    #[schema(min_items = 1, max_items = 50)]
    pub capabilities: Vec<String>,
    /// Where its work is brought to; without it, it fetches its work.
    #[schema(max_length = 2000)]
    pub endpoint_url: Option<String>,
    /// `max_concurrent_capacity` is heeded: 1 to 50, 5 when omitted.
    #[schema(value_type = Object)]
    pub metadata: Option<Map<String, Value>>,
}

/// An agent that was registered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Registered)]
pub struct RegisteredDto {
    /// Its identity.
    pub agent_id: AgentId,
    /// `registered`.
    pub status: &'static str,
    /// What it is to show, told once; null when it has one already.
    pub auth_token: Option<String>,
    /// What this server shows to it when it brings work.
    pub dispatch_token: Option<String>,
    /// How often it is to say how it is.
    pub heartbeat_interval_seconds: u64,
    /// After this long without a sign of life its work goes to others.
    pub heartbeat_expiry_seconds: u64,
    /// Whether it is given work; a lead may have to let it in first.
    pub approved: bool,
    /// What is spoken.
    pub protocol_version: &'static str,
}

impl RegisteredDto {
    /// The answer to a registration.
    #[must_use]
    pub fn of(registered: Registered, rules: &ExternalRules) -> Self {
        let Registered { agent, auth_token, dispatch_token } = registered;
        Self {
            agent_id: agent.id,
            status: "registered",
            auth_token,
            dispatch_token,
            heartbeat_interval_seconds: rules.liveness.interval.as_secs(),
            heartbeat_expiry_seconds: rules.liveness.expiry.as_secs(),
            approved: agent.switches.is_approved,
            protocol_version: crate::domain::eap::VERSION,
        }
    }
}

/// How an agent is.
#[derive(Debug, ToSchema)]
#[schema(as = AgentHeartbeat, example = json!({ "status": "healthy", "current_load": 0.2 }))]
pub struct HeartbeatBody {
    /// `healthy`, `degraded`, `busy` or `offline`.
    #[schema(max_length = 20)]
    pub status: String,
    /// 0 to 1; 0 when omitted.
    #[schema(minimum = 0, maximum = 1)]
    pub current_load: Option<f64>,
    /// Pieces of work that it has; 0 when omitted.
    pub tasks_in_progress: Option<u32>,
    /// Figures of its own.
    #[schema(value_type = Object)]
    pub metrics: Option<Map<String, Value>>,
    /// When it says so; now when omitted.
    pub timestamp: Option<Timestamp>,
}

/// A piece of work, or a notice; `kind` tells which.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Assignment)]
pub struct AssignmentDto {
    /// `task` for a piece of work; `cancel`, `lock_lost`, `rotate_token`, `drain` or `answer` for a notice,
    /// which has fields of its own.
    pub kind: String,
    /// What it is called; the same for every attempt.
    pub task_id: String,
    /// The session that it is about.
    pub session_id: String,
    /// `session_execution`.
    pub task_type: String,
    /// `session`, `shared`, and when there are any `workspace` and `resume`.
    #[schema(value_type = Object)]
    pub context: Map<String, Value>,
    /// What to do.
    pub input_data: String,
    /// Capabilities, then tags.
    pub requirements: Vec<String>,
    /// What is left of its time.
    pub timeout_seconds: u64,
    /// Number of the attempt.
    pub attempt: u32,
    /// The right to the work, to be shown with everything that is told of it.
    pub fencing_token: u64,
    /// The same work comes with the same key, should it come twice.
    pub idempotency_key: String,
    /// Until then nobody else is given it; every call of the agent begins the lease anew.
    pub lease_expires_at: Timestamp,
}

/// What an agent tells of its work.
#[derive(Debug, ToSchema)]
#[schema(as = AgentReport, example = json!({
    "fencing_token": 7, "events": [{ "type": "progress", "percentage": 50 }],
}))]
pub struct ReportBody {
    /// As in the assignment.
    pub fencing_token: u64,
    /// 1 to 500: `progress`, `log`, `phase`, `usage`, `question`, `turn_end`; others are left out.
    #[schema(min_items = 1, max_items = 500)]
    pub events: Vec<Map<String, Value>>,
}

/// The answer to a report.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentHeeded)]
pub struct HeededDto {
    /// It is to come to an end.
    pub cancel_requested: bool,
    /// Until then nobody else is given the work.
    pub lease_expires_at: Timestamp,
    /// What else it is to know.
    pub notices: Vec<Map<String, Value>>,
}

impl From<Heeded> for HeededDto {
    fn from(heeded: Heeded) -> Self {
        let Heeded { cancel_requested, lease_expires_at, notices } = heeded;
        Self { cancel_requested, lease_expires_at, notices }
    }
}

/// What came of a piece of work.
#[derive(Debug, ToSchema)]
#[schema(as = AgentResult, example = json!({
    "task_id": "01890000-0000-7000-8000-000000000000", "fencing_token": 7, "status": "completed",
    "output_data": { "summary": "done" }, "tokens_used": 1200, "cost_usd": 0.01,
}))]
#[expect(missing_docs, reason = "the fields are those of domain 9.3")]
pub struct ResultBody {
    /// As in the assignment.
    #[schema(max_length = 100)]
    pub task_id: String,
    /// As in the assignment.
    pub fencing_token: u64,
    /// `completed` or `failed`.
    #[schema(max_length = 20)]
    pub status: String,
    /// Files: `path`, `content`, and `mime_type` and `encoding` (`utf-8` or `base64`) when they differ.
    #[schema(max_items = 1000)]
    pub artifacts: Option<Vec<Map<String, Value>>>,
    #[schema(value_type = Object)]
    pub output_data: Option<Map<String, Value>>,
    #[schema(max_length = 10_000)]
    pub error_message: Option<String>,
    /// Figures may also stand below `metrics`.
    pub execution_time_ms: Option<u64>,
    pub tokens_used: Option<u64>,
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub cost_usd: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    pub success_rate: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    pub quality_score: Option<f64>,
    pub partial: Option<bool>,
    /// Whether another try may help; true when omitted.
    pub retryable: Option<bool>,
}

/// A result is stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentResultAccepted)]
pub struct ResultAcceptedDto {
    /// `true`.
    pub accepted: bool,
    /// Where the session stands because of it.
    pub session_status: SessionStatus,
}

/// Work that is given back.
#[derive(Debug, ToSchema)]
#[schema(as = AgentGivesBack, example = json!({ "fencing_token": 7, "reason": "no room" }))]
pub struct GivenBackBody {
    /// As in the assignment.
    pub fencing_token: u64,
    /// Why.
    #[schema(max_length = 500)]
    pub reason: Option<String>,
}

/// New tokens of an agent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentTokens)]
pub struct RotatedDto {
    /// What the agent is to show, told once.
    pub auth_token: String,
    /// What this server shows to it.
    pub dispatch_token: Option<String>,
    /// Until then the old one is accepted, too.
    pub previous_valid_until: Timestamp,
}

impl From<Rotated> for RotatedDto {
    fn from(rotated: Rotated) -> Self {
        let Rotated { auth_token, dispatch_token, previous_valid_until } = rotated;
        Self { auth_token, dispatch_token, previous_valid_until }
    }
}
