//! Writes a new log of records that were saved.

use std::{io, sync::Arc};

use bytes::Bytes;

use super::salvage::Salvaged;
use crate::queue::journal::log::{
    Options,
    files::{File, Files},
    format::{BATCH_HEADER, BatchHeader, Encoder, FIRST_BATCH, Head, Kind, framed},
    segment::Segment,
};

/// Written at once.
const BATCH_BYTES: usize = 1 << 20;

struct Rebuild<'a, F: Files> {
    files: &'a F,
    segment: Segment<F::File>,
    tail: u64,
    number: u64,
    next: u64,
    encoder: Encoder,
}

/// As moved records they keep their sequences. Neither is any used again that the old log had.
pub(super) fn rebuild<F: Files>(files: &F, options: Options, saved: &Salvaged<F::File>) -> io::Result<()> {
    let segment = create(files, 1, options.segment_bytes)?;
    let (next, encoder) = (saved.next, Encoder::new());
    let mut rebuild = Rebuild { files, segment, tail: FIRST_BATCH, number: 1, next, encoder };
    for (sequence, place) in saved.index.iter() {
        let Some(file) = saved.index.file(place.segment) else { continue };
        let mut payload = vec![0; place.length as usize];
        file.read_at(&mut payload, place.offset.into())?;
        let head = Head { kind: Kind::Moved, length: place.length, sequence, crc: place.crc };
        rebuild.push(head, Bytes::from(payload), options)?;
    }
    // also when there is none: it says which sequence is next
    rebuild.flush()
}

fn create<F: Files>(files: &F, number: u64, size: u64) -> io::Result<Segment<F::File>> {
    Segment::create(files, number, size)?.ok_or_else(|| io::ErrorKind::StorageFull.into())
}

impl<F: Files> Rebuild<'_, F> {
    fn push(&mut self, head: Head, payload: Bytes, options: Options) -> io::Result<()> {
        let bytes = (self.encoder.len() + framed(payload.len()) + BATCH_HEADER) as u64;
        let is_full = self.tail + bytes > self.segment.size;
        if !self.encoder.is_empty() && (is_full || bytes > BATCH_BYTES as u64) {
            self.flush()?;
        }
        let needed = (2 * BATCH_HEADER + framed(payload.len())) as u64;
        if self.tail + needed > self.segment.size {
            // one that was stored when segments were larger
            let size = options.segment_bytes.max(FIRST_BATCH + needed);
            self.segment = create(self.files, self.segment.number + 1, size)?;
            self.tail = FIRST_BATCH;
        }
        self.encoder.push(head, &[], payload);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut encoder = std::mem::replace(&mut self.encoder, Encoder::new());
        let Self { number, next, .. } = *self;
        let header = BatchHeader { length: 0, number, durable: number, next, oldest: 1, heads: 0 };
        encoder.finish(self.segment.salt, header);
        let file = Arc::clone(&self.segment.file);
        file.write_at(&mut encoder.parts(), self.tail)?;
        file.sync()?;
        self.tail += encoder.len() as u64;
        self.number += 1;
        Ok(())
    }
}
