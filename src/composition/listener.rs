//! Where the server listens.
//!
//! Invariant: who asked for the loopback of this machine is not met by another program under `localhost`
//! without a word.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use super::server::failed;
use crate::presentation::api::server::Listeners;
use crate::presentation::cli::exit::{CliError, code};

/// Connections that may wait to be taken: as many as may be open, so that none is lost when all of them
/// come at once.
const WAITING: u32 = 4096;

fn bound(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

/// At the address, and where `localhost` may lead besides when that is the loopback of IPv4: nobody else
/// shall be met there.
pub(super) fn listen(address: SocketAddr, is_proxied: bool) -> Result<Listeners, CliError> {
    let first = listen_at(address)?;
    // A proxy is named by its address: under another one it would be nobody.
    if is_proxied || address.ip() != IpAddr::V4(Ipv4Addr::LOCALHOST) {
        return Ok(first.into());
    }
    let port = first.local_addr().map_err(|error| failed("the listener", &error))?.port();
    let twin = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    let twin = match bound(twin) {
        Ok(listener) => Some(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse && address.port() != 0 => {
            tracing::warn!(
                "{twin} is taken by another program: `localhost` may lead to it; say 127.0.0.1"
            );
            None
        }
        // A machine without IPv6, or a port that was picked.
        Err(_) => None,
    };
    Ok(Listeners { first, twin })
}

fn listen_at(address: SocketAddr) -> Result<TcpListener, CliError> {
    bound(address).map_err(|error| {
        if error.kind() == ErrorKind::AddrInUse {
            let text = format!("{address} is taken by another program");
            return CliError::new(code::UNAVAILABLE, text).remedy(
                "end that program, or choose another port: --listen 127.0.0.1:0 picks one",
            );
        }
        if error.kind() == ErrorKind::PermissionDenied {
            let text = format!("{address} may not be listened on");
            return CliError::new(code::NOT_PERMITTED, text)
                .remedy("choose a port above 1023, as in --listen 127.0.0.1:8000");
        }
        failed(&format!("listening on {address}"), &error)
    })
}
