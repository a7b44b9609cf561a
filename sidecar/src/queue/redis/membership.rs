//! Keeps this sidecar among the living, so that it holds its share of the streams.

use std::{sync::Arc, time::Duration};

use redis::{FromRedisValue, Value};
use tokio::time::{Instant, sleep_until};

use super::{
    hands::Token,
    keys::{STREAMS, Stream},
    shared::Shared,
};
use crate::queue::QueueError;

/// How long a sidecar is taken to live without a word of it. What it holds is somebody else's then.
const LIFE: Duration = Duration::from_secs(5);
const INTERVAL: Duration = Duration::from_secs(1);
/// Least time between two words when much is let go one by one.
const PAUSE: Duration = Duration::from_millis(50);

/// This sidecar's place among those that share the queue.
#[derive(Clone)]
pub(super) struct Membership {
    shared: Arc<Shared>,
    /// Of this opening of the queue alone.
    name: String,
}

// === impl Membership ===

impl Membership {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Self, QueueError> {
        let mut random = [0; 8];
        let failed = |_| QueueError::Unavailable("the system has no random numbers".to_owned());
        getrandom::fill(&mut random).map_err(failed)?;
        Ok(Self { shared, name: hex::encode(random) })
    }

    /// Renews the leases until the queue is closed.
    pub(super) async fn keep(self) {
        self.shared.closed.run_until_cancelled(self.renew()).await;
    }

    async fn renew(&self) {
        let Self { shared, .. } = self;
        loop {
            let begun = Instant::now();
            if let Err(error) = self.beat().await {
                tracing::debug!(%error, "leases not renewed");
            }
            tokio::select! {
                () = sleep_until(begun + INTERVAL) => {}
                () = async {
                    shared.let_go.notified().await;
                    sleep_until(begun + PAUSE).await;
                } => {}
            }
        }
    }

    /// Gives back all that is held.
    pub(super) async fn leave(&self) -> Result<(), QueueError> {
        self.shared.hands().drop_all();
        self.say::<Value>(&[], true).await.map(drop)
    }

    async fn beat(&self) -> Result<(), QueueError> {
        let Self { shared, .. } = self;
        // let go first: once it is told, another sidecar may hold it
        let let_go = shared.hands().let_go();
        let sent = Instant::now();
        let (share, held): (usize, Vec<(Stream, String)>) = self.say(&let_go, false).await?;
        let held = held.into_iter().map(|(stream, token)| (stream, Token::from(token)));
        shared.hands().renewed(sent + LIFE, share, held.collect());
        shared.won.notify_one();
        shared.offered.notify_waiters();
        Ok(())
    }

    async fn say<T: FromRedisValue>(&self, let_go: &[Stream], leaves: bool) -> Result<T, QueueError> {
        let Self { shared, name } = self;
        let mut script = shared.scripts.beat.prepare_invoke();
        script.key(&shared.keys.consumers).key(&shared.keys.leases).key(&shared.keys.fence);
        // a day has fewer milliseconds than fit
        let life = u64::try_from(LIFE.as_millis()).unwrap_or(u64::MAX);
        script.arg(name).arg(life).arg(STREAMS).arg(u8::from(leaves));
        // one by one: a slice of these is taken for bytes
        for stream in let_go {
            script.arg(*stream);
        }
        shared.server.run(&script).await
    }
}
