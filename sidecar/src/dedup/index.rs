//! What is known, in memory: per bot a queue that knows the oldest, and a table to ask that knows where in it an update is.
//! Some 40 bytes for each update, and none before there is one.

use std::collections::{BTreeMap, VecDeque};

use hashbrown::{HashTable, hash_table::Entry};

use super::{
    Record, Seconds,
    id::{Id, Key},
};
use crate::queue::RETENTION;

/// The updates that are remembered.
pub(crate) struct Index {
    max_per_bot: usize,
    /// There are few.
    bots: BTreeMap<i64, Bot>,
}

#[derive(Default)]
struct Bot {
    /// Each known key once, in the order in which they came.
    oldest_first: VecDeque<(Seconds, Key)>,
    /// The numbers of all that is in the queue, each in its key's place. A quarter of what a second copy of the keys would take.
    numbers: HashTable<u32>,
    /// Number of the oldest. They are given in turn, and begin anew after the last.
    first: u32,
    /// Number of the next.
    next: u32,
}

// === impl Index ===

impl Index {
    pub(crate) fn new(max_per_bot: usize) -> Self {
        Self { max_per_bot, bots: BTreeMap::new() }
    }

    pub(crate) fn contains(&self, id: &Id) -> bool {
        self.bots.get(&id.bot).is_some_and(|bot| bot.contains(id.key))
    }

    /// Remembers an update and forgets, of the same bot, those that are too old or too many.
    pub(crate) fn insert(&mut self, Record { id: Id { bot, key }, at }: Record) {
        let bot = self.bots.entry(bot).or_default();
        // first: one that was forgotten and came again is in a log twice
        bot.expire(at);
        bot.insert(key, at);
        while bot.oldest_first.len() > self.max_per_bot {
            bot.forget_oldest();
        }
    }

    /// Forgets what is too old.
    pub(crate) fn expire(&mut self, now: Seconds) {
        self.bots.retain(|_, bot| {
            bot.expire(now);
            !bot.oldest_first.is_empty()
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.bots.values().map(|bot| bot.oldest_first.len()).sum()
    }

    /// Everything; of each bot the oldest first.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        self.bots.iter().flat_map(|(bot, Bot { oldest_first, .. })| {
            let records = oldest_first.iter();
            records.map(|(at, key)| Record { id: Id { bot: *bot, key: *key }, at: *at })
        })
    }
}

// === impl Bot ===

impl Bot {
    fn contains(&self, key: Key) -> bool {
        let Self { oldest_first, numbers, first, .. } = self;
        numbers.find(key.place(), |number| key_of(oldest_first, *first, *number) == Some(key)).is_some()
    }

    fn insert(&mut self, key: Key, at: Seconds) {
        let Self { oldest_first, numbers, first, next } = self;
        let key_of = |number: &u32| key_of(oldest_first, *first, *number);
        let entry = numbers.entry(
            key.place(),
            |number| key_of(number) == Some(key),
            |number| key_of(number).map_or(0, |key| key.place()),
        );
        if let Entry::Vacant(entry) = entry {
            entry.insert(*next);
            oldest_first.push_back((at, key));
            *next = next.wrapping_add(1);
        }
    }

    /// Where the clock was put back, one that came before another may be the later one by its time: what comes first decides, and
    /// nothing is forgotten too early.
    fn expire(&mut self, now: Seconds) {
        let too_old = |at: Seconds| u64::from(at) + RETENTION.as_secs() <= u64::from(now);
        while self.oldest_first.front().is_some_and(|(at, _)| too_old(*at)) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Self { oldest_first, numbers, first, .. } = self;
        if let Some((_, key)) = oldest_first.pop_front() {
            if let Ok(entry) = numbers.find_entry(key.place(), |number| number == first) {
                entry.remove();
            }
            *first = first.wrapping_add(1);
        }
    }
}

fn key_of(oldest_first: &VecDeque<(Seconds, Key)>, first: u32, number: u32) -> Option<Key> {
    oldest_first.get(number.wrapping_sub(first) as usize).map(|(_, key)| *key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_and_its_table_agree_also_when_the_numbers_begin_anew() {
        let key = |id: u64| Key([(id % 3).to_le_bytes(), id.to_le_bytes()]);
        let last = u32::MAX - 50;
        let mut bot = Bot { first: last, next: last, ..Bot::default() };
        for id in 0..200 {
            bot.insert(key(id), 0);
            bot.insert(key(id), 0);
            if id >= 60 {
                bot.forget_oldest();
            }
            let oldest = id.saturating_sub(59);
            let known: Vec<_> = (0..=200).filter(|id| bot.contains(key(*id))).collect();
            assert_eq!(known, (oldest..=id).collect::<Vec<_>>());
            assert_eq!(bot.numbers.len(), known.len());
        }
        assert!(bot.next < last);
    }
}
