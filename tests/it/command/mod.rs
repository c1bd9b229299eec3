//! Commands as agents, with real processes behind the real guard: shell scripts that do what programs do,
//! and what they should not.

mod conversations;
mod detect;
mod ends;
mod floods;
mod probes;
mod turns;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::ports::clock::{Clock, Ids};
use orchestrator::application::ports::driver::{AgentDriver, AgentEvent, Assignment};
use orchestrator::domain::agent::draft::AgentDraft;
use orchestrator::domain::agent::{Agent, AgentKind};
use orchestrator::domain::ids::{AgentId, TenantId};
use orchestrator::domain::time::Timestamp;
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::drivers::command::{CommandDriver, Options};
use orchestrator::infrastructure::drivers::guard;
use orchestrator::infrastructure::ids::SystemIds;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::opencode::{Run, assignment};

/// A driver, a folder to work in, and one for programs.
struct Bench {
    root: TempDir,
    options: Options,
    driver: CommandDriver,
    agent: AgentId,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_, _| {})
    }

    /// One whose options are changed, knowing its folder.
    fn with(change: impl FnOnce(&mut Options, &Path)) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let place = root.path().canonicalize().expect("there");
        for name in ["bin", "work", "state"] {
            std::fs::create_dir(place.join(name)).expect("made");
        }
        let guard = vec![env!("CARGO_BIN_EXE_orchestrator").to_owned(), "guard".to_owned()];
        let mut options = Options::new(place.join("state"), guard);
        // A name of its own per test, so that processes of others are never counted.
        options.marker = format!("ORCHESTRATOR_TEST_{}", SystemIds.uuid().simple());
        options.grace = Duration::from_secs(20);
        change(&mut options, &place);
        let driver = driver(&options);
        Self { root, options, driver, agent: AgentId::new(SystemIds.uuid()) }
    }

    /// The same after a restart of the server.
    fn again(self) -> Self {
        let driver = driver(&self.options);
        Self { driver, ..self }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().expect("there").join(name)
    }

    fn work(&self) -> PathBuf {
        self.place("work")
    }

    /// A shell script among the programs.
    fn script(&self, name: &str, text: &str) -> String {
        let path = self.place("bin").join(name);
        // Under another name first: a script that is written to cannot be run.
        let fresh = path.with_extension("new");
        std::fs::write(&fresh, format!("#!/bin/sh\n{text}\n")).expect("written");
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755)).expect("allowed");
        std::fs::rename(&fresh, &path).expect("in its place");
        path.display().to_string()
    }

    /// `PATH` with the scripts before everything else.
    fn path(&self) -> String {
        format!("{}:/usr/bin:/bin", self.place("bin").display())
    }

    fn agent(&self, config: &Value) -> Arc<Agent> {
        let mut draft = AgentDraft::new("AGENT-COMMAND", AgentKind::Command, ["testing"]);
        draft.config = config.as_object().cloned().expect("an object");
        let accepted = draft.accept(self.agent, TenantId::BOOTSTRAP, Timestamp::EPOCH);
        Arc::new(accepted.expect("valid"))
    }

    fn assignment(&self, config: &Value, text: &str) -> Assignment {
        let agent = self.agent(config);
        let tenant = TenantId::BOOTSTRAP;
        Assignment { tenant, agent, ..assignment(&self.work(), text.to_owned()) }
    }

    /// Starts a run and shakes hands.
    async fn start(&self, assignment: Assignment) -> Run {
        Run::begin(self.driver.start(assignment).await.expect("the run starts")).await
    }

    /// A run of a script with this prompt.
    async fn run(&self, script: &str, prompt: &str) -> Run {
        let program = self.script("agent", script);
        self.start(self.assignment(&json!({ "command": [program] }), prompt)).await
    }

    /// Processes of this driver: guards, programs, and what these started.
    fn processes(&self) -> Vec<i32> {
        guard::marked(&format!("{}=*", self.options.marker))
    }

    /// Lines of a file in the folder to work in.
    fn lines(&self, name: &str) -> usize {
        std::fs::read_to_string(self.work().join(name)).unwrap_or_default().lines().count()
    }
}

fn driver(options: &Options) -> CommandDriver {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (ids, tasks) = (Arc::new(SystemIds), TaskTracker::new());
    CommandDriver::new(options.clone(), clock, ids, tasks, &CancellationToken::new())
}

/// The words that were told as they came.
fn grown(run: &Run) -> String {
    let texts = run.told.iter().filter_map(|event| {
        let AgentEvent::Delta { part: _, text } = event else { return None };
        Some(text.as_str())
    });
    texts.collect()
}

/// Lines for the log, with their levels.
fn logs(run: &Run) -> Vec<(&'static str, String)> {
    let logs = run.told.iter().filter_map(|event| {
        let AgentEvent::Log { level, message } = event else { return None };
        Some((*level, message.clone()))
    });
    logs.collect()
}
