//! What becomes of the updates that are stored: the queue's and the dispatcher's numbers.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Metrics, WebhookLabels};
use crate::{
    config::Webhook,
    delivery::{BreakerState, Withheld},
    queue::{Appended, Depth, QueueError, Reason},
};

/// A gauge of fractions.
type Fraction = Gauge<f64, AtomicU64>;

/// Handles; clones count into the same.
#[derive(Clone, Default)]
pub(super) struct DeliveryMetrics {
    appends: Family<OutcomeLabels, Counter>,
    settled: Family<OutcomeLabels, Counter>,
    dead_lettered: Family<ReasonLabels, Counter>,
    errors: Family<ErrorLabels, Counter>,
    lost: Family<WebhookLabels, Counter>,
    queue_updates: Family<WebhookLabels, Gauge>,
    queue_bytes: Family<WebhookLabels, Gauge>,
    queue_oldest: Family<WebhookLabels, Fraction>,
    dead_letters: Family<WebhookLabels, Gauge>,
    breaker: Family<WebhookLabels, Gauge>,
    withheld: Family<ReasonLabels, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    webhook: Arc<str>,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabels {
    webhook: Arc<str>,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ErrorLabels {
    webhook: Arc<str>,
    error: &'static str,
}

/// How an update left the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The CRM has it.
    Delivered,
    /// Nobody waits for it any more.
    Expired,
    DeadLettered,
}

// === impl DeliveryMetrics ===

impl DeliveryMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "queue_appends",
            "Updates to be stored by what came of it: stored, a duplicate, or the error",
            self.appends.clone(),
        );
        registry.register(
            "queue_errors",
            "Failures of the queue to give out an update or to take back what became of one",
            self.errors.clone(),
        );
        registry.register(
            "queue_leases_lost",
            "Updates in hand that were given up because another sidecar may have them",
            self.lost.clone(),
        );
        registry.register(
            "queue_updates",
            "Updates that are stored and not settled",
            self.queue_updates.clone(),
        );
        registry.register(
            "queue_bytes",
            "Bytes that the queue takes, dead letters included",
            self.queue_bytes.clone(),
        );
        registry.register(
            "queue_oldest_age_seconds",
            "Time since the oldest update that is not settled was received, 0 without any",
            self.queue_oldest.clone(),
        );
        registry.register("dead_letters", "Updates that are set aside", self.dead_letters.clone());
        registry.register(
            "dead_lettered",
            "Updates that were set aside, by the reason",
            self.dead_lettered.clone(),
        );
        registry.register("deliveries", "Updates that left the queue by how", self.settled.clone());
        registry.register(
            "breaker_state",
            "0 while updates go to the CRM, 2 while it is spared after failures, 1 while one is tried",
            self.breaker.clone(),
        );
        registry.register(
            "replies_withheld",
            "Answers of the CRM that Telegram didn't get, by the reason",
            self.withheld.clone(),
        );
    }
}

// === impl Left ===

impl Left {
    /// Name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Expired => "expired",
            Self::DeadLettered => "dead_lettered",
        }
    }
}

// === impl Metrics ===

impl Metrics {
    /// What storing an update came to.
    pub fn update_appended(&self, webhook: &Webhook, result: &Result<Appended, QueueError>) {
        let count = |outcome| {
            let labels = OutcomeLabels { webhook: Arc::clone(&webhook.name), outcome };
            self.delivery.appends.get_or_create_owned(&labels)
        };
        match result {
            Ok(Appended::Stored) => webhook.tally.stored().get_or_init(|| count("stored")).inc(),
            Ok(Appended::Duplicate) => count("duplicate").inc(),
            Err(error) => count(error_label(error)).inc(),
        };
    }

    /// An update left the queue.
    pub fn update_left(&self, webhook: &Webhook, left: Left) {
        let count = || {
            let labels = OutcomeLabels { webhook: Arc::clone(&webhook.name), outcome: left.label() };
            self.delivery.settled.get_or_create_owned(&labels)
        };
        match left {
            Left::Delivered => webhook.tally.left().get_or_init(count).inc(),
            Left::Expired | Left::DeadLettered => count().inc(),
        };
    }

    /// An update was set aside.
    pub fn dead_lettered(&self, webhook: &Webhook, reason: &Reason) {
        let labels = ReasonLabels {
            webhook: Arc::clone(&webhook.name),
            reason: match reason {
                Reason::Malformed(_) => "malformed",
                Reason::Refused(_) => "refused",
                Reason::Exhausted { .. } => "exhausted",
            },
        };
        self.delivery.dead_lettered.get_or_create(&labels).inc();
    }

    /// Telegram doesn't get what the CRM said.
    pub fn reply_withheld(&self, webhook: &Webhook, withheld: Withheld) {
        let labels = ReasonLabels { webhook: Arc::clone(&webhook.name), reason: withheld.label() };
        self.delivery.withheld.get_or_create(&labels).inc();
    }

    pub fn queue_failed(&self, webhook: &Webhook, error: &QueueError) {
        let labels = ErrorLabels { webhook: Arc::clone(&webhook.name), error: error_label(error) };
        self.delivery.errors.get_or_create(&labels).inc();
    }

    /// An update in hand is left to whoever has it by now.
    pub fn lease_lost(&self, webhook: &Webhook) {
        let labels = WebhookLabels { webhook: Arc::clone(&webhook.name) };
        self.delivery.lost.get_or_create(&labels).inc();
    }

    /// `age` is that of the oldest.
    pub fn queue_depth(&self, webhook: &Webhook, depth: &Depth, age: Duration) {
        let Depth { updates, bytes, oldest: _, dead_letters } = *depth;
        let labels = WebhookLabels { webhook: Arc::clone(&webhook.name) };
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let metrics = &self.delivery;
        metrics.queue_updates.get_or_create(&labels).set(number(updates));
        metrics.queue_bytes.get_or_create(&labels).set(number(bytes));
        metrics.dead_letters.get_or_create(&labels).set(number(dead_letters));
        metrics.queue_oldest.get_or_create(&labels).set(age.as_secs_f64());
    }

    pub fn breaker(&self, webhook: &Webhook, state: BreakerState) {
        let labels = WebhookLabels { webhook: Arc::clone(&webhook.name) };
        self.delivery.breaker.get_or_create(&labels).set(state.level());
    }

    /// Nothing is delivered for the webhook any more: its gauges would stand still.
    pub fn delivery_ended(&self, webhook: &Webhook) {
        let labels = WebhookLabels { webhook: Arc::clone(&webhook.name) };
        let DeliveryMetrics { queue_updates, queue_bytes, queue_oldest, dead_letters, breaker, .. } =
            &self.delivery;
        for gauges in [queue_updates, queue_bytes, dead_letters, breaker] {
            gauges.remove(&labels);
        }
        queue_oldest.remove(&labels);
    }
}

fn error_label(error: &QueueError) -> &'static str {
    match error {
        QueueError::Full(_) => "full",
        QueueError::Unavailable(_) => "unavailable",
        QueueError::Broken(_) => "broken",
        QueueError::Closed => "closed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_util::{policy, raw_config};

    fn has(metrics: &Metrics, series: &str) -> bool {
        let text = metrics.encode().unwrap();
        text.lines().any(|line| line.strip_prefix("telegram_webhook_sidecar_") == Some(series))
    }

    #[test]
    fn what_becomes_of_updates_is_counted_by_webhook() {
        let (metrics, policy) = (Metrics::new(), policy(&[raw_config("a")]).load_full());
        let webhook = &policy.webhooks()[0];
        metrics.update_appended(webhook, &Ok(Appended::Stored));
        metrics.update_appended(webhook, &Ok(Appended::Stored));
        metrics.update_appended(webhook, &Ok(Appended::Duplicate));
        metrics.update_appended(webhook, &Err(QueueError::Full("no room".to_owned())));
        metrics.update_left(webhook, Left::Delivered);
        metrics.update_left(webhook, Left::Expired);
        metrics.dead_lettered(webhook, &Reason::Refused(400));
        metrics.queue_failed(webhook, &QueueError::Closed);
        for series in [
            r#"queue_appends_total{webhook="crm/a",outcome="stored"} 2"#,
            r#"queue_appends_total{webhook="crm/a",outcome="duplicate"} 1"#,
            r#"queue_appends_total{webhook="crm/a",outcome="full"} 1"#,
            r#"deliveries_total{webhook="crm/a",outcome="delivered"} 1"#,
            r#"deliveries_total{webhook="crm/a",outcome="expired"} 1"#,
            r#"dead_lettered_total{webhook="crm/a",reason="refused"} 1"#,
            r#"queue_errors_total{webhook="crm/a",error="closed"} 1"#,
        ] {
            assert!(has(&metrics, series), "{series}");
        }
    }

    #[test]
    fn gauges_are_gone_with_the_delivery() {
        let (metrics, policy) = (Metrics::new(), policy(&[raw_config("a")]).load_full());
        let webhook = &policy.webhooks()[0];
        let depth = Depth { updates: 3, bytes: 900, oldest: None, dead_letters: 2 };
        metrics.queue_depth(webhook, &depth, Duration::from_millis(1500));
        metrics.breaker(webhook, BreakerState::Open);
        let series = [
            r#"queue_updates{webhook="crm/a"} 3"#,
            r#"queue_bytes{webhook="crm/a"} 900"#,
            r#"dead_letters{webhook="crm/a"} 2"#,
            r#"queue_oldest_age_seconds{webhook="crm/a"} 1.5"#,
            r#"breaker_state{webhook="crm/a"} 2"#,
        ];
        assert!(series.iter().all(|series| has(&metrics, series)), "{}", metrics.encode().unwrap());
        metrics.delivery_ended(webhook);
        assert!(!metrics.encode().unwrap().contains("crm/a"));
    }
}
