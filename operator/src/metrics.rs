//! The operator's metrics. Labels are bounded: methods, outcomes and reasons are enums of ours.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

/// Every metric of the operator, and their registry.
pub struct Metrics {
    registry: Registry,
    reconciles: Family<ReconcileLabels, Counter>,
    reconcile_seconds: Histogram,
    bot_api_calls: Family<CallLabels, Counter>,
    leader: Gauge,
    webhooks: Family<ReadyLabels, Gauge>,
    readiness: Mutex<HashMap<String, String>>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReconcileLabels {
    result: &'static str,
    reason: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    method: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReadyLabels {
    ready: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("telegram_webhook_operator");
        let reconciles = Family::default();
        registry.register(
            "reconcile",
            "Passes over a TelegramWebhook by result and reason",
            reconciles.clone(),
        );
        let reconcile_seconds = Histogram::new(exponential_buckets(0.01, 2.0, 12));
        registry.register(
            "reconcile_seconds",
            "Duration of a pass over a TelegramWebhook",
            reconcile_seconds.clone(),
        );
        let bot_api_calls = Family::default();
        registry.register(
            "bot_api_calls",
            "Calls of the Bot API by method and outcome",
            bot_api_calls.clone(),
        );
        let leader = Gauge::default();
        registry.register("leader", "1 while this instance holds the lease and reconciles", leader.clone());
        let webhooks = Family::default();
        registry.register(
            "webhooks",
            "TelegramWebhooks by status of their Ready condition",
            webhooks.clone(),
        );
        Self {
            registry,
            reconciles,
            reconcile_seconds,
            bot_api_calls,
            leader,
            webhooks,
            readiness: Mutex::default(),
        }
    }
}

impl Metrics {
    /// One pass has ended.
    pub fn reconciled(&self, result: &'static str, reason: String, took: Duration) {
        self.reconciles.get_or_create(&ReconcileLabels { result, reason }).inc();
        self.reconcile_seconds.observe(took.as_secs_f64());
    }

    /// One call of the Bot API has ended.
    pub fn bot_api_call(&self, method: &'static str, outcome: &'static str) {
        self.bot_api_calls.get_or_create(&CallLabels { method, outcome }).inc();
    }

    /// This instance reconciles, or has stopped to.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    /// What the resource's Ready condition says now; `None` once the resource is gone.
    pub fn readiness(&self, uid: &str, ready: Option<&str>) {
        let mut readiness = self.readiness.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match ready {
            Some(ready) => readiness.insert(uid.to_owned(), ready.to_owned()),
            None => readiness.remove(uid),
        };
        if let Some(before) = before {
            self.webhooks.get_or_create(&ReadyLabels { ready: before }).dec();
        }
        if let Some(ready) = ready {
            let ready = ready.to_owned();
            self.webhooks.get_or_create(&ReadyLabels { ready }).inc();
        }
    }

    /// The text that Prometheus reads.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_webhook_counts_once_under_its_latest_readiness() {
        let metrics = Metrics::default();
        metrics.readiness("a", Some("False"));
        metrics.readiness("a", Some("True"));
        metrics.readiness("b", Some("True"));
        metrics.readiness("b", None);
        let text = metrics.render().unwrap();
        assert!(text.contains("telegram_webhook_operator_webhooks{ready=\"True\"} 1"), "{text}");
        assert!(text.contains("telegram_webhook_operator_webhooks{ready=\"False\"} 0"), "{text}");
    }

    #[test]
    fn calls_are_counted_by_method_and_outcome() {
        let metrics = Metrics::default();
        metrics.bot_api_call("setWebhook", "ok");
        let text = metrics.render().unwrap();
        assert!(
            text.contains(
                "telegram_webhook_operator_bot_api_calls_total{method=\"setWebhook\",outcome=\"ok\"} 1"
            ),
            "{text}"
        );
    }
}
