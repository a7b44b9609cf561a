//! Keeps up with what is stored in the streams that this sidecar holds, whoever stored it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::Value;
use tokio::time::sleep;

use super::{
    entry::{self, EntryId},
    keys::Stream,
    shared::Shared,
};
use crate::queue::{Lane, QueueError};

/// How long one look waits for something to come.
const PATIENCE: Duration = Duration::from_millis(500);
/// Within which the server must have answered when it waits.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Entries of a stream that are read at a time.
const PAGE: usize = 512;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A stream, as the server has it: its length, and id and lane of what is new.
type Scanned = (usize, Vec<(String, String)>);

pub(super) struct Reader {
    shared: Arc<Shared>,
    /// Streams that looked longer than what is known of them.
    longer: HashMap<Stream, EntryId>,
}

// === impl Reader ===

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, longer: HashMap::new() }
    }

    /// Reads until the queue is closed.
    pub(super) async fn keep_up(mut self) {
        let closed = self.shared.closed.clone();
        closed.run_until_cancelled(self.read_on()).await;
    }

    async fn read_on(&mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.read().await {
                Ok(()) => pause = FIRST_PAUSE,
                Err(error) => {
                    tracing::debug!(%error, "updates not read");
                    // the server that is back may be another, which has not seen the last ids of the former one
                    self.shared.hands().start_again(None);
                    sleep(pause).await;
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
            }
        }
    }

    /// Reads what is new, or waits a while for something new.
    async fn read(&mut self) -> Result<(), QueueError> {
        let places = self.shared.hands().places();
        if places.is_empty() {
            self.shared.won.notified().await;
            return Ok(());
        }
        if !self.scan(&places).await? {
            self.wait(&places).await?;
        }
        Ok(())
    }

    /// Whether there was something new.
    async fn scan(&mut self, places: &[(Stream, EntryId)]) -> Result<bool, QueueError> {
        let Self { shared, .. } = &*self;
        let mut script = shared.scripts.scan.prepare_invoke();
        script.arg(PAGE);
        for (stream, place) in places {
            script.key(shared.keys.stream(*stream)).arg(place.to_string());
        }
        let scanned: Vec<Scanned> = shared.waiting.run(&script).await?;
        let mut any = false;
        for ((stream, place), (length, entries)) in places.iter().zip(scanned) {
            any |= !entries.is_empty();
            if entries.is_empty() {
                self.compare(*stream, *place, length);
            } else {
                let entries = entries.into_iter().filter_map(parse);
                self.shared.hands().read(*stream, *place, entries.collect());
            }
        }
        if any {
            self.shared.offered.notify_waiters();
        }
        Ok(any)
    }

    /// Reads a stream from its beginning that has more than is known, and again when nothing came: ids went back, as they can when a
    /// replica took over.
    fn compare(&mut self, stream: Stream, place: EntryId, length: usize) {
        let mut hands = self.shared.hands();
        if length <= hands.known(stream) {
            self.longer.remove(&stream);
        } else if self.longer.insert(stream, place) == Some(place) {
            self.longer.remove(&stream);
            tracing::warn!(stream, "a stream holds more than was read of it: read from its beginning");
            hands.start_again(Some(stream));
        }
    }

    async fn wait(&self, places: &[(Stream, EntryId)]) -> Result<(), QueueError> {
        let Self { shared, .. } = self;
        let mut command = redis::cmd("XREAD");
        // far below what fits
        let patience = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
        command.arg("COUNT").arg(1).arg("BLOCK").arg(patience).arg("STREAMS");
        for (stream, _) in places {
            command.arg(shared.keys.stream(*stream));
        }
        for (_, place) in places {
            command.arg(place.to_string());
        }
        let _: Value = shared.waiting.query(&command).await?;
        Ok(())
    }
}

fn parse((id, lane): (String, String)) -> Option<(EntryId, Option<Lane>)> {
    let lane = entry::lane(&lane);
    if lane.is_none() {
        tracing::error!(%id, "an entry of a stream isn't as a sidecar writes it: who else writes to these keys?");
    }
    Some((id.parse().ok()?, lane))
}
