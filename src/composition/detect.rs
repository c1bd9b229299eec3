//! `agent detect`: which of the agents that are known are installed here, and whether they work.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::graph::{command_options, opencode_options};
use super::host::ThisMachine;
use super::settings::{Enabled, Settings};
use crate::application::ports::clock::Clock;
use crate::application::ports::driver::AgentDriver;
use crate::domain::agent::AgentKind;
use crate::domain::ids::TenantId;
use crate::infrastructure::drivers::command::{CommandDriver, Found};
use crate::infrastructure::drivers::opencode::OpencodeDriver;
use crate::infrastructure::drivers::presets::{self, Preset};
use crate::infrastructure::ids::SystemIds;
use crate::presentation::cli::detect::Sighting;
use crate::presentation::cli::exit::CliError;

/// Programs that are asked at once.
const AT_ONCE: usize = 4;

/// Looks for every agent that is known.
pub(super) async fn sightings(host: &ThisMachine) -> Result<Vec<Sighting>, CliError> {
    let settings = host.load()?;
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let clock = Arc::clone(&host.clock) as Arc<dyn Clock>;
    let options = command_options(&settings, &host.environment);
    let driver = CommandDriver::new(options, clock, Arc::new(SystemIds), tracker.clone(), &stop);
    let looks: Vec<_> = presets::all().iter().map(|preset| of_preset(&driver, preset)).collect();
    let mut seen: Vec<Sighting> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    if settings.opencode.enabled != Enabled::No {
        seen.insert(0, of_server(host, &settings, &driver, &tracker, &stop).await);
    }
    driver.shutdown().await;
    Ok(seen)
}

async fn of_preset(driver: &CommandDriver, preset: &Preset) -> Sighting {
    let config = Map::from_iter([("preset".to_owned(), json!(preset.name))]);
    let found = driver.find(TenantId::BOOTSTRAP, preset.kind, &config).await;
    let (program, version, problem) = match found {
        Ok(Found { program, version: Ok(version) }) => (Some(program), version, None),
        Ok(Found { program, version: Err(error) }) => (Some(program), None, Some(error.message)),
        Err(error) => (None, None, Some(error.message)),
    };
    Sighting {
        name: preset.name.clone(),
        title: preset.title.clone(),
        kind: preset.kind,
        agent: preset.agent.clone(),
        program,
        version,
        abilities: preset.abilities.clone(),
        capabilities: preset.capabilities.clone(),
        problem,
        install: preset.install.clone(),
        config: Some(Value::Object(config)),
    }
}

/// The OpenCode server, which is registered by itself.
async fn of_server(
    host: &ThisMachine,
    settings: &Settings,
    driver: &CommandDriver,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) -> Sighting {
    let mut seen = Sighting {
        name: "opencode".to_owned(),
        title: "OpenCode (server)".to_owned(),
        kind: AgentKind::Opencode,
        agent: "AGENT-OPENCODE".to_owned(),
        program: None,
        version: None,
        abilities: ["resume", "inject", "asks", "usage", "fork"].map(str::to_owned).to_vec(),
        capabilities: settings.opencode.capabilities.clone(),
        problem: None,
        install: "npm install -g opencode-ai".to_owned(),
        config: None,
    };
    let config = Map::from_iter([("command".to_owned(), json!(settings.opencode.command))]);
    match driver.find(TenantId::BOOTSTRAP, AgentKind::Opencode, &config).await {
        Ok(found) => seen.program = Some(found.program),
        Err(error) => {
            seen.problem = Some(error.message);
            return seen;
        }
    }
    let options = opencode_options(settings, &host.environment);
    let clock = Arc::clone(&host.clock) as Arc<dyn Clock>;
    let server = OpencodeDriver::new(options, clock, tracker.clone(), stop);
    match server.probe(TenantId::SYSTEM, &Map::new()).await {
        Ok(report) => seen.version = Some(report.version),
        Err(error) => seen.problem = Some(error.message),
    }
    server.shutdown().await;
    seen
}
