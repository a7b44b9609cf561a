//! What was accepted, in memory: per bot a set to ask and a queue that knows the oldest. Some 50 bytes for each update, and none
//! before there is one.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{Id, Key, RETENTION, Seconds, log::Record};

/// The updates that are remembered.
pub(super) struct Index {
    max_per_bot: usize,
    bots: HashMap<i64, Bot>,
}

#[derive(Default)]
struct Bot {
    known: HashSet<Key>,
    /// Each known key once, in the order in which they came.
    oldest_first: VecDeque<(Seconds, Key)>,
}

// === impl Index ===

impl Index {
    pub(super) fn new(max_per_bot: usize) -> Self {
        Self { max_per_bot, bots: HashMap::new() }
    }

    pub(super) fn contains(&self, id: &Id) -> bool {
        self.bots.get(&id.bot).is_some_and(|bot| bot.known.contains(&id.key))
    }

    /// Remembers an update and forgets, of the same bot, those that are too old or too many.
    pub(super) fn insert(&mut self, id: Id, at: Seconds) {
        let bot = self.bots.entry(id.bot).or_default();
        // first: one that was forgotten and came again is in a log twice
        bot.expire(at);
        if bot.known.insert(id.key) {
            bot.oldest_first.push_back((at, id.key));
        }
        while bot.oldest_first.len() > self.max_per_bot {
            bot.forget_oldest();
        }
    }

    /// Forgets what is too old.
    pub(super) fn expire(&mut self, now: Seconds) {
        self.bots.retain(|_, bot| {
            bot.expire(now);
            !bot.known.is_empty()
        });
    }

    pub(super) fn len(&self) -> usize {
        self.bots.values().map(|bot| bot.oldest_first.len()).sum()
    }

    /// Everything; of each bot the oldest first.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        self.bots.iter().flat_map(|(bot, Bot { oldest_first, .. })| {
            let records = oldest_first.iter();
            records.map(|(at, key)| Record { id: Id { bot: *bot, key: *key }, at: *at })
        })
    }
}

// === impl Bot ===

impl Bot {
    /// Where the clock was put back, one that came before another may be the later one by its time: what comes first decides, and
    /// nothing is forgotten too early.
    fn expire(&mut self, now: Seconds) {
        let too_old = |at: Seconds| u64::from(at) + RETENTION.as_secs() <= u64::from(now);
        while self.oldest_first.front().is_some_and(|(at, _)| too_old(*at)) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.oldest_first.pop_front() {
            self.known.remove(&key);
        }
    }
}
