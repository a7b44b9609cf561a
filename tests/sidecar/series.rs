//! Names of the sidecar's series. All are made here: a series that counts nothing yet is not there, so a misspelt name would pass
//! for one at 0.

use telegram_webhook_tests::sidecar::WEBHOOK;

/// Ways in which a connection ends.
const ENDS: [&str; 13] = [
    "closed",
    "failed",
    "handshake_failed",
    "handshake_timeout",
    "evicted",
    "over_limit",
    "banned",
    "unlisted",
    "untrusted_proxy",
    "bad_proxy_header",
    "handshake_rate",
    "head_timeout",
    "idle_timeout",
];

/// Any series.
pub fn series(name: &str, labels: &[(&str, &str)]) -> String {
    let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    format!("telegram_webhook_sidecar_{name}{labels}")
}

/// Requests of the fixture's webhook that carried the token of its slot 1.
pub fn requests(outcome: &str) -> String {
    requests_of(WEBHOOK, "1", outcome)
}

/// The same of any webhook and slot, each empty where it did not become known.
pub fn requests_of(webhook: &str, slot: &str, outcome: &str) -> String {
    series("requests_total", &[("webhook", webhook), ("slot", slot), ("outcome", outcome)])
}

/// Connections that ended in this way.
pub fn ended(outcome: &str) -> String {
    assert!(ENDS.contains(&outcome), "{outcome} is no way in which a connection ends");
    series("connections_ended_total", &[("outcome", outcome)])
}
