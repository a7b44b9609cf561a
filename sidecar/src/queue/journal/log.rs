//! A durable log of records that it knows nothing about: they are appended, read back and removed. One folder, one process, one
//! writer thread; many records share one write and one sync.
//!
//! # Format
//!
//! The folder holds `lock` and the segments `<number, 16 hex digits>.segment`, all of one size, preallocated. Numbers are little endian.
//!
//! ```text
//! segment = header (512)   batch*   zeros to the end
//! header  = "TWS-LOG1"  number u64  size u64  salt u64  crc u32 of these
//! batch   = magic u32  length u32 of the frames  number u64  durable u64  next u64  oldest u64  heads u32  crc u32   frame*
//! frame   = head (24)  payload  zeros to a multiple of 8
//! head    = kind u32  length u32 of the payload  sequence u64  crc u32 of the payload  zero u32
//! kind    = 1 record   2 record moved here from an older segment   3 removals: the payload is their sequences, u64 each
//! ```
//!
//! `heads` is the checksum of the batch's heads, which have that of every payload; the batch's `crc` is that of its header, salted with
//! the segment's random number: neither what another segment held nor what a record contains is ever taken for a batch. `next` is
//! the first sequence that no record has had, `durable` the first batch that was not known to be synced when this one was written,
//! `oldest` the first segment with anything live in it.
//!
//! # Invariants
//!
//! 1. Batches are numbered without gaps, in the order of segments and places in them. A batch is in one segment.
//! 2. A batch counts whole or not at all. Whoever appended one of its records is told so only after it is synced.
//! 3. Batches are written one after the other. One with records is synced before the next one is written; one that only removes
//!    isn't, and tells by its successors' `durable`. Before the first batch of a segment all of the segment before is synced.
//! 4. A record keeps its sequence for ever, also when it moves. No other ever has it: `next` only grows.
//! 5. Segments are numbered without gaps. One gets its name when its header is synced, and is written to when the folder is.
//! 6. Only the oldest segment is unlinked, when none of its records is live, those that moved are synced elsewhere and a synced batch of a
//!    later segment says by its `oldest` that it is given up. So one that is missing shows, `next` is never lost, and a removal never goes
//!    before what it removes.
//! 7. A record is appended only while a spare segment exists, and in each segment an empty batch has room: what removes and moves
//!    records and what gives up a segment can be written, so that a full log can be emptied.
//! 8. After a failed write or sync nothing is written any more: what the disk has is unknown.
//!
//! # Recovery
//!
//! Segments are read in order. Where no whole batch with the expected number follows, the data ends, and
//! * nothing but zeros follows in that segment, and the next one goes on with the expected number or is empty: as it should be;
//! * a later batch, in that segment or another, says by its `durable`, or by being in another segment (3), that what is missing was
//!   synced: that is corruption, and the log isn't opened;
//! * otherwise it is the end of what a crash interrupted, of which a disk may have written any sectors, and nobody was told that any of it is durable
//!   (2, 3): the rest of the segment is zeroed and synced, so that it never comes back.
//!
//! Segments older than the last batch's `oldest` are unlinked, and nothing in them is live: the removals may not have been written.
//!
//! That leaves one kind of damage that looks like a crash: to the batches that the last sync wrote. Closing the log writes an empty batch, so
//! that it shows after an orderly end.

mod error;
pub mod files;
mod format;
mod gatherer;
mod index;
mod receipt;
mod recovery;
mod repair;
mod segment;
mod state;
mod verify;
mod writer;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use tokio::sync::mpsc;

pub use self::{
    error::{LogError, OpenError},
    gatherer::Gatherer,
    receipt::Receipt,
    repair::{RepairError, Repaired, repair},
    verify::{Report, verify},
};
use self::{
    files::{File as _, Files},
    state::{Found, Haste, Shared},
    writer::Writer,
};

/// Where a record is in the order of all; later ones are greater. Never used again.
#[derive(Copy, Clone, Eq, PartialEq, Ord, PartialOrd, Hash, Debug)]
pub struct Sequence(u64);

/// What a log may take.
#[derive(Copy, Clone, Debug)]
pub struct Options {
    /// Size of one file; no record can be longer.
    pub segment_bytes: u64,
    /// Size of all files together.
    pub max_bytes: u64,
}

/// The log of one folder.
pub struct Log<F: Files> {
    shared: Arc<Shared<F>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

/// What a log takes.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub disk_bytes: u64,
    pub live_records: u64,
    /// Of the records alone.
    pub live_bytes: u64,
}

/// Two that hold records, the spare, and room to move what is left of the oldest.
const MIN_SEGMENTS: u64 = 4;
const UNREADABLE: &str = "a stored record can't be read back";
const MIN_SEGMENT_BYTES: u64 = 4096;
/// Larger segments would be of no use, and one damaged byte must not make us read gigabytes.
const MAX_SEGMENT_BYTES: u64 = u32::MAX as u64;

// === impl Sequence ===

impl Sequence {
    /// For whoever stores one.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    pub const fn number(self) -> u64 {
        self.0
    }
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 16 << 20, max_bytes: 1 << 30 }
    }
}

impl Options {
    const fn max_segments(self) -> u64 {
        self.max_bytes / self.segment_bytes
    }

    fn check(self) -> Result<Self, OpenError> {
        let sizes = MIN_SEGMENT_BYTES..=MAX_SEGMENT_BYTES;
        if sizes.contains(&self.segment_bytes) && self.max_segments() >= MIN_SEGMENTS {
            Ok(self)
        } else {
            Err(OpenError::Options)
        }
    }
}

// === impl Log ===

impl<F: Files> Log<F> {
    /// Opens or makes the log and shows every record that was appended and not removed, oldest first.
    pub fn open(files: F, options: Options, visit: impl FnMut(Sequence, &[u8])) -> Result<Self, OpenError> {
        Self::start(Writer::open(files, Options::check(options)?, visit)?)
    }

    /// The same, for records that gather while the second value runs.
    pub fn open_to_gather(
        files: F,
        options: Options,
        visit: impl FnMut(Sequence, &[u8]),
    ) -> Result<(Self, Gatherer<F>), OpenError> {
        let (tell, told) = mpsc::unbounded_channel();
        let writer = Writer::open(files, Options::check(options)?, visit)?.telling(tell);
        let shared = writer.shared();
        let started = shared.gathers();
        Ok((Self::start(writer)?, Gatherer { shared, told, started }))
    }

    fn start(writer: Writer<F>) -> Result<Self, OpenError> {
        let shared = writer.shared();
        let thread = thread::Builder::new().name("log-writer".to_owned()).spawn(move || writer.run());
        let thread =
            thread.map_err(|error| OpenError::Io { action: "start the thread that writes", error })?;
        Ok(Self { shared, writer: Mutex::new(Some(thread)) })
    }

    /// Hands a record over to be written: `head` and then `body`. Records are in the order of these calls.
    pub fn append(&self, head: Bytes, body: Bytes) -> Result<Receipt, LogError> {
        self.shared.append(head, body, None, Haste::Now)
    }

    /// The same for a record that many others come with: they are written together.
    pub fn gather(&self, head: Bytes, body: Bytes) -> Result<Receipt, LogError> {
        self.shared.append(head, body, None, Haste::Gather)
    }

    /// Appends a record and removes another, both or, after an error or a crash, neither.
    pub fn replace(&self, old: Sequence, head: Bytes, body: Bytes) -> Result<Receipt, LogError> {
        self.shared.append(head, body, Some(old), Haste::Now)
    }

    /// Removes a record. That is durable some time later.
    pub fn remove(&self, sequence: Sequence) -> Result<(), LogError> {
        self.shared.remove(sequence)
    }

    /// Removes a record. The receipt is that of the removal.
    pub fn removed_durably(&self, sequence: Sequence) -> Result<Receipt, LogError> {
        self.shared.removed_durably(sequence)
    }

    /// Reads a record back, whether durable or not.
    pub fn read(&self, sequence: Sequence) -> Result<Bytes, LogError> {
        match self.shared.find(sequence)? {
            Found::Waiting(bytes) => Ok(bytes),
            Found::Stored { file, place } => {
                let mut bytes = vec![0; place.length as usize];
                let read = file.read_at(&mut bytes, u64::from(place.offset));
                if read.is_err() || crc32fast::hash(&bytes) != place.crc {
                    self.shared.fail(UNREADABLE);
                    return Err(LogError::Broken(UNREADABLE.to_owned()));
                }
                Ok(bytes.into())
            }
        }
    }

    pub fn usage(&self) -> Usage {
        self.shared.usage()
    }

    /// Why nothing works any more, if so.
    pub fn failure(&self) -> Option<String> {
        self.shared.failure()
    }

    /// Writes what is left, syncs it and ends the writer. Waits for that, so that it isn't for a thread that must not.
    pub fn close(&self) {
        self.shared.close();
        let writer = locked(&self.writer).take();
        // one that panicked has left the log broken
        if let Some(writer) = writer
            && writer.join().is_err()
        {
            self.shared.fail("the writer panicked");
        }
    }
}

impl<F: Files> Drop for Log<F> {
    fn drop(&mut self) {
        self.close();
    }
}

/// What a panic left is whole: nothing that panics is called under a lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
