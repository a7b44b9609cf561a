//! How records are handed over.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::{
    BATCH_HEADER, Files, Haste, LogError, MAX_WAITING_BYTES, Place, Receipt, Record, SEGMENT_HEADER,
    Sequence, Shared, Waiting, framed, locked, removals_framed,
};

// === impl Shared ===

impl<F: Files> Shared<F> {
    pub fn append(
        &self,
        head: Bytes,
        body: Bytes,
        replaces: Option<Sequence>,
        haste: Haste,
    ) -> Result<Receipt, LogError> {
        let (record, bytes) = self.record(head, body)?;
        let (done, receipt) = oneshot::channel();
        let mut state = locked(&self.state);
        state.check_open()?;
        let replaces = replaces.map(Sequence::number);
        if replaces.is_some_and(|old| state.index.get(old).is_none()) {
            return Err(LogError::Gone);
        }
        if state.waiting_bytes + bytes > MAX_WAITING_BYTES {
            return Err(LogError::Full);
        }
        let sequence = state.next;
        state.next += 1;
        let place = Place { segment: 0, offset: 0, length: record.length, crc: record.crc };
        state.index.put(sequence, place);
        state.waiting_bytes += bytes;
        state.waiting.push_back(Waiting { record: Record { sequence, ..record }, replaces, done });
        match haste {
            Haste::Now => {
                state.is_due = true;
                self.wake(state, false);
            }
            Haste::Gather => {
                let is_first = !std::mem::replace(&mut state.is_gathering, true);
                drop(state);
                if is_first {
                    self.started.notify_one();
                }
            }
        }
        Ok(Receipt { sequence: Sequence(sequence), done: receipt })
    }

    /// Has all that wait written.
    pub fn write_gathered(&self) {
        let mut state = locked(&self.state);
        state.is_gathering = false;
        state.is_due = !state.waiting.is_empty();
        if state.is_due {
            self.wake(state, false);
        }
    }

    /// Tells whoever sees to it that they are written that records gather.
    pub fn gathers(&self) -> Arc<Notify> {
        Arc::clone(&self.started)
    }

    fn record(&self, head: Bytes, body: Bytes) -> Result<(Record, usize), LogError> {
        let payload = head.len() + body.len();
        // alone in a segment, with what it replaces, and an empty batch
        let overhead = SEGMENT_HEADER + 2 * BATCH_HEADER + removals_framed(1);
        let bytes = framed(payload);
        if (overhead + bytes) as u64 > self.options.segment_bytes {
            return Err(LogError::TooLong);
        }
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&head);
        hasher.update(&body);
        let length = u32::try_from(payload).map_err(|_| LogError::TooLong)?;
        Ok((Record { sequence: 0, crc: hasher.finalize(), length, head, body }, bytes))
    }
}
