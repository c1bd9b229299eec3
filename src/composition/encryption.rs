//! How the server is reached: its certificate, its address, and the names it answers to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use rustls::ServerConfig;
use tokio::sync::watch;

use super::settings::{ServerOptions, TlsOptions};
use crate::domain::time::Timestamp;
use crate::infrastructure::tls::{Identity, Made, Renewal, TlsError, from_files, made, stored};
use crate::presentation::api::guard::name_of;
use crate::presentation::cli::doctor::Check;
use crate::presentation::cli::exit::{CliError, code};

/// The certificate that the settings name, when they name one: nothing listens before it is read.
pub(super) fn given(tls: &TlsOptions) -> Result<Option<Identity>, CliError> {
    match tls {
        TlsOptions::Files { cert, key } => from_files(cert, key).map(Some).map_err(|error| {
            CliError::new(code::CONFIG, error.to_string())
                .remedy("name a certificate and its own key: --tls-cert FILE --tls-key FILE")
        }),
        TlsOptions::Off | TlsOptions::SelfSigned => Ok(None),
    }
}

/// What connections are encrypted with.
pub(super) struct Encryption {
    /// SHA-256 of the certificate that the server begins with.
    pub fingerprint: String,
    /// For the listener.
    pub shown: watch::Receiver<Arc<ServerConfig>>,
    /// Looks whether the files of the certificate were replaced; one of our own lasts longer than that.
    pub renewal: Option<Renewal>,
}

/// What to serve with. A certificate of its own is made by the server that holds the directory.
pub(super) fn of(
    given: Option<Identity>,
    server: &ServerOptions,
    now: Timestamp,
) -> Result<Option<Encryption>, CliError> {
    warn_of_nobody(server);
    let encryption = match (&server.tls, given) {
        (TlsOptions::Files { cert, key }, Some(given)) => {
            let fingerprint = given.fingerprint.clone();
            let (renewal, shown) = Renewal::new(cert.clone(), key.clone(), given);
            Encryption { fingerprint, shown, renewal: Some(renewal) }
        }
        (TlsOptions::SelfSigned, _) => {
            let Identity { config, fingerprint } = own(server, now)?;
            Encryption { fingerprint, shown: watch::channel(config).1, renewal: None }
        }
        (TlsOptions::Off, _) | (TlsOptions::Files { .. }, None) => return Ok(None),
    };
    Ok(Some(encryption))
}

/// The certificate that the server makes for itself.
fn own(server: &ServerOptions, now: Timestamp) -> Result<Identity, CliError> {
    let Made { identity, file, until, replaces } =
        made(&server.data_dir, &names(server), now).map_err(|error| unmade(&error))?;
    let (fingerprint, file) = (&identity.fingerprint, file.display());
    if replaces {
        tracing::warn!(
            "{file} was made anew, with other names or a later end: who trusts the old one by hand \
             needs the new one, SHA-256 {fingerprint}"
        );
    } else {
        tracing::info!("{file} is shown to clients until {until}, SHA-256 {fingerprint}");
    }
    Ok(identity)
}

fn unmade(error: &TlsError) -> CliError {
    let exit = match error {
        TlsError::File { .. } => code::NOT_PERMITTED,
        TlsError::Content { .. } | TlsError::Unusable { .. } | TlsError::Unmade(_) => code::CONFIG,
    };
    CliError::new(exit, error.to_string())
        .remedy("look at `server.allowed_hosts`, and whether the data directory can be written")
}

/// Whoever listens for other machines and answers to no name of theirs has forgotten something.
fn warn_of_nobody(server: &ServerOptions) {
    if server.listen.ip().is_unspecified() && server.allowed_hosts.is_empty() {
        tracing::warn!(
            "Only this machine is answered: name how others call the server in \
             `server.allowed_hosts`, such as 192.168.1.5"
        );
    }
}

/// What certificates of our own are for.
fn names(server: &ServerOptions) -> Vec<String> {
    let listed = hosts(server, server.listen);
    listed.iter().filter_map(|host| name_of(host)).collect()
}

/// What requests may be addressed to, beside the loopback names: what is listed, and the address that
/// the server was told to listen on.
pub(super) fn hosts(server: &ServerOptions, address: SocketAddr) -> Vec<String> {
    let mut hosts = server.allowed_hosts.clone();
    if !address.ip().is_unspecified() && !address.ip().is_loopback() {
        hosts.push(address.to_string());
    }
    // By the name that others are told, the server is called, too.
    if let Some(host) = server.public_url.as_ref().and_then(url::Url::host_str) {
        let port = server.public_url.as_ref().and_then(url::Url::port);
        hosts.push(port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")));
    }
    hosts
}

/// Where the server is reached from this machine.
pub(super) fn url(address: SocketAddr, is_encrypted: bool) -> String {
    let scheme = if is_encrypted { "https" } else { "http" };
    let ip = match address.ip() {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        named @ (IpAddr::V4(_) | IpAddr::V6(_)) => named,
    };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
}

/// What `doctor` says of the certificate; nothing when there is to be none.
pub(super) fn check(server: &ServerOptions, now: Timestamp) -> Option<Check> {
    const NAME: &str = "certificate";
    match &server.tls {
        TlsOptions::Off => None,
        TlsOptions::Files { cert, key } => Some(match from_files(cert, key) {
            Ok(identity) => Check::ok(NAME, format!("SHA-256 {}", identity.fingerprint)),
            Err(error) => {
                let fix = "name a certificate and its own key: --tls-cert FILE --tls-key FILE";
                Check::fail(NAME, error.to_string(), fix)
            }
        }),
        TlsOptions::SelfSigned => Some(match stored(&server.data_dir) {
            None => Check::ok(NAME, "is made at the first start"),
            Some((made, _)) => {
                let text = format!("SHA-256 {} until {}", made.identity.fingerprint, made.until);
                if made.until > now {
                    return Some(Check::ok(NAME, text));
                }
                Check::warn(NAME, text, "start the server anew: it then makes another one")
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_reaches_a_server_that_listens_everywhere_by_loopback() {
        for (address, is_encrypted, expected) in [
            ("127.0.0.1:8000", false, "http://127.0.0.1:8000"),
            ("0.0.0.0:8000", true, "https://127.0.0.1:8000"),
            ("[::]:8000", true, "https://[::1]:8000"),
            ("192.168.1.5:443", true, "https://192.168.1.5:443"),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(url(address, is_encrypted), expected);
        }
    }
}
