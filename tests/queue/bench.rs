//! Where the queue under test comes from, and how its sidecar is killed.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use telegram_webhook_sidecar::queue::{Lease, Outcome, Queue, Update};
use tokio::time::timeout;

/// Longest that anything is waited for, a takeover after a crash included.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// How much the queue under test can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// For ten thousand small updates at least, and some of a megabyte.
    Plenty,
    /// For 20 small updates at least, and not for 20,000.
    Little,
}

/// A place with one queue, of one bot, which is empty at first. All that it takes ends with it.
pub trait Bench: Sized + Send + Sync + 'static {
    type Queue: Queue;
    /// Whether [`Queue::append`] itself tells a copy. A queue where it doesn't drops copies before it gives them out.
    const TELLS_COPIES: bool = true;
    /// Whether it is exact about which of several lanes comes first.
    const ONE_PLACE: bool = true;

    fn start(room: Room) -> impl Future<Output = anyhow::Result<Self>> + Send;

    /// Opens the queue as a sidecar does that starts. Of a shared queue a second time as well, for a second sidecar.
    fn open(&self) -> impl Future<Output = anyhow::Result<Self::Queue>> + Send;

    /// Kills the sidecar that opened `queue` as kill -9 does: nothing more is written, closed or given back. What was in its hands is
    /// dropped later, which must have no effect.
    fn crash(&self, queue: Self::Queue) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// One whose queue can be put out of reach.
pub trait Outage: Bench {
    /// From now on the queue can't be reached.
    fn begin(&self) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// It can again, with all that it had acknowledged.
    fn end(&self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// What is given out next.
pub async fn take<Q: Queue>(queue: &Q) -> anyhow::Result<Lease<Q::Receipt>> {
    Ok(timeout(PATIENCE, queue.next()).await.context("waited in vain for an update")??)
}

/// Takes what is given out next, which must be `expected`.
pub async fn take_this<Q: Queue>(queue: &Q, expected: &Update) -> anyhow::Result<Lease<Q::Receipt>> {
    let lease = take(queue).await?;
    ensure!(
        lease.update == *expected,
        "expected update {:?}, got {:?}",
        expected.update_id,
        lease.update.update_id
    );
    Ok(lease)
}

/// Takes what is given out next, which must be `expected`, and delivers it.
pub async fn deliver_this<Q: Queue>(queue: &Q, expected: &Update) -> anyhow::Result<()> {
    let lease = take_this(queue, expected).await?;
    queue.settle(lease, Outcome::Done).await?;
    Ok(())
}

/// There is nothing in the queue any more.
pub async fn ensure_empty<Q: Queue>(queue: &Q) -> anyhow::Result<()> {
    let left = queue.depth().await?.updates;
    ensure!(left == 0, "{left} updates are left");
    Ok(())
}
