//! How a queue that somebody left, in order or not, is found again.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use telegram_webhook_sidecar_config::{LogRoom, Room};

use super::{
    bookkeeper::Known,
    end::Deliveries,
    letters::Listed,
    log::{self, Gatherer, Log, LogError, Receipt, Sequence, files::Disk},
    record::{Head, Letter, Record, Unreadable, key},
    state::{Shared, State},
};
use crate::{
    dedup::{self, HashKey, Id, Index, Key, Seconds, seconds},
    queue::{Clock, MAX_KNOWN, from_millis},
};

/// Log of what waits.
const QUEUE: &str = "queue";
/// Log of what was set aside.
const DEAD: &str = "dead";
/// The folders that hold a log each.
pub const LOGS: [&str; 2] = [QUEUE, DEAD];

/// What the embedded queue of a bot may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Of all its files.
    pub max_bytes: u64,
}

/// Why the embedded queue of a bot can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("--state-dir: {}: {source}", dir.display())]
    Log { dir: PathBuf, source: log::OpenError },
    #[error("--state-dir: {}: record {sequence} {Unreadable}: it was written by a newer version", dir.display())]
    Unreadable { dir: PathBuf, sequence: u64 },
    #[error("--state-dir: {}: the key by which its updates are known is missing", dir.display())]
    NoHashKey { dir: PathBuf },
    #[error("--state-dir: {}: {source}: it must be a folder that the sidecar can write to", dir.display())]
    Io { dir: PathBuf, source: io::Error },
    #[error("--state-dir: {}: {source}", dir.display())]
    NotWritable { dir: PathBuf, source: LogError },
}

/// What was in the queue's log.
#[derive(Default)]
struct FoundQueue {
    hash_key: Option<HashKey>,
    updates: BTreeMap<u64, Head>,
    known: Known,
    keys: Vec<(Seconds, Key)>,
    unreadable: Option<u64>,
}

/// What was in the log of dead letters.
#[derive(Default)]
struct FoundDead {
    letters: BTreeMap<u64, FoundLetter>,
    unreadable: Option<u64>,
}

struct FoundLetter {
    listed: Listed,
    origin: Option<u64>,
    key: Key,
}

// === impl Options ===

impl Options {
    fn dead(self) -> log::Options {
        log_options(Room::of(self.max_bytes).dead)
    }

    fn queue(self) -> log::Options {
        log_options(Room::of(self.max_bytes).queue)
    }

    /// Longest body of an update that can be stored.
    pub fn longest_body(self) -> usize {
        Room::of(self.max_bytes).longest_body()
    }
}

fn log_options(LogRoom { max_bytes, segment_bytes }: LogRoom) -> log::Options {
    log::Options { segment_bytes, max_bytes }
}

// === impl FoundQueue ===

impl FoundQueue {
    fn see(&mut self, sequence: u64, record: &[u8]) {
        match Record::decode(record) {
            Ok(Record::Update(head, _)) => drop(self.updates.insert(sequence, head)),
            Ok(Record::Known(at, keys)) => {
                let keys = keys.iter().copied().map(key);
                self.keys.extend(keys.clone().map(|key| (at, key)));
                self.known.found(sequence, at, keys);
            }
            Ok(Record::HashKey(bytes)) => self.hash_key = Some(HashKey::from_bytes(bytes)),
            Err(Unreadable) => self.unreadable = Some(sequence),
        }
    }
}

// === impl FoundDead ===

impl FoundDead {
    fn see(&mut self, sequence: u64, record: &[u8]) {
        let Ok(Letter { at, chat, origin, head: Head { key, .. }, .. }) = Letter::decode(record) else {
            self.unreadable = Some(sequence);
            return;
        };
        self.letters.insert(sequence, FoundLetter { listed: Listed { at, chat }, origin, key });
    }
}

/// A queue that is open.
pub(super) struct Opened {
    pub shared: Shared,
    /// What has to run for updates to be stored.
    pub gatherer: Gatherer<Disk>,
    /// What its bookkeeper has to know.
    pub known: Known,
    /// What must be durable before the queue is used.
    pub receipts: Vec<Receipt>,
}

/// Opens the queue of a bot, in a folder of its own.
pub(super) fn open(dir: &Path, bot_id: i64, options: Options, clock: Clock) -> Result<Opened, OpenError> {
    let (mut found, mut found_dead) = (FoundQueue::default(), FoundDead::default());
    let (queue, gatherer) = open_log(&dir.join(QUEUE), |disk| {
        Log::open_to_gather(disk, options.queue(), |at, record| found.see(at.number(), record))
    })?;
    let dead = open_log(&dir.join(DEAD), |disk| {
        Log::open(disk, options.dead(), |at, record| found_dead.see(at.number(), record))
    })?;
    for (name, unreadable) in [(QUEUE, found.unreadable), (DEAD, found_dead.unreadable)] {
        if let Some(sequence) = unreadable {
            return Err(OpenError::Unreadable { dir: dir.join(name), sequence });
        }
    }
    let not_writable = |source| OpenError::NotWritable { dir: dir.to_owned(), source };
    let moved = finish_moves(&queue, &dead, &mut found, &mut found_dead);
    let mut receipts = moved.map_err(not_writable)?;
    let io = |source| OpenError::Io { dir: dir.to_owned(), source };
    let hash_key = match found.hash_key {
        Some(hash_key) => hash_key,
        None if found.updates.is_empty() => {
            let hash_key = HashKey::draw().map_err(|error| io(error.into()))?;
            let appended = queue.append(Record::encode_hash_key(hash_key), bytes::Bytes::new());
            receipts.push(appended.map_err(not_writable)?);
            hash_key
        }
        None => return Err(OpenError::NoHashKey { dir: dir.to_owned() }),
    };
    let index = index(bot_id, &found, &found_dead, seconds(clock.now()));
    let deliveries = Deliveries::take(dir).map_err(io)?;
    let mut state = State::new(index);
    for (sequence, Head { lane, received_at, .. }) in &found.updates {
        state.lanes.push(*lane, *sequence, *received_at, deliveries.of(*sequence));
    }
    for (sequence, FoundLetter { listed, .. }) in found_dead.letters {
        state.letters.put(sequence, listed);
    }
    let shared = Shared::new((bot_id, clock, hash_key), (queue, dead, options.longest_body()), state);
    Ok(Opened { shared, gatherer, known: found.known, receipts })
}

fn open_log<T>(dir: &Path, open: impl FnOnce(Disk) -> Result<T, log::OpenError>) -> Result<T, OpenError> {
    let disk = Disk::new(dir).map_err(|source| OpenError::Io { dir: dir.to_owned(), source })?;
    open(disk).map_err(|source| OpenError::Log { dir: dir.to_owned(), source })
}

/// What was on its way between the logs when the sidecar was killed is in both: the earlier one goes.
fn finish_moves(
    queue: &Log<Disk>,
    dead: &Log<Disk>,
    found: &mut FoundQueue,
    found_dead: &mut FoundDead,
) -> Result<Vec<Receipt>, LogError> {
    let mut receipts = Vec::new();
    for letter in found_dead.letters.values() {
        let Some(origin) = letter.origin else { continue };
        // the key too, so that a log that was begun anew has nothing taken for the old one's
        if found.updates.get(&origin).is_some_and(|head| head.key == letter.key) {
            found.updates.remove(&origin);
            receipts.push(queue.removed_durably(Sequence::from_number(origin))?);
        }
    }
    for head in found.updates.values() {
        let Some(replayed) = head.replayed else { continue };
        if found_dead.letters.get(&replayed).is_some_and(|letter| letter.key == head.key) {
            found_dead.letters.remove(&replayed);
            receipts.push(dead.removed_durably(Sequence::from_number(replayed))?);
        }
    }
    Ok(receipts)
}

/// What is known: what waits, what was set aside, and what is known by its key alone.
fn index(bot: i64, found: &FoundQueue, found_dead: &FoundDead, now: Seconds) -> Index {
    let waiting = found.updates.values().map(|head| (head.received_at, head.key));
    let letters = found_dead.letters.values().map(|letter| (letter.listed.at, letter.key));
    let stored = waiting.chain(letters).map(|(at, key)| (seconds(from_millis(at)), key));
    // from a time when the clock was ahead: it must not make all others look old
    let past = |(at, key): (Seconds, Key)| (at.min(now), key);
    let mut known: Vec<_> = stored.chain(found.keys.iter().copied()).map(past).collect();
    known.sort_by_key(|(at, _)| *at);
    let mut index = Index::new(MAX_KNOWN);
    for (at, key) in known {
        index.insert(dedup::Record { id: Id { bot, key }, at });
    }
    index.expire(now);
    index
}
