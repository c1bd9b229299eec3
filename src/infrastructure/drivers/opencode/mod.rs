//! The real OpenCode server as an agent.
//!
//! By default one server is kept as a child of ours, behind a guard that outlives us for the
//! moment that it takes to end it; a server that runs elsewhere can be attached instead. Both are
//! spoken to over the same HTTP interface.
//!
//! Invariant: nothing outside this folder knows OpenCode.

mod asks;
mod child;
mod client;
mod control;
mod cover;
mod hear;
mod host;
mod ids;
mod layout;
mod limits;
mod link;
mod map;
mod permission;
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
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use limits::Limits;

use self::host::Host;
use super::guard;
use super::marker::{Marker, is_secret};
use crate::application::ports::clock::Clock;
use crate::application::ports::driver::{
    Abilities, AgentDriver, Assignment, DriverError, ProbeReport, Running,
};
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
    /// How long a start of the server may take.
    pub ready_timeout: Duration,
    /// How long an answer about the server's health may take; three late ones in a row and the
    /// server counts as deaf. A server under load is late by seconds.
    pub health_timeout: Duration,
    /// Time between two looks at the server's health.
    pub probe_every: Duration,
    /// A server that nobody used for so long is ended; the next run starts it again.
    pub idle_time: Duration,
    /// An idle server that uses more memory is ended.
    pub recycle_rss_bytes: u64,
    /// An idle server that is older is ended.
    pub recycle_age: Duration,
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
            ready_timeout: Duration::from_secs(30),
            health_timeout: Duration::from_secs(10),
            probe_every: Duration::from_secs(3),
            idle_time: Duration::from_mins(10),
            recycle_rss_bytes: 1536 * 1024 * 1024,
            recycle_age: Duration::from_hours(6),
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
            .field("ready_timeout", &self.ready_timeout)
            .field("health_timeout", &self.health_timeout)
            .field("probe_every", &self.probe_every)
            .field("idle_time", &self.idle_time)
            .field("recycle_rss_bytes", &self.recycle_rss_bytes)
            .field("recycle_age", &self.recycle_age)
            .field("limits", &self.limits)
            .field("redactor", &self.redactor)
            .finish()
    }
}

/// Drives OpenCode. Dropping it ends its server.
pub struct OpencodeDriver {
    host: Arc<Host>,
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
        Self { host: Host::new(Arc::new(options), clock, tasks, cancel.child_token()) }
    }
}

impl Drop for OpencodeDriver {
    fn drop(&mut self) {
        self.host.cancel.cancel();
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
            outlives: self.host.options.attach.is_some(),
        }
    }

    async fn probe(&self, _: TenantId, _: &Map<String, Value>) -> Result<ProbeReport, DriverError> {
        if let Some(version) = self.host.asleep() {
            return Ok(ProbeReport { version, details: json!({ "mode": "asleep" }) });
        }
        let server = self.host.server().await?;
        let health = server.client.health(self.host.options.health_timeout).await;
        if let Err(error) = health {
            self.host.suspect();
            return Err(error.into());
        }
        let mode = if self.host.options.attach.is_some() { "attached" } else { "supervised" };
        let details = json!({ "mode": mode, "starts": server.generation });
        Ok(ProbeReport { version: server.version.clone(), details })
    }

    async fn start(&self, assignment: Assignment) -> Result<Running, DriverError> {
        tokio::select! {
            started = start::start(&self.host, assignment) => started,
            () = self.host.clock.sleep(START_TIME) => Err(DriverError::new(
                crate::domain::session::attempt::ErrorType::DispatchFailed,
                format!("OpenCode did not take the run within {} s", START_TIME.as_secs()),
            )),
        }
    }

    async fn reap(&self) -> usize {
        if self.host.options.attach.is_some() {
            return 0;
        }
        let marker = Marker::any(&self.host.options.marker, &self.host.options.state_dir);
        spawn_blocking(move || guard::sweep(&marker)).await.unwrap_or(0)
    }

    async fn shutdown(&self) {
        self.host.cancel.cancel();
        tokio::select! {
            () = self.host.finished() => {}
            () = self.host.clock.sleep(Duration::from_secs(10)) => {}
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
