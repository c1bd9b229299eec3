//! `team join`: accepts an invitation, and keeps the key where later commands find it.
//!
//! Invariant: an invitation is accepted only once there is a place for the key that comes of it.

use std::fs;
use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::application::ports::clock::Clock;
use crate::presentation::cli::args::TeamJoinArgs;
use crate::presentation::cli::client::{CERTIFICATE, Client, Connection, MEMBERSHIP};
use crate::presentation::cli::exit::{CliError, code};
use crate::presentation::cli::format::plain;
use crate::presentation::cli::output::Printer;

/// What stands before the secret in a link.
const MARK: &str = "#invite=";
/// What every secret of an invitation begins with.
const SECRET: &str = "iok_";
/// Nobody is called more than that.
const MAX_NAME_BYTES: u64 = 1000;

/// Runs `team join`.
pub(in crate::presentation::cli) async fn join(
    args: &TeamJoinArgs,
    connection: &Connection,
    clock: Arc<dyn Clock>,
    printer: &Printer,
) -> Result<u8, CliError> {
    let (url, token) = parts(&args.invitation)?;
    let url = url.or_else(|| connection.url.clone()).or_else(|| connection.noted_url());
    let place = Place::prepare(connection, args.force)?;
    // Nobody's key goes along: the invitation speaks for itself.
    let client = Client::new(&Connection { url, ..connection.clone() }, clock)?.as_nobody();
    let named = args.full_name.clone();
    let joined = match accept(&client, token, named.as_deref()).await {
        Err(error) if named.is_none() && is_nameless(&error) => {
            let name = asked_name(printer)?;
            accept(&client, token, Some(&name)).await?
        }
        answer => answer?,
    };
    let secret = plain(&joined["key"]["secret"]);
    let (email, team) = (plain(&joined["user"]["email"]), plain(&joined["tenant"]["name"]));
    let kept = json!({ "url": client.url(), "key": secret, "email": email }).to_string();
    if let Err(error) = place.keep(kept.as_bytes(), connection.cacert.as_deref()) {
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

async fn accept(client: &Client, token: &str, name: Option<&str>) -> Result<Value, CliError> {
    let mut body = Map::from_iter([("token".to_owned(), json!(token))]);
    body.extend(name.map(|name| ("full_name".to_owned(), json!(name))));
    let answer = client.post(&["invites", "accept"], &Value::Object(body)).await;
    answer.map_err(|error| {
        if error.is_code("UNAUTHENTICATED") {
            return CliError::new(code::NOT_PERMITTED, "this invitation is not good (any more)")
                .remedy("each is good once and for a while: ask for another one");
        }
        error
    })
}

/// Whether nothing but a name is missing.
fn is_nameless(error: &CliError) -> bool {
    let errors = error.problem.as_ref().and_then(|problem| problem["errors"].as_array());
    errors.is_some_and(|errors| errors.iter().all(|error| error["pointer"] == "/full_name"))
}

/// What somebody at a terminal is called.
fn asked_name(printer: &Printer) -> Result<String, CliError> {
    let missing = || {
        CliError::usage("this invitation does not say what you are called")
            .remedy("add it: --name 'Your Name'")
    };
    let has_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if printer.is_json() || !has_terminal {
        return Err(missing());
    }
    printer.note("What are you called? What you do is shown under this name.");
    let mut typed = String::new();
    let read = std::io::stdin().lock().take(MAX_NAME_BYTES).read_line(&mut typed);
    let name = typed.trim();
    if read.is_err() || name.is_empty() { Err(missing()) } else { Ok(name.to_owned()) }
}

/// The address of the server and the secret in a link; a secret alone names no server.
///
/// # Errors
/// Something that is neither.
fn parts(invitation: &str) -> Result<(Option<String>, &str), CliError> {
    let invitation = invitation.trim();
    let (base, token) = match invitation.split_once(MARK) {
        Some((page, token)) => {
            let base = page.strip_suffix("/login").unwrap_or(page).trim_end_matches('/');
            (Some(base.to_owned()).filter(|base| !base.is_empty()), token)
        }
        None => (None, invitation),
    };
    if !token.starts_with(SECRET) {
        return Err(CliError::usage("this is no invitation").remedy(format!(
            "its link ends in /login{MARK}{SECRET}…; mind to quote it in a shell"
        )));
    }
    Ok((base, token))
}

/// Where the key will be kept.
struct Place {
    file: PathBuf,
}

impl Place {
    /// Makes sure that the key can be kept.
    fn prepare(connection: &Connection, force: bool) -> Result<Self, CliError> {
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
        if let Some((email, url)) = connection.joined().filter(|_| !force) {
            let who = email.unwrap_or_else(|| "somebody".to_owned());
            let message = format!("{} keeps the key of {who} for {url} already", file.display());
            return Err(CliError::new(code::FAILED, message)
                .remedy(format!("{elsewhere}; or forget that key: --force")));
        }
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

    /// Writes the file that only its owner may read, complete or not at all, and beside it the certificate
    /// that the server was known by.
    fn keep(&self, bytes: &[u8], cacert: Option<&Path>) -> std::io::Result<()> {
        let certificate = self.file.with_file_name(CERTIFICATE);
        match cacert {
            Some(named) => write(&certificate, &fs::read(named)?)?,
            None if certificate.exists() => fs::remove_file(&certificate)?,
            None => {}
        }
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
        let parts = |text: &'static str| parts(text).expect("an invitation");
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

    #[test]
    fn what_is_no_invitation_is_sent_nowhere() {
        for text in [
            "http://a.example/login",
            "https://a.example/login#token=iol_x",
            "https://a.example/login#invite=",
            "iol_x",
            "hello",
            "",
        ] {
            let error = parts(text).expect_err(text);
            assert_eq!(error.exit, code::USAGE, "{text}");
            assert!(error.remedy.is_some_and(|help| help.contains("/login#invite=iok_")), "{text}");
        }
    }
}
