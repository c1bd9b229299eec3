//! Any program as an agent: it is given the prompt, what it prints is told, and its exit code says how it
//! went.
//!
//! The map: `plan` is what the settings of an agent mean, `words` the arguments of one turn, `process` one
//! process from its start to its end, `lines`, `format` and `teller` what it prints, `conversation` what is
//! remembered between two processes, `run` how all of these make a run.
//!
//! What can be promised of a program that nothing is known of: it never runs twice at once for one prompt,
//! since nothing of it outlives this server; a prompt whose turn ended well is not given to it again; one
//! that was broken off is, to a new process, which finds what the first one left in the folder. Presets that
//! know how to resume go on in the conversation that they had.
//!
//! Invariant: no code in this folder knows an agent; what is known of one is in its preset.

mod conversation;
mod format;
mod lines;
mod plan;
mod process;
mod programs;
mod run;
mod teller;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::conversation::{blocking, make_private};
use self::lines::Lines;
use self::plan::{Plan, wrong};
use self::process::Launch;
use self::programs::{Identity, Versions, version_in};
use super::environment::HandedTo;
use super::guard;
use super::marker::Marker;
use super::marker::is_secret;
use super::place::remove_home;
use crate::application::ports::clock::{Clock, Ids};
use crate::application::ports::driver::{
    Abilities, AgentDriver, Assignment, DriverError, ProbeReport, Running,
};
use crate::domain::agent::AgentKind;
use crate::domain::ids::{AgentId, TenantId};
use crate::domain::redact::Redactor;
use crate::domain::session::attempt::ErrorType;
use crate::infrastructure::sandbox::Sandbox;

/// Longest time that a start may take.
const START_TIME: Duration = Duration::from_secs(55);
/// Longest time that a shutdown waits for processes to end.
const SHUTDOWN_TIME: Duration = Duration::from_secs(10);
/// Lines that are read of a program that is asked its version, and bytes of each.
const VERSION_LINES: usize = 20;
const VERSION_BYTES: usize = 1_000;

/// Settings of the driver.
#[derive(Clone)]
pub struct Options {
    /// Our own executable and the word `guard`, with its limits.
    pub guard_command: Vec<String>,
    /// Where homes of agents and notes of conversations are kept; ours alone.
    pub state_dir: PathBuf,
    /// Name of the variable that every process carries.
    pub marker: String,
    /// Variables of ours that agents may be given.
    pub env: Vec<(String, String)>,
    /// Whose agents may be given any.
    pub env_tenants: HandedTo,
    /// What processes may reach.
    pub sandbox: Sandbox,
    /// How long a process that was asked to end is given for it.
    pub grace: Duration,
    /// How long a program may take to say its version.
    pub version_time: Duration,
    /// Takes secrets out of what is told of failures.
    pub redactor: Redactor,
}

impl Options {
    /// The defaults below this folder, behind this guard.
    #[must_use]
    pub fn new(state_dir: impl Into<PathBuf>, guard_command: Vec<String>) -> Self {
        Self {
            guard_command,
            state_dir: state_dir.into(),
            marker: "ORCHESTRATOR_RUN".to_owned(),
            env: Vec::new(),
            env_tenants: HandedTo::default(),
            sandbox: Sandbox::default(),
            grace: Duration::from_secs(4),
            version_time: Duration::from_secs(20),
            redactor: Redactor::default(),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { guard_command, state_dir, marker, env, env_tenants, sandbox, .. } = self;
        let shown = |(name, value): &(String, String)| {
            (name.clone(), if is_secret(name) { "***".to_owned() } else { value.clone() })
        };
        formatter
            .debug_struct("Options")
            .field("guard_command", guard_command)
            .field("state_dir", state_dir)
            .field("marker", marker)
            .field("env", &env.iter().map(shown).collect::<Vec<_>>())
            .field("env_tenants", env_tenants)
            .field("sandbox", sandbox)
            .field("grace", &self.grace)
            .field("version_time", &self.version_time)
            .field("redactor", &self.redactor)
            .finish()
    }
}

/// What all runs share.
struct Host {
    options: Options,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    tasks: TaskTracker,
    /// Runs, and programs that are asked their version.
    busy: TaskTracker,
    cancel: CancellationToken,
    versions: Versions,
}

/// A program that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where it lies.
    pub program: PathBuf,
    /// What it says, or why it does not work; `None` when nobody knows how to ask it.
    pub version: Result<Option<String>, DriverError>,
}

/// Drives programs. Dropping it ends them.
pub struct CommandDriver {
    host: Arc<Host>,
}

impl CommandDriver {
    /// A driver; nothing is started before the first probe or run.
    #[must_use]
    pub fn new(
        options: Options,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        tasks: TaskTracker,
        cancel: &CancellationToken,
    ) -> Self {
        let (busy, cancel) = (TaskTracker::new(), cancel.child_token());
        let versions = Versions::default();
        Self { host: Arc::new(Host { options, clock, ids, tasks, busy, cancel, versions }) }
    }

    /// The program of agents of this tenant and kind with these settings, and its version.
    ///
    /// # Errors
    /// Settings that cannot be followed, and a program that is not there.
    pub async fn find(
        &self,
        tenant: TenantId,
        kind: AgentKind,
        config: &Map<String, Value>,
    ) -> Result<Found, DriverError> {
        // One tenant's program must not find at home what another's left there.
        let home = self.host.home(&format!("probe-{tenant}"));
        let plan = self.host.plan((tenant, kind), config, &home).await?;
        let version = self.host.version(&plan, home).await;
        Ok(Found { program: plan.program, version })
    }
}

impl Drop for CommandDriver {
    fn drop(&mut self) {
        self.host.cancel.cancel();
    }
}

#[async_trait]
impl AgentDriver for CommandDriver {
    fn kind(&self) -> AgentKind {
        AgentKind::Command
    }

    fn abilities(&self) -> Abilities {
        // What holds for any program; some presets can more, as their probe says.
        Abilities { usage: true, ..Abilities::default() }
    }

    fn refusal(&self, tenant: TenantId, config: &Map<String, Value>) -> Option<String> {
        self.host.options.env_tenants.refusal(tenant, config)
    }

    async fn probe(
        &self,
        tenant: TenantId,
        config: &Map<String, Value>,
    ) -> Result<ProbeReport, DriverError> {
        let Found { program, version } = self.find(tenant, AgentKind::Command, config).await?;
        let preset = config.get("preset").and_then(Value::as_str);
        let preset = preset.and_then(|name| super::presets::find(AgentKind::Command, name));
        let abilities = preset.map_or(&[][..], |preset| &preset.abilities);
        let details = json!({ "program": program, "abilities": abilities });
        let version = version?.unwrap_or_else(|| "unknown".to_owned());
        Ok(ProbeReport { version, details })
    }

    async fn start(&self, assignment: Assignment) -> Result<Running, DriverError> {
        if self.host.cancel.is_cancelled() {
            let message = "the driver of commands is shutting down";
            return Err(DriverError::new(ErrorType::AgentLost, message));
        }
        tokio::select! {
            started = run::start(&self.host, assignment) => started,
            () = self.host.clock.sleep(START_TIME) => Err(DriverError::new(
                ErrorType::DispatchFailed,
                format!("the command could not be prepared within {} s", START_TIME.as_secs()),
            )),
        }
    }

    async fn reap(&self) -> usize {
        let options = &self.host.options;
        let marker = Marker::any(&options.marker, &options.state_dir);
        spawn_blocking(move || guard::sweep(&marker)).await.unwrap_or(0)
    }

    async fn forget(&self, _: TenantId, agent: AgentId) -> Result<(), DriverError> {
        remove_home(self.host.home(&agent.to_string())).await
    }

    async fn shutdown(&self) {
        self.host.cancel.cancel();
        self.host.busy.close();
        tokio::select! {
            () = self.host.busy.wait() => {}
            () = self.host.clock.sleep(SHUTDOWN_TIME) => {}
        }
    }
}

impl Host {
    /// The plan for an agent of this tenant and kind with this home.
    async fn plan(
        self: &Arc<Self>,
        who: (TenantId, AgentKind),
        config: &Map<String, Value>,
        home: &Path,
    ) -> Result<Plan, DriverError> {
        let (host, config, home) = (Arc::clone(self), config.clone(), home.to_owned());
        let made = blocking(move || {
            make_private(&home)?;
            Ok(Plan::of(&host.options, who, &config, &home))
        });
        made.await?.map_err(|error| self.clean(error))
    }

    fn home(&self, name: &str) -> PathBuf {
        self.options.state_dir.join("homes").join(name)
    }

    /// The same without secrets.
    fn clean(&self, mut error: DriverError) -> DriverError {
        self.options.redactor.clean(&mut error.message);
        error
    }

    /// What the program of a plan says it is. It is asked once as long as its file stays the same.
    async fn version(
        self: &Arc<Self>,
        plan: &Plan,
        home: PathBuf,
    ) -> Result<Option<String>, DriverError> {
        let arguments = plan.version_arguments();
        if arguments.is_empty() {
            return Ok(None);
        }
        let (path, asked_with) = (plan.program.clone(), plan.asked_with());
        let identity = blocking(move || Identity::of(&path, asked_with)).await?;
        let known = self.versions.known(&identity, self.clock.now());
        let answer = if let Some(answer) = known {
            answer
        } else {
            let answer = self.ask_version(plan, arguments, home).await?;
            self.versions.said(identity, self.clock.now(), answer.clone());
            answer
        };
        answer.map(Some).map_err(|message| self.clean(wrong(message)))
    }

    /// Starts a program to say its version; the inner error is one of the program.
    async fn ask_version(
        self: &Arc<Self>,
        plan: &Plan,
        arguments: &[String],
        home: PathBuf,
    ) -> Result<Result<String, String>, DriverError> {
        let program = plan.program.to_string_lossy().into_owned();
        let words = [program].into_iter().chain(arguments.iter().cloned()).collect();
        let variables = plan.variables.clone();
        let launch = Launch { words, fed: Vec::new(), variables, folder: home.clone(), home };
        let stop = self.cancel.child_token();
        // Whatever happens here, the process ends.
        let _ends = stop.clone().drop_guard();
        let started = process::start(self, launch, stop, &self.busy).await?;
        let (name, time) = (plan.name(), self.options.version_time);
        let said = async {
            let (printed, complaints) =
                tokio::join!(first_lines(started.out), first_lines(started.err));
            let status = started.ended.await.ok().and_then(|ended| ended.status.ok());
            if !status.is_some_and(|status| status.success()) {
                let code = status.and_then(|status| status.code()).unwrap_or(-1);
                let why = if complaints.is_empty() { printed } else { complaints };
                return Err(format!(
                    "{name} does not work: code {code}, {}",
                    why.replace('\n', " | ")
                ));
            }
            let version = version_in(&printed).or_else(|| version_in(&complaints));
            Ok(version.unwrap_or_else(|| "unknown".to_owned()))
        };
        Ok(tokio::select! {
            said = said => said,
            () = self.clock.sleep(time) => {
                Err(format!("{name} did not say its version within {} s", time.as_secs()))
            }
        })
    }
}

/// The first lines of a stream, which is read to its end.
async fn first_lines(stream: impl tokio::io::AsyncRead + Unpin) -> String {
    let mut lines = Lines::new(stream, VERSION_BYTES);
    let mut kept = Vec::new();
    while let Some(line) = lines.next().await {
        if kept.len() < VERSION_LINES {
            kept.push(line.text);
        }
    }
    kept.join("\n").trim().chars().take(VERSION_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_shown_without_secrets() {
        let mut options = Options::new("/state", vec!["guard".to_owned()]);
        options.env = vec![("LAB_KEY".to_owned(), "canary-1".to_owned())];
        options.redactor.learn(["canary-2-of-the-redactor"]);
        let shown = format!("{options:?}");
        assert!(shown.contains("LAB_KEY") && !shown.contains("canary"), "{shown}");
    }
}
