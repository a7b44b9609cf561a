//! Who is banned: `/bans` of the admin port, and the `bans` command that asks there.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use http::Method;
use serde::{Deserialize, Serialize};

use super::client::{AskError, ask};
use crate::{bans::Bans, config::Policy};

/// Where the bans are; the address to lift follows with a slash between.
pub(super) const PATH: &str = "/bans";

/// A ban, as the admin port shows it.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// An address, the /64 of an IPv6 address, or a network of the configuration.
    pub address: String,
    /// Whether the configuration says so.
    pub permanent: bool,
    /// The webhook whose configuration says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// How many requests had failed to authenticate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
    /// When it ends, as RFC 3339 writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// All bans: those of the configuration first.
pub(super) fn entries(policy: &Policy, bans: &Bans) -> Vec<Entry> {
    let mut entries = Vec::new();
    for webhook in policy.webhooks() {
        entries.extend(webhook.limits.rates.banned.iter().map(|network| Entry {
            address: network.to_string(),
            permanent: true,
            webhook: Some(webhook.name.to_string()),
            failures: None,
            until: None,
        }));
    }
    entries.extend(bans.list().into_iter().map(|listed| Entry {
        address: listed.client.to_string(),
        permanent: false,
        webhook: None,
        failures: Some(listed.failures),
        until: Some(listed.until.to_string()),
    }));
    entries
}

/// Reads what a ban that ends is listed as, and any address within.
pub fn address(text: &str) -> Result<IpAddr, &'static str> {
    let site = || text.strip_suffix("/64")?.parse::<Ipv6Addr>().ok();
    let address = text.parse().ok().or_else(|| site().map(IpAddr::from));
    address.ok_or("must be an IP address, or an IPv6 network that ends in /64")
}

/// The bans of the sidecar at `admin`.
pub async fn list(admin: SocketAddr) -> Result<Vec<Entry>, AskError> {
    let entries = ask(admin, Method::GET, PATH).await?;
    Ok(serde_json::from_slice(&entries)?)
}

/// All bans for people, one a line.
pub fn shown(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "nobody is banned".to_owned();
    }
    entries.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Ends a ban of the sidecar at `admin`, and says whose.
pub async fn lift(admin: SocketAddr, address: IpAddr) -> Result<String, AskError> {
    let answer = ask(admin, Method::DELETE, &format!("{PATH}/{address}")).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

// === impl Entry ===

/// A line for people.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, permanent: _, webhook, failures, until } = self;
        write!(f, "{address}")?;
        if let Some(webhook) = webhook {
            write!(f, " for ever, by limits.banned of {webhook}")?;
        }
        if let Some(until) = until {
            write!(f, " until {until}")?;
        }
        if let Some(failures) = failures {
            write!(f, ", after {failures} requests that failed to authenticate")?;
        }
        Ok(())
    }
}
