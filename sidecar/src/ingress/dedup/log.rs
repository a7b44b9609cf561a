//! What was accepted, on disk.
//!
//! A folder that one process at a time uses, by an exclusive lock on its file `lock`. The file `dedup.log` in it consists of slots of
//! 32 bytes. The first holds the name of the format, `telegram-webhook-dedup 1` and a line feed, and then zeros. Every other one holds
//! a record, numbers in little-endian order:
//!
//! ```text
//!  0..8   bot id, signed
//!  8..12  when the CRM accepted the update, Unix time in seconds
//! 12..28  first half of SHA-256(bot id as above, body)
//! 28..32  CRC-32 (IEEE) of the 28 bytes before
//! ```
//!
//! A record is written by one call at the end of the last whole slot, after the CRM has accepted the update and before Telegram
//! hears of it. That survives a killed process, as the kernel has the bytes; there is no fdatasync, so a machine that loses power may
//! forget the last seconds, which costs a duplicate at worst. What must not get lost, updates that were answered and not yet
//! delivered, will be in a journal of its own.
//!
//! Opening takes every record whose checksum is right. What follows the last whole slot was being written and is cut off; a slot
//! in the middle with a wrong checksum is skipped and reported. A file with another first slot is of another version, or damaged
//! beyond use: it is set aside as `dedup.log.unreadable`, and reported. When there are more than twice as many records as are
//! remembered, those that are remembered are written to `dedup.log.new`, which then takes the log's place.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufReader, BufWriter, ErrorKind, Read as _, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{Id, Seconds, index::Index};

const LOCK: &str = "lock";
const NAME: &str = "dedup.log";
const NEW: &str = "dedup.log.new";
const UNREADABLE: &str = "dedup.log.unreadable";
const SLOT_LENGTH: usize = 32;
const FORMAT: &Slot = b"telegram-webhook-dedup 1\n\0\0\0\0\0\0\0";
/// Records beyond twice the remembered ones that are not worth a new file.
const SLACK: usize = 256;
/// Bytes that are read or written at a time, when it is many.
const BUFFER: usize = 64 << 10;

type Slot = [u8; SLOT_LENGTH];

/// An accepted update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) id: Id,
    pub(super) at: Seconds,
}

/// The open log, and the lock on its folder.
pub(super) struct Log {
    dir: PathBuf,
    pub(super) file: File,
    /// Slots in the file, the first one included.
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
            slots: 1,
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
        // the name of the format, and nothing after the last whole slot
        log.file.write_all_at(FORMAT, 0)?;
        log.file.set_len(offset(log.slots))?;
        Ok(log)
    }

    /// Reads all records; false if the file isn't a log of this format.
    fn read(&mut self, found: &mut impl FnMut(Record)) -> io::Result<bool> {
        let mut reader = BufReader::with_capacity(BUFFER, &self.file);
        let mut format = Vec::with_capacity(SLOT_LENGTH);
        (&mut reader).take(offset(1)).read_to_end(&mut format)?;
        if !FORMAT.starts_with(&format) {
            return Ok(false);
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

    /// Writes a record down. One that was written in part only is overwritten by the next.
    pub(super) fn append(&mut self, record: Record) -> io::Result<()> {
        let written = self.file.write_at(&record.encode(), offset(self.slots))?;
        if written < SLOT_LENGTH {
            return Err(ErrorKind::WriteZero.into());
        }
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
        writer.write_all(FORMAT)?;
        for record in index.records() {
            writer.write_all(&record.encode())?;
        }
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        fs::rename(path, self.dir.join(NAME))?;
        self.file = file;
        self.slots = index.len() + 1;
        self.compact_from = 0;
        Ok(())
    }
}

// === impl Record ===

impl Record {
    fn encode(&self) -> Slot {
        let mut slot = [0; SLOT_LENGTH];
        slot[..8].copy_from_slice(&self.id.bot.to_le_bytes());
        slot[8..12].copy_from_slice(&self.at.to_le_bytes());
        slot[12..28].copy_from_slice(&self.id.key);
        let checksum = crc32fast::hash(&slot[..28]);
        slot[28..].copy_from_slice(&checksum.to_le_bytes());
        slot
    }

    /// None if the slot is damaged.
    fn decode(slot: &Slot) -> Option<Self> {
        let (bot, rest) = slot.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let (key, checksum) = rest.split_first_chunk()?;
        if crc32fast::hash(&slot[..28]).to_le_bytes() != *checksum {
            return None;
        }
        let id = Id { bot: i64::from_le_bytes(*bot), key: *key };
        Some(Self { id, at: Seconds::from_le_bytes(*at) })
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
