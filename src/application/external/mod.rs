//! External agents: they register themselves, say how they are, and fetch their work or have it brought.

mod desk;
mod driver;
mod heartbeat;
mod push;
pub mod rebalance;
mod register;
mod tokens;
pub mod work;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::desk::Desk;
pub use self::desk::{Bell, Lying};
pub use self::driver::ExternalDriver;
pub use self::heartbeat::Beat;
use self::push::Caller;
pub use self::register::{Registered, Registrar, Rotated};
use self::tokens::DispatchTokens;
pub use self::tokens::{agent_of, key_of};
use super::agent::AgentService;
use super::agent::pulses::Pulses;
use super::identity::IdentityService;
use super::ports::artifacts::ArtifactFiles;
use super::ports::clock::{Clock, Ids};
use super::ports::push::PushAgents;
use super::ports::sealer::Sealer;
use super::ports::store::Store;
use super::session::SessionService;
use crate::domain::agent::Agent;
use crate::domain::agent::status::LivenessRules;
use crate::domain::eap::notice::Notice;
use crate::domain::ids::AgentId;
use crate::domain::lock::{Grant, Owner};

/// Heartbeats that are held for a listener that is busy; older ones are dropped for it.
const BEATS: usize = 1024;

/// Times that are kept with external agents.
#[derive(Debug, Clone, Copy)]
pub struct ExternalRules {
    /// How long silence is borne.
    pub liveness: LivenessRules,
    /// How long a lease is; every call of its agent begins it anew.
    pub lease: Duration,
    /// How long a token is accepted after it was replaced.
    pub token_grace: Duration,
}

impl Default for ExternalRules {
    fn default() -> Self {
        Self {
            liveness: LivenessRules::default(),
            lease: Duration::from_mins(5),
            token_grace: Duration::from_mins(5),
        }
    }
}

/// The ports that external agents are spoken to through.
pub struct Ports {
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Identities and secrets.
    pub ids: Arc<dyn Ids>,
    /// The server's key.
    pub sealer: Arc<dyn Sealer>,
    /// Calls to agents.
    pub push: Arc<dyn PushAgents>,
    /// Files that they bring back.
    pub files: Arc<dyn ArtifactFiles>,
}

/// Where external agents and supervisors meet: made before the services that use it.
#[derive(Clone)]
pub struct Exchange {
    desk: Desk,
    caller: Arc<Caller>,
    rules: ExternalRules,
    stop: CancellationToken,
}

impl Exchange {
    /// Tells an agent that it holds a lock no longer; others hear it from the events.
    pub fn tell_lock_lost(&self, grant: &Grant) {
        if let Owner::Agent(agent) = grant.owner {
            let (name, lock_id) = (grant.name.to_string(), grant.lock_id.uuid());
            self.desk.post(agent, Notice::LockLost { name, lock_id });
        }
    }

    /// Over these ports; whoever waits goes with the token.
    #[must_use]
    pub fn new(ports: &Ports, rules: ExternalRules, stop: &CancellationToken) -> Self {
        let caller = Caller {
            store: Arc::clone(&ports.store),
            agents: Arc::clone(&ports.push),
            tokens: DispatchTokens::new(Arc::clone(&ports.store), Arc::clone(&ports.sealer)),
            clock: Arc::clone(&ports.clock),
            files: Arc::clone(&ports.files),
            lease: rules.lease,
        };
        Self { desk: Desk::default(), caller: Arc::new(caller), rules, stop: stop.clone() }
    }

    /// The driver of external agents; its tasks are on the tracker.
    #[must_use]
    pub fn driver(&self, pulses: &Pulses, tracker: &TaskTracker) -> ExternalDriver {
        ExternalDriver {
            desk: self.desk.clone(),
            caller: Arc::clone(&self.caller),
            pulses: pulses.clone(),
            clock: Arc::clone(&self.caller.clock),
            rules: self.rules,
            tracker: tracker.clone(),
            ended: self.stop.child_token(),
        }
    }
}

/// The use cases of external agents.
#[derive(Clone)]
pub struct ExternalService {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    agents: AgentService,
    sessions: SessionService,
    identity: IdentityService,
    desk: Desk,
    caller: Arc<Caller>,
    rules: ExternalRules,
    stop: CancellationToken,
    beats: broadcast::Sender<Beat>,
}

impl ExternalService {
    /// Over these ports and services.
    #[must_use]
    pub fn new(
        ports: &Ports,
        exchange: &Exchange,
        (agents, sessions, identity): (AgentService, SessionService, IdentityService),
    ) -> Self {
        let Exchange { desk, caller, rules, stop } = exchange.clone();
        let (store, clock) = (Arc::clone(&ports.store), Arc::clone(&ports.clock));
        let (ids, beats) = (Arc::clone(&ports.ids), broadcast::channel(BEATS).0);
        Self { store, clock, ids, agents, sessions, identity, desk, caller, rules, stop, beats }
    }

    /// What agents say of how they are, from now on.
    #[must_use]
    pub fn beats(&self) -> broadcast::Receiver<Beat> {
        self.beats.subscribe()
    }

    /// What rings when there is something new for an agent.
    #[must_use]
    pub fn bell(&self, agent: AgentId) -> Bell {
        self.desk.bell(agent)
    }

    /// Times that are kept with external agents.
    #[must_use]
    pub const fn rules(&self) -> &ExternalRules {
        &self.rules
    }
}

/// Where an agent is called; `None` for one that fetches its work.
fn line_of(agent: &Agent) -> Option<&str> {
    agent.config.get("endpoint_url").and_then(serde_json::Value::as_str)
}
