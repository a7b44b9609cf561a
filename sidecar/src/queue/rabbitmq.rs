//! A queue of updates in RabbitMQ, 3.10 or later, that any number of sidecars share.
//!
//! # Where updates are
//!
//! A bot has a number of quorum queues, and each lane is in one of them ([`topology`]). A queue gives its messages to one sidecar at
//! a time (`x-single-active-consumer`), in order; that one holds some of them at once and gives out one of each lane ([`board`]). An
//! update is stored when the broker has confirmed it: what it returned, refused or didn't confirm in time is not stored, as far
//! as anybody knows, and Telegram sends it again. A full queue refuses (`reject-publish`).
//!
//! # Copies
//!
//! To look a copy up and to store it can't be one step here, so that [`Queue::append`] may store a copy. It is never given out: copies have
//! the same bytes, hence the same lane, hence the same queue, and come after the first to whoever gives out what is in it. What is
//! settled is written down in a stream, as half of the SHA-256 of its bytes, confirmed, before its message is acknowledged ([`recorder`]); all
//! sidecars read that stream. A copy behind the first in its lane is looked at only when the first is settled. A
//! sidecar that gets a queue first writes a mark into the streams and reads up to it, and only then gives out anything: all that was
//! acknowledged by the one before is written before that mark. Besides, each sidecar knows what it has stored and seen itself, which
//! is why `append` mostly tells a copy at once.
//!
//! What was set aside is in another stream, which says the same for it ([`dead_letters`]).
//!
//! # When a connection is lost
//!
//! The broker gives what was not acknowledged to another sidecar, or to us again, in the same order: a lost channel's messages go back to
//! the front of their queue. Nothing is returned one by one, which would change the order. What is in hand then isn't held any more
//! ([`crate::queue::Lease::holds`]) unless it came to us again, so that nobody begins to deliver it; a delivery that is under way goes on, and
//! the update is in two hands for as long as that lasts. The same holds, without any error, of who was stopped for long ([`pulse`]). Where a
//! network loses all without a word both sides notice it by themselves, within one or two heartbeats, and another sidecar can have an update for
//! some of that time before we know. Whoever settles it first has it written down, which the other one reads. The same happens when an
//! update is in hand for longer than the broker's `consumer_timeout` (30 minutes; since 3.12 the queue says 7 days), because the
//! CRM is down: its channel is closed, and a new one gets it again. [`upkeep`] connects again, rather than lapin.
//!
//! A node that is out of disk or memory takes nothing, not even what is settled: then updates are given out until so many wait to be
//! acknowledged that no more come.

mod bans;
mod board;
mod connection;
mod dead_letters;
mod headers;
mod known;
mod log;
mod pulse;
mod receipt;
mod recorder;
mod shared;
mod subscription;
mod topology;
mod upkeep;

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use futures::future::try_join_all;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

pub use self::{bans::RabbitMqBans, receipt::RabbitMqReceipt};
use self::{
    board::Given,
    dead_letters::{FORGOTTEN, REPLAYED},
    headers::Headers,
    known::Key,
    log::Log,
    recorder::Record,
    shared::{Link, Shared},
};
use super::{
    Appended, Clock, DeadLetter, DeadLetterId, Depth, Lease, Outcome, Queue, QueueError, Reason, Selection,
    Update,
};
use crate::config::RabbitMqSettings;

/// Within which the broker must answer a question.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Within which what is settled must be written down when the queue is closed.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The updates of a bot, in RabbitMQ.
pub struct RabbitMqQueue {
    shared: Arc<Shared>,
    tasks: TaskTracker,
    /// Ends the connection.
    closing: CancellationToken,
    _closed_when_dropped: [DropGuard; 2],
}

// === impl RabbitMqQueue ===

impl RabbitMqQueue {
    /// Connects from now on, in the background: a broker that can't be reached is no reason not to start.
    pub fn open(settings: RabbitMqSettings, bot_id: i64, clock: Clock) -> Result<Self, QueueError> {
        let (sender, records) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared::new(settings, bot_id, clock, sender)?);
        let closing = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(recorder::record(Arc::clone(&shared), records));
        tasks.spawn(upkeep::keep(Arc::clone(&shared), closing.clone()));
        tasks.close();
        let guards = [shared.closed.clone().drop_guard(), closing.clone().drop_guard()];
        Ok(Self { shared, tasks, closing, _closed_when_dropped: guards })
    }

    /// Whether its queues keep what they confirm, as far as has been seen: quorum queues that refuse what they have no room for, as we
    /// make them. Somebody else may have made them otherwise.
    pub fn durable(&self) -> bool {
        self.shared.durable.load(Ordering::Relaxed)
    }

    /// Gives out what is ready, if anything is.
    fn give_out(&self) -> Option<Lease<RabbitMqReceipt>> {
        let shared = &self.shared;
        if !shared.pulse.is_regular() {
            return None;
        }
        let mut board = shared.board();
        let gone = |key, tag| shared.finish(Record { key: Some(key), tag: Some(tag), written: None });
        let Given { hand, update, deliveries } = board.take(shared.now(), gone)?;
        if board.has_ready() {
            shared.ready.notify_one();
        }
        drop(board);
        let receipt = RabbitMqReceipt::new(hand, Arc::clone(shared));
        Some(Lease { update, deliveries, receipt })
    }

    fn knows(&self, key: Key) -> bool {
        self.shared.board().known.contains(key, self.shared.now())
    }

    /// A link on which all is read that was written to a log before.
    async fn caught_up(&self, log: &Log) -> Result<Arc<Link>, QueueError> {
        let link = self.shared.link().await?;
        let read = link.check(log.mark(&link.publisher).await)?;
        link.until_read(read).await?;
        Ok(link)
    }

    async fn write_dead(&self, link: &Link, event: &str, headers: Headers) -> Result<(), QueueError> {
        let written = self.shared.dead.write(&link.publisher, event, headers, b"").await;
        let read = link.check(written)?;
        link.until_read(read).await
    }

    /// Reads what was set aside, by places in its log that ascend.
    async fn letters(&self, link: &Link, places: &[u64]) -> Result<Vec<DeadLetter>, QueueError> {
        let (Some(first), Some(last)) = (places.first(), places.last()) else { return Ok(Vec::new()) };
        let mut letters = Vec::with_capacity(places.len());
        let read = self.shared.dead.read_from(&link.connection, *first, |entry| {
            let goes_on = entry.offset < *last;
            if places.binary_search(&entry.offset).is_ok() {
                letters.extend(dead_letters::letter(entry));
            }
            goes_on
        });
        match timeout(ANSWER_TIMEOUT, read).await {
            Ok(read) => read.map(|()| letters),
            Err(_) => Err(slow()),
        }
    }
}

impl Queue for RabbitMqQueue {
    type Receipt = RabbitMqReceipt;
    const SHARED: bool = true;

    async fn append(&self, update: Update) -> Result<Appended, QueueError> {
        let Self { shared, .. } = self;
        let link = shared.link().await?;
        let key = Key::of(&update.body);
        if self.knows(key) {
            return Ok(Appended::Duplicate);
        }
        shared.store(&link, &update, Headers::of_update(&update)).await?;
        shared.board().known.stored(key, shared.now());
        Ok(Appended::Stored)
    }

    async fn bury(&self, update: Update, reason: Reason) -> Result<Appended, QueueError> {
        let key = Key::of(&update.body);
        self.shared.link().await?;
        if self.knows(key) {
            return Ok(Appended::Duplicate);
        }
        self.shared.set_aside(&update, key, &reason).await?;
        self.shared.board().known.settled(key, self.shared.now());
        Ok(Appended::Stored)
    }

    async fn next(&self) -> Result<Lease<RabbitMqReceipt>, QueueError> {
        loop {
            if self.shared.closed.is_cancelled() {
                return Err(QueueError::Closed);
            }
            if let Some(lease) = self.give_out() {
                return Ok(lease);
            }
            tokio::select! {
                () = self.shared.ready.notified() => {}
                () = self.shared.closed.cancelled() => {}
            }
        }
    }

    async fn settle(&self, lease: Lease<RabbitMqReceipt>, outcome: Outcome) -> Result<(), QueueError> {
        if self.shared.closed.is_cancelled() {
            return Err(QueueError::Closed);
        }
        let Lease { update, receipt, .. } = lease;
        let key = receipt.key();
        match outcome {
            Outcome::Done => receipt.settle(Some(key)).await,
            Outcome::Dead(reason) => {
                self.shared.set_aside(&update, key, &reason).await?;
                receipt.settle(None).await;
            }
        }
        Ok(())
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        let link = self.shared.link().await?;
        let counts = link.counters.iter().map(async |counter| {
            let (answer, count) = oneshot::channel();
            counter.send(answer).await.map_err(|_| slow())?;
            count.await.map_err(|_| slow())
        });
        let waiting: u64 =
            timeout(ANSWER_TIMEOUT, try_join_all(counts)).await.map_err(|_| slow())??.into_iter().sum();
        let (here, bytes, oldest) = self.shared.board().depth(self.shared.now());
        let (dead_letters, dead_bytes) = self.shared.dead_letters().size();
        Ok(Depth { updates: waiting + here, bytes: bytes + dead_bytes, oldest, dead_letters })
    }

    async fn dead_letters(
        &self,
        selection: &Selection,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        let link = self.caught_up(&self.shared.dead).await?;
        let places = self.shared.dead_letters().select(selection, after, limit);
        self.letters(&link, &places).await
    }

    async fn replay(&self, id: DeadLetterId) -> Result<bool, QueueError> {
        let link = self.caught_up(&self.shared.dead).await?;
        if !self.shared.dead_letters().contains(id) {
            return Ok(false);
        }
        let Some(DeadLetter { update, .. }) = self.letters(&link, &[id.major]).await?.pop() else {
            return Ok(false);
        };
        let mut headers = Headers::of_update(&update);
        headers.text("replay-of", &id.to_string());
        self.shared.store(&link, &update, headers).await?;
        self.write_dead(&link, REPLAYED, dead_letters::replayed(id)).await?;
        Ok(true)
    }

    async fn forget_dead_letters(&self, before: SystemTime) -> Result<u64, QueueError> {
        let link = self.caught_up(&self.shared.dead).await?;
        let count = self.shared.dead_letters().count_before(before);
        if count > 0 {
            self.write_dead(&link, FORGOTTEN, dead_letters::forgotten(before)).await?;
        }
        Ok(count)
    }

    async fn close(&self) -> Result<(), QueueError> {
        self.shared.closed.cancel();
        let mut unrecorded = self.shared.unrecorded.subscribe();
        let flushed = unrecorded.wait_for(|unrecorded| *unrecorded == 0);
        let is_flushed = timeout(FLUSH_TIMEOUT, flushed).await.is_ok();
        self.closing.cancel();
        self.tasks.wait().await;
        if !is_flushed {
            return Err(QueueError::Unavailable("what is settled can't be written down".to_owned()));
        }
        Ok(())
    }
}

impl fmt::Debug for RabbitMqQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RabbitMqQueue").field("bot_id", &self.shared.bot_id).finish_non_exhaustive()
    }
}

fn slow() -> QueueError {
    QueueError::Unavailable("RabbitMQ doesn't answer".to_owned())
}
