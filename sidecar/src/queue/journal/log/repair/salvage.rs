//! Finds every intact frame of a damaged log.

use std::{io, sync::Arc};

use crate::queue::journal::log::{
    files::{File, Files},
    format::{BATCH_HEADER, BatchHeader, FIRST_BATCH, HEAD, Head, Kind, framed, removals},
    index::{Index, Place},
    recovery::Reader,
    segment::{self, Segment},
};

/// What is left.
pub(super) struct Salvaged<T> {
    pub index: Index<T>,
    /// The sequence after all that are known.
    pub next: u64,
    oldest: u64,
    pub lost: Vec<(u64, u64, u64)>,
}

/// Reads all that can be read. A removal that is lost brings back what it removed: that is delivered twice rather than never.
pub(super) fn salvage<F: Files>(files: &F, names: &[String]) -> io::Result<Salvaged<F::File>> {
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
    numbers.sort_unstable();
    let mut salvaged = Salvaged { index: Index::new(), next: 1, oldest: 1, lost: Vec::new() };
    for number in numbers {
        match Segment::open(files, number)? {
            Ok(segment) => salvaged.segment(&segment)?,
            // without its salt nothing in it can be told from garbage
            Err(_) => salvaged.lost.push((number, 0, u64::MAX)),
        }
    }
    salvaged.index.forget_before(salvaged.oldest);
    Ok(salvaged)
}

impl<T: File> Salvaged<T> {
    fn segment(&mut self, segment: &Segment<T>) -> io::Result<()> {
        self.index.add_segment(segment);
        let Segment { number, size, salt, ref file } = *segment;
        let mut reader = Reader::new(Arc::clone(file));
        let mut at = FIRST_BATCH;
        while at + (BATCH_HEADER as u64) <= size {
            if let Some(header) = BatchHeader::decode(salt, reader.bytes(at, BATCH_HEADER)?) {
                self.next = self.next.max(header.next);
                self.oldest = self.oldest.max(header.oldest);
                let start = at + BATCH_HEADER as u64;
                at = (start + u64::from(header.length)).min(size);
                self.frames(&mut reader, number, start, at)?;
                continue;
            }
            // on to the next header; the frames may be intact without their own
            let rest = reader.rest(salt, size, at)?;
            let next = rest.header.unwrap_or(size);
            if rest.garbage.is_some_and(|garbage| garbage < next) || rest.header.is_some() {
                self.lost.push((number, at, next.min(at + BATCH_HEADER as u64)));
                self.frames(&mut reader, number, at + BATCH_HEADER as u64, next)?;
            }
            at = next;
        }
        Ok(())
    }

    fn frames(&mut self, reader: &mut Reader<T>, number: u64, mut at: u64, end: u64) -> io::Result<()> {
        while at + (HEAD as u64) <= end {
            let head = Head::decode(reader.bytes(at, HEAD)?);
            let payload = at + HEAD as u64;
            let Some(head) = head.filter(|head| payload + u64::from(head.length) <= end) else {
                self.lost.push((number, at, end));
                return Ok(());
            };
            let bytes = reader.bytes(payload, head.length as usize)?;
            if crc32fast::hash(bytes) == head.crc {
                let removed =
                    if head.kind == Kind::Removals { removals(bytes).collect() } else { Vec::new() };
                self.frame(number, head, payload, &removed);
            } else {
                self.lost.push((number, at, payload + u64::from(head.length)));
            }
            at += framed(head.length as usize) as u64;
        }
        Ok(())
    }

    fn frame(&mut self, segment: u64, head: Head, offset: u64, removed: &[u64]) {
        let Head { kind, length, sequence, crc } = head;
        match (kind, u32::try_from(offset)) {
            (Kind::Removals, _) => removed.iter().for_each(|sequence| {
                self.index.remove(*sequence);
            }),
            (Kind::Record | Kind::Moved, Ok(offset)) => {
                self.next = self.next.max(sequence.saturating_add(1));
                self.index.put(sequence, Place { segment, offset, length, crc });
            }
            // a segment is smaller than 4 GiB
            (Kind::Record | Kind::Moved, Err(_)) => {}
        }
    }
}
