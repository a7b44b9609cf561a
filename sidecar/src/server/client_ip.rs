//! Whose connection it is. There is one declared place to learn it from, and a proxy is believed only where it is a trusted one.

mod forwarded;
pub mod proxy_protocol;

use std::net::IpAddr;

use http::HeaderMap;
use telegram_webhook_sidecar_config::AddressSource;

use super::Peer;
use crate::config::ClientAddress;

/// What the other end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The client itself.
    Client,
    /// A trusted proxy, whose connection begins with a PROXY header.
    Announced,
    /// A trusted proxy, whose requests name their clients.
    Forwarded,
    /// Neither the client nor a trusted proxy: nobody who should connect here.
    Untrusted,
}

/// What the other end is, by its address alone.
pub fn arrival(client_address: &ClientAddress, socket: IpAddr) -> Arrival {
    let trusted = || client_address.trusted_proxies.contains(socket);
    match client_address.source {
        AddressSource::ProxyProtocol if trusted() => Arrival::Announced,
        AddressSource::ProxyProtocol => Arrival::Untrusted,
        AddressSource::XForwardedFor if trusted() => Arrival::Forwarded,
        AddressSource::Peer | AddressSource::XForwardedFor => Arrival::Client,
    }
}

/// Whose request it is, as far as can be known: what a header says counts only if a trusted proxy has sent it, which it was
/// already when it connected. A connection of before may be a stranger's, through a proxy that writes no such header.
pub fn of_request(client_address: &ClientAddress, peer: &Peer, headers: &HeaderMap) -> IpAddr {
    let socket = peer.address.ip().to_canonical();
    if peer.arrival == Arrival::Forwarded && arrival(client_address, socket) == Arrival::Forwarded {
        forwarded::client(&client_address.trusted_proxies, socket, headers)
    } else {
        peer.client
    }
}

#[cfg(test)]
mod tests;
