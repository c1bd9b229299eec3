//! What the command line gets from this machine: settings, checks, and a server in this process.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::settings::{Environment, SettingFlags, Settings, StoreLocation, TlsOptions};
use super::{checks, detect, server::Running, server::unarchived};
use crate::application::ports::clock::Clock;
use crate::domain::audit::checkpoint::Verify;
use crate::infrastructure::clock::SystemClock;
use crate::infrastructure::ids::SystemIds;
use crate::infrastructure::keys::sign::verify;
use crate::infrastructure::storage::redb::archive::{self, ArchiveFault, Imported};
use crate::infrastructure::telemetry::start_logging;
use crate::presentation::api::openapi_json;
use crate::presentation::cli::detect::Sighting;
use crate::presentation::cli::doctor::Check;
use crate::presentation::cli::exit::{CliError, code};
use crate::presentation::cli::{Host, ServerHandle, Shown, Sign};

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

    /// Where a store is to lie.
    fn empty_home(&self) -> Result<PathBuf, CliError> {
        let settings = self.load()?;
        match &settings.store.location {
            StoreLocation::Redb(store) => {
                Ok(store.parent().unwrap_or(&settings.server.data_dir).to_owned())
            }
            StoreLocation::Memory => {
                let text = "the settings name a store in memory, which nothing is put back into";
                Err(CliError::new(code::CONFIG, text).remedy("take away store.url"))
            }
        }
    }

    async fn in_process(&self, works: bool) -> Result<ServerHandle, CliError> {
        let mut settings = self.load()?;
        settings.server.listen = ([127, 0, 0, 1], 0).into();
        settings.server.tls = TlsOptions::Off;
        settings.server.behind_proxy.clear();
        start_logging(None, "warn", &settings.redactor)
            .map_err(|error| CliError::new(code::CONFIG, error))?;
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

    fn sightings(&self) -> BoxFuture<'_, Result<Vec<Sighting>, CliError>> {
        Box::pin(detect::sightings(self))
    }

    fn openapi(&self) -> String {
        openapi_json()
    }

    fn verify_archive(&self, file: PathBuf) -> BoxFuture<'_, Result<Value, CliError>> {
        Box::pin(async move {
            let verified = tokio::task::spawn_blocking(move || archive::verify(&file)).await;
            let verified = verified.unwrap_or_else(|error| Err(ArchiveFault::from(error)));
            verified.map(|manifest| json!(manifest)).map_err(|error| unarchived(&error))
        })
    }

    fn restore(&self, file: PathBuf) -> BoxFuture<'_, Result<Value, CliError>> {
        Box::pin(async move {
            let (dir, clock) = (self.empty_home()?, Arc::clone(&self.clock) as Arc<dyn Clock>);
            let restored = archive::restore(&file, &dir, clock, Arc::new(SystemIds)).await;
            let restored = restored.map_err(|error| unarchived(&error))?;
            Ok(json!({
                "data_dir": dir, "tenants": restored.tenants, "manifest": restored.manifest,
            }))
        })
    }

    fn import(&self, file: PathBuf) -> BoxFuture<'_, Result<Value, CliError>> {
        Box::pin(async move {
            let (dir, clock) = (self.empty_home()?, Arc::clone(&self.clock) as Arc<dyn Clock>);
            let imported = archive::import(&file, &dir, clock, Arc::new(SystemIds)).await;
            let Imported { rows, damaged, without_secret, tenants } =
                imported.map_err(|error| unarchived(&error))?;
            Ok(json!({
                "data_dir": dir, "tenants": tenants, "records": rows, "damaged": damaged,
                "webhooks_without_secret": without_secret,
            }))
        })
    }

    fn settings(&self) -> Result<Shown, CliError> {
        let settings = self.load()?;
        let (toml, json) = (settings.show().to_owned(), settings.show_as_json().clone());
        Ok(Shown { toml, json })
    }

    fn signer(&self) -> Sign {
        crate::infrastructure::push::signature
    }

    fn verifier(&self) -> Verify {
        verify
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }
}
