//! The segment that is written to.

use std::io::{self, IoSlice};

use super::{BATCH_HEADER, BatchHeader, Encoder, File, Head, Place, Segment};

/// How far zeros are written ahead of the records, at a time. To sync what was never written to, the file system also has to write
/// down that it was, which takes half as long again and half as much processor time again (ext4).
const AHEAD: usize = 128 << 10;
static ZEROS: [u8; AHEAD] = [0; AHEAD];

pub(super) struct Active<T> {
    pub segment: Segment<T>,
    /// Where the next batch goes.
    tail: u64,
    /// What was written to, be it with zeros.
    filled: u64,
}

// === impl Active ===

impl<T: File> Active<T> {
    /// A segment that ends there.
    pub fn new(segment: Segment<T>, tail: u64) -> Self {
        Self { segment, tail, filled: tail }
    }

    /// Bytes left but for an empty batch, which may be needed to give up the oldest segment.
    pub fn room(&self) -> usize {
        let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
        left.saturating_sub(BATCH_HEADER)
    }

    /// Whether that empty batch has room.
    pub fn has_reserve(&self) -> bool {
        self.left() >= BATCH_HEADER as u64
    }

    fn left(&self) -> u64 {
        self.segment.size - self.tail
    }

    /// Where a payload is that is at that place of the next batch.
    pub fn place(&self, at: usize, head: Head) -> Place {
        // a segment is smaller than 4 GiB
        let offset = u32::try_from(self.tail + at as u64).unwrap_or(u32::MAX);
        Place { segment: self.segment.number, offset, length: head.length, crc: head.crc }
    }

    pub fn write(&mut self, mut batch: Encoder, header: BatchHeader) -> io::Result<()> {
        batch.finish(self.segment.salt, header);
        let end = self.tail + batch.len() as u64;
        let zeros = self.ahead(end);
        let mut parts = batch.parts();
        parts.push(IoSlice::new(zeros));
        self.segment.file.write_at(&mut parts, self.tail)?;
        self.filled = self.filled.max(end + zeros.len() as u64);
        self.tail = end;
        Ok(())
    }

    /// What to write behind a batch that ends there.
    fn ahead(&self, end: u64) -> &'static [u8] {
        if end <= self.filled {
            return &[];
        }
        let until = end.next_multiple_of(AHEAD as u64).min(self.segment.size);
        ZEROS.get(..usize::try_from(until - end).unwrap_or(AHEAD)).unwrap_or(&ZEROS)
    }

    pub fn sync(&self) -> io::Result<()> {
        self.segment.file.sync()
    }
}
