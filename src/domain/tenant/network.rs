//! From where, and until when, a secret is accepted.
//!
//! Invariant: an address is compared as what it is: an IPv4 address within IPv6 is an IPv4 address.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::domain::time::Timestamp;

/// Most networks of a key.
pub const MOST_NETWORKS: usize = 32;

/// The networks that a key is accepted from; none is every network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// Reads `10.0.0.0/8`, `2001:db8::/32` or a single address.
#[must_use]
pub fn parse_network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let single = || text.parse::<IpAddr>().ok().map(|address| IpNet::from(address.to_canonical()));
    text.parse::<IpNet>().ok().or_else(single).map(|network| within_ipv4(network).trunc())
}

/// A network of IPv4 that is spelled within IPv6.
fn within_ipv4(network: IpNet) -> IpNet {
    let IpNet::V6(six) = network else { return network };
    let inner = six.addr().to_ipv4_mapped().zip(six.prefix_len().checked_sub(96));
    let four = inner.and_then(|(address, length)| IpNet::new(address.into(), length).ok());
    four.unwrap_or(network)
}

impl Networks {
    /// These; doubles count once.
    #[must_use]
    pub fn of(networks: impl IntoIterator<Item = IpNet>) -> Self {
        let mut networks: Vec<IpNet> = networks.into_iter().collect();
        networks.sort_unstable();
        networks.dedup();
        Self(networks)
    }

    /// Whether a key is accepted from this address.
    #[must_use]
    pub fn admit(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.is_empty() || self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether they admit all that others do.
    #[must_use]
    pub fn cover(&self, others: &Self) -> bool {
        let within = |other: &IpNet| self.0.iter().any(|network| network.contains(other));
        self.0.is_empty() || (!others.0.is_empty() && others.0.iter().all(within))
    }

    /// As they are spelled.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

/// How far a secret reaches, beside what it may be used for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// From then on it is refused; `None` for no end.
    pub until: Option<Timestamp>,
    /// From where it is accepted.
    pub networks: Networks,
}

impl Reach {
    /// Whether another one reaches no further: nobody makes a secret that outlives their own, or that
    /// is accepted from elsewhere.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let outlives = self.until.is_some_and(|end| other.until.is_none_or(|other| other > end));
        !outlives && self.networks.cover(&other.networks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        Networks::of(texts.iter().map(|text| parse_network(text).expect("a network")))
    }

    #[test]
    fn a_key_is_accepted_from_its_networks_alone() {
        let some = networks(&["10.1.2.3/8", "2001:db8::/32", "192.0.2.7"]);
        assert_eq!(some.texts(), ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]);
        let admits = |text: &str| some.admit(text.parse().expect("an address"));
        assert!(admits("10.255.0.1") && admits("192.0.2.7") && admits("2001:db8:1::5"));
        assert!(admits("::ffff:10.0.0.1"), "an IPv4 address within IPv6");
        assert!(!admits("11.0.0.1") && !admits("192.0.2.8") && !admits("2001:db9::1"));
        assert!(Networks::default().admit("203.0.113.9".parse().expect("an address")));
        assert_eq!(networks(&["::ffff:127.0.0.0/104"]).texts(), ["127.0.0.0/8"]);
        for text in ["", "10.0.0.0/33", "10.0.0", "example.org", "10.0.0.0/8/8"] {
            assert_eq!(parse_network(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_reaches_further_than_what_made_it() {
        let at = Timestamp::from_millis;
        let reach = |until: Option<i64>, texts: &[&str]| Reach {
            until: until.map(at),
            networks: networks(texts),
        };
        let own = reach(Some(5), &["10.0.0.0/8"]);
        assert!(own.covers(&own) && own.covers(&reach(Some(4), &["10.2.0.0/16", "10.3.0.1"])));
        assert!(!own.covers(&reach(Some(6), &["10.0.0.0/8"])), "longer");
        assert!(!own.covers(&reach(None, &["10.0.0.0/8"])), "for ever");
        assert!(!own.covers(&reach(Some(5), &[])), "from anywhere");
        assert!(!own.covers(&reach(Some(5), &["10.2.0.0/16", "0.0.0.0/0"])));
        assert!(Reach::default().covers(&own) && Reach::default().covers(&Reach::default()));
    }
}
