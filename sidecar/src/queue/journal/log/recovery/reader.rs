//! Reads a segment piece by piece: memory is bounded by the longest batch.

use std::{io, sync::Arc};

use crate::queue::journal::log::{
    files::File,
    format::{ALIGNMENT, BATCH_HEADER, BatchHeader, HEAD, Head, Kind, framed, removals},
};

/// Read at once.
const WINDOW: usize = 256 << 10;

pub(in super::super) struct Reader<T> {
    file: Arc<T>,
    window: Vec<u8>,
    /// Where the window is in the file.
    start: u64,
}

/// A whole batch, without the records.
#[derive(Debug)]
pub(in super::super) struct Batch {
    pub header: BatchHeader,
    pub frames: Vec<Frame>,
    /// Where it ends in the segment.
    pub end: u64,
}

#[derive(Debug)]
pub(in super::super) struct Frame {
    pub head: Head,
    /// Where the payload is in the segment.
    pub offset: u64,
    pub removals: Vec<u64>,
}

/// What is behind the last batch.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Rest {
    /// The first that isn't zero.
    pub garbage: Option<u64>,
    /// Where the first header of a batch is.
    pub header: Option<u64>,
    /// What these headers say was durable: all batches before that one.
    pub durable: u64,
}

// === impl Reader ===

impl<T: File> Reader<T> {
    pub fn new(file: Arc<T>) -> Self {
        Self { file, window: Vec::new(), start: 0 }
    }

    /// So many bytes, all of which the file must have.
    pub fn bytes(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let missing = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let has = |start: u64, window: &[u8]| {
            let from = usize::try_from(offset.checked_sub(start)?).ok()?;
            let until = from.checked_add(length)?;
            (until <= window.len()).then_some(from..until)
        };
        if has(self.start, &self.window).is_none() {
            let left = self.file.size()?.checked_sub(offset).ok_or_else(missing)?;
            let left = usize::try_from(left).unwrap_or(usize::MAX);
            if length > left {
                return Err(missing());
            }
            self.window.resize(length.max(WINDOW).min(left), 0);
            self.start = offset;
            if let Err(error) = self.file.read_at(&mut self.window, offset) {
                self.window.clear();
                return Err(error);
            }
        }
        has(self.start, &self.window).and_then(|range| self.window.get(range)).ok_or_else(missing)
    }

    /// The batch there; None unless it is whole.
    pub fn batch(&mut self, salt: u64, size: u64, offset: u64) -> io::Result<Option<Batch>> {
        let Some(start) = offset.checked_add(BATCH_HEADER as u64).filter(|start| *start <= size) else {
            return Ok(None);
        };
        let Some(header) = BatchHeader::decode(salt, self.bytes(offset, BATCH_HEADER)?) else {
            return Ok(None);
        };
        let end = start + u64::from(header.length);
        if end > size {
            return Ok(None);
        }
        let bytes = self.bytes(start, header.length as usize)?;
        let frames = frames(bytes, start, header.heads);
        Ok(frames.map(|frames| Batch { header, frames, end }))
    }

    /// What is there from an offset on.
    pub fn rest(&mut self, salt: u64, size: u64, offset: u64) -> io::Result<Rest> {
        let mut rest = Rest::default();
        let mut at = offset;
        while at < size {
            // a header may reach into the next window
            let length = usize::try_from(size - at).unwrap_or(usize::MAX).min(WINDOW);
            let step = if length == WINDOW { length - BATCH_HEADER } else { length };
            let bytes = self.bytes(at, length)?;
            if let Some(garbage) = bytes.iter().position(|byte| *byte != 0) {
                rest.garbage.get_or_insert(at + garbage as u64);
                for place in (0..step).step_by(ALIGNMENT) {
                    let header = bytes.get(place..).and_then(|bytes| BatchHeader::decode(salt, bytes));
                    if let Some(header) = header {
                        rest.header.get_or_insert(at + place as u64);
                        rest.durable = rest.durable.max(header.durable);
                    }
                }
            }
            at += step as u64;
        }
        Ok(rest)
    }
}

/// The frames of a batch, None unless all are as they were written.
fn frames(bytes: &[u8], start: u64, heads: u32) -> Option<Vec<Frame>> {
    let mut found = Vec::new();
    let mut hasher = crc32fast::Hasher::new();
    let mut at = 0;
    while at < bytes.len() {
        let head = bytes.get(at..at + HEAD)?;
        hasher.update(head);
        let head = Head::decode(head)?;
        let length = head.length as usize;
        let payload = bytes.get(at + HEAD..(at + HEAD).checked_add(length)?)?;
        if crc32fast::hash(payload) != head.crc {
            return None;
        }
        let removals = if head.kind == Kind::Removals { removals(payload).collect() } else { Vec::new() };
        found.push(Frame { head, offset: start + (at + HEAD) as u64, removals });
        at += framed(length);
    }
    (at == bytes.len() && hasher.finalize() == heads).then_some(found)
}
