//! `serve`: a server until somebody asks it to end.

use std::io::IsTerminal;
use std::sync::Arc;

use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::host::ThisMachine;
use super::server::Running;
use super::settings::{LogFormat, Settings};
use crate::application::ports::clock::Clock;
use crate::infrastructure::telemetry::start_logging;
use crate::presentation::cli::exit::{CliError, code};
use crate::presentation::cli::output::Printer;

/// Serves until SIGTERM or SIGINT; a second one ends the process at once.
pub(super) async fn serve(host: &ThisMachine) -> Result<(), CliError> {
    let settings = host.load()?;
    log(&settings)?;
    let clock: Arc<dyn Clock> = Arc::clone(&host.clock) as Arc<dyn Clock>;
    let running = Box::pin(Running::start(&settings, &host.environment, clock, true)).await?;
    announce(&settings, &running, false);
    until_told(running).await
}

/// Begins to write log lines as the settings say.
pub(super) fn log(settings: &Settings) -> Result<(), CliError> {
    let json = match settings.log.format {
        LogFormat::Auto => None,
        LogFormat::Text => Some(false),
        LogFormat::Json => Some(true),
    };
    start_logging(json, &settings.log.filter).map_err(|error| {
        CliError::new(code::CONFIG, error).remedy("use a filter such as `info` or `warn`")
    })
}

/// The ready line: exactly one, on standard output.
pub(super) fn announce(settings: &Settings, running: &Running, demonstrates: bool) {
    let as_json = match settings.log.format {
        LogFormat::Auto => !std::io::stdout().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let version = env!("CARGO_PKG_VERSION");
    let printer = Printer::new(as_json);
    if as_json {
        let line = json!({
            "event": "ready", "url": running.url, "version": version, "store": running.store,
            "recovered": running.recovered, "key_file": running.key_file(),
        });
        printer.line(line.to_string());
        return;
    }
    let what =
        if demonstrates { "Demonstration (all simulated)" } else { "Industrial Orchestrator" };
    let (url, dir) = (&running.url, running.data_dir().display());
    printer.line(format!(
        "{what} {version} is ready at {url} (API: {url}/docs, key: {dir}/admin.key)"
    ));
    if demonstrates {
        printer.note(format!("in another terminal: orchestrator --data-dir {dir} session list"));
    }
}

/// Waits for a signal, then stops in order.
pub(super) async fn until_told(running: Running) -> Result<(), CliError> {
    let mut signals = [listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?];
    let [term, interrupt] = &mut signals;
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("Stopping: no new work is taken; a second signal ends at once");
    tokio::select! {
        () = running.stop() => Ok(()),
        _ = term.recv() => Err(cut_short()),
        _ = interrupt.recv() => Err(cut_short()),
    }
}

fn listen(kind: SignalKind) -> Result<Signal, CliError> {
    signal(kind).map_err(|error| CliError::new(code::UNAVAILABLE, format!("no signals: {error}")))
}

fn cut_short() -> CliError {
    CliError::new(code::STOPPED, "ended at once by a second signal")
        .remedy("nothing acknowledged is lost; the next start takes up what was running")
}
