//! Whose request it is, checked: where the client's address is found, and from which addresses Telegram sends.

mod port;

use std::net::IpAddr;

use ipnet::IpNet;
use telegram_webhook_sidecar_config::{
    self as raw, AddressMode, AddressRefusal, AddressSource,
    bounds::{MIN_PREFIX_V4, MIN_PREFIX_V6},
};

pub use self::port::PortAddresses;
use super::problem::Findings;
use crate::address::Networks;

/// Telegram documents two; nobody has a thousand proxies.
const MAX_NETWORKS: usize = 1024;

/// Where the client's address is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientAddress {
    pub source: AddressSource,
    /// Only these are believed.
    pub trusted_proxies: Networks,
}

/// What is done about addresses that are not Telegram's.
#[derive(Clone, Debug)]
pub struct SourceAddress {
    pub mode: AddressMode,
    pub ranges: Networks,
    pub refusal: AddressRefusal,
}

// === impl ClientAddress ===

impl ClientAddress {
    pub(super) fn parse(raw: &raw::ClientAddress, findings: &mut Findings<'_>) -> Self {
        let field = "clientAddress.trustedProxies";
        match (raw.source, raw.trusted_proxies.is_empty()) {
            (AddressSource::Peer, false) => {
                let reason = "must be empty with the source Peer, which believes no proxy: set clientAddress.source, or leave it out";
                findings.field(field, reason);
            }
            (AddressSource::ProxyProtocol | AddressSource::XForwardedFor, true) => {
                let reason = "must name the networks of the proxies in front: the source tells the truth only if they write it";
                findings.field(field, reason);
            }
            _ => {}
        }
        let trusted_proxies = bounded_networks(field, &raw.trusted_proxies, findings);
        Self { source: raw.source, trusted_proxies }
    }
}

// === impl SourceAddress ===

impl SourceAddress {
    pub(super) fn parse(raw: &raw::SourceAddress, findings: &mut Findings<'_>) -> Self {
        let field = "sourceAddress.ranges";
        if raw.mode != AddressMode::Off && raw.ranges.is_empty() {
            findings.field(
                field,
                "must not be empty unless sourceAddress.mode is Off: no address would be Telegram's",
            );
        }
        Self { mode: raw.mode, ranges: bounded_networks(field, &raw.ranges, findings), refusal: raw.refusal }
    }

    /// Whether a request from there may go on.
    pub fn permits(&self, client: IpAddr) -> bool {
        self.mode != AddressMode::Enforce || self.ranges.contains(client)
    }
}

/// The same as [`networks`], of networks that are no larger than somebody's own.
fn bounded_networks(field: &str, texts: &[String], findings: &mut Findings<'_>) -> Networks {
    let networks = networks(field, texts, findings);
    for network in &networks {
        let min = if network.network().is_ipv4() { MIN_PREFIX_V4 } else { MIN_PREFIX_V6 };
        if network.prefix_len() < min {
            findings.field(
                field,
                format!("{network} is a part of the internet at large: must be /{min} or smaller"),
            );
        }
    }
    networks.into_iter().collect()
}

/// Reads networks in CIDR notation, each in its one spelling.
pub(super) fn networks(field: &str, texts: &[String], findings: &mut Findings<'_>) -> Vec<IpNet> {
    if texts.len() > MAX_NETWORKS {
        findings.field(field, format!("must be at most {MAX_NETWORKS} networks"));
        return Vec::new();
    }
    let mut networks = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match network(text) {
            Ok(network) if networks.contains(&network) => {
                findings.field(format!("{field}[{index}]"), "is there twice");
            }
            Ok(network) => networks.push(network),
            Err(reason) => findings.field(format!("{field}[{index}]"), reason),
        }
    }
    networks
}

fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let (one, example) = if address.is_ipv4() { (32, 20) } else { (128, 48) };
        return Err(format!("add the prefix length, such as /{example}; one address is /{one}"));
    }
    let parsed = text.parse::<IpNet>();
    let parsed = parsed.map_err(|_| "must be a network in CIDR notation, such as 192.0.2.0/24".to_owned())?;
    let canonical = canonical(parsed);
    if canonical.to_string() == text { Ok(canonical) } else { Err(format!("must be written {canonical}")) }
}

/// Without the bits beyond the prefix, and in IPv4 where it is that written as IPv6.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else {
        return network.trunc();
    };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    let mapped = v4.and_then(|(address, prefix)| IpNet::new(address.into(), prefix).ok());
    mapped.unwrap_or(network).trunc()
}

#[cfg(test)]
mod tests;
