//! Any agent that speaks the Agent Client Protocol over standard input and output.
//!
//! The map: `start` brings a process and its conversation up, `run` is the task behind a run, `turn` the
//! end of its prompts; `hear` and `asks` deal with what the agent tells and asks, `teller`, `calls` and
//! `spent` turn that into events; `link`, `lines` and `wire` are the way to the process; `program` says
//! which one it is, `probe` whether it works.
//!
//! Invariant: each run has a process of its own, which dies with it and with us.
//! Invariant: nothing outside this folder knows the protocol.

mod asks;
mod calls;
mod choice;
mod control;
mod failure;
mod hear;
mod lines;
mod link;
mod probe;
mod program;
mod run;
mod spent;
mod start;
mod teller;
mod turn;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::control::{Control, Shared};
use self::probe::Probes;
use self::run::Run;
use super::environment::HandedTo;
use super::guard;
use super::marker::Marker;
use super::place::remove_home;
use crate::application::ports::clock::Clock;
use crate::application::ports::driver::{
    Abilities, AgentDriver, Assignment, DriverError, ProbeReport, Running,
};
use crate::domain::agent::AgentKind;
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::session::attempt::ErrorType;
use crate::infrastructure::sandbox::Sandbox;

/// Longest time that a start may take.
const START_TIME: Duration = Duration::from_secs(55);
/// Longest time that the end of all runs may take.
const SHUTDOWN_TIME: Duration = Duration::from_secs(10);
/// Events that may wait to be taken; a full channel slows the agent, deltas are dropped.
const EVENTS: usize = 256;
/// Orders that may wait to be taken; a full channel lets those wait who give them.
const ORDERS: usize = 64;

/// Settings of the driver.
#[derive(Clone)]
pub struct Options {
    /// Our own executable and the word `guard`; without it agents are started directly, and what they
    /// started survives a kill of ours until the next `reap`.
    pub guard_command: Option<Vec<String>>,
    /// Where agents have their homes; ours alone.
    pub state_dir: PathBuf,
    /// Name of the variable that every process of an agent carries.
    pub marker: String,
    /// Variables of ours that agents get whose settings ask for them.
    pub env: Vec<(String, String)>,
    /// Whose agents get any.
    pub env_tenants: HandedTo,
    /// What agents and their tools may reach; needs a guard.
    pub sandbox: Sandbox,
    /// How long a started agent may take to answer.
    pub ready_timeout: Duration,
    /// How long an agent may be silent while it works and nobody is asked.
    pub silence: Duration,
}

impl Options {
    /// Where an agent has its home.
    #[must_use]
    pub fn home_of(&self, tenant: TenantId, agent: AgentId) -> PathBuf {
        self.state_dir.join("acp").join(format!("{tenant}-{agent}"))
    }

    /// The defaults for agents with homes below this folder.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            guard_command: None,
            state_dir: state_dir.into(),
            marker: "ORCHESTRATOR_ACP".to_owned(),
            env: Vec::new(),
            env_tenants: HandedTo::default(),
            sandbox: Sandbox::default(),
            ready_timeout: Duration::from_secs(30),
            silence: Duration::from_mins(30),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let env: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        formatter
            .debug_struct("Options")
            .field("guard_command", &self.guard_command)
            .field("state_dir", &self.state_dir)
            .field("marker", &self.marker)
            .field("env", &env)
            .field("env_tenants", &self.env_tenants)
            .field("sandbox", &self.sandbox)
            .field("ready_timeout", &self.ready_timeout)
            .field("silence", &self.silence)
            .finish()
    }
}

/// What everything in this folder works with.
struct Host {
    options: Arc<Options>,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    /// Those of `tasks` that are runs.
    runs: TaskTracker,
    /// Ends every run.
    cancel: CancellationToken,
    probes: Probes,
}

/// Drives agents that speak the protocol. Dropping it ends their processes.
pub struct AcpDriver {
    host: Arc<Host>,
}

impl AcpDriver {
    /// A driver; nothing is started before the first probe or run.
    #[must_use]
    pub fn new(
        options: Options,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
        cancel: &CancellationToken,
    ) -> Self {
        let (options, runs) = (Arc::new(options), TaskTracker::new());
        let (cancel, probes) = (cancel.child_token(), Probes::default());
        Self { host: Arc::new(Host { options, clock, tasks, runs, cancel, probes }) }
    }

    async fn begin(&self, assignment: Assignment) -> Result<Running, DriverError> {
        let host = &self.host;
        let begin = start::begin(host, assignment).await?;
        let (events, told) = mpsc::channel(EVENTS);
        let (orders, given) = mpsc::channel(ORDERS);
        let shared = Arc::new(Shared {
            clock: Arc::clone(&host.clock),
            cancel: host.cancel.child_token(),
            ended: CancellationToken::new(),
            shutdown: host.cancel.clone(),
            silence: host.options.silence,
        });
        let run = Run::new(Arc::clone(&shared), begin, given, events);
        host.tasks.spawn(host.runs.track_future(run.live()));
        Ok(Running { control: Box::new(Control { shared, orders }), events: told })
    }
}

impl Drop for AcpDriver {
    fn drop(&mut self) {
        self.host.cancel.cancel();
    }
}

#[async_trait]
impl AgentDriver for AcpDriver {
    fn kind(&self) -> AgentKind {
        AgentKind::Acp
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            resume: true,
            inject: false,
            asks: true,
            usage: true,
            fork: false,
            simulated: false,
            outlives: false,
        }
    }

    fn refusal(&self, tenant: TenantId, config: &Map<String, Value>) -> Option<String> {
        self.host.options.env_tenants.refusal(tenant, config)
    }

    async fn probe(
        &self,
        tenant: TenantId,
        config: &Map<String, Value>,
    ) -> Result<ProbeReport, DriverError> {
        tokio::select! {
            found = probe::probe(&self.host, tenant, config) => found,
            () = self.host.cancel.cancelled() => Err(ended()),
        }
    }

    async fn start(&self, assignment: Assignment) -> Result<Running, DriverError> {
        let seconds = START_TIME.as_secs();
        // Whoever does not come to an end here loses its line to the process, which ends that.
        tokio::select! {
            started = Box::pin(self.begin(assignment)) => started,
            () = self.host.cancel.cancelled() => Err(ended()),
            () = self.host.clock.sleep(START_TIME) => Err(DriverError::new(
                ErrorType::DispatchFailed,
                format!("the agent did not take the run within {seconds} s"),
            )),
        }
    }

    async fn reap(&self) -> usize {
        let options = &self.host.options;
        let marker = Marker::any(&options.marker, &options.state_dir);
        spawn_blocking(move || guard::sweep(&marker)).await.unwrap_or(0)
    }

    async fn forget(&self, tenant: TenantId, agent: AgentId) -> Result<(), DriverError> {
        remove_home(self.host.options.home_of(tenant, agent)).await
    }

    async fn shutdown(&self) {
        self.host.cancel.cancel();
        self.host.runs.close();
        tokio::select! {
            () = self.host.runs.wait() => {}
            () = self.host.clock.sleep(SHUTDOWN_TIME) => {}
        }
    }
}

fn ended() -> DriverError {
    DriverError::new(ErrorType::AgentLost, "the driver of ACP agents is shutting down")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_shown_without_secrets() {
        let mut options = Options::new("/state");
        options.env = vec![("LAB_KEY".to_owned(), "canary".to_owned())];
        let shown = format!("{options:?}");
        assert!(shown.contains("LAB_KEY") && !shown.contains("canary"), "{shown}");
    }
}
