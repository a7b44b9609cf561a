//! One bot: its queue, its webhook slot and what is remembered about both. Methods and the delivery engine work on it
//! under one lock, never across an await.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustls::ClientConfig;
use tokio::{sync::watch, time::Instant};

use super::{
    clock::Clock,
    engine::EngineHandle,
    faults::{ApiFault, DeliveryFault},
    kinds::{Kind, KindSet},
    network::Network,
    queue::{Discarded, NewUpdate, UpdateQueue},
    record::{Outcome, Record},
    resolver::Resolver,
    webhook_url::WebhookUrl,
};

/// What all bots of a server share.
pub struct Server {
    pub clock: Clock,
    pub local: bool,
    pub network: Arc<dyn Network>,
    pub resolver: Resolver,
    pub roots: Arc<ClientConfig>,
}

/// One bot.
pub struct Bot {
    pub id: i64,
    pub username: String,
    pub server: Arc<Server>,
    /// When it was first seen: `close` is refused for ten minutes from then.
    pub started: Instant,
    /// Changes whenever there may be something new to deliver or fetch.
    pub queued: watch::Sender<u64>,
    state: Mutex<State>,
}

impl fmt::Debug for Bot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bot").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What changes about a bot.
#[derive(Default)]
pub struct State {
    pub queue: UpdateQueue,
    pub allowed: KindSet,
    pub webhook: Option<Webhook>,
    /// Counts the calls that touched the slot: a call that finds another number after waiting was overtaken.
    pub generation: u64,
    /// setWebhook is refused before this.
    pub next_set_at: Option<Instant>,
    pub last_conflict_at: Option<Instant>,
    pub last_error: Option<LastError>,
    /// The long poll that may go on, and why the one before may not.
    pub poll: u64,
    pub poll_ended_by: &'static str,
    pub session: Session,
    pub record: Record,
    pub api_faults: Vec<ApiFault>,
    pub delivery_faults: Vec<DeliveryFault>,
    pub paused: bool,
}

/// The bot's connection to Telegram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Session {
    #[default]
    Open,
    /// `close`: the webhook is kept, nothing is delivered until the next call.
    Closed,
    /// `logOut` at that time.
    LoggedOut(Instant),
}

/// The last failed delivery, as getWebhookInfo shows it.
#[derive(Clone, Debug)]
pub struct LastError {
    pub date: i64,
    pub message: String,
}

/// What setWebhook was called with, as compared to tell a repetition.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    pub url: String,
    pub max_connections: u32,
    /// As passed; empty when the name is looked up.
    pub fixed_ip: String,
    pub secret_token: String,
    /// PEM.
    pub certificate: Option<Vec<u8>>,
}

/// The occupied slot.
pub struct Webhook {
    pub settings: Settings,
    pub url: WebhookUrl,
    pub generation: u64,
    /// Known once the name was looked up.
    pub ip: Option<IpAddr>,
    /// Trust for its deliveries, once verified.
    pub tls: Option<Arc<ClientConfig>>,
    pub engine: Option<EngineHandle>,
    /// Set when the first connection was started.
    pub verified: bool,
}

impl Bot {
    /// A bot with an empty slot.
    pub fn new(id: i64, username: String, server: Arc<Server>) -> Arc<Self> {
        Arc::new(Self {
            id,
            username,
            server,
            started: Instant::now(),
            queued: watch::Sender::new(0),
            state: Mutex::default(),
        })
    }

    /// Its state.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an update made by Telegram: of a kind that the bot receives, or nobody ever hears of it.
    pub fn enqueue(&self, kind: Option<Kind>, update: &NewUpdate) -> Result<i64, Discarded> {
        let now = self.server.clock.unix();
        let mut state = self.lock();
        if kind.is_some_and(|kind| !state.allowed.contains(kind)) {
            return Err(Discarded::NotAllowed);
        }
        let lost = state.queue.renumber();
        state.record.ended(lost, Outcome::Cleared);
        let id = state.queue.push(update, now)?;
        state.record.enqueued(id, update.kind.clone(), update.lane, now);
        Ok(id)
    }

    /// Tells the delivery engine and long polls to look again.
    pub fn notify(&self) {
        self.queued.send_modify(|count| *count += 1);
    }
}

impl State {
    /// Empties the queue.
    pub fn clear_queue(&mut self) {
        let ids = self.queue.clear();
        self.record.ended(ids, Outcome::Cleared);
    }

    /// Empties the slot with its error history, and makes every call that still works on it fail.
    pub fn take_webhook(&mut self) -> Option<Webhook> {
        self.generation += 1;
        self.last_error = None;
        self.webhook.take()
    }

    /// Ends the running long poll.
    pub fn end_poll(&mut self, by: &'static str) {
        self.poll += 1;
        self.poll_ended_by = by;
    }

    /// The webhook if it is still that of this generation.
    pub fn current(&mut self, generation: u64) -> Option<&mut Webhook> {
        self.webhook.as_mut().filter(|webhook| webhook.generation == generation)
    }
}
