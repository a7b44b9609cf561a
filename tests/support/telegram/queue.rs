//! A bot's queue of updates: their numbers (reference/telegram.md section 4) and the backlog's limits (section 3.6).

use std::collections::BTreeMap;

use bytes::Bytes;

const MAX_EVENTS: usize = 100_000;
const MAX_BYTES: usize = 128 << 20;
/// Largest stored part of one update, that is without its number.
pub const MAX_EVENT_BYTES: usize = 65_536 * 8;
const FIRST_IDS: std::ops::RangeInclusive<i64> = 2_000_001..=1_000_000_000;
const MAX_ID: i64 = 2_000_000_000;

/// An update to be queued.
#[derive(Clone, Debug)]
pub struct NewUpdate {
    /// Name of the kind.
    pub kind: String,
    /// The stored part: `"message":{...}`.
    pub stored: Vec<u8>,
    /// Lane that orders it; 0 is a lane of its own.
    pub lane: i64,
    /// Unix time after which it is thrown away.
    pub expires_at: f64,
}

/// A queued update.
#[derive(Clone, Debug)]
pub struct Event {
    /// `update_id`.
    pub id: i64,
    /// The whole body, the same bytes at every try.
    pub body: Bytes,
    /// Lane that orders it; 0 is a lane of its own.
    pub lane: i64,
    /// Unix time after which it is thrown away.
    pub expires_at: f64,
}

/// Why an update was never queued. Telegram tells nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Discarded {
    #[error("the bot doesn't receive this kind")]
    NotAllowed,
    #[error("its life is over")]
    Expired,
    #[error("it is larger than {MAX_EVENT_BYTES} bytes")]
    TooLarge,
    #[error("the queue is full")]
    Full,
}

/// Updates that wait to be delivered or fetched.
#[derive(Debug)]
pub struct UpdateQueue {
    events: BTreeMap<i64, Event>,
    bytes: usize,
    next_id: i64,
}

impl Default for UpdateQueue {
    fn default() -> Self {
        Self { events: BTreeMap::new(), bytes: 0, next_id: random_first_id() }
    }
}

impl UpdateQueue {
    /// Queues an update and gives it its number.
    pub fn push(&mut self, update: &NewUpdate, unix_now: f64) -> Result<i64, Discarded> {
        if update.expires_at <= unix_now {
            return Err(Discarded::Expired);
        }
        if update.stored.len() > MAX_EVENT_BYTES {
            return Err(Discarded::TooLarge);
        }
        if self.events.len() >= MAX_EVENTS || self.bytes + update.stored.len() > MAX_BYTES {
            return Err(Discarded::Full);
        }
        let id = self.next_id;
        self.next_id += 1;
        let mut body = format!("{{\"update_id\":{id},\n").into_bytes();
        body.extend_from_slice(&update.stored);
        body.push(b'}');
        self.bytes += update.stored.len();
        self.events
            .insert(id, Event { id, body: body.into(), lane: update.lane, expires_at: update.expires_at });
        Ok(id)
    }

    /// Up to `limit` updates from number `from` on. Those whose life is over are thrown away; their numbers come second.
    pub fn read(&mut self, from: i64, limit: usize, unix_now: f64) -> (Vec<Event>, Vec<i64>) {
        let mut live = Vec::new();
        let mut expired = Vec::new();
        for event in self.events.range(from..).map(|(_, event)| event) {
            if live.len() == limit {
                break;
            }
            if event.expires_at < unix_now {
                expired.push(event.id);
            } else {
                live.push(event.clone());
            }
        }
        for id in &expired {
            self.forget(*id);
        }
        (live, expired)
    }

    /// Removes one.
    pub fn forget(&mut self, id: i64) -> Option<Event> {
        let event = self.events.remove(&id)?;
        self.bytes = self.bytes.saturating_sub(stored_length(&event));
        Some(event)
    }

    /// Removes all below `id` and returns their numbers.
    pub fn forget_below(&mut self, id: i64) -> Vec<i64> {
        let ids: Vec<i64> = self.events.range(..id).map(|(id, _)| *id).collect();
        for id in &ids {
            self.forget(*id);
        }
        ids
    }

    /// Removes all and returns their numbers.
    pub fn clear(&mut self) -> Vec<i64> {
        self.bytes = 0;
        std::mem::take(&mut self.events).into_keys().collect()
    }

    /// How many wait, those in flight included.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The number of the `count`-th update from the end, for a negative offset.
    pub fn nth_from_end(&self, count: usize) -> Option<i64> {
        self.events.keys().rev().take(count).last().copied()
    }

    /// At the end of the numbers: empties the queue, starts again at random and returns what was lost.
    pub fn renumber(&mut self) -> Vec<i64> {
        if self.next_id < MAX_ID {
            return Vec::new();
        }
        self.next_id = random_first_id();
        self.clear()
    }

    /// Makes the next number `id`: the sequence of a bot that was moved between servers or was silent for a week.
    pub fn set_next_id(&mut self, id: i64) {
        self.next_id = id;
    }
}

fn stored_length(event: &Event) -> usize {
    let head = format!("{{\"update_id\":{},\n", event.id).len();
    event.body.len().saturating_sub(head + 1)
}

fn random_first_id() -> i64 {
    random_between(*FIRST_IDS.start(), *FIRST_IDS.end())
}

/// A random number of the range, both ends included.
pub fn random_between(low: i64, high: i64) -> i64 {
    let random = i64::from(getrandom::u32().unwrap_or_default());
    low + random % (high - low + 1)
}
