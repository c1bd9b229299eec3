//! Where messages may go: the guard against addresses inside the house.
//!
//! A literal address is judged before the request, since it never reaches the resolver; a name is
//! looked up by us for every connection, and the connection goes to what was judged, so that an
//! answer that changes in between leads nowhere.
//!
//! Invariant: one bad address among those of a name refuses the name.
//! Invariant: link-local, metadata, multicast, broadcast and unspecified addresses are refused
//! whatever is configured, and so is this server itself.

mod addresses;

use std::net::{IpAddr, SocketAddr};
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
}

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
    pub async fn check(&self, text: &str) -> Result<(), AddressError> {
        let url = parse(text).map_err(AddressError::Malformed)?;
        let denied = |denied: Denied| AddressError::Denied(denied.to_string());
        self.judge(&url).map_err(denied)?;
        let Some(Host::Domain(name)) = url.host() else { return Ok(()) };
        let found = self.resolve(name).await.map_err(|e| AddressError::Unknown(e.to_string()))?;
        let port = url.port_or_known_default().unwrap_or_default();
        self.judge_name(name, Some((url.scheme(), port)), &found).map_err(denied)
    }

    fn judge(&self, url: &Url) -> Result<(), Denied> {
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        let port = url.port_or_known_default().unwrap_or_default();
        let name = literal.to_string();
        self.judge_name(&name, Some((url.scheme(), port)), &[literal])
    }

    /// Judges every address of a name; scheme and port count where they are known.
    fn judge_name(
        &self,
        name: &str,
        way: Option<(&str, u16)>,
        found: &[IpAddr],
    ) -> Result<(), Denied> {
        let is_listed = self.allowed.hosts.iter().any(|host| {
            let with_port = way.map(|(_, port)| format!("{name}:{port}"));
            host.eq_ignore_ascii_case(name)
                || with_port.is_some_and(|full| host.eq_ignore_ascii_case(&full))
                || (way.is_none()
                    && host.rsplit_once(':').is_some_and(|(it, _)| it.eq_ignore_ascii_case(name)))
        });
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
                    return Err(Denied(format!(
                        "{where_to} {what}; have an administrator of the \
                         server list it in `webhooks.allowed_hosts` or `webhooks.allowed_networks`"
                    )));
                }
                Reach::Public if !is_listed && way.is_some_and(|(scheme, _)| scheme == "http") => {
                    return Err(Denied(format!(
                        "{name} is a public address; use https, or have an administrator of the \
                         server list it in `webhooks.allowed_hosts`"
                    )));
                }
                Reach::Inside(_) | Reach::Public => {}
            }
            if self.is_own(address, way) {
                return Err(Denied(format!("{name} leads to this server itself")));
            }
        }
        Ok(())
    }

    fn is_own(&self, address: IpAddr, way: Option<(&str, u16)>) -> bool {
        self.allowed.own.is_some_and(|own| {
            let is_here = address == own.ip() || (address.is_loopback() && own.ip().is_loopback());
            is_here && way.is_some_and(|(_, port)| port == own.port())
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

impl Resolve for Egress {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = Self::resolve(&guard, name.as_str()).await?;
            guard.judge_name(name.as_str(), None, &found)?;
            // Port 0 stands for the one of the address.
            let judged = found.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(judged) as Addrs)
        })
    }
}

/// The address, when it is one that messages could be sent to.
fn parse(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not an address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must begin with https:// or http://".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("may not hold a name and password; messages are signed instead".to_owned());
    }
    if url.fragment().is_some() {
        return Err("may not have a part behind #, which is never sent".to_owned());
    }
    if url.port() == Some(0) {
        return Err("must have a port between 1 and 65535".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
