//! `team join`: accepts an invitation, and keeps the key where later commands find it.
//!
//! Invariant: an invitation is accepted only once there is a place for the key that comes of it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::application::ports::clock::Clock;
use crate::presentation::cli::args::TeamJoinArgs;
use crate::presentation::cli::client::{Client, Connection, MEMBERSHIP};
use crate::presentation::cli::exit::{CliError, code};
use crate::presentation::cli::format::plain;
use crate::presentation::cli::output::Printer;

/// What stands before the secret in a link.
const MARK: &str = "#invite=";

/// Runs `team join`.
pub(in crate::presentation::cli) async fn join(
    args: &TeamJoinArgs,
    connection: &Connection,
    clock: Arc<dyn Clock>,
    printer: &Printer,
) -> Result<u8, CliError> {
    let (url, token) = parts(&args.invitation);
    let url = url.or_else(|| connection.url.clone()).or_else(|| connection.noted_url());
    let place = Place::prepare(connection)?;
    // Nobody's key goes along: the invitation speaks for itself.
    let client = Client::new(&Connection { url, ..Connection::default() }, clock)?;
    let mut body = Map::from_iter([("token".to_owned(), json!(token))]);
    body.extend(args.full_name.iter().map(|name| ("full_name".to_owned(), json!(name))));
    let answer = client.post(&["invites", "accept"], &Value::Object(body)).await;
    let joined = answer.map_err(|error| {
        if error.is_code("UNAUTHENTICATED") {
            return CliError::new(code::NOT_PERMITTED, "this invitation is not good (any more)")
                .remedy("each is good once and for a while: ask for another one");
        }
        error
    })?;
    let secret = plain(&joined["key"]["secret"]);
    let (email, team) = (plain(&joined["user"]["email"]), plain(&joined["tenant"]["name"]));
    let kept = json!({ "url": client.url(), "key": secret, "email": email }).to_string();
    if let Err(error) = place.keep(kept.as_bytes()) {
        // The key is shown once: whoever loses the file must not lose it.
        printer.line(&secret);
        let file = place.file.display();
        let message = format!("you joined {team}, but {file} cannot be written: {error}");
        return Err(CliError::new(code::FAILED, message)
            .remedy("keep the key that was printed, and show it with ORCHESTRATOR_KEY"));
    }
    let file = place.file.display().to_string();
    if printer.is_json() {
        let (user, tenant) = (&joined["user"], &joined["tenant"]);
        printer.json(&json!({ "user": user, "tenant": tenant, "key_file": file }));
        return Ok(code::OK);
    }
    printer.line(format!("You are {email}, {} of {team}.", plain(&joined["user"]["role"])));
    printer.note(format!("your key is kept in {file}; commands on this machine act as you"));
    printer.note("see for yourself: orchestrator whoami");
    Ok(code::OK)
}

/// The address of the server and the secret in a link; a secret alone names no server.
fn parts(invitation: &str) -> (Option<String>, &str) {
    let invitation = invitation.trim();
    match invitation.split_once(MARK) {
        Some((page, token)) => {
            let base = page.strip_suffix("/login").unwrap_or(page).trim_end_matches('/');
            (Some(base.to_owned()).filter(|base| !base.is_empty()), token)
        }
        None => (None, invitation),
    }
}

/// Where the key will be kept.
struct Place {
    file: PathBuf,
}

impl Place {
    /// Makes sure that the key can be kept.
    fn prepare(connection: &Connection) -> Result<Self, CliError> {
        let elsewhere = "keep your key elsewhere: --data-dir DIR, with later commands too";
        let Some(dir) = &connection.data_dir else {
            let message = "there is no folder to keep your key in";
            return Err(CliError::new(code::CONFIG, message).remedy(elsewhere));
        };
        if connection.has_store() {
            let message = format!(
                "{} belongs to a server, whose commands act as its administrator",
                dir.display()
            );
            return Err(CliError::new(code::FAILED, message).remedy(elsewhere));
        }
        let file = dir.join(MEMBERSHIP);
        let probe = file.with_extension("new");
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.and_then(|()| write(&probe, b"")).and_then(|()| fs::remove_file(&probe)).map_err(
            |error| {
                let message = format!("{} cannot be written: {error}", file.display());
                CliError::new(code::NOT_PERMITTED, message).remedy(elsewhere)
            },
        )?;
        Ok(Self { file })
    }

    /// Writes the file that only its owner may read; complete or not at all.
    fn keep(&self, bytes: &[u8]) -> std::io::Result<()> {
        let fresh = self.file.with_extension("new");
        write(&fresh, bytes).and_then(|()| fs::rename(&fresh, &self.file))
    }
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_names_its_server_and_a_secret_does_not() {
        let base = |text: &str| Some(text.to_owned());
        assert_eq!(
            parts(" https://a.example:8443/login#invite=iok_x "),
            (base("https://a.example:8443"), "iok_x")
        );
        assert_eq!(
            parts("http://a.example/deep/login#invite=iok_x"),
            (base("http://a.example/deep"), "iok_x")
        );
        assert_eq!(parts("iok_x"), (None, "iok_x"));
        assert_eq!(parts("/login#invite=iok_x"), (None, "iok_x"));
    }
}
