//! For whom a proxy asks, and how it was reached.
//!
//! Invariant: only proxies that the settings name are believed; what anybody else says of himself in
//! these headers is not looked at.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use super::caller::Scheme;

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// What proxies add to a request that they pass on.
const ADDED: [HeaderName; 6] = [
    FOR,
    PROTO,
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("via"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// Put by the server on a request that a proxy which it believes has passed on.
#[derive(Debug, Clone, Copy)]
pub struct PassedOn;

/// The proxies that are believed.
#[derive(Debug, Clone, Default)]
pub struct Proxies(pub Vec<IpNet>);

impl Proxies {
    /// Whether a peer is one of them.
    #[must_use]
    pub fn contain(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&peer))
    }

    /// Who asks, and how: the peer itself, unless it is a proxy. Then it is the last address of its
    /// list that is not a proxy's, since everything before that address may be made up.
    #[must_use]
    pub fn seen(&self, peer: IpAddr, scheme: Scheme, headers: &HeaderMap) -> (IpAddr, Scheme) {
        if !self.contain(peer) {
            return (peer, scheme);
        }
        let said = match last(headers, &PROTO) {
            Some(word) if word.eq_ignore_ascii_case("https") => Scheme::Https,
            Some(word) if word.eq_ignore_ascii_case("http") => Scheme::Http,
            Some(_) | None => scheme,
        };
        let mut client = peer;
        for hop in items(headers, &FOR).rev() {
            let Some(address) = address(hop) else { break };
            client = address;
            if !self.contain(address) {
                break;
            }
        }
        (client, said)
    }
}

/// Whether a request says that it was passed on, whoever says so.
#[must_use]
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    ADDED.iter().any(|name| headers.contains_key(name))
}

fn items<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl DoubleEndedIterator<Item = &'a str> {
    let lines = headers.get_all(name).iter();
    lines.flat_map(|line| line.to_str().unwrap_or("?").split(',')).map(str::trim)
}

fn last<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    items(headers, name).next_back()
}

/// An address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let plain = bare.parse::<IpAddr>().ok();
    let found = plain.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    found.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn seen(peer: &str, given: &[(HeaderName, &'static str)]) -> (String, Scheme) {
        let networks = ["10.0.0.0/8", "::1/128"].map(|text| text.parse().expect("a network"));
        let mut headers = HeaderMap::new();
        for (name, value) in given {
            headers.append(name, HeaderValue::from_static(value));
        }
        let peer = peer.parse().expect("an address");
        let (client, scheme) = Proxies(networks.to_vec()).seen(peer, Scheme::Http, &headers);
        (client.to_string(), scheme)
    }

    #[test]
    fn only_named_proxies_are_believed() {
        let said = [(FOR, "9.9.9.9"), (PROTO, "https")];
        assert_eq!(seen("192.168.0.1", &said), ("192.168.0.1".to_owned(), Scheme::Http));
        assert_eq!(seen("10.1.2.3", &said), ("9.9.9.9".to_owned(), Scheme::Https));
        assert_eq!(seen("::1", &said), ("9.9.9.9".to_owned(), Scheme::Https));
    }

    #[test]
    fn the_last_address_that_is_no_proxys_counts() {
        for (list, client) in [
            ("1.1.1.1, 9.9.9.9", "9.9.9.9"),
            ("1.1.1.1, 9.9.9.9, 10.0.0.7", "9.9.9.9"),
            ("10.0.0.8, 10.0.0.7", "10.0.0.8"),
            ("9.9.9.9:4711", "9.9.9.9"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:9.9.9.9", "9.9.9.9"),
            ("9.9.9.9, unknown", "10.1.2.3"),
            ("9.9.9.9, <script>, 10.0.0.7", "10.0.0.7"),
            ("", "10.1.2.3"),
        ] {
            assert_eq!(seen("10.1.2.3", &[(FOR, list)]).0, client, "{list}");
        }
        let lines = [(FOR, "1.1.1.1"), (FOR, "9.9.9.9"), (PROTO, "http, https")];
        assert_eq!(seen("10.1.2.3", &lines), ("9.9.9.9".to_owned(), Scheme::Https));
        assert_eq!(seen("10.1.2.3", &[(PROTO, "gopher")]).1, Scheme::Http);
    }
}
