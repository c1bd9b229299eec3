//! `team …`: from one person to a team, and into one.

mod init;
mod join;
mod show;

use serde_json::Value;

pub(super) use self::join::join;
use super::args::TeamCommand;
use super::client::Client;
use super::exit::CliError;
use super::output::Printer;
use super::user;

/// Runs `team …`, but for joining one.
pub(super) async fn run(
    command: TeamCommand,
    client: &Client,
    printer: &Printer,
) -> Result<u8, CliError> {
    match command {
        TeamCommand::Init(args) => init::run(&args, client, printer).await,
        TeamCommand::Show => show::run(client, printer).await,
        TeamCommand::Invite(args) => user::invite(&args, client, printer).await,
        TeamCommand::Join(_) => {
            Err(CliError::usage("no server of this machine is needed for this"))
        }
    }
}

/// The link of an invitation that was just made, with the address under which it is reached.
pub(super) fn link(invite: &Value, client: &Client, address: Option<&str>) -> Option<String> {
    let token = invite["token"].as_str()?;
    let base = address.unwrap_or_else(|| client.url()).trim_end_matches('/');
    Some(format!("{base}/login#invite={token}"))
}

/// Says how others reach a server that this machine alone can reach.
pub(super) fn tell_reach(client: &Client, address: Option<&str>, printer: &Printer) {
    if let Some(file) = client.certificate() {
        printer.note(format!(
            "the server vouches for itself: browsers ask whether to trust it, and `team join` needs its\n\
             certificate; send it along, it is no secret: {}\n  \
             orchestrator --cacert self-signed.pem team join LINK --name 'Your Name'",
            file.display()
        ));
    }
    if address.is_none() && client.is_local() {
        printer.note(
            "this link works on this machine alone; for others, let the server listen to them, as with\n  \
             orchestrator serve --listen 0.0.0.0:8443 --tls self-signed\n\
             and name its address with --address URL; or they forward a port to it, as with\n  \
             ssh -L 8000:127.0.0.1:8000 THIS-MACHINE",
        );
    }
}
