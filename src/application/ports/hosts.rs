//! The agent servers that a driver keeps, as whoever runs this server sees them.

use std::time::Duration;

use crate::closed_enum;
use crate::domain::agent::AgentKind;
use crate::domain::ids::TenantId;
use crate::domain::time::Timestamp;

closed_enum!(
    /// How a host stands.
    HostState {
        /// Its server is being started.
        Starting = "starting",
        /// Its server works.
        Ready = "ready",
        /// Another server takes over, and the runs are being moved to it.
        Draining = "draining",
        /// Its server does not answer: what works there is saved, then it is killed.
        Wedged = "wedged",
        /// No server runs; the next run starts one.
        Stopped = "stopped",
    }
);

/// The newest probe of a host's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostProbe {
    /// When it was answered, or given up.
    pub at: Timestamp,
    /// How long that took.
    pub latency: Duration,
    /// Whether it went through what runs go through, not only to the server's own word that it is well.
    pub is_deep: bool,
    /// Why it failed; `None` when it did not.
    pub error: Option<String>,
}

/// A server of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostServer {
    /// Its process.
    pub pid: Option<u32>,
    /// Version of its software.
    pub version: String,
    /// When it was ready.
    pub started_at: Timestamp,
    /// Runs that work with it.
    pub running: usize,
    /// Runs that began with it.
    pub served: u64,
    /// Resident memory of the server and what it keeps beside it, in bytes; without the tools of agents.
    pub rss_bytes: Option<u64>,
    /// Resident memory of the tools of agents, in bytes.
    pub tools_rss_bytes: Option<u64>,
}

/// When a host's server is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostLimits {
    /// Runs at once.
    pub running: usize,
    /// Runs after which it is replaced.
    pub served: u64,
    /// Age after which it is replaced.
    pub age: Duration,
    /// Memory above which it is replaced when its runs are at a good place, in bytes.
    pub soft_rss_bytes: u64,
    /// Memory above which it is replaced at once, in bytes.
    pub hard_rss_bytes: u64,
}

/// A host: a place for conversations, and the server that works on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostReport {
    /// Its name; stays the same whatever server works on it.
    pub id: String,
    /// Whose driver keeps it.
    pub kind: AgentKind,
    /// Whose sessions it works on; `None` for everybody's.
    pub tenant: Option<TenantId>,
    /// How it stands.
    pub state: HostState,
    /// Its server; the older of the two while one replaces the other.
    pub server: Option<HostServer>,
    /// The server that takes over.
    pub replacement: Option<HostServer>,
    /// Servers that were ready on it since this process began.
    pub starts: u64,
    /// The newest probe of its server.
    pub probe: Option<HostProbe>,
    /// Why its server is being replaced or was ended last.
    pub reason: Option<String>,
    /// Its bounds.
    pub limits: HostLimits,
}

/// Something that happened to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNews {
    /// Its name.
    pub id: String,
    /// Whose sessions it works on.
    pub tenant: Option<TenantId>,
    /// How it stood.
    pub old: HostState,
    /// How it stands.
    pub new: HostState,
    /// Why, for people.
    pub reason: Option<String>,
}

/// Why a server is not replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotRecycled {
    /// There is no such host.
    Unknown,
    /// Its server cannot be replaced as it stands.
    State(HostState),
    /// It is not ours to end.
    Foreign,
}
