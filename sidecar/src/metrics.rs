//! What the sidecar counts. Labels have few values: names of webhooks, ids of slots and closed sets of words; never a secret,
//! an address or anything a client sent.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::ingress::Seen;

/// Seconds; Telegram's own limit is 60.
const UPSTREAM_BUCKETS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];

/// Handles to every metric; clones count into the same.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    in_flight: Gauge,
    upstream_duration: Family<UpstreamLabels, Histogram>,
    connections: Gauge,
    connections_ended: Family<ConnectionLabels, Counter>,
    reloads: Family<ReloadLabels, Counter>,
    last_reload_successful: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    webhook: String,
    slot: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpstreamLabels {
    webhook: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ConnectionLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

/// How a connection ended, or why it never began.
#[derive(Clone, Copy, Debug)]
pub enum ConnectionEnd {
    Closed,
    Failed,
    HandshakeFailed,
    HandshakeTimeout,
    Evicted,
    OverLimit,
}

/// Counts up while it lives.
pub struct Gauged(Gauge);

// === impl Metrics ===

impl Metrics {
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            requests: Family::default(),
            in_flight: Gauge::default(),
            upstream_duration: Family::new_with_constructor(|| Histogram::new(UPSTREAM_BUCKETS)),
            connections: Gauge::default(),
            connections_ended: Family::default(),
            reloads: Family::default(),
            last_reload_successful: Gauge::default(),
        };
        metrics.registry = Arc::new(metrics.register());
        metrics
    }

    fn register(&self) -> Registry {
        let mut registry = Registry::with_prefix("telegram_webhook_sidecar");
        registry.register(
            "requests",
            "Requests by webhook, slot whose token they carried, and outcome",
            self.requests.clone(),
        );
        registry.register("requests_in_flight", "Requests being worked on", self.in_flight.clone());
        registry.register(
            "upstream_duration_seconds",
            "Time from handing an update to the CRM to its answer",
            self.upstream_duration.clone(),
        );
        registry.register("connections", "Open connections of the webhook port", self.connections.clone());
        registry.register(
            "connections_ended",
            "Ended connections of the webhook port by how they ended",
            self.connections_ended.clone(),
        );
        registry.register(
            "config_reloads",
            "New versions of the configuration by whether all of it could be used",
            self.reloads.clone(),
        );
        registry.register(
            "config_last_reload_successful",
            "1 when all of the newest version of the configuration is in use, 0 when some of it was refused",
            self.last_reload_successful.clone(),
        );
        registry
    }

    pub fn request_started(&self) -> Gauged {
        Gauged::up(&self.in_flight)
    }

    pub fn request_ended(&self, seen: &Seen, outcome: &'static str) {
        let labels = RequestLabels {
            webhook: seen.webhook_name().to_owned(),
            slot: seen.slot.map_or_else(String::new, |id| id.to_string()),
            outcome,
        };
        self.requests.get_or_create(&labels).inc();
    }

    pub fn upstream_answered(&self, webhook: &str, outcome: &'static str, took: Duration) {
        let labels = UpstreamLabels { webhook: webhook.to_owned(), outcome };
        self.upstream_duration.get_or_create(&labels).observe(took.as_secs_f64());
    }

    pub fn connection_opened(&self) -> Gauged {
        Gauged::up(&self.connections)
    }

    pub fn connection_ended(&self, end: ConnectionEnd) {
        let outcome = match end {
            ConnectionEnd::Closed => "closed",
            ConnectionEnd::Failed => "failed",
            ConnectionEnd::HandshakeFailed => "handshake_failed",
            ConnectionEnd::HandshakeTimeout => "handshake_timeout",
            ConnectionEnd::Evicted => "evicted",
            ConnectionEnd::OverLimit => "over_limit",
        };
        self.connections_ended.get_or_create(&ConnectionLabels { outcome }).inc();
    }

    pub fn config_reloaded(&self, successful: bool) {
        let result = if successful { "ok" } else { "failed" };
        self.reloads.get_or_create(&ReloadLabels { result }).inc();
        self.last_reload_successful.set(i64::from(successful));
    }

    /// Everything in the OpenMetrics text format.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Gauged ===

impl Gauged {
    fn up(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Gauged {
    fn drop(&mut self) {
        self.0.dec();
    }
}
