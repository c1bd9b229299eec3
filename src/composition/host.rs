//! What the command line gets from this machine: settings, checks, and a server in this process.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use secrecy::SecretString;

use super::settings::{Environment, SettingFlags, Settings};
use super::{checks, server::Running};
use crate::application::ports::clock::Clock;
use crate::infrastructure::clock::SystemClock;
use crate::infrastructure::telemetry::start_logging;
use crate::presentation::api::openapi_json;
use crate::presentation::cli::doctor::Check;
use crate::presentation::cli::exit::{CliError, code};
use crate::presentation::cli::{Host, ServerHandle, Shown};

/// Flags, variables and the clock of this process.
pub(super) struct ThisMachine {
    pub flags: SettingFlags,
    pub environment: Environment,
    pub clock: Arc<SystemClock>,
}

impl ThisMachine {
    /// The settings in effect.
    pub(super) fn load(&self) -> Result<Settings, CliError> {
        Settings::load(&self.flags, &self.environment).map_err(|error| {
            CliError::new(code::CONFIG, error.to_string()).remedy(if error.is_unread() {
                "name a file that exists and that you may read: --config FILE"
            } else {
                "`orchestrator config show` lists every key"
            })
        })
    }

    async fn in_process(&self, works: bool) -> Result<ServerHandle, CliError> {
        let mut settings = self.load()?;
        settings.server.listen = ([127, 0, 0, 1], 0).into();
        start_logging(None, "warn").map_err(|error| CliError::new(code::CONFIG, error))?;
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let running = Box::pin(Running::start(&settings, &self.environment, clock, works)).await?;
        let key = match &settings.server.admin_key {
            Some(given) => given.clone(),
            None => std::fs::read_to_string(running.key_file())
                .map(|text| SecretString::from(text.trim().to_owned()))
                .map_err(|error| {
                    let file = running.key_file();
                    let text = format!("{} cannot be read: {error}", file.display());
                    CliError::new(code::NOT_PERMITTED, text)
                        .remedy("name the key of this data directory with --key")
                })?,
        };
        let url = running.url.clone();
        Ok(ServerHandle { url, key, stop: Box::new(|| Box::pin(running.stop())) })
    }
}

impl Host for ThisMachine {
    fn start_in_process(&self, works: bool) -> BoxFuture<'_, Result<ServerHandle, CliError>> {
        Box::pin(self.in_process(works))
    }

    fn checks(&self, airgap: bool) -> BoxFuture<'_, Vec<Check>> {
        Box::pin(checks::checks(self, airgap))
    }

    fn openapi(&self) -> String {
        openapi_json()
    }

    fn settings(&self) -> Result<Shown, CliError> {
        let settings = self.load()?;
        let (toml, json) = (settings.show().to_owned(), settings.show_as_json().clone());
        Ok(Shown { toml, json })
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }
}
