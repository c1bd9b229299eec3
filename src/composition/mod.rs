//! Builds the graph for a configuration; the only place that knows every concrete adapter.

mod bench;
mod checks;
pub mod concealed;
mod data_dir;
mod demo;
mod detect;
mod encryption;
mod external;
mod graph;
mod host;
mod keys;
mod lifecycle;
mod listener;
mod locks;
mod opened;
mod provider;
mod server;
pub mod settings;
pub mod templates;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use self::host::ThisMachine;
use self::settings::{Environment, SettingFlags, Settings};
use crate::infrastructure::clock::SystemClock;
use crate::infrastructure::drivers::guard::guard_main;
use crate::presentation::cli::args::{Cli, Command};
use crate::presentation::cli::client::Connection;
use crate::presentation::cli::exit::{CliError, code};
use crate::presentation::cli::output::Printer;
use crate::presentation::cli::run_client;

/// The word that makes this executable watch over a child of its own; see `drivers::guard`.
const GUARD: &str = "guard";

/// The word that makes this executable the limit probe of `bench`.
const PROBE: &str = "bench-probe";

/// Commands that are not for people; `None` when this is none of them.
#[must_use]
pub fn run_hidden(arguments: &[OsString]) -> Option<ExitCode> {
    match arguments.get(1)?.to_str()? {
        GUARD => Some(ExitCode::from(guard_main(&arguments[2..]))),
        PROBE => Some(bench::run_probe(&arguments[1..])),
        _ => None,
    }
}

/// Runs what was typed.
#[must_use]
pub fn run(cli: Cli, environment: Environment) -> ExitCode {
    // What whoever started us left open is nothing for the programs that we start.
    close_fds::set_fds_cloexec(3, &[]);
    let json = cli.globals.wants_json();
    let flags = SettingFlags { config: cli.globals.config.clone(), values: cli.setting_flags() };
    let connection = Connection {
        data_dir: Settings::locate(&flags, &environment),
        url: cli.globals.url,
        key: cli.globals.key,
        tenant: cli.globals.tenant,
        cacert: cli.globals.cacert,
        fingerprint: cli.globals.fingerprint,
    };
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    let host = ThisMachine { flags, environment, clock: Arc::new(SystemClock::new()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            return told(json, &CliError::new(code::FAILED, format!("no runtime: {error}")));
        }
    };
    let served = match command {
        Command::Serve(_) => runtime.block_on(Box::pin(lifecycle::serve(&host))),
        Command::Demo(args) => runtime.block_on(Box::pin(demo::demo(&host, &args))),
        Command::Bench(args) => return runtime.block_on(Box::pin(bench::run(&args.arguments))),
        Command::Run(_)
        | Command::Session(_)
        | Command::Attention(_)
        | Command::Admissions(_)
        | Command::Host(_)
        | Command::Recovery(_)
        | Command::Why { .. }
        | Command::Top(_)
        | Command::Agent(_)
        | Command::Tenant(_)
        | Command::Key(_)
        | Command::User(_)
        | Command::Team(_)
        | Command::Audit(_)
        | Command::Backup(_)
        | Command::Restore(_)
        | Command::Export(_)
        | Command::Import(_)
        | Command::Whoami
        | Command::Login { .. }
        | Command::Usage(_)
        | Command::Event(_)
        | Command::Webhook(_)
        | Command::Context(_)
        | Command::Task(_)
        | Command::Template(_)
        | Command::Lock(_)
        | Command::Doctor { .. }
        | Command::EapCheck(_)
        | Command::Mcp
        | Command::Config(_)
        | Command::Openapi
        | Command::Sbom
        | Command::Completions { .. }
        | Command::Version => {
            return runtime.block_on(Box::pin(run_client(command, connection, json, &host)));
        }
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => told(json, &error),
    }
}

fn told(json: bool, error: &CliError) -> ExitCode {
    Printer::new(json).error(error);
    ExitCode::from(error.exit)
}
