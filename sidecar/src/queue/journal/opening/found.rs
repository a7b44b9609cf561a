//! What the logs of a queue hold, as it is read when the queue is opened.

use std::collections::BTreeMap;

use crate::{
    dedup::{self, HashKey, Id, Index, Key, Seconds, seconds},
    queue::{
        MAX_KNOWN, from_millis,
        journal::{
            bookkeeper::Known,
            end::Deliveries,
            lanes::Lanes,
            letters::{Letters, Listed},
            log::{Log, LogError, Receipt, Sequence, files::Disk},
            record::{Head, Letter, Record, Unreadable, key},
        },
    },
};

/// What was in the log of dead letters.
#[derive(Default)]
pub(super) struct FoundDead {
    letters: BTreeMap<u64, FoundLetter>,
    /// The letters by what they were before.
    origins: BTreeMap<u64, Key>,
    pub unreadable: Option<u64>,
}

struct FoundLetter {
    listed: Listed,
    key: Key,
}

/// What was in the queue's log. There may be very many updates: of each is kept at once what is kept as long as it waits, and
/// nothing more.
pub(super) struct FoundQueue {
    pub dead: FoundDead,
    deliveries: Deliveries,
    pub hash_key: Option<HashKey>,
    pub lanes: Lanes,
    pub known: Known,
    /// By what updates are known, and since when.
    keys: Vec<(Seconds, Key)>,
    pub interrupted: Interrupted,
    pub unreadable: Option<u64>,
}

/// What was on its way between the logs when the sidecar was killed is in both: the earlier one goes.
#[derive(Default)]
pub(super) struct Interrupted {
    /// Updates that are dead letters by now.
    set_aside: Vec<u64>,
    /// Dead letters that are updates by now.
    replayed: Vec<u64>,
}

// === impl FoundDead ===

impl FoundDead {
    pub fn see(&mut self, sequence: u64, record: &[u8]) {
        let Ok(Letter { at, chat, origin, head: Head { key, .. }, .. }) = Letter::decode(record) else {
            self.unreadable = Some(sequence);
            return;
        };
        self.letters.insert(sequence, FoundLetter { listed: Listed { at, chat }, key });
        if let Some(origin) = origin {
            self.origins.insert(origin, key);
        }
    }

    pub fn letters(self) -> Letters {
        let mut letters = Letters::default();
        for (sequence, FoundLetter { listed, .. }) in self.letters {
            letters.put(sequence, listed);
        }
        letters
    }
}

// === impl FoundQueue ===

impl FoundQueue {
    pub fn new(dead: FoundDead, deliveries: Deliveries) -> Self {
        Self {
            dead,
            deliveries,
            hash_key: None,
            lanes: Lanes::default(),
            known: Known::default(),
            keys: Vec::new(),
            interrupted: Interrupted::default(),
            unreadable: None,
        }
    }

    pub fn see(&mut self, sequence: u64, record: &[u8]) {
        match Record::decode(record) {
            Ok(Record::Update(head, _)) => self.see_update(sequence, head),
            Ok(Record::Known(at, keys)) => {
                let keys = keys.iter().copied().map(key);
                self.keys.extend(keys.clone().map(|key| (at, key)));
                self.known.found(sequence, at, keys);
            }
            Ok(Record::HashKey(bytes)) => self.hash_key = Some(HashKey::from_bytes(bytes)),
            Err(Unreadable) => self.unreadable = Some(sequence),
        }
    }

    fn see_update(&mut self, sequence: u64, head: Head) {
        let Head { lane, received_at, key, replayed, .. } = head;
        // the key too, so that a log that was begun anew has nothing taken for the old one's
        if self.dead.origins.get(&sequence) == Some(&key) {
            self.interrupted.set_aside.push(sequence);
            return;
        }
        if let Some(letter) = replayed
            && self.dead.letters.get(&letter).is_some_and(|letter| letter.key == key)
        {
            self.dead.letters.remove(&letter);
            self.interrupted.replayed.push(letter);
        }
        self.lanes.push(lane, sequence, received_at, self.deliveries.of(sequence));
        self.keys.push((seconds(from_millis(received_at)), key));
    }

    /// What is known: what waits, what was set aside, and what is known by its key alone.
    pub fn index(&mut self, bot: i64, now: Seconds) -> Index {
        let mut known = std::mem::take(&mut self.keys);
        let letters = self.dead.letters.values();
        known.extend(letters.map(|letter| (seconds(from_millis(letter.listed.at)), letter.key)));
        for (at, _) in &mut known {
            // from a time when the clock was ahead: it must not make all others look old
            *at = now.min(*at);
        }
        // in place: this is when most memory is taken
        known.sort_unstable_by_key(|(at, _)| *at);
        let mut index = Index::new(MAX_KNOWN);
        for (at, key) in known {
            index.insert(dedup::Record { id: Id { bot, key }, at });
        }
        index.expire(now);
        index
    }
}

// === impl Interrupted ===

impl Interrupted {
    pub fn finish(&self, queue: &Log<Disk>, dead: &Log<Disk>) -> Result<Vec<Receipt>, LogError> {
        let removed = |log: &Log<Disk>, sequence: &u64| log.removed_durably(Sequence::from_number(*sequence));
        let set_aside = self.set_aside.iter().map(|update| removed(queue, update));
        set_aside.chain(self.replayed.iter().map(|letter| removed(dead, letter))).collect()
    }
}
