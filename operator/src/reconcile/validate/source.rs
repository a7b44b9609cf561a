//! Checks where the client's address is found and which addresses are Telegram's, and that nobody bans those.

use std::net::IpAddr;

use ipnet::IpNet;
use telegram_webhook_crds::{AddressRanges, ClientAddressSpec, Network, SourceAddressSpec};
use telegram_webhook_sidecar_config::{
    AddressMode, AddressSource, ClientAddress, DOCUMENTED_RANGES, SourceAddress,
    bounds::{MIN_PREFIX_V4, MIN_PREFIX_V6},
};

use super::mistake::Mistakes;
use crate::reconcile::status::Reason;

const TRUSTED_PROXIES: &str = "spec.endpoint.clientAddress.trustedProxies";
const CUSTOM: &str = "spec.verification.sourceAddress.custom";
const BANNED: &str = "spec.limits.banned";

/// Checks `spec.endpoint.clientAddress`.
pub fn client_address(spec: &ClientAddressSpec, mistakes: &mut Mistakes) -> ClientAddress {
    let ClientAddressSpec { source, trusted_proxies } = spec;
    let mut wrong = |message: &str| {
        mistakes.push(Reason::ClientAddressInvalid, format!("{TRUSTED_PROXIES}: {message}"));
    };
    match (source, trusted_proxies.is_empty()) {
        (AddressSource::Peer, false) => {
            wrong("has no effect with source Peer; use source ProxyProtocol or XForwardedFor, or remove it");
        }
        (AddressSource::ProxyProtocol | AddressSource::XForwardedFor, true) => wrong(
            "list the networks of the proxies in front of the pods: anybody else could forge the address",
        ),
        (AddressSource::Peer, true)
        | (AddressSource::ProxyProtocol | AddressSource::XForwardedFor, false) => {}
    }
    let trusted = own_networks(TRUSTED_PROXIES, Reason::ClientAddressInvalid, trusted_proxies, mistakes);
    ClientAddress { source: *source, trusted_proxies: texts(&trusted) }
}

/// Checks `spec.verification.sourceAddress`. `self_hosted`: the Bot API server isn't Telegram's own.
pub fn source_address(spec: &SourceAddressSpec, self_hosted: bool, mistakes: &mut Mistakes) -> SourceAddress {
    let SourceAddressSpec { mode, ranges, custom, refusal } = spec;
    let mut wrong = |message: String| mistakes.push(Reason::SourceAddressInvalid, message);
    match ranges {
        AddressRanges::Custom if custom.is_empty() => {
            wrong(format!("{CUSTOM}: list the networks that updates come from, or use ranges Documented"));
        }
        AddressRanges::Documented if !custom.is_empty() => {
            wrong(format!("{CUSTOM}: has no effect with ranges Documented; use ranges Custom, or remove it"));
        }
        AddressRanges::Custom | AddressRanges::Documented => {}
    }
    if self_hosted && *ranges == AddressRanges::Documented && *mode != AddressMode::Off {
        wrong(
            "spec.verification.sourceAddress: a self-hosted Bot API server doesn't send from Telegram's addresses: use ranges Custom, or mode Off"
                .to_owned(),
        );
    }
    let custom = own_networks(CUSTOM, Reason::SourceAddressInvalid, custom, mistakes);
    let ranges = match ranges {
        AddressRanges::Documented => DOCUMENTED_RANGES.map(str::to_owned).to_vec(),
        AddressRanges::Custom => texts(&custom),
    };
    SourceAddress { mode: *mode, ranges, refusal: *refusal }
}

/// Checks `spec.limits.banned`: whoever must never be banned isn't in it.
pub fn banned(
    spec: &[Network],
    source: &SourceAddress,
    client: &ClientAddress,
    mistakes: &mut Mistakes,
) -> Vec<String> {
    let banned = networks(BANNED, Reason::LimitsInvalid, spec, mistakes);
    let parsed = |texts: &[String]| texts.iter().filter_map(|text| text.parse().ok()).collect::<Vec<IpNet>>();
    let spared = [
        (parsed(&DOCUMENTED_RANGES.map(str::to_owned)), "which Telegram sends from"),
        (parsed(&source.ranges), "which spec.verification.sourceAddress lists"),
        (parsed(&client.trusted_proxies), "which spec.endpoint.clientAddress trusts"),
    ];
    for network in &banned {
        let overlaps = |other: &&IpNet| network.contains(*other) || other.contains(network);
        let hit = spared.iter().find_map(|(spared, why)| Some((spared.iter().find(overlaps)?, why)));
        if let Some((other, why)) = hit {
            let message =
                format!("{BANNED}: {network} overlaps with {other}, {why}; ban only what lies beside it");
            mistakes.push(Reason::LimitsInvalid, message);
        }
    }
    texts(&banned)
}

/// The same of networks that are no larger than somebody's own.
fn own_networks(field: &str, reason: Reason, spec: &[Network], mistakes: &mut Mistakes) -> Vec<IpNet> {
    let networks = networks(field, reason, spec, mistakes);
    for network in &networks {
        let min = if network.addr().is_ipv4() { MIN_PREFIX_V4 } else { MIN_PREFIX_V6 };
        if network.prefix_len() < min {
            let message = format!("{field}: {network} lets strangers in; use networks of /{min} or smaller");
            mistakes.push(reason, message);
        }
    }
    networks
}

/// Reads networks, in an order that doesn't depend on how they are written down.
fn networks(field: &str, reason: Reason, spec: &[Network], mistakes: &mut Mistakes) -> Vec<IpNet> {
    let mut networks = Vec::with_capacity(spec.len());
    for Network(text) in spec {
        match network(text) {
            Some(network) => networks.push(network),
            None => mistakes.push(
                reason,
                format!(
                    "{field}: {text} is not a network in CIDR notation, such as 10.0.0.0/8 or 2001:db8::/32: no bits beyond the prefix, no IPv4 within IPv6, and not /0, which is everybody"
                ),
            ),
        }
    }
    networks.sort_unstable();
    networks.dedup();
    networks
}

fn network(text: &str) -> Option<IpNet> {
    let network: IpNet = text.parse().ok()?;
    let is_mapped = match network.addr() {
        IpAddr::V4(_) => false,
        IpAddr::V6(address) => address.to_ipv4_mapped().is_some(),
    };
    (network.trunc() == network && network.prefix_len() > 0 && !is_mapped).then_some(network)
}

fn texts(networks: &[IpNet]) -> Vec<String> {
    networks.iter().map(IpNet::to_string).collect()
}
