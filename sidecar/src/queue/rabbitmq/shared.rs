//! What the parts of a queue share: what it knows, and its way to RabbitMQ.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
};

use lapin::{Channel, Connection, Consumer};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    board::Board,
    connection::CONFIRM_TIMEOUT,
    dead_letters::{self, DeadLetters},
    headers::Headers,
    known::Key,
    log::{Log, Read},
    pulse::Pulse,
    recorder::Record,
    topology::Names,
};
use crate::{
    config::RabbitMqSettings,
    queue::{Clock, QueueError, Reason, Update, millis},
};

/// What acknowledges a message.
pub type Tag = lapin::Acker;

/// One queue of updates, as its parts see it.
pub struct Shared {
    pub settings: RabbitMqSettings,
    pub names: Names,
    pub bot_id: i64,
    pub clock: Clock,
    pub state: watch::Sender<State>,
    /// False where a queue was found with settings by which it can lose what it confirms.
    pub durable: AtomicBool,
    board: Mutex<Board<Tag>>,
    /// Something may have become ready to be given out.
    pub ready: Notify,
    pub pulse: Pulse,
    pub settled: Log,
    pub dead: Log,
    dead_letters: Mutex<DeadLetters>,
    pub records: mpsc::UnboundedSender<Record>,
    /// Records that aren't written yet.
    pub unrecorded: watch::Sender<usize>,
    /// Nothing is taken or given out any more.
    pub closed: CancellationToken,
}

/// How things are between us and RabbitMQ.
#[derive(Clone)]
pub enum State {
    Connecting,
    Up(Arc<Link>),
    Down(QueueError),
}

/// A connection that is set up.
pub struct Link {
    pub connection: Connection,
    pub publisher: Channel,
    /// Asks each of the queues how much waits in it, in the order of its messages on their way to us.
    pub counters: Vec<mpsc::Sender<oneshot::Sender<u64>>>,
    /// Something failed that only another connection puts right.
    pub failed: CancellationToken,
    /// The consumers of the queues, which outlive all else here: see [`Link::keep`].
    consumers: Mutex<BTreeMap<u32, Consumer>>,
}

// === impl Shared ===

impl Shared {
    pub fn board(&self) -> MutexGuard<'_, Board<Tag>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn dead_letters(&self) -> MutexGuard<'_, DeadLetters> {
        self.dead_letters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn new(
        settings: RabbitMqSettings,
        bot_id: i64,
        clock: Clock,
        records: mpsc::UnboundedSender<Record>,
    ) -> Result<Self, QueueError> {
        let names = Names::new(&settings, bot_id);
        let no_random = |_| QueueError::Broken("the system has no random numbers".to_owned());
        Ok(Self {
            bot_id,
            clock,
            state: watch::Sender::new(State::Connecting),
            durable: AtomicBool::new(true),
            board: Mutex::new(Board::new(names.partitions)),
            ready: Notify::new(),
            pulse: Pulse::new(),
            settled: Log::new(names.settled()).map_err(no_random)?,
            dead: Log::new(names.dead()).map_err(no_random)?,
            dead_letters: Mutex::default(),
            records,
            unrecorded: watch::Sender::new(0),
            closed: CancellationToken::new(),
            names,
            settings,
        })
    }

    /// Milliseconds of Unix time.
    pub fn now(&self) -> u64 {
        millis(self.clock.now())
    }

    /// The connection, for whoever takes or gives out.
    pub async fn link(&self) -> Result<Arc<Link>, QueueError> {
        if self.closed.is_cancelled() {
            return Err(QueueError::Closed);
        }
        tokio::select! {
            link = self.connected() => link,
            () = self.closed.cancelled() => Err(QueueError::Closed),
        }
    }

    /// The connection, once the first attempt is over.
    pub async fn connected(&self) -> Result<Arc<Link>, QueueError> {
        let mut state = self.state.subscribe();
        let decided = state.wait_for(|state| !matches!(state, State::Connecting));
        let decided = timeout(CONFIRM_TIMEOUT, decided).await;
        match decided.ok().and_then(Result::ok).as_deref() {
            Some(State::Up(link)) => Ok(Arc::clone(link)),
            Some(State::Down(problem)) => Err(problem.clone()),
            Some(State::Connecting) | None => {
                Err(QueueError::Unavailable("RabbitMQ has not answered yet".to_owned()))
            }
        }
    }

    /// Puts an update at the end of its lane.
    pub async fn store(&self, link: &Link, update: &Update, mut headers: Headers) -> Result<(), QueueError> {
        headers.time("stored-at", self.now());
        let id = update.update_id.unwrap_or_default();
        let properties = headers.into_properties(format!("{}-{id}", self.bot_id).into());
        let queue = self.names.queue(self.names.partition(update.lane));
        let stored = super::connection::publish(&link.publisher, queue, properties, &update.body).await;
        link.check(stored)
    }

    /// Sets an update aside, durably.
    pub async fn set_aside(&self, update: &Update, key: Key, reason: &Reason) -> Result<(), QueueError> {
        let link = self.link().await?;
        let headers = dead_letters::aside(update, key, reason, self.clock.now());
        let written = self.dead.write(&link.publisher, dead_letters::ASIDE, headers, &update.body).await;
        let read = link.check(written)?;
        // it is durable; whether we have read it yet matters only to who looks at once
        drop(timeout(CONFIRM_TIMEOUT, read).await);
        Ok(())
    }

    /// Notes that nobody needs the update any more, and has that written down.
    pub fn finish(&self, record: Record) {
        self.unrecorded.send_modify(|unrecorded| *unrecorded += 1);
        // the recorder ends after us
        drop(self.records.send(record));
    }
}

// === impl Link ===

impl Link {
    pub fn new(
        connection: Connection,
        publisher: Channel,
        counters: Vec<mpsc::Sender<oneshot::Sender<u64>>>,
    ) -> Self {
        let failed = CancellationToken::new();
        Self { connection, publisher, counters, failed, consumers: Mutex::default() }
    }

    /// Keeps a queue's consumer for as long as its channel may be open. One that is dropped is cancelled: then the broker would give
    /// what follows to another sidecar, and only after that what was here and has to come first. With its channel it gives back what
    /// is here and goes on elsewhere in one step.
    pub fn keep(&self, partition: u32, consumer: Consumer) {
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, consumer);
    }

    /// A connection whose channel for publishing was closed is of no use any more.
    pub fn check<T>(&self, result: Result<T, QueueError>) -> Result<T, QueueError> {
        if !self.publisher.status().connected() {
            self.failed.cancel();
        }
        result
    }

    /// Waits until an entry has been read.
    pub async fn until_read(&self, read: Read) -> Result<(), QueueError> {
        let problem = || QueueError::Unavailable("RabbitMQ doesn't give out what a stream holds".to_owned());
        timeout(CONFIRM_TIMEOUT, read).await.map_err(|_| problem())?.map_err(|_| problem())
    }
}
