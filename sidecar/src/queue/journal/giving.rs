//! How an update gets out of the queue, and into somebody's hands.

use std::{pin::pin, sync::Arc};

use super::{
    lanes::Taken,
    log::Sequence,
    recent::Kept,
    record::{Head, Record},
    state::{Settled, Shared, Source, on_disk},
};
use crate::queue::{Hold, Lease, QueueError};

/// An update of the embedded queue that is in somebody's hands.
pub struct Receipt {
    /// None when it is settled.
    shared: Option<Arc<Shared>>,
    lane: u32,
    pub(super) sequence: u64,
    /// What is stored of it; None until it was read.
    pub(super) head: Option<Head>,
}

/// Waits for an update that can be given out.
pub(super) async fn next(shared: &Arc<Shared>) -> Result<Lease<Receipt>, QueueError> {
    if let Some(lease) = take(shared).await? {
        return Ok(lease);
    }
    loop {
        let mut told = pin!(shared.ready.notified());
        // before the look: what comes after it isn't missed
        told.as_mut().enable();
        if let Some(lease) = take(shared).await? {
            return Ok(lease);
        }
        told.await;
    }
}

async fn take(shared: &Arc<Shared>) -> Result<Option<Lease<Receipt>>, QueueError> {
    if let Some(reason) = shared.queue.failure() {
        return Err(QueueError::Broken(reason));
    }
    let Some((Taken { lane, sequence, deliveries }, recent)) = take_first(shared)? else { return Ok(None) };
    let mut receipt = Receipt { shared: Some(Arc::clone(shared)), lane, sequence, head: None };
    let (head, body) = match recent {
        Some(recent) => recent,
        None => on_disk(shared, move |shared| read(shared, sequence)).await?,
    };
    receipt.head = Some(head);
    Ok(Some(Lease { update: head.update(body), deliveries, receipt }))
}

/// Each update that can be given out is told to one who waits. Whoever waits was there to be told before he looked, so that he has seen
/// it or is told of it; and who is told and doesn't look any more passes it on.
fn take_first(shared: &Shared) -> Result<Option<(Taken, Option<Kept>)>, QueueError> {
    let mut state = shared.open()?;
    let taken = state.lanes.take();
    Ok(taken.map(|taken| (taken, state.recent.take(taken.sequence))))
}

fn read(shared: &Shared, sequence: u64) -> Result<Kept, QueueError> {
    let bytes = shared.queue.read(Sequence::from_number(sequence))?;
    match Record::decode(&bytes) {
        Ok(Record::Update(head, body)) => Ok((head, bytes.slice_ref(body))),
        _ => Err(QueueError::Broken("a record of the embedded queue is no update any more".to_owned())),
    }
}

// === impl Receipt ===

impl Receipt {
    /// The update is gone from its lane. Its record goes later: when the update is known without it, or at once if it is `moved`.
    pub(super) fn settle(mut self, moved: bool) -> Result<(), QueueError> {
        let (Some(shared), Some(Head { key, .. })) = (self.shared.take(), self.head) else { return Ok(()) };
        let mut state = shared.open()?;
        let more = state.lanes.settle(self.lane);
        if !moved {
            shared.note_settled(&mut state, Settled { key, from: Source::Queue(self.sequence) });
        }
        drop(state);
        if more {
            shared.ready.notify_one();
        }
        Ok(())
    }
}

impl Hold for Receipt {
    fn holds(&self) -> bool {
        // the files are locked: nobody else can have it
        true
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let Some(shared) = self.shared.take() else { return };
        let mut state = shared.lock();
        // nobody is to be told when the queue is closed, and this is how often it was given out
        if !state.closed {
            state.lanes.give_back(self.lane);
            drop(state);
            shared.ready.notify_one();
        }
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receipt").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}
