//! `spec.limits`: bounds on requests.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use telegram_webhook_sidecar_config::bounds::{BODY_BYTES, TELEGRAM_BODY_BYTES};

use super::text::{Network, Period};

/// Bounds on requests. Addresses are counted one by one for IPv4 and by /64 for IPv6.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct LimitsSpec {
    /// Largest body that is read, in bytes, between 513 KiB and 16 MiB; a larger one is refused with 413. The default is 1 MiB. Telegram
    /// sends at most 513 KiB, and goes on for a day sending what is refused, in front of all that follows in that chat.
    #[schemars(range(min = TELEGRAM_BODY_BYTES, max = *BODY_BYTES.end()))]
    pub max_body_bytes: u32,
    /// What one address may send that fails to authenticate, before it is told 429 instead; listed addresses (see
    /// `spec.verification.sourceAddress.ranges`) are exempt. The default is 10 in a second. Of several resources that share a pod the
    /// most generous limit holds: it isn't known which of them a stranger means.
    pub unauthenticated: RateSpec,
    /// What one address may send with the right secret token. The default is 1000 in a second: Telegram sends all it has from
    /// few addresses, and repeats what is refused with 429.
    pub authenticated: RateSpec,
    /// When an address that fails to authenticate is banned. Never banned are Telegram's documented networks,
    /// `spec.verification.sourceAddress.custom`, trusted proxies, and addresses that are none of the internet, such as private ones,
    /// behind which a whole network may stand. Of several resources that share a pod the most generous rule holds.
    pub ban: BanSpec,
    /// Networks that are refused for ever, in CIDR notation. None by default. They must not overlap with Telegram's networks,
    /// `spec.verification.sourceAddress.custom` or `spec.endpoint.clientAddress.trustedProxies`. They hold for every
    /// resource that shares the pod.
    #[schemars(extend("maxItems" = 256, "x-kubernetes-list-type" = "set"))]
    pub banned: Vec<Network>,
}

/// A number of requests in any window of that length.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RateSpec {
    /// How many requests are let through.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests: u32,
    /// Length of the window: a number and `s`, `m` or `h`, at most an hour. The default is a second.
    #[serde(default = "second")]
    pub window: Period,
}

/// When an address is banned, and for how long.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct BanSpec {
    /// How many failures within the window lead to a ban; 0 switches bans off. The default is 20.
    #[schemars(range(min = 0, max = 100_000))]
    pub failures: u32,
    /// Length of the window: a number and `s`, `m` or `h`, at most 24h. The default is a minute.
    pub window: Period,
    /// Length of the ban: a number and `s`, `m` or `h`, at most 720h. The default is an hour.
    pub duration: Period,
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self {
            max_body_bytes: 1 << 20,
            unauthenticated: RateSpec { requests: 10, window: second() },
            authenticated: RateSpec { requests: 1000, window: second() },
            ban: BanSpec::default(),
            banned: Vec::new(),
        }
    }
}

impl Default for BanSpec {
    fn default() -> Self {
        Self { failures: 20, window: "1m".into(), duration: "1h".into() }
    }
}

fn second() -> Period {
    "1s".into()
}
