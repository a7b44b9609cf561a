//! A queue in memory, for tests of who uses one.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard},
    time::SystemTime,
};

use tokio::sync::Notify;

use crate::queue::{
    Appended, DeadLetter, DeadLetterId, Depth, Hold, Lane, Lease, Outcome, Queue, QueueError, Reason,
    Selection, Update,
};

/// One that is nobody else's.
pub(super) type Memory = InMemory<false>;

/// Others go on with what is left of it where it is `SHARED`.
#[derive(Clone, Default)]
pub(super) struct InMemory<const SHARED: bool> {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
pub(super) struct State {
    /// By place in the queue, with how often each was given out.
    updates: BTreeMap<u64, (Update, u32)>,
    stored: u64,
    in_hand: HashSet<Lane>,
    /// The most lanes that were in hand at once.
    pub(super) most_in_hand: usize,
    pub(super) dead: Vec<(Update, Reason)>,
    /// Times before which dead letters were forgotten.
    pub(super) forgotten: Vec<SystemTime>,
    pub(super) closed: bool,
    /// Lanes of which another sidecar may have what is in hand.
    pub(super) lost: HashSet<i64>,
    /// Lanes that are lost as soon as something of them is given out.
    pub(super) lost_on_the_way: HashSet<i64>,
    /// What the next calls of `next` answer.
    pub(super) failures: VecDeque<QueueError>,
    /// What the next calls of `settle` answer.
    pub(super) settle_failures: VecDeque<QueueError>,
}

pub(super) struct Receipt {
    place: u64,
    lane: Lane,
    shared: Arc<Shared>,
}

// === impl InMemory ===

impl<const SHARED: bool> InMemory<SHARED> {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    pub(super) fn add(&self, updates: Range<i64>, lane: i64) {
        updates.for_each(|id| self.add_update(update(id, lane)));
    }

    pub(super) fn add_update(&self, update: Update) {
        let mut state = self.state();
        state.stored += 1;
        let place = state.stored;
        state.updates.insert(place, (update, 0));
        drop(state);
        self.shared.changed.notify_waiters();
    }

    pub(super) fn len(&self) -> usize {
        self.state().updates.len()
    }

    /// Lanes in hand.
    pub(super) fn in_hand(&self) -> usize {
        self.state().in_hand.len()
    }

    fn take(&self) -> Option<Result<Lease<Receipt>, QueueError>> {
        let mut state = self.state();
        let State { updates, in_hand, most_in_hand, failures, closed, lost, lost_on_the_way, .. } =
            &mut *state;
        if *closed {
            return Some(Err(QueueError::Closed));
        }
        if let Some(failure) = failures.pop_front() {
            return Some(Err(failure));
        }
        let (place, (update, given)) = updates
            .iter_mut()
            .find(|(_, (update, _))| !in_hand.contains(&update.lane) && !lost.contains(&update.lane.id))?;
        in_hand.insert(update.lane);
        lost.extend(lost_on_the_way.take(&update.lane.id));
        *most_in_hand = in_hand.len().max(*most_in_hand);
        let receipt = Receipt { place: *place, lane: update.lane, shared: Arc::clone(&self.shared) };
        let lease = Lease { update: update.clone(), deliveries: *given, receipt };
        *given += 1;
        Some(Ok(lease))
    }
}

pub(super) fn update(id: i64, lane: i64) -> Update {
    Update {
        update_id: Some(id),
        lane: Lane { family: 0, id: lane },
        received_at: SystemTime::UNIX_EPOCH,
        expires_at: None,
        body: format!(r#"{{"update_id":{id}}}"#).into(),
    }
}

impl<const SHARED: bool> Queue for InMemory<SHARED> {
    type Receipt = Receipt;
    const SHARED: bool = SHARED;

    async fn append(&self, update: Update) -> Result<Appended, QueueError> {
        self.add_update(update);
        Ok(Appended::Stored)
    }

    async fn bury(&self, update: Update, reason: Reason) -> Result<Appended, QueueError> {
        self.state().dead.push((update, reason));
        Ok(Appended::Stored)
    }

    async fn next(&self) -> Result<Lease<Receipt>, QueueError> {
        loop {
            let changed = self.shared.changed.notified();
            if let Some(taken) = self.take() {
                return taken;
            }
            changed.await;
        }
    }

    async fn settle(&self, lease: Lease<Receipt>, outcome: Outcome) -> Result<(), QueueError> {
        let mut state = self.state();
        let failure = state.settle_failures.pop_front();
        if failure.is_none() {
            let (update, _) = state.updates.remove(&lease.receipt.place).expect("it is in hand");
            if let Outcome::Dead(reason) = outcome {
                state.dead.push((update, reason));
            }
        }
        // only then may the receipt be dropped
        drop(state);
        failure.map_or(Ok(()), Err)
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        let state = self.state();
        let oldest = state.updates.values().next().map(|(update, _)| update.received_at);
        let (updates, dead_letters) = (state.updates.len() as u64, state.dead.len() as u64);
        Ok(Depth { updates, bytes: 0, oldest, dead_letters })
    }

    async fn dead_letters(
        &self,
        _: &Selection,
        _: Option<DeadLetterId>,
        _: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        Ok(Vec::new())
    }

    async fn replay(&self, _: DeadLetterId) -> Result<bool, QueueError> {
        Ok(false)
    }

    async fn forget_dead_letters(&self, before: SystemTime) -> Result<u64, QueueError> {
        self.state().forgotten.push(before);
        Ok(1)
    }

    async fn close(&self) -> Result<(), QueueError> {
        self.state().closed = true;
        self.shared.changed.notify_waiters();
        Ok(())
    }
}

// === impl Receipt ===

impl Hold for Receipt {
    fn holds(&self) -> bool {
        !self.shared.state.lock().unwrap().lost.contains(&self.lane.id)
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.shared.state.lock().unwrap().in_hand.remove(&self.lane);
        self.shared.changed.notify_waiters();
    }
}
