//! One open queue, whatever its backend.

use std::{path::Path, sync::Arc, time::Duration};

use telegram_webhook_sidecar_config::{self as raw, Consume, DeliveryState};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Parts;
#[cfg(any(feature = "redis", feature = "rabbitmq"))]
use crate::bans::{self, exchange::Exchange};
#[cfg(feature = "rabbitmq")]
use crate::queue::rabbitmq::{RabbitMqBans, RabbitMqQueue};
#[cfg(feature = "redis")]
use crate::queue::redis::{RedisBans, RedisQueue};
use crate::{
    config::{Backend, DeliveryMode, Webhook},
    delivery::{BreakerState, Dispatcher, Random, Settled, Settlements, keep_house},
    queue::{
        Appended, Clock, DeadLetter, DeadLetterId, Depth, Queue, QueueError, Reason, Selection, Update,
        journal::{self, Journal},
    },
};

/// Why a queue can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Journal(#[from] journal::OpenError),
    #[error(transparent)]
    Shared(#[from] QueueError),
}

/// A queue and what empties it.
pub(super) struct Open {
    pub(super) backend: AnyQueue,
    raw_backend: raw::Backend,
    pub(super) consume: Consume,
    webhook: watch::Sender<Arc<Webhook>>,
    settlements: Settlements,
    breaker: watch::Receiver<BreakerState>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// One of the backends. Not a trait object: each call would then allocate its future.
#[derive(Clone)]
pub(super) enum AnyQueue {
    Journal(Arc<Journal>),
    #[cfg(feature = "redis")]
    Redis(Arc<RedisQueue>),
    #[cfg(feature = "rabbitmq")]
    RabbitMq(Arc<RabbitMqQueue>),
}

/// Asks the backend at hand.
macro_rules! ask {
    ($backend:expr, $queue:ident => $answer:expr) => {
        match $backend {
            AnyQueue::Journal($queue) => $answer,
            #[cfg(feature = "redis")]
            AnyQueue::Redis($queue) => $answer,
            #[cfg(feature = "rabbitmq")]
            AnyQueue::RabbitMq($queue) => $answer,
        }
    };
}

// === impl Open ===

impl Open {
    /// Opens the queue of a webhook. None where nothing is stored, and nothing is left from when it was.
    pub(super) async fn new(webhook: &Arc<Webhook>, parts: &Parts) -> Result<Option<Self>, OpenError> {
        let Some(backend) = &webhook.delivery.backend else { return Ok(None) };
        let dir = parts.state_dir.join(webhook.bot_id.to_string());
        let is_left = matches!(backend, Backend::Embedded { .. }) && dir.exists();
        if !(stores(webhook) || is_left) {
            return Ok(None);
        }
        let backend = if parts.store_only { backend.clone().for_others() } else { Some(backend.clone()) };
        let Some(backend) = backend else { return Ok(None) };
        let consume = backend.consume();
        let settings = backend;
        let backend = AnyQueue::open(&settings, &dir, webhook.bot_id, parts.clock).await?;
        let (webhook_sender, follows) = watch::channel(Arc::clone(webhook));
        let (breaker_sender, breaker) = watch::channel(BreakerState::Closed);
        let open = Self {
            backend,
            raw_backend: webhook.delivery.raw_backend.clone(),
            consume,
            webhook: webhook_sender,
            settlements: Settlements::default(),
            breaker,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        match (open.consume, &open.backend) {
            (Consume::Sidecar, backend) => {
                ask!(backend, queue => open.dispatch(Arc::clone(queue), follows, breaker_sender, parts));
            }
            // the CRM or another sidecar takes the updates out
            (Consume::Queue, backend) => ask!(backend, queue => open.keep(Arc::clone(queue), follows, parts)),
        }
        #[cfg(any(feature = "redis", feature = "rabbitmq"))]
        open.share_bans(&settings, webhook.bot_id, parts)?;
        open.tasks.close();
        Ok(Some(open))
    }

    /// Whom one sidecar bans, all ban that share the queue.
    #[cfg(any(feature = "redis", feature = "rabbitmq"))]
    fn share_bans(&self, backend: &Backend, bot_id: i64, parts: &Parts) -> Result<(), OpenError> {
        match backend {
            Backend::Embedded { .. } => {}
            #[cfg(feature = "redis")]
            Backend::Redis(settings) => self.share(RedisBans::open(settings.clone(), bot_id), parts),
            #[cfg(feature = "rabbitmq")]
            Backend::RabbitMq(settings) => self.share(RabbitMqBans::open(settings.clone(), bot_id)?, parts),
        }
        Ok(())
    }

    #[cfg(any(feature = "redis", feature = "rabbitmq"))]
    fn share(&self, exchange: impl Exchange, parts: &Parts) {
        let (bans, policy) = (Arc::clone(&parts.bans), Arc::clone(&parts.policy));
        let sharing = bans::share(exchange, bans, policy, self.stop.clone());
        parts.tasks.spawn(self.tasks.track_future(sharing));
    }

    fn dispatch<Q: Queue>(
        &self,
        queue: Arc<Q>,
        webhook: watch::Receiver<Arc<Webhook>>,
        breaker: watch::Sender<BreakerState>,
        parts: &Parts,
    ) {
        let Parts { crm, metrics, clock, grace, tasks, .. } = parts;
        let dispatcher = Dispatcher {
            queue,
            crm: crm.clone(),
            webhook,
            metrics: metrics.clone(),
            clock: *clock,
            random: Random::system(),
            settlements: self.settlements.clone(),
            breaker,
        };
        let run = dispatcher.run(self.stop.clone(), *grace);
        tasks.spawn(self.tasks.track_future(run));
    }

    fn keep<Q: Queue>(&self, queue: Arc<Q>, webhook: watch::Receiver<Arc<Webhook>>, parts: &Parts) {
        let stop = self.stop.clone();
        let housekeeping = keep_house(Arc::clone(&queue), webhook, parts.metrics.clone(), parts.clock);
        let kept = async move {
            stop.run_until_cancelled(housekeeping).await;
            if let Err(error) = queue.close().await {
                tracing::error!(%error, "the queue couldn't be closed");
            }
        };
        parts.tasks.spawn(self.tasks.track_future(kept));
    }

    /// Takes over a new version of the webhook, if that needs no other queue.
    pub(super) fn goes_on_for(&self, webhook: &Arc<Webhook>) -> bool {
        if webhook.delivery.raw_backend != self.raw_backend {
            return false;
        }
        if !Arc::ptr_eq(&self.webhook.borrow(), webhook) {
            self.webhook.send_replace(Arc::clone(webhook));
        }
        true
    }

    /// Waits for what becomes of an update that is stored next. None where that isn't known here.
    pub(super) fn settled(&self, update_id: i64) -> Option<Settled> {
        (self.consume == Consume::Sidecar).then(|| self.settlements.settled(update_id))
    }

    pub(super) fn name(&self) -> Arc<str> {
        Arc::clone(&self.webhook.borrow().name)
    }

    pub(super) fn is_of(&self, webhook: &str) -> bool {
        *self.webhook.borrow().name == *webhook
    }

    pub(super) async fn state(&self, clock: &Clock) -> DeliveryState {
        let depth = self.backend.depth().await;
        let Depth { updates, oldest, dead_letters, .. } = depth.clone().unwrap_or_default();
        let age = oldest.and_then(|oldest| clock.now().duration_since(oldest).ok());
        DeliveryState {
            backend: self.backend.kind(),
            durable: depth.is_ok() && self.backend.keeps_its_promise(),
            crm_reachable: *self.breaker.borrow() == BreakerState::Closed,
            queued: updates,
            oldest_seconds: age.unwrap_or(Duration::ZERO).as_secs(),
            dead_letters,
        }
    }

    /// Whether other sidecars go on with what this one leaves.
    pub(super) fn is_shared(&self) -> bool {
        !matches!(self.backend, AnyQueue::Journal(_))
    }

    /// Begins to empty and to close it.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it is closed, once that has begun.
    pub(super) async fn ended(&self) {
        self.tasks.wait().await;
    }
}

fn stores(webhook: &Webhook) -> bool {
    matches!(webhook.delivery.mode, DeliveryMode::Queued { .. })
}

// === impl AnyQueue ===

impl AnyQueue {
    async fn open(backend: &Backend, dir: &Path, bot_id: i64, clock: Clock) -> Result<Self, OpenError> {
        Ok(match backend {
            Backend::Embedded { max_bytes } => {
                let options = journal::Options { max_bytes: *max_bytes };
                Self::Journal(Arc::new(Journal::open(dir, bot_id, options, clock).await?))
            }
            #[cfg(feature = "redis")]
            Backend::Redis(settings) => {
                Self::Redis(Arc::new(RedisQueue::open(settings.clone(), bot_id, clock)?))
            }
            #[cfg(feature = "rabbitmq")]
            Backend::RabbitMq(settings) => {
                Self::RabbitMq(Arc::new(RabbitMqQueue::open(settings.clone(), bot_id, clock)?))
            }
        })
    }

    fn kind(&self) -> raw::BackendKind {
        match self {
            Self::Journal(_) => raw::BackendKind::Embedded,
            #[cfg(feature = "redis")]
            Self::Redis(_) => raw::BackendKind::Redis,
            #[cfg(feature = "rabbitmq")]
            Self::RabbitMq(_) => raw::BackendKind::RabbitMq,
        }
    }

    /// False where it was found to keep less than it acknowledges.
    fn keeps_its_promise(&self) -> bool {
        match self {
            #[cfg(feature = "redis")]
            Self::Redis(queue) => {
                queue.report().borrow().as_ref().is_none_or(crate::queue::redis::Report::durable)
            }
            #[cfg(feature = "rabbitmq")]
            Self::RabbitMq(queue) => queue.durable(),
            Self::Journal(_) => true,
        }
    }

    pub(super) async fn append(&self, update: Update) -> Result<Appended, QueueError> {
        ask!(self, queue => queue.append(update).await)
    }

    pub(super) async fn bury(&self, update: Update, reason: Reason) -> Result<Appended, QueueError> {
        ask!(self, queue => queue.bury(update, reason).await)
    }

    pub(super) async fn depth(&self) -> Result<Depth, QueueError> {
        ask!(self, queue => queue.depth().await)
    }

    pub(super) async fn dead_letters(
        &self,
        selection: &Selection,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        ask!(self, queue => queue.dead_letters(selection, after, limit).await)
    }

    pub(super) async fn replay(&self, id: DeadLetterId) -> Result<bool, QueueError> {
        ask!(self, queue => queue.replay(id).await)
    }
}
