//! Settings: defaults, file, environment, flags; all problems reported together.
//!
//! Invariant: nothing is read from the process here; variables and flags are arguments, so that the
//! same input gives the same settings.
//! Invariant: no secret is ever shown, neither by `Debug` nor by `config show`.

mod agents;
mod auth;
mod layers;
mod nearest;
mod reader;
mod retention;
pub(super) mod secrets;
mod sections;
mod server;
mod show;
mod webhooks;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

pub use self::agents::AgentOptions;
pub use self::auth::OidcSettings;
pub use self::layers::{Origin, Problem};
pub use self::retention::RetentionSettings;
pub use self::sections::{
    CommandOptions, Enabled, LogFormat, LogOptions, OpencodeOptions, SchedulerOptions,
    SimulatedOptions, StoreLocation, StoreOptions, SupervisorOptions, WorkspaceOptions,
};
pub use self::server::{AdmissionOptions, ServerOptions, TimeOptions, TlsOptions};
pub use self::webhooks::WebhookSettings;

use self::layers::{Given, Layers};
use self::reader::{Reader, expand};
use crate::domain::redact::Redactor;
use crate::infrastructure::sandbox::Sandbox;

/// Name of the configuration file in the data directory.
const CONFIG_FILE: &str = "orchestrator.toml";
/// A configuration file larger than this is not one.
const MAX_CONFIG_BYTES: u64 = 1024 * 1024;

/// What the command line says about settings.
#[derive(Debug, Clone, Default)]
pub struct SettingFlags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// Flag, key and value of every other one that was given.
    pub values: Vec<(&'static str, &'static str, String)>,
}

/// Everything that can be set, in effect.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[server]`
    pub server: ServerOptions,
    /// `[store]` and `[coordination]`
    pub store: StoreOptions,
    /// `[log]`
    pub log: LogOptions,
    /// `[scheduler]`
    pub scheduler: SchedulerOptions,
    /// `[supervisor]`
    pub supervisor: SupervisorOptions,
    /// `[workspaces]`
    pub workspaces: WorkspaceOptions,
    /// `[agents]`
    pub agents: AgentOptions,
    /// `[agents.opencode]`
    pub opencode: OpencodeOptions,
    /// `[agents.command]`
    pub command: CommandOptions,
    /// `[agents.simulated]`
    pub simulated: SimulatedOptions,
    /// `[auth.oidc]`, when it names a provider.
    pub oidc: Option<OidcSettings>,
    /// `[webhooks]`
    pub webhooks: WebhookSettings,
    /// `[retention]`
    pub retention: RetentionSettings,
    /// `[redact]`, with every secret that is known from the settings.
    pub redactor: Redactor,
    /// What `config show` prints.
    shown: String,
    /// The same as JSON.
    shown_as_json: serde_json::Value,
}

/// Settings that cannot be used; the process exits with 78.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
}

impl SettingsError {
    /// Whether all that is wrong is that the configuration file cannot be read.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.problems.iter().all(|problem| matches!(problem.origin, Origin::Unread(_)))
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(formatter, "{count} {noun} in the configuration")?;
        self.problems.iter().try_for_each(|problem| write!(formatter, "\n  {problem}"))
    }
}

impl std::error::Error for SettingsError {}

/// The environment, as an argument.
pub type Environment = BTreeMap<String, String>;

impl Settings {
    /// Settings in effect for these flags and variables; reads the configuration file.
    ///
    /// # Errors
    /// Every problem of every layer, with its origin.
    pub fn load(flags: &SettingFlags, environment: &Environment) -> Result<Self, SettingsError> {
        let layers = merged(flags, environment);
        let home = home(environment);
        let data_dir = data_dir(&layers, environment).unwrap_or_default();
        let mut reader = Reader::new(&layers);
        let settings = Self {
            server: ServerOptions::read(&mut reader, &data_dir, home.as_deref()),
            store: StoreOptions::read(&mut reader, &data_dir),
            log: LogOptions::read(&mut reader),
            scheduler: SchedulerOptions::read(&mut reader),
            supervisor: SupervisorOptions::read(&mut reader),
            workspaces: WorkspaceOptions::read(&mut reader, &data_dir, home.as_deref()),
            agents: AgentOptions::read(&mut reader, home.as_deref()),
            opencode: OpencodeOptions::read(&mut reader, home.as_deref()),
            command: CommandOptions::read(&mut reader),
            simulated: SimulatedOptions::read(&mut reader),
            oidc: OidcSettings::read(&mut reader, home.as_deref()),
            webhooks: WebhookSettings::read(&mut reader),
            retention: RetentionSettings::read(&mut reader),
            redactor: secrets::read(&mut reader),
            shown: show::as_toml(&layers),
            shown_as_json: show::as_json(&layers),
        };
        if data_dir.as_os_str().is_empty() {
            reader.refuse(
                "server.data_dir",
                "no home directory is known; say where to keep data with --data-dir",
            );
        }
        let given = [
            &settings.server.admin_key,
            &settings.opencode.attach_password,
            &settings.oidc.as_ref().and_then(|oidc| oidc.client_secret.clone()),
        ];
        let handed = [&settings.opencode.env, &settings.agents.acp_env, &settings.command.env];
        secrets::learn(&settings.redactor, given, handed, environment);
        let (problems, _) = reader.finish();
        if problems.is_empty() { Ok(settings) } else { Err(SettingsError { problems }) }
    }

    /// The data directory, and the folder of the store where that lies elsewhere; the store alone where its
    /// folder holds the data directory.
    #[must_use]
    pub fn own_places(&self) -> Vec<PathBuf> {
        let data = &self.server.data_dir;
        let mut places = vec![data.clone()];
        if let StoreLocation::Redb(file) = &self.store.location {
            let folder = file.parent().filter(|folder| !folder.starts_with(data));
            let place = |folder| if data.starts_with(folder) { file.as_path() } else { folder };
            places.extend(folder.map(|folder| place(folder).to_owned()));
        }
        places
    }

    /// What every program that is started for a session may reach.
    #[must_use]
    pub fn sandbox(&self) -> Sandbox {
        let AgentOptions { sandbox, writable, .. } = self.agents.clone();
        let mut hidden = self.own_places();
        if let TlsOptions::Files { key, .. } = &self.server.tls {
            hidden.push(key.clone());
        }
        Sandbox { mode: Some(sandbox), hidden, writable }
    }

    /// The settings in effect as TOML, each with its origin; secrets are hidden.
    #[must_use]
    pub fn show(&self) -> &str {
        &self.shown
    }

    /// The same as JSON.
    #[must_use]
    pub const fn show_as_json(&self) -> &serde_json::Value {
        &self.shown_as_json
    }

    /// Keys that have another value in these settings, as far as values are shown.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<&str> {
        let entries = self.shown_as_json.as_object().into_iter().flatten();
        let is_other = |key: &str, entry: &serde_json::Value| {
            other.shown_as_json[key]["value"] != entry["value"]
        };
        entries.filter(|(key, entry)| is_other(key, entry)).map(|(key, _)| key.as_str()).collect()
    }

    /// The data directory alone, however wrong the rest may be: client commands need no more.
    #[must_use]
    pub fn locate(flags: &SettingFlags, environment: &Environment) -> Option<PathBuf> {
        data_dir(&merged(flags, environment), environment)
    }
}

/// All layers, laid over each other.
fn merged(flags: &SettingFlags, environment: &Environment) -> Layers {
    let mut layers = Layers::defaults();
    let variables = || environment.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    // What lies above the file decides where the file is, so it is laid twice.
    let mut above = Layers::defaults();
    above.environment(variables());
    lay_flags(&mut above, flags);
    let named = flags.config.clone().or_else(|| {
        environment.get("ORCHESTRATOR_CONFIG").filter(|text| !text.is_empty()).map(PathBuf::from)
    });
    let usual = || data_dir(&above, environment).map(|dir| dir.join(CONFIG_FILE));
    if let Some(path) = named {
        lay_file(&mut layers, &path);
    } else if let Some(path) = usual().filter(|path| path.exists()) {
        lay_file(&mut layers, &path);
    }
    layers.environment(variables());
    lay_flags(&mut layers, flags);
    layers
}

fn lay_flags(layers: &mut Layers, flags: &SettingFlags) {
    for (flag, key, text) in &flags.values {
        layers.flag(flag, key, text);
    }
}

fn lay_file(layers: &mut Layers, path: &Path) {
    let small = std::fs::metadata(path).map(|meta| meta.len() <= MAX_CONFIG_BYTES);
    let text = match small {
        Ok(true) => std::fs::read_to_string(path),
        Ok(false) => Err(std::io::Error::other("it is larger than 1 MiB")),
        Err(error) => Err(error),
    };
    match text {
        Ok(text) => layers.file(path, &text),
        Err(error) => layers.problems.push(Problem {
            origin: Origin::Unread(path.to_owned()),
            message: format!("the configuration file cannot be read: {error}"),
        }),
    }
}

/// The data directory, absolute; `None` without any home.
fn data_dir(layers: &Layers, environment: &Environment) -> Option<PathBuf> {
    let home = home(environment);
    let named = layers.values.get("server.data_dir").and_then(|sourced| match &sourced.value {
        Given::Text(text) if !text.is_empty() => Some(expand(text, home.as_deref())),
        Given::Text(_) | Given::Number(_) | Given::Flag(_) | Given::List(_) => None,
    });
    // Source: the XDG base directory specification: relative paths in the variable are ignored.
    let xdg = || {
        let path = environment.get("XDG_DATA_HOME").map(PathBuf::from)?;
        path.is_absolute().then(|| path.join("orchestrator"))
    };
    let dir =
        named.or_else(xdg).or_else(|| home.map(|home| home.join(".local/share/orchestrator")))?;
    Some(std::path::absolute(&dir).unwrap_or(dir))
}

fn home(environment: &Environment) -> Option<PathBuf> {
    environment.get("HOME").map(PathBuf::from).filter(|home| home.is_absolute())
}

#[cfg(test)]
mod tests;
