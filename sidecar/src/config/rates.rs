//! How many requests a client may make, and which clients are banned, checked.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use ipnet::IpNet;
use telegram_webhook_sidecar_config::{
    self as raw, DOCUMENTED_RANGES, WebhookConfig,
    bounds::{BAN_DURATION_SECONDS, BAN_FAILURES, BAN_WINDOW_SECONDS, REQUESTS, WINDOW_SECONDS},
};

use super::{Webhook, address::networks, problem::Findings};
use crate::address::Networks;

/// What one webhook says about numbers of requests.
#[derive(Clone, Debug)]
pub struct Rates {
    pub unauthenticated: Rate,
    pub authenticated: Rate,
    pub ban: Option<BanRule>,
    /// Banned for ever.
    pub banned: Networks,
}

/// So many requests in any window of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub requests: u32,
    pub window_seconds: u32,
}

/// When an address is banned, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BanRule {
    pub failures: u32,
    pub window_seconds: u32,
    pub duration: Duration,
}

/// What holds for a client of whom it isn't known which webhook it means: the most generous of what the webhooks of the port say.
#[derive(Clone, Debug)]
pub struct StrangerRules {
    pub rate: Rate,
    /// None as soon as one webhook has none.
    pub ban: Option<BanRule>,
    /// What any webhook bans for ever.
    pub banned: Networks,
}

// === impl Rates ===

impl Rates {
    pub(super) fn parse(config: &WebhookConfig, findings: &mut Findings<'_>) -> Self {
        let raw::Limits { unauthenticated, authenticated, ban, .. } = &config.limits;
        Self {
            unauthenticated: rate("limits.unauthenticated", *unauthenticated, findings),
            authenticated: rate("limits.authenticated", *authenticated, findings),
            ban: ban.map(|ban| ban_rule(ban, findings)),
            banned: banned(config, findings),
        }
    }
}

fn rate(field: &str, rate: raw::Rate, findings: &mut Findings<'_>) -> Rate {
    Rate {
        requests: within(&format!("{field}.requests"), rate.requests, REQUESTS, findings),
        window_seconds: seconds(
            &format!("{field}.windowSeconds"),
            rate.window_seconds,
            WINDOW_SECONDS,
            findings,
        ),
    }
}

fn ban_rule(ban: raw::Ban, findings: &mut Findings<'_>) -> BanRule {
    let raw::Ban { failures, window_seconds, duration_seconds } = ban;
    let duration = within("limits.ban.durationSeconds", duration_seconds, BAN_DURATION_SECONDS, findings);
    BanRule {
        failures: within("limits.ban.failures", failures, BAN_FAILURES, findings),
        window_seconds: seconds("limits.ban.windowSeconds", window_seconds, BAN_WINDOW_SECONDS, findings),
        duration: Duration::from_secs(duration),
    }
}

/// The networks, none of which may hold an address that must never be banned.
fn banned(config: &WebhookConfig, findings: &mut Findings<'_>) -> Networks {
    let documented = DOCUMENTED_RANGES.map(str::to_owned);
    let never = [
        ("what Telegram documents as its own", set(&documented)),
        ("sourceAddress.ranges", set(&config.source_address.ranges)),
        ("clientAddress.trustedProxies", set(&config.client_address.trusted_proxies)),
    ];
    let banned = networks("limits.banned", &config.limits.banned, findings);
    for network in &banned {
        for (name, others) in &never {
            if Networks::from_iter([*network]).overlaps(others) {
                findings.field("limits.banned", format!("{network} overlaps {name}: leave it out"));
            }
        }
    }
    banned.into_iter().collect()
}

/// Those of the networks that are any; what is wrong with the others is said where they belong.
fn set(networks: &[String]) -> Networks {
    networks.iter().filter_map(|network| network.parse::<IpNet>().ok()).collect()
}

pub(super) fn within<T: PartialOrd + std::fmt::Display>(
    field: &str,
    value: T,
    bounds: RangeInclusive<T>,
    findings: &mut Findings<'_>,
) -> T {
    if !bounds.contains(&value) {
        findings.field(field, format!("must be {} to {}", bounds.start(), bounds.end()));
    }
    value
}

fn seconds(field: &str, value: u64, bounds: RangeInclusive<u64>, findings: &mut Findings<'_>) -> u32 {
    // what doesn't fit was out of bounds
    u32::try_from(within(field, value, bounds, findings)).unwrap_or(u32::MAX)
}

// === impl StrangerRules ===

impl StrangerRules {
    pub(super) fn of(webhooks: &[Arc<Webhook>]) -> Self {
        let rates = || webhooks.iter().map(|webhook| &webhook.limits.rates);
        let raw::Rate { requests, .. } = raw::Limits::default().unauthenticated;
        let rate = rates().map(|rates| rates.unauthenticated).reduce(Rate::most_generous);
        let bans: Option<Vec<_>> = rates().map(|rates| rates.ban).collect();
        Self {
            rate: rate.unwrap_or(Rate { requests, window_seconds: 1 }),
            ban: bans.and_then(|bans| bans.into_iter().reduce(BanRule::most_generous)),
            banned: Networks::union(rates().map(|rates| &rates.banned)),
        }
    }
}

impl Default for StrangerRules {
    fn default() -> Self {
        Self::of(&[])
    }
}

impl Rate {
    /// Lets through what either does.
    fn most_generous(self, other: Self) -> Self {
        Self {
            requests: self.requests.max(other.requests),
            window_seconds: self.window_seconds.min(other.window_seconds),
        }
    }
}

impl BanRule {
    /// Bans only whom both ban, and for no longer.
    fn most_generous(self, other: Self) -> Self {
        Self {
            failures: self.failures.max(other.failures),
            window_seconds: self.window_seconds.min(other.window_seconds),
            duration: self.duration.min(other.duration),
        }
    }
}

#[cfg(test)]
mod tests;
