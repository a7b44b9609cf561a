//! What takes its time: to ask the CRM, and to tell the queue.

use std::sync::Arc;

use super::{super::breaker::Pass, DeliveryError, Recipient, Settlements, waiting::Held};
use crate::{
    config::Webhook,
    metrics::{Left, Metrics},
    queue::{Lease, Outcome, Queue, QueueError, Reason},
};

/// What all work needs.
pub(super) struct Shared<Q, C> {
    pub(super) queue: Arc<Q>,
    pub(super) crm: C,
    pub(super) metrics: Metrics,
    pub(super) settlements: Settlements,
}

/// What is to be done with an update.
pub(super) struct Work<R> {
    pub(super) webhook: Arc<Webhook>,
    pub(super) held: Held<R>,
    pub(super) task: Task,
}

pub(super) enum Task {
    Attempt(Pass),
    /// Nobody waits for it any more.
    Expire,
    SetAside(Reason),
}

/// What came of it.
pub(super) enum Done<R> {
    /// The CRM has it, whatever the queue says to that.
    Accepted(Result<(), QueueError>),
    Failed {
        held: Held<R>,
        pass: Pass,
        error: DeliveryError,
    },
    Settled(Result<(), QueueError>),
}

pub(super) async fn perform<Q: Queue, C: Recipient>(
    shared: &Shared<Q, C>,
    work: Work<Q::Receipt>,
) -> Done<Q::Receipt> {
    let Work { webhook, held, task } = work;
    match task {
        Task::Attempt(pass) => {
            let attempt = held.lease.deliveries.saturating_add(held.attempts);
            match shared.crm.attempt(&webhook, &held.lease.update, attempt).await {
                Ok(()) => Done::Accepted(shared.settle(&webhook, held.lease, Ending::Delivered).await),
                Err(error) => Done::Failed { held, pass, error },
            }
        }
        Task::Expire => Done::Settled(shared.settle(&webhook, held.lease, Ending::Expired).await),
        Task::SetAside(reason) => {
            Done::Settled(shared.settle(&webhook, held.lease, Ending::Dead(reason)).await)
        }
    }
}

enum Ending {
    Delivered,
    Expired,
    Dead(Reason),
}

// === impl Shared ===

impl<Q: Queue, C> Shared<Q, C> {
    async fn settle(
        &self,
        webhook: &Webhook,
        lease: Lease<Q::Receipt>,
        ending: Ending,
    ) -> Result<(), QueueError> {
        let update_id = lease.update.update_id;
        let (outcome, left) = match ending {
            Ending::Delivered => (Outcome::Done, Left::Delivered),
            Ending::Expired => (Outcome::Done, Left::Expired),
            Ending::Dead(reason) => (Outcome::Dead(reason), Left::DeadLettered),
        };
        tracing::debug!(
            webhook = &*webhook.name,
            update_id,
            outcome = left.label(),
            "update leaves the queue"
        );
        let reason = match &outcome {
            Outcome::Done => None,
            Outcome::Dead(reason) => Some(reason.clone()),
        };
        let result = self.queue.settle(lease, outcome).await;
        // an update that the CRM has is nobody's to wait for, even if it is delivered once more
        if let Some(update_id) = update_id.filter(|_| result.is_ok() || left == Left::Delivered) {
            self.settlements.settle(update_id);
        }
        result.inspect(|()| {
            self.metrics.update_left(webhook, left);
            if let Some(reason) = reason {
                self.metrics.dead_lettered(webhook, &reason);
                tracing::warn!(webhook = &*webhook.name, update_id, %reason, "update set aside");
            }
        })
    }
}
