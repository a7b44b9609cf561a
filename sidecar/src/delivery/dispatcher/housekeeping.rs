//! What is done by the clock, also where nothing is delivered: the queue's numbers go to the metrics, and old dead letters are forgotten.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval},
};

use crate::{
    config::Webhook,
    metrics::Metrics,
    queue::{Clock, Queue},
};

const REFRESH: Duration = Duration::from_secs(1);
const PURGE: Duration = Duration::from_hours(1);
/// After one that failed.
const PURGE_AGAIN: Duration = Duration::from_mins(1);

/// Goes on until it is dropped.
pub async fn keep_house<Q: Queue>(
    queue: Arc<Q>,
    webhook: watch::Receiver<Arc<Webhook>>,
    metrics: Metrics,
    clock: Clock,
) {
    let mut ticks = interval(REFRESH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut purge_at = Instant::now();
    loop {
        ticks.tick().await;
        let webhook = Arc::clone(&webhook.borrow());
        // where it can't be asked, what it gives out fails too, and that is told
        if let Ok(depth) = queue.depth().await {
            let age = depth.oldest.and_then(|oldest| clock.now().duration_since(oldest).ok());
            metrics.queue_depth(&webhook, &depth, age.unwrap_or_default());
        }
        if Instant::now() >= purge_at {
            purge_at =
                Instant::now() + if purge(&*queue, &webhook, &clock).await { PURGE } else { PURGE_AGAIN };
        }
    }
}

/// Whether it went well.
async fn purge<Q: Queue>(queue: &Q, webhook: &Webhook, clock: &Clock) -> bool {
    let Some(before) = clock.now().checked_sub(webhook.delivery.dead_letter_retention) else { return true };
    let forgotten = queue.forget_dead_letters(before).await;
    if let Ok(count @ 1..) = forgotten {
        tracing::info!(webhook = &*webhook.name, count, "dead letters forgotten after their time");
    }
    forgotten.is_ok()
}
