//! What the writer takes to write, and how it reports.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{
    BATCH_HEADER, Done, Files, LogError, MANY_REMOVALS, Place, Record, Shared, State, Status, WriterIs,
    framed, locked, removals_framed, tell,
};

/// Records in one batch.
const MAX_RECORDS: usize = 256;
/// Bytes of them, unless one alone has more.
const MAX_BYTES: usize = 1 << 20;
/// Removals in one batch.
const MAX_REMOVALS: usize = 4096;
/// How long few removals wait for something to be written with.
const LINGER: Duration = Duration::from_millis(50);

/// What the writer can do.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Request {
    /// Bytes left in the segment.
    pub room: usize,
    /// Whether records may be appended (7).
    pub appends: bool,
    /// Don't wait: there is something else to do.
    pub poll: bool,
    /// An empty batch is to be written too, which has room: it makes more room.
    pub declares: bool,
    /// There was no room for removals: don't come back at once.
    pub stuck: bool,
}

pub(in super::super) enum Work {
    Batch(Batch),
    /// A record of so many bytes, header and all, has no room.
    RoomToAppend(usize),
    RoomToRemove,
    /// Everything is written.
    End,
}

#[derive(Default)]
pub(in super::super) struct Batch {
    pub records: Arc<Vec<Record>>,
    pub removals: Vec<u64>,
    /// Who waits for it.
    pub done: Vec<Done>,
    /// The first sequence after those of its records and of all before.
    pub next: u64,
    /// Bytes left in the segment.
    pub room: usize,
}

/// What was written where.
#[derive(Default)]
pub(in super::super) struct Written {
    pub records: Vec<(u64, Place)>,
    pub moved: Vec<(u64, Place)>,
}

// === impl Shared ===

impl<F: Files> Shared<F> {
    /// Waits for work and takes what has room, in order. Err if somebody else found the log broken.
    pub fn take(&self, request: Request) -> Result<Work, ()> {
        let mut state = locked(&self.state);
        let mut rested = false;
        loop {
            let due = (state.is_due && !state.waiting.is_empty())
                || (!request.stuck && (!state.receipts.is_empty() || state.removals.len() >= MANY_REMOVALS))
                || (rested && !state.removals.is_empty());
            match state.status {
                Status::Broken(_) => return Err(()),
                Status::Closing => break,
                Status::Open if due || request.poll || request.declares => break,
                Status::Open => {}
            }
            (state, rested) = if state.removals.is_empty() && state.receipts.is_empty() {
                state.writer = WriterIs::Asleep;
                (self.work.wait(state).unwrap_or_else(PoisonError::into_inner), false)
            } else {
                state.writer = WriterIs::Dozing;
                let (state, timeout) =
                    self.work.wait_timeout(state, LINGER).unwrap_or_else(PoisonError::into_inner);
                (state, timeout.timed_out())
            };
            state.writer = WriterIs::Busy;
        }
        Ok(state.take(request))
    }

    /// Refuses the record that is next to be written.
    pub fn refuse_append(&self) {
        let mut state = locked(&self.state);
        let Some(waiting) = state.waiting.pop_front() else { return };
        state.waiting_bytes -= framed(waiting.record.length as usize);
        state.index.remove(waiting.record.sequence);
        drop(state);
        tell(vec![waiting.done], &Err(LogError::Full));
    }

    /// Tells those who wait for a removal that it has no room; it stays to be written. When the log closes it is given up.
    pub fn refuse_removals(&self) {
        let mut state = locked(&self.state);
        let receipts = std::mem::take(&mut state.receipts);
        if state.status == Status::Closing {
            state.removals.clear();
        }
        drop(state);
        tell(receipts, &Err(LogError::Full));
    }

    /// Notes where everything is now.
    pub fn publish(&self, written: Written) {
        let Written { records, moved } = written;
        let mut state = locked(&self.state);
        for (sequence, place) in records.into_iter().chain(moved) {
            // else it was removed meanwhile
            state.index.move_to(sequence, place);
        }
        state.in_flight = Arc::default();
    }
}

// === impl Batch ===

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.removals.is_empty() && self.done.is_empty()
    }
}

// === impl State ===

impl<T> State<T> {
    fn take(&mut self, request: Request) -> Work {
        let frames = request.room.saturating_sub(BATCH_HEADER);
        // room for the head of a frame of removals is kept always
        let removable = frames.saturating_sub(removals_framed(0)) / 8;
        let count = self.removals.len().min(removable).min(MAX_REMOVALS);
        if count == 0 && !self.removals.is_empty() && !request.stuck && !request.declares {
            return Work::RoomToRemove;
        }
        let removals = self.removals.drain(..count).collect();
        let room = frames.saturating_sub(removals_framed(count));
        let mut batch = Batch { removals, room, ..Batch::default() };
        if request.appends {
            self.take_records(&mut batch);
        }
        let next = self.waiting.front().map_or(self.next, |waiting| waiting.record.sequence);
        batch.next = next;
        if self.removals.is_empty() {
            batch.done.append(&mut self.receipts);
        }
        self.in_flight = Arc::clone(&batch.records);
        match self.waiting.front() {
            _ if request.declares => Work::Batch(batch),
            Some(waiting) if batch.is_empty() => {
                Work::RoomToAppend(BATCH_HEADER + removals_framed(0) + waiting.bytes())
            }
            None if batch.is_empty() && self.status == Status::Closing => Work::End,
            _ => Work::Batch(batch),
        }
    }

    fn take_records(&mut self, batch: &mut Batch) {
        let (mut records, mut bytes) = (Vec::new(), 0);
        while records.len() < MAX_RECORDS {
            let more = self.waiting.front().map(super::Waiting::bytes);
            let Some(more) =
                more.filter(|more| *more <= batch.room && (bytes == 0 || bytes + more <= MAX_BYTES))
            else {
                break;
            };
            let Some(super::Waiting { record, replaces, done }) = self.waiting.pop_front() else { break };
            batch.room -= more;
            bytes += more;
            self.waiting_bytes -= framed(record.length as usize);
            if let Some(old) = replaces.filter(|old| self.index.remove(*old).is_some()) {
                batch.removals.push(old);
            }
            records.push(record);
            batch.done.push(done);
        }
        self.is_due &= !self.waiting.is_empty();
        batch.records = Arc::new(records);
    }
}

// === impl Waiting ===

impl super::Waiting {
    /// With what it replaces.
    fn bytes(&self) -> usize {
        framed(self.record.length as usize) + if self.replaces.is_some() { 8 } else { 0 }
    }
}
