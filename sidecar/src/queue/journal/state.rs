//! What a queue knows without reading its files, and what its parts do with that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::{
    lanes::Lanes,
    letters::Letters,
    log::{Log, LogError, files::Disk},
    recent::Recent,
    under_way::{Fate, InFlight, UnderWay},
};
use crate::{
    dedup::{Claims, HashKey, Id, Index, Key, Record, seconds},
    queue::{Clock, QueueError},
};

/// Settled updates that are noted together at the latest.
pub(super) const MANY_SETTLED: usize = 64;

/// A queue, for all that have a part in it.
pub(super) struct Shared {
    pub bot_id: i64,
    pub clock: Clock,
    pub hash_key: HashKey,
    /// What waits.
    pub queue: Log<Disk>,
    /// What was set aside.
    pub dead: Log<Disk>,
    /// Longest body that both logs can hold.
    pub longest_body: usize,
    state: Mutex<State>,
    /// Tells one of those who wait for an update that there is one.
    pub ready: Notify,
    /// Tells the bookkeeper that something was settled after a while in which nothing was.
    pub settled: Notify,
    /// Tells it that it needn't wait for more.
    pub many_settled: Notify,
}

pub(super) struct State {
    pub closed: bool,
    pub lanes: Lanes,
    pub under_way: UnderWay,
    pub index: Index,
    pub claims: Claims,
    pub recent: Recent,
    pub letters: Letters,
    /// What the bookkeeper has to note.
    pub settled: Vec<Settled>,
}

/// What is to be known by its key alone from now on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settled {
    pub key: Key,
    pub from: Source,
}

/// Where its record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Queue(u64),
    Dead(u64),
}

/// Whether an update may be stored.
pub(super) enum Claim {
    Ours,
    Known,
    /// Another copy is being stored: its sender is gone when that has ended.
    UnderWay(watch::Receiver<()>),
}

// === impl Shared ===

impl Shared {
    pub fn new(
        (bot_id, clock, hash_key): (i64, Clock, HashKey),
        (queue, dead, longest_body): (Log<Disk>, Log<Disk>, usize),
        state: State,
    ) -> Self {
        Self {
            bot_id,
            clock,
            hash_key,
            queue,
            dead,
            longest_body,
            state: Mutex::new(state),
            ready: Notify::new(),
            settled: Notify::new(),
            many_settled: Notify::new(),
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, unless the queue is closed.
    pub fn open(&self) -> Result<MutexGuard<'_, State>, QueueError> {
        let state = self.lock();
        if state.closed { Err(QueueError::Closed) } else { Ok(state) }
    }

    /// Why one of the logs is broken, if so.
    pub fn failure(&self) -> Option<String> {
        self.queue.failure().or_else(|| self.dead.failure())
    }

    pub fn id(&self, body: &[u8]) -> Id {
        self.hash_key.id(self.bot_id, body)
    }

    /// From now on nobody takes or gives anything.
    pub fn shut(&self) {
        self.lock().closed = true;
        self.ready.notify_waiters();
        self.settled.notify_one();
        self.many_settled.notify_one();
    }

    /// Ends the claim of an update that is durable, or that isn't stored.
    pub fn end_claim(&self, id: Id, stored: bool) {
        let now = seconds(self.clock.now());
        let mut state = self.lock();
        if stored {
            state.index.insert(Record { id, at: now });
        }
        state.claims.end(id.key);
    }

    /// Notes what became of an update that was handed to the log, and puts those in their lanes that can be.
    pub fn conclude(&self, sequence: u64, id: Id, stored: bool) {
        let now = seconds(self.clock.now());
        let mut ready = 0;
        {
            let mut state = self.lock();
            let State { lanes, under_way, index, claims, recent, .. } = &mut *state;
            if stored {
                index.insert(Record { id, at: now });
            }
            claims.end(id.key);
            under_way.conclude(sequence, if stored { Fate::Stored } else { Fate::Refused });
            while let Some(InFlight { sequence, lane, received_at, fate }) = under_way.pop() {
                if fate == Fate::Stored {
                    ready += usize::from(lanes.push(lane, sequence, received_at, 0));
                } else {
                    recent.take(sequence);
                }
            }
        }
        for _ in 0..ready {
            self.ready.notify_one();
        }
    }

    /// Has an update noted by the bookkeeper, whose record then goes.
    pub fn note_settled(&self, state: &mut State, settled: Settled) {
        state.settled.push(settled);
        match state.settled.len() {
            1 => self.settled.notify_one(),
            MANY_SETTLED => self.many_settled.notify_one(),
            _ => {}
        }
    }
}

// === impl State ===

impl State {
    /// Empty, with what is known.
    pub fn new(index: Index) -> Self {
        Self {
            closed: false,
            lanes: Lanes::default(),
            under_way: UnderWay::default(),
            index,
            claims: Claims::default(),
            recent: Recent::default(),
            letters: Letters::default(),
            settled: Vec::new(),
        }
    }

    /// Makes an update ours to store, unless it is known or being stored.
    pub fn claim(&mut self, id: Id) -> Claim {
        if self.index.contains(&id) {
            return Claim::Known;
        }
        self.claims.begin(id.key).map_or(Claim::Ours, Claim::UnderWay)
    }
}

// === impl QueueError ===

impl From<LogError> for QueueError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Full => Self::Full("the embedded queue takes all of its maxBytes".to_owned()),
            LogError::TooLong => Self::Full("maxBytes is too small for so long an update".to_owned()),
            LogError::Gone => Self::Broken("a record of the embedded queue is missing".to_owned()),
            LogError::Broken(reason) => Self::Broken(reason),
            LogError::Closed => Self::Closed,
        }
    }
}

/// Does what mustn't stop halfway, also when nobody waits for it any more.
pub(super) async fn uninterrupted<T: Send + 'static>(
    work: impl Future<Output = Result<T, QueueError>> + Send + 'static,
) -> Result<T, QueueError> {
    // it doesn't panic; so this is the end of the runtime
    tokio::spawn(work).await.unwrap_or(Err(QueueError::Closed))
}

/// Does what waits for a disk.
pub(super) async fn on_disk<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<T, QueueError> + Send + 'static,
) -> Result<T, QueueError> {
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || work(&shared)).await.unwrap_or(Err(QueueError::Closed))
}
