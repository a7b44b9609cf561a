//! Writes down what is settled, and acknowledges it after that: so that whoever takes over knows of it, and drops a second copy.
//!
//! What waits to be written when the connection is lost waits on, and is written on the next one.

use std::{sync::Arc, time::Duration};

use lapin::options::BasicAckOptions;
use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use super::{
    headers::Headers,
    known::{KEY_LENGTH, Key},
    log::{EVENT, Entry},
    shared::{Shared, Tag},
};
use crate::queue::QueueError;

/// Keys of an entry at most.
const MAX_KEYS: usize = 1024;
/// Pause after an attempt that failed.
const PAUSE: Duration = Duration::from_millis(200);
const SETTLED: &str = "settled";
const AT: &str = "at";

/// An update that nobody needs any more.
#[derive(Debug)]
pub struct Record {
    /// Its key; none where another log says it already.
    pub key: Option<Key>,
    /// Acknowledges its message, where there is one.
    pub tag: Option<Tag>,
    /// Told when it is written down.
    pub written: Option<oneshot::Sender<()>>,
}

/// Writes all that is settled, until nobody can settle anything any more.
pub async fn record(shared: Arc<Shared>, mut records: mpsc::UnboundedReceiver<Record>) {
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            biased;
            _ = records.recv_many(&mut batch, MAX_KEYS) => {}
            () = shared.closed.cancelled() => return,
        }
        while let Err(error) = write(&shared, &batch).await {
            if error == QueueError::Closed {
                return;
            }
            sleep(PAUSE).await;
        }
        let count = batch.len();
        for Record { tag, written, .. } in batch.drain(..) {
            if let Some(written) = written {
                written.send(()).ok();
            }
            let Some(tag) = tag else { continue };
            // of a channel that is gone; it comes again and is dropped then
            if let Err(error) = tag.ack(BasicAckOptions::default()).await {
                tracing::debug!(%error, "an update that is settled can't be acknowledged, and comes again");
            }
        }
        shared.unrecorded.send_modify(|unrecorded| *unrecorded -= count);
    }
}

async fn write(shared: &Shared, batch: &[Record]) -> Result<(), QueueError> {
    let keys: Vec<u8> = batch.iter().filter_map(|record| record.key).flat_map(|key| key.0).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let link = shared.connected().await?;
    let mut headers = Headers::default();
    headers.time(AT, shared.now());
    let written = shared.settled.write(&link.publisher, SETTLED, headers, &keys).await;
    link.check(written).map(drop)
}

/// What an entry says is settled, and since when.
pub fn settled(Entry { headers, body, .. }: &Entry) -> Option<(Vec<Key>, u64)> {
    let is_settled = headers.as_text(EVENT)? == SETTLED;
    let (keys, _) = body.as_chunks::<KEY_LENGTH>();
    is_settled.then_some((keys.iter().copied().map(Key).collect(), headers.as_count(AT)?))
}
