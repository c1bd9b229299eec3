//! `why`: where a session stands, what it waits for, and what would help.

use serde_json::Value;

use super::client::Client;
use super::exit::{CliError, code};
use super::format::{UNKNOWN, clean, plain, relative};
use super::output::{ALERT, BOLD, DIM, Printer, painted, status_word};

/// Explains a session.
pub(super) async fn run(session: &str, client: &Client, printer: &Printer) -> Result<u8, CliError> {
    let explanation = client.get(&["sessions", session, "explain"], &[]).await?;
    if printer.is_json() {
        printer.json(&explanation);
        return Ok(code::OK);
    }
    let state = explanation.get("state").map_or_else(|| UNKNOWN.to_owned(), state_word);
    printer.line(format!("{} is {}", painted(&clean(session), BOLD), status_word(&state)));
    let position = plain(&explanation["queue_position"]);
    if position != UNKNOWN {
        let is_estimate = explanation["estimated"] == true && explanation["eta"].is_null();
        let about = if is_estimate { "about " } else { "" };
        printer.line(format!("  position in the queue: {about}{position}"));
    }
    if !explanation["eta"].is_null() {
        let eta = relative(&explanation["eta"], client.clock.now());
        printer.line(format!("  expected to begin: {eta}, by how fast others did"));
    }
    let blockers = explanation["blockers"].as_array().map_or(&[][..], Vec::as_slice);
    if blockers.is_empty() {
        printer.line("  nothing holds it up");
    }
    for blocker in blockers {
        print(blocker, client, printer);
    }
    Ok(code::OK)
}

/// The state is a word, or an object that has one.
fn state_word(state: &Value) -> String {
    plain(state.get("status").unwrap_or(state))
}

fn print(blocker: &Value, client: &Client, printer: &Printer) {
    let since = relative(&blocker["since"], client.clock.now());
    let since = if since == UNKNOWN { String::new() } else { format!(" (since {since})") };
    let text = plain(&blocker["text"]);
    let code = plain(&blocker["code"]);
    printer.line(format!("\n  {} {}{}", painted(&code, ALERT), text, painted(&since, DIM)));
    if !blocker["remedy"].is_null() {
        printer.line(format!("    what helps: {}", plain(&blocker["remedy"])));
    }
    if !blocker["command"].is_null() {
        printer.line(format!("    {}", painted(&plain(&blocker["command"]), BOLD)));
    }
}
