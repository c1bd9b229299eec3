//! What a simulated agent does: read from a prompt, from options, or made up from a seed.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::agent::AgentKind;
use crate::domain::canonical::sha256_hex;
use crate::domain::session::Phase;
use crate::domain::session::attempt::ErrorType;

/// Most steps of one script.
const MOST_STEPS: usize = 1000;
/// Language of the fenced block of a prompt that holds a script.
const FENCE: &str = "```simulated";

/// One thing that the agent does; in JSON an object with this one key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Step {
    /// Words for people.
    Say(String),
    /// Words to itself.
    Think(String),
    /// A call of a tool.
    Tool(ToolCall),
    /// A pause in milliseconds.
    WaitMs(u64),
    /// What it says it is doing.
    Phase(Phase),
    /// A permission that it needs.
    Ask(Permission),
    /// A question to a person.
    Question(String),
    /// Its list of things to do.
    Todo(Vec<Value>),
    /// Tokens and cost of one call.
    Usage(Tokens),
    /// The provider does not answer for so many milliseconds.
    ProviderRetryMs(u64),
    /// The event stream is down for so many milliseconds.
    StreamLostMs(u64),
    /// The run fails here. Taken up again, or told the same script by a retry, the conversation goes
    /// on behind this step.
    Fail(Failure),
    /// Nothing happens any more, until it is told to end.
    Hang(bool),
    /// Waits until the gate of this name is opened.
    Gate(String),
    /// Ends the turn early: `done`, `cut` or `rejected`.
    End(crate::application::ports::driver::TurnEnd),
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolCall {
    pub tool: String,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub input: Value,
    #[serde(default)]
    pub output: String,
    /// A file that is really written.
    #[serde(default)]
    pub write: Option<FileToWrite>,
}

/// A file below the folder that the agent works in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileToWrite {
    pub path: String,
    pub content: String,
}

/// A permission that is asked for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Permission {
    pub tool: String,
    #[serde(default)]
    pub patterns: Vec<String>,
    #[serde(default)]
    pub title: String,
}

/// Tokens and cost of one call.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tokens {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
    pub reasoning: u64,
    pub cost_usd: Option<f64>,
}

/// How a run fails.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Failure {
    #[serde(rename = "type")]
    pub error_type: ErrorType,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub retryable: Option<bool>,
    /// The provider is overloaded and wants to be left alone for so long.
    #[serde(default)]
    pub overloaded_seconds: Option<u64>,
}

/// What is to be done for a prompt: its own script, else that of the options, else a plan.
pub(super) fn steps_for(prompt: &str, options: &[&Value], seed: u64) -> Result<Vec<Step>, String> {
    if let Some(block) = fenced(prompt) {
        let script: Value = serde_json::from_str(block)
            .map_err(|error| format!("the script in the prompt is no JSON: {error}"))?;
        return read(&script);
    }
    match options.iter().find(|script| !script.is_null()) {
        Some(script) => read(script),
        None => read(&plan(prompt, seed)),
    }
}

/// The script in the first block that is marked as one.
fn fenced(prompt: &str) -> Option<&str> {
    let (_, rest) = prompt.split_once(FENCE)?;
    let (_, body) = rest.split_once('\n')?;
    Some(body.split_once("```").map_or(body, |(block, _)| block))
}

fn read(script: &Value) -> Result<Vec<Step>, String> {
    let script = script.get("steps").unwrap_or(script);
    let Some(steps) = script.as_array() else {
        return Err("a script is a list of steps".to_owned());
    };
    if steps.len() > MOST_STEPS {
        return Err(format!("a script has at most {MOST_STEPS} steps"));
    }
    let read = steps.iter().enumerate().map(|(index, step)| {
        Step::deserialize(step)
            .map_err(|error| format!("step {} of the script: {error}", index + 1))
    });
    read.collect()
}

/// A short plausible piece of work; the same seed and prompt give the same one.
fn plan(prompt: &str, seed: u64) -> Value {
    let digest = sha256_hex(format!("{seed}\n{prompt}").as_bytes());
    let pick = |at: usize, most: u64| {
        u64::from_str_radix(&digest[at * 4..at * 4 + 4], 16).unwrap_or(0) % most
    };
    let files = ["src/main.rs", "src/lib.rs", "README.md", "tests/basic.rs"];
    let file = files[usize::try_from(pick(0, 4)).unwrap_or(0)];
    let goal: String = prompt.lines().next().unwrap_or_default().chars().take(80).collect();
    let todo = |done: usize| {
        let items = ["Look at the code", "Make the change", "Check the result"];
        let state = |index: usize| if index < done { "completed" } else { "pending" };
        let items = items.iter().enumerate();
        items
            .map(|(index, text)| json!({"content": text, "status": state(index)}))
            .collect::<Vec<_>>()
    };
    let content = format!("# Simulated work\n\nGoal: {goal}\n\nPlan {}\n", &digest[..8]);
    let output = format!("{} lines", 20 + pick(1, 300));
    json!([
        {"phase": "planning"},
        {"think": format!("What is asked for: {goal}")},
        {"todo": todo(0)},
        {"usage": {"input": 900 + pick(2, 2000), "output": 120 + pick(3, 200)}},
        {"phase": "executing"},
        {"tool": {"tool": "read", "title": file, "input": {"path": file}, "output": output}},
        {"todo": todo(1)},
        {"tool": {"tool": "edit", "title": "SIMULATED.md", "input": {"path": "SIMULATED.md"},
            "output": "written", "write": {"path": "SIMULATED.md", "content": content}}},
        {"usage": {"input": 1500 + pick(4, 3000), "output": 200 + pick(5, 600)}},
        {"todo": todo(2)},
        {"phase": "reviewing"},
        {"tool": {"tool": "bash", "title": "run the tests", "input": {"command": "make test"},
            "output": format!("{} passed (simulated)", 3 + pick(6, 40))}},
        {"usage": {"input": 1800 + pick(7, 3000), "output": 90 + pick(8, 200)}},
        {"todo": todo(3)},
        {"say": format!("Done (simulated by the {} driver): {goal}", AgentKind::Simulated)},
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_of_the_prompt_comes_first() {
        let prompt = "Do this:\n```simulated\n[{\"say\": \"hi\"}, {\"wait_ms\": 5}]\n```\nthanks";
        let other = json!([{"say": "other"}]);
        let steps = steps_for(prompt, &[&other], 0).expect("valid");
        assert_eq!(steps, [Step::Say("hi".to_owned()), Step::WaitMs(5)]);
        let steps = steps_for("plain", &[&Value::Null, &other], 0).expect("valid");
        assert_eq!(steps, [Step::Say("other".to_owned())]);
    }

    #[test]
    fn a_wrong_step_is_named() {
        let script = json!([{"say": "hi"}, {"sing": "la"}]);
        let error = steps_for("", &[&script], 0).expect_err("unknown step");
        assert!(error.starts_with("step 2 of the script"), "{error}");
        assert!(steps_for("```simulated\nnope\n```", &[], 0).is_err());
    }

    #[test]
    fn a_plan_depends_on_seed_and_prompt_alone() {
        let plan = |prompt: &str, seed| steps_for(prompt, &[], seed).expect("valid");
        assert_eq!(plan("Fix it", 1), plan("Fix it", 1));
        assert_ne!(plan("Fix it", 1), plan("Fix it", 2));
    }
}
