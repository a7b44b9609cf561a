//! The queues that are open: one per webhook whose updates are stored, with the dispatcher that empties it.
//!
//! They follow the configuration: a webhook's queue is opened when the webhook appears, anew when its backend changes, and closed when
//! the webhook is gone or the sidecar stops. One that could not be opened refuses updates, so that Telegram keeps them.

mod admin;
mod open;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{
    select,
    sync::{Mutex, Notify},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::open::Open;
pub use self::open::OpenError;
use crate::{
    app::Readiness,
    bans::Bans,
    config::{AnswerAfter, Backend, CurrentPolicy, DeliveryMode, Policy, Webhook},
    delivery::Crm,
    metrics::Metrics,
    queue::{Appended, Clock, QueueError, Reason, Update},
};

/// Longest that Telegram waits for the CRM, with `answerAfter: Delivered`. It does nothing else in that chat meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// A queue that belongs to a new configuration is open a moment after the first update may come.
const OPENS_WITHIN: Duration = Duration::from_secs(1);

/// The open queues, by bot.
pub struct Queues {
    parts: Parts,
    open: ArcSwap<BTreeMap<i64, Arc<Open>>>,
    /// Tells those who wait for one that others are open.
    opened: Notify,
    /// Held by whoever changes what is open.
    changing: Mutex<()>,
}

/// What every queue needs.
pub struct Parts {
    /// Each embedded queue has a folder in it.
    pub state_dir: PathBuf,
    pub crm: Crm,
    pub metrics: Metrics,
    pub readiness: Arc<Readiness>,
    /// Shared with whoever shares a queue.
    pub bans: Arc<Bans>,
    /// Says whom nobody bans.
    pub policy: CurrentPolicy,
    pub clock: Clock,
    /// How long a queue may take to be emptied and closed.
    pub grace: Duration,
    /// Holds the dispatchers.
    pub tasks: TaskTracker,
    /// Whether others deliver what is stored here.
    pub store_only: bool,
}

// === impl Queues ===

impl Queues {
    /// None is open yet.
    pub fn new(parts: Parts) -> Self {
        Self { parts, open: ArcSwap::default(), opened: Notify::new(), changing: Mutex::default() }
    }

    /// Opens and closes queues as the policy says. What can't be opened is told, and tried again with the next policy.
    pub async fn follow(&self, policy: &Policy) -> Result<(), OpenError> {
        let _alone = self.changing.lock().await;
        let mut open: BTreeMap<_, _> = (**self.open.load()).clone();
        let mut gone: Vec<i64> = open.keys().copied().collect();
        let mut result = Ok(());
        for webhook in policy.webhooks() {
            let bot = webhook.bot_id;
            gone.retain(|other| *other != bot);
            if let Some(found) = open.get(&bot) {
                if found.goes_on_for(webhook) {
                    continue;
                }
                // what it holds has to be let go of before it can be opened anew
                self.close(bot, &mut open).await;
            }
            match Open::new(webhook, &self.parts).await {
                Ok(Some(opened)) => {
                    open.insert(bot, Arc::new(opened));
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(webhook = &*webhook.name, %error, "the queue can't be opened: updates are refused");
                    self.parts.readiness.broken(BROKEN);
                    result = Err(error);
                }
            }
        }
        self.open.store(Arc::new(open.clone()));
        self.opened.notify_waiters();
        for bot in gone {
            self.close(bot, &mut open).await;
        }
        result
    }

    /// Follows the policy whenever it changes, until told to stop.
    pub async fn run(&self, policy: CurrentPolicy, changed: Arc<Notify>, stop: CancellationToken) {
        loop {
            select! {
                () = stop.cancelled() => return,
                () = changed.notified() => {
                    // said already
                    drop(self.follow(&policy.load()).await);
                }
            }
        }
    }

    /// Closes all queues, which are emptied first as far as the CRM takes what is in them. Nothing is taken any more.
    pub async fn close_all(&self) {
        let _alone = self.changing.lock().await;
        let open = self.open.swap(Arc::default());
        for open in open.values() {
            open.stop();
        }
        for open in open.values() {
            open.ended().await;
        }
    }

    async fn close(&self, bot: i64, open: &mut BTreeMap<i64, Arc<Open>>) {
        if let Some(closing) = open.remove(&bot) {
            self.open.store(Arc::new(open.clone()));
            closing.stop();
            closing.ended().await;
        }
    }

    /// Stores an update of the webhook, and waits for what its configuration says besides.
    pub async fn append(&self, webhook: &Webhook, update: Update) -> Result<Appended, QueueError> {
        let open = self.of(webhook).await?;
        let settled = match (&webhook.delivery.mode, update.update_id) {
            (DeliveryMode::Queued { answer_after: AnswerAfter::Delivered }, Some(id)) => open.settled(id),
            _ => None,
        };
        let result = open.backend.append(update).await;
        self.parts.metrics.update_appended(webhook, &result);
        self.note(&result);
        if let (Ok(Appended::Stored), Some(settled)) = (&result, settled) {
            // it is stored all the same
            timeout(PATIENCE, settled).await.unwrap_or_default();
        }
        result
    }

    /// Sets aside what isn't an update.
    pub async fn bury(&self, webhook: &Webhook, update: Update, reason: Reason) -> Result<(), QueueError> {
        let result = self.of(webhook).await?.backend.bury(update, reason.clone()).await;
        self.note(&result);
        if result? == Appended::Stored {
            self.parts.metrics.dead_lettered(webhook, &reason);
        }
        Ok(())
    }

    /// The time of day by which updates are stored.
    pub fn clock(&self) -> &Clock {
        &self.parts.clock
    }

    async fn of(&self, webhook: &Webhook) -> Result<Arc<Open>, QueueError> {
        if self.parts.store_only && is_own(webhook) {
            return Err(QueueError::Unavailable("nobody would deliver what is stored here alone".to_owned()));
        }
        if let Some(found) = self.find(webhook.bot_id) {
            return Ok(found);
        }
        // apart, as few requests come here and each would be larger by it
        let opened = Box::pin(timeout(OPENS_WITHIN, self.opening(webhook.bot_id)));
        opened.await.map_err(|_| QueueError::Unavailable("it isn't open".to_owned()))
    }

    fn find(&self, bot: i64) -> Option<Arc<Open>> {
        self.open.load().get(&bot).map(Arc::clone)
    }

    async fn opening(&self, bot: i64) -> Arc<Open> {
        loop {
            // from before the look: nothing is missed between that and the wait
            let opened = self.opened.notified();
            if let Some(found) = self.find(bot) {
                return found;
            }
            opened.await;
        }
    }

    /// What is broken stays so until somebody has looked.
    fn note<T>(&self, result: &Result<T, QueueError>) {
        if let Err(QueueError::Broken(_)) = result {
            self.parts.readiness.broken(BROKEN);
        }
    }
}

/// Whether the webhook's queue is one that no other sidecar sees.
fn is_own(webhook: &Webhook) -> bool {
    matches!(webhook.delivery.backend, Some(Backend::Embedded { .. }))
}

const BROKEN: &str = "queue broken";

#[cfg(test)]
mod tests;
