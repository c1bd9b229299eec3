//! How an agent is run, as its settings and its preset say.
//!
//! Invariant: a program sees nothing of our environment but what is named here, and of what the settings
//! hand out only what its preset or its agent names.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::Options;
use super::programs::{self, AskedWith};
use crate::application::ports::driver::DriverError;
use crate::domain::agent::AgentKind;
use crate::domain::canonical::canonical_hash;
use crate::domain::ids::TenantId;
use crate::domain::session::attempt::ErrorType;
use crate::infrastructure::drivers::environment::{Handout, Variables, own, reference};
use crate::infrastructure::drivers::marker::is_secret;
use crate::infrastructure::drivers::presets::{self, Output, Piece, Preset, Rule};

/// Variables of ours that a program sees beside those of every child.
const USUAL: [&str; 2] = ["LC_ALL", "TMPDIR"];
/// The format of a program of one's own.
const PLAIN: &str = "plain";

/// How an agent is run.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) preset: Option<&'static Preset>,
    /// Its program first, as it was written.
    pub(super) command: Vec<Piece>,
    /// Whether the command is that of the agent, not of its preset.
    pub(super) is_own: bool,
    /// Where the program lies.
    pub(super) program: PathBuf,
    pub(super) output: Output,
    pub(super) rules: &'static [Rule],
    pub(super) variables: Variables,
}

impl Plan {
    /// The plan for an agent of this tenant and kind with a home of its own. Looks for its program.
    ///
    /// # Errors
    /// Settings that cannot be followed, and a program that is not there.
    pub(super) fn of(
        options: &Options,
        (tenant, kind): (TenantId, AgentKind),
        config: &Map<String, Value>,
        home: &Path,
    ) -> Result<Self, DriverError> {
        let preset = preset_of(kind, config)?;
        let own = own_command(config);
        let is_own = own.is_some();
        let command = own.or_else(|| preset.map(|preset| preset.command.clone()));
        let command = command.unwrap_or_default();
        let output = match config.get("output").and_then(Value::as_str) {
            None => preset.and_then(|preset| preset.output).unwrap_or(Output::Lines),
            Some(word) => Output::parse(word).ok_or_else(|| {
                wrong(format!("`output` must be `lines` or `jsonl`, not `{}`", short(word)))
            })?,
        };
        let format = preset.and_then(|preset| preset.format.as_deref()).unwrap_or(PLAIN);
        let variables = variables(options, tenant, preset, config, home)?;
        let Some(Piece::Word(name)) = command.first() else {
            return Err(wrong("the agent has neither a command nor a preset".to_owned()));
        };
        let folders = variables.get("PATH").unwrap_or_default();
        let program = programs::find(name, folders).map_err(|why| match preset {
            Some(preset) if !is_own => wrong(format!("{why}; install it with: {}", preset.install)),
            _ => wrong(why),
        })?;
        let rules = presets::format(format);
        Ok(Self { preset, command, is_own, program, output, rules, variables })
    }

    /// What it is called in messages.
    pub(super) fn name(&self) -> String {
        self.program
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// What it is asked its version with; nothing when nobody knows how.
    pub(super) fn version_arguments(&self) -> &'static [String] {
        self.preset.filter(|_| !self.is_own).map_or(&[], |preset| &preset.version)
    }

    /// What its answer depends on beside its file.
    pub(super) fn asked_with(&self) -> AskedWith {
        let variables: Vec<_> = self.variables.iter().collect();
        let variables = canonical_hash(&json!(variables));
        AskedWith { arguments: self.version_arguments().to_vec(), variables }
    }
}

fn preset_of(
    kind: AgentKind,
    config: &Map<String, Value>,
) -> Result<Option<&'static Preset>, DriverError> {
    let Some(name) = config.get("preset").and_then(Value::as_str) else { return Ok(None) };
    let known = || {
        let of_kind = presets::all().iter().filter(|preset| preset.kind == kind);
        of_kind.map(|preset| preset.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let found = presets::find(kind, name);
    found.map(Some).ok_or_else(|| {
        wrong(format!(
            "there is no preset `{}` for {kind} agents; known are {}",
            short(name),
            known()
        ))
    })
}

fn own_command(config: &Map<String, Value>) -> Option<Vec<Piece>> {
    let words = config.get("command")?.as_array()?;
    Some(words.iter().filter_map(|word| Some(Piece::Word(word.as_str()?.to_owned()))).collect())
}

fn variables(
    options: &Options,
    tenant: TenantId,
    preset: Option<&Preset>,
    config: &Map<String, Value>,
    home: &Path,
) -> Result<Variables, DriverError> {
    let mut all = Variables::usual();
    all.inherit(&USUAL);
    all.set("NO_COLOR", "1");
    all.set("HOME", home.display().to_string());
    let to = &options.env_tenants;
    let handout = Handout { variables: &options.env, to, tenant, setting: "agents.command.env" };
    all.name(preset, config, &handout)?;
    // A secret should be a reference; where it is not, it is told to nobody all the same. Others than those who
    // share the server's own secrets do not choose what is blanked in everybody's words.
    let literal = own(config).filter(|(name, value)| is_secret(name) && reference(value).is_none());
    if to.has(tenant) {
        options.redactor.learn(literal.map(|(_, value)| value));
    }
    Ok(all)
}

fn short(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(60).collect()
}

/// An error that no second try mends.
pub(super) fn wrong(message: String) -> DriverError {
    DriverError { retryable: false, ..DriverError::new(ErrorType::DispatchFailed, message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(config: &Value) -> Result<Plan, String> {
        let mut options = Options::new("/nonexistent/state", vec!["guard".to_owned()]);
        options.env = vec![
            ("ANTHROPIC_API_KEY".to_owned(), "key-of-the-server".to_owned()),
            ("OPENAI_API_KEY".to_owned(), "another-key".to_owned()),
        ];
        let config = config.as_object().cloned().unwrap_or_default();
        let who = (TenantId::BOOTSTRAP, AgentKind::Command);
        let made = Plan::of(&options, who, &config, Path::new("/home-of-its-own"));
        made.map_err(|error| {
            assert!(!error.retryable, "{error}");
            error.message
        })
    }

    fn refused(config: &Value) -> String {
        plan(config).err().expect("it is refused")
    }

    #[test]
    fn the_environment_is_an_allow_list() {
        let env =
            json!({ "MY_KEY": "$OPENAI_API_KEY", "PRICE": "$$5", "HOME": "/mine", "PLAIN": "a$b" });
        let made = plan(&json!({ "command": ["sh"], "env": env })).expect("a plan");
        let value = |name| made.variables.get(name);
        assert_eq!(value("MY_KEY"), Some("another-key"));
        assert_eq!((value("PRICE"), value("PLAIN")), (Some("$5"), Some("a$b")));
        assert_eq!(value("HOME"), Some("/mine"));
        let names: Vec<&str> = made.variables.iter().map(|(name, _)| name).collect();
        let known = ["PATH", "LANG", "TZ", "LC_ALL", "TMPDIR", "TERM", "NO_COLOR", "HOME"];
        let own = ["MY_KEY", "PRICE", "PLAIN"];
        assert!(names.iter().all(|name| known.contains(name) || own.contains(name)), "{names:?}");
        let plain = plan(&json!({ "command": ["sh"] })).expect("a plan");
        assert_eq!(plain.variables.get("HOME"), Some("/home-of-its-own"));
        assert!(plain.variables.iter().all(|(_, value)| !value.contains("key")));
    }

    #[test]
    fn what_is_not_handed_out_is_refused_by_name() {
        let with = |env: Value| refused(&json!({ "command": ["sh"], "env": env }));
        let told = with(json!({ "A": "$AWS_SECRET_ACCESS_KEY" }));
        assert!(
            told.contains("AWS_SECRET_ACCESS_KEY") && told.contains("agents.command.env"),
            "{told}"
        );
        assert!(with(json!({ "ORCHESTRATOR_KEY": "x" })).contains("belongs to the server"));
        assert!(with(json!({ "A=B": "x" })).contains("cannot be a variable"));
        assert!(with(json!({ "A": "x\0y" })).contains("cannot be a variable"));
    }

    #[test]
    fn a_preset_brings_its_command_and_a_command_of_ones_own_goes_before_it() {
        let own = json!({ "preset": "claude", "command": ["sh", "{session}"] });
        let made = plan(&own).expect("a plan");
        assert!(made.is_own && made.version_arguments().is_empty() && made.name() == "sh");
        assert_eq!(made.output, Output::Jsonl);
        assert!(made.rules.len() > 5);
        assert_eq!(made.variables.get("ANTHROPIC_API_KEY"), Some("key-of-the-server"));
        assert_eq!(made.variables.get("OPENAI_API_KEY"), None, "its preset does not name it");
        let lines = plan(&json!({ "preset": "claude", "command": ["sh"], "output": "lines" }));
        assert_eq!(lines.expect("a plan").output, Output::Lines);
        let plain = plan(&json!({ "command": ["sh"], "output": "jsonl" })).expect("a plan");
        assert_eq!(plain.rules.len(), presets::format("plain").len());
        let nowhere = json!({ "preset": "claude", "env": { "PATH": "/nonexistent" } });
        let told = refused(&nowhere);
        assert!(told.contains("not installed") && told.contains("npm install"), "{told}");
    }

    #[test]
    fn settings_that_cannot_be_followed_are_refused_in_words() {
        assert!(refused(&json!({})).contains("neither a command nor a preset"));
        assert!(refused(&json!({ "command": ["sh"], "output": "xml" })).contains("`jsonl`"));
        let told = refused(&json!({ "preset": "opencode-acp" }));
        assert!(told.contains("claude") && !told.contains("claude-acp"), "{told}");
    }
}
