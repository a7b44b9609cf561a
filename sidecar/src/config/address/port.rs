//! What holds for a connection before it is known which webhook it is for: what all the webhooks of the port agree on, and
//! the most generous of what they don't.

use std::{net::IpAddr, sync::Arc};

use telegram_webhook_sidecar_config::{AddressMode, AddressRefusal, DOCUMENTED_RANGES};

use super::ClientAddress;
use crate::{address::Networks, config::Webhook};

/// The rules about addresses that hold for the whole port.
#[derive(Clone, Debug, Default)]
pub struct PortAddresses {
    /// That of every webhook.
    pub client: ClientAddress,
    listed: Networks,
    /// Any webhook's ranges; none if one of them takes requests from anywhere.
    permitted: Option<Networks>,
    /// Every webhook wants unlisted connections closed.
    closes: bool,
}

// === impl PortAddresses ===

impl PortAddresses {
    pub(in crate::config) fn of(webhooks: &[Arc<Webhook>]) -> Self {
        let client = webhooks.first().map(|webhook| webhook.client_address.clone()).unwrap_or_default();
        let documented: Networks = DOCUMENTED_RANGES.iter().filter_map(|range| range.parse().ok()).collect();
        let ranges = Networks::union(webhooks.iter().map(|webhook| &webhook.source_address.ranges));
        let all_enforce = webhooks.iter().all(|webhook| webhook.source_address.mode == AddressMode::Enforce);
        let all_close =
            webhooks.iter().all(|webhook| webhook.source_address.refusal == AddressRefusal::Close);
        Self {
            listed: Networks::union([&documented, &ranges, &client.trusted_proxies]),
            permitted: all_enforce.then_some(ranges),
            closes: all_enforce && all_close,
            client,
        }
    }

    /// Whether it is Telegram's by the documentation or by any webhook's word, or a trusted proxy's: never banned, never limited
    /// as strangers are.
    pub fn listed(&self, address: IpAddr) -> bool {
        self.listed.contains(address)
    }

    /// Whether any webhook lets requests from there go on.
    pub fn permits(&self, client: IpAddr) -> bool {
        self.permitted.as_ref().is_none_or(|permitted| permitted.contains(client))
    }

    /// Whether a connection from there is closed before the handshake.
    pub fn closes(&self, client: IpAddr) -> bool {
        // a proxy asks for itself when it wants to know whether we are there
        self.closes && !self.permits(client) && !self.client.trusted_proxies.contains(client)
    }
}
