//! The open queues, as the admin port asks them.

use std::{pin::Pin, sync::Arc};

use telegram_webhook_sidecar_config::{Consume, DeliveryState};

use super::{Queues, open::Open};
use crate::{
    admin::queues::{Asked, Queues as AdminQueues},
    queue::{DeadLetter, DeadLetterId, Depth, QueueError, Selection},
};

// === impl Queues ===

impl Queues {
    fn named(&self, webhook: &str) -> Result<Arc<Open>, QueueError> {
        let open = self.open.load();
        open.values().find(|open| open.is_of(webhook)).map(Arc::clone).ok_or(QueueError::Closed)
    }
}

impl AdminQueues for Queues {
    fn names(&self) -> Vec<String> {
        self.open.load().values().map(|open| open.name().to_string()).collect()
    }

    fn consume(&self, webhook: &str) -> Consume {
        self.named(webhook).map(|open| open.consume).unwrap_or_default()
    }

    fn depth<'a>(&'a self, webhook: &'a str) -> Asked<'a, Depth> {
        Box::pin(async move { self.named(webhook)?.backend.depth().await })
    }

    fn hand_over(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let open = self.open.load_full();
            let shared = || open.values().filter(|open| open.is_shared());
            for open in shared() {
                open.stop();
            }
            for open in shared() {
                open.ended().await;
            }
        })
    }

    fn state<'a>(&'a self, webhook: &'a str) -> Asked<'a, DeliveryState> {
        Box::pin(async move { Ok(self.named(webhook)?.state(&self.parts.clock).await) })
    }

    fn dead_letters<'a>(
        &'a self,
        webhook: &'a str,
        selection: &'a Selection,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Asked<'a, Vec<DeadLetter>> {
        Box::pin(async move { self.named(webhook)?.backend.dead_letters(selection, after, limit).await })
    }

    fn replay<'a>(&'a self, webhook: &'a str, id: DeadLetterId) -> Asked<'a, bool> {
        Box::pin(async move { self.named(webhook)?.backend.replay(id).await })
    }
}
