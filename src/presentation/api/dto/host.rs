//! Agent servers on the wire.

use serde::Serialize;
use utoipa::ToSchema;

use crate::application::ports::hosts::{HostLimits, HostProbe, HostReport, HostServer, HostState};
use crate::domain::agent::AgentKind;
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;

/// A place for conversations of agents, and the server that works on it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Host)]
pub struct HostDto {
    /// Its name; stays the same whatever server works on it.
    pub id: String,
    /// Kind of its agents.
    #[schema(value_type = String)]
    pub kind: AgentKind,
    /// Whose sessions it works on; null for everybody's.
    pub tenant_id: Option<TenantId>,
    /// `starting`, `ready`, `draining` while another server takes over, `wedged` while one that does not answer is
    /// still alive, `stopped` while none runs.
    #[schema(value_type = String)]
    pub state: HostState,
    /// Its server; the older of the two while one takes over; null while none runs.
    pub server: Option<HostServerDto>,
    /// The server that takes over.
    pub replacement: Option<HostServerDto>,
    /// Servers that were ready on it since this process began.
    pub starts: u64,
    /// The newest probe of its server.
    pub last_probe: Option<HostProbeDto>,
    /// Why its server is being replaced, or was ended last.
    pub reason: Option<String>,
    /// When its server is replaced.
    pub limits: HostLimitsDto,
}

/// A server of a host.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HostServer)]
pub struct HostServerDto {
    /// Its process; null when it is not ours.
    pub pid: Option<u32>,
    /// Version of its software.
    pub version: String,
    /// When it was ready.
    pub started_at: Timestamp,
    /// Seconds since then.
    pub age_seconds: u64,
    /// Sessions that work with it now.
    pub running_sessions: usize,
    /// Runs of sessions that began with it.
    pub served_sessions: u64,
    /// Resident memory of the server itself, in bytes; null when it is not ours.
    pub rss_bytes: Option<u64>,
    /// Resident memory of the tools of its agents, in bytes; null when they are not ours.
    pub tools_rss_bytes: Option<u64>,
}

/// A probe of a host's server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HostProbe)]
pub struct HostProbeDto {
    /// When it was answered, or given up.
    pub at: Timestamp,
    /// How long that took.
    pub latency_ms: f64,
    /// Whether it went through what sessions go through, not only to the server's word that it is well.
    pub is_deep: bool,
    /// Why it failed; null when it did not.
    pub error: Option<String>,
}

/// When a host's server is replaced.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HostLimits)]
pub struct HostLimitsDto {
    /// Sessions that may work with it at once.
    pub running_sessions: usize,
    /// Runs of sessions after which it is replaced.
    pub served_sessions: u64,
    /// Age after which it is replaced.
    pub age_seconds: u64,
    /// Memory above which it is replaced when its sessions are at a good place.
    pub soft_rss_bytes: u64,
    /// Memory above which it is replaced at once.
    pub hard_rss_bytes: u64,
}

/// A host whose server is being replaced.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HostRecycling)]
pub struct RecyclingDto {
    /// As it stood when this was asked for.
    pub host: HostDto,
    /// What happens now, in order.
    pub steps: Vec<String>,
}

impl HostDto {
    /// A host as it is now.
    #[must_use]
    pub fn of(host: HostReport, now: Timestamp) -> Self {
        let HostReport { id, kind, tenant, state, server, replacement, .. } = host;
        let HostLimits { running, served, age, soft_rss_bytes, hard_rss_bytes } = host.limits;
        let last_probe = host.probe.map(|probe| {
            let HostProbe { at, latency, is_deep, error } = probe;
            HostProbeDto { at, latency_ms: latency.as_secs_f64() * 1000.0, is_deep, error }
        });
        Self {
            id,
            kind,
            tenant_id: tenant,
            state,
            server: server.map(|server| HostServerDto::of(server, now)),
            replacement: replacement.map(|server| HostServerDto::of(server, now)),
            starts: host.starts,
            last_probe,
            reason: host.reason,
            limits: HostLimitsDto {
                running_sessions: running,
                served_sessions: served,
                age_seconds: age.as_secs(),
                soft_rss_bytes,
                hard_rss_bytes,
            },
        }
    }
}

impl HostServerDto {
    fn of(server: HostServer, now: Timestamp) -> Self {
        let HostServer { pid, version, started_at, running, served, rss_bytes, tools_rss_bytes } =
            server;
        Self {
            pid,
            version,
            started_at,
            age_seconds: now.since(started_at).as_secs(),
            running_sessions: running,
            served_sessions: served,
            rss_bytes,
            tools_rss_bytes,
        }
    }
}

impl RecyclingDto {
    /// What follows for a host that stood like this.
    #[must_use]
    pub fn of(host: HostReport, now: Timestamp) -> Self {
        let running = host.server.as_ref().map_or(0, |server| server.running);
        let mut steps = vec!["another server is started; new sessions go to it".to_owned()];
        if running > 0 {
            steps.push(format!(
                "each of {running} sessions is paused between two tools or at the end of its turn, saved, and goes \
                 on at the other server"
            ));
        }
        steps.push("the old server ends, and whatever it left running".to_owned());
        Self { host: HostDto::of(host, now), steps }
    }
}
