use super::*;
use crate::{
    config::Place,
    test_util::{policy, raw_config},
};

fn parsed(texts: &[&str]) -> (Vec<String>, Vec<String>) {
    let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
    let place = Place::Folder("a".to_owned());
    let mut findings = Findings::new(&place);
    let networks = networks("f", &texts, &mut findings);
    let problems = findings.into_problems();
    (
        networks.iter().map(ToString::to_string).collect(),
        problems.iter().map(|problem| problem.to_string().replace("a/config.json: ", "")).collect(),
    )
}

#[test]
fn a_network_has_one_spelling_and_any_other_is_told_it() {
    let right = ["192.0.2.0/24", "192.0.2.1/32", "0.0.0.0/0", "2001:db8::/32", "::1/128"];
    let (networks, problems) = parsed(&right);
    assert_eq!((networks, problems), (right.map(str::to_owned).to_vec(), Vec::new()));
    for (wrong, right) in [
        ("192.0.2.1/24", "192.0.2.0/24"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("2001:db8:0:0::/32", "2001:db8::/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
    ] {
        assert_eq!(parsed(&[wrong]), (vec![], vec![format!("f[0]: must be written {right}")]), "{wrong}");
    }
    for (address, example, one) in [("149.154.160.0", 20, 32), ("::1", 48, 128)] {
        let expected = format!("f[0]: add the prefix length, such as /{example}; one address is /{one}");
        assert_eq!(parsed(&[address]), (vec![], vec![expected]), "{address}");
    }
    for wrong in
        ["", "a", "192.0.2.0/33", "192.0.2/24", "192.0.2.0/ 24", "192.0.2.0/-1", "::/129", "fe80::1%eth0/64"]
    {
        let expected = "f[0]: must be a network in CIDR notation, such as 192.0.2.0/24".to_owned();
        assert_eq!(parsed(&[wrong]), (vec![], vec![expected]), "{wrong}");
    }
}

#[test]
fn a_network_is_there_once_and_there_are_not_too_many() {
    let (_, problems) = parsed(&["10.0.0.0/8", "10.0.0.0/16", "10.0.0.0/8"]);
    assert_eq!(problems, ["f[2]: is there twice"]);
    let many: Vec<_> = (0..=MAX_NETWORKS).map(|n| format!("10.{}.{}.0/24", n / 256, n % 256)).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert_eq!(parsed(&many).1, ["f: must be at most 1024 networks"]);
    assert_eq!(parsed(&many[1..]).1, [""; 0]);
}

/// What is wrong with the two sections.
fn problems_of(client: &raw::ClientAddress, source: &raw::SourceAddress) -> Vec<String> {
    let place = Place::Folder("a".to_owned());
    let mut findings = Findings::new(&place);
    ClientAddress::parse(client, &mut findings);
    SourceAddress::parse(source, &mut findings);
    findings
        .into_problems()
        .iter()
        .map(|problem| problem.to_string().replace("a/config.json: ", ""))
        .collect()
}

#[test]
fn proxies_are_named_exactly_where_they_are_believed() {
    let source = raw::SourceAddress::default();
    for (found_at, proxies, problem) in [
        (AddressSource::Peer, &[][..], None),
        (AddressSource::Peer, &["10.0.0.0/8"], Some("clientAddress.trustedProxies: must be empty")),
        (AddressSource::ProxyProtocol, &["10.0.0.0/8", "fc00::/7"], None),
        (AddressSource::ProxyProtocol, &[], Some("clientAddress.trustedProxies: must name")),
        (AddressSource::XForwardedFor, &["10.0.0.0/8"], None),
        (AddressSource::XForwardedFor, &[], Some("clientAddress.trustedProxies: must name")),
        (
            AddressSource::XForwardedFor,
            &["0.0.0.0/0"],
            Some("clientAddress.trustedProxies: 0.0.0.0/0 is a part"),
        ),
        (
            AddressSource::ProxyProtocol,
            &["128.0.0.0/7"],
            Some("clientAddress.trustedProxies: 128.0.0.0/7 is a part"),
        ),
        (
            AddressSource::ProxyProtocol,
            &["2000::/3"],
            Some("clientAddress.trustedProxies: 2000::/3 is a part"),
        ),
        (
            AddressSource::ProxyProtocol,
            &["10.0.0.1/8"],
            Some("clientAddress.trustedProxies[0]: must be written"),
        ),
    ] {
        let trusted_proxies = proxies.iter().map(|proxy| (*proxy).to_owned()).collect();
        let problems = problems_of(&raw::ClientAddress { source: found_at, trusted_proxies }, &source);
        assert_eq!(problems.len(), usize::from(problem.is_some()), "{found_at:?} {proxies:?}: {problems:?}");
        assert!(problem.is_none_or(|problem| problems[0].starts_with(problem)), "{problems:?}");
    }
}

#[test]
fn ranges_are_named_where_they_count_and_hold_no_large_part_of_the_internet() {
    let client = raw::ClientAddress::default();
    for (mode, ranges, problem) in [
        (AddressMode::Enforce, &["149.154.160.0/20"][..], None),
        (AddressMode::Off, &[], None),
        (AddressMode::Shadow, &[], Some("sourceAddress.ranges: must not be empty")),
        (AddressMode::Enforce, &[], Some("sourceAddress.ranges: must not be empty")),
        (AddressMode::Off, &["0.0.0.0/0"], Some("sourceAddress.ranges: 0.0.0.0/0 is a part")),
        (AddressMode::Off, &["x"], Some("sourceAddress.ranges[0]: must be a network")),
    ] {
        let ranges = ranges.iter().map(|range| (*range).to_owned()).collect();
        let source = raw::SourceAddress { mode, ranges, ..raw::SourceAddress::default() };
        let problems = problems_of(&client, &source);
        assert_eq!(problems.len(), usize::from(problem.is_some()), "{mode:?}: {problems:?}");
        assert!(problem.is_none_or(|problem| problems[0].starts_with(problem)), "{problems:?}");
    }
}

/// What holds for a port with webhooks of these modes, refusals and ranges.
fn port(webhooks: &[(AddressMode, AddressRefusal, &str)]) -> crate::config::CurrentPolicy {
    let configs = webhooks.iter().zip("abc".chars()).map(|(&(mode, refusal, range), name)| {
        let mut config = raw_config(&name.to_string());
        config.source_address = raw::SourceAddress { mode, refusal, ranges: vec![range.to_owned()] };
        config.client_address = raw::ClientAddress {
            source: AddressSource::ProxyProtocol,
            trusted_proxies: vec!["10.9.0.0/16".to_owned()],
        };
        config
    });
    policy(&configs.collect::<Vec<_>>())
}

#[test]
fn before_the_webhook_is_known_the_most_generous_rule_holds() {
    use AddressMode::{Enforce, Off, Shadow};
    use AddressRefusal::{Close, Status};
    let addresses = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "149.154.167.200", "10.9.0.1"];
    let addresses = addresses.map(|address| address.parse::<IpAddr>().unwrap());
    let (a, b) = ("192.0.2.0/24", "198.51.100.0/24");
    for (webhooks, permits, closes) in [
        (&[(Enforce, Close, a), (Enforce, Close, b)][..], [true, true, false, false, false], true),
        (&[(Enforce, Close, a), (Enforce, Status, b)], [true, true, false, false, false], false),
        (&[(Enforce, Close, a), (Shadow, Close, b)], [true; 5], false),
        (&[(Enforce, Close, a), (Off, Close, b)], [true; 5], false),
    ] {
        let policy = port(webhooks).load_full();
        let port = policy.addresses();
        assert_eq!(addresses.map(|address| port.permits(address)), permits, "{webhooks:?}");
        let closed = addresses.map(|address| port.closes(address));
        // never the proxy
        assert_eq!(closed, [false, false, closes, closes, false], "{webhooks:?}");
        // whatever the modes: documented, of a webhook, or a proxy
        assert_eq!(addresses.map(|address| policy.listed(address)), [true, true, false, true, true]);
    }
}
