//! What was accepted, on disk.
//!
//! A folder that one process at a time uses, by an exclusive lock on its file `lock`. The file `dedup.log` in it is as [`format`]
//! says: a head, and then a record for each update, all of the same length.
//!
//! A record is written by one call at the end of the last whole slot, after the CRM has accepted the update and before Telegram
//! hears of it. That survives a killed process, as the kernel has the bytes; there is no fdatasync, so a machine that loses power may
//! forget the last seconds, which costs a duplicate at worst. What must not get lost, updates that were answered and not yet
//! delivered, will be in a journal of its own.
//!
//! Opening takes every record whose checksum is right. What follows the last whole slot was being written and is cut off; a slot
//! in the middle with a wrong checksum is skipped and reported. A file with another head is of another version, or damaged beyond
//! use: it is set aside as `dedup.log.unreadable`, and reported. When there are more than twice as many records as are
//! remembered, those that are remembered are written to `dedup.log.new`, which then takes the log's place.

mod format;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufReader, BufWriter, ErrorKind, Read as _, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use self::format::{HEAD_SLOTS, Head, SLOT_LENGTH, Slot};
use crate::dedup::{HashKey, Index, Record};

const LOCK: &str = "lock";
const NAME: &str = "dedup.log";
const NEW: &str = "dedup.log.new";
const UNREADABLE: &str = "dedup.log.unreadable";
/// Records beyond twice the remembered ones that are not worth a new file.
const SLACK: usize = 256;
/// Bytes that are read or written at a time, when it is many.
const BUFFER: usize = 64 << 10;

/// The open log, and the lock on its folder.
pub(super) struct Log {
    dir: PathBuf,
    pub(super) file: File,
    /// Of the hashes in this file.
    hash_key: HashKey,
    /// Slots in the file, the head's included.
    slots: usize,
    /// A new file isn't tried before there are as many slots.
    compact_from: usize,
    _lock: File,
}

/// Why a log can't be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("the folder is in use")]
    Locked,
    #[error(transparent)]
    Io(#[from] io::Error),
}

// === impl Log ===

impl Log {
    /// Opens the log in `dir`, made if it isn't there, and hands over every record, the oldest first.
    pub(super) fn open(dir: &Path, mut found: impl FnMut(Record)) -> Result<Self, OpenError> {
        fs::create_dir_all(dir)?;
        let lock = File::create(dir.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::Locked,
            TryLockError::Error(error) => OpenError::Io(error),
        })?;
        let mut log = Self {
            dir: dir.to_owned(),
            file: open(&dir.join(NAME))?,
            hash_key: HashKey::draw().map_err(io::Error::from)?,
            slots: HEAD_SLOTS,
            compact_from: 0,
            _lock: lock,
        };
        if !log.read(&mut found)? {
            tracing::error!(
                set_aside = %dir.join(UNREADABLE).display(),
                "the log of accepted updates is of another version or damaged: updates may be delivered again"
            );
            fs::rename(dir.join(NAME), dir.join(UNREADABLE))?;
            log.file = open(&dir.join(NAME))?;
        }
        // a head, and nothing after the last whole slot
        log.file.write_all_at(&Head::encode(log.hash_key), 0)?;
        log.file.set_len(offset(log.slots))?;
        Ok(log)
    }

    /// By which the updates have to be hashed.
    pub(super) fn hash_key(&self) -> HashKey {
        self.hash_key
    }

    /// Reads all records; false if the file isn't a log of this format.
    fn read(&mut self, found: &mut impl FnMut(Record)) -> io::Result<bool> {
        let mut reader = BufReader::with_capacity(BUFFER, &self.file);
        let mut head = Vec::new();
        (&mut reader).take(offset(HEAD_SLOTS)).read_to_end(&mut head)?;
        match Head::decode(&head) {
            Head::Whole(hash_key) => self.hash_key = hash_key,
            Head::Unfinished => return Ok(true),
            Head::Unreadable => return Ok(false),
        }
        let mut corrupt = 0_usize;
        let mut slot = [0; SLOT_LENGTH];
        while filled(&mut reader, &mut slot)? {
            self.slots += 1;
            match Record::decode(&slot) {
                Some(record) => found(record),
                None => corrupt += 1,
            }
        }
        if corrupt > 0 {
            tracing::error!(corrupt, "records of accepted updates are damaged: these may be delivered again");
        }
        Ok(true)
    }

    /// Writes a record down. At a place of its own, not wherever the file ends: one that was written in part only is overwritten by
    /// the next.
    pub(super) fn append(&mut self, record: Record) -> io::Result<()> {
        self.file.write_all_at(&record.encode(), offset(self.slots))?;
        self.slots += 1;
        Ok(())
    }

    /// Begins a new file if most of this one is about what is no longer remembered.
    pub(super) fn compact_if_due(&mut self, index: &Index) -> io::Result<()> {
        if self.slots <= self.compact_from.max(2 * index.len() + SLACK) {
            return Ok(());
        }
        // after a failure, not with every update
        self.compact_from = self.slots + SLACK;
        let path = self.dir.join(NEW);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
        let mut writer = BufWriter::with_capacity(BUFFER, file);
        writer.write_all(&Head::encode(self.hash_key))?;
        for record in index.records() {
            writer.write_all(&record.encode())?;
        }
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        fs::rename(path, self.dir.join(NAME))?;
        self.file = file;
        self.slots = HEAD_SLOTS + index.len();
        self.compact_from = 0;
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    // keeps what is there
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Where a slot begins.
fn offset(slot: usize) -> u64 {
    (slot as u64) * (SLOT_LENGTH as u64)
}

/// Reads a whole slot; false at the end, also where the last one is not whole.
fn filled(reader: &mut impl io::Read, slot: &mut Slot) -> io::Result<bool> {
    match reader.read_exact(slot) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
