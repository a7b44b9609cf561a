//! Bounds on requests: size, time, number.

use serde::{Deserialize, Serialize};

/// Bounds on requests.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Largest body that is read, in bytes. Telegram never sends more than 513 KiB.
    pub max_body_bytes: usize,
    /// Seconds within which the whole body must have arrived.
    pub body_timeout_seconds: u64,
    /// Seconds within which the CRM must have answered. Telegram itself waits 60.
    pub upstream_timeout_seconds: u64,
    /// Requests of one address, or one IPv6 /64, that fail to authenticate. Of several webhooks in a pod the most generous
    /// limit holds, because it isn't known which of them a stranger means.
    pub unauthenticated: Rate,
    /// Requests of one address, or one IPv6 /64, that carry the right token.
    pub authenticated: Rate,
    /// When a stranger's address is banned; none bans nobody. Of several webhooks in a pod the most generous rule holds.
    pub ban: Option<Ban>,
    /// Networks that are banned for ever, in CIDR notation.
    pub banned: Vec<String>,
}

/// A number of requests in any window of that length.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rate {
    /// How many are let through.
    pub requests: u32,
    /// Length of the window in seconds.
    pub window_seconds: u64,
}

/// When an address is banned, and for how long.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ban {
    /// Requests that fail to authenticate within the window.
    pub failures: u32,
    /// Length of the window in seconds.
    pub window_seconds: u64,
    /// Length of the ban in seconds.
    pub duration_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_body_bytes: 1 << 20,
            body_timeout_seconds: 10,
            upstream_timeout_seconds: 25,
            unauthenticated: Rate { requests: 10, window_seconds: 1 },
            authenticated: Rate { requests: 1000, window_seconds: 1 },
            ban: Some(Ban { failures: 20, window_seconds: 60, duration_seconds: 3600 }),
            banned: Vec::new(),
        }
    }
}
