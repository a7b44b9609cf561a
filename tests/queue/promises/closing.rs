//! The end of a queue's life in one sidecar.

use std::sync::Arc;

use futures::poll;
use telegram_webhook_sidecar::queue::{Outcome, Queue as _, QueueError};
use tokio::time::timeout;

use crate::{
    bench::{Bench, PATIENCE, Room, deliver_this, ensure_empty, take, take_this},
    updates::{store, update, updates},
};

pub async fn a_closed_queue_takes_and_gives_nothing<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let updates = updates(7, 2);
    store(&queue, &updates).await?;
    queue.close().await?;
    assert_eq!(queue.append(update(7, 99)).await, Err(QueueError::Closed));
    assert_eq!(queue.next().await.err(), Some(QueueError::Closed));
    queue.close().await?;
    drop(queue);
    let queue = bench.open().await?;
    for update in &updates {
        deliver_this(&queue, update).await?;
    }
    ensure_empty(&queue).await
}

pub async fn whoever_waits_at_a_closed_queue_is_told<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = Arc::new(bench.open().await?);
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let queue = Arc::clone(&queue);
        let mut next = Box::pin(async move { queue.next().await.err() });
        assert!(poll!(&mut next).is_pending());
        waiting.push(tokio::spawn(next));
    }
    queue.close().await?;
    for waiting in waiting {
        assert_eq!(timeout(PATIENCE, waiting).await??, Some(QueueError::Closed));
    }
    Ok(())
}

pub async fn closing_gives_back_what_is_in_hand<B: Bench>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let updates = updates(7, 3);
    store(&queue, &updates).await?;
    deliver_this(&queue, &updates[0]).await?;
    let in_hand = take_this(&queue, &updates[1]).await?;
    queue.close().await?;
    let late = queue.settle(in_hand, Outcome::Done).await;
    assert_eq!(late, Err(QueueError::Closed), "it is another's by now");
    drop(queue);
    let queue = bench.open().await?;
    let again = take(&queue).await?;
    assert_eq!(again.update, updates[1]);
    assert!(again.deliveries >= 1);
    queue.settle(again, Outcome::Done).await?;
    deliver_this(&queue, &updates[2]).await?;
    ensure_empty(&queue).await
}
