//! The real OpenCode server as an agent.
//!
//! By default servers are kept as children of ours, each behind a guard that outlives us for the
//! moment that it takes to end it; a server that runs elsewhere can be attached instead. Both are
//! spoken to over the same HTTP interface.
//!
//! Invariant: nothing outside this folder knows OpenCode.

mod asks;
mod child;
mod client;
mod control;
mod cover;
mod doorway;
mod hear;
mod host;
mod ids;
mod keep;
mod layout;
mod limits;
mod link;
mod map;
mod moving;
mod permission;
mod policy;
mod pool;
mod run;
mod start;
mod stream;
mod tidy;
mod turn;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use limits::Limits;

use self::pool::Pool;
use super::guard;
use super::marker::{Marker, is_secret};
use crate::application::ports::clock::Clock;
use crate::application::ports::driver::{
    Abilities, AgentDriver, Assignment, DriverError, ProbeReport, Running,
};
use crate::application::ports::hosts::{HostNews, HostReport, NotRecycled};
use crate::domain::agent::AgentKind;
use crate::domain::ids::TenantId;
use crate::domain::redact::Redactor;
use crate::infrastructure::sandbox::Sandbox;

/// Longest time that a start may take.
const START_TIME: Duration = Duration::from_secs(55);

/// A server that somebody else runs.
#[derive(Clone)]
pub struct Attach {
    /// Its address.
    pub url: String,
    /// Its user; `opencode` unless it was set.
    pub username: String,
    /// Its password.
    pub password: SecretString,
}

/// Settings of the driver.
#[derive(Clone)]
pub struct Options {
    /// Program and first arguments of OpenCode.
    pub command: Vec<String>,
    /// Our own executable and the word `guard`; without it the server is started directly, and
    /// survives a kill of ours until the next `reap`.
    pub guard_command: Option<Vec<String>>,
    /// Where servers keep their conversations; ours alone.
    pub state_dir: PathBuf,
    /// Name of the variable that every process of a server carries.
    pub marker: String,
    /// OpenCode configuration of the user: providers, models.
    pub user_config: Option<Value>,
    /// Contents of the user's credentials file.
    pub auth: Option<String>,
    /// Variables of ours that the server may see.
    pub env: Vec<(String, String)>,
    /// Uses this server instead of one of our own.
    pub attach: Option<Attach>,
    /// Loads configuration, plugins and instructions that lie in the repository. A plugin is code
    /// that runs inside the server.
    pub trust_repositories: bool,
    /// What the server and its tools may reach; needs a guard.
    pub sandbox: Sandbox,
    /// Folders below which the workspaces of all runs are made.
    pub workspaces: Option<PathBuf>,
    /// Runs at once.
    pub max_runs: usize,
    /// Servers of one tenant at once.
    pub max_hosts: usize,
    /// Runs at once on one server.
    pub host_runs: usize,
    /// How long a start of the server may take.
    pub ready_timeout: Duration,
    /// How long an answer to a probe may take. A server under load is late by seconds.
    pub health_timeout: Duration,
    /// Probes that may fail in a row before the server counts as wedged.
    pub probe_failures: u32,
    /// Time between two looks at the server's health.
    pub probe_every: Duration,
    /// Time between two probes that go through what runs go through.
    pub deep_probe_every: Duration,
    /// A server that nobody used for so long is ended; the next run starts it again.
    pub idle_time: Duration,
    /// A server that uses more memory is replaced, its runs being moved at a good moment.
    pub recycle_rss_bytes: u64,
    /// A server that uses more memory is replaced at once.
    pub max_rss_bytes: u64,
    /// A server that is younger is not replaced for its memory.
    pub settled: Duration,
    /// A server that is older is replaced.
    pub recycle_age: Duration,
    /// A server that so many runs began with is replaced.
    pub recycle_served: u64,
    /// How long a run is waited for that is at no good place to be moved.
    pub move_grace: Duration,
    /// Where a run that leads nowhere ends.
    pub limits: Limits,
    /// Learns the password of each start, so that it is told to nobody.
    pub redactor: Redactor,
}

impl Options {
    /// The defaults for servers below this folder.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            command: vec!["opencode".to_owned()],
            guard_command: None,
            state_dir: state_dir.into(),
            marker: "ORCHESTRATOR_HOST".to_owned(),
            user_config: None,
            auth: None,
            env: Vec::new(),
            attach: None,
            trust_repositories: false,
            sandbox: Sandbox::default(),
            workspaces: None,
            max_runs: 8,
            max_hosts: 2,
            host_runs: 8,
            ready_timeout: Duration::from_secs(30),
            health_timeout: Duration::from_secs(10),
            probe_failures: 3,
            probe_every: Duration::from_secs(3),
            deep_probe_every: Duration::from_secs(30),
            idle_time: Duration::from_mins(10),
            recycle_rss_bytes: 1536 * 1024 * 1024,
            max_rss_bytes: 3 * 1024 * 1024 * 1024,
            settled: Duration::from_mins(10),
            recycle_age: Duration::from_hours(6),
            recycle_served: 500,
            move_grace: Duration::from_mins(2),
            limits: Limits::default(),
            redactor: Redactor::default(),
        }
    }
}

impl std::fmt::Debug for Attach {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, username, password: _ } = self;
        formatter
            .debug_struct("Attach")
            .field("url", &url.split_once('@').map_or(url.as_str(), |(_, host)| host))
            .field("username", username)
            .field("password", &"***")
            .finish()
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let env: Vec<_> = self
            .env
            .iter()
            .map(|(name, value)| (name, if is_secret(name) { "***" } else { value.as_str() }))
            .collect();
        formatter
            .debug_struct("Options")
            .field("command", &self.command)
            .field("guard_command", &self.guard_command)
            .field("state_dir", &self.state_dir)
            .field("marker", &self.marker)
            .field("user_config", &self.user_config.as_ref().map(|_| "***"))
            .field("auth", &self.auth.as_ref().map(|_| "***"))
            .field("env", &env)
            .field("attach", &self.attach)
            .field("trust_repositories", &self.trust_repositories)
            .field("sandbox", &self.sandbox)
            .field("workspaces", &self.workspaces)
            .field("max_runs", &self.max_runs)
            .field("max_hosts", &self.max_hosts)
            .field("host_runs", &self.host_runs)
            .field("ready_timeout", &self.ready_timeout)
            .field("health_timeout", &self.health_timeout)
            .field("probe_failures", &self.probe_failures)
            .field("probe_every", &self.probe_every)
            .field("deep_probe_every", &self.deep_probe_every)
            .field("idle_time", &self.idle_time)
            .field("recycle_rss_bytes", &self.recycle_rss_bytes)
            .field("max_rss_bytes", &self.max_rss_bytes)
            .field("settled", &self.settled)
            .field("recycle_age", &self.recycle_age)
            .field("recycle_served", &self.recycle_served)
            .field("move_grace", &self.move_grace)
            .field("limits", &self.limits)
            .field("redactor", &self.redactor)
            .finish()
    }
}

/// Drives OpenCode. Dropping it ends its servers.
pub struct OpencodeDriver {
    pool: Pool,
}

impl OpencodeDriver {
    /// A driver; nothing is started before the first probe or run.
    #[must_use]
    pub fn new(
        options: Options,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
        cancel: &CancellationToken,
    ) -> Self {
        Self { pool: Pool::new(Arc::new(options), clock, tasks, cancel.child_token()) }
    }
}

impl Drop for OpencodeDriver {
    fn drop(&mut self) {
        self.pool.cancel.cancel();
    }
}

#[async_trait]
impl AgentDriver for OpencodeDriver {
    fn kind(&self) -> AgentKind {
        AgentKind::Opencode
    }

    fn abilities(&self) -> Abilities {
        Abilities {
            resume: true,
            inject: true,
            asks: true,
            usage: true,
            fork: true,
            simulated: false,
            outlives: self.pool.options.attach.is_some(),
        }
    }

    async fn probe(
        &self,
        tenant: TenantId,
        _: &Map<String, Value>,
    ) -> Result<ProbeReport, DriverError> {
        let host = match self.pool.to_be_probed(tenant) {
            Ok(host) => host,
            Err(version) => {
                return Ok(ProbeReport { version, details: json!({ "mode": "asleep" }) });
            }
        };
        let server = host.server().await?;
        let health = server.client.health(self.pool.options.health_timeout).await;
        if let Err(error) = health {
            host.suspect();
            return Err(error.into());
        }
        let mode = if self.pool.options.attach.is_some() { "attached" } else { "supervised" };
        let details = json!({ "mode": mode, "starts": server.generation });
        Ok(ProbeReport { version: server.version.clone(), details })
    }

    async fn start(&self, assignment: Assignment) -> Result<Running, DriverError> {
        tokio::select! {
            biased;
            started = start::start(&self.pool, assignment) => started,
            () = self.pool.clock.sleep(START_TIME) => Err(DriverError::new(
                crate::domain::session::attempt::ErrorType::DispatchFailed,
                format!("OpenCode did not take the run within {} s", START_TIME.as_secs()),
            )),
        }
    }

    async fn reap(&self) -> usize {
        let options = &self.pool.options;
        if options.attach.is_some() {
            return 0;
        }
        let marker = Marker::any(&options.marker, &options.state_dir);
        spawn_blocking(move || guard::sweep(&marker)).await.unwrap_or(0)
    }

    async fn hosts(&self) -> Vec<HostReport> {
        self.pool.reports().await
    }

    fn host_news(&self) -> Option<mpsc::Receiver<HostNews>> {
        self.pool.take_news()
    }

    fn recycle(&self, host: &str, reason: &str) -> Result<(), NotRecycled> {
        self.pool.recycle(host, reason)
    }

    async fn shutdown(&self) {
        self.pool.cancel.cancel();
        tokio::select! {
            biased;
            () = self.pool.finished() => {}
            () = self.pool.clock.sleep(Duration::from_secs(10)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_shown_without_secrets() {
        let mut options = Options::new("/state");
        options.env = vec![("LAB_KEY".to_owned(), "canary-1".to_owned())];
        options.auth = Some("canary-2".to_owned());
        options.user_config = Some(json!({ "key": "canary-3" }));
        options.attach = Some(Attach {
            url: "http://user:canary-4@127.0.0.1:1".to_owned(),
            username: "opencode".to_owned(),
            password: SecretString::from("canary-5"),
        });
        let shown = format!("{options:?}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}
