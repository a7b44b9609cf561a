//! The thread that writes: one batch, one sync, and then whoever waited for it; and what keeps room for the next one.

mod active;
mod room;

use std::{io, sync::Arc};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use self::{active::Active, room::Purpose};
use super::{
    LogError, OpenError, Options, Sequence, UNREADABLE,
    files::{File, Files},
    format::{BATCH_HEADER, BatchHeader, Encoder, Head, Kind, framed},
    gatherer::Told,
    index::Place,
    recovery::{self, Recovered},
    segment::{self, Segment},
    state::{Batch, Done, Record, Request, Shared, Work, Written, tell},
};

/// Bytes of old records that move in one batch, so that new ones needn't wait long.
const MAX_MOVED: usize = 256 << 10;

pub(super) struct Writer<F: Files> {
    shared: Arc<Shared<F>>,
    files: F,
    options: Options,
    _lock: F::Lock,
    active: Active<F::File>,
    /// Segments with nothing in them, the next one first.
    spares: Vec<Segment<F::File>>,
    /// Of the next batch.
    number: u64,
    /// The first batch that may not be synced.
    durable: u64,
    /// The oldest segment with anything live in it, what the last batch says of it, and the last that is synced.
    oldest: u64,
    said: u64,
    declared: u64,
    /// Records to move out of the oldest segment, last one first.
    moving: Vec<u64>,
    /// A record was refused since room was made.
    is_full: bool,
    /// There was no room for a removal.
    is_stuck: bool,
    /// There was no room for what should move.
    is_immovable: bool,
    /// Who tells those that wait, if not this thread.
    teller: Option<UnboundedSender<Told>>,
}

/// The log is broken: why.
#[derive(Debug)]
pub(super) struct Failure(String);

// === impl Writer ===

impl<F: Files> Writer<F> {
    pub fn open(files: F, options: Options, visit: impl FnMut(Sequence, &[u8])) -> Result<Self, OpenError> {
        let lock = files.lock().map_err(|error| OpenError::Io { action: "lock", error })?;
        let lock = lock.ok_or(OpenError::InUse)?;
        let Recovered { index, active, tail, spares, number, next, oldest } =
            recovery::recover(&files, options)?;
        recovery::show(&index, visit)?;
        let mut writer = Self {
            shared: Arc::new(Shared::new(options, next, index)),
            files,
            options,
            _lock: lock,
            active: Active::new(active, tail),
            spares,
            number,
            durable: number,
            oldest,
            said: oldest,
            declared: oldest,
            moving: Vec::new(),
            is_full: false,
            is_stuck: false,
            is_immovable: false,
            teller: None,
        };
        writer.tidy().map_err(|Failure(reason)| OpenError::Io {
            action: "make room in",
            error: io::Error::other(reason),
        })?;
        Ok(writer)
    }

    /// Leaves it to somebody else to tell those that wait for a batch.
    pub fn telling(self, teller: UnboundedSender<Told>) -> Self {
        Self { teller: Some(teller), ..self }
    }

    pub fn shared(&self) -> Arc<Shared<F>> {
        Arc::clone(&self.shared)
    }

    pub fn run(mut self) {
        loop {
            match self.turn(false) {
                Ok(true) => {}
                Ok(false) => return,
                Err(Failure(reason)) => return self.shared.fail(&reason),
            }
        }
    }

    /// Writes what there is to be written; without `now` waits for it. False when there is nothing more to do, ever.
    pub(super) fn turn(&mut self, now: bool) -> Result<bool, Failure> {
        let declares = self.can_declare()?;
        let request = Request {
            room: self.active.room(),
            appends: !self.spares.is_empty(),
            poll: now || !self.moving.is_empty(),
            declares,
            stuck: self.is_stuck,
        };
        // somebody else has told everybody why
        let Ok(work) = self.shared.take(request) else { return Ok(false) };
        match work {
            Work::Batch(batch) => self.write(batch)?,
            Work::RoomToAppend(bytes) => {
                if !self.make_room_to_append(bytes)? {
                    self.is_full = true;
                    self.shared.refuse_append();
                }
            }
            Work::RoomToRemove => {
                self.is_stuck = !self.rotate(Purpose::Free)?;
                if self.is_stuck {
                    self.shared.refuse_removals();
                }
            }
            Work::End => return self.end().map(|()| false),
        }
        self.tidy()?;
        Ok(true)
    }

    fn write(&mut self, batch: Batch) -> Result<(), Failure> {
        let written = self.write_frames(&batch);
        let done = batch.done;
        match written {
            Ok(written) => {
                self.shared.publish(written);
                self.tell(done, Ok(()));
                Ok(())
            }
            Err(Failure(reason)) => {
                self.tell(done, Err(LogError::Broken(reason.clone())));
                Err(Failure(reason))
            }
        }
    }

    fn tell(&self, done: Vec<Done>, result: Result<(), LogError>) {
        match &self.teller {
            Some(_) if done.is_empty() => {}
            // it is gone with the runtime, and so are those that waited
            Some(teller) => drop(teller.send((done, result))),
            None => tell(done, &result),
        }
    }

    fn write_frames(&mut self, batch: &Batch) -> Result<Written, Failure> {
        let Batch { records, removals, done, next, room } = batch;
        let mut encoder = Encoder::new();
        let room = if batch.is_empty() { self.make_room_to_move()? } else { *room };
        let mut moving = std::mem::take(&mut self.moving);
        let moved = self.move_some(room, &mut moving, &mut encoder)?;
        self.moving = moving;
        let mut written = Written { records: Vec::with_capacity(records.len()), moved };
        for Record { sequence, crc, length, head, body } in records.iter() {
            let frame = Head { kind: Kind::Record, length: *length, sequence: *sequence, crc: *crc };
            let at = encoder.push(frame, head, body.clone());
            written.records.push((*sequence, self.active.place(at, frame)));
        }
        if !removals.is_empty() {
            encoder.push_removals(removals);
        }
        let declares = self.declared < self.oldest;
        if (declares && self.active.has_reserve()) || !encoder.is_empty() {
            self.write_batch(encoder, *next)?;
        }
        // nobody waits for removals alone (3)
        let must_sync = declares || !(done.is_empty() && written.moved.is_empty());
        if must_sync && self.durable < self.number {
            self.sync()?;
        }
        Ok(written)
    }

    fn write_batch(&mut self, encoder: Encoder, next: u64) -> Result<(), Failure> {
        let Self { number, durable, oldest, .. } = *self;
        let header = BatchHeader { length: 0, number, durable, next, oldest, heads: 0 };
        self.active.write(encoder, header).map_err(|error| failure("write to", &error))?;
        self.number += 1;
        self.said = self.oldest;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Failure> {
        self.active.sync().map_err(|error| failure("sync", &error))?;
        self.durable = self.number;
        self.declared = self.said;
        Ok(())
    }

    /// Copies live records of the oldest segment into the batch, at least one if it has room.
    fn move_some(
        &self,
        room: usize,
        moving: &mut Vec<u64>,
        encoder: &mut Encoder,
    ) -> Result<Vec<(u64, Place)>, Failure> {
        let (mut room, mut moved) = (room, Vec::new());
        while let Some(sequence) = moving.last().copied() {
            let Some((place, file)) = self.shared.stored(sequence) else {
                // removed meanwhile
                moving.pop();
                continue;
            };
            let bytes = framed(place.length as usize);
            if bytes > room || (encoder.len() + bytes > MAX_MOVED && !encoder.is_empty()) {
                break;
            }
            room -= bytes;
            let mut payload = vec![0; place.length as usize];
            file.read_at(&mut payload, u64::from(place.offset)).map_err(|error| failure("read", &error))?;
            if crc32fast::hash(&payload) != place.crc {
                return Err(Failure(UNREADABLE.to_owned()));
            }
            let head = Head { kind: Kind::Moved, length: place.length, sequence, crc: place.crc };
            let at = encoder.push(head, &[], Bytes::from(payload));
            moved.push((sequence, self.active.place(at, head)));
            moving.pop();
        }
        Ok(moved)
    }

    /// Leaves a mark that shows whether the last batch was damaged.
    fn end(&mut self) -> Result<(), Failure> {
        if self.durable < self.number {
            self.sync()?;
        }
        if self.active.has_reserve() {
            let next = self.shared.next();
            self.write_batch(Encoder::new(), next)?;
            self.sync()?;
        }
        Ok(())
    }
}

fn failure(action: &str, error: &io::Error) -> Failure {
    Failure(format!("failed to {action} a segment: {error}"))
}
