use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use proptest::prelude::*;

use super::*;

fn client_address(source: AddressSource) -> ClientAddress {
    let proxies = match source {
        AddressSource::Peer => Vec::new(),
        AddressSource::ProxyProtocol | AddressSource::XForwardedFor => {
            vec!["10.0.0.0/8".parse::<IpNet>().unwrap()]
        }
    };
    ClientAddress { source, trusted_proxies: proxies.into_iter().collect() }
}

/// The other end of a connection that was accepted under this configuration.
fn peer(client_address: &ClientAddress, address: &str) -> Peer {
    let mut peer = Peer::new((address.parse::<IpAddr>().unwrap(), 1).into());
    peer.arrival = arrival(client_address, peer.client);
    peer
}

fn sources() -> impl Strategy<Value = AddressSource> {
    prop_oneof![
        Just(AddressSource::Peer),
        Just(AddressSource::ProxyProtocol),
        Just(AddressSource::XForwardedFor)
    ]
}

/// Headers that name clients, with values that are addresses, lists of them, or anything.
fn headers() -> impl Strategy<Value = HeaderMap> {
    let name =
        prop::sample::select(vec!["x-forwarded-for", "forwarded", "x-real-ip", "true-client-ip", "via"]);
    let hop = prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|address| format!("[{address}]:1")),
        Just("149.154.167.200".to_owned()),
        Just("10.0.0.1".to_owned()),
        Just("for=149.154.167.200".to_owned()),
        "[ -~]{0,12}",
    ];
    let value = prop::collection::vec(hop, 0..4).prop_map(|hops| hops.join(", "));
    prop::collection::vec((name, value), 0..4).prop_map(|lines| {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
        }
        headers
    })
}

#[test]
fn a_peer_is_what_the_declared_source_makes_it() {
    use AddressSource::{Peer, ProxyProtocol, XForwardedFor};
    for (source, socket, expected) in [
        (Peer, "10.0.0.1", Arrival::Client),
        (Peer, "192.0.2.1", Arrival::Client),
        (ProxyProtocol, "10.0.0.1", Arrival::Announced),
        (ProxyProtocol, "192.0.2.1", Arrival::Untrusted),
        (XForwardedFor, "10.0.0.1", Arrival::Forwarded),
        (XForwardedFor, "192.0.2.1", Arrival::Client),
    ] {
        assert_eq!(
            arrival(&client_address(source), socket.parse().unwrap()),
            expected,
            "{source:?} {socket}"
        );
    }
}

#[test]
fn a_proxy_with_a_mapped_address_is_the_same_proxy() {
    let mut headers = HeaderMap::new();
    headers.insert(forwarded::X_FORWARDED_FOR, HeaderValue::from_static("192.0.2.1"));
    let client_address = client_address(AddressSource::XForwardedFor);
    assert_eq!(
        of_request(&client_address, &peer(&client_address, "::ffff:10.0.0.1"), &headers).to_string(),
        "192.0.2.1"
    );
}

#[test]
fn who_connected_under_another_configuration_is_who_it_was_whatever_its_headers_say() {
    use AddressSource::{Peer, ProxyProtocol, XForwardedFor};
    let mut headers = HeaderMap::new();
    headers.insert(forwarded::X_FORWARDED_FOR, HeaderValue::from_static("149.154.167.200"));
    let forwarding = client_address(XForwardedFor);
    for (source, client) in [(ProxyProtocol, "203.0.113.9"), (Peer, "10.0.0.1")] {
        let mut old = peer(&client_address(source), "10.0.0.1");
        // as its PROXY header named it
        old.client = client.parse().unwrap();
        assert_eq!(of_request(&forwarding, &old, &headers).to_string(), client, "{source:?}");
    }
    let old = peer(&forwarding, "10.0.0.1");
    assert_eq!(of_request(&forwarding, &old, &headers).to_string(), "149.154.167.200");
    assert_eq!(of_request(&client_address(Peer), &old, &headers).to_string(), "10.0.0.1");
}

proptest! {
    #[test]
    fn no_header_of_an_untrusted_peer_changes_whose_request_it_is(
        source in sources(),
        address: IpAddr,
        headers in headers(),
    ) {
        let client_address = client_address(source);
        let peer = peer(&client_address, &address.to_string());
        prop_assume!(!client_address.trusted_proxies.contains(address));
        prop_assert_eq!(of_request(&client_address, &peer, &headers), address.to_canonical());
    }

    #[test]
    fn what_a_client_claims_to_have_been_forwarded_for_does_not_change_whose_request_it_is(
        claimed in headers(),
        client: IpAddr,
    ) {
        let client_address = client_address(AddressSource::XForwardedFor);
        prop_assume!(!client_address.trusted_proxies.contains(client));
        let mut headers = claimed;
        // what the proxy adds, in the same line or in one of its own
        headers.append(forwarded::X_FORWARDED_FOR, HeaderValue::from_str(&client.to_string()).unwrap());
        prop_assert_eq!(of_request(&client_address, &peer(&client_address, "10.0.0.1"), &headers), client.to_canonical());
        let lines: Vec<_> = headers.get_all(forwarded::X_FORWARDED_FOR).iter().map(|line| line.to_str().unwrap()).collect();
        let joined = HeaderValue::from_str(&lines.join(", ")).unwrap();
        headers.insert(forwarded::X_FORWARDED_FOR, joined);
        prop_assert_eq!(of_request(&client_address, &peer(&client_address, "10.0.0.1"), &headers), client.to_canonical());
    }
}
