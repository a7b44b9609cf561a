//! A queue that is out of reach for a while.

use telegram_webhook_sidecar::queue::{Appended, Outcome, Queue, QueueError, Update};
use telegram_webhook_tests::wait;

use crate::{
    bench::{Outage, PATIENCE, Room, deliver_this, ensure_empty, take},
    updates::{store, update, updates},
};

/// Stores an update, however often that takes. A try that failed may have stored it, so that the next one finds it known.
async fn store_at_last<Q: Queue>(queue: &Q, update: &Update) -> anyhow::Result<()> {
    wait::until("the queue to take an update", PATIENCE, async || {
        match queue.append(update.clone()).await? {
            Appended::Stored | Appended::Duplicate => Ok(Some(())),
        }
    })
    .await
}

pub async fn out_of_reach_nothing_is_acknowledged<B: Outage>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let before = update(7, 1);
    store(&queue, std::slice::from_ref(&before)).await?;
    bench.begin().await?;
    let late = update(7, 2);
    let refused = queue.append(late.clone()).await;
    assert!(matches!(refused, Err(QueueError::Unavailable(_))), "{refused:?}");
    bench.end().await?;
    store_at_last(&queue, &late).await?;
    let mut given_out = Vec::new();
    while given_out.last() != Some(&late) {
        let lease = take_at_last(&queue).await?;
        given_out.push(lease.update.clone());
        queue.settle(lease, Outcome::Done).await?;
    }
    assert_eq!(given_out, [before, late]);
    ensure_empty(&queue).await
}

pub async fn all_goes_on_when_the_queue_is_back<B: Outage>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let updates = updates(7, 6);
    store(&queue, &updates).await?;
    deliver_this(&queue, &updates[0]).await?;
    let in_hand = take(&queue).await?;
    bench.begin().await?;
    bench.end().await?;
    // whether it could still be settled or not, no other of its lane came meanwhile
    let settled = queue.settle(in_hand, Outcome::Done).await;
    let mut left = updates[1..].to_vec();
    while !left.is_empty() {
        let lease = take_at_last(&queue).await?;
        let position = left.iter().position(|update| *update == lease.update);
        assert!(position == Some(0) || position == Some(1) && settled.is_ok(), "{position:?}, {settled:?}");
        if queue.settle(lease, Outcome::Done).await.is_ok() {
            left.drain(..=position.unwrap_or_default());
        }
    }
    ensure_empty(&queue).await
}

pub async fn out_of_reach_for_long_nothing_in_hand_is_held<B: Outage>() -> anyhow::Result<()> {
    let bench = B::start(Room::Plenty).await?;
    let queue = bench.open().await?;
    let updates = updates(7, 2);
    store(&queue, &updates).await?;
    let in_hand = take(&queue).await?;
    assert!(in_hand.holds());
    bench.begin().await?;
    // another sidecar has it from then on, if there is one
    wait::until("what is in hand to be lost", PATIENCE, async || Ok((!in_hand.holds()).then_some(())))
        .await?;
    drop(in_hand);
    bench.end().await?;
    let mut left = &updates[..];
    while let [first, rest @ ..] = left {
        let lease = take_at_last(&queue).await?;
        assert_eq!(lease.update, *first);
        if queue.settle(lease, Outcome::Done).await.is_ok() {
            left = rest;
        }
    }
    ensure_empty(&queue).await
}

/// Takes an update, however often that takes.
async fn take_at_last<Q: Queue>(
    queue: &Q,
) -> anyhow::Result<telegram_webhook_sidecar::queue::Lease<Q::Receipt>> {
    wait::until("the queue to give out an update", PATIENCE, async || Ok(Some(take(queue).await?))).await
}
