//! The other end of a connection, and its place.

use std::net::{IpAddr, SocketAddr};

use super::{client_ip::Arrival, places::Place, told::Told};

/// The other end of a connection.
pub struct Peer {
    pub address: SocketAddr,
    /// The client, as far as it is known by the connection.
    pub client: IpAddr,
    /// What the other end was when the connection was accepted, whatever the configuration says since.
    pub(super) arrival: Arrival,
    /// None outside of a server, and until it has one.
    pub(super) place: Option<Place>,
}

// === impl Peer ===

impl Peer {
    /// A client that is known by its address alone.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, client: address.ip().to_canonical(), arrival: Arrival::Client, place: None }
    }

    /// It has shown that it may be here: its connection doesn't have to give way to others.
    pub fn prove(&self) {
        if let Some(place) = &self.place {
            place.prove();
        }
    }

    /// Ends when the connection has to give way; none outside of a server.
    pub(super) fn evicted(&self) -> Option<Told> {
        self.place.as_ref().map(|place| Told::new(place.evicted()))
    }
}
