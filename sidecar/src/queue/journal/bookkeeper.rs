//! Keeps known what was settled, and then removes its records: 64 updates at a time, or those of a moment.
//!
//! Their keys are a record of the queue's log. That is durable before the records of the updates are removed, so that an update is
//! known by one or the other, whenever the machine stops. Only a log that is full has no room for it: then the updates go first, as
//! they are what makes room, and their keys are kept in memory until there is some.
//!
//! Small records of keys become a large one when there are many. A record of keys goes when it is too old, or when as many updates
//! are known without it as are to be known at all.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    log::{LogError, Sequence},
    record::Record,
    state::{MANY_SETTLED, Settled, Shared, Source},
};
use crate::{
    dedup::{Key, Seconds, seconds},
    queue::{MAX_KNOWN, RETENTION},
};

/// How long what was settled may wait for more. So much is delivered once more after a crash.
const MOMENT: Duration = Duration::from_millis(50);
/// Small records of keys that become a large one.
const MANY_RECORDS: usize = 64;
/// Keys in a record that is not made larger.
const MANY_KEYS: usize = MANY_RECORDS * MANY_SETTLED;

/// What is known by its key alone.
#[derive(Default)]
pub(super) struct Known {
    /// Oldest first.
    large: VecDeque<KeyRecord>,
    small: Vec<KeyRecord>,
    /// Those of the small records.
    keys: Vec<(Seconds, Key)>,
}

#[derive(Debug, Clone, Copy)]
struct KeyRecord {
    sequence: u64,
    at: Seconds,
    count: usize,
}

pub(super) struct Bookkeeper {
    shared: Arc<Shared>,
    known: Known,
    /// Keys that are in no record, as the log is full.
    unwritten: Vec<Key>,
    max_keys: usize,
}

// === impl Known ===

impl Known {
    /// A record that was there when the queue was opened, in their order.
    pub fn found(&mut self, sequence: u64, at: Seconds, keys: impl ExactSizeIterator<Item = Key>) {
        let record = KeyRecord { sequence, at, count: keys.len() };
        if record.count < MANY_KEYS / 2 {
            self.add_small(record, keys);
        } else {
            self.large.push_back(record);
        }
    }

    fn add_small(&mut self, record: KeyRecord, keys: impl Iterator<Item = Key>) {
        self.keys.extend(keys.map(|key| (record.at, key)));
        self.small.push(record);
    }

    fn count(&self) -> usize {
        self.keys.len() + self.large.iter().map(|record| record.count).sum::<usize>()
    }

    /// Forgets a large record that is of no use, if there is one.
    fn outlived(&mut self, now: Seconds) -> Option<KeyRecord> {
        let count = self.count();
        self.large.pop_front_if(|record| is_old(record.at, now) || count - record.count >= MAX_KNOWN)
    }
}

// === impl Bookkeeper ===

impl Bookkeeper {
    /// No record of keys is larger than `max_record` bytes.
    pub fn new(shared: Arc<Shared>, known: Known, max_record: usize) -> Self {
        let max_keys = MANY_KEYS.min(max_record / size_of::<Key>());
        Self { shared, known, unwritten: Vec::new(), max_keys }
    }

    /// Works until the queue is closed, and then notes what is left.
    pub async fn run(mut self) {
        loop {
            self.shared.settled.notified().await;
            let is_closed = || self.shared.lock().closed;
            if !is_closed() {
                // more of them in a moment, or many, or the end
                drop(timeout(MOMENT, self.shared.many_settled.notified()).await);
            }
            let last = is_closed();
            let settled = std::mem::take(&mut self.shared.lock().settled);
            let noted = self.note(&settled).await;
            if last || noted.is_err() {
                // a log that is broken tells everybody itself
                return;
            }
        }
    }

    async fn note(&mut self, settled: &[Settled]) -> Result<(), LogError> {
        self.unwritten.extend(settled.iter().map(|settled| settled.key));
        let now = seconds(self.shared.clock.now());
        let mut written = self.write_down(now).await;
        let mut last = None;
        for Settled { from, .. } in settled {
            let (log, sequence) = match *from {
                Source::Queue(sequence) => (&self.shared.queue, Sequence::from_number(sequence)),
                Source::Dead(sequence) => (&self.shared.dead, Sequence::from_number(sequence)),
            };
            match written {
                Err(LogError::Full) => last = Some(log.removed_durably(sequence)?),
                _ => log.remove(sequence)?,
            }
        }
        if let Some(removed) = last {
            // perhaps there is room by what was removed
            removed.await?;
            written = self.write_down(now).await;
        }
        match written {
            Err(LogError::Full) => return Ok(()),
            written => written?,
        }
        if self.known.small.len() >= MANY_RECORDS || self.known.keys.len() >= self.max_keys {
            match self.merge(now).await {
                Err(LogError::Full) => {}
                merged => merged?,
            }
        }
        while let Some(KeyRecord { sequence, .. }) = self.known.outlived(now) {
            self.shared.queue.remove(Sequence::from_number(sequence))?;
        }
        Ok(())
    }

    async fn write_down(&mut self, now: Seconds) -> Result<(), LogError> {
        while !self.unwritten.is_empty() {
            let count = self.unwritten.len().min(self.max_keys);
            let keys = &self.unwritten[..count];
            let sequence = write(&self.shared, now, keys.iter().copied()).await?;
            let record = KeyRecord { sequence, at: now, count };
            self.known.add_small(record, self.unwritten.drain(..count));
        }
        Ok(())
    }

    /// Makes one record of the small ones, which go when that is durable.
    async fn merge(&mut self, now: Seconds) -> Result<(), LogError> {
        let Known { large, small, keys } = &mut self.known;
        keys.retain(|(at, _)| !is_old(*at, now));
        for keys in keys.chunks(self.max_keys) {
            let sequence = write(&self.shared, now, keys.iter().map(|(_, key)| *key)).await?;
            large.push_back(KeyRecord { sequence, at: now, count: keys.len() });
        }
        keys.clear();
        for KeyRecord { sequence, .. } in small.drain(..) {
            self.shared.queue.remove(Sequence::from_number(sequence))?;
        }
        Ok(())
    }
}

/// Returns when it is durable.
async fn write(shared: &Shared, at: Seconds, keys: impl Iterator<Item = Key>) -> Result<u64, LogError> {
    let receipt = shared.queue.append(Record::encode_known(at, keys), bytes::Bytes::new())?;
    let sequence = receipt.sequence().number();
    receipt.await?;
    Ok(sequence)
}

fn is_old(at: Seconds, now: Seconds) -> bool {
    u64::from(at) + RETENTION.as_secs() <= u64::from(now)
}
