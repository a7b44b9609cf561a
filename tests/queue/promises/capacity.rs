//! What happens at the limit of what a queue holds.

use anyhow::bail;
use telegram_webhook_sidecar::queue::{Appended, Queue, QueueError, Update};
use telegram_webhook_tests::wait;

use crate::{
    bench::{Bench, PATIENCE, Room, deliver_this, ensure_empty, take},
    updates::update,
};

const MANY: i64 = 20_000;

/// Stores updates of one lane until there is no room, and returns those that were stored.
async fn fill<Q: Queue>(queue: &Q, first: i64) -> anyhow::Result<Vec<Update>> {
    let mut stored = Vec::new();
    for id in first..first + MANY {
        let update = update(7, id);
        match queue.append(update.clone()).await {
            Ok(Appended::Stored) => stored.push(update),
            Err(QueueError::Full(_)) => return Ok(stored),
            other => bail!("update {id}: {other:?}"),
        }
    }
    bail!("there is room for {MANY} updates")
}

pub async fn a_full_queue_says_so_and_loses_nothing<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Little).await?;
    let queue = bench.open().await?;
    let stored = fill(&queue, 0).await?;
    assert!(stored.len() >= 20, "{}", stored.len());
    bench.crash(queue).await?;
    let queue = bench.open().await?;
    for update in &stored {
        deliver_this(&queue, update).await?;
    }
    ensure_empty(&queue).await
}

pub async fn a_full_queue_has_room_again_when_updates_are_settled<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Little).await?;
    let queue = bench.open().await?;
    for round in 0..3 {
        let stored = fill(&queue, MANY * round).await?;
        let count = stored.len();
        assert!(count >= 20, "{count} in round {round}");
        for update in &stored {
            deliver_this(&queue, update).await?;
        }
        ensure_empty(&queue).await?;
        // one that was refused is not known: it may come again
        let refused = update(7, MANY * round + i64::try_from(count)?);
        wait::until("room", PATIENCE, async || match queue.append(refused.clone()).await {
            Ok(Appended::Stored) => Ok(Some(())),
            Err(QueueError::Full(_)) => Ok(None),
            other => bail!("{other:?}"),
        })
        .await?;
        assert_eq!(take(&queue).await?.update, refused);
        deliver_this(&queue, &refused).await?;
    }
    Ok(())
}
