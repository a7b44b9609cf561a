//! The record of connections that were dropped.

use std::net::IpAddr;

use super::tallies::Tallies;

/// Those dropped, by how.
#[derive(Default)]
pub struct DroppedConnections(Tallies);

// === impl DroppedConnections ===

impl DroppedConnections {
    /// Counts one, and says so if it is time.
    pub fn dropped(&self, end: &'static str, client: IpAddr) {
        if let Some(count) = self.0.count(end) {
            tracing::info!(target: "audit", end, count, last_client = %client, "connections dropped");
        }
    }
}
