//! The typed sections of the settings; every key of the default file is read here, or in the file
//! of its section, once.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use super::reader::{Reader, expand};
use crate::domain::agent::capability;
use crate::infrastructure::storage::redb::SpaceOptions;

/// Where records are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// The embedded store in this file.
    Redb(PathBuf),
    /// Nothing is kept.
    Memory,
}

/// `[store]`
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// Where.
    pub location: StoreLocation,
    /// Page cache.
    pub cache_mb: u32,
    /// Waiting writes.
    pub queue_capacity: u32,
    /// Free room below which no new sessions are made.
    pub low_space_mb: u32,
    /// Room that is set aside to be given back in need.
    pub ballast_mb: u32,
}

impl StoreOptions {
    /// What is kept free on the disk.
    pub(in super::super) fn space(&self) -> SpaceOptions {
        SpaceOptions {
            low_bytes: u64::from(self.low_space_mb) * 1024 * 1024,
            ballast_bytes: u64::from(self.ballast_mb) * 1024 * 1024,
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// How lines look.
    pub format: LogFormat,
    /// Levels by module.
    pub filter: String,
}

/// `[scheduler]`
#[derive(Debug, Clone)]
pub struct SchedulerOptions {
    /// Sessions that run at once.
    pub max_running_sessions: u32,
    /// Longest time between two looks.
    pub tick: Duration,
}

/// `[supervisor]`
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the default file explains each")]
pub struct SupervisorOptions {
    pub pause_grace: Duration,
    pub checkpoint_interval: Duration,
    pub checkpoint_timeout: Duration,
    pub permission_timeout: Duration,
    pub question_timeout: Duration,
    pub journal_mb: u32,
}

/// `[workspaces]`
#[derive(Debug, Clone)]
pub struct WorkspaceOptions {
    /// Where worktrees are made.
    pub root: PathBuf,
    /// Folders that sessions may use; empty means anywhere.
    pub allowed_roots: Vec<PathBuf>,
}

/// Whether an agent is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enabled {
    /// When it is found.
    Auto,
    /// It must be there.
    Yes,
    /// Never.
    No,
}

/// `[agents.opencode]`
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the default file explains each")]
pub struct OpencodeOptions {
    pub enabled: Enabled,
    pub command: Vec<String>,
    pub config_file: Option<PathBuf>,
    pub auth_file: Option<PathBuf>,
    pub env: Vec<String>,
    pub attach_url: Option<url::Url>,
    pub attach_username: String,
    pub attach_password: Option<SecretString>,
    pub capabilities: Vec<String>,
    pub max_runs: u32,
    pub max_hosts: u32,
    pub host_runs: u32,
    pub max_steps: u32,
    pub recycle_rss_mb: u32,
    pub max_rss_mb: u32,
    pub recycle_age: Duration,
    pub recycle_sessions: u32,
    pub recycle_grace: Duration,
    pub deep_probe: Duration,
    pub probe_timeout: Duration,
    pub probe_failures: u32,
    pub idle_time: Duration,
    pub ready_timeout: Duration,
}

/// `[agents.command]`
#[derive(Debug, Clone)]
pub struct CommandOptions {
    /// Variables of the server that agents may be given.
    pub env: Vec<String>,
}

/// `[agents.simulated]`
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the default file explains each")]
pub struct SimulatedOptions {
    pub enabled: bool,
    pub capabilities: Vec<String>,
    pub seed: u32,
    pub latency: Duration,
}

const DAY: u32 = 86_400;

impl StoreOptions {
    pub(super) fn read(reader: &mut Reader<'_>, data_dir: &Path) -> Self {
        let url = reader.text("store.url");
        let coordination = reader.text("coordination.url");
        if coordination != "local:" {
            reader.refuse(
                "coordination.url",
                "only `local:` is in this build; several servers on one store need the feature `redis`",
            );
        }
        Self {
            location: location(reader, &url, data_dir),
            cache_mb: reader.number("store.cache_mb", 1..=65_536),
            queue_capacity: reader.number("store.queue_capacity", 1..=1_048_576),
            low_space_mb: reader.number("store.low_space_mb", 0..=1_048_576),
            ballast_mb: reader.number("store.ballast_mb", 0..=65_536),
        }
    }
}

fn location(reader: &mut Reader<'_>, url: &str, data_dir: &Path) -> StoreLocation {
    match url.split_once(':') {
        None if url.is_empty() => return StoreLocation::Redb(data_dir.join("store.redb")),
        Some(("redb", file)) if !file.is_empty() => {
            return StoreLocation::Redb(data_dir.join(file));
        }
        Some(("memory", "")) => return StoreLocation::Memory,
        Some(("postgres" | "postgresql", _)) => {
            reader
                .refuse("store.url", "this build has no Postgres; it needs the feature `postgres`");
        }
        Some(_) | None => {
            reader.refuse("store.url", "`store.url` must be `redb:<file>` or `memory:`");
        }
    }
    StoreLocation::Memory
}

impl LogOptions {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let filter = reader.text("log.filter");
        if let Err(error) = filter.parse::<tracing_subscriber::EnvFilter>() {
            reader
                .refuse("log.filter", format!("`log.filter` = `{filter}` cannot be read: {error}"));
        }
        let formats =
            [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];
        Self { format: reader.word("log.format", &formats, LogFormat::Auto), filter }
    }
}

impl SchedulerOptions {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            max_running_sessions: reader.number("scheduler.max_running_sessions", 1..=100_000),
            tick: reader.seconds("scheduler.tick_seconds", 1..=60),
        }
    }
}

impl SupervisorOptions {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            pause_grace: reader.seconds("supervisor.pause_grace_seconds", 0..=3600),
            checkpoint_interval: reader.seconds("supervisor.checkpoint_interval_seconds", 10..=DAY),
            checkpoint_timeout: reader.seconds("supervisor.checkpoint_timeout_seconds", 1..=4),
            permission_timeout: reader.seconds("supervisor.permission_timeout_seconds", 1..=DAY),
            question_timeout: reader.seconds("supervisor.question_timeout_seconds", 1..=7 * DAY),
            journal_mb: reader.number("supervisor.journal_mb", 0..=1_048_576),
        }
    }
}

impl WorkspaceOptions {
    pub(super) fn read(reader: &mut Reader<'_>, data_dir: &Path, home: Option<&Path>) -> Self {
        let allowed: Vec<PathBuf> =
            reader.list("workspaces.allowed_roots").iter().map(|text| expand(text, home)).collect();
        if let Some(relative) = allowed.iter().find(|path| !path.is_absolute()) {
            let message = format!("`{}` must be an absolute path", relative.display());
            reader.refuse("workspaces.allowed_roots", message);
        }
        let root = reader.path("workspaces.root", home);
        Self {
            root: root.map_or_else(|| data_dir.join("workspaces"), |root| data_dir.join(root)),
            allowed_roots: allowed,
        }
    }
}

impl OpencodeOptions {
    /// Sessions of one tenant that work at once.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        match self.attach_url {
            Some(_) => self.max_runs,
            None => self.max_runs.min(self.max_hosts.saturating_mul(self.host_runs)),
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>, home: Option<&Path>) -> Self {
        let command = reader.list("agents.opencode.command");
        if command.first().is_none_or(String::is_empty) {
            reader.refuse("agents.opencode.command", "`agents.opencode.command` names no program");
        }
        let attach_url = reader.optional("agents.opencode.attach_url").and_then(|text| {
            let url = url::Url::parse(&text).ok();
            let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
            let credentials =
                |url: &url::Url| url.password().is_some() || !url.username().is_empty();
            if url.as_ref().is_some_and(credentials) {
                reader.refuse(
                    "agents.opencode.attach_url",
                    "name and password do not belong into `agents.opencode.attach_url`; give them \
                     as `attach_username` and `attach_password`",
                );
            }
            if url.is_none() {
                reader.refuse(
                    "agents.opencode.attach_url",
                    "`agents.opencode.attach_url` must be an address such as http://127.0.0.1:4096",
                );
            }
            url
        });
        let words = [("auto", Enabled::Auto), ("true", Enabled::Yes), ("false", Enabled::No)];
        let recycle_rss_mb = reader.number("agents.opencode.recycle_rss_mb", 100..=1_000_000);
        let max_rss_mb = reader.number("agents.opencode.max_rss_mb", 100..=1_000_000);
        if max_rss_mb < recycle_rss_mb {
            reader.refuse(
                "agents.opencode.max_rss_mb",
                "`agents.opencode.max_rss_mb` must not be less than `recycle_rss_mb`",
            );
        }
        Self {
            enabled: reader.word("agents.opencode.enabled", &words, Enabled::Auto),
            command,
            config_file: user_file(
                reader,
                "agents.opencode.config_file",
                home,
                ".config/opencode/opencode.json",
            ),
            auth_file: user_file(
                reader,
                "agents.opencode.auth_file",
                home,
                ".local/share/opencode/auth.json",
            ),
            env: reader.list("agents.opencode.env"),
            attach_url,
            attach_username: reader.text("agents.opencode.attach_username"),
            attach_password: reader.secret("agents.opencode.attach_password"),
            capabilities: capabilities(reader, "agents.opencode.capabilities"),
            max_runs: reader.number("agents.opencode.max_runs", 1..=50),
            max_hosts: reader.number("agents.opencode.max_hosts", 1..=16),
            host_runs: reader.number("agents.opencode.host_runs", 1..=50),
            max_steps: reader.number("agents.opencode.max_steps", 1..=100_000),
            recycle_rss_mb,
            max_rss_mb,
            recycle_age: reader.seconds("agents.opencode.recycle_age_seconds", 60..=30 * DAY),
            recycle_sessions: reader.number("agents.opencode.recycle_sessions", 1..=1_000_000),
            recycle_grace: reader.seconds("agents.opencode.recycle_grace_seconds", 1..=DAY),
            deep_probe: reader.seconds("agents.opencode.deep_probe_seconds", 1..=3600),
            probe_timeout: reader.seconds("agents.opencode.probe_timeout_seconds", 1..=300),
            probe_failures: reader.number("agents.opencode.probe_failures", 1..=100),
            idle_time: reader.seconds("agents.opencode.idle_seconds", 10..=DAY),
            ready_timeout: reader.seconds("agents.opencode.ready_timeout_seconds", 1..=600),
        }
    }
}

/// A file that was named must exist; the usual place is used only when there is one.
fn user_file(
    reader: &mut Reader<'_>,
    key: &'static str,
    home: Option<&Path>,
    usual: &str,
) -> Option<PathBuf> {
    match reader.path(key, home) {
        Some(named) if named.is_file() => Some(named),
        Some(named) => {
            reader.refuse(key, format!("`{key}`: there is no file {}", named.display()));
            None
        }
        None => home.map(|home| home.join(usual)).filter(|path| path.is_file()),
    }
}

/// What an agent is able to do; the list of the settings stands in for everything that is known.
fn capabilities(reader: &mut Reader<'_>, key: &'static str) -> Vec<String> {
    let given = reader.list(key);
    if given.is_empty() {
        return capability::KNOWN.iter().map(|slug| (*slug).to_owned()).collect();
    }
    if given.len() > 50 || !given.iter().all(|slug| capability::is_slug(slug)) {
        reader.refuse(key, format!("`{key}` must be at most 50 slugs such as code_review"));
    }
    given
}

impl CommandOptions {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self { env: reader.list("agents.command.env") }
    }
}

impl SimulatedOptions {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let latency = reader.number("agents.simulated.latency_ms", 0..=600_000);
        Self {
            enabled: reader.flag("agents.simulated.enabled"),
            capabilities: capabilities(reader, "agents.simulated.capabilities"),
            seed: reader.number("agents.simulated.seed", 0..=u32::MAX),
            latency: Duration::from_millis(u64::from(latency)),
        }
    }
}
