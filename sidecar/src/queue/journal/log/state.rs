//! What the callers and the writer share: records on their way, the index, and whether the log works.

mod appending;
mod record;
mod work;

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

pub(super) use self::{
    record::{Done, Haste, Record, Waiting},
    work::{Batch, Request, Work, Written},
};
use super::{
    LogError, Options, Receipt, Sequence, Usage,
    files::Files,
    format::{BATCH_HEADER, SEGMENT_HEADER, framed, removals_framed},
    index::{Index, Place},
    locked,
};

/// Bytes that wait for the writer; whoever comes later is refused.
const MAX_WAITING_BYTES: usize = 32 << 20;
/// Removals that are worth a write of their own.
const MANY_REMOVALS: usize = 64;

pub(super) struct Shared<F: Files> {
    options: Options,
    state: Mutex<State<F::File>>,
    /// Tells the writer of work.
    work: Condvar,
    /// Tells the gatherer that records gather.
    started: Arc<Notify>,
}

struct State<T> {
    status: Status,
    /// Of the record appended next.
    next: u64,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Those that wait are to be written now.
    is_due: bool,
    /// The gatherer was told that some wait.
    is_gathering: bool,
    /// Records that are being written.
    in_flight: Arc<Vec<Record>>,
    removals: Vec<u64>,
    /// Who waits for the removals so far.
    receipts: Vec<Done>,
    index: Index<T>,
    writer: WriterIs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Status {
    Open,
    /// Nothing is taken any more; what was taken is written.
    Closing,
    Broken(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriterIs {
    Busy,
    /// Until somebody tells it of anything.
    Asleep,
    /// Until somebody tells it of more than a removal, or for a while.
    Dozing,
}

/// Where a record was found.
pub(super) enum Found<T> {
    Waiting(Bytes),
    Stored { file: Arc<T>, place: Place },
}

// === impl Shared ===

impl<F: Files> Shared<F> {
    pub fn new(options: Options, next: u64, index: Index<F::File>) -> Self {
        let state = State {
            status: Status::Open,
            next,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            is_due: false,
            is_gathering: false,
            in_flight: Arc::default(),
            removals: Vec::new(),
            receipts: Vec::new(),
            index,
            writer: WriterIs::Busy,
        };
        Self { options, state: Mutex::new(state), work: Condvar::new(), started: Arc::default() }
    }

    pub fn remove(&self, sequence: Sequence) -> Result<(), LogError> {
        let mut state = locked(&self.state);
        state.remove(sequence)?;
        self.wake(state, true);
        Ok(())
    }

    pub fn removed_durably(&self, sequence: Sequence) -> Result<Receipt, LogError> {
        let (done, receipt) = oneshot::channel();
        let mut state = locked(&self.state);
        state.remove(sequence)?;
        state.receipts.push(done);
        self.wake(state, false);
        Ok(Receipt { sequence, done: receipt })
    }

    /// A removal alone may wait.
    fn wake(&self, mut state: MutexGuard<'_, State<F::File>>, removal: bool) {
        let wakes = match state.writer {
            WriterIs::Busy => false,
            WriterIs::Asleep => true,
            WriterIs::Dozing => !removal || state.removals.len() >= MANY_REMOVALS,
        };
        if wakes {
            state.writer = WriterIs::Busy;
            drop(state);
            self.work.notify_one();
        }
    }

    pub fn find(&self, sequence: Sequence) -> Result<Found<F::File>, LogError> {
        let state = locked(&self.state);
        if let Status::Broken(reason) = &state.status {
            return Err(LogError::Broken(reason.clone()));
        }
        let place = state.index.get(sequence.0).ok_or(LogError::Gone)?;
        if let Some(file) = state.index.file(place.segment) {
            return Ok(Found::Stored { file, place });
        }
        let record = state.on_its_way(sequence.0).ok_or(LogError::Gone)?;
        drop(state);
        Ok(Found::Waiting(record.payload()))
    }

    pub fn usage(&self) -> Usage {
        let index = &locked(&self.state).index;
        Usage {
            disk_bytes: index.disk_bytes(),
            live_records: index.live_records(),
            live_bytes: index.live_bytes(),
        }
    }

    pub fn failure(&self) -> Option<String> {
        match &locked(&self.state).status {
            Status::Broken(reason) => Some(reason.clone()),
            Status::Open | Status::Closing => None,
        }
    }

    pub fn close(&self) {
        let mut state = locked(&self.state);
        if state.status == Status::Open {
            state.status = Status::Closing;
        }
        state.writer = WriterIs::Busy;
        drop(state);
        self.work.notify_one();
    }

    /// Nothing works any more; the first reason stays.
    pub fn fail(&self, reason: &str) {
        let mut state = locked(&self.state);
        if matches!(state.status, Status::Broken(_)) {
            return;
        }
        state.status = Status::Broken(reason.to_owned());
        state.waiting_bytes = 0;
        let waiting = std::mem::take(&mut state.waiting).into_iter().map(|waiting| waiting.done);
        let all: Vec<_> = waiting.chain(std::mem::take(&mut state.receipts)).collect();
        state.writer = WriterIs::Busy;
        drop(state);
        self.work.notify_one();
        tell(all, &Err(LogError::Broken(reason.to_owned())));
    }

    /// The sequence that no record has had.
    pub fn next(&self) -> u64 {
        locked(&self.state).next
    }

    /// Where a record is that isn't on its way.
    pub fn stored(&self, sequence: u64) -> Option<(Place, Arc<F::File>)> {
        self.with_index(|index| {
            let place = index.get(sequence)?;
            Some((place, index.file(place.segment)?))
        })
    }

    /// Runs `f` on what is live.
    pub fn with_index<R>(&self, f: impl FnOnce(&mut Index<F::File>) -> R) -> R {
        f(&mut locked(&self.state).index)
    }
}

/// Whoever doesn't listen any more needn't know.
pub(super) fn tell(all: Vec<Done>, result: &Result<(), LogError>) {
    for done in all {
        drop(done.send(result.clone()));
    }
}

// === impl State ===

impl<T> State<T> {
    fn check_open(&self) -> Result<(), LogError> {
        match &self.status {
            Status::Open => Ok(()),
            Status::Closing => Err(LogError::Closed),
            Status::Broken(reason) => Err(LogError::Broken(reason.clone())),
        }
    }

    fn remove(&mut self, sequence: Sequence) -> Result<(), LogError> {
        self.check_open()?;
        self.index.remove(sequence.0).ok_or(LogError::Gone)?;
        self.removals.push(sequence.0);
        Ok(())
    }

    fn on_its_way(&self, sequence: u64) -> Option<Record> {
        let by = |record: &Record| record.sequence.cmp(&sequence);
        if let Ok(at) = self.in_flight.binary_search_by(by) {
            return self.in_flight.get(at).cloned();
        }
        let at = self.waiting.binary_search_by(|waiting| by(&waiting.record)).ok()?;
        self.waiting.get(at).map(|waiting| waiting.record.clone())
    }
}

#[cfg(test)]
impl<T: super::files::File> Found<T> {
    pub fn read(&self) -> Bytes {
        match self {
            Self::Waiting(bytes) => bytes.clone(),
            Self::Stored { file, place } => {
                let mut bytes = vec![0; place.length as usize];
                file.read_at(&mut bytes, place.offset.into()).unwrap();
                bytes.into()
            }
        }
    }
}
