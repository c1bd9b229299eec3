//! `login`: a link that signs a browser in.
//!
//! Invariant: the link is shown on a terminal, or where somebody said that it shall be: what is written to
//! logs and files is read by others. No browser is started with it either: everybody on a machine sees
//! what its programs were started with.

use std::io::IsTerminal;

use serde_json::json;

use super::Context;
use super::exit::{CliError, code};
use super::format::{plain, relative};

/// Runs `login`.
pub(super) async fn run(print: bool, context: &Context<'_>) -> Result<u8, CliError> {
    let printer = context.printer;
    if !print && !printer.is_json() && !std::io::stdout().is_terminal() {
        return Err(CliError::usage("a login link is shown on a terminal only")
            .remedy("say that it shall be printed all the same: orchestrator login --print"));
    }
    // A link lives in the server that made it.
    let client = context.running().await?.ok_or_else(|| {
        CliError::new(code::UNAVAILABLE, "no server runs here that a browser could be signed in to")
            .remedy("start one with `orchestrator serve`, or name another with --url")
    })?;
    let link = client.post(&["login-links"], &json!({})).await?;
    let (url, path) = (client.url(), plain(&link["path"]));
    if printer.is_json() {
        let end = &link["expires_at"];
        printer.json(&json!({ "url": format!("{url}{path}"), "expires_at": end }));
        return Ok(code::OK);
    }
    printer.line(format!("{url}{path}"));
    let end = relative(&link["expires_at"], client.clock.now());
    printer.note(format!("it signs one browser in, once; it ends {end}"));
    Ok(code::OK)
}
