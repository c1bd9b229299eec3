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
    raise_descriptors();
    let clock: Arc<dyn Clock> = Arc::clone(&host.clock) as Arc<dyn Clock>;
    let running = Box::pin(Running::start(&settings, &host.environment, clock, true)).await?;
    until_told(&settings, running, false).await
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
    settings: &Settings,
    running: Running,
    demonstrates: bool,
) -> Result<(), CliError> {
    // Whoever reads the ready line may ask for the end at once.
    let mut signals = [listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?];
    announce(settings, &running, demonstrates).await;
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

/// As many descriptors as this process may have: a thousand connections need more than it usually starts
/// with.
pub(super) fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without the right to raise it, those who come when there is none left have to wait.
    setrlimit(Resource::Nofile, limit).ok();
}
