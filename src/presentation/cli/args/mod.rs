//! What can be typed. Only parses: no file, variable or socket is touched here, beside the three
//! client variables that clap reads.

mod admissions;
mod agent;
mod archive;
mod audit;
mod context;
mod decision;
mod eap_check;
mod event;
mod host;
mod key;
mod lock;
mod recovery;
mod run;
mod session;
mod task;
mod team;
mod top;
mod usage;
mod user;
mod webhook;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use secrecy::SecretString;

pub use self::admissions::{AdmissionArgs, AdmissionsCommand, ScopeWord};
pub use self::agent::{
    AgentCommand, AgentListArgs, AgentRegisterArgs, AgentRemoveArgs, AgentReportArgs,
    AgentRouteArgs, AgentTraits, AgentUpdateArgs, OutcomeWord, Switch,
};
pub use self::archive::{BackupArgs, ExportArgs, ImportArgs, RestoreArgs};
pub use self::audit::{AuditCommand, AuditListArgs};
pub use self::context::{ContextCommand, ContextCreateArgs, ContextListArgs, ContextSetArgs};
pub use self::decision::DecisionWord;
pub use self::eap_check::EapCheckArgs;
pub use self::event::{EventArgs, EventCommand};
pub use self::host::HostCommand;
pub use self::key::{KeyCommand, KeyCreateArgs};
pub use self::lock::{LockAcquireArgs, LockCommand};
pub use self::recovery::RecoveryCommand;
pub use self::run::RunArgs;
pub use self::session::{
    ArtifactsArgs, CreateArgs, DiffArgs, EditArgs, ForkArgs, ListArgs, MergeArgs, SessionCommand,
};
pub use self::task::{
    TaskCommand, TaskCreateArgs, TaskDecomposeArgs, TaskListArgs, TaskMoveArgs, TemplateCheckArgs,
    TemplateCommand,
};
pub use self::team::{TeamCommand, TeamInitArgs, TeamJoinArgs};
pub use self::top::{Order, TopArgs};
pub use self::usage::{GroupWord, UsageArgs, UsageCommand};
pub use self::user::{InviteArgs, UserChangeArgs, UserCommand};
pub use self::webhook::{
    WebhookCommand, WebhookCreateArgs, WebhookDeliveriesArgs, WebhookEditArgs,
};

const EXAMPLES: &str = "\
Examples:
  orchestrator                                  serve on http://127.0.0.1:8000
  orchestrator run \"fix the failing test\"       one session here, followed to its end
  orchestrator session list --status running
  orchestrator why IND-000042                   what a session waits for
  orchestrator attention list                   what waits for you

Exit codes: 0 ok, 1 refused or failed, 64 usage, 65 store damaged, 69 unavailable, 75 another
server holds the data directory, 77 not permitted, 78 configuration.";

/// The control plane for AI coding agents.
#[derive(Debug, Parser)]
#[command(name = "orchestrator", version, about, after_help = EXAMPLES, max_term_width = 100)]
#[command(propagate_version = false, disable_help_subcommand = true)]
pub struct Cli {
    /// For every command.
    #[command(flatten)]
    pub globals: Globals,
    /// For the server, when no command is given.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Without a command it serves.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Tables for people.
    Table,
    /// JSON for programs.
    Json,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Address of the server; the local one by default.
    #[arg(long, global = true, env = "ORCHESTRATOR_URL", hide_env_values = true)]
    pub url: Option<String>,
    /// API key; `<data-dir>/admin.key` by default.
    #[arg(long, global = true, env = "ORCHESTRATOR_KEY", hide_env_values = true)]
    pub key: Option<SecretString>,
    /// Tenant, by short name or id; `default` by default.
    #[arg(long, global = true, env = "ORCHESTRATOR_TENANT", hide_env_values = true)]
    pub tenant: Option<String>,
    /// Certificate of the server, as PEM, when no authority of this machine vouches for it.
    #[arg(long, global = true, value_name = "FILE", env = "ORCHESTRATOR_CACERT")]
    #[arg(hide_env_values = true)]
    pub cacert: Option<PathBuf>,
    /// SHA-256 of the certificate that the server has to show, in hex.
    #[arg(long, global = true, value_name = "HEX", env = "ORCHESTRATOR_FINGERPRINT")]
    #[arg(hide = true, hide_env_values = true)]
    pub fingerprint: Option<String>,
    /// Print JSON; the same as `--output json`.
    #[arg(long, global = true)]
    pub json: bool,
    /// How to print: `table` or `json`.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    pub output: Option<OutputFormat>,
    /// Configuration file; `<data-dir>/orchestrator.toml` by default.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where everything is kept.
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Log lines as `text` or `json`.
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Which log lines, such as `info` or `warn,orchestrator=debug`.
    #[arg(long, global = true, value_name = "FILTER")]
    pub log: Option<String>,
}

impl Globals {
    /// Whether programs read what is printed.
    #[must_use]
    pub fn wants_json(&self) -> bool {
        self.json || self.output == Some(OutputFormat::Json)
    }
}

/// Flags of the server.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server options")]
pub struct ServeArgs {
    /// Address to listen on; port 0 picks a free one [default: 127.0.0.1:8000].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Where records are kept [default: redb:<data-dir>/store.redb].
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// How several servers agree [default: local:].
    #[arg(long, value_name = "URL")]
    pub coordination: Option<String>,
    /// How connections are encrypted: `off`, `files` or `self-signed` [default: off].
    #[arg(long, value_name = "HOW")]
    pub tls: Option<String>,
    /// Certificate to encrypt with, as PEM.
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<String>,
    /// Private key of the certificate, as PEM.
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// Listen beyond this machine without TLS: keys cross the network in the clear.
    #[arg(long)]
    pub allow_plaintext: bool,
    /// Requests without a key act as administrator; loopback only.
    #[arg(long)]
    pub dev: bool,
}

impl Cli {
    /// Whether this becomes a server.
    #[must_use]
    pub const fn serves(&self) -> bool {
        matches!(&self.command, None | Some(Command::Serve(_) | Command::Demo(_)))
    }

    /// Flag, key of the settings and value of every setting that was given as a flag.
    #[must_use]
    pub fn setting_flags(&self) -> Vec<(&'static str, &'static str, String)> {
        let mut given = Vec::new();
        let data_dir = self.globals.data_dir.as_ref().map(|dir| dir.to_string_lossy().into_owned());
        let (nested, demo) = match &self.command {
            Some(Command::Serve(serve)) => (Some(serve), None),
            Some(Command::Demo(demo)) => (None, Some(demo)),
            _ => (None, None),
        };
        let pick = |of: fn(&ServeArgs) -> &Option<String>| {
            nested.and_then(|serve| of(serve).clone()).or_else(|| of(&self.serve).clone())
        };
        let is_said = |of: fn(&ServeArgs) -> bool| of(&self.serve) || nested.is_some_and(of);
        let demo_listen = demo.and_then(|demo| demo.listen.clone());
        let cert = pick(|serve| &serve.tls_cert);
        // Whoever names a certificate wants it used.
        let implied = cert.is_some().then(|| "files".to_owned());
        let rows = [
            ("--data-dir", "server.data_dir", data_dir),
            ("--log-format", "log.format", self.globals.log_format.clone()),
            ("--log", "log.filter", self.globals.log.clone()),
            ("--listen", "server.listen", demo_listen.or_else(|| pick(|serve| &serve.listen))),
            ("--tls", "server.tls", pick(|serve| &serve.tls).or(implied)),
            ("--tls-cert", "server.tls_cert", cert),
            ("--tls-key", "server.tls_key", pick(|serve| &serve.tls_key)),
            ("--store", "store.url", pick(|serve| &serve.store)),
            ("--coordination", "coordination.url", pick(|serve| &serve.coordination)),
        ];
        for (flag, key, value) in rows {
            given.extend(value.map(|value| (flag, key, value)));
        }
        if is_said(|serve| serve.allow_plaintext) {
            given.push(("--allow-plaintext", "server.allow_plaintext", "true".to_owned()));
        }
        if is_said(|serve| serve.dev) {
            given.push(("--dev", "server.dev", "true".to_owned()));
        }
        given
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the API, the scheduler and the agents (the default).
    Serve(ServeArgs),
    /// Serve a throw-away store with simulated agents at work.
    Demo(DemoArgs),
    /// Do one piece of work in a folder and follow it to its end.
    #[command(after_help = run::EXAMPLES)]
    Run(Box<RunArgs>),
    /// Sessions: list, create, control, inspect, merge.
    #[command(subcommand, visible_alias = "sessions")]
    Session(Box<SessionCommand>),
    /// What waits for a person.
    #[command(subcommand)]
    Attention(AttentionCommand),
    /// Who works: register, look after and remove agents.
    #[command(subcommand, visible_alias = "agents")]
    Agent(AgentCommand),
    /// Hold back what waits, and release it; what runs goes on.
    #[command(subcommand)]
    Admissions(AdmissionsCommand),
    /// The agent servers that the server keeps, and having one replaced.
    #[command(subcommand, visible_alias = "hosts")]
    Host(HostCommand),
    /// What an earlier server left open, and having it done.
    #[command(subcommand)]
    Recovery(RecoveryCommand),
    /// The fleet in the terminal: who needs you, what it costs, what does not get on.
    #[command(after_help = top::EXAMPLES)]
    Top(TopArgs),
    /// What a session waits for, and what would help.
    #[command(after_help = "Example:\n  orchestrator why IND-000042")]
    Why {
        /// Code or id of the session.
        session: String,
    },
    /// What a tenant may have.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// What programs and people act with.
    #[command(subcommand, visible_alias = "keys")]
    Key(KeyCommand),
    /// The people of a tenant.
    #[command(subcommand, visible_alias = "users")]
    User(UserCommand),
    /// From one person to a team: make one, look at it, invite somebody, join one.
    #[command(subcommand)]
    Team(TeamCommand),
    /// Who did what, and whether the record of it is whole.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Everything that is stored, as one file.
    #[command(after_help = archive::BACKUP_EXAMPLES)]
    Backup(BackupArgs),
    /// Put a backup back where there is no store.
    #[command(after_help = archive::RESTORE_EXAMPLES)]
    Restore(RestoreArgs),
    /// Everything that is stored, as lines of JSON for people and other programs.
    #[command(after_help = archive::EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Make a store from an export where there is none.
    Import(ImportArgs),
    /// Whose key this is, and what it is good for.
    Whoami,
    /// Make a link that signs a browser in, once, within ten minutes, with the rights of this key.
    Login {
        /// Print it wherever the output goes; it is shown on a terminal only, otherwise.
        #[arg(long)]
        print: bool,
    },
    /// What was used, what it costs, and how much of it may be.
    Usage(UsageArgs),
    /// Everything that happened.
    #[command(subcommand, visible_alias = "events")]
    Event(EventCommand),
    /// Work in parts: what needs what, and who does which part.
    #[command(subcommand, visible_alias = "tasks")]
    Task(TaskCommand),
    /// Templates that split tasks into parts.
    #[command(subcommand, visible_alias = "templates")]
    Template(TemplateCommand),
    /// What sessions, tasks and agents remember.
    #[command(subcommand, visible_alias = "contexts")]
    Context(ContextCommand),
    /// Addresses that are told of events.
    #[command(subcommand, visible_alias = "webhooks")]
    Webhook(WebhookCommand),
    /// Locks: what one holds at a time, in order of asking.
    #[command(subcommand, visible_alias = "locks")]
    Lock(LockCommand),
    /// Check this machine: store, disk, ports, clock, git, agents.
    Doctor {
        /// Only what works without a network.
        #[arg(long)]
        airgap: bool,
    },
    /// Check an external agent against its protocol, without a server.
    #[command(after_help = eap_check::EXAMPLES)]
    EapCheck(Box<EapCheckArgs>),
    /// Speak the Model Context Protocol on standard streams, for the tools of a running server.
    #[command(after_help = "\
Example, as an agent's configuration has it:
  {\"mcpServers\": {\"orchestrator\": {\"command\": \"orchestrator\", \"args\": [\"mcp\"]}}}")]
    Mcp,
    /// Settings in effect.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the OpenAPI document of the HTTP interface.
    Openapi,
    /// Print what this program was built from: its bill of materials, in JSON.
    Sbom,
    /// Print a completion script for a shell.
    #[command(
        after_help = "Example:\n  orchestrator completions bash > ~/.local/share/bash-completion/completions/orchestrator"
    )]
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Measure this server against the limits of this machine.
    #[command(disable_help_flag = true)]
    Bench(BenchArgs),
    /// Print the version.
    Version,
}

/// What `bench` is told; it reads its arguments by itself.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// `--help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    pub arguments: Vec<String>,
}

/// Flags of `demo`.
#[derive(Debug, Clone, Default, Args)]
pub struct DemoArgs {
    /// Address to listen on [default: 127.0.0.1:0].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// The same seed shows the same demonstration.
    #[arg(long)]
    pub seed: Option<u32>,
}

/// `config …`
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting with where it comes from; secrets are hidden.
    Show,
    /// Report everything that is wrong with the settings.
    Check,
}

/// `attention …`
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  orchestrator attention list
  orchestrator attention resolve IND-000042 allow
  orchestrator attention resolve IND-000042 answer \"use the second design\"
  orchestrator attention watch")]
pub enum AttentionCommand {
    /// Items that wait.
    List {
        /// Settled ones too.
        #[arg(long)]
        all: bool,
    },
    /// One item with all its facts.
    Show {
        /// Id of the item, or code of a session with one open item.
        item: String,
    },
    /// Decide an item.
    Resolve {
        /// Id of the item, or code of a session with one open item.
        item: String,
        /// What to do: allow, always, deny, answer or acknowledge.
        #[arg(value_enum, hide_possible_values = true)]
        decision: DecisionWord,
        /// The answer, or the reason of a refusal.
        text: Option<String>,
        /// Only if it still is what `attention show` told with this fingerprint.
        #[arg(long, value_name = "HASH")]
        fingerprint: Option<String>,
    },
    /// Wait for items; on a terminal each is decided as it comes.
    Watch,
}

/// `tenant …`
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  orchestrator tenant create acme --name 'Acme Inc.'
  orchestrator tenant list
  orchestrator tenant quotas
  orchestrator tenant quotas --set max_concurrent_sessions=50 --set max_queue_depth=none
  orchestrator tenant update --weight 2
  orchestrator tenant update --retention sessions_days=7 --retention events_days=none")]
pub enum TenantCommand {
    /// Tenants of this server, oldest first.
    #[command(visible_alias = "ls")]
    List,
    /// Make a tenant; system administrators only.
    Create {
        /// Its short name: lower-case letters, digits and `-`.
        slug: String,
        /// For people; the short name when omitted.
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// Its share of this server, compared with other tenants: 0.1 to 100.
        #[arg(long, value_name = "NUMBER", value_parser = run::amount)]
        weight: Option<f64>,
        /// A bound, or `none`; repeatable.
        #[arg(long = "quota", value_name = "QUOTA=NUMBER", value_parser = super::tenant::bound)]
        quotas: Vec<(String, serde_json::Value)>,
    },
    /// Switch a tenant off: nobody gets in, nothing begins, what runs is paused, nothing is lost.
    Deactivate {
        /// Its short name or id.
        slug: String,
    },
    /// Take a tenant up again.
    Activate {
        /// Its short name or id.
        slug: String,
    },
    /// What is used of each quota; `--set` changes them.
    Quotas {
        /// A new bound, or `none`; repeatable.
        #[arg(long, value_name = "QUOTA=NUMBER", value_parser = super::tenant::bound)]
        set: Vec<(String, serde_json::Value)>,
    },
    /// The tenant; options change it.
    #[command(visible_alias = "show")]
    Update {
        /// For people.
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// Its share of this server, compared with other tenants: 0.1 to 100.
        #[arg(long, value_name = "NUMBER", value_parser = run::amount)]
        weight: Option<f64>,
        /// How people come to it: by invitation alone, or also through the identity provider.
        #[arg(long, value_name = "MODE", value_parser = ["invite", "identity_provider"])]
        joining: Option<String>,
        /// How external agents come to it: with a key, also after a lead approved them, or from the
        /// server's own machine without anything.
        #[arg(long, value_name = "MODE", value_parser = ["key", "approval", "open"])]
        registration: Option<String>,
        /// Days of `sessions_days`, `deleted_sessions_days` or `events_days`, at most as long as the
        /// server keeps them, or `none` for just as long; repeatable.
        #[arg(long, value_name = "NAME=DAYS", value_parser = super::tenant::bound)]
        retention: Vec<(String, serde_json::Value)>,
    },
}
