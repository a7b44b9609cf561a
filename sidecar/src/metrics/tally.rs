//! The metrics that accepted updates count into, kept beside their webhook: to look one up hashes its labels under a lock, which
//! costs more than all the counting.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus_client::metrics::{counter::Counter, histogram::Histogram};

use telegram_webhook_sidecar_config::AddressMode;

use super::{Metrics, RequestLabels, SourceAddressLabels, UpdateLabels, UpstreamLabels};
use crate::{
    config::{Slot, Webhook},
    ingress::{
        Seen,
        update::{Kind, NamedKind},
    },
};

/// What has been looked up for one version of a webhook. Each is when it is first counted into, so that what never happens isn't
/// listed.
#[derive(Debug)]
pub struct Tally {
    /// Of the requests whose update was accepted, by id of the slot. Of one version of a webhook all have the same outcome.
    accepted: Vec<(i64, OnceLock<Counter>)>,
    /// By the kind's position among all.
    updates: [OnceLock<Counter>; Kind::ALL.len()],
    /// Of the deliveries that the CRM accepted.
    upstream: OnceLock<Histogram>,
    unlisted: OnceLock<Counter>,
    listed: OnceLock<Counter>,
    /// Of the updates that were stored.
    stored: OnceLock<Counter>,
    /// Of those that left the queue because the CRM has them.
    left: OnceLock<Counter>,
}

// === impl Tally ===

impl Tally {
    pub fn of(slots: &[Slot]) -> Self {
        Self {
            accepted: slots.iter().map(|slot| (slot.id, OnceLock::new())).collect(),
            updates: [const { OnceLock::new() }; Kind::ALL.len()],
            upstream: OnceLock::new(),
            unlisted: OnceLock::new(),
            listed: OnceLock::new(),
            stored: OnceLock::new(),
            left: OnceLock::new(),
        }
    }

    fn accepted(&self, slot: i64) -> Option<&OnceLock<Counter>> {
        self.accepted.iter().find(|(id, _)| *id == slot).map(|(_, counter)| counter)
    }

    fn updates(&self, kind: Kind) -> Option<&OnceLock<Counter>> {
        self.updates.get(kind as usize)
    }

    pub(super) fn stored(&self) -> &OnceLock<Counter> {
        &self.stored
    }

    pub(super) fn left(&self) -> &OnceLock<Counter> {
        &self.left
    }

    /// By where it came from.
    fn source(&self, listed: bool) -> &OnceLock<Counter> {
        if listed { &self.listed } else { &self.unlisted }
    }
}

// === impl Metrics ===

impl Metrics {
    /// The update was stored or delivered.
    pub fn request_accepted(&self, seen: &Seen, outcome: &'static str) {
        let slot = seen.slot.and_then(|slot| seen.webhook.as_ref()?.tally.accepted(slot));
        let count = || self.requests.get_or_create_owned(&RequestLabels::of(seen, outcome));
        match slot {
            Some(found) => found.get_or_init(count).inc(),
            None => count().inc(),
        };
    }

    pub fn update_received(&self, webhook: &Webhook, kind: NamedKind) {
        let count = || {
            let labels = UpdateLabels { webhook: Arc::clone(&webhook.name), kind: kind.label() };
            self.updates.get_or_create_owned(&labels)
        };
        match kind.known().and_then(|kind| webhook.tally.updates(kind)) {
            Some(found) => found.get_or_init(count).inc(),
            None => count().inc(),
        };
    }

    /// The CRM has accepted an update.
    pub fn upstream_delivered(&self, webhook: &Webhook, took: Duration) {
        let labels = || UpstreamLabels { webhook: Arc::clone(&webhook.name), outcome: "delivered" };
        let found =
            webhook.tally.upstream.get_or_init(|| self.upstream_duration.get_or_create_owned(&labels()));
        found.observe(took.as_secs_f64());
    }

    /// Where a request with the right path and token came from.
    pub fn source_address(&self, webhook: &Webhook, listed: bool) {
        let count = || {
            let labels = SourceAddressLabels {
                webhook: Arc::clone(&webhook.name),
                verdict: if listed { "listed" } else { "unlisted" },
                mode: match webhook.source_address.mode {
                    AddressMode::Enforce => "Enforce",
                    AddressMode::Shadow => "Shadow",
                    AddressMode::Off => "Off",
                },
            };
            self.source_addresses.get_or_create_owned(&labels)
        };
        webhook.tally.source(listed).get_or_init(count).inc();
    }
}
