//! Checks the public address as the Bot API server will: port, IPv4, and none of the ranges that it refuses, unless it is a
//! self-hosted one.

use std::net::{IpAddr, Ipv4Addr};

use rustls::pki_types::DnsName;

use super::Mistake;
use crate::{dns::Answer, reconcile::status::Reason};

/// Telegram delivers to these ports only.
const PORTS: [u16; 4] = [443, 80, 88, 8443];

/// Checks that `spec.endpoint.host` is a name, as a sidecar has to be told one.
pub fn host(host: &str) -> Result<(), Mistake> {
    DnsName::try_from(host).map(drop).map_err(|_| {
        Mistake::lasting(
            Reason::HostNotResolved,
            format!(
                "spec.endpoint.host: {host} is not a DNS name; use a name, not an address, each part of which has at most 63 characters"
            ),
        )
    })
}

/// Checks the public port.
pub fn port(port: u16) -> Result<u16, Mistake> {
    if PORTS.contains(&port) {
        return Ok(port);
    }
    Err(Mistake::lasting(
        Reason::PortNotAllowed,
        format!("spec.endpoint.port: Telegram does not deliver to port {port}; use 443, 80, 88 or 8443"),
    ))
}

/// Checks `spec.endpoint.ipAddress`.
pub fn fixed_address(address: Option<&str>, local: bool) -> Result<Option<Ipv4Addr>, Mistake> {
    let Some(text) = address else { return Ok(None) };
    let address: Ipv4Addr = text.parse().map_err(|_| {
        Mistake::lasting(
            Reason::AddressInvalid,
            "spec.endpoint.ipAddress: must be an IPv4 address; Telegram delivers over IPv4 only",
        )
    })?;
    if is_reserved(address) && !local {
        return Err(Mistake::lasting(
            Reason::AddressReserved,
            format!(
                "spec.endpoint.ipAddress: Telegram refuses {address}, which is in a reserved range; use the public address"
            ),
        ));
    }
    Ok(Some(address))
}

/// Checks what came of looking up `spec.endpoint.host`.
pub fn resolved(host: &str, answer: &Answer, local: bool) -> Result<(), Mistake> {
    let addresses = match answer {
        Answer::Addresses(addresses) => addresses,
        Answer::NoSuchName => {
            return Err(Mistake::passing(
                Reason::HostNotResolved,
                format!(
                    "spec.endpoint.host: {host} does not resolve; create a DNS record of type A for it, or correct the name"
                ),
            ));
        }
        Answer::NoAnswer => {
            return Err(Mistake::interrupted(
                Reason::DnsUnavailable,
                format!(
                    "spec.endpoint.host: the cluster's DNS does not answer for {host}; see whether it works, or give spec.endpoint.ipAddress"
                ),
            ));
        }
    };
    let v4: Vec<Ipv4Addr> = addresses
        .iter()
        .filter_map(|address| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        })
        .collect();
    if v4.is_empty() {
        return Err(Mistake::lasting(
            Reason::HostIpv6Only,
            format!(
                "spec.endpoint.host: {host} has only IPv6 addresses, and Telegram delivers over IPv4 only; add a DNS record of type A"
            ),
        ));
    }
    match v4.into_iter().find(|address| is_reserved(*address)) {
        Some(address) if !local => Err(Mistake::lasting(
            Reason::AddressReserved,
            format!(
                "spec.endpoint.host: {host} resolves in this cluster to {address}, which is in a reserved range that Telegram refuses; let it resolve to the public address, or give that as spec.endpoint.ipAddress"
            ),
        )),
        _ => Ok(()),
    }
}

/// The ranges that the Bot API server refuses.
fn is_reserved(address: Ipv4Addr) -> bool {
    const RANGES: [([u8; 4], u32); 14] = [
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        ([192, 0, 0, 0], 24),
        ([192, 0, 2, 0], 24),
        ([192, 88, 99, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        ([224, 0, 0, 0], 3),
    ];
    let address = u32::from(address);
    RANGES.into_iter().any(|(network, length)| {
        let mask = u32::MAX << (32 - length);
        address & mask == u32::from(Ipv4Addr::from(network))
    })
}
