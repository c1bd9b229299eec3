//! Builds the graph for a configuration; the only place that knows every concrete adapter.

pub mod settings;

use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use self::settings::{Environment, SettingFlags, Settings};
use crate::application::ports::clock::Clock;
use crate::infrastructure::clock::SystemClock;
use crate::presentation::cli::args::{Cli, Command};
use crate::presentation::cli::client::Connection;
use crate::presentation::cli::doctor::Check;
use crate::presentation::cli::exit::{CliError, code};
use crate::presentation::cli::output::Printer;
use crate::presentation::cli::{Host, ServerHandle, run_client};

/// Runs what was typed.
#[must_use]
pub fn run(cli: Cli, environment: Environment) -> ExitCode {
    let json = cli.globals.wants_json();
    let flags = SettingFlags { config: cli.globals.config.clone(), values: cli.setting_flags() };
    let connection = Connection {
        data_dir: Settings::locate(&flags, &environment),
        url: cli.globals.url,
        key: cli.globals.key,
        tenant: cli.globals.tenant,
    };
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    let host = ThisMachine { flags, environment, clock: Arc::new(SystemClock::new()) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(run_client(command, connection, json, &host)),
        Err(error) => {
            let error = CliError::new(code::FAILED, format!("no runtime: {error}"));
            Printer::new(json).error(&error);
            ExitCode::from(error.exit)
        }
    }
}

/// What the command line gets from this machine.
struct ThisMachine {
    flags: SettingFlags,
    environment: Environment,
    clock: Arc<SystemClock>,
}

impl Host for ThisMachine {
    fn start_in_process(&self) -> BoxFuture<'_, Result<ServerHandle, CliError>> {
        let refused = CliError::new(code::UNAVAILABLE, "no server runs on this data directory")
            .remedy("name one with --url");
        Box::pin(std::future::ready(Err(refused)))
    }

    fn checks(&self, _airgap: bool) -> BoxFuture<'_, Vec<Check>> {
        let check = match Settings::load(&self.flags, &self.environment) {
            Ok(_) => Check::ok("configuration", "valid"),
            Err(error) => Check::fail("configuration", error.to_string(), "correct the settings"),
        };
        Box::pin(std::future::ready(vec![check]))
    }

    fn openapi(&self) -> String {
        String::from("{}")
    }

    fn settings(&self) -> Result<String, String> {
        Settings::load(&self.flags, &self.environment)
            .map(|settings| settings.show().to_owned())
            .map_err(|error| error.to_string())
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }
}
