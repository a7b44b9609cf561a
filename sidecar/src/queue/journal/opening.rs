//! How a queue that somebody left, in order or not, is found again.

mod found;

use std::{
    io,
    path::{Path, PathBuf},
};

use telegram_webhook_sidecar_config::{LogRoom, Room};

use self::found::{FoundDead, FoundQueue};
use super::{
    bookkeeper::Known,
    end::Deliveries,
    log::{self, Gatherer, Log, LogError, Receipt, files::Disk},
    record::{Record, Unreadable},
    state::{Shared, State},
};
use crate::{
    dedup::{HashKey, seconds},
    queue::Clock,
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
    let io = |source| OpenError::Io { dir: dir.to_owned(), source };
    let not_writable = |source| OpenError::NotWritable { dir: dir.to_owned(), source };
    let unreadable = |name: &str, sequence: Option<u64>| match sequence {
        Some(sequence) => Err(OpenError::Unreadable { dir: dir.join(name), sequence }),
        None => Ok(()),
    };
    let mut found = FoundDead::default();
    let dead = open_log(&dir.join(DEAD), |disk| {
        Log::open(disk, options.dead(), |at, record| found.see(at.number(), record))
    })?;
    unreadable(DEAD, found.unreadable)?;
    let mut found = FoundQueue::new(found, Deliveries::read(dir).map_err(io)?);
    let (queue, gatherer) = open_log(&dir.join(QUEUE), |disk| {
        Log::open_to_gather(disk, options.queue(), |at, record| found.see(at.number(), record))
    })?;
    unreadable(QUEUE, found.unreadable)?;
    let mut receipts = found.interrupted.finish(&queue, &dead).map_err(not_writable)?;
    let hash_key = match found.hash_key {
        Some(hash_key) => hash_key,
        None if found.lanes.len() == 0 => {
            let hash_key = HashKey::draw().map_err(|error| io(error.into()))?;
            let appended = queue.append(Record::encode_hash_key(hash_key), bytes::Bytes::new());
            receipts.push(appended.map_err(not_writable)?);
            hash_key
        }
        None => return Err(OpenError::NoHashKey { dir: dir.to_owned() }),
    };
    Deliveries::forget(dir).map_err(io)?;
    let index = found.index(bot_id, seconds(clock.now()));
    let FoundQueue { lanes, known, dead: found, .. } = found;
    let state = State { lanes, letters: found.letters(), ..State::new(index) };
    let shared = Shared::new((bot_id, clock, hash_key), (queue, dead, options.longest_body()), state);
    Ok(Opened { shared, gatherer, known, receipts })
}

fn open_log<T>(dir: &Path, open: impl FnOnce(Disk) -> Result<T, log::OpenError>) -> Result<T, OpenError> {
    let disk = Disk::new(dir).map_err(|source| OpenError::Io { dir: dir.to_owned(), source })?;
    open(disk).map_err(|source| OpenError::Log { dir: dir.to_owned(), source })
}
