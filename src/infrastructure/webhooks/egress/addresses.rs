//! What an address is: out in the world, inside some house, or never to be spoken to.
//!
//! Source: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and what amends
//! it), and the metadata addresses that the large clouds document.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Out in the world.
    Public,
    /// In a network that the settings may allow.
    Inside(&'static str),
    /// Nowhere that a message belongs.
    Never(&'static str),
}

/// The address that is spoken to in the end, when another one is wrapped round it.
pub(super) fn unwrapped(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    embedded(six).map_or(address, IpAddr::V4)
}

/// An IPv4 address inside an IPv6 one: mapped, compatible, NAT64, 6to4, Teredo.
fn embedded(six: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = six.octets();
    let four = |at: usize| {
        let part: [u8; 4] = octets.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(part))
    };
    match six.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) > (0, 1) => four(12),
        [0, 0, 0, 0, 0, 0xFFFF, ..]
        | [0, 0, 0, 0, 0xFFFF, 0, ..]
        | [0x64, 0xFF9B, 0, 0, 0, 0, ..] => four(12),
        [0x2002, ..] => four(2),
        // The client's address is stored with all bits turned round.
        [0x2001, 0, ..] => four(12).map(|client| Ipv4Addr::from(!u32::from(client))),
        _ => None,
    }
}

/// Where an address lies; wrapped ones must be unwrapped before.
pub(super) fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(four) => reach_of_four(four),
        IpAddr::V6(six) => reach_of_six(six),
    }
}

fn reach_of_four(four: Ipv4Addr) -> Reach {
    match four.octets() {
        [169, 254, 169, 254] | [168, 63, 129, 16] | [100, 100, 100, 200] | [192, 0, 0, 192] => {
            Reach::Never("a metadata address of clouds")
        }
        [0, ..] => Reach::Never("an unspecified address"),
        [169, 254, ..] => Reach::Never("a link-local address"),
        [224..=239, ..] => Reach::Never("a multicast address"),
        [255, 255, 255, 255] => Reach::Never("the broadcast address"),
        [127, ..] => Reach::Inside("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Reach::Inside("a private address"),
        [100, 64..=127, ..] => Reach::Inside("a shared address of carriers"),
        [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => Reach::Inside("a reserved address"),
        _ => Reach::Public,
    }
}

fn reach_of_six(six: Ipv6Addr) -> Reach {
    match six.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Reach::Never("an unspecified address"),
        [0xFD00, 0xEC2, 0, 0, 0, 0, 0, 0x254] | [0xFD20, 0xCE, 0, 0, 0, 0, 0, 0x254] => {
            Reach::Never("a metadata address of clouds")
        }
        // Source: RFC 8215. Where in it the other address stands is up to each network.
        [0x64, 0xFF9B, 1, ..] => Reach::Never("an address that stands for another one"),
        [0xFE80..=0xFEBF, ..] => Reach::Never("a link-local address"),
        [0xFF00..=0xFFFF, ..] => Reach::Never("a multicast address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Inside("a loopback address"),
        [0xFC00..=0xFDFF | 0xFEC0..=0xFEFF, ..] => Reach::Inside("a private address"),
        [0x2001, 0xDB8 | 0..=0x1FF, ..] | [0x3FFF, 0..=0xFFF, ..] => {
            Reach::Inside("a reserved address")
        }
        [0x2000..=0x3FFF, ..] => Reach::Public,
        _ => Reach::Inside("an unassigned address"),
    }
}
