//! Log lines: text for people, JSON for programs, on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Begins to write log lines; a second call in one process changes nothing.
///
/// # Errors
/// What is wrong with the filter.
pub fn start_logging(json: Option<bool>, filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| format!("the log filter `{filter}` is not valid: {error}"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let as_json = json.unwrap_or_else(|| !io::stderr().is_terminal());
    let begun = if as_json {
        lines.json().flatten_event(true).with_target(false).try_init()
    } else {
        lines.compact().with_target(false).with_ansi(io::stderr().is_terminal()).try_init()
    };
    if begun.is_err() {
        tracing::debug!("Log lines are written already");
    }
    Ok(())
}
