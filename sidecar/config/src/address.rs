//! Whose request it is: where the client's address is found, and which addresses are Telegram's.

use serde::{Deserialize, Serialize};

/// The networks that Telegram documents as those its webhook calls come from: <https://core.telegram.org/bots/webhooks>.
pub const DOCUMENTED_RANGES: [&str; 2] = ["149.154.160.0/20", "91.108.4.0/22"];

/// Where the client's address is found.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClientAddress {
    /// The one place to look at.
    pub source: AddressSource,
    /// Networks of the proxies in front, in CIDR notation: only these are believed. None for `Peer`, at least one otherwise.
    pub trusted_proxies: Vec<String>,
}

/// A place that tells the client's address.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum AddressSource {
    /// The other end of the TCP connection.
    #[default]
    Peer,
    /// The header of the PROXY protocol, version 1 or 2, with which every connection must begin.
    ProxyProtocol,
    /// The right-most hop of `X-Forwarded-For` that is no trusted proxy.
    XForwardedFor,
}

/// What is done about addresses that are not Telegram's.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SourceAddress {
    /// Whether they are refused.
    pub mode: AddressMode,
    /// Telegram's networks in CIDR notation.
    pub ranges: Vec<String>,
    /// How they are refused.
    pub refusal: AddressRefusal,
}

impl Default for SourceAddress {
    fn default() -> Self {
        Self {
            mode: AddressMode::default(),
            ranges: DOCUMENTED_RANGES.map(str::to_owned).to_vec(),
            refusal: AddressRefusal::default(),
        }
    }
}

/// Whether unlisted addresses are refused.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum AddressMode {
    /// They are.
    #[default]
    Enforce,
    /// They are counted only.
    Shadow,
    /// Nobody looks.
    Off,
}

/// How unlisted addresses are refused.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
pub enum AddressRefusal {
    /// With the status 403.
    #[default]
    Status,
    /// By closing the connection before the TLS handshake, where the address is known by then; with 403 elsewhere.
    Close,
}
