//! Where accepted updates wait for the CRM, and what every place for that promises.
//!
//! An update is stored durably before [`Queue::append`] says so, and stays until it is settled, whatever is killed meanwhile. Updates
//! of one [`Lane`] are given out in the order in which they were stored, one at a time: the next one only when the one before is
//! settled. Lanes are independent of each other. What can't be delivered is set aside as a [`DeadLetter`], and its lane goes on.
//!
//! One queue holds the updates of one bot. It never drops an update by itself: that one has outlived its use ([`Update::expires_at`])
//! is for its consumer to notice.

mod clock;
mod dead_letter;
pub mod journal;
mod lane;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
#[cfg(feature = "redis")]
pub mod redis;

use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::ingress::update;

pub use self::{
    clock::{Clock, from_millis, millis},
    dead_letter::{DeadLetter, DeadLetterId, Reason, Selection},
    lane::{Lane, life},
};

/// How long a stored update is known, so that a second copy is not stored again. Telegram gives an update up after 24 hours; an hour
/// more for clocks that are put right.
pub const RETENTION: Duration = Duration::from_hours(25);
/// How many updates of a bot are known; beyond it the oldest is forgotten.
pub const MAX_KNOWN: usize = 100_000;

/// An update as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// None where it couldn't be read, which is so only of updates that are set aside at once.
    pub update_id: Option<i64>,
    pub lane: Lane,
    /// To the millisecond.
    pub received_at: SystemTime,
    /// After it nobody can do anything with the update: the button's spinner has stopped. To the millisecond.
    pub expires_at: Option<SystemTime>,
    /// What Telegram sent, byte for byte.
    pub body: Bytes,
}

/// What storing an update came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    Stored,
    /// The same bytes were stored before, or set aside.
    Duplicate,
}

/// An update in somebody's hands. No other of its lane is given out before it is settled. Dropping it gives it back, to be given out
/// again as the first of its lane. Where several share the queue it can be lost to another: [`Lease::holds`] says so.
#[derive(Debug)]
#[must_use]
pub struct Lease<R> {
    pub update: Update,
    /// How often it was given out before, as far as is known; at least that it was, if it was.
    pub deliveries: u32,
    /// How the queue knows it.
    pub receipt: R,
}

/// What became of an update in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The CRM has it, or nobody needs it any more.
    Done,
    /// Nobody could take it: it is set aside.
    Dead(Reason),
}

/// What waits in a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Updates that are not settled, those in hand among them.
    pub updates: u64,
    /// Bytes that the queue takes, what was set aside included.
    pub bytes: u64,
    /// When the oldest of them was received, where that is known.
    pub oldest: Option<SystemTime>,
    /// Updates that were set aside.
    pub dead_letters: u64,
}

/// Why a queue didn't do what it was asked. Nothing of an update is in it, and no password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// There is room again when updates have been delivered.
    #[error("the queue is full: {0}")]
    Full(String),
    /// The other side isn't there, or slow; nothing needs to be done here.
    #[error("the queue can't be reached: {0}")]
    Unavailable(String),
    /// What is stored can't be trusted, or nothing can be stored: somebody has to look.
    #[error("the queue is broken: {0}")]
    Broken(String),
    /// Nothing is taken or given out any more.
    #[error("the queue is closed")]
    Closed,
}

// === impl Update ===

impl Update {
    /// The chat it is of, or the user where there is none; None of one that can't be read.
    pub fn chat(&self) -> Option<i64> {
        let facts = update::parse(&self.body).ok()?.facts;
        facts.chat.or(facts.user)
    }
}

/// How a queue knows an update that is in somebody's hands. Dropping it gives the update back.
pub trait Hold: Send + 'static {
    /// Whether the update is still this sidecar's alone: false once another may have it, in a queue that several share. The answer is
    /// known here and costs nothing.
    fn holds(&self) -> bool;
}

// === impl Lease ===

impl<R: Hold> Lease<R> {
    /// To be asked before the update is handed to anybody, each time: what was lost may have been delivered by another sidecar, and what
    /// follows it too. Then nothing is to be done with it any more but to drop it.
    pub fn holds(&self) -> bool {
        self.receipt.holds()
    }
}

/// A durable queue of one bot's updates. All futures may be dropped at any time; what they were about may then have happened or not.
pub trait Queue: Send + Sync + 'static {
    /// How the queue knows an update that is in somebody's hands.
    type Receipt: Hold;

    /// Whether other sidecars go on with what this one leaves.
    const SHARED: bool = false;

    /// Stores an update at the end of its lane, unless the same bytes are known. A second copy is never given out, also among several
    /// sidecars where they share the queue: either it isn't stored, or it is dropped when its turn comes. An `Ok` means durable.
    fn append(&self, update: Update) -> impl Future<Output = Result<Appended, QueueError>> + Send;

    /// Sets an update aside that no consumer shall see, unless the same bytes are known.
    fn bury(
        &self,
        update: Update,
        reason: Reason,
    ) -> impl Future<Output = Result<Appended, QueueError>> + Send;

    /// Gives out the first update of a lane of which none is in hand: of those lanes, that of the update stored first, as nearly as
    /// can be told. Waits until there is one. Errors pass: asking again is right, after a while.
    fn next(&self) -> impl Future<Output = Result<Lease<Self::Receipt>, QueueError>> + Send;

    /// Ends the life of an update in the queue. With [`Outcome::Done`] an `Ok` doesn't mean durable: after a crash the update may be
    /// given out once more. Set aside it is durable. After an error the update is given out again.
    fn settle(
        &self,
        lease: Lease<Self::Receipt>,
        outcome: Outcome,
    ) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// What waits.
    fn depth(&self) -> impl Future<Output = Result<Depth, QueueError>> + Send;

    /// What was set aside, oldest first: those selected that come after `after`, at most `limit`, which is at least 1. There need not
    /// be a dead letter `after`, nor ever have been. None is the end; fewer than `limit` need not be.
    fn dead_letters(
        &self,
        selection: &Selection,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DeadLetter>, QueueError>> + Send;

    /// Puts what was set aside at the end of its lane again, known bytes or not; false if there is no such thing.
    fn replay(&self, id: DeadLetterId) -> impl Future<Output = Result<bool, QueueError>> + Send;

    /// Forgets what was set aside before a time, and says how many those were.
    fn forget_dead_letters(&self, before: SystemTime)
    -> impl Future<Output = Result<u64, QueueError>> + Send;

    /// Takes and gives out no more, gives back what is in hand so that another sidecar can have it, and writes what isn't written yet.
    fn close(&self) -> impl Future<Output = Result<(), QueueError>> + Send;
}
