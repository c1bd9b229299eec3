//! `serve`: a server until somebody asks it to end.

use std::io::IsTerminal;
use std::sync::Arc;

use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::graph::sandbox_status;
use super::host::ThisMachine;
use super::server::Running;
use super::settings::{LogFormat, Settings};
use crate::application::ports::clock::Clock;
use crate::infrastructure::drivers::limits::raise_descriptors;
use crate::infrastructure::telemetry::start_logging;
use crate::presentation::cli::exit::{CliError, code};
use crate::presentation::cli::output::Printer;

/// Serves until SIGTERM or SIGINT; a second one ends the process at once.
pub(super) async fn serve(host: &ThisMachine) -> Result<(), CliError> {
    let settings = host.load()?;
    log(&settings)?;
    let hangup = hangups()?;
    raise_descriptors();
    warn_of_sandbox(&settings);
    let clock: Arc<dyn Clock> = Arc::clone(&host.clock) as Arc<dyn Clock>;
    let running = Box::pin(Running::start(&settings, &host.environment, clock, true)).await?;
    Box::pin(until_told(host, &settings, (running, hangup), false)).await
}

/// Says when agents and gates are kept from nothing although they are to be.
fn warn_of_sandbox(settings: &Settings) {
    let status = sandbox_status(settings);
    if let Some(reason) = status.strip_prefix("none: ") {
        let mode = settings.agents.sandbox;
        tracing::warn!(%mode, "Agents and gates run without a sandbox, or not at all: {reason}");
    }
}

/// Begins to write log lines as the settings say.
pub(super) fn log(settings: &Settings) -> Result<(), CliError> {
    let json = match settings.log.format {
        LogFormat::Auto => None,
        LogFormat::Text => Some(false),
        LogFormat::Json => Some(true),
    };
    start_logging(json, &settings.log.filter, &settings.redactor).map_err(|error| {
        CliError::new(code::CONFIG, error).remedy("use a filter such as `info` or `warn`")
    })
}

/// The ready line: exactly one, on standard output. A link that signs its reader in is part of it on a
/// terminal alone: what goes elsewhere is kept, and read by others.
async fn announce(settings: &Settings, running: &Running, demonstrates: bool) {
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
            "fingerprint": running.fingerprint,
        });
        printer.line(line.to_string());
        return;
    }
    let what =
        if demonstrates { "Demonstration (all simulated)" } else { "Industrial Orchestrator" };
    let (url, dir) = (&running.url, running.data_dir().display());
    let token =
        if std::io::stdout().is_terminal() { running.login_token(settings).await } else { None };
    let page = token.map_or_else(|| url.clone(), |token| format!("{url}/login#token={token}"));
    let shown = running.fingerprint.as_ref().map(|text| format!(", certificate: SHA-256 {text}"));
    let shown = shown.unwrap_or_default();
    printer.line(format!(
        "{what} {version} is ready at {page} (API: {url}/docs, key: {dir}/admin.key{shown})"
    ));
    if demonstrates {
        printer.note(format!("in another terminal: orchestrator --data-dir {dir} session list"));
    }
}

/// Says that the server is ready and waits for a signal, then stops in order.
pub(super) async fn until_told(
    host: &ThisMachine,
    settings: &Settings,
    (running, mut hangup): (Running, Signal),
    demonstrates: bool,
) -> Result<(), CliError> {
    // Whoever reads the ready line may ask for the end at once.
    let mut signals = [listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?];
    announce(settings, &running, demonstrates).await;
    let [term, interrupt] = &mut signals;
    // One that is hung up is no terminal any more: whoever closes it wants what runs in it to end.
    let on_terminal = std::io::stdin().is_terminal();
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                if on_terminal && !std::io::stdin().is_terminal() {
                    break;
                }
                running.read_again();
                compare(settings, host);
            }
        }
    }
    tracing::info!("Stopping: no new work is taken; a second signal ends at once");
    tokio::select! {
        () = running.stop() => Ok(()),
        _ = term.recv() => Err(cut_short()),
        _ = interrupt.recv() => Err(cut_short()),
    }
}

/// Hears SIGHUP, which from now on ends a server only with the terminal that it was started on.
pub(super) fn hangups() -> Result<Signal, CliError> {
    listen(SignalKind::hangup())
}

/// Says which settings are other ones by now, and when they count.
fn compare(settings: &Settings, host: &ThisMachine) {
    match host.load() {
        Ok(fresh) => {
            let other = settings.differing(&fresh);
            if other.is_empty() {
                tracing::info!("The settings were read again; none of them has changed");
            } else {
                let keys = other.join(", ");
                tracing::warn!("Settings count from the next start on that have changed: {keys}");
            }
        }
        Err(error) => {
            let why = &error.message;
            tracing::warn!("The settings cannot be read; those before count: {why}");
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, CliError> {
    signal(kind).map_err(|error| CliError::new(code::UNAVAILABLE, format!("no signals: {error}")))
}

fn cut_short() -> CliError {
    CliError::new(code::STOPPED, "ended at once by a second signal")
        .remedy("nothing acknowledged is lost; the next start takes up what was running")
}
