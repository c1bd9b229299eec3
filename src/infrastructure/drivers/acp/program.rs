//! The program of an agent as its settings name it: command, environment, folder.
//!
//! Invariant: it sees nothing of our environment but what is named here, and of what the instance allows
//! only what its own settings ask for.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Map, Value};

use super::Options;
use crate::application::ports::driver::DriverError;
use crate::domain::agent::AgentKind;
use crate::domain::ids::TenantId;
use crate::domain::session::attempt::ErrorType;
use crate::infrastructure::drivers::environment::{Handout, Variables};
use crate::infrastructure::drivers::marker::Marker;
use crate::infrastructure::drivers::presets::{self, Piece, Preset};

/// A program that can be started.
#[derive(Debug)]
pub(super) struct Program {
    /// Program and arguments; the program is a file.
    pub(super) command: Vec<String>,
    /// Complete, but for the marker.
    environment: Variables,
    /// Where it is started, when that is not where it works.
    pub(super) folder: Option<PathBuf>,
}

/// What tells one program from the next one that is installed in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    file: PathBuf,
    changed: Option<SystemTime>,
    bytes: u64,
}

impl Program {
    /// The program of these settings, with this folder as its home. Looks at files.
    pub(super) fn of(
        tenant: TenantId,
        config: &Map<String, Value>,
        options: &Options,
        home: &Path,
    ) -> Result<Self, DriverError> {
        let preset = preset(config)?;
        let words = config.get("command").and_then(Value::as_array).into_iter().flatten();
        let mut command: Vec<String> = words.filter_map(Value::as_str).map(str::to_owned).collect();
        if let (true, Some(preset)) = (command.is_empty(), preset) {
            command = words_of(preset);
        }
        let mut environment = Variables::usual();
        environment.set("HOME", home.display().to_string());
        let (variables, to) = (&options.env, &options.env_tenants);
        let handout = Handout { variables, to, tenant, setting: "agents.acp.env" };
        environment.name(preset, config, &handout)?;
        let path = environment.get("PATH").unwrap_or_default();
        match command.first_mut() {
            Some(first) => *first = found(first, path)?,
            None => return Err(wrong("the agent's settings name no command".to_owned())),
        }
        let folder = config.get("cwd").and_then(Value::as_str).map(PathBuf::from);
        if let Some(folder) =
            folder.as_ref().filter(|folder| !folder.is_absolute() || !folder.is_dir())
        {
            let shown = folder.display();
            return Err(wrong(format!(
                "the agent's cwd {shown} is not an absolute, existing folder"
            )));
        }
        Ok(Self { command, environment, folder })
    }

    /// Its environment, with a marker.
    pub(super) fn environment(
        &self,
        marker: &Marker,
    ) -> Result<Vec<(String, String)>, DriverError> {
        let mut environment = self.environment.clone();
        environment.mark(marker);
        environment.checked("the agent")
    }

    /// What is to be told to nobody.
    pub(super) fn secrets(&self) -> Vec<String> {
        self.environment.secrets()
    }

    /// Tells it from the next one.
    pub(super) fn identity(&self) -> Identity {
        let file = PathBuf::from(self.command.first().map(String::as_str).unwrap_or_default());
        let facts = std::fs::metadata(&file).ok();
        let changed = facts.as_ref().and_then(|facts| facts.modified().ok());
        Identity { file, changed, bytes: facts.map(|facts| facts.len()).unwrap_or_default() }
    }
}

/// The preset that the settings name.
fn preset(config: &Map<String, Value>) -> Result<Option<&'static Preset>, DriverError> {
    let Some(name) = config.get("preset").and_then(Value::as_str) else { return Ok(None) };
    let of_kind = || presets::all().iter().filter(|preset| preset.kind == AgentKind::Acp);
    let known = || of_kind().map(|preset| preset.name.as_str()).collect::<Vec<_>>().join(", ");
    match presets::find(AgentKind::Acp, name) {
        Some(preset) => Ok(Some(preset)),
        None => {
            Err(wrong(format!("there is no preset {name} of the kind acp; known are {}", known())))
        }
    }
}

/// The command of a preset; what depends on a prompt is none of this protocol.
fn words_of(preset: &Preset) -> Vec<String> {
    let word = |piece: &Piece| match piece {
        Piece::Word(word) => Some(word.clone()),
        Piece::Optional(_) => None,
    };
    preset.command.iter().filter_map(word).collect()
}

/// The file behind a command.
fn found(name: &str, path: &str) -> Result<String, DriverError> {
    let is_program = |file: &Path| {
        std::fs::metadata(file)
            .is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return match Path::new(name) {
            file if !file.is_absolute() => Err(wrong(format!(
                "the agent's program {name} must be a name on the PATH or an absolute path"
            ))),
            file if is_program(file) => Ok(name.to_owned()),
            _ => Err(wrong(format!("there is no program {name}"))),
        };
    }
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    let mut files = folders.map(|folder| folder.join(name)).filter(|file| is_program(file));
    let file = files.next().and_then(|file| file.into_os_string().into_string().ok());
    file.filter(|_| !name.is_empty()).ok_or_else(|| {
        wrong(format!(
            "the agent's program {name} is not installed: it is not on the server's PATH"
        ))
    })
}

/// What no second try mends.
fn wrong(message: String) -> DriverError {
    DriverError { retryable: false, ..DriverError::new(ErrorType::DispatchFailed, message) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn program(config: &Value) -> Result<Program, DriverError> {
        let mut options = Options::new("/nonexistent");
        options.env = vec![("LAB_KEY".to_owned(), "canary".to_owned())];
        let config = config.as_object().cloned().unwrap_or_default();
        Program::of(TenantId::BOOTSTRAP, &config, &options, Path::new("/nonexistent/home"))
    }

    fn refusal(config: &Value) -> String {
        let error = program(config).expect_err("refused");
        assert!(!error.retryable && error.error_type == ErrorType::DispatchFailed);
        error.message
    }

    #[test]
    fn the_environment_is_an_allow_list_and_the_settings_choose_from_it() {
        let env = json!({ "A": "plain", "KEY": "$LAB_KEY", "PRICE": "$$5", "HOME": "/h" });
        let program = program(&json!({ "command": ["sh", "-c", "x"], "env": env })).expect("there");
        assert!(program.command[0].ends_with("/sh") && program.command[1..] == ["-c", "x"]);
        let marker = Marker { name: "MARK".to_owned(), value: "x".to_owned() };
        let environment = program.environment(&marker).expect("small enough");
        let value = |name: &str| {
            let mut found = environment.iter().filter(|(known, _)| known == name);
            let value = found.next().map(|(_, value)| value.clone());
            assert!(found.next().is_none(), "{name} twice");
            value.unwrap_or_default()
        };
        assert_eq!(
            (value("A"), value("KEY"), value("PRICE")),
            ("plain".into(), "canary".into(), "$5".into())
        );
        assert_eq!((value("HOME"), value("MARK")), ("/h".into(), "x".into()));
        let known = ["PATH", "LANG", "TZ", "TERM", "HOME", "MARK", "A", "KEY", "PRICE"];
        assert!(environment.iter().all(|(name, _)| known.contains(&name.as_str())));
        assert_eq!(program.secrets(), ["canary"]);
    }

    #[test]
    fn a_preset_says_what_the_settings_do_not() {
        let preset = presets::find(AgentKind::Acp, "opencode-acp").expect("known");
        assert_eq!(words_of(preset), ["opencode", "acp"]);
        let mut options = Options::new("/nonexistent");
        options.env = [("OPENAI_API_KEY", "canary"), ("LAB_KEY", "other")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec();
        let config = json!({ "preset": "opencode-acp", "command": ["sh"], "env": { "A": "b" } });
        let config = config.as_object().cloned().unwrap_or_default();
        let program =
            Program::of(TenantId::BOOTSTRAP, &config, &options, Path::new("/nonexistent/home"));
        let program = program.expect("there");
        assert!(program.command[0].ends_with("/sh") && program.command.len() == 1);
        let names: Vec<&str> = program.environment.iter().map(|(name, _)| name).collect();
        assert!(names.contains(&"OPENAI_API_KEY") && names.contains(&"A"));
        assert!(names.contains(&"OPENCODE_DISABLE_AUTOUPDATE") && !names.contains(&"LAB_KEY"));
        let told = refusal(&json!({ "preset": "claude" }));
        assert!(told.contains("claude-acp") && told.contains("no preset claude"), "{told}");
    }

    #[test]
    fn what_cannot_work_says_what_helps() {
        let with_env = |env: Value| refusal(&json!({ "command": ["sh"], "env": env }));
        assert!(with_env(json!({ "KEY": "$OTHER" })).contains("agents.acp.env"));
        assert!(
            with_env(json!({ "ORCHESTRATOR_ADMIN_KEY": "x" })).contains("belongs to the server")
        );
        assert!(with_env(json!({ "A=B": "x" })).contains("cannot be a variable"));
        assert!(refusal(&json!({ "command": ["no-such-agent"] })).contains("not installed"));
        assert!(refusal(&json!({ "command": ["./agent"] })).contains("absolute path"));
        assert!(refusal(&json!({ "command": ["/etc/passwd"] })).contains("no program"));
        assert!(refusal(&json!({})).contains("no command"));
        let nowhere = json!({ "command": ["sh"], "cwd": "/no/such/folder" });
        assert!(refusal(&nowhere).contains("/no/such/folder"));
    }
}
