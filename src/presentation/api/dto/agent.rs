//! Agents on the wire.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::agent_views::PerformanceDto;
use crate::application::agent::Liveness;
use crate::application::agent::query::AgentView;
use crate::domain::agent::breaker::BreakerState;
use crate::domain::agent::change::Removal;
use crate::domain::agent::kind::{AgentType, ComplexityPreference};
use crate::domain::agent::load::{Burden, LoadLevel, Units};
use crate::domain::agent::performance::{Performance, Tier};
use crate::domain::agent::profile::{Profile, Switches};
use crate::domain::agent::status::{AgentState, HeartbeatStatus};
use crate::domain::agent::{Agent, AgentKind, Behavior, config};
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::session::spec::SessionType;
use crate::domain::time::Timestamp;
use crate::domain::version::Versioned;

/// A unit that can be given sessions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agent)]
#[expect(missing_docs, reason = "the fields are those of domain 2.1")]
#[expect(clippy::struct_excessive_bools, reason = "independent switches of domain 2.1")]
pub struct AgentDto {
    pub id: AgentId,
    pub tenant_id: TenantId,
    /// `AGENT-…`, unique among the agents of the tenant.
    #[schema(example = "AGENT-CODE-01")]
    pub name: String,
    /// Which driver speaks to it.
    pub kind: AgentKind,
    pub agent_type: AgentType,
    /// For people.
    pub description: Option<String>,
    /// Version of its software, as it was registered.
    pub version: String,
    /// Both lists together, each capability once.
    pub capabilities: Vec<String>,
    pub primary_capabilities: Vec<String>,
    pub secondary_capabilities: Vec<String>,
    pub preferred_technologies: Vec<String>,
    pub avoided_technologies: Vec<String>,
    pub complexity_preference: ComplexityPreference,
    pub preferred_session_types: Vec<SessionType>,
    /// `provider/model`; null for the driver's own.
    pub model_identifier: Option<String>,
    pub temperature: f64,
    pub max_tokens: u32,
    /// Empty for the driver's own.
    pub system_prompt_template: String,
    /// Sessions that it takes at once.
    pub max_concurrent_capacity: u32,
    pub max_task_duration_hours: f64,
    pub min_quality_threshold: f64,
    /// Settings of the driver; values of `env` are shown only where they name a variable, as in `$NAME`.
    #[schema(value_type = Object)]
    pub config: Map<String, Value>,
    /// It may be given work at all.
    pub is_active: bool,
    /// It is worked on, and gets nothing new.
    pub maintenance_mode: bool,
    /// It ends what it has, and gets nothing new.
    pub draining: bool,
    /// A lead let it in.
    pub approved: bool,
    /// One word for how it is, by the first that fits.
    pub state: AgentState,
    /// How good it is, by the newest hundred assignments that ended on it; `competent` before five did.
    pub performance_tier: Tier,
    /// Too little is known for a judgement; null where nobody looked.
    pub tier_provisional: Option<bool>,
    /// What came of its work; null where nobody looked.
    pub performance: Option<PerformanceDto>,
    /// Whether it is kept from work after failures.
    pub breaker: BreakerState,
    pub load: LoadDto,
    /// It speaks the protocol for external agents.
    pub is_external: bool,
    /// It comes from the settings of the server, which say what it is.
    pub is_built_in: bool,
    /// What the newest probe found; null before the first one.
    pub last_probe: Option<ProbeDto>,
    /// What it said of itself last; null for agents that are probed instead.
    pub heartbeat_status: Option<HeartbeatStatus>,
    /// When it was heard last.
    pub last_heartbeat_at: Option<Timestamp>,
    /// It is to be removed, at this time at the latest.
    pub removal_due_at: Option<Timestamp>,
    /// Why it is to be removed.
    pub removal_reason: Option<String>,
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When it was removed; only in the answer to that.
    pub deleted_at: Option<Timestamp>,
    /// Counts the accepted changes.
    pub revision: u64,
}

/// What an agent works on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentLoad)]
#[expect(missing_docs, reason = "the fields are those of domain 2.5")]
pub struct LoadDto {
    pub current_concurrent_tasks: u32,
    /// Sum of their complexities.
    pub load_units: f64,
    pub max_concurrent_capacity: u32,
    /// Sessions that wait for it and nobody else.
    pub queue_length: usize,
    pub utilization_percentage: f64,
    pub load_level: LoadLevel,
    /// Whether it takes one more of complexity 1.
    pub can_accept_task: bool,
}

impl LoadDto {
    fn of(burden: &Burden, queue_length: usize) -> Self {
        Self {
            current_concurrent_tasks: burden.load.tasks,
            load_units: burden.load.units.as_f64(),
            max_concurrent_capacity: burden.capacity,
            queue_length,
            utilization_percentage: burden.utilization() * 100.0,
            load_level: burden.level(),
            can_accept_task: burden.accepts(Units::ONE),
        }
    }
}

/// What a probe of an agent found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentProbe)]
pub struct ProbeDto {
    /// When it was looked at.
    pub at: Timestamp,
    /// Whether it could work.
    pub is_alive: bool,
    /// Version of its software, when it could.
    pub version: Option<String>,
    /// Why not, when it could not.
    pub error: Option<String>,
    /// How long the look took.
    pub took_ms: u64,
}

impl From<Liveness> for ProbeDto {
    fn from(seen: Liveness) -> Self {
        let Liveness { at, result, took_ms } = seen;
        let (version, error) = match result {
            Ok(report) => (Some(report.version), None),
            Err(reason) => (None, Some(reason)),
        };
        Self { at, is_alive: error.is_none(), version, error, took_ms }
    }
}

impl From<&AgentView> for AgentDto {
    fn from(view: &AgentView) -> Self {
        let state = view.state();
        let AgentView {
            agent,
            is_built_in,
            standing,
            queue_length,
            probed,
            heartbeat,
            performance,
            at,
        } = view.clone();
        let Versioned { version: revision, value } = agent;
        let Agent {
            id,
            tenant_id,
            name,
            kind,
            description,
            version,
            profile,
            behavior,
            switches: Switches { is_active, is_approved, in_maintenance, is_draining },
            config,
            metadata,
            removal,
            deleted_at,
            created_at,
            updated_at,
        } = value;
        let capabilities = profile.capabilities().into_iter().map(str::to_owned).collect();
        let Profile {
            agent_type,
            primary_capabilities,
            secondary_capabilities,
            preferred_technologies,
            avoided_technologies,
            complexity_preference,
            preferred_session_types,
            max_concurrent_capacity,
        } = profile;
        let Behavior {
            model_identifier,
            temperature,
            max_tokens,
            system_prompt_template,
            max_task_duration_hours,
            min_quality_threshold,
        } = behavior;
        let (removal_due_at, removal_reason) =
            removal.map(|Removal { due, reason }| (due, reason)).unzip();
        Self {
            id,
            tenant_id,
            name,
            kind,
            agent_type,
            description,
            version,
            capabilities,
            primary_capabilities,
            secondary_capabilities,
            preferred_technologies,
            avoided_technologies,
            complexity_preference,
            preferred_session_types,
            model_identifier,
            temperature,
            max_tokens,
            system_prompt_template,
            max_concurrent_capacity,
            max_task_duration_hours,
            min_quality_threshold,
            config: config::shown(&config),
            is_active,
            maintenance_mode: in_maintenance,
            draining: is_draining,
            approved: is_approved,
            state,
            performance_tier: standing.tier,
            tier_provisional: performance.as_deref().map(Performance::is_provisional),
            performance: performance.map(|performance| PerformanceDto::of(&performance, at)),
            breaker: standing.breaker,
            load: LoadDto::of(&standing.burden, queue_length),
            is_external: kind == AgentKind::Eap,
            is_built_in,
            last_probe: probed.map(ProbeDto::from),
            heartbeat_status: heartbeat.as_ref().map(|beat| beat.status),
            last_heartbeat_at: heartbeat.map(|beat| beat.heard_at),
            removal_due_at,
            removal_reason: removal_reason.flatten(),
            metadata,
            created_at,
            updated_at,
            deleted_at,
            revision: revision.get(),
        }
    }
}
