//! Where messages may go: the guard against addresses inside the house.
//!
//! A name is looked up once for each message, every address of it is judged together with scheme
//! and port, and the connection goes to exactly those addresses: they are handed to the request, which
//! looks nothing up itself. An answer that changes in between is never seen.
//!
//! Invariant: one bad address among those of a name refuses the name.
//! Invariant: link-local, metadata, multicast, broadcast and unspecified addresses are refused
//! whatever is configured, and so is this server itself.

mod addresses;

use std::future::Future;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use self::addresses::{Reach, reach, unwrapped};
use crate::application::ports::notifier::AddressError;

/// Longest look-up of a name.
const LOOKUP_TIME: Duration = Duration::from_secs(5);

/// Looks names up; the system's way, unless a test brings another.
pub trait Lookup: Send + Sync {
    /// The addresses of a name.
    fn lookup(&self, name: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>>;
}

/// The system's resolver.
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Denied(String);

/// A name that leads nowhere.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
struct Unresolved(String);

/// What the settings allow beyond public addresses.
#[derive(Clone, Default)]
pub struct Allowed {
    /// Names, or `name:port`, whose addresses may be private and spoken to without TLS.
    pub hosts: Vec<String>,
    /// Private networks that may be sent to.
    pub networks: Vec<IpNet>,
    /// Where this server listens.
    pub own: Option<SocketAddr>,
    /// What to do about a refusal; to list the host among those of webhooks when `None`.
    pub remedy: Option<&'static str>,
}

/// What helps where webhooks are refused.
const LIST_IT: &str = "have an administrator of the server list it in `webhooks.allowed_hosts` or \
                       `webhooks.allowed_networks`";

/// The guard.
#[derive(Clone)]
pub struct Egress {
    allowed: Arc<Allowed>,
    lookup: Arc<dyn Lookup>,
}

impl Egress {
    /// A guard that looks names up in this way.
    #[must_use]
    pub fn new(allowed: Allowed, lookup: Arc<dyn Lookup>) -> Self {
        Self { allowed: Arc::new(allowed), lookup }
    }

    /// Whether messages may be sent to an address now: form, look-up and judgement.
    ///
    /// # Errors
    /// `AddressError`, in words for whoever named the address.
    pub async fn check(&self, text: &str) -> Result<Checked, AddressError> {
        let url = parse(text)?;
        let port = url.port_or_known_default().unwrap_or_default();
        let (name, found) = match url.host() {
            Some(Host::Ipv4(address)) => (address.to_string(), vec![IpAddr::V4(address)]),
            Some(Host::Ipv6(address)) => (address.to_string(), vec![IpAddr::V6(address)]),
            Some(Host::Domain(name)) => {
                let found = self.resolve(name).await;
                (name.to_owned(), found.map_err(|error| AddressError::Unknown(error.to_string()))?)
            }
            None => return Err(AddressError::Malformed("has no host".to_owned())),
        };
        self.judge(&name, (url.scheme(), port), &found)
            .map_err(|denied| AddressError::Denied(denied.to_string()))?;
        let addresses = found.into_iter().map(|address| SocketAddr::new(address, port)).collect();
        Ok(Checked { url, name, addresses })
    }

    /// Judges every address of a name.
    fn judge(&self, name: &str, way: (&str, u16), found: &[IpAddr]) -> Result<(), Denied> {
        let (scheme, port) = way;
        let full = format!("{name}:{port}");
        let is_listed = self
            .allowed
            .hosts
            .iter()
            .any(|host| host.eq_ignore_ascii_case(name) || host.eq_ignore_ascii_case(&full));
        for address in found {
            let address = unwrapped(*address);
            let is_in = self.allowed.networks.iter().any(|network| network.contains(&address));
            let where_to = if name.parse::<IpAddr>().is_ok() {
                format!("{address} is")
            } else {
                format!("{name} leads to {address}, which is")
            };
            match reach(address) {
                Reach::Never(what) => {
                    return Err(Denied(format!("{where_to} {what}; nothing is ever sent there")));
                }
                Reach::Inside(what) if !(is_listed || is_in) => {
                    let remedy = self.allowed.remedy.unwrap_or(LIST_IT);
                    return Err(Denied(format!("{where_to} {what}; {remedy}")));
                }
                Reach::Public if !is_listed && scheme == "http" => {
                    return Err(Denied(format!(
                        "{name} is a public address; use https, or have an administrator of the \
                         server list it in `webhooks.allowed_hosts`"
                    )));
                }
                Reach::Inside(_) | Reach::Public => {}
            }
            if self.is_own(address, port) {
                return Err(Denied(format!("{name} leads to this server itself")));
            }
        }
        Ok(())
    }

    fn is_own(&self, address: IpAddr, port: u16) -> bool {
        self.allowed.own.is_some_and(|own| {
            // One address of the older family has a spelling in the newer one, too.
            let ours = own.ip().to_canonical();
            let is_here = address == ours
                || (address.is_loopback() && ours.is_loopback())
                || (ours.is_unspecified() && is_of_this_machine(address));
            is_here && port == own.port()
        })
    }

    async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let looked = tokio::time::timeout(LOOKUP_TIME, self.lookup.lookup(name.to_owned())).await;
        match looked {
            Ok(Ok(found)) if !found.is_empty() => Ok(found),
            Ok(Ok(_)) => Err(Unresolved(format!("the host {name} has no address"))),
            Ok(Err(error)) => Err(Unresolved(format!("the host {name} is not known: {error}"))),
            Err(_) => Err(Unresolved(format!("the host {name} could not be looked up in time"))),
        }
    }
}

/// Whether an address belongs to this machine: only such can be bound to.
fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

/// An address that was judged, with everything that its name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    url: Url,
    name: String,
    addresses: Vec<SocketAddr>,
}

tokio::task_local! {
    /// The address that the request of this task was judged for.
    static CHECKED: Checked;
}

impl Checked {
    /// Where to.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Runs a request that may connect to exactly these addresses.
    pub async fn lend<T>(self, request: impl Future<Output = T>) -> T {
        CHECKED.scope(self, request).await
    }
}

/// Hands a request the addresses that it was judged for, and looks nothing up.
pub struct HandedOver;

impl Resolve for HandedOver {
    fn resolve(&self, name: Name) -> Resolving {
        let found = CHECKED.try_with(|checked| {
            let is_it = checked.name.eq_ignore_ascii_case(name.as_str());
            is_it.then(|| checked.addresses.clone())
        });
        Box::pin(async move {
            let judged = found.ok().flatten();
            let judged =
                judged.ok_or_else(|| Denied(format!("{} was not judged", name.as_str())))?;
            Ok(Box::new(judged.into_iter()) as Addrs)
        })
    }
}

/// The address, when it is one that messages could be sent to.
fn parse(text: &str) -> Result<Url, AddressError> {
    let url = Url::parse(text)
        .map_err(|error| AddressError::Malformed(format!("is not an address: {error}")))?;
    let denied = |why: &str| Err(AddressError::Denied(why.to_owned()));
    if !matches!(url.scheme(), "http" | "https") {
        return denied("must begin with https:// or http://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return denied("may not hold a name and password; messages are signed instead");
    }
    if url.fragment().is_some() {
        return denied("may not have a part behind #, which is never sent");
    }
    if url.port() == Some(0) {
        return denied("must have a port between 1 and 65535");
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
