//! What an address says about who has it, and by what addresses are counted.

mod networks;

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

pub use self::networks::Networks;

/// What belongs to one client: an IPv4 address, or the /64 that a single IPv6 host can choose from at will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressKey {
    V4(Ipv4Addr),
    /// The upper half of the address.
    V6([u16; 4]),
}

/// By what to count an address.
pub fn key(address: IpAddr) -> AddressKey {
    match address.to_canonical() {
        IpAddr::V4(address) => AddressKey::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            AddressKey::V6([a, b, c, d])
        }
    }
}

/// Whether the address can be that of a client in the internet. Any other is that of a hop of our own network, such as a node
/// that puts its address in place of the client's, and may stand for every client there is. The networks of documentation are
/// nobody's and count as the internet's.
pub fn is_global(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_global_v4(address),
        IpAddr::V6(address) => is_global_v6(address),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    // 0.0.0.0/8 this network, 100.64.0.0/10 carriers' NAT, 192.0.0.0/24 protocols, 198.18.0.0/15 benchmarks, 224.0.0.0/3 no host
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || matches!(
            address.octets(),
            [0 | 224.., ..] | [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18..=19, ..]
        ))
}

fn is_global_v6(address: Ipv6Addr) -> bool {
    // fec0::/10 is what unique local addresses were before, 64:ff9b:1::/48 NAT64 of a network's own, 100::/64 discarded
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.is_multicast()
        || matches!(address.segments(), [0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] | [0x100, 0, 0, 0, ..]))
}

// === impl AddressKey ===

impl fmt::Display for AddressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(upper) => {
                let mut segments = [0; 8];
                segments[..upper.len()].copy_from_slice(upper);
                write!(f, "{}/64", Ipv6Addr::from(segments))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn addresses_of_the_internet_are_told_from_those_of_a_network_of_ones_own() {
        for global in [
            "149.154.167.220",
            "91.108.4.1",
            "203.0.113.9",
            "100.128.0.0",
            "172.32.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2001:db8::1",
            "2a00::1",
            "64:ff9b::808:808",
        ] {
            assert!(is_global(parse(global)), "{global}");
        }
        for own in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "172.16.0.1",
            "192.168.0.1",
            "192.0.0.8",
            "198.19.255.255",
            "224.0.0.1",
            "255.255.255.255",
            "::ffff:10.0.0.1",
            "::",
            "::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "64:ff9b:1::1",
            "100::1",
        ] {
            assert!(!is_global(parse(own)), "{own}");
        }
    }

    #[test]
    fn an_ipv6_client_is_its_network_of_64_bits_and_a_mapped_one_is_its_ipv4_address() {
        assert_eq!(key(parse("2001:db8::1")), key(parse("2001:db8::ffff:0:0:1")));
        assert_ne!(key(parse("2001:db8::1")), key(parse("2001:db8:0:1::1")));
        assert_ne!(key(parse("192.0.2.1")), key(parse("192.0.2.2")));
        assert_eq!(key(parse("::ffff:192.0.2.1")), key(parse("192.0.2.1")));
        assert_eq!(key(parse("2001:db8:1:2:3::4")).to_string(), "2001:db8:1:2::/64");
        assert_eq!(key(parse("192.0.2.1")).to_string(), "192.0.2.1");
    }
}
