//! ACP agents under test: the real `opencode acp` with the scripted model, and one that misbehaves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use orchestrator::application::ports::clock::{Clock, Ids};
use orchestrator::application::ports::driver::{AgentDriver, Assignment, DriverError};
use orchestrator::domain::agent::draft::AgentDraft;
use orchestrator::domain::agent::{Agent, AgentKind};
use orchestrator::domain::ids::{AgentId, TenantId};
use orchestrator::domain::time::Timestamp;
use orchestrator::infrastructure::clock::SystemClock;
use orchestrator::infrastructure::drivers::acp::{AcpDriver, Options};
use orchestrator::infrastructure::ids::SystemIds;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::opencode::{Run, assignment, opencode_program, processes};
use super::scripted_llm::ScriptedLlm;

/// A driver and what it needs.
pub(crate) struct AcpBench {
    pub(crate) driver: AcpDriver,
    pub(crate) marker: String,
}

/// Options for agents below this folder, behind the real guard.
pub(crate) fn acp_options(state_dir: &Path) -> Options {
    let mut options = Options::new(state_dir);
    let guard = env!("CARGO_BIN_EXE_orchestrator").to_owned();
    options.guard_command = Some(vec![guard, "guard".to_owned()]);
    // A name of its own per test, so that processes of others are never counted.
    options.marker = format!("ORCHESTRATOR_TEST_{}", SystemIds.uuid().simple());
    options.env = vec![("LAB_KEY".to_owned(), "canary-of-the-provider".to_owned())];
    options
}

impl AcpBench {
    pub(crate) fn new(options: Options) -> Self {
        let (tasks, marker) = (TaskTracker::new(), options.marker.clone());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let driver = AcpDriver::new(options, clock, tasks, &CancellationToken::new());
        Self { driver, marker }
    }

    /// Guards, agents and their tools.
    pub(crate) fn processes(&self) -> Vec<i32> {
        processes(&self.marker)
    }

    /// Starts a run and shakes hands.
    pub(crate) async fn run(&self, assignment: Assignment) -> Run {
        Run::begin(self.driver.start(assignment).await.expect("the run starts")).await
    }

    /// Why a run does not start.
    pub(crate) async fn refusal(&self, assignment: Assignment) -> DriverError {
        self.driver.start(assignment).await.err().expect("it cannot start")
    }
}

/// The settings of an agent that is the real OpenCode with the scripted model; it asks for everything
/// but reading.
pub(crate) fn opencode_config(llm: &ScriptedLlm) -> Value {
    let model = |name: &str| {
        json!({
            "name": name, "tool_call": true, "limit": { "context": 200_000, "output": 8192 },
            "cost": { "input": 1, "output": 2 },
        })
    };
    let config = json!({
        "enabled_providers": ["lab"],
        "model": "lab/scripted",
        "small_model": "lab/scripted",
        "autoupdate": false,
        "share": "disabled",
        "snapshot": false,
        "lsp": false,
        "formatter": false,
        "permission": { "*": "ask", "read": "allow" },
        "provider": { "lab": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Lab",
            "options": { "baseURL": format!("{}/v1", llm.url()), "apiKey": "{env:LAB_KEY}" },
            "models": { "scripted": model("Scripted"), "other": model("Other") },
        } },
    });
    let mut env = json!({ "OPENCODE_CONFIG_CONTENT": config.to_string(), "LAB_KEY": "$LAB_KEY" });
    for name in ["AUTOUPDATE", "MODELS_FETCH", "LSP_DOWNLOAD", "SHARE", "PROJECT_CONFIG"] {
        env[format!("OPENCODE_DISABLE_{name}")] = json!("1");
    }
    json!({ "command": [opencode_program(), "acp"], "env": env })
}

/// The settings of an agent that begins like this, and where it writes what it hears.
pub(crate) fn odd_config(root: &Path, begins: &str) -> (Value, PathBuf) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/odd-acp.py");
    let log = root.join("odd.log");
    let config = json!({
        "command": ["python3", script, begins],
        "env": { "ODD_LOG": log, "ODD_KEY": "$LAB_KEY" },
    });
    (config, log)
}

/// Its members.
pub(crate) fn members(config: &Value) -> Map<String, Value> {
    config.as_object().cloned().expect("an object")
}

/// An assignment for an agent with these settings, in which everything is allowed.
pub(crate) fn acp_assignment(config: &Value, workdir: &Path, text: &str) -> Assignment {
    Assignment {
        tenant: TenantId::BOOTSTRAP,
        agent: agent(config, ""),
        profile: None,
        ..assignment(workdir, text.to_owned())
    }
}

/// An agent with these settings and these words before its work.
pub(crate) fn agent(config: &Value, template: &str) -> Arc<Agent> {
    let mut draft = AgentDraft::new("AGENT-ACP", AgentKind::Acp, ["testing"]);
    draft.config = members(config);
    draft.system_prompt_template = Some(template.to_owned());
    // The same in every life, as it would be.
    let id = AgentId::new(uuid::Uuid::from_u128(7));
    Arc::new(draft.accept(id, TenantId::BOOTSTRAP, Timestamp::EPOCH).expect("valid"))
}

/// What the misbehaving agent was told.
pub(crate) fn heard(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// How often it was started.
pub(crate) fn starts(log: &Path) -> usize {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().filter(|line| line.starts_with("started")).count()
}

/// The texts of the prompts that it heard.
pub(crate) fn prompts(log: &Path) -> Vec<Vec<String>> {
    let asked = heard(log).into_iter().filter(|line| line["method"] == json!("session/prompt"));
    let texts = |line: Value| {
        let parts = line["params"]["prompt"].as_array().cloned().unwrap_or_default();
        parts.iter().filter_map(|part| Some(part["text"].as_str()?.to_owned())).collect()
    };
    asked.map(texts).collect()
}

/// Parameters of the calls of a method that it heard.
pub(crate) fn calls(log: &Path, method: &str) -> Vec<Value> {
    let named = heard(log).into_iter().filter(|line| line["method"] == json!(method));
    named.map(|line| line["params"].clone()).collect()
}

/// Longer than an agent has to stop.
pub(crate) const STUBBORN: Duration = Duration::from_secs(9);
