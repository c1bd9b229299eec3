//! `[agents]`: what holds for every agent and gate, and `[agents.acp]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use super::reader::{Reader, expand};
use super::webhooks::networks;
use crate::domain::agent::breaker::BreakerRules;
use crate::domain::agent::status::{AgentRules, LivenessRules};
use crate::domain::ids::TenantId;
use crate::infrastructure::drivers::environment::HandedTo;
use crate::infrastructure::push::Limits;
use crate::infrastructure::sandbox::Mode;

/// `[agents]`
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// What is kept from agents and gates.
    pub sandbox: Mode,
    /// What they may change beside what is theirs, under `strict`.
    pub writable: Vec<PathBuf>,
    /// Largest file that they may write; 0 sets no limit.
    pub max_file_mb: u32,
    /// Tenants whose agents may get variables of the server.
    pub env_tenants: HandedTo,
    /// By which times agents are judged.
    pub rules: AgentRules,
    /// `[agents.acp]`: variables of the server that such agents may get.
    pub acp_env: Vec<String>,
    /// `[agents.external]`
    pub external: ExternalOptions,
}

/// `[agents.external]`
#[derive(Debug, Clone)]
pub struct ExternalOptions {
    /// Names whose addresses may be private.
    pub allowed_hosts: Vec<String>,
    /// Private networks that agents may be called in.
    pub allowed_networks: Vec<IpNet>,
    /// How long the right to a piece of work lasts without a call of its agent.
    pub lease: Duration,
    /// How long a token is accepted after it was replaced.
    pub token_grace: Duration,
    /// How long agents are waited for that are called.
    pub calls: Limits,
}

impl AgentOptions {
    pub(super) fn read(reader: &mut Reader<'_>, home: Option<&Path>) -> Self {
        let modes = Mode::ALL.iter().map(|mode| (mode.as_str(), *mode)).collect::<Vec<_>>();
        let given = reader.list("agents.sandbox_writable");
        let writable: Vec<PathBuf> = given.iter().map(|text| expand(text, home)).collect();
        if let Some(relative) = writable.iter().find(|path| !path.is_absolute()) {
            let message = format!("`{}` must be an absolute path", relative.display());
            reader.refuse("agents.sandbox_writable", message);
        }
        let env_tenants = env_tenants(reader);
        Self {
            env_tenants,
            sandbox: reader.word("agents.sandbox", &modes, Mode::Data),
            writable,
            max_file_mb: reader.number("agents.max_file_mb", 0..=16_777_216),
            rules: rules(reader),
            acp_env: reader.list("agents.acp.env"),
            external: ExternalOptions {
                allowed_hosts: reader.list("agents.external.allowed_hosts"),
                allowed_networks: networks(reader, "agents.external.allowed_networks"),
                lease: reader.seconds("agents.external.lease_seconds", 10..=3600),
                token_grace: reader.seconds("agents.external.token_grace_seconds", 0..=86_400),
                calls: Limits {
                    connect: reader.seconds("agents.external.connect_seconds", 1..=60),
                    pause: reader.seconds("agents.external.answer_pause_seconds", 1..=300),
                    answer: reader.seconds("agents.external.answer_seconds", 1..=3600),
                },
            },
        }
    }
}

/// Tenants by their ids; the first one, which has the same everywhere, by its name; all of them by `*`.
fn env_tenants(reader: &mut Reader<'_>) -> HandedTo {
    const KEY: &str = "agents.env_tenants";
    let given = reader.list(KEY);
    let id = |text: &String| match text.as_str() {
        "default" => Some(TenantId::BOOTSTRAP),
        other => TenantId::parse(other),
    };
    let (everybody, named): (Vec<_>, Vec<_>) = given.into_iter().partition(|text| text == "*");
    if let Some(unknown) = named.iter().find(|text| id(text).is_none()) {
        let message =
            format!("`{unknown}` must be `default`, the id of a tenant, or `*` for all of them");
        reader.refuse(KEY, message);
    }
    if everybody.is_empty() {
        HandedTo::These(named.iter().filter_map(id).collect())
    } else {
        HandedTo::Everybody
    }
}

/// How long silence and failures are borne.
fn rules(reader: &mut Reader<'_>) -> AgentRules {
    let interval = reader.seconds("agents.heartbeat_interval_seconds", 1..=3600);
    let expiry = reader.seconds("agents.heartbeat_expiry_seconds", 3..=86_400);
    if expiry <= interval * 2 {
        let message = format!(
            "`agents.heartbeat_expiry_seconds` must be more than two heartbeat intervals, {}",
            interval.as_secs() * 2
        );
        reader.refuse("agents.heartbeat_expiry_seconds", message);
    }
    let open_for = reader.seconds("agents.breaker_open_seconds", 1..=86_400);
    let inactive_hours = reader.number("agents.inactive_hours", 1..=8760);
    AgentRules {
        liveness: LivenessRules { interval, expiry },
        breaker: BreakerRules { open_for },
        inactive_after: Duration::from_hours(u64::from(inactive_hours)),
    }
}
