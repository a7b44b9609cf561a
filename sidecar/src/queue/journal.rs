//! The embedded queue: updates in files of the sidecar's own, for one bot and one sidecar.
//!
//! ```text
//! <folder of the bot>/queue/   log of what waits, and of what was settled: by its key alone
//!                     dead/    log of dead letters
//!                     end      left by a queue that was closed in order
//! ```
//!
//! What a log keeps and how is in [`log`], what its records are in `record`. In memory are, of each update that waits, its place in
//! its lane (`lanes`) and its key among those that are known; bodies only of what was stored a moment ago (`recent`).
//!
//! # Invariants
//!
//! 1. An update is in its lane, and `append` says that it is stored, only when its record is durable. Lanes are in the order of the
//!    log, which is that in which updates were handed to it: `under_way` keeps it while they become durable.
//! 2. What is known survives. A key is in memory as long as it is known, and on disk in one place at least: the record of the update
//!    that waits, a dead letter, or a record of keys. The first two are removed only after the keys are durable elsewhere
//!    (`bookkeeper`); of a full log the exception is told there.
//! 3. A copy is looked for and claimed under one lock with what is known and what is being stored. While the first one isn't durable
//!    the second one waits for it; so neither is stored twice nor is a copy acknowledged before it is durable.
//! 4. What moves between the logs is durable there before it is removed here, and removed durably before it moves on
//!    (`setting_aside`). Whoever opens a queue in which a move was interrupted finishes it (`opening`).
//! 5. What is settled goes from its lane at once and from the disk in a moment, in one piece with other such: a sidecar that is killed
//!    meanwhile gives it out once more.
//! 6. After an error of a log nothing of this queue is taken or given out any more.

mod bookkeeper;
mod end;
mod giving;
mod lanes;
mod letters;
pub mod log;
mod opening;
mod recent;
mod record;
mod setting_aside;
mod state;
mod storing;
mod under_way;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use tokio::task::{JoinHandle, spawn_blocking};

use self::{
    bookkeeper::Bookkeeper,
    end::Deliveries,
    log::LogError,
    opening::Opened,
    state::{Shared, on_disk},
};
pub use self::{
    giving::Receipt,
    opening::{LOGS, OpenError, Options},
};
use super::{
    Appended, Clock, DeadLetter, DeadLetterId, Depth, Lease, Outcome, Queue, QueueError, Reason, Selection,
    Update, from_millis,
};

/// The embedded queue of a bot.
pub struct Journal {
    shared: Arc<Shared>,
    dir: PathBuf,
    /// Taken by whoever closes the queue.
    bookkeeper: Mutex<Option<JoinHandle<()>>>,
}

// === impl Journal ===

impl Journal {
    /// Opens the queue in `dir`, made if it isn't there.
    pub async fn open(dir: &Path, bot_id: i64, options: Options, clock: Clock) -> Result<Self, OpenError> {
        let not_writable = |source| OpenError::NotWritable { dir: dir.to_owned(), source };
        let folder = dir.to_owned();
        let opened = spawn_blocking(move || opening::open(&folder, bot_id, options, clock)).await;
        let opened = opened.unwrap_or(Err(not_writable(LogError::Closed)))?;
        let Opened { shared, gatherer, known, receipts } = opened;
        // ends with the log
        drop(tokio::spawn(gatherer.run()));
        for receipt in receipts {
            receipt.await.map_err(not_writable)?;
        }
        let shared = Arc::new(shared);
        let bookkeeper = Bookkeeper::new(Arc::clone(&shared), known, options.longest_body());
        let bookkeeper = Mutex::new(Some(tokio::spawn(bookkeeper.run())));
        Ok(Self { shared, dir: dir.to_owned(), bookkeeper })
    }

    fn depth_now(&self) -> Depth {
        let Shared { queue, dead, .. } = &*self.shared;
        let bytes = queue.usage().disk_bytes + dead.usage().disk_bytes;
        let state = self.shared.lock();
        let updates = state.lanes.len() + state.under_way.len();
        let oldest = state.lanes.oldest().map(from_millis);
        Depth { updates: updates as u64, bytes, oldest, dead_letters: state.letters.len() as u64 }
    }
}

impl Queue for Journal {
    type Receipt = Receipt;

    async fn append(&self, update: Update) -> Result<Appended, QueueError> {
        storing::append(&self.shared, update).await
    }

    async fn bury(&self, update: Update, reason: Reason) -> Result<Appended, QueueError> {
        setting_aside::bury(&self.shared, update, reason).await
    }

    async fn next(&self) -> Result<Lease<Receipt>, QueueError> {
        giving::next(&self.shared).await
    }

    async fn settle(&self, lease: Lease<Receipt>, outcome: Outcome) -> Result<(), QueueError> {
        match outcome {
            Outcome::Done => lease.receipt.settle(false),
            Outcome::Dead(reason) => setting_aside::park(&self.shared, lease, reason).await,
        }
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        match self.shared.failure() {
            Some(reason) => Err(QueueError::Broken(reason)),
            None => Ok(self.depth_now()),
        }
    }

    async fn dead_letters(
        &self,
        selection: &Selection,
        after: Option<DeadLetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, QueueError> {
        setting_aside::list(&self.shared, selection, after, limit).await
    }

    async fn replay(&self, id: DeadLetterId) -> Result<bool, QueueError> {
        setting_aside::replay(&self.shared, id).await
    }

    async fn forget_dead_letters(&self, before: SystemTime) -> Result<u64, QueueError> {
        setting_aside::forget(&self.shared, before).await
    }

    async fn close(&self) -> Result<(), QueueError> {
        self.shared.shut();
        let bookkeeper = self.bookkeeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(bookkeeper) = bookkeeper else { return Ok(()) };
        // it ends when the runtime does, if not by itself
        drop(bookkeeper.await);
        let dir = self.dir.clone();
        on_disk(&self.shared, move |shared| {
            shared.queue.close();
            shared.dead.close();
            if let Some(reason) = shared.failure() {
                return Err(QueueError::Broken(reason));
            }
            let deliveries: Vec<_> = shared.lock().lanes.given_out().collect();
            let left = Deliveries::leave(&dir, deliveries);
            left.map_err(|error| {
                QueueError::Broken(format!("can't write into the folder of the embedded queue: {error}"))
            })
        })
        .await
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.shut();
    }
}

#[cfg(test)]
mod tests;
