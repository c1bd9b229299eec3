//! The command line: parses arguments, speaks to the API like anyone else, prints.
//!
//! Invariant: whatever needs more than HTTP (a server in this process, checks of this machine)
//! comes through `Host`, which composition implements.

mod admissions;
mod agent;
mod archive;
pub mod args;
mod attention;
mod audit;
mod claims;
pub mod client;
mod connection;
mod context;
pub mod detect;
pub mod doctor;
pub mod eap_check;
mod events;
pub mod exit;
mod feed;
mod fleet;
pub mod format;
mod host;
mod key;
mod lock;
mod login;
mod mcp;
pub mod misuse;
pub mod output;
mod recovery;
mod run;
mod session;
mod task;
mod team;
mod template;
mod tenant;
mod top;
mod trust;
mod usage;
mod user;
mod webhook;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::CommandFactory;
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde_json::{Value, json};

use self::args::{
    AgentCommand, AuditCommand, Cli, Command, TeamCommand, TemplateCommand, UserCommand,
};
use self::client::{Client, Connection};
use self::detect::Sighting;
use self::doctor::Check;
use self::exit::{CliError, code};
use self::output::Printer;
use crate::application::ports::clock::Clock;
use crate::domain::audit::checkpoint::Verify;

/// What the program was built from; `make sbom` writes it, and the tests compare it.
const SBOM: &str = include_str!("../../../assets/sbom.cdx.json");

/// A server that runs in this process.
pub struct ServerHandle {
    /// Its address.
    pub url: String,
    /// A key that may do everything in it.
    pub key: SecretString,
    /// Drains and closes it; called once, before the process ends.
    pub stop: Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>,
}

/// Signs a call to an external agent: its dispatch token, seconds since 1970, and the body.
pub type Sign = fn(&str, i64, &[u8]) -> String;

/// What composition does for the command line.
pub trait Host: Send + Sync {
    /// Starts a server on the data directory, on a free loopback port, without signal handlers.
    /// One that does not work answers requests, and leaves sessions as they are.
    /// The error carries the exit code: 75 when another server holds the directory.
    fn start_in_process(&self, works: bool) -> BoxFuture<'_, Result<ServerHandle, CliError>>;
    /// What `doctor` checks; without a network when `airgap`.
    fn checks(&self, airgap: bool) -> BoxFuture<'_, Vec<Check>>;
    /// The agents that are known, and whether they are installed on this machine and work.
    fn sightings(&self) -> BoxFuture<'_, Result<Vec<Sighting>, CliError>>;
    /// The OpenAPI document as JSON.
    fn openapi(&self) -> String;
    /// Reads a backup in full; what it says of itself, or what is wrong with it.
    fn verify_archive(&self, archive: PathBuf) -> BoxFuture<'_, Result<Value, CliError>>;
    /// Puts a backup into the data directory, which must hold no store; what it said of itself.
    fn restore(&self, archive: PathBuf) -> BoxFuture<'_, Result<Value, CliError>>;
    /// Makes a store from an export in the data directory, which must hold none; what was imported.
    fn import(&self, file: PathBuf) -> BoxFuture<'_, Result<Value, CliError>>;
    /// Settings in effect, or every problem with them.
    fn settings(&self) -> Result<Shown, CliError>;
    /// What signs calls to external agents.
    fn signer(&self) -> Sign;
    /// What tells whether a signature is genuine.
    fn verifier(&self) -> Verify;
    /// Time.
    fn clock(&self) -> Arc<dyn Clock>;
}

/// The settings in effect, each with its origin; secrets are hidden.
#[derive(Debug, Clone)]
pub struct Shown {
    /// For people.
    pub toml: String,
    /// By key: `value` and `from`.
    pub json: Value,
}

/// What a command works with.
struct Context<'a> {
    connection: Connection,
    printer: &'a Printer,
    host: &'a dyn Host,
}

impl Context<'_> {
    /// The server that was named, or the one that runs on the data directory.
    async fn running(&self) -> Result<Option<Client>, CliError> {
        let client = Client::new(&self.connection, self.host.clock())?;
        let named = self.connection.is_named();
        let runs = named || (self.connection.noted_url().is_some() && client.is_alive().await);
        Ok(if runs { Some(client.at_home().await) } else { None })
    }

    /// The running server; else one in this process, when there is a store to open.
    async fn reach(&self, works: bool) -> Result<(Client, Option<ServerHandle>), CliError> {
        if let Some(client) = self.running().await? {
            return Ok((client, None));
        }
        if !works && !self.connection.has_store() {
            let client = Client::new(&self.connection, self.host.clock())?;
            return Ok((client.at_home().await, None));
        }
        let server = self.host.start_in_process(works).await?;
        let connection = Connection {
            url: Some(server.url.clone()),
            key: Some(server.key.clone()),
            tenant: self.connection.tenant.clone(),
            ..Connection::default()
        };
        let client = Client::new(&connection, self.host.clock())?;
        Ok((client.at_home().await, Some(server)))
    }
}

/// Runs a command that is not `serve` or `demo`, and gives the exit code.
pub async fn run_client(
    command: Command,
    connection: Connection,
    json: bool,
    host: &dyn Host,
) -> ExitCode {
    let printer = Printer::new(json);
    let context = Context { connection, printer: &printer, host };
    let outcome = Box::pin(dispatch(command, &context)).await;
    match outcome.and_then(|exit| printer.finish().map(|()| exit)) {
        Ok(exit) => ExitCode::from(exit),
        Err(error) => {
            printer.error(&error);
            ExitCode::from(error.exit)
        }
    }
}

async fn dispatch(command: Command, context: &Context<'_>) -> Result<u8, CliError> {
    let printer = context.printer;
    match command {
        Command::Run(args) => Box::pin(run::run(*args, context)).await,
        Command::Audit(AuditCommand::Verify { file: Some(file), head, signer }) => {
            let signer = (signer.as_deref(), context.host.verifier());
            audit::verify_file(&file, head, signer, printer)
        }
        Command::Team(TeamCommand::Join(args)) => {
            team::join(&args, &context.connection, context.host.clock(), printer).await
        }
        Command::Backup(args) if args.verify => archive::verify(&args.path, context).await,
        Command::Restore(args) => archive::restore(args, context).await,
        Command::Import(args) => archive::import(args, context).await,
        Command::Template(TemplateCommand::Check(args)) => template::check(&args, printer),
        Command::Agent(AgentCommand::Detect { register }) => detect::run(register, context).await,
        Command::Session(_)
        | Command::Attention(_)
        | Command::Agent(_)
        | Command::Admissions(_)
        | Command::Host(_)
        | Command::Recovery(_)
        | Command::Why { .. }
        | Command::Top(_)
        | Command::User(_)
        | Command::Team(_)
        | Command::Tenant(_)
        | Command::Key(_)
        | Command::Audit(_)
        | Command::Backup(_)
        | Command::Export(_)
        | Command::Whoami
        | Command::Usage(_)
        | Command::Webhook(_)
        | Command::Context(_)
        | Command::Task(_)
        | Command::Template(_)
        | Command::Lock(_)
        | Command::Event(_) => Box::pin(ask_server(command, context)).await,
        Command::Login { print } => login::run(print, context).await,
        Command::Doctor { airgap } => {
            Ok(doctor::report(&context.host.checks(airgap).await, printer))
        }
        Command::EapCheck(args) => Box::pin(eap_check::run(*args, context)).await,
        Command::Mcp => mcp::run(context).await,
        Command::Config(command) => config(command, context),
        Command::Openapi => {
            printer.text(&context.host.openapi());
            Ok(code::OK)
        }
        Command::Sbom => {
            printer.text(SBOM);
            Ok(code::OK)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "orchestrator", &mut script);
            printer.text(&String::from_utf8_lossy(&script));
            Ok(code::OK)
        }
        Command::Version => {
            version(printer);
            Ok(code::OK)
        }
        Command::Serve(_) | Command::Demo(_) | Command::Bench(_) => {
            Err(CliError::usage("this command is a server of its own"))
        }
    }
}

/// Commands that a server answers. Without one the data directory is read in this process.
async fn ask_server(command: Command, context: &Context<'_>) -> Result<u8, CliError> {
    let (client, server) = context.reach(false).await?;
    let printer = context.printer;
    let shows = !matches!(command, Command::Backup(_) | Command::Export(_));
    if server.is_some() && !printer.is_json() && shows {
        printer.note("no server runs here: sessions are shown and changed, and none works");
    }
    let outcome = match command {
        // A link leads to a server that is still there when somebody opens it.
        Command::Team(TeamCommand::Init(_) | TeamCommand::Invite(_))
        | Command::User(UserCommand::Invite(_))
            if server.is_some() =>
        {
            Err(CliError::new(code::UNAVAILABLE, "no server runs here that could be joined")
                .remedy("start one first: orchestrator serve"))
        }
        Command::Session(command) => Box::pin(session::run(*command, &client, printer)).await,
        Command::Attention(command) => Box::pin(attention::run(command, &client, printer)).await,
        Command::Agent(command) => Box::pin(agent::run(command, &client, printer)).await,
        Command::Admissions(command) => admissions::run(command, &client, printer).await,
        Command::Host(command) => host::run(command, &client, printer).await,
        Command::Recovery(command) => recovery::run(command, &client, printer).await,
        Command::Top(args) => Box::pin(top::run(&args, &client, printer)).await,
        Command::Why { session } => why::run(&session, &client, printer).await,
        Command::Tenant(command) => tenant::run(command, &client, printer).await,
        Command::Key(command) => key::run(command, &client, printer).await,
        Command::User(command) => user::run(command, &client, printer).await,
        Command::Team(command) => team::run(command, &client, printer).await,
        Command::Audit(command) => {
            audit::run(command, &client, context.host.verifier(), printer).await
        }
        Command::Backup(args) => archive::backup(args, &client, context).await,
        Command::Export(args) => archive::export(args, &client, context).await,
        Command::Whoami => key::whoami(&client, printer).await,
        Command::Usage(args) => usage::run(args, &client, printer).await,
        Command::Event(command) => events::run(command, &client, printer).await,
        Command::Webhook(command) => webhook::run(command, &client, printer).await,
        Command::Context(command) => context::run(command, &client, printer).await,
        Command::Task(command) => Box::pin(task::run(command, &client, printer)).await,
        Command::Template(command) => template::run(command, &client, printer).await,
        Command::Lock(command) => lock::run(command, &client, printer).await,
        Command::Serve(_)
        | Command::Demo(_)
        | Command::Bench(_)
        | Command::Run(_)
        | Command::Login { .. }
        | Command::Restore(_)
        | Command::Import(_)
        | Command::Doctor { .. }
        | Command::EapCheck(_)
        | Command::Mcp
        | Command::Config(_)
        | Command::Openapi
        | Command::Sbom
        | Command::Completions { .. }
        | Command::Version => Err(CliError::usage("no server is needed for this")),
    };
    if let Some(server) = server {
        (server.stop)().await;
    }
    outcome
}

fn config(command: args::ConfigCommand, context: &Context<'_>) -> Result<u8, CliError> {
    let shown = context.host.settings()?;
    let printer = context.printer;
    match command {
        args::ConfigCommand::Show if printer.is_json() => printer.json(&shown.json),
        args::ConfigCommand::Show => printer.text(&shown.toml),
        args::ConfigCommand::Check if printer.is_json() => printer.json(&json!({ "valid": true })),
        args::ConfigCommand::Check => printer.note("the configuration is valid"),
    }
    Ok(code::OK)
}

fn version(printer: &Printer) {
    let version = env!("CARGO_PKG_VERSION");
    let (system, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    if printer.is_json() {
        let name = "orchestrator";
        printer.json(&json!({ "name": name, "version": version, "os": system, "arch": processor }));
    } else {
        printer.line(format!("orchestrator {version} ({system} {processor})"));
    }
}
