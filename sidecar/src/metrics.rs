//! What the sidecar counts. Labels have few values: names of webhooks, ids of slots and closed sets of words; never a secret,
//! an address or anything a client sent.

mod delivery;
mod tally;

use std::{fmt, sync::Arc, time::Duration};

use self::delivery::DeliveryMetrics;
pub use self::{delivery::Left, tally::Tally};
use crate::{config::Webhook, ingress::Seen, logging, server::ConnectionEnd};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, text::encode},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::Registry,
};

/// Seconds; Telegram's own limit is 60.
const UPSTREAM_BUCKETS: [f64; 11] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0];

/// Handles to every metric; clones count into the same.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    updates: Family<UpdateLabels, Counter>,
    in_flight: Gauge,
    upstream_duration: Family<UpstreamLabels, Histogram>,
    connections: Gauge,
    connections_ended: Family<ConnectionLabels, Counter>,
    source_addresses: Family<SourceAddressLabels, Counter>,
    source_visible: Family<WebhookLabels, Gauge>,
    token_mismatches: Family<MismatchLabels, Counter>,
    dedup_write_errors: Counter,
    reloads: Family<ReloadLabels, Counter>,
    last_reload_successful: Gauge,
    bans: Counter,
    bans_active: Gauge,
    delivery: DeliveryMetrics,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    /// None while unknown.
    webhook: Option<Arc<str>>,
    slot: Option<i64>,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MismatchLabels {
    webhook: Arc<str>,
    source: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpdateLabels {
    webhook: Arc<str>,
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpstreamLabels {
    webhook: Arc<str>,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ConnectionLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct SourceAddressLabels {
    webhook: Arc<str>,
    verdict: &'static str,
    mode: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WebhookLabels {
    webhook: Arc<str>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

/// Reads what the log counts by itself.
#[derive(Debug)]
struct LostLogLines;

/// Counts up while it lives.
pub struct Gauged<'a>(&'a Gauge);

// === impl Metrics ===

impl Metrics {
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            requests: Family::default(),
            updates: Family::default(),
            in_flight: Gauge::default(),
            upstream_duration: Family::new_with_constructor(|| Histogram::new(UPSTREAM_BUCKETS)),
            connections: Gauge::default(),
            connections_ended: Family::default(),
            source_addresses: Family::default(),
            source_visible: Family::default(),
            token_mismatches: Family::default(),
            dedup_write_errors: Counter::default(),
            reloads: Family::default(),
            last_reload_successful: Gauge::default(),
            bans: Counter::default(),
            bans_active: Gauge::default(),
            delivery: DeliveryMetrics::default(),
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
        registry.register("updates", "Authenticated updates by webhook and kind", self.updates.clone());
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
            "source_address",
            "Requests with the right path and token by whether their address is one of Telegram's, and by what is done about it",
            self.source_addresses.clone(),
        );
        registry.register(
            "source_visible",
            "1 while requests with the right path and token come from Telegram's addresses, 0 while only from others",
            self.source_visible.clone(),
        );
        registry.register(
            "token_mismatches",
            "Requests to a webhook's path without its token, by whether they came from where Telegram sends from: from there, \
             Telegram may have been told another token",
            self.token_mismatches.clone(),
        );
        registry.register(
            "dedup_write_errors",
            "Accepted updates that could not be written down: after a restart they may be delivered again",
            self.dedup_write_errors.clone(),
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
        registry.register("bans", "Bans of clients that failed to authenticate too often", self.bans.clone());
        registry.register("bans_active", "Clients that are banned for a while", self.bans_active.clone());
        self.delivery.register(&mut registry);
        registry.register_collector(Box::new(LostLogLines));
        registry
    }

    pub fn request_started(&self) -> Gauged<'_> {
        Gauged::up(&self.in_flight)
    }

    pub fn request_refused(&self, seen: &Seen, outcome: &'static str) {
        self.requests.get_or_create(&RequestLabels::of(seen, outcome)).inc();
    }

    /// `listed` is whether the client is where Telegram sends from.
    pub fn token_mismatched(&self, webhook: &Arc<str>, listed: bool) {
        let source = if listed { "listed" } else { "unlisted" };
        let labels = MismatchLabels { webhook: Arc::clone(webhook), source };
        self.token_mismatches.get_or_create(&labels).inc();
    }

    pub fn upstream_failed(&self, webhook: &Webhook, outcome: &'static str, took: Duration) {
        let labels = UpstreamLabels { webhook: Arc::clone(&webhook.name), outcome };
        self.upstream_duration.get_or_create(&labels).observe(took.as_secs_f64());
    }

    pub fn connection_opened(&self) -> Gauged<'_> {
        Gauged::up(&self.connections)
    }

    pub fn connection_ended(&self, end: ConnectionEnd) {
        self.connections_ended.get_or_create(&ConnectionLabels { outcome: end.label() }).inc();
    }

    pub fn source_visible(&self, webhook: &Arc<str>, visible: bool) {
        let labels = WebhookLabels { webhook: Arc::clone(webhook) };
        self.source_visible.get_or_create(&labels).set(i64::from(visible));
    }

    pub fn dedup_write_failed(&self) {
        self.dedup_write_errors.inc();
    }

    pub fn config_reloaded(&self, successful: bool) {
        let result = if successful { "ok" } else { "failed" };
        self.reloads.get_or_create(&ReloadLabels { result }).inc();
        self.last_reload_successful.set(i64::from(successful));
    }

    pub fn banned(&self) {
        self.bans.inc();
    }

    pub fn set_bans(&self, number: usize) {
        self.bans_active.set(i64::try_from(number).unwrap_or(i64::MAX));
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

// === impl RequestLabels ===

impl RequestLabels {
    fn of(seen: &Seen, outcome: &'static str) -> Self {
        let webhook = seen.webhook.as_ref().map(|webhook| Arc::clone(&webhook.name));
        Self { webhook, slot: seen.slot, outcome }
    }
}

// === impl LostLogLines ===

impl Collector for LostLogLines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let lost = ConstCounter::new(logging::lost_lines());
        let help = "Lines of the log that were lost because nobody read them fast enough";
        lost.encode(encoder.encode_descriptor("log_lines_lost", help, None, lost.metric_type())?)
    }
}

// === impl Gauged ===

impl<'a> Gauged<'a> {
    fn up(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Gauged<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
