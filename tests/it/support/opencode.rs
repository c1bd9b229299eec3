//! The real OpenCode server for tests: options, a driver with its surroundings, and a reader of
//! what a run tells.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::ports::clock::{Clock, Ids};
use orchestrator::application::ports::driver::{
    AgentDriver, AgentEvent, Ask, Assignment, Brief, Continuation, DriverError, Prompt, RunControl,
    Running, TranscriptItem, TurnEnd,
};
use orchestrator::domain::agent::draft::AgentDraft;
use orchestrator::domain::agent::{Agent, AgentKind};
use orchestrator::domain::ids::{AgentId, SessionId, TenantId};
use orchestrator::domain::session::spec::{
    Calls, PermissionDecision, PermissionPolicy, PermissionRule,
};
use orchestrator::domain::time::Timestamp;
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::drivers::guard;
use orchestrator::infrastructure::drivers::opencode::{OpencodeDriver, Options};
use orchestrator::infrastructure::ids::SystemIds;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::scripted_llm::ScriptedLlm;

/// Longest wait of a test for one thing.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The installed server.
pub(crate) fn opencode_program() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = root.join(".tools/opencode/node_modules/.bin/opencode");
    assert!(program.exists(), "run tests/tools/install-opencode.sh first");
    program
}

/// Options for the real server below `state_dir`, with the scripted model as its only one, behind
/// the real guard.
pub(crate) fn opencode_options(state_dir: &Path, llm: &ScriptedLlm) -> Options {
    let mut options = bare_options(state_dir);
    options.env = vec![("LAB_KEY".to_owned(), "canary-of-the-provider".to_owned())];
    options.user_config = Some(json!({
        "enabled_providers": ["lab"],
        "model": "lab/scripted",
        "small_model": "lab/scripted",
        "lsp": false,
        "formatter": false,
        "provider": { "lab": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Lab",
            "options": { "baseURL": format!("{}/v1", llm.url()), "apiKey": "{env:LAB_KEY}" },
            "models": { "scripted": {
                "name": "Scripted",
                "tool_call": true,
                "limit": { "context": 200_000, "output": 8192 },
                "cost": { "input": 1, "output": 2 },
            } },
        } },
    }));
    options
}

/// Options for the real server without any model.
pub(crate) fn bare_options(state_dir: &Path) -> Options {
    let mut options = Options::new(state_dir);
    options.command = vec![opencode_program().display().to_string()];
    let guard = env!("CARGO_BIN_EXE_orchestrator").to_owned();
    options.guard_command = Some(vec![guard, "guard".to_owned()]);
    // A name of its own per test, so that processes of others are never counted.
    options.marker = format!("ORCHESTRATOR_TEST_{}", SystemIds.uuid().simple());
    options.probe_every = Duration::from_millis(500);
    options.ready_timeout = Duration::from_mins(1);
    options
}

/// A driver and what it needs.
pub(crate) struct Bench {
    pub(crate) driver: OpencodeDriver,
    pub(crate) marker: String,
}

impl Bench {
    pub(crate) fn new(options: Options) -> Self {
        let (tasks, marker) = (TaskTracker::new(), options.marker.clone());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let driver = OpencodeDriver::new(options, clock, tasks, &CancellationToken::new());
        Self { driver, marker }
    }

    /// Processes of this driver: the guard, the server, its tools.
    pub(crate) fn processes(&self) -> Vec<i32> {
        processes(&self.marker)
    }

    /// Starts a run and shakes hands.
    pub(crate) async fn run(&self, assignment: Assignment) -> Run {
        Run::begin(self.driver.start(assignment).await.expect("the run starts")).await
    }
}

/// Processes that carry the marker of a test.
pub(crate) fn processes(marker: &str) -> Vec<i32> {
    guard::marked(&format!("{marker}=*"))
}

/// The server among these processes.
pub(crate) fn server_among(pids: &[i32]) -> Option<i32> {
    pids.iter().copied().find(|pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        words.contains(" serve ") && !words.contains(" guard ")
    })
}

/// A run as a test follows it.
pub(crate) struct Run {
    pub(crate) control: Box<dyn RunControl>,
    pub(crate) handle: Value,
    events: mpsc::Receiver<AgentEvent>,
    pub(crate) told: Vec<AgentEvent>,
}

impl Run {
    /// Shakes hands with a run.
    pub(crate) async fn begin(running: Running) -> Self {
        let Running { control, mut events } = running;
        match events.recv().await {
            Some(AgentEvent::Handshake { handle, stored }) => {
                stored.send(()).expect("the run waits");
                Self { control, handle, events, told: Vec::new() }
            }
            other => panic!("no handshake but {other:?}"),
        }
    }

    pub(crate) fn session(&self) -> &str {
        self.handle["session"].as_str().expect("a session id")
    }

    /// The next event; it is kept in `told` too. `None` when the run is over.
    pub(crate) async fn next(&mut self) -> Option<&AgentEvent> {
        loop {
            let waited = tokio::time::timeout(PATIENCE, self.events.recv()).await;
            let event =
                waited.unwrap_or_else(|_| panic!("nothing happens after {:#?}", self.told))?;
            if let AgentEvent::Handshake { handle, stored } = event {
                stored.send(()).expect("the run waits");
                self.handle = handle;
                continue;
            }
            self.told.push(answered(event));
            return self.told.last();
        }
    }

    /// Reads on until `wanted` finds something.
    pub(crate) async fn until<T>(&mut self, wanted: impl Fn(&AgentEvent) -> Option<T>) -> T {
        loop {
            match self.next().await {
                Some(AgentEvent::Failed(error)) => {
                    let error = error.clone();
                    panic!("failed: {error}\n{:#?}", self.told)
                }
                Some(event) => {
                    if let Some(found) = wanted(event) {
                        return found;
                    }
                }
                None => panic!("the run is over after {:#?}", self.told),
            }
        }
    }

    /// Reads on until the turn of a prompt is over.
    pub(crate) async fn turn(&mut self) -> (TurnEnd, String, Option<String>) {
        self.until(|event| {
            let AgentEvent::TurnEnded { prompt: _, message_ref, text, end } = event else {
                return None;
            };
            Some((*end, text.clone(), message_ref.clone()))
        })
        .await
    }

    pub(crate) async fn ask(&mut self) -> Ask {
        self.until(|event| {
            let AgentEvent::Ask(ask) = event else { return None };
            Some(ask.clone())
        })
        .await
    }

    /// Reads on until the run failed.
    pub(crate) async fn failure(&mut self) -> DriverError {
        loop {
            match self.next().await {
                Some(AgentEvent::Failed(error)) => return error.clone(),
                Some(_) => {}
                None => panic!("over without a failure: {:#?}", self.told),
            }
        }
    }

    /// Transcript items of a kind, as last told.
    pub(crate) fn transcript(&self, kind: &str) -> Vec<TranscriptItem> {
        let mut items: Vec<TranscriptItem> = Vec::new();
        for event in &self.told {
            if let AgentEvent::Transcript(item) = event
                && item.kind == kind
            {
                match items.iter_mut().find(|known| known.id == item.id) {
                    Some(known) => *known = item.clone(),
                    None => items.push(item.clone()),
                }
            }
        }
        items
    }

    pub(crate) fn count(&self, wanted: impl Fn(&AgentEvent) -> bool) -> usize {
        self.told.iter().filter(|event| wanted(event)).count()
    }
}

/// The event without whoever waits for it: the work is saved as soon as that is asked for.
fn answered(event: AgentEvent) -> AgentEvent {
    let AgentEvent::Moving { reason, saved } = event else { return event };
    saved.send(()).expect("the run waits");
    let (saved, _) = tokio::sync::oneshot::channel();
    AgentEvent::Moving { reason, saved }
}

/// An assignment in which everything is allowed.
pub(crate) fn assignment(workdir: &Path, text: String) -> Assignment {
    Assignment {
        brief: Brief::default(),
        doorway: None,
        tenant: TenantId::BOOTSTRAP,
        session: SessionId::new(SystemIds.uuid()),
        code: "S-1".to_owned(),
        title: "A test".to_owned(),
        attempt: 1,
        fencing_token: 1,
        agent: agent(),
        profile: Some("industrial-coder".to_owned()),
        profile_options: Value::Null,
        model: None,
        workdir: workdir.to_owned(),
        is_private: true,
        policy: policy(PermissionDecision::Allow, &[]),
        prompt: prompt(text),
        continuation: Continuation::Fresh,
    }
}

fn agent() -> Arc<Agent> {
    let draft = AgentDraft::new("AGENT-OPENCODE", AgentKind::Opencode, ["testing"]);
    let id = AgentId::new(SystemIds.uuid());
    Arc::new(draft.accept(id, TenantId::BOOTSTRAP, Timestamp::EPOCH).expect("valid"))
}

/// A policy from its default and rules of tool and decision.
pub(crate) fn policy(
    default: PermissionDecision,
    rules: &[(&str, PermissionDecision)],
) -> PermissionPolicy {
    let rules = rules
        .iter()
        .map(|(tool, decision)| PermissionRule {
            tool: (*tool).to_owned(),
            calls: Calls::All,
            decision: *decision,
        })
        .collect();
    PermissionPolicy { default, rules }
}

/// A prompt with a new identity.
pub(crate) fn prompt(text: String) -> Prompt {
    Prompt { id: SystemIds.uuid(), text }
}

/// A prompt with a known identity.
pub(crate) fn same_prompt(id: Uuid, text: String) -> Prompt {
    Prompt { id, text }
}

/// A git repository with a `calc.py` that subtracts where it should add.
pub(crate) fn repository(parent: &Path, name: &str) -> PathBuf {
    let path = parent.join(name);
    std::fs::create_dir_all(&path).expect("a folder");
    std::fs::write(path.join("calc.py"), "def add(a, b):\n    return a - b\n").expect("written");
    let git = |words: &[&str]| {
        let status = Command::new("git")
            .args(["-c", "user.name=Test", "-c", "user.email=test@localhost"])
            .args(words)
            .current_dir(&path)
            .status();
        assert!(status.expect("git runs").success(), "git {words:?}");
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", name]);
    path
}

/// Waits until something is true.
pub(crate) async fn eventually(what: &str, is_true: impl AsyncFn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_true().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain: {what}");
}
