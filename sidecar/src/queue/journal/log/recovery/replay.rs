//! Goes through all batches in order and keeps what they come to.

use std::sync::Arc;

use super::{At, Batch, Index, MAX_NUMBER, OpenError, Reader, Rest, reader::Frame};
use crate::queue::journal::log::{files::File, format::Kind, index::Place, segment::Segment};

/// What the batches so far came to.
#[derive(Debug)]
pub(in super::super) struct Replay<T> {
    pub index: Index<T>,
    /// Of the next batch.
    pub number: u64,
    /// Of the next record.
    pub next: u64,
    /// The oldest segment that there should be.
    pub oldest: u64,
    /// Behind the last batch, or where the first one goes.
    pub end: At,
    /// Something follows there that a crash interrupted.
    pub unfinished: bool,
    pub batches: u64,
    pub frames: u64,
}

// === impl Replay ===

impl<T: File> Replay<T> {
    /// Of segments in their order, without a gap.
    pub fn of(segments: &[Segment<T>]) -> Result<Self, OpenError> {
        let mut replay = Self::new(segments.first().map_or(1, |segment| segment.number));
        replay.run(segments)?;
        Ok(replay)
    }

    pub fn new(first: u64) -> Self {
        Self {
            index: Index::new(),
            number: 1,
            next: 1,
            oldest: 1,
            end: At::start(first),
            unfinished: false,
            batches: 0,
            frames: 0,
        }
    }

    /// After an error what came before it is known.
    pub fn run(&mut self, segments: &[Segment<T>]) -> Result<(), OpenError> {
        let first = self.end.segment;
        for segment in segments {
            self.index.add_segment(segment);
            self.segment(segment, segment.number == first)?;
        }
        self.index.forget_before(self.oldest);
        if first > self.oldest {
            return Err(At { segment: self.oldest, offset: 0 }.corrupt("it is missing"));
        }
        Ok(())
    }

    fn segment(&mut self, segment: &Segment<T>, is_first: bool) -> Result<(), OpenError> {
        let read = |error| OpenError::Io { action: "read", error };
        let Segment { number, size, salt, ref file } = *segment;
        let mut reader = Reader::new(Arc::clone(file));
        let mut at = At::start(number);
        while let Some(batch) = reader.batch(salt, size, at.offset).map_err(read)? {
            if is_first && self.batches == 0 && number > 1 {
                // what came before is dead and gone (6)
                (self.number, self.next) = (batch.header.number, 1);
            }
            self.batch(at, batch)?;
            at = self.end;
        }
        let rest = reader.rest(salt, size, at.offset).map_err(read)?;
        let is_empty = at.offset == At::start(number).offset;
        // the oldest is unlinked only if there is a synced batch after it (6)
        if is_first && is_empty && number > 1 {
            return Err(at.corrupt("what it began with is missing"));
        }
        self.rest(at, &rest)
    }

    /// What follows the last batch of a segment.
    fn rest(&mut self, at: At, rest: &Rest) -> Result<(), OpenError> {
        let Rest { garbage, header, durable } = rest;
        if *durable > self.number {
            return Err(at.corrupt("a batch is damaged that was synced before later ones were written"));
        }
        if garbage.is_none() {
            return Ok(());
        }
        if self.unfinished {
            let reason = "the batch is damaged, and the next segment was written to";
            return Err(if header.is_some() {
                self.end.corrupt(reason)
            } else {
                at.corrupt("there is something in an unused segment")
            });
        }
        self.unfinished = true;
        self.end = at;
        Ok(())
    }

    fn batch(&mut self, at: At, batch: Batch) -> Result<(), OpenError> {
        let Batch { header, frames, end } = batch;
        // the end of one segment is where the next one begins
        if self.unfinished || header.number > self.number {
            return Err(self
                .end
                .corrupt("the batch is damaged, or missing, and a later segment has batches"));
        }
        if header.number.max(header.next) > MAX_NUMBER {
            return Err(at.corrupt("the batch has a number that no log comes to"));
        }
        if header.number < self.number
            || header.durable > header.number
            || header.next < self.next
            || header.oldest < self.oldest
            || header.oldest > at.segment
        {
            return Err(at.corrupt("the batch isn't the one that belongs there"));
        }
        for frame in frames {
            self.frame(at, &frame, header.next)?;
        }
        self.number = header.number + 1;
        self.next = header.next;
        self.oldest = header.oldest;
        self.end = At { offset: end, ..at };
        self.batches += 1;
        Ok(())
    }

    fn frame(&mut self, at: At, frame: &Frame, next: u64) -> Result<(), OpenError> {
        let Frame { head, offset, removals } = frame;
        let place = Place {
            segment: at.segment,
            offset: u32::try_from(*offset).map_err(|_| at.corrupt("the segment is too long"))?,
            length: head.length,
            crc: head.crc,
        };
        match head.kind {
            Kind::Record if head.sequence < self.next || head.sequence >= next => {
                return Err(at.corrupt("a record of the batch has no new sequence"));
            }
            Kind::Record => {
                self.index.put(head.sequence, place);
                self.next = head.sequence + 1;
            }
            Kind::Moved if head.sequence >= next => {
                return Err(at.corrupt("a record of the batch has moved before it was there"));
            }
            Kind::Moved => self.index.put(head.sequence, place),
            Kind::Removals => removals.iter().for_each(|sequence| {
                self.index.remove(*sequence);
            }),
        }
        self.frames += 1;
        Ok(())
    }
}
