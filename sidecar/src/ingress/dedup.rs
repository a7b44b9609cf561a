//! Lets each update through once: Telegram sends one again when our answer got lost on the way.
//!
//! An update is known by its bytes and its bot, so that one with the id of another but with another body is another one, and ids
//! may jump down, as they do after a week without updates: no id counts as old because a higher one was seen. What was accepted
//! is remembered for [`queue::RETENTION`](crate::queue::RETENTION), of each bot at most [`MAX_KNOWN`], and survives the process in a [`log`].
//!
//! An update under way belongs to its [`Claim`]. A second copy that comes meanwhile waits for what becomes of the first: it is
//! a duplicate if the CRM accepted that one, and takes its place otherwise. The claim lives in the delivery and not in the request,
//! because the delivery goes on when the request's connection breaks.
//!
//! Between the CRM's answer and the entry in the log the process can still be killed; then the CRM sees the update twice. Nobody
//! could prevent that but the CRM.

mod log;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::{sync::watch, time::timeout};

use self::log::{Log, OpenError};
use super::Reject;
use crate::{
    dedup::{Claims, HashKey, Id, Index, Record, seconds},
    metrics::Metrics,
    queue::MAX_KNOWN,
};

/// Longest that a copy waits for the first; its client waits for an answer meanwhile.
pub const MAX_PATIENCE: Duration = Duration::from_secs(10);

/// The memory of what was accepted. Clones share it.
#[derive(Clone)]
pub struct Dedup {
    shared: Arc<Shared>,
}

struct Shared {
    hash_key: HashKey,
    state: Mutex<State>,
    metrics: Metrics,
}

struct State {
    index: Index,
    log: Log,
    /// Whether the last entry couldn't be written.
    failing: bool,
    /// What is neither accepted nor given up.
    claims: Claims,
}

/// An update that is ours to deliver. Whoever waits for it takes over when this ends without [`Claim::done`].
#[must_use]
pub struct Claim {
    id: Id,
    /// None once the update was accepted: then nothing is left to end.
    shared: Option<Arc<Shared>>,
}

/// What asking for an update came to.
enum Attempt {
    Ours(Claim),
    /// Its sender is gone when the first copy has ended.
    UnderWay(watch::Receiver<()>),
}

/// Why the state folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("--state-dir {}: another sidecar is using it: give each a folder of its own", dir.display())]
    Locked { dir: PathBuf },
    #[error("--state-dir {}: {source}: it must be a folder that the sidecar can write to", dir.display())]
    Unusable { dir: PathBuf, source: io::Error },
}

// === impl Dedup ===

impl Dedup {
    /// Remembers what the log in `dir` says was accepted; makes the folder and the log if they aren't there.
    pub fn open(dir: &Path, metrics: Metrics, now: SystemTime) -> Result<Self, StateError> {
        Self::open_with(dir, metrics, now, MAX_KNOWN)
    }

    fn open_with(dir: &Path, metrics: Metrics, now: SystemTime, max_live: usize) -> Result<Self, StateError> {
        let mut index = Index::new(max_live);
        let now = seconds(now);
        // one from a time when the clock was ahead must not make all others look old
        let opened = Log::open(dir, |record| index.insert(Record { at: record.at.min(now), ..record }));
        let log = opened.map_err(|error| match error {
            OpenError::Locked => StateError::Locked { dir: dir.to_owned() },
            OpenError::Io(source) => StateError::Unusable { dir: dir.to_owned(), source },
        })?;
        index.expire(now);
        let hash_key = log.hash_key();
        let state = State { index, log, failing: false, claims: Claims::default() };
        Ok(Self { shared: Arc::new(Shared { hash_key, state: Mutex::new(state), metrics }) })
    }

    /// Makes the update ours, unless it was accepted before. While another copy of it is under way this waits for that one, for
    /// as long as `patience` allows.
    pub async fn claim(&self, bot_id: i64, body: &[u8], patience: Duration) -> Result<Claim, Reject> {
        let id = self.shared.hash_key.id(bot_id, body);
        match self.attempt(id)? {
            Attempt::Ours(claim) => Ok(claim),
            Attempt::UnderWay(ended) => {
                let patience = patience.min(MAX_PATIENCE);
                // apart, as few requests come here and each would be larger by it
                let waiting = Box::pin(timeout(patience, self.wait(id, ended)));
                waiting.await.unwrap_or(Err(Reject::InProgress))
            }
        }
    }

    async fn wait(&self, id: Id, mut ended: watch::Receiver<()>) -> Result<Claim, Reject> {
        loop {
            // nothing is ever sent: it ends with an error, when the sender is gone
            drop(ended.changed().await);
            match self.attempt(id)? {
                Attempt::Ours(claim) => return Ok(claim),
                Attempt::UnderWay(next) => ended = next,
            }
        }
    }

    fn attempt(&self, id: Id) -> Result<Attempt, Reject> {
        let mut state = self.shared.lock();
        if state.index.contains(&id) {
            return Err(Reject::Duplicate);
        }
        Ok(match state.claims.begin(id.key) {
            Some(ended) => Attempt::UnderWay(ended),
            None => Attempt::Ours(Claim { id, shared: Some(Arc::clone(&self.shared)) }),
        })
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a claim by remembering its update. What can't be written is remembered all the same, until the process ends: the CRM
    /// has the update, and to ask Telegram for it once more would help nobody.
    fn accepted(&self, record: Record) {
        let mut state = self.lock();
        let State { index, log, failing, claims } = &mut *state;
        index.insert(record);
        let result = log.append(record).and_then(|()| log.compact_if_due(index));
        claims.end(record.id.key);
        match result {
            Ok(()) if *failing => {
                *failing = false;
                tracing::info!("the memory of accepted updates can be written again");
            }
            Ok(()) => {}
            Err(error) => {
                self.metrics.dedup_write_failed();
                // once: a full disk fails with every update
                if !*failing {
                    tracing::error!(%error, "can't write down that an update was accepted: after a restart it may be delivered again");
                }
                *failing = true;
            }
        }
    }
}

// === impl Claim ===

impl Claim {
    /// The CRM has accepted the update.
    pub fn done(mut self, now: SystemTime) {
        if let Some(shared) = self.shared.take() {
            shared.accepted(Record { id: self.id, at: seconds(now) });
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.lock().claims.end(self.id.key);
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
