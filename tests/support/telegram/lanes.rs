//! The loaded window of updates: lanes in which one update at a time is in flight, at most so many lanes at once, and
//! which lane is next (reference/telegram.md section 3.5).

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

use super::{backoff::Backoff, queue::Event};

/// Most updates read from the queue in one go.
const MAX_READ: usize = 1000;
/// Lanes of updates that no other waits for start here.
const FIRST_OWN_LANE: i64 = 1 << 60;

/// The updates that the delivery engine has loaded.
#[derive(Debug)]
pub struct Lanes {
    window: usize,
    loaded: HashMap<i64, VecDeque<Loaded>>,
    /// Lanes whose head waits for its time, earliest first and then by number. A lane in flight isn't here.
    waiting: BTreeSet<(Instant, i64)>,
    next_own_lane: i64,
}

#[derive(Debug)]
struct Loaded {
    event: Event,
    backoff: Backoff,
    wake_at: Instant,
}

/// What became of a failed update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// It is tried again.
    Again(Instant),
    /// Its life would be over by then: thrown away.
    Dropped,
}

/// What can be sent.
#[derive(Debug)]
pub enum Next {
    /// This lane's head. The lane is now in flight.
    Ready(i64, Event),
    /// Nothing before this time.
    Later(Instant),
    /// Nothing waits.
    Nothing,
}

impl Lanes {
    /// An empty window of so many lanes.
    pub fn new(window: usize) -> Self {
        Self { window, loaded: HashMap::new(), waiting: BTreeSet::new(), next_own_lane: FIRST_OWN_LANE }
    }

    /// How many lanes hold updates.
    pub fn len(&self) -> usize {
        self.loaded.len()
    }

    /// How many updates may be read now; none once the window is full of lanes.
    pub fn room(&self) -> usize {
        self.window.saturating_sub(self.loaded.len()).min(MAX_READ)
    }

    /// Adds an update read from the queue.
    pub fn load(&mut self, event: Event, now: Instant) {
        let lane = if event.lane == 0 {
            self.next_own_lane += 1;
            self.next_own_lane
        } else {
            event.lane
        };
        let updates = self.loaded.entry(lane).or_default();
        if updates.is_empty() {
            self.waiting.insert((now, lane));
        }
        updates.push_back(Loaded { event, backoff: Backoff::default(), wake_at: now });
    }

    /// Takes the next lane to send from.
    pub fn take_next(&mut self, now: Instant) -> Next {
        let Some(&(wake_at, lane)) = self.waiting.first() else {
            return Next::Nothing;
        };
        if wake_at > now {
            return Next::Later(wake_at);
        }
        self.waiting.pop_first();
        match self.loaded.get(&lane).and_then(VecDeque::front) {
            Some(loaded) => Next::Ready(lane, loaded.event.clone()),
            None => Next::Nothing,
        }
    }

    /// The lane's head is done: its next update may go.
    pub fn finished(&mut self, lane: i64) {
        let Some(updates) = self.loaded.get_mut(&lane) else {
            return;
        };
        updates.pop_front();
        match updates.front() {
            Some(next) => {
                self.waiting.insert((next.wake_at, lane));
            }
            None => {
                self.loaded.remove(&lane);
            }
        }
    }

    /// The lane's head failed: it is tried again or dropped.
    pub fn failed(&mut self, lane: i64, retry_after: i64, now: Instant, unix_now: f64) -> Failed {
        let Some(head) = self.loaded.get_mut(&lane).and_then(VecDeque::front_mut) else {
            return Failed::Dropped;
        };
        let delay = Duration::from_secs(head.backoff.next_delay(retry_after).unsigned_abs());
        if unix_now + delay.as_secs_f64() > head.event.expires_at {
            self.finished(lane);
            return Failed::Dropped;
        }
        head.wake_at = now + delay;
        self.waiting.insert((head.wake_at, lane));
        Failed::Again(now + delay)
    }
}
