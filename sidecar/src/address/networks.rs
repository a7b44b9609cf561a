//! A set of networks that is asked far more often than it is made.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};

/// Networks, as sorted ranges of addresses that don't overlap: a look-up is a binary search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Vec<(Ipv4Addr, Ipv4Addr)>,
    v6: Vec<(Ipv6Addr, Ipv6Addr)>,
}

// === impl Networks ===

impl Networks {
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => contains(&self.v4, &address),
            IpAddr::V6(address) => contains(&self.v6, &address),
        }
    }

    /// The networks, without those that are in another one; IPv4 first.
    pub fn iter(&self) -> impl Iterator<Item = IpNet> {
        let v4 = self.v4.iter().flat_map(|(first, last)| Ipv4Subnets::new(*first, *last, 0)).map(IpNet::from);
        let v6 = self.v6.iter().flat_map(|(first, last)| Ipv6Subnets::new(*first, *last, 0)).map(IpNet::from);
        v4.chain(v6)
    }

    /// Whether any address is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        overlap(&self.v4, &other.v4) || overlap(&self.v6, &other.v6)
    }

    /// The addresses that are in any of the sets.
    pub fn union<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut union = Self::default();
        for Self { v4, v6 } in sets {
            union.v4.extend(v4);
            union.v6.extend(v6);
        }
        union.merge();
        union
    }

    fn merge(&mut self) {
        merge(&mut self.v4);
        merge(&mut self.v6);
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        let mut set = Self::default();
        for network in networks {
            match network {
                IpNet::V4(network) => set.v4.push((network.network(), network.broadcast())),
                IpNet::V6(network) => set.v6.push((network.network(), network.broadcast())),
            }
        }
        set.merge();
        set
    }
}

/// Two networks are apart or one is in the other: only the outer one is kept.
fn merge<T: Ord + Copy>(ranges: &mut Vec<(T, T)>) {
    ranges.sort_unstable_by(|(a, a_last), (b, b_last)| a.cmp(b).then(b_last.cmp(a_last)));
    ranges.dedup_by(|(_, inner_last), (_, outer_last)| inner_last <= outer_last);
}

fn contains<T: Ord>(ranges: &[(T, T)], address: &T) -> bool {
    let after = ranges.partition_point(|(first, _)| first <= address);
    let before = after.checked_sub(1).and_then(|index| ranges.get(index));
    before.is_some_and(|(_, last)| last >= address)
}

fn overlap<T: Ord>(ranges: &[(T, T)], others: &[(T, T)]) -> bool {
    ranges
        .iter()
        .any(|(first, last)| others.iter().any(|(other, other_last)| other <= last && first <= other_last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(networks: &[&str]) -> Networks {
        networks.iter().map(|network| network.parse::<IpNet>().unwrap()).collect()
    }

    #[test]
    fn an_address_is_in_a_set_exactly_if_it_is_in_one_of_its_networks() {
        let set = set(&[
            "91.108.4.0/22",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.0.0/24",
            "149.154.160.0/20",
            "192.0.2.7/32",
            "2001:db8::/32",
            "2001:db8:1::/48",
            "::1/128",
        ]);
        for inside in [
            "91.108.4.0",
            "91.108.7.255",
            "10.0.0.0",
            "10.1.0.1",
            "10.2.0.1",
            "10.255.255.255",
            "149.154.175.255",
            "192.0.2.7",
            "::ffff:192.0.2.7",
            "::1",
            "2001:db8::",
            "2001:db8:1::1",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert!(set.contains(inside.parse().unwrap()), "{inside}");
        }
        for outside in [
            "0.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "91.108.8.0",
            "149.154.159.255",
            "192.0.2.6",
            "::",
            "::2",
            "2001:db9::",
        ] {
            assert!(!set.contains(outside.parse().unwrap()), "{outside}");
        }
        assert!(!Networks::default().contains("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_union_holds_what_each_of_its_sets_holds() {
        let union = Networks::union([&set(&["10.0.0.0/24", "::1/128"]), &set(&["10.0.0.0/8", "9.0.0.0/8"])]);
        assert_eq!(union, set(&["9.0.0.0/8", "10.0.0.0/8", "::1/128"]));
    }

    #[test]
    fn sets_overlap_if_they_share_an_address() {
        let set_of = |network| set(&["192.0.2.0/24", network]);
        for (network, shared) in [
            ("10.0.0.0/8", true),
            ("10.1.2.3/32", true),
            ("0.0.0.0/0", true),
            ("11.0.0.0/8", false),
            ("9.0.0.0/8", false),
            ("::/0", false),
        ] {
            assert_eq!(set_of(network).overlaps(&set(&["10.0.0.0/8"])), shared, "{network}");
            assert_eq!(set(&["10.0.0.0/8"]).overlaps(&set_of(network)), shared, "{network}");
        }
    }
}
