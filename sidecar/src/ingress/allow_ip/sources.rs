//! From where the requests come that carry the right path and token: if never from Telegram's addresses, then these can't be seen
//! from here, and a rule about them would refuse Telegram itself.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use telegram_webhook_sidecar_config::{AddressMode, SourceVisible};
use tokio::time::Instant;

use crate::{address, config::Webhook, metrics::Metrics};

/// After so long without a listed address those seen before prove nothing: what stands in front may have changed.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);

/// What has been seen of every webhook.
pub struct Sources {
    metrics: Metrics,
    /// By the webhook's name, so that a new version of it is the same one.
    webhooks: Mutex<HashMap<Arc<str>, Arc<Mutex<Source>>>>,
}

/// What has been seen of one.
#[derive(Default)]
pub struct Source {
    seen: SourceVisible,
    last_listed: Option<Instant>,
    /// What was concluded, under which rule.
    concluded: Option<(bool, AddressMode)>,
}

// === impl Sources ===

impl Sources {
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, webhooks: Mutex::default() }
    }

    /// Notes from where a request came that carried the webhook's path and token.
    pub fn note(&self, webhook: &Webhook, client: IpAddr) {
        let mode = webhook.source_address.mode;
        if mode == AddressMode::Off {
            return;
        }
        let listed = webhook.source_address.ranges.contains(client);
        self.metrics.source_address(webhook, listed);
        let mut source = lock(webhook.source.get_or_init(|| self.source(&webhook.name)));
        source.note(client, listed);
        let concluded = Some((source.seen.visible, mode));
        if source.concluded != concluded {
            source.concluded = concluded;
            self.metrics.source_visible(&webhook.name, source.seen.visible);
            say(&webhook.name, client, source.seen.visible, mode);
        }
    }

    fn source(&self, webhook: &Arc<str>) -> Arc<Mutex<Source>> {
        Arc::clone(lock(&self.webhooks).entry(Arc::clone(webhook)).or_default())
    }

    /// What has been seen of a webhook since the start; none if it was nothing.
    pub fn seen(&self, webhook: &str) -> Option<SourceVisible> {
        lock(&self.webhooks).get(webhook).map(|source| lock(source).seen)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // nothing that holds a lock can panic half-way
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Source ===

impl Source {
    fn note(&mut self, client: IpAddr, listed: bool) {
        let now = Instant::now();
        if listed {
            self.seen.listed += 1;
            self.last_listed = Some(now);
        } else {
            self.seen.unlisted += 1;
            self.seen.unroutable += u64::from(!address::is_global(client));
        }
        self.seen.visible = self.last_listed.is_some_and(|at| now - at < FORGOTTEN_AFTER);
    }
}

fn say(webhook: &str, client: IpAddr, visible: bool, mode: AddressMode) {
    match (visible, mode) {
        (true, _) => tracing::info!(webhook, %client, "Telegram's address is visible"),
        (false, AddressMode::Enforce) => tracing::error!(
            webhook, %client,
            "requests with the right path and token are refused, because none comes from an address of Telegram's: if this is \
             Telegram, the client's address isn't visible here: set clientAddress, or sourceAddress.mode Shadow; \
             if it is not, rotate the secret"
        ),
        (false, _) => tracing::warn!(
            webhook, %client,
            "requests with the right path and token come from no address of Telegram's and would be refused with \
             sourceAddress.mode Enforce: set clientAddress first"
        ),
    }
}
