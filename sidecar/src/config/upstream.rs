//! Where the CRM takes updates, in the forms that a request to it is made of.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
};

use http::{HeaderValue, Uri, uri::PathAndQuery};
use telegram_webhook_sidecar_config as raw;

use super::Findings;

/// Port that a `Host` leaves out.
const DEFAULT_PORT: u16 = 80;

/// A path of a port in our own pod.
#[derive(Debug)]
pub struct Upstream {
    pub address: SocketAddr,
    /// The address as a `Host`.
    pub host: HeaderValue,
    /// The path, with its query, as it stands in a request line.
    pub target: Uri,
}

// === impl Upstream ===

impl Upstream {
    pub(super) fn parse(upstream: &raw::Upstream, findings: &mut Findings<'_>) -> Option<Self> {
        if upstream.port == 0 {
            findings.field("upstream.port", "must be above 0");
        }
        let path = upstream.path.parse::<PathAndQuery>().ok();
        if path.is_none() || !upstream.path.starts_with('/') {
            findings.field("upstream.path", "must be a path that starts with a slash");
            return None;
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, upstream.port));
        let host = if upstream.port == DEFAULT_PORT { address.ip().to_string() } else { address.to_string() };
        Some(Self { address, host: host.try_into().ok()?, target: path?.into() })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.address, self.target)
    }
}
